// Package console shows what a service's connections are doing right now. It is a page with the live connections,
// charts of the last minutes, recent closes, failures and warnings, and findings in plain words. It needs only the
// service itself.
//
// # Use
//
// Mount it like net/http/pprof:
//
//	mux.Handle("/debug/realtime/", console.Handler(observer))
//
// To see log records, too, make the console first and pass the service's records through it:
//
//	live := console.New(console.Config{})
//	logger := slog.New(live.LogHandler(slog.NewJSONHandler(os.Stdout, nil)))
//	observer, err := instrument.New(instrument.WithLogger(logger))
//	live.Observe(observer)
//	mux.Handle("/debug/realtime/", live)
//
// The console gets recent closes, failed and slow messages, and the story of a connection from these records.
//
// # Who may see it
//
// The console shows ids of connections and texts of errors, so it answers requests only from this machine, and no
// requests that a proxy has forwarded. If you set Config.AllowRemote to lift that limit, put the console behind your
// own authentication. The console is read-only unless Config.AllowClose is set. Its page loads nothing from elsewhere.
//
// # What it costs
//
// While nobody looks, the console only keeps the records and spans that pass through it. While somebody looks, it takes
// a sample of all counters once per second, and looks at each connection when somebody asks for the table. Samples and
// tables each take at most a hundredth of one processor: if they would take more, such as with 100,000 connections,
// they are made less often. The console keeps the samples of the last 15 minutes and a bounded number of records and
// spans.
//
// # API
//
// The page uses a JSON API that you may use, too. Paths are relative to the path where the console is mounted. In
// version 1, fields may be added, but are neither renamed nor removed.
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
