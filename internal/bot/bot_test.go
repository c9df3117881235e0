package bot

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/demotest"
	"github.com/sockscope/sockscope/demo/use/market"
	"github.com/sockscope/sockscope/instrument/client"
	"github.com/sockscope/sockscope/internal/transport"
	"github.com/sockscope/sockscope/internal/upstream"
)

// TestReconcilesAgain cuts the bot's connection to a demo off, by the demo's own fault, more than once.
func TestReconcilesAgain(t *testing.T) {
	server := startDemo(t)
	b := start(t, server, nil)
	b.await("what is held was compared with the truth", func(s Status) bool { return live(s) && s.Compared > 0 })

	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/fault/mass_disconnect",
		strings.NewReader(`{"strength":1,"duration":"30s"}`))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the fault is not on: %v, %v", response, err)
	}
	response.Body.Close()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	again := b.await("it is live again", func(s Status) bool { return live(s) && s.Reconnects >= 1 })
	later := b.await("what is held now was compared, too", func(s Status) bool { return live(s) && s.Compared > again.Compared })
	if later.Drift != 0 || later.Reconciled < 2 || later.Seq <= again.Seq {
		t.Errorf("status is %+v, want no drift, reconciled twice or more, and to have gone on from %d", later, again.Seq)
	}

	if err := b.stop(); err != nil {
		t.Errorf("ended with %v", err)
	}
	records := b.shown()
	if last := records[len(records)-1]; last.Status == nil || last.Status.State != "closed" {
		t.Errorf("the last record is %v, want a status that says closed", last)
	}
	if !slices.ContainsFunc(records, func(r Record) bool { return r.Change != nil && r.Change.From == "live" && r.Change.Error != "" }) {
		t.Error("no record says why it was live no more")
	}
}

// TestDefects has a market with the defects of feeds. The bot's state is right again as soon as the market is.
func TestDefects(t *testing.T) {
	changed := func(change func(*market.Tick)) func(market.Batch) []market.Batch {
		return func(b market.Batch) []market.Batch {
			b.Ticks = slices.Clone(b.Ticks)
			change(&b.Ticks[len(b.Ticks)-1])
			return []market.Batch{b}
		}
	}
	for name, tc := range map[string]struct {
		publish func(market.Batch) []market.Batch
		want    func(Status) bool
	}{
		"batches are lost": {
			func(market.Batch) []market.Batch { return nil },
			func(s Status) bool { return s.Gaps > 0 && s.Missing > 0 && s.Reconciled > 1 && s.Drift == 0 },
		},
		"batches are repeated": {
			func(b market.Batch) []market.Batch { return []market.Batch{b, b} },
			func(s Status) bool { return s.Duplicates > 0 && s.Drift == 0 },
		},
		"batches are none": {
			func(b market.Batch) []market.Batch { b.FirstSeq = 0; return []market.Batch{b} },
			func(s Status) bool { return s.Gaps > 0 && s.Reconciled > 1 && s.Drift == 0 },
		},
		"sizes are wrong": {
			changed(func(t *market.Tick) { t.Size++ }),
			func(s Status) bool { return s.Drift > 0 && s.Reconciled > 1 },
		},
		"symbols are unknown": {
			changed(func(t *market.Tick) { t.Symbol = "unknown" }),
			func(s Status) bool { return s.Drift > 0 && s.Reconciled > 1 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := startExchange(t)
			b := start(t, x.Server, nil)
			b.await("it is live", live)
			x.spoil(tc.publish)
			seen := b.await("the defect is seen", tc.want)
			x.set(func(x *exchange) { x.publish = nil })
			healed := b.await("it is live again", func(s Status) bool { return live(s) && s.Seq > seen.Seq+100 })
			after := b.await("what is held was compared", func(s Status) bool { return live(s) && s.Compared > healed.Compared+1 })
			if after.Drift != healed.Drift {
				t.Errorf("status is %+v, want no more drift than %d", after, healed.Drift)
			}
		})
	}
}

// TestSilence has a market that says nothing any more although the connection is open.
func TestSilence(t *testing.T) {
	x := startExchange(t)
	b := start(t, x.Server, func(c *Config) { c.Expect = 500 * time.Millisecond })
	b.await("it is live", live)
	x.set(func(x *exchange) { x.publish = func(market.Batch) []market.Batch { return nil } })
	b.await("it reconnects", func(s Status) bool { return s.Reconnects >= 1 })
	if !slices.ContainsFunc(b.shown(), func(r Record) bool { return r.Change != nil && r.Change.To == "stale" }) {
		t.Error("no record says that it was stale")
	}
	x.set(func(x *exchange) { x.publish = nil })
	b.await("it is live again", func(s Status) bool { return live(s) && s.AgeSeconds < 0.5 })
}

// TestActsOnlyOnTruth has the bot buy and sell whenever it may, and nothing to reconcile with at first.
func TestActsOnlyOnTruth(t *testing.T) {
	x := startExchange(t)
	x.set(func(x *exchange) { x.snapshot = false })
	b := start(t, x.Server, func(c *Config) { c.Rule = Rule{Window: 2, Edge: 1e-9, Lot: 1} })
	failed := func(s Status) bool { return s.State == "reconciling" && b.failures("error") >= 2 }
	if s := b.await("the snapshot was not to be had twice", failed); s.Trades != 0 || s.Seq != 0 {
		t.Errorf("status is %+v, want nothing held and nothing done", s)
	}
	x.set(func(x *exchange) { x.snapshot = true })
	b.await("it trades", func(s Status) bool { return live(s) && s.Trades > 3 })
	for _, r := range b.shown() {
		if r.Trade == nil {
			continue
		}
		if want := x.market.Tick(r.Trade.Symbol, r.Trade.Seq).Price; r.Trade.Price != want {
			t.Errorf("%v, want the price of that tick, %d", r.Trade, want)
		}
	}
}

