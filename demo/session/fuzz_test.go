package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// puppet is a session on a link that does what a fuzzer wants.
type puppet struct {
	*Session
	closed atomic.Bool // by the server
	broken atomic.Bool // writes fail
}

func (p *puppet) Write(f *wire.Frame) (instrument.MessageType, int, error) {
	if p.broken.Load() {
		return instrument.MessageType{}, 0, errors.New("broken")
	}
	return p.observer.TypeOf(f.Type), len(f.Data), nil
}
func (p *puppet) Ping()                                {}
func (p *puppet) Close(instrument.CloseReason, string) { p.closed.Store(true) }
func (p *puppet) Cut()                                 { p.closed.Store(true) }

// stage is a service and the few sessions that a fuzzer plays with.
type stage struct {
	*service
	registry *prometheus.Registry
	puppets  [4]*puppet
}

// users of the puppets: one is there twice, and one has yet to bring a token.
var casting = [4]string{"Ada", "Ada", "Ben", ""}

func (g *stage) open(t *testing.T, i int) *puppet {
	if g.puppets[i] != nil {
		return g.puppets[i]
	}
	p := new(puppet)
	_, h := g.observer.BeginHandshake(t.Context(), instrument.Request{Header: propagation.MapCarrier{}})
	p.Session = g.sessions.Open(g.observer, h.Opened(101), p)
	who, _ := g.authority.Verify(g.token(t, casting[i], time.Hour))
	p.Begin(who)
	g.puppets[i] = p
	return p
}

func (g *stage) end(i int) {
	if p := g.puppets[i]; p != nil {
		p.conn.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal})
		p.End(context.Background())
		g.puppets[i] = nil
	}
}

// frame makes a frame of two bytes of the fuzzer's.
func (g *stage) frame(t *testing.T, what, with byte) []byte {
	room := []string{"lobby", "cellar", "private.ada", ""}[with%4]
	seq := uint64(with / 4)
	types := wire.Types()
	typ := types[int(what)%len(types)]
	payload := map[wire.Type]any{
		wire.TypeAuth:          wire.AuthPayload{Token: g.token(t, casting[with%4], time.Hour)},
		wire.TypeJoin:          wire.JoinPayload{Room: room},
		wire.TypeLeave:         wire.RoomPayload{Room: room},
		wire.TypeMessage:       wire.MessagePayload{Room: room, Text: strings.Repeat("x", int(with/4))},
		wire.TypeTyping:        wire.TypingPayload{Room: room, Typing: with >= 128},
		wire.TypeRead:          wire.ReadPayload{Room: room, Seq: seq},
		wire.TypeHistory:       wire.HistoryRequest{Room: room, After: &seq, Limit: int(with)},
		wire.TypeSubscribe:     wire.StreamPayload{Stream: []string{"market", "dashboard", "", "weather"}[with%4]},
		wire.TypeUnsubscribe:   wire.StreamPayload{Stream: []string{"market", "dashboard", "", "weather"}[with%4]},
		wire.TypeGameInput:     wire.GameInputPayload{X: int(with%4) - 1, Y: -1, Ack: seq},
		wire.TypeDocumentOpen:  wire.DocumentOpenPayload{Document: []string{"notes", "a", "private", ""}[with%4], After: &seq},
		wire.TypeDocumentClose: wire.DocumentClosePayload{Document: "notes"},
		wire.TypeDocumentEdit: wire.DocumentEditPayload{
			Document: "notes", Version: seq, Operations: []wire.DocumentOperation{{Insert: strings.Repeat("x", int(with%4))}},
		},
		wire.TypeDocumentCursor: wire.DocumentCursorPayload{Document: "notes", Version: seq, Start: int(with), End: int(with)},
		wire.TypeNotify:         wire.NotifyPayload{User: casting[with%4], Text: "wake up"},
	}[typ]
	if typ == wire.TypeJoin && with >= 128 {
		payload = wire.JoinPayload{Room: room, After: &seq}
	}
	f, err := wire.NewFrame(typ, fmt.Sprintf("6f1c2b34-0000-4000-8000-0000000000%02x", with/8), payload)
	if err != nil {
		t.Fatal(err)
	}
	return f.Data
}

