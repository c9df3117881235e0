package load

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/use/market"
	"github.com/sockscope/sockscope/demo/wire"
)

// conversation is a connection of a server that does something wrong.
type conversation struct {
	t    *testing.T
	conn *websocket.Conn
	n    int // messages of the client so far
}

func (c *conversation) write(typ wire.Type, id string, seq uint64, payload any) (failed error) {
	env, err := wire.New(typ, id, payload)
	if err != nil {
		c.t.Error(err)
	}
	env.Seq = seq
	f, err := env.Frame()
	if err != nil {
		c.t.Error(err)
	}
	return c.conn.Write(c.t.Context(), websocket.MessageText, f.Data) // the peer may have gone
}

// ack answers a message with the sequence number that it has if all goes well.
func (c *conversation) ack(id string) {
	_ = c.write(wire.TypeAck, id, 0, wire.AckPayload{Success: true, Seq: uint64(c.n)})
}

func (c *conversation) deliver(id string, seq int) {
	_ = c.write(wire.TypeMessage, id, uint64(seq), nil)
}

// wrongServer welcomes every client, lets it join and subscribe, and leaves everything else to serve. A frame that is
// not an envelope arrives there as an empty envelope.
func wrongServer(t *testing.T, serve func(c *conversation, id string)) string {
	t.Helper()
	return refusingServer(t, func(*conversation, string) bool { return false }, serve)
}

// refusingServer is a wrongServer that lets join only who is not refused.
func refusingServer(t *testing.T, refuse func(c *conversation, id string) bool, serve func(c *conversation, id string)) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth/token", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"token":"x"}`))
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(1 << 20)
		c := &conversation{t: t, conn: conn}
		_ = c.write(wire.TypeWelcome, "", 0, wire.WelcomePayload{})
		for {
			_, data, err := conn.Read(t.Context())
			if err != nil {
				return
			}
			var env wire.Envelope
			_ = json.Unmarshal(data, &env)
			switch env.Type {
			case wire.TypeJoin:
				if refuse(c, env.MessageID) {
					continue
				}
				var p wire.JoinPayload
				_ = json.Unmarshal(env.Payload, &p)
				seq := uint64(0)
				if p.After != nil {
					seq = *p.After
				}
				_ = c.write(wire.TypeAck, env.MessageID, 0, wire.AckPayload{Success: true, Seq: seq})
			case wire.TypeSubscribe:
				_ = c.write(wire.TypeAck, env.MessageID, 0, wire.AckPayload{Success: true})
				serve(c, "")
			default:
				c.n++
				serve(c, env.MessageID)
			}
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return socketURL(server)
}

// faults are what is wrong with a result, by name.
func faults(r *Result) map[string]int64 {
	wrong := map[string]int64{}
	for _, f := range r.faults() {
		if f.n > 0 {
			wrong[f.what] = f.n
		}
	}
	return wrong
}

