package demo

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/outbox"
	"github.com/sockscope/sockscope/demo/wire"
)

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// TestConnectionsPerAddress counts by where clients are, as far as a proxy that says so is trusted.
func TestConnectionsPerAddress(t *testing.T) {
	t.Parallel()
	type try struct {
		forwarded string
		want      int
	}
	for name, tc := range map[string]struct {
		trusted []netip.Prefix
		tries   []try
	}{
		"through a proxy": {prefixes("127.0.0.1/32"), []try{
			{"203.0.113.1", http.StatusSwitchingProtocols},
			{"203.0.113.1", http.StatusTooManyRequests},
			{"198.51.100.9, 203.0.113.1", http.StatusTooManyRequests},
			{"203.0.113.2", http.StatusSwitchingProtocols},
		}},
		"through nobody's": {nil, []try{
			{"203.0.113.1", http.StatusSwitchingProtocols},
			{"203.0.113.2", http.StatusTooManyRequests},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, Config{Limits: Limits{ConnectionsPerAddress: 1, TrustedProxies: tc.trusted}})
			want := map[string]float64{}
			var first *client
			for _, try := range tc.tries {
				header := bearer(f.token("Ada"))
				header.Set("X-Forwarded-For", try.forwarded)
				c, resp, err := f.connect(&websocket.DialOptions{HTTPHeader: header})
				if resp == nil || resp.StatusCode != try.want {
					t.Fatalf("from %s: %v (%v), want %d", try.forwarded, resp, err, try.want)
				}
				status := "connections_total connected"
				if err != nil {
					status = "connections_total rate_limited"
					if resp.Header.Get("Retry-After") == "" {
						t.Error("a refused client is not told when to try again")
					}
					if got := f.getEvents("Ada", nil, http.Header{"X-Forwarded-For": {try.forwarded}}); got.StatusCode != try.want {
						t.Errorf("events from %s: %s, want %d", try.forwarded, got.Status, try.want)
					}
					want["sse_connections_total rate_limited"]++
				}
				want[status]++
				if first == nil {
					first = c
				}
			}
			f.awaitMetrics(want, "websocket_connections_total", "sse_connections_total")

			_ = first.conn.CloseNow()
			n := int(want["connections_total connected"])
			f.eventually(func() bool { return f.chat.sessions.Len() == n-1 }, func() string { return "the connection stays" })
			f.eventually(func() bool { // it leaves its place a moment after the list
				header := bearer(f.token("Ada"))
				header.Set("X-Forwarded-For", tc.tries[0].forwarded)
				_, _, err := f.connect(&websocket.DialOptions{HTTPHeader: header})
				return err == nil
			}, func() string { return "there is no place again" })
		})
	}
}

// TestMessageRate has clients that send more than they may: what is too much is refused, and who goes on is closed,
// whether what they send can be read or not.
func TestMessageRate(t *testing.T) {
	t.Parallel()
	const burst = 5
	for name, data := range map[string]func(id string) []byte{
		"pings": func(id string) []byte {
			f, _ := wire.NewFrame(wire.TypePing, id, nil)
			return f.Data
		},
		"malformed": func(string) []byte { return []byte("{") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, Config{Limits: Limits{MessagesPerSecond: 0.01, MessageBurst: burst}})
			c := f.dial("Ada")
			for range burst {
				c.write(websocket.MessageText, data(uuid.NewString()))
				if env, err := c.read(); err != nil || payloadOf[wire.ErrorPayload](t, env).Code == wire.CodeRateLimited {
					t.Fatalf("refused within the burst: %s %v", env.Payload, err)
				}
			}
			var ended error
			refused := 0
			for ; refused <= burst; refused++ { // one more is too many
				id := uuid.NewString()
				c.write(websocket.MessageText, data(id))
				env, err := c.read()
				if err != nil {
					ended = err // it has overtaken the last answer
					break
				}
				if p := payloadOf[wire.ErrorPayload](t, env); env.Type != wire.TypeError || p.Code != wire.CodeRateLimited ||
					name == "pings" && env.MessageID != id {
					t.Fatalf("got %s %s for %s, want %s", env.Type, env.Payload, id, wire.CodeRateLimited)
				}
			}
			if ended == nil {
				ended = c.ended()
			}
			if refused < burst || websocket.CloseStatus(ended) != websocket.StatusPolicyViolation {
				t.Errorf("ended by %v after %d refusals, want 1008", ended, refused)
			}
			want := map[string]float64{"disconnections_total local policy": 1} // nothing that was to be sent is dropped
			if name == "malformed" {
				want["errors_total decode"] = burst
			}
			f.eventually(func() bool { return f.chat.sessions.Len() == 0 }, func() string { return "the connection stays" })
			got := f.metrics("websocket_messages_dropped_total", "websocket_disconnections_total", "websocket_errors_total",
				"websocket_active_connections")
			delete(got, "messages_dropped_total closed") // the last answer may come too late
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("metrics %v, want %v", got, want)
			}
		})
	}
}

// TestFlood sends a lot faster than allowed while some of it is let through: that does not keep it from being closed.
func TestFlood(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{MessagesPerSecond: 100, MessageBurst: 20, SendQueue: 10_000}})
	c := f.dial("Ada")
	ping, err := wire.NewFrame(wire.TypePing, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	reading := make(chan error, 1)
	go func() { reading <- c.ended() }()
	for deadline := time.Now().Add(patience); ; {
		if err := c.conn.Write(t.Context(), websocket.MessageText, ping.Data); err != nil {
			break // the server has had enough
		}
		if time.Now().After(deadline) {
			t.Fatal("is never closed")
		}
	}
	<-reading
	f.awaitMetrics(map[string]float64{"disconnections_total local policy": 1},
		"websocket_disconnections_total", "websocket_active_connections")
}

