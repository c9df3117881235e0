package load

import (
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/transport"
)

// lonely returns the first peer of a run without a network, which has begun.
func lonely(t testing.TB, scenario Scenario) *peer {
	t.Helper()
	cfg, err := Config{URLs: []string{"ws://127.0.0.1:1/ws"}, Scenario: scenario}.complete()
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRun(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.live = t.Context()
	t.Cleanup(r.running.Wait)
	r.start = time.Now()
	close(r.started)
	return r.groups[0].peers[0]
}

// dial opens a WebSocket.
func dial(t testing.TB, address string) transport.Conn {
	t.Helper()
	cfg, err := Config{URLs: []string{address}, Scenario: chat(1, 1, 1, time.Second)}.complete()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := newDialer(cfg).dial(t.Context(), transport.WebSocket, 0, 0, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// hand has the peer receive what the server would send.
func (p *peer) hand(t testing.TB, typ wire.Type, id string, seq uint64, payload any) {
	t.Helper()
	env, err := wire.New(typ, id, payload)
	if err != nil {
		t.Fatal(err)
	}
	env.Seq = seq
	data, err := json.Marshal(env)
	if err != nil {
		t.Fatal(err)
	}
	p.receive(data, transport.Socket{}.Decode, time.Now())
}

// TestFarBehind has a peer that was away for so long that it does not get all missed messages when it joins again. It
// asks for the rest, piece by piece, while others talk. Once it is refused, and once its connection ends meanwhile.
// Messages that it gets twice because of that are not a fault of the server.
func TestFarBehind(t *testing.T) {
	for name, meanwhile := range map[string]func(t *testing.T, p *peer, greeting, asked string){
		"in one go": func(*testing.T, *peer, string, string) {},
		"refused": func(t *testing.T, p *peer, _, asked string) {
			p.hand(t, wire.TypeAck, asked, 0, wire.AckPayload{Error: wire.CodeUnavailable})
			p.askAgain(nil, askHistory)
		},
		"cut off": func(t *testing.T, p *peer, greeting, _ string) {
			conn := dial(t, wrongServer(t, func(*conversation, string) {}))
			p.over = true // it is this test that comes back
			p.ended(conn, io.ErrUnexpectedEOF)
			p.join()
			p.hand(t, wire.TypeAck, greeting, 0, wire.AckPayload{Success: true, Seq: 9})
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := lonely(t, chat(1, 1, 1000, time.Second))
			r := p.group.run
			message := func(n int) string { return r.ids.of(0, n) }
			piece := func(from, to int, more bool) wire.HistoryPayload {
				h := wire.HistoryPayload{Room: p.room.name, More: more}
				for n := from; n <= to; n++ {
					h.Messages = append(h.Messages, wire.HistoryMessage{Seq: uint64(n), MessageID: message(n)})
				}
				return h
			}
			greeting, asked := r.ids.of(request, p.number*askKinds+askGreeting), r.ids.of(request, p.number*askKinds+askHistory)
			p.join()
			p.hand(t, wire.TypeAck, greeting, 0, wire.AckPayload{Success: true})
			p.hand(t, wire.TypeMessage, message(1), 1, nil)

			p.join() // again, after 1
			p.hand(t, wire.TypeHistory, "", 0, piece(2, 4, true))
			p.hand(t, wire.TypeMessage, message(9), 9, nil)
			p.hand(t, wire.TypeAck, greeting, 0, wire.AckPayload{Success: true, Seq: 8})
			if p.upTo < 8 || p.upToDate(0) {
				t.Fatalf("it asks for what is missing up to %d, want 8", p.upTo)
			}
			p.hand(t, wire.TypeHistory, asked, 0, piece(5, 6, true))
			p.hand(t, wire.TypeMessage, message(10), 10, nil)
			meanwhile(t, p, greeting, asked)
			if p.upTo < 8 || p.upToDate(0) {
				t.Fatalf("it asks for what is missing up to %d, want 8 still", p.upTo)
			}
			p.hand(t, wire.TypeHistory, asked, 0, piece(7, 11, true)) // of which the last is still to be delivered
			p.hand(t, wire.TypeMessage, message(11), 11, nil)
			r.settle()
			if p.upTo != 0 || !p.upToDate(0) || p.missed() != 0 {
				t.Errorf("in the end it asks up to %d, and has missed %d", p.upTo, p.missed())
			}
			type counts struct{ Delivered, ByHistory, Twice, OutOfOrder, Strange int64 }
			tally := r.tally
			got := counts{
				tally.total(delivered), tally.total(byHistory), tally.total(twiceDelivered), tally.total(outOfOrder), tally.strange.Load(),
			}
			if diff := cmp.Diff(counts{Delivered: 11, ByHistory: 7}, got); diff != "" {
				t.Errorf("counts (-want +got):\n%s\n%v", diff, r.tally.reasons)
			}
		})
	}
}

// TestRefusalsHideNoLostAcks has three messages unanswered, three other requests refused, and a message acknowledged
// that is still to be sent.
func TestRefusalsHideNoLostAcks(t *testing.T) {
	p := lonely(t, chat(1, 1, 10, time.Second))
	r := p.group.run
	p.opened = true
	for n := range 3 {
		p.put(n)
		p.group.fates[n].Or(fateSent)
		r.tally.sent.Add(1)
	}
	for kind := range askKinds {
		p.hand(t, wire.TypeAck, r.ids.of(request, p.number*askKinds+kind), 0, wire.AckPayload{Error: wire.CodeUnavailable})
	}
	p.put(3)
	p.hand(t, wire.TypeAck, r.ids.of(0, 3), 0, wire.AckPayload{Success: true, Seq: 1})
	got := faults(r.result(time.Second, false))
	want := map[string]int64{"acknowledgements missing": 3, "requests refused": 3, "unexpected frames": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is wrong (-want +got):\n%s\n%v", diff, r.tally.reasons)
	}
}

// TestClosingLosesNothing has a message delivered to one peer when the other has left because the run is over.
func TestClosingLosesNothing(t *testing.T) {
	p := lonely(t, chat(2, 1, 10, time.Second))
	r := p.group.run
	for _, p := range r.groups[0].peers {
		p.join()
		p.hand(t, wire.TypeAck, r.ids.of(request, p.number*askKinds+askGreeting), 0, wire.AckPayload{Success: true})
		p.hand(t, wire.TypeMessage, r.ids.of(0, 1), 1, nil)
	}
	r.settle()
	p.hand(t, wire.TypeMessage, r.ids.of(0, 2), 2, nil)
	if got := faults(r.result(time.Second, false)); len(got) > 0 {
		t.Errorf("what is wrong: %v", got)
	}
}

// FuzzReceive hands a peer whatever a server may send. Nothing but an account of it may come of that.
func FuzzReceive(f *testing.F) {
	for _, does := range []Behaviour{Chat, Feed, Malformed} {
		p := lonely(f, chat(2, 1, 10, time.Second))
		f.Add(string(does), []byte(`{"type":"welcome"}`))
		f.Add(string(does), []byte(`{"type":"message","messageId":"`+p.group.run.ids.of(0, 1)+`","seq":3}`))
	}
	f.Add("chat", []byte(`{"type":"ack","messageId":"x","payload":{"success":true,"seq":18446744073709551615}}`))
	f.Add("chat", []byte(`{"type":"history","payload":{"room":"x","messages":[{"seq":1}],"more":true}}`))
	f.Add("feed", []byte(`{"type":"ticks","payload":{"firstSeq":0,"lastSeq":18446744073709551615,"ticks":[]}}`))
	f.Add("feed", []byte(`{"type":"ticks","payload":{"firstSeq":7,"lastSeq":8,"skipped":3,"ticks":[{"seq":7},{"seq":8}]}}`))
	f.Add("malformed", []byte(`{"type":"error","payload":{"code":"bad_json"}}`))
	f.Fuzz(func(t *testing.T, does string, data []byte) {
		g := Group{Name: "g", Does: Behaviour(does), Connections: 2, Rate: 10}
		switch g.Does {
		case Chat, Malformed:
		case Feed:
			g.Rate = 0
		default:
			return
		}
		p := lonely(t, Scenario{Duration: time.Second, Groups: []Group{g}})
		p.receive(data, transport.Socket{}.Decode, time.Now())
		p.receive(data, transport.Socket{}.Decode, time.Now())
		p.missed()
	})
}

func FuzzID(f *testing.F) {
	ids, err := newIDs()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("", 1, 2)
	f.Add(ids.of(3, 4), 0, maxNumber)
	f.Fuzz(func(t *testing.T, other string, group, n int) {
		ids.find(other)
		group, n = group&0xff, n&maxNumber
		if g, m, ours := ids.find(ids.of(group, n)); !ours || g != group || m != n {
			t.Errorf("the id of %d, %d leads to %d, %d, %t", group, n, g, m, ours)
		}
	})
}

func TestIDsOfOthers(t *testing.T) {
	a, err := newIDs()
	if err != nil {
		t.Fatal(err)
	}
	b, err := newIDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "x", b.of(0, 0)} {
		if _, _, ours := a.find(id); ours {
			t.Errorf("%q is taken for one of this run", id)
		}
	}
	if a.room(1) == b.room(1) {
		t.Error("two runs share a room")
	}
}

func TestReasonsAreBounded(t *testing.T) {
	tally := newTally(Scenario{})
	for i := range 10 * maxReasons {
		tally.note(&tally.strange, string(rune('a'+i)))
	}
	if n := len(tally.reasons); n != maxReasons+1 {
		t.Errorf("%d reasons are kept, want %d and one for the rest", n, maxReasons)
	}
	if tally.strange.Load() != 10*maxReasons {
		t.Errorf("%d counted, want all", tally.strange.Load())
	}
}