// TestFindsWhatIsWrong runs against servers that each do one thing wrong with ten messages.
func TestFindsWhatIsWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		serve func(c *conversation, id string)
		want  map[string]int64
	}{
		"nothing": {func(c *conversation, id string) {
			c.ack(id)
			c.deliver(id, c.n)
		}, map[string]int64{}},
		"no ack of every 2nd": {func(c *conversation, id string) {
			if c.n%2 == 0 {
				c.ack(id)
			}
			c.deliver(id, c.n)
		}, map[string]int64{"acknowledgements missing": 5}},
		"no ack, but an error that answers nothing": {func(c *conversation, id string) {
			c.deliver(id, c.n)
			_ = c.write(wire.TypeError, "", 0, wire.ErrorPayload{Code: wire.CodeBadJSON})
		}, map[string]int64{"acknowledgements missing": 10, "unexpected frames": 10}},
		"ack, and an error": {func(c *conversation, id string) {
			c.ack(id)
			c.deliver(id, c.n)
			_ = c.write(wire.TypeError, id, 0, wire.ErrorPayload{Code: wire.CodeRateLimited})
		}, map[string]int64{"acknowledged twice": 10}},
		"ack twice": {func(c *conversation, id string) {
			c.ack(id)
			c.deliver(id, c.n)
			c.ack(id)
		}, map[string]int64{"acknowledged twice": 10}},
		"ack without a number": {func(c *conversation, id string) {
			_ = c.write(wire.TypeAck, id, 0, wire.AckPayload{Success: true})
			c.deliver(id, c.n)
		}, map[string]int64{"acknowledgements missing": 10, "unexpected frames": 10}},
		"ack of another message": {func(c *conversation, id string) {
			c.ack(id)
			c.deliver(id, c.n)
			c.ack("")
		}, map[string]int64{"unexpected frames": 10}},
		"no delivery of the first": {func(c *conversation, id string) {
			c.ack(id)
			if c.n > 1 {
				c.deliver(id, c.n)
			}
		}, map[string]int64{"deliveries missing": 1}},
		"no delivery of the last": {func(c *conversation, id string) {
			c.ack(id)
			if c.n < 10 {
				c.deliver(id, c.n)
			}
		}, map[string]int64{"deliveries missing": 1}},
		"no delivery at all": {func(c *conversation, id string) { c.ack(id) }, map[string]int64{"deliveries missing": 10}},
		"delivery twice": {func(c *conversation, id string) {
			c.deliver(id, c.n)
			c.ack(id)
			c.deliver(id, c.n)
		}, map[string]int64{"delivered twice": 10}},
		"delivery without a number": {func(c *conversation, id string) {
			c.ack(id)
			c.deliver(id, 0)
		}, map[string]int64{"unexpected frames": 10, "deliveries missing": 10}},
		"other number than acknowledged": {func(c *conversation, id string) {
			c.ack(id)
			c.deliver(id, c.n+1)
		}, map[string]int64{"unexpected frames": 10, "deliveries missing": 1}},
		"refusal": {func(c *conversation, id string) {
			_ = c.write(wire.TypeAck, id, 0, wire.AckPayload{Error: wire.CodeNotInRoom})
		}, map[string]int64{"messages refused": 10}},
		"error": {func(c *conversation, id string) {
			_ = c.write(wire.TypeError, id, 0, wire.ErrorPayload{Code: wire.CodeRateLimited})
		}, map[string]int64{"messages refused": 10}},
		"somebody else's message": {func(c *conversation, id string) {
			c.deliver("", c.n)
			c.ack(id)
			c.deliver(id, c.n)
		}, map[string]int64{"unexpected frames": 10}},
		"unknown type": {func(c *conversation, id string) {
			_ = c.write("shout", "", 0, nil)
			c.ack(id)
			c.deliver(id, c.n)
		}, map[string]int64{"unexpected frames": 10}},
		"history that nobody asked for": {func(c *conversation, id string) {
			_ = c.write(wire.TypeHistory, "", 0, wire.HistoryPayload{Room: "elsewhere"})
			c.ack(id)
			c.deliver(id, c.n)
		}, map[string]int64{"unexpected frames": 10}},
		"frame that is no JSON": {func(c *conversation, id string) {
			_ = c.conn.Write(c.t.Context(), websocket.MessageText, []byte("hello"))
			c.ack(id)
			c.deliver(id, c.n)
		}, map[string]int64{"unexpected frames": 10}},
		"ticks that nobody asked for": {func(c *conversation, id string) {
			_ = c.write(wire.TypeTicks, "", 0, batch(1))
			c.ack(id)
			c.deliver(id, c.n)
		}, map[string]int64{"unexpected frames": 10}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runLoad(t.Context(), t, Config{
				patience: time.Second, URLs: []string{wrongServer(t, tc.serve)}, Scenario: chat(1, 1, 100, 100*time.Millisecond),
			})
			if diff := cmp.Diff(tc.want, faults(r)); diff != "" {
				t.Errorf("what is wrong (-want +got):\n%s\n%v", diff, r.Reasons)
			}
			if (r.Err() == nil) != (len(tc.want) == 0) {
				t.Errorf("the error is %v", r.Err())
			}
			if r.Sent != 10 {
				t.Errorf("%d sent, want 10", r.Sent)
			}
		})
	}
}

// TestOutOfOrder has every second message delivered after the next.
func TestOutOfOrder(t *testing.T) {
	before := ""
	url := wrongServer(t, func(c *conversation, id string) {
		c.ack(id)
		if c.n%2 == 0 {
			c.deliver(id, c.n)
			c.deliver(before, c.n-1)
		}
		before = id
	})
	r := runLoad(t.Context(), t, Config{patience: time.Second, URLs: []string{url}, Scenario: chat(1, 1, 100, 100*time.Millisecond)})
	if diff := cmp.Diff(map[string]int64{"delivered out of order": 5}, faults(r)); diff != "" {
		t.Errorf("what is wrong (-want +got):\n%s", diff)
	}
}