// play has one thing happen.
func (g *stage) play(t *testing.T, who, what, with byte) {
	i := int(who) % len(g.puppets)
	p := g.open(t, i)
	ctx := p.conn.Context(context.Background())
	switch data := g.frame(t, what, with); {
	case who < 200:
		p.Receive(ctx, data, wire.Decode)
	case who < 210:
		p.Receive(ctx, data[:int(with)*len(data)/256], wire.Decode)
	case who < 220:
		p.Receive(ctx, data, wire.DecodeMessagePack)
	case who < 230:
		p.broken.Store(true)
	case who < 235:
		p.onTime(time.Now().Add(time.Duration(with) * time.Minute / 2)) // its token may end
	case who < 240:
		g.streams.PublishNewest(t.Context(), wire.TypeDashboard, wire.StreamDashboard, wire.DashboardPayload{})
	default:
		g.end(i)
	}
	if p.closed.Load() {
		g.end(i)
	}
}

// gauges returns the gauges of connections and queues that are not 0.
func (g *stage) gauges(t *testing.T) map[string]float64 {
	families, err := g.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		if family.GetType() != dto.MetricType_GAUGE || strings.Contains(family.GetName(), "timestamp") ||
			strings.Contains(family.GetName(), "limit") {
			continue
		}
		for _, m := range family.GetMetric() {
			if v := m.GetGauge().GetValue(); v != 0 {
				got[fmt.Sprint(family.GetName(), m.GetLabel())] = v
			}
		}
	}
	return got
}

// FuzzSessions has a few sessions send anything in any order, break and end: the server stays alive, serves the next
// session, and nothing of them is left.
func FuzzSessions(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 1, 0, 1, 1, 0, 2, 1, 0, 0, 3, 64, 2, 3, 68, 255, 0, 0, 1, 5, 4})            // join, talk, leave
	f.Add([]byte{3, 1, 0, 3, 0, 0, 3, 1, 0, 3, 3, 200, 222, 0, 0, 3, 3, 96, 2, 3, 32})          // token later, a link that breaks
	f.Add([]byte{0, 7, 0, 1, 7, 1, 236, 0, 0, 2, 9, 0, 0, 8, 0, 230, 0, 119, 230, 0, 121})      // streams, expiry
	f.Add([]byte{204, 1, 128, 212, 1, 0, 0, 1, 255, 0, 2, 2, 0, 2, 2, 0, 1, 131, 248, 0, 0, 9}) // garbage, leaving twice
	f.Fuzz(func(t *testing.T, script []byte) {
		script = script[:min(len(script), 300)]
		g := &stage{registry: prometheus.NewRegistry()}
		g.service = newService(t, newLedger(), g.registry, Config{SendQueue: 8, MessagesPerSecond: 1000, MessageBurst: 40})
		for ; len(script) >= 3; script = script[3:] {
			g.play(t, script[0], script[1], script[2])
		}
		for name, v := range g.gauges(t) {
			if v < 0 {
				t.Errorf("%s is %v", name, v)
			}
		}
		for i := range g.puppets {
			g.end(i)
		}
		if diff := cmp.Diff(map[string]float64{}, g.gauges(t)); diff != "" {
			t.Errorf("gauges when all are gone (-want +got):\n%s", diff)
		}
		left := map[string]int{"connections": g.sessions.Len(), "rooms": g.rooms.Len()}
		for _, room := range []string{"lobby", "cellar", "private.ada"} {
			_, n := g.cluster.Users(room, 0)
			left[room] = n
		}
		if diff := cmp.Diff(map[string]int{"connections": 0, "rooms": 0, "lobby": 0, "cellar": 0, "private.ada": 0}, left); diff != "" {
			t.Errorf("what is left (-want +got):\n%s", diff)
		}
		p := g.open(t, 0)
		p.Receive(t.Context(), g.frame(t, 1, 0), wire.Decode)
		if g.rooms.Len() != 1 {
			t.Error("whoever comes next does not get into a room")
		}
		g.end(0)
	})
}
