package admission

import (
	"net/http"
	"net/netip"
	"sync"

	"github.com/sockscope/sockscope/instrument"
)

// places counts connections from their handshake to their end.
type places struct {
	limit, perAddress int

	mu     sync.Mutex
	closed bool
	n      int
	from   map[netip.Addr]int
	taken  sync.WaitGroup
}

// network is what counts as one address: an IPv4 address, or the 64 bits of an IPv6 address that are a network, in
// which everybody has as many addresses as they like.
func network(address netip.Addr) netip.Addr {
	if address.Is6() {
		address = netip.PrefixFrom(address, 64).Masked().Addr()
	}
	return address
}

// take takes a place for a connection. Call release when the connection is gone.
func (p *places) take(from netip.Addr) (release func(), _ *Refusal) {
	from = network(from)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, Refuse(instrument.StatusDraining, http.StatusServiceUnavailable,
			"the server is draining: try another or again later")
	case p.n >= p.limit:
		return nil, Full()
	case p.from[from] >= p.perAddress:
		return nil, Refuse(instrument.StatusRateLimited, http.StatusTooManyRequests,
			"there are as many connections from your address as there may be: close one first")
	}
	p.n++
	if p.from == nil {
		p.from = make(map[netip.Addr]int)
	}
	p.from[from]++
	p.taken.Add(1)
	return func() { p.release(from) }, nil
}

func (p *places) release(from netip.Addr) {
	p.mu.Lock()
	p.n--
	if p.from[from]--; p.from[from] == 0 {
		delete(p.from, from)
	}
	p.mu.Unlock()
	p.taken.Done()
}

// close lets nobody in any more.
func (p *places) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

func (p *places) open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}