// TestHoarder asks for history again and again and reads none of it: it is closed before much of that waits, however
// few frames it is.
func TestHoarder(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{MessagesPerSecond: 1e6}})
	for i := range wire.MaxHistory {
		m := history.Message{Room: "lobby", ID: fmt.Sprint(i), From: "Eve", Text: strings.Repeat("x", wire.MaxTextBytes)}
		if _, _, err := f.chat.history.Append(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	hoarder := f.dial("hoarder")
	hoarder.join("lobby")
	request, err := wire.NewFrame(wire.TypeHistory, "", wire.HistoryRequest{Room: "lobby"})
	if err != nil {
		t.Fatal(err)
	}
	most := 0.0
	f.eventually(func() bool {
		if hoarder.conn.Write(t.Context(), websocket.MessageText, request.Data) != nil {
			return f.metrics("websocket_disconnections_total")["disconnections_total local slow_consumer"] == 1
		}
		most = max(most, f.metrics("websocket_send_queue_messages")["send_queue_messages"])
		return false
	}, func() string { return fmt.Sprintf("the hoarder stays, while %v frames wait", most) })
	// Each piece of history is followed by a small acknowledgement.
	if limit := 2.0 * (1 + 256*wire.MaxFrameBytes/(wire.MaxHistory*wire.MaxTextBytes)); most > limit {
		t.Errorf("%v frames have waited, want %v at most", most, limit)
	}
}

// TestDropOldest has a client that reads nothing lose what is oldest instead of its connection.
func TestDropOldest(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{SendQueue: 4, SendPolicy: outbox.DropOldest, MessagesPerSecond: 1e6}})
	slow, quick := f.dial("slow"), f.dial("quick")
	slow.join("lobby")
	quick.join("lobby")
	text := strings.Repeat("x", wire.MaxTextBytes)
	var last uint64
	f.eventually(func() bool {
		for range 50 {
			quick.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: text})
			env, _ := await[wire.MessagePayload](quick, wire.TypeMessage)
			last = env.Seq
		}
		return f.metrics("websocket_messages_dropped_total")["messages_dropped_total queue_full"] > 10
	}, func() string { return "nothing is dropped" })
	var seqs, gaps, before uint64
	for before < last {
		env, _ := await[wire.MessagePayload](slow, wire.TypeMessage)
		if env.Seq <= before {
			t.Fatalf("%d comes after %d", env.Seq, before)
		}
		if env.Seq > before+1 {
			gaps++
		}
		before = env.Seq
		seqs++
	}
	if gaps == 0 || seqs == last {
		t.Errorf("%d messages of %d with %d gaps, want some to be missing", seqs, last, gaps)
	}
	f.awaitMetrics(map[string]float64{"active_connections": 2, "messages_dropped_total queue_full": float64(last - seqs)},
		"websocket_active_connections", "websocket_disconnections_total", "websocket_messages_dropped_total", "websocket_send_queue_messages")
}

// TestCoalesce has a client that reads nothing for a while find only the newest of the dashboard, and every message.
func TestCoalesce(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{SendQueue: 10_000, SendPolicy: outbox.Coalesce, MessagesPerSecond: 1e6}})
	slow, quick := f.dial("slow"), f.dial("quick")
	slow.join("lobby")
	if ack := slow.request(wire.TypeSubscribe, wire.StreamPayload{Stream: wire.StreamDashboard}); !ack.Success {
		t.Fatalf("subscribe: %+v", ack)
	}
	quick.join("lobby")
	text := strings.Repeat("x", wire.MaxTextBytes)
	var last uint64
	say := func() {
		quick.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: text})
		env, _ := await[wire.MessagePayload](quick, wire.TypeMessage)
		last = env.Seq
	}
	f.clog("websocket_send_queue_messages", say)
	const published = 20
	for n := range published {
		f.chat.streams.PublishNewest(t.Context(), wire.TypeDashboard, wire.StreamDashboard, wire.DashboardPayload{Node: "test", Rooms: n + 1})
	}
	say()
	dropped := f.metrics("websocket_messages_dropped_total")
	if n := dropped["messages_dropped_total superseded"]; n < published-1 || len(dropped) != 1 {
		t.Errorf("dropped %v, want %d or a few more, all superseded", dropped, published-1)
	}
	var seen []int
	for seq := uint64(1); seq <= last; {
		env, err := slow.read()
		if err != nil {
			t.Fatalf("before message %d: %v", seq, err)
		}
		switch env.Type {
		case wire.TypeMessage:
			if env.Seq != seq {
				t.Fatalf("message %d comes when %d is due", env.Seq, seq)
			}
			seq++
		case wire.TypeDashboard:
			if p := payloadOf[wire.DashboardPayload](t, env); p.Node == "test" {
				seen = append(seen, p.Rooms)
			}
		}
	}
	if len(seen) > 1 || len(seen) == 1 && seen[0] != published {
		t.Errorf("of %d dashboards these come: %v, want the newest alone", published, seen)
	}
}

func TestIdle(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Heartbeat: 500 * time.Millisecond, Limits: Limits{Idle: 2 * time.Second}})
	busy, idle := f.dial("busy"), f.dial("idle")
	ended := make(chan error, 1)
	go func() { ended <- idle.ended() }() // it answers pings all the time
	for closed := false; !closed; {
		busy.heard()
		select {
		case err := <-ended:
			closed = true
			if websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("ended by %v, want 1001", err)
			}
		case <-time.After(20 * time.Millisecond):
		}
	}
	busy.heard()
	f.awaitMetrics(map[string]float64{"disconnections_total local idle_timeout": 1, "active_connections": 1},
		"websocket_disconnections_total", "websocket_active_connections", "websocket_errors_total")
}
