package inject

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// cutEvery is how often mass_disconnect strikes while it is on: clients come back, and a drop rate has to last to be
// one.
const cutEvery = 5 * time.Second

// Streams decorates a handler that answers for as long as the connection lasts: mass_disconnect.
func (f *Faults) Streams(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer f.peers.add(cancel)()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// peers are those who are connected, each as what makes it look as if it had vanished without a word.
type peers struct {
	mu   sync.Mutex
	next int
	open map[int]func()
}

// add lists a peer until what it returns is called, which may be done more than once.
func (p *peers) add(vanish func()) (remove func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = make(map[int]func())
	}
	id := p.next
	p.next++
	p.open[id] = vanish
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, id)
	}
}

// vanish takes a random share of the peers away.
func (p *peers) vanish(share float64) {
	p.mu.Lock()
	open := make([]func(), 0, len(p.open))
	for _, vanish := range p.open {
		open = append(open, vanish)
	}
	p.mu.Unlock()
	rand.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	for _, vanish := range open[:int(math.Ceil(share*float64(len(open))))] {
		vanish()
	}
}

// keepCutting is mass_disconnect.
func (f *Faults) keepCutting(ctx context.Context, share float64) {
	tick := time.NewTicker(cutEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		f.peers.vanish(share)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
