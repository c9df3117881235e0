package gorilla

import (
	"slices"
	"sync"

	"github.com/sockscope/sockscope/instrument"
)

// maxPings is how many unanswered pings of one connection are remembered; more are not observed.
const maxPings = 64

// pings are the unanswered ones, oldest first.
type pings struct {
	mu  sync.Mutex
	out []ping
}

type ping struct {
	instrument.Ping
	payload string
}

// begin takes note of a ping before it is written, because the pong may be read before the write returns.
func (p *pings) begin(session *instrument.Conn, payload []byte) instrument.Ping {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.out) == maxPings {
		return instrument.Ping{}
	}
	sent := session.BeginPing()
	p.out = append(p.out, ping{sent, string(payload)})
	return sent
}

// answered ends the oldest ping with the pong's payload. A peer that is behind may answer its newest ping only: the
// ones before are forgotten. A pong that answers none is one that nobody has asked for.
func (p *pings) answered(payload string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.out, func(sent ping) bool { return sent.payload == payload })
	if i < 0 {
		return
	}
	p.out[i].End(instrument.PingPong)
	for _, skipped := range p.out[:i] {
		skipped.Forget()
	}
	p.out = slices.Delete(p.out, 0, i+1)
}

// fail ends a ping that could not be written.
func (p *pings) fail(failed instrument.Ping) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.out, func(sent ping) bool { return sent.Ping == failed })
	if i >= 0 {
		p.out = slices.Delete(p.out, i, i+1)
		failed.End(instrument.PingError)
	}
}

// waiting says whether a ping is unanswered.
func (p *pings) waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.out) > 0
}

// end ends the pings that will not be answered any more, because the connection has ended.
func (p *pings) end(reason instrument.CloseReason) {
	result := instrument.PingError
	if reason == instrument.ReasonPingTimeout {
		result = instrument.PingTimeout
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, unanswered := range p.out {
		unanswered.End(result)
	}
	p.out = nil
}