// TestReplay gives the bot ticks while the market is not live, as those are that come after a snapshot: it takes note
// of them and does nothing, whatever the rule says.
func TestReplay(t *testing.T) {
	server, err := upstream.Parse("ws://127.0.0.1:1/ws")
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Config{Server: server, Rule: Rule{Window: 2, Edge: 1e-9, Lot: 1}})
	if err != nil {
		t.Fatal(err)
	}
	m, snapshot := at(t)
	if _, err := b.restore(t.Context(), "", client.Snapshot{Value: snapshot(1000)}); err != nil {
		t.Fatal(err)
	}
	replayed := ticks(m, 1001, 1010)
	if err := b.handle(t.Context(), client.Event{Value: market.Batch{FirstSeq: 1001, LastSeq: 1010, Ticks: replayed}}); err != nil {
		t.Fatal(err)
	}
	if s := b.Status(); s.Seq != 1010 || s.Trades != 0 || len(b.records) != 0 {
		t.Errorf("status is %+v with %d records, want tick 1010 and nothing done", s, len(b.records))
	}
	if trades := b.trader.act(replayed); len(trades) == 0 {
		t.Error("the rule would not have traded anyway, so this test proves nothing")
	}
}

// failures returns how many reconciliations had that result.
func (r *running) failures(result string) uint64 {
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Error(err)
	}
	return sum(families, "websocket_client_reconciliations_total", "result", result)
}

// TestRefusals has an exchange that does not let the bot subscribe at first, and one that wants a newer token.
func TestRefusals(t *testing.T) {
	x := startExchange(t)
	x.set(func(x *exchange) {
		x.refuse = true
		x.frames = []string{
			`{"type":"token_expiring","payload":{}}`,
			`{"type":"error","payload":{"code":"rate_limited","reason":"slowly"}}`,
			`{"type":"ack","messageId":"00000000-0000-4000-8000-000000000000","payload":{"success":false}}`,
			`{"type":"joined"}`, `{`, `[]`,
		}
	})
	b := start(t, x.Server, nil)
	b.await("it comes back after a refusal", func(s Status) bool { return s.Reconnects >= 1 })
	if !slices.ContainsFunc(b.shown(), func(r Record) bool {
		return r.Change != nil && strings.Contains(r.Change.Error, "forbidden: the market is closed")
	}) {
		t.Errorf("no record says why it can't subscribe: %v", b.shown())
	}
	x.set(func(x *exchange) { x.refuse = false })
	b.await("it is live", live)
	select {
	case p := <-x.auths:
		if p.Token != "one" {
			t.Errorf("the newer token is %q", p.Token)
		}
	case <-time.After(patience):
		t.Error("no newer token comes")
	}
}

// TestSlowShow has more to tell than is shown: the bot does not wait, and says how much there was not.
func TestSlowShow(t *testing.T) {
	server, err := upstream.Parse("ws://127.0.0.1:1/ws")
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Config{Server: server})
	if err != nil {
		t.Fatal(err)
	}
	for range queued + 5 {
		b.tell(Record{Trade: &Trade{Symbol: "ONE"}})
	}
	if s := b.Status(); s.RecordsMissing != 5 || !strings.Contains(s.String(), "(5 lines not shown)") {
		t.Errorf("%v, want 5 records to be missing", s)
	}
}

func TestMetrics(t *testing.T) {
	x := startExchange(t)
	b := start(t, x.Server, nil)
	registry := prometheus.NewRegistry()
	registry.MustRegister(b)
	b.await("it is live", live)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if n := sum(families, "websocket_client_reconciliations_total", "trigger", "connect"); n != 1 {
		t.Errorf("%d reconciliations are counted, want 1", n)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no server":    {},
		"window":       {Rule: Rule{Window: -1}},
		"edge":         {Rule: Rule{Edge: 1}},
		"no edge":      {Rule: Rule{Edge: -0.1}},
		"lot":          {Rule: Rule{Lot: -1}},
		"audit":        {Audit: -1},
		"expectations": {Expect: -1},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestTransports follows a demo's market over each transport that carries it, cut off once.
func TestTransports(t *testing.T) {
	handler, address := demotest.RunGRPC(t, demo.Config{BatchWindow: window})
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	for _, over := range []transport.Name{transport.SSE, transport.GRPC, transport.SocketIO} {
		b := start(t, server, func(cfg *Config) {
			cfg.Transport, cfg.Server = over, cfg.Server.WithGRPC(address)
		})
		was := b.await("what is held was compared with the truth", func(s Status) bool { return live(s) && s.Compared > 0 })
		b.Reconnect()
		again := b.await("it is live again", func(s Status) bool { return live(s) && s.Reconnects >= 1 && s.Compared > was.Compared })
		if again.Drift != 0 {
			t.Errorf("%s: status is %+v, want no drift", over, again)
		}
		if err := b.stop(); err != nil {
			t.Errorf("%s: ended with %v", over, err)
		}
	}
	target, err := upstream.Parse("ws://127.0.0.1:1/ws")
	if err != nil {
		t.Fatal(err)
	}
	for _, over := range []transport.Name{transport.Poll, transport.GRPC} {
		if _, err := New(Config{Server: target, Transport: over}); err == nil {
			t.Errorf("%s is accepted", over)
		}
	}
}
