package load

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// group is a Group at work.
type group struct {
	Group
	run   *run
	index int
	share *share // of the group's transport
	peers []*peer

	interval time.Duration // between what is due
	messages int           // that will be due
	fates    []fate        // of the messages of a chat

	provocations []provocation
}

// fate is what has become of a message: bits, and the sequence number that it was given.
type fate struct{ atomic.Uint64 }

const (
	fateSent     = 1 << 63
	fateAcked    = 1 << 62
	fateKept     = 1 << 61 // in the history
	fateSequence = 1<<48 - 1
)

// numbered keeps the sequence number of a message, and reports whether it has no other one.
func (f *fate) numbered(seq uint64) bool {
	for {
		old := f.Load()
		if had := old & fateSequence; had != 0 {
			return had == seq&fateSequence
		}
		if f.CompareAndSwap(old, old|seq&fateSequence) {
			return true
		}
	}
}

func newGroup(r *run, index int, cfg Group, first int) *group {
	g := &group{Group: cfg, run: r, index: index, share: r.tally.share(cfg.Transport)}
	if cfg.Rate > 0 {
		g.interval = time.Duration(float64(time.Second) / cfg.Rate)
		g.messages = max(1, int(math.Round(cfg.Rate*r.cfg.Scenario.Duration.Seconds())))
	}
	switch cfg.Does {
	case Chat:
		g.fates = make([]fate, g.messages)
	case Malformed:
		g.provocations = malformed()
	case Oversize:
		g.provocations = oversize()
	}
	g.peers = make([]*peer, cfg.Connections)
	rooms := cfg.rooms()
	for i := range g.peers {
		g.peers[i] = &peer{group: g, number: first + i}
		if rooms > 0 {
			g.peers[i].room = r.rooms[i%rooms]
		}
	}
	return g
}

// due is when message n has to be sent, once the run has begun.
func (g *group) due(n int) time.Time {
	<-g.run.started
	return g.run.start.Add(time.Duration(n) * g.interval)
}

// sent reports whether there is a message n that was sent.
func (g *group) sent(n int) bool { return n < len(g.fates) && g.fates[n].Load()&fateSent != 0 }

// sender is who sends message n.
func (g *group) sender(n int) *peer { return g.peers[n%len(g.peers)] }

// readRate is how many bytes per second a connection reads, 0 for no limit. One that will vanish gets the small buffer
// of slow ones, so that its vanishing is felt.
func (g *group) readRate() int {
	if g.Vanish > 0 && g.Read == 0 {
		return math.MaxInt32
	}
	return g.Read
}

// open opens the connections over the time that it may take, until ctx ends.
func (g *group) open(ctx context.Context) {
	began := time.Now()
	for i, p := range g.peers {
		if !sleepUntil(ctx, began.Add(g.Ramp*time.Duration(i)/time.Duration(len(g.peers)))) {
			return
		}
		p.open(ctx)
	}
}

// drive has what is due sent, until all was or ctx ends.
func (g *group) drive(ctx context.Context) {
	for n := range g.messages {
		if !sleepUntil(ctx, g.due(n)) {
			return
		}
		if g.provokes() {
			g.run.tally.provoked.Add(1)
		} else {
			g.run.tally.due.Add(1)
		}
		g.run.tally.unanswered.Add(1)
		if g.Does == BadToken {
			g.run.running.Go(func() { g.tryBadToken(n) })
			continue
		}
		g.sender(n).put(n)
	}
}

// disturb closes, cuts and lets vanish, until ctx ends.
func (g *group) disturb(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { g.churn(ctx) })
	all.Go(func() { g.storm(ctx) })
	if g.Vanish > 0 && sleepUntil(ctx, g.due(0).Add(g.Vanish)) {
		for _, p := range g.peers {
			p.vanish()
		}
	}
	all.Wait()
}

// churn closes one connection after the other, so often that each lasts its lifetime on average.
func (g *group) churn(ctx context.Context) {
	if g.Lifetime == 0 {
		return
	}
	every := max(1, g.Lifetime/time.Duration(len(g.peers)))
	for at := g.due(0).Add(every); sleepUntil(ctx, at); at = at.Add(every) {
		g.run.running.Go(g.peers[rand.IntN(len(g.peers))].leave)
	}
}

// storm cuts all connections at once, again and again.
func (g *group) storm(ctx context.Context) {
	if g.Storm == 0 {
		return
	}
	for at := g.due(0).Add(g.Storm); sleepUntil(ctx, at); at = at.Add(g.Storm) {
		for _, p := range g.peers {
			p.cut()
		}
	}
}

// sleepUntil waits until the moment, or until ctx ends, and reports whether the moment has come.
func sleepUntil(ctx context.Context, moment time.Time) bool {
	wait := time.Until(moment)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
