package load

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/transport"
)

// quote is the text of every message, repeated if the message has to be longer.
const quote = "The quick brown fox jumps over the lazy dog."

// room is a room of the demo.
type room struct {
	name string
	last atomic.Uint64 // the highest sequence number that anybody knows
	end  uint64        // the highest that all must have got; known when the run is over
	kept kept          // see verify
}

// reach says that there is a message with that sequence number.
func (r *room) reach(seq uint64) {
	for {
		last := r.last.Load()
		if seq <= last || r.last.CompareAndSwap(last, seq) {
			return
		}
	}
}

// send writes message n.
func (p *peer) send(conn transport.Conn, n int) {
	g := p.group
	if g.provokes() {
		p.provoke(conn, n)
		return
	}
	if g.fates[n].Or(fateSent)&fateSent == 0 { // it may have been sent to a connection before
		g.run.tally.sent.Add(1)
		g.run.tally.lag.record(time.Since(g.due(n)))
	}
	env, err := wire.New(wire.TypeMessage, g.run.ids.of(g.index, n), wire.MessagePayload{Room: p.room.name, Text: g.text()})
	if err == nil { // payloads of package wire can be encoded
		_ = conn.Send(&env) // if it fails, the connection has ended, which the reader notices
	}
}

func (g Group) text() string {
	size := g.Text
	if size == 0 {
		size = defaultText
	}
	return strings.Repeat(quote+" ", size/len(quote)+1)[:size]
}

// concluded takes the answer to message n.
func (p *peer) concluded(f *frame, a answer, n int, now time.Time) {
	g, t := p.group, p.group.run.tally
	switch {
	case !p.answered(n):
		t.ackedTwice.Add(1)
	case !a.Success:
		t.note(&t.refused, "message refused: "+string(a.refusal().Code))
	case a.Seq == 0:
		t.note(&t.strange, "acknowledgement without a sequence number")
	default:
		t.acked.Add(1)
		if f.Traceparent != "" {
			t.traced.Add(1)
		}
		t.ack.record(now.Sub(g.due(n)))
		g.fates[n].Or(fateAcked)
		p.place(g, n, a.Seq)
	}
}

// place notes the sequence number of a message in this peer's room.
func (p *peer) place(g *group, n int, seq uint64) {
	if !g.fates[n].numbered(seq) {
		t := g.run.tally
		t.note(&t.strange, "a message with two sequence numbers")
	}
	p.room.reach(seq)
}

// delivered takes a message of the room.
func (p *peer) delivered(f *frame, now time.Time) {
	t, s := p.group.run.tally, p.group.share
	g := p.sentBy(f)
	if g == nil || f.Seq == 0 {
		t.note(&t.strange, "message of another room or nobody, or without a sequence number")
		return
	}
	p.place(g, f.n, f.Seq)
	switch p.take(f.Seq) {
	case inOrder:
		s.delivered.Add(1)
		if !p.group.lenient() {
			s.delivery.record(now.Sub(g.due(f.n)))
		}
	case late:
		s.delivered.Add(1)
		s.outOfOrder.Add(1)
	case twice:
		s.twice.Add(1)
	}
}

// sentBy returns the group that has sent a message to this peer's room, or nil if there is none.
func (p *peer) sentBy(f *frame) *group {
	groups := p.group.run.groups
	if !f.ours || f.group >= len(groups) {
		return nil
	}
	g := groups[f.group]
	if g.Does != Chat || f.n >= g.messages || p.room == nil || g.sender(f.n).room != p.room {
		return nil
	}
	return g
}

func (p *peer) take(seq uint64) verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.take(seq)
}

// join asks to be in the room: from now on, or from where the peer was cut off if it was in the room before.
func (p *peer) join() {
	payload := wire.JoinPayload{Room: p.room.name}
	p.mu.Lock()
	if p.seen.known {
		last := p.seen.last
		payload.After = &last
		if p.upTo == 0 {
			p.after = last
		}
	}
	p.mu.Unlock()
	p.ask(wire.TypeJoin, askGreeting, payload)
}

// joined notes the room's last message before those that are delivered. A peer that was away for so long that not all
// missed messages were sent must ask for the rest.
func (p *peer) joined(seq uint64) {
	p.room.reach(seq)
	p.mu.Lock()
	first := !p.opened
	if first {
		p.seen.begin(seq)
	} else {
		p.upTo = max(p.upTo, seq)
	}
	p.seen.reach(seq)
	p.mu.Unlock()
	p.catchUp()
}

// catchUp asks for the history, from the first missing message of the time when the peer was away.
func (p *peer) catchUp() {
	p.mu.Lock()
	request, missing := wire.HistoryRequest{Room: p.room.name}, false
	for _, m := range p.seen.missing {
		if m.from > p.after && m.from <= p.upTo {
			after := m.from - 1
			request.After, missing = &after, true
			break
		}
	}
	if !missing {
		p.upTo = 0
	}
	p.mu.Unlock()
	if missing {
		p.ask(wire.TypeHistory, askHistory, request)
	}
}

// caughtUp takes a piece of the history. It comes when a peer joins again, or because the peer asked for it.
func (p *peer) caughtUp(f *frame) {
	t, s := p.group.run.tally, p.group.share
	var piece wire.HistoryPayload
	if err := json.Unmarshal(f.Payload, &piece); err != nil || p.room == nil || piece.Room != p.room.name {
		t.note(&t.strange, "history that nobody asked for")
		return
	}
	asked := f.MessageID == p.group.run.ids.of(request, p.number*askKinds+askHistory)
	p.mu.Lock()
	upTo := p.upTo
	p.mu.Unlock()
	var last uint64
	for _, m := range piece.Messages {
		if asked && m.Seq > upTo {
			break // from there on all is delivered
		}
		last = m.Seq
		one := &frame{}
		one.group, one.n, one.ours = p.group.run.ids.find(m.MessageID)
		g := p.sentBy(one)
		if g == nil || m.Seq == 0 {
			t.note(&t.strange, "message of another room or nobody in the history")
			continue
		}
		p.place(g, one.n, m.Seq)
		switch verdict := p.take(m.Seq); {
		case verdict != twice:
			s.delivered.Add(1)
			s.byHistory.Add(1)
		case !asked: // else it was in the middle of what was asked for
			s.twice.Add(1)
		}
	}
	if !asked {
		return
	}
	p.mu.Lock()
	p.pause = nil
	if !piece.More || last <= p.after { // the rest is not available
		p.upTo = 0
	}
	p.after = max(p.after, last)
	p.mu.Unlock()
	p.catchUp()
}

// missed returns how many messages of the room had not come when the run was over.
func (p *peer) missed() uint64 {
	if p.room == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen.reach(p.room.end)
	return p.seen.lost()
}

// upToDate reports whether all known messages have come, or it does not matter.
func (p *peer) upToDate(lastTick uint64) bool {
	if p.group.lenient() {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.room != nil {
		return p.seen.last >= p.room.last.Load() && p.upTo == 0
	}
	return p.lastTick == 0 || p.lastTick >= lastTick
}

// describe names a peer in errors.
func (p *peer) describe() string {
	return fmt.Sprintf("connection %d of %d", p.number+1, p.group.run.cfg.Scenario.connections())
}
