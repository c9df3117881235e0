package bot

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/demotest"
	"github.com/sockscope/sockscope/demo/use/market"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/upstream"
)

const (
	// patience bounds every wait of these tests.
	patience = 20 * time.Second
	// window is how often the markets of these tests publish.
	window = 100 * time.Millisecond
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startDemo runs a demo.
func startDemo(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(demotest.Run(t, demo.Config{BatchWindow: window}))
	t.Cleanup(server.Close)
	return server
}

// exchange is a server that has the demo's market, but does with it what the test wants.
type exchange struct {
	*httptest.Server
	market *market.Market
	auths  chan wire.AuthPayload // tokens that came while connected

	mu       sync.Mutex
	publish  func(market.Batch) []market.Batch // nil: as it is
	refuse   bool                              // subscriptions
	snapshot bool                              // answers
	frames   []string                          // to send to who subscribes, before the answer
	conns    map[*websocket.Conn]bool          // that have subscribed
}

func startExchange(t *testing.T) *exchange {
	t.Helper()
	m, err := market.New(market.Config{Interval: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	x := &exchange{market: m, snapshot: true, conns: map[*websocket.Conn]bool{}, auths: make(chan wire.AuthPayload, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth/token", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"token":"one"}`)) })
	mux.HandleFunc("GET /api/market", func(w http.ResponseWriter, r *http.Request) {
		x.mu.Lock()
		answers := x.snapshot
		x.mu.Unlock()
		if !answers {
			http.Error(w, "no snapshot today", http.StatusInternalServerError)
			return
		}
		m.Handler().ServeHTTP(w, r)
	})
	mux.HandleFunc("/ws", x.serve)
	x.Server = httptest.NewServer(mux)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx, window, x.send) })
	t.Cleanup(func() { stop(); running.Wait(); x.Close() })
	return x
}

// set changes what the exchange does.
func (x *exchange) set(change func(*exchange)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	change(x)
}

func (x *exchange) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	defer x.set(func(x *exchange) { delete(x.conns, conn) })
	for {
		_, data, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		env, err := wire.Decode(data)
		if err != nil {
			return
		}
		x.receive(r.Context(), conn, env)
	}
}

func (x *exchange) receive(ctx context.Context, conn *websocket.Conn, env wire.Envelope) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch env.Type {
	case wire.TypeSubscribe:
		ack := wire.AckPayload{Success: !x.refuse}
		if x.refuse {
			ack.Error, ack.Reason = wire.CodeForbidden, "the market is closed"
		}
		for _, frame := range x.frames {
			_ = conn.Write(ctx, websocket.MessageText, []byte(frame))
		}
		x.write(ctx, conn, wire.TypeAck, env.MessageID, ack)
		x.conns[conn] = !x.refuse
	case wire.TypeAuth:
		if p, err := env.Auth(); err == nil {
			x.auths <- p
		}
	}
}

func (x *exchange) write(ctx context.Context, conn *websocket.Conn, typ wire.Type, id string, payload any) {
	if f, err := wire.NewFrame(typ, id, payload); err == nil {
		_ = conn.Write(ctx, websocket.MessageText, f.Data) // who is gone will come back
	}
}

func (x *exchange) send(b market.Batch) {
	x.mu.Lock()
	defer x.mu.Unlock()
	batches := []market.Batch{b}
	if x.publish != nil {
		batches = x.publish(b)
	}
	for conn, subscribed := range x.conns {
		if !subscribed {
			continue
		}
		for _, b := range batches {
			x.write(context.Background(), conn, wire.TypeTicks, "", b)
		}
	}
}

// spoil has something done to every second batch.
func (x *exchange) spoil(publish func(market.Batch) []market.Batch) {
	odd := false
	x.set(func(x *exchange) {
		x.publish = func(b market.Batch) []market.Batch {
			if odd = !odd; odd {
				return publish(b)
			}
			return []market.Batch{b}
		}
	})
}

// running is a Bot that runs.
type running struct {
	*Bot
	t    *testing.T
	stop func() error

	mu      sync.Mutex
	records []Record
}

// start runs a bot at a server until the test ends.
func start(t *testing.T, server *httptest.Server, change func(*Config)) *running {
	t.Helper()
	cfg := Config{Audit: 200 * time.Millisecond}
	var err error
	if cfg.Server, err = upstream.Parse(strings.Replace(server.URL, "http", "ws", 1)); err != nil {
		t.Fatal(err)
	}
	if cfg.Tokens, err = upstream.TokensFrom(""); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&cfg)
	}
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Bot: b, t: t}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- b.Run(ctx, 50*time.Millisecond, func(rec Record) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.records = append(r.records, rec)
		})
	}()
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("the bot ended with %v", err)
		}
	})
	return r
}

// shown returns the records so far.
func (r *running) shown() []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Record(nil), r.records...)
}

// await waits until the status is as wanted.
func (r *running) await(what string, holds func(Status) bool) Status {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		s := r.Status()
		if holds(s) {
			return s
		}
		if time.Now().After(deadline) {
			text, _ := json.Marshal(r.shown())
			r.t.Fatalf("it never comes to be that %s: %+v after %s", what, s, text)
		}
	}
}

func live(s Status) bool { return s.State == "live" }
