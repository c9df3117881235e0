package load

import (
	"encoding/json"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/demo/wire"
)

// codeTokenExpired is the close code by which the server ends a connection whose token has expired.
const codeTokenExpired = 4401

// What a peer asks for besides what the load is about.
const (
	askGreeting = iota // to be in the room, or subscribed
	askHistory
	askRenewal // of the token
	askKinds
)

// ask sends a request that is no part of the load.
func (p *peer) ask(typ wire.Type, kind int, payload any) {
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	f, err := wire.NewFrame(typ, p.group.run.ids.of(request, p.number*askKinds+kind), payload)
	if err == nil && conn != nil { // payloads of package wire can be encoded
		p.write(conn, websocket.TextMessage, f.Data)
	}
}

// receive takes one frame.
func (p *peer) receive(data []byte, now time.Time) {
	r := p.group.run
	f, err := r.shared.read(data)
	if err != nil {
		r.tally.note(&r.tally.strange, "frame that can't be read")
		return
	}
	switch f.Type {
	case wire.TypeWelcome:
		p.greet()
	case wire.TypeAck:
		p.takeAck(f, now)
	case wire.TypeError:
		p.takeError(f)
	case wire.TypeMessage:
		p.delivered(f, now)
	case wire.TypeHistory:
		p.caughtUp(f)
	case wire.TypeTicks:
		p.tick(f.batch, now)
	case wire.TypeTokenExpiring:
		var token wire.TokenExpiringPayload
		_ = json.Unmarshal(f.Payload, &token) // without a time it is renewed at once
		r.running.Go(func() { p.renew(token.Expires) })
	case wire.TypeJoined, wire.TypeLeft, wire.TypeRoomUsers, wire.TypeGoingAway:
	default:
		r.tally.note(&r.tally.strange, "unexpected type of message")
	}
}

// greet begins what the peer does, as soon as the server knows it.
func (p *peer) greet() {
	switch p.group.Does {
	case Chat:
		p.join()
	case Feed:
		p.ask(wire.TypeSubscribe, askGreeting, wire.StreamPayload{Stream: wire.StreamMarket})
	default:
		p.becomeReady()
	}
}

func (p *peer) takeAck(f *frame, now time.Time) {
	r := p.group.run
	group, n, ours := r.ids.find(f.MessageID)
	switch {
	case ours && group == request && n/askKinds == p.number:
		p.takeAnswer(f, n%askKinds)
	case p.group.provokes():
		p.takeRefusal(f)
	case ours && group == p.group.index && n < p.group.messages && p.group.sender(n) == p:
		p.acknowledged(f, n, now)
	default:
		r.tally.note(&r.tally.strange, "acknowledgement of a message that was not sent")
	}
}

// takeAnswer takes the answer to what was asked.
func (p *peer) takeAnswer(f *frame, kind int) {
	r := p.group.run
	var ack wire.AckPayload
	if err := json.Unmarshal(f.Payload, &ack); err != nil || !ack.Success {
		p.mu.Lock()
		opened := p.opened
		p.mu.Unlock()
		if !opened {
			r.hopeless(p, &wire.RefusalError{Code: ack.Error, Reason: ack.Reason})
			return
		}
		r.tally.note(&r.tally.refused, "refused: "+string(ack.Error))
		return
	}
	if kind != askGreeting {
		return
	}
	if p.room != nil {
		p.joined(ack.Seq)
	}
	p.becomeReady()
}

// takeError takes the answer to a frame that was no request the server understands.
func (p *peer) takeError(f *frame) {
	if p.group.provokes() {
		p.takeRefusal(f)
		return
	}
	r := p.group.run
	var refused wire.ErrorPayload
	_ = json.Unmarshal(f.Payload, &refused) // without a code it counts as well
	if group, n, ours := r.ids.find(f.MessageID); ours && group == p.group.index {
		p.answered(n)
	}
	r.tally.note(&r.tally.refused, "refused: "+string(refused.Code))
}

// renew sends a newer token when half of the time is over that the old one has left.
func (p *peer) renew(expires time.Time) {
	r := p.group.run
	if !sleepUntil(r.live, time.Now().Add(time.Until(expires)/2)) {
		return
	}
	r.tokens.forget(p.number)
	if token, err := r.tokens.get(r.live, p.number); err == nil { // else the end of the connection tells
		p.ask(wire.TypeAuth, askRenewal, wire.AuthPayload{Token: token})
	}
}
