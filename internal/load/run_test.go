package load

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// chat runs the demo and returns its WebSocket's URL.
func chat(t *testing.T, cfg demo.Config) (address string, server *httptest.Server) {
	t.Helper()
	chat, err := demo.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server = httptest.NewServer(chat.Handler())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := chat.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		server.Client().CloseIdleConnections()
		http.DefaultClient.CloseIdleConnections()
		server.Close()
	})
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/ws", server
}

func run(ctx context.Context, t *testing.T, cfg Config) *Result {
	t.Helper()
	r, err := Run(ctx, cfg, time.Hour, func(Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRunAgainstTheDemo(t *testing.T) {
	url, _ := chat(t, demo.Config{SampleRatio: 1, SpanLimit: 1000, TracerProvider: sdktrace.NewTracerProvider()})
	var seen atomic.Int64
	r, err := Run(t.Context(), Config{URL: url, Connections: 7, Rooms: 3, Rate: 100, Duration: time.Second},
		100*time.Millisecond, func(p Progress) { seen.Store(p.Sent) })
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	// Connections 0, 3 and 6 share a room, and so do 1 and 4, 2 and 5.
	deliveries := int64(0)
	for k := range 100 {
		if k%7%3 == 0 {
			deliveries += 3
		} else {
			deliveries += 2
		}
	}
	if r.Sent != 100 || r.Acked != 100 || r.Delivered != deliveries || r.Interrupted {
		t.Errorf("sent %d, acked %d, delivered %d, want 100, 100, %d", r.Sent, r.Acked, r.Delivered, deliveries)
	}
	if r.Traced != 100 {
		t.Errorf("%d acknowledgements name a trace, want all", r.Traced)
	}
	if r.Seconds < 0.98 || r.AckMS.P50 <= 0 || r.AckMS.Max < r.AckMS.P50 || r.DeliveryMS.Max <= 0 {
		t.Errorf("after %v s: ack %+v, delivery %+v", r.Seconds, r.AckMS, r.DeliveryMS)
	}
	if seen.Load() == 0 {
		t.Error("there was no progress")
	}
	var text bytes.Buffer
	if err := r.Print(&text); err != nil || !strings.Contains(text.String(), "every message was acknowledged once") {
		t.Errorf("printed (%v):\n%s", err, &text)
	}
}

// TestStallShowsInFull has a server that takes twice as long for a message as
// there is between two. Who waited for each answer before the next message
// would see 100 ms; what is due meanwhile waits much longer.
func TestStallShowsInFull(t *testing.T) {
	url, server := chat(t, demo.Config{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/fault/slow_handling", strings.NewReader(`{"strength":100,"duration":"1m"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	r := run(t.Context(), t, Config{URL: url, Connections: 1, Rooms: 1, Rate: 20, Duration: time.Second})
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	if r.AckMS.Max < 900 {
		t.Errorf("the longest answer took %v ms, want 1,000 or so", r.AckMS.Max)
	}
	if r.Seconds > 1.8 {
		t.Errorf("sending took %v s: the server's slowness slowed it down", r.Seconds)
	}
}

func TestStoppedEarly(t *testing.T) {
	url, _ := chat(t, demo.Config{})
	ctx, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer stop()
	r := run(ctx, t, Config{URL: url, Connections: 4, Rooms: 2, Rate: 100, Duration: time.Minute})
	if err := r.Err(); err != nil || !r.Interrupted || r.Sent == 0 || r.Sent > 60 {
		t.Errorf("sent %d, interrupted %t, %v: want a clean result of half a second", r.Sent, r.Interrupted, err)
	}
}

func TestConnectFails(t *testing.T) {
	url, _ := chat(t, demo.Config{ConnectionLimit: 3})
	_, err := Run(t.Context(), Config{URL: url, Connections: 4, Rooms: 1, Rate: 1, Duration: time.Second}, time.Hour, func(Progress) {})
	if err == nil || !strings.Contains(err.Error(), "of 4") || !strings.Contains(err.Error(), "503") {
		t.Errorf("one connection too many: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Config{URL: url, Connections: 1, Rooms: 1, Rate: 1, Duration: time.Second}, time.Hour, func(Progress) {}); err == nil || !strings.Contains(err.Error(), "stopped before") {
		t.Errorf("stopped at once: %v", err)
	}
}

// TestFindsWhatIsWrong runs against servers that each do one thing wrong.
func TestFindsWhatIsWrong(t *testing.T) {
	type server func(write func(wire.Type, string, any), drop func(), id string, n int)
	ack := wire.AckPayload{Success: true}
	for name, tc := range map[string]struct {
		serve server
		wrong func(*Result) int64
		want  int64
	}{
		"no ack of every 2nd": {func(write func(wire.Type, string, any), _ func(), id string, n int) {
			if n%2 == 0 {
				write(wire.TypeAck, id, ack)
			}
			write(wire.TypeMessage, id, nil)
		}, func(r *Result) int64 { return r.LostAcks }, 5},
		"ack twice": {func(write func(wire.Type, string, any), _ func(), id string, _ int) {
			write(wire.TypeAck, id, ack)
			write(wire.TypeMessage, id, nil)
			write(wire.TypeAck, id, ack)
		}, func(r *Result) int64 { return r.AckedTwice }, 10},
		"no delivery of the first": {func(write func(wire.Type, string, any), _ func(), id string, n int) {
			write(wire.TypeAck, id, ack)
			if n > 0 {
				write(wire.TypeMessage, id, nil)
			}
		}, func(r *Result) int64 { return r.LostDeliveries }, 1},
		"delivery twice": {func(write func(wire.Type, string, any), _ func(), id string, _ int) {
			write(wire.TypeMessage, id, nil)
			write(wire.TypeAck, id, ack)
			write(wire.TypeMessage, id, nil)
		}, func(r *Result) int64 { return r.DeliveredTwice }, 10},
		"refusal": {func(write func(wire.Type, string, any), _ func(), id string, _ int) {
			write(wire.TypeAck, id, wire.AckPayload{Error: wire.CodeNotInRoom})
		}, func(r *Result) int64 { return r.Refused }, 10},
		"error": {func(write func(wire.Type, string, any), _ func(), id string, _ int) {
			write(wire.TypeError, id, wire.ErrorPayload{Code: wire.CodeBadJSON})
		}, func(r *Result) int64 { return r.Refused }, 10},
		"somebody else's message": {func(write func(wire.Type, string, any), _ func(), id string, _ int) {
			write(wire.TypeMessage, "", nil)
			write(wire.TypeAck, id, ack)
			write(wire.TypeMessage, id, nil)
		}, func(r *Result) int64 { return r.Unexpected }, 10},
		"connection lost": {func(write func(wire.Type, string, any), drop func(), id string, n int) {
			write(wire.TypeAck, id, ack)
			write(wire.TypeMessage, id, nil)
			if n == 4 {
				drop()
			}
		}, func(r *Result) int64 { return r.EndedEarly }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := wrongServer(t, tc.serve)
			r := run(t.Context(), t, Config{URL: url, Connections: 1, Rooms: 1, Rate: 100, Duration: 100 * time.Millisecond})
			if r.Err() == nil || tc.wrong(r) != tc.want {
				t.Errorf("counted %d, want %d: %+v", tc.wrong(r), tc.want, r)
			}
			if r.Sent+r.Skipped != 10 {
				t.Errorf("%d sent and %d skipped of 10", r.Sent, r.Skipped)
			}
		})
	}
}

// wrongServer lets everybody join and leaves the answers to the messages to
// serve; n counts them.
func wrongServer(t *testing.T, serve func(write func(wire.Type, string, any), drop func(), id string, n int)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		ctx := context.Background()
		write := func(typ wire.Type, id string, payload any) {
			f, err := wire.NewFrame(typ, id, payload)
			if err != nil {
				t.Error(err)
			}
			_ = conn.Write(ctx, websocket.MessageText, f.Data) // the peer may have gone
		}
		for n := -1; ; n++ {
			_, data, err := conn.Read(ctx)
			if err != nil {
				return
			}
			var env wire.Envelope
			if err := json.Unmarshal(data, &env); err != nil {
				t.Error(err)
				return
			}
			if n < 0 {
				write(wire.TypeAck, env.MessageID, wire.AckPayload{Success: true})
				continue
			}
			serve(write, func() { _ = conn.CloseNow() }, env.MessageID, n)
		}
	}))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		server.Close()
	})
	return "ws" + strings.TrimPrefix(server.URL, "http")
}