// TestSentAgain has a server that cuts a connection instead of an answer: the message has to come again, with the same
// id, on the next connection.
func TestSentAgain(t *testing.T) {
	var mu sync.Mutex
	var ids []string
	url := wrongServer(t, func(c *conversation, id string) {
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, id)
		if len(ids) == 5 {
			_ = c.conn.CloseNow()
			return
		}
		c.n = len(ids)
		if c.n > 5 {
			c.n--
		}
		c.ack(id)
		c.deliver(id, c.n)
	})
	r := runLoad(t.Context(), t, Config{patience: time.Second, URLs: []string{url}, Scenario: chat(1, 1, 100, 100*time.Millisecond)})
	if diff := cmp.Diff(map[string]int64{"connections ended early": 1}, faults(r)); diff != "" {
		t.Errorf("what is wrong (-want +got):\n%s", diff)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ids) != 11 || ids[4] != ids[5] || r.Sent != 10 || r.Acked != 10 || r.Connected != 2 {
		t.Errorf("the server got %d messages (%q): %+v", len(ids), ids, r)
	}
}

// TestJoinsAgain has peers that are cut off, and refused what they ask for when they come back: each has to go on
// asking, and then sends what it could not meanwhile.
func TestJoinsAgain(t *testing.T) {
	for name, refuse := range map[string]func(c *conversation, id string){
		"by an ack": func(c *conversation, id string) {
			_ = c.write(wire.TypeAck, id, 0, wire.AckPayload{Error: wire.CodeUnavailable})
		},
		"by an error": func(c *conversation, id string) {
			_ = c.write(wire.TypeError, id, 0, wire.ErrorPayload{Code: wire.CodeUnavailable})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var joins, seq atomic.Int64
			url := refusingServer(t, func(c *conversation, id string) bool {
				n := joins.Add(1)
				if n > 1 && n <= 4 {
					refuse(c, id)
				}
				return n > 1 && n <= 4
			}, func(c *conversation, id string) {
				c.n = int(seq.Add(1))
				c.ack(id)
				c.deliver(id, c.n)
				if c.n == 5 {
					_ = c.conn.Close(websocket.StatusServiceRestart, "")
				}
			})
			r := runLoad(t.Context(), t, Config{URLs: []string{url}, Scenario: chat(1, 1, 100, 100*time.Millisecond)})
			want := map[string]int64{"requests refused": 3, "connections ended early": 1}
			if diff := cmp.Diff(want, faults(r)); diff != "" {
				t.Errorf("what is wrong (-want +got):\n%s\n%v", diff, r.Reasons)
			}
			if r.Connected != 2 || r.Acked != 10 || r.Delivered != 10 || r.Reasons["joining refused: unavailable"] != 3 {
				t.Errorf("%d connected, of 10 %d acknowledged and %d delivered: %v", r.Connected, r.Acked, r.Delivered, r.Reasons)
			}
		})
	}
}

// TestGivesUpSilence has a peer that is cut off and gets no answer when it joins again: it has to try another
// connection.
func TestGivesUpSilence(t *testing.T) {
	var joins, seq atomic.Int64
	url := refusingServer(t, func(*conversation, string) bool { return joins.Add(1) == 2 }, func(c *conversation, id string) {
		c.n = int(seq.Add(1))
		c.ack(id)
		c.deliver(id, c.n)
		if c.n == 5 {
			_ = c.conn.Close(websocket.StatusServiceRestart, "")
		}
	})
	r := runLoad(t.Context(), t, Config{patience: time.Second, URLs: []string{url}, Scenario: chat(1, 1, 10, 4*time.Second)})
	want := map[string]int64{"connections ended early": 1, "connections failed": 1}
	if diff := cmp.Diff(want, faults(r)); diff != "" {
		t.Errorf("what is wrong (-want +got):\n%s\n%v", diff, r.Reasons)
	}
	if r.Connected != 3 || r.Acked != 40 || r.Delivered != 40 || r.Reasons["no answer to joining in time"] != 1 {
		t.Errorf("%d connected, of 40 %d acknowledged and %d delivered: %v", r.Connected, r.Acked, r.Delivered, r.Reasons)
	}
}

