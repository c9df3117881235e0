// Package console shows what a service's connections are doing right now: a page with the live connections, charts of the
// last minutes, recent closes, failures and warnings, and findings in plain words. It needs nothing but the service.
//
// # Use
//
// Mount it as you mount net/http/pprof:
//
//	mux.Handle("/debug/realtime/", console.Handler(observer))
//
// To see log records too, make the console first and pass the service's records through it:
//
//	live := console.New(console.Config{})
//	logger := slog.New(live.LogHandler(slog.NewJSONHandler(os.Stdout, nil)))
//	observer, err := instrument.New(instrument.WithLogger(logger))
//	live.Observe(observer)
//	mux.Handle("/debug/realtime/", live)
//
// Recent closes, failed and slow messages, and the story of one connection come from those records.
//
// # Who may see it
//
// The console answers requests from this machine only, and none that a proxy has forwarded, because it shows ids of
// connections and texts of errors. Config.AllowRemote lifts that: then put it behind your own authentication. It is
// read-only unless Config.AllowClose is set. Its page loads nothing from elsewhere.
//
// # What it costs
//
// Nothing runs while nobody looks, except that records and spans which pass through are kept. While somebody looks, the
// console takes a sample of all counters once per second, and looks at each connection when somebody asks for the table.
// Either takes at most a hundredth of one processor: where it would take more, as with 100,000 connections, it happens
// less often. The console keeps the samples of the last 15 minutes and a bounded number of records and spans.
//
// # API
//
// The page uses a JSON API that is yours, too. Paths are relative to where the console is mounted. Within version 1,
// fields are added but neither renamed nor removed.
//
//	GET api/v1/connections?sort=behind&limit=50&q=&namespace=   live connections, see [Connections]
//	GET api/v1/connections/{id}                                 one connection, its records and spans, see [Story]
//	POST api/v1/connections/{id}/close                          closes one, if Config.AllowClose is set
//	GET api/v1/series?since=                                    samples of the last 15 minutes, see [Series]
//	GET api/v1/records?kind=                                    recent log records, see [Records]
//	GET api/v1/traces?all=                                      traces that failed or were slow, or all, see [Traces]
//	GET api/v1/findings                                         what looks wrong, see [Findings]
//	GET api/v1/events                                           samples, records and findings as server-sent events
package console
