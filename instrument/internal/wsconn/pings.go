package wsconn

import (
	"slices"
	"sync"

	"github.com/sockscope/sockscope/instrument"
)

// maxPings is the number of pings of a connection that may be unanswered. If there is one more, the oldest counts as a
// timeout.
const maxPings = 16

// pings are the pings that were sent and not answered yet.
type pings struct {
	mu         sync.Mutex
	unanswered []ping // from the oldest on
	ended      bool
}

type ping struct {
	instrument.Ping
	payload uint64 // sum
}

func (p *pings) sent(sent ping) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		sent.End(instrument.PingError)
		return
	}
	if len(p.unanswered) == maxPings {
		p.unanswered[0].End(instrument.PingTimeout)
		p.unanswered = slices.Delete(p.unanswered, 0, 1)
	}
	p.unanswered = append(p.unanswered, sent)
}

// answered ends the oldest ping with the payload of a pong. A peer need only answer the newest ping, so earlier ones
// are forgotten. A pong without a ping is allowed, too.
func (p *pings) answered(payload uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.unanswered, func(sent ping) bool { return sent.payload == payload })
	if i < 0 {
		return
	}
	p.unanswered[i].End(instrument.PingPong)
	for _, skipped := range p.unanswered[:i] {
		skipped.Forget()
	}
	p.unanswered = slices.Delete(p.unanswered, 0, i+1)
}

func (p *pings) waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.unanswered) > 0
}

// end ends all pings, and ends later ones as errors.
func (p *pings) end(r instrument.PingResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for _, sent := range p.unanswered {
		sent.End(r)
	}
	p.unanswered = nil
}
