package load

import (
	"encoding/json"
	"time"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/transport"
)

// The requests of a peer that are not part of the load.
const (
	askGreeting = iota // to be in the room, or subscribed
	askHistory
	askRenewal // of the token
	askKinds
)

// ask sends a request that is not part of the load.
func (p *peer) ask(typ wire.Type, kind int, payload any) {
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	env, err := wire.New(typ, p.group.run.ids.of(request, p.number*askKinds+kind), payload)
	if err == nil && conn != nil { // payloads of package wire can be encoded
		_ = conn.Send(&env) // if it fails, the connection has ended, which the reader notices
	}
}

// receive takes one frame, and decodes it if it is not known.
func (p *peer) receive(data []byte, decode func([]byte) (wire.Envelope, error), now time.Time) {
	r := p.group.run
	f, err := r.shared.read(data, decode)
	if err != nil {
		r.tally.note(&r.tally.strange, "frame that can't be read")
		return
	}
	switch f.Type {
	case wire.TypeWelcome:
		p.greet()
	case wire.TypeAck, wire.TypeError:
		p.takeAnswer(f, now)
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

// greet begins the peer's work, as soon as the server knows it.
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

// answer is the content of an ack or an error.
type answer struct {
	Success     bool
	Seq         uint64
	Code, Error wire.Code // of an error, and of an ack
	Reason      string
}

func (a answer) refusal() *wire.RefusalError {
	return &wire.RefusalError{Code: a.Code + a.Error, Reason: a.Reason}
}

// takeAnswer takes an ack or an error, which answers a request, a provocation, or a message.
func (p *peer) takeAnswer(f *frame, now time.Time) {
	r := p.group.run
	var a answer
	err := json.Unmarshal(f.Payload, &a)
	a.Success = a.Success && err == nil && f.Type == wire.TypeAck // without a payload it is a refusal without a code
	group, n, ours := r.ids.find(f.MessageID)
	switch {
	case ours && group == request && n/askKinds == p.number:
		p.takeReply(a, n%askKinds)
	case p.group.provokes():
		p.takeRefusal(a)
	case ours && group == p.group.index && p.group.sent(n) && p.group.sender(n) == p:
		p.concluded(f, a, n, now)
	default:
		r.tally.note(&r.tally.strange, string(f.Type)+" that answers nothing that was sent")
	}
}

// takeReply takes the answer to a request.
func (p *peer) takeReply(a answer, kind int) {
	switch {
	case !a.Success:
		p.denied(a.refusal(), kind)
	case kind == askGreeting:
		if p.room != nil {
			p.joined(a.Seq)
		}
		p.becomeReady()
	}
}

// denied takes the refusal of a request. A peer that has been in its room before and is not let in again, or does not
// get the messages that it has missed, asks again after a while.
func (p *peer) denied(refused *wire.RefusalError, kind int) {
	r := p.group.run
	p.mu.Lock()
	conn, opened := p.conn, p.opened
	if p.pause == nil {
		p.pause = newBackoff()
	}
	pause := p.pause.NextBackOff()
	p.awaitGreeting(pause)
	p.mu.Unlock()
	if !opened {
		r.hopeless(p, refused)
		return
	}
	what := [askKinds]string{askGreeting: "joining", askHistory: "history", askRenewal: "newer token"}[kind]
	r.tally.note(&r.tally.requestsRefused, what+" refused: "+string(refused.Code))
	if kind == askRenewal { // the end of the connection will show it
		return
	}
	r.running.Go(func() {
		if sleepUntil(r.live, time.Now().Add(pause)) {
			p.askAgain(conn, kind)
		}
	})
}

// askAgain repeats a refused request, unless the connection has ended meanwhile.
func (p *peer) askAgain(conn transport.Conn, kind int) {
	p.mu.Lock()
	ended := p.conn != conn
	p.mu.Unlock()
	switch {
	case ended:
	case kind == askGreeting:
		p.greet()
	default:
		p.catchUp()
	}
}

// renew sends a newer token when half of the old one's remaining time is over.
func (p *peer) renew(expires time.Time) {
	r := p.group.run
	if !sleepUntil(r.live, time.Now().Add(time.Until(expires)/2)) {
		return
	}
	r.tokens.forget(p.number)
	if token, err := r.tokens.get(r.live, p.number); err == nil { // otherwise the end of the connection will show it
		p.ask(wire.TypeAuth, askRenewal, wire.AuthPayload{Token: token})
	}
}
