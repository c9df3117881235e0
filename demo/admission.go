package demo

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/sockscope/sockscope/instrument"
)

// retryAfter is the number of seconds after which a refused client may try again.
const retryAfter = "5"

// refusal is why a handshake is not let in.
type refusal struct {
	error
	status instrument.Status
	code   int // of HTTP
}

func refuse(status instrument.Status, code int, reason string) *refusal {
	return &refusal{errors.New(reason), status, code}
}

// write answers the request and ends its handshake.
func (e *refusal) write(w http.ResponseWriter, h *instrument.Handshake) {
	if e.code == http.StatusServiceUnavailable || e.code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", retryAfter)
	}
	if e.code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	http.Error(w, e.Error(), e.code)
	h.Refused(e.status, e.code, e.error)
}

// admission counts connections from their handshake to their end.
type admission struct {
	limits Limits

	mu      sync.Mutex
	closed  bool
	n       int
	from    map[netip.Addr]int
	running sync.WaitGroup // who was let in
}

// network is what counts as one address: an IPv4 address, or the 64 bits of an IPv6 address that are a network, in which
// everybody has as many addresses as they like.
func network(address netip.Addr) netip.Addr {
	if address.Is6() {
		address = netip.PrefixFrom(address, 64).Masked().Addr()
	}
	return address
}

// admit takes a place for a connection. What it returns has to be called when the connection is gone.
func (a *admission) admit(from netip.Addr, limit int) (release func(), r *refusal) {
	from = network(from)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return nil, refuse(instrument.StatusDraining, http.StatusServiceUnavailable,
			"the server is draining: try another or again later")
	case a.n >= limit:
		return nil, refuse(instrument.StatusOverCapacity, http.StatusServiceUnavailable,
			"the server has as many connections as it may: try again later")
	case a.from[from] >= a.limits.ConnectionsPerAddress:
		return nil, refuse(instrument.StatusRateLimited, http.StatusTooManyRequests,
			"there are as many connections from your address as there may be: close one first")
	}
	a.n++
	if a.from == nil {
		a.from = make(map[netip.Addr]int)
	}
	a.from[from]++
	a.running.Add(1)
	return func() { a.release(from) }, nil
}

func (a *admission) release(from netip.Addr) {
	a.mu.Lock()
	a.n--
	if a.from[from]--; a.from[from] == 0 {
		delete(a.from, from)
	}
	a.mu.Unlock()
	a.running.Done()
}

// close lets nobody in any more.
func (a *admission) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
}

// clientAddress returns where a request comes from: the last address of X-Forwarded-For that is no trusted proxy's, if
// it came through one. Whatever the client has written there itself is further ahead.
func clientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := at.Addr().Unmap()
	isTrusted := func() bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(address) })
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !isTrusted() {
			break
		}
		before, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		address = before.Unmap()
	}
	return address
}