// TestEndsBesideTheMarket has a server that acknowledges nothing and goes on with its ticks for ever: the load has to
// give up what does not come.
func TestEndsBesideTheMarket(t *testing.T) {
	url := wrongServer(t, func(c *conversation, _ string) {
		for seq := uint64(1); c.write(wire.TypeTicks, "", 0, batch(seq)) == nil; seq++ {
			time.Sleep(50 * time.Millisecond)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	scenario := chat(1, 1, 100, 100*time.Millisecond)
	scenario.Groups = append(scenario.Groups, Group{Name: "watchers", Does: Feed, Connections: 1})
	r := runLoad(ctx, t, Config{patience: time.Second, URLs: []string{url}, Scenario: scenario})
	if r.Interrupted || ctx.Err() != nil || r.LostAcks != 10 {
		t.Errorf("the load had to be ended (%v) or has lost other than 10 acknowledgements: %+v", ctx.Err(), r)
	}
}

// batch is one tick of two symbols.
func batch(seq uint64) market.Batch {
	return market.Batch{FirstSeq: seq, LastSeq: seq, Ticks: []market.Tick{{Seq: seq}, {Seq: seq}}}
}

func TestFeedFindsWhatIsWrong(t *testing.T) {
	skipping := batch(5)
	skipping.Skipped = 2
	torn := batch(3)
	torn.Ticks = torn.Ticks[:1]
	torn.LastSeq++
	for name, tc := range map[string]struct {
		batches []market.Batch
		want    map[string]int64
	}{
		"nothing":            {[]market.Batch{batch(1), batch(2), skipping}, map[string]int64{}},
		"no batch":           {nil, map[string]int64{"unexpected frames": 1}},
		"ticks missing":      {[]market.Batch{batch(1), batch(5)}, map[string]int64{"ticks missing": 3}},
		"batch twice":        {[]market.Batch{batch(1), batch(2), batch(2)}, map[string]int64{"batches of ticks twice or out of order": 1}},
		"batch out of turn":  {[]market.Batch{batch(1), batch(3), batch(2)}, map[string]int64{"ticks missing": 1, "batches of ticks twice or out of order": 1}},
		"batch that is torn": {[]market.Batch{batch(1), batch(2), torn}, map[string]int64{"unexpected frames": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := wrongServer(t, func(c *conversation, _ string) {
				for _, b := range tc.batches {
					_ = c.write(wire.TypeTicks, "", 0, b)
				}
			})
			r := runLoad(t.Context(), t, Config{patience: time.Second, URLs: []string{url}, Scenario: Scenario{
				Duration: 300 * time.Millisecond, Groups: []Group{{Name: "watchers", Does: Feed, Connections: 1}},
			}})
			if diff := cmp.Diff(tc.want, faults(r)); diff != "" {
				t.Errorf("what is wrong (-want +got):\n%s\n%v", diff, r.Reasons)
			}
		})
	}
}

// TestProvocationsAccepted runs against servers that take what they have to refuse.
func TestProvocationsAccepted(t *testing.T) {
	accept := func(c *conversation, id string) { c.ack(id) }
	end := func(c *conversation, _ string) { _ = c.conn.Close(websocket.StatusGoingAway, "") }
	for name, tc := range map[string]struct {
		does  Behaviour
		serve func(*conversation, string)
		want  map[string]int64
	}{
		"malformed accepted":   {Malformed, accept, map[string]int64{"provocations not refused": 1, "unexpected frames": 1}},
		"malformed unanswered": {Malformed, func(*conversation, string) {}, map[string]int64{"provocations not refused": 1}},
		"oversize for 1001":    {Oversize, end, map[string]int64{"provocations not refused": 1, "unexpected frames": 1}},
		"oversize answered":    {Oversize, accept, map[string]int64{"provocations not refused": 1, "unexpected frames": 1}},
		"bad token let in":     {BadToken, accept, map[string]int64{"provocations not refused": 1, "unexpected frames": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := Group{Name: "bad", Does: tc.does, Connections: 1, Rate: 10}
			if tc.does == BadToken {
				g.Connections = 0
			}
			r := runLoad(t.Context(), t, Config{patience: time.Second, URLs: []string{wrongServer(t, tc.serve)},
				Scenario: Scenario{Duration: 100 * time.Millisecond, Groups: []Group{g}}})
			if diff := cmp.Diff(tc.want, faults(r)); diff != "" {
				t.Errorf("what is wrong (-want +got):\n%s\n%v", diff, r.Reasons)
			}
		})
	}
}
