package demo

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/sockscope/sockscope/demo/history"
)

const (
	// cutEvery is how often mass_disconnect strikes while it is on: clients come back, and a drop rate has to last to be
	// one.
	cutEvery = 5 * time.Second
	// hotRoom is where hot_room strikes: where people are who have not gone elsewhere.
	hotRoom = "lobby"
	// flooding is how many messages of hot_room are on their way at once, so that a store may take its time.
	flooding = 16
	// mostLeaked bounds goroutine_leak to some hundred MB.
	mostLeaked = 50_000
	// mostBurden bounds connection_memory, in bytes.
	mostBurden = 1 << 30
	// pageSize is, at most, what the system gives memory in: less than all of it need not be touched.
	pageSize = 4 << 10
)

// pace lets so much happen in a second. What came too late may be made up for within a tenth of one.
func pace(perSecond float64) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(perSecond), 1+int(perSecond/10))
}

// list returns the open connections.
func (s *Server) list() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := make([]*session, 0, len(s.sessions))
	for c := range s.sessions {
		open = append(open, c)
	}
	return open
}

func (s *Server) keepCutting(ctx context.Context, share float64) {
	tick := time.NewTicker(cutEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		s.cut(share)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// cut breaks a random share of the open connections: from here it looks as if the peers had vanished.
func (s *Server) cut(share float64) {
	open := s.list()
	rand.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	for _, c := range open[:int(math.Ceil(share*float64(len(open))))] {
		c.link.vanish()
	}
}

// moveExpiry has the tokens of all connections expire when the fault says so and, when it is healed before, when they
// themselves say so.
func (s *Server) moveExpiry(ctx context.Context, _ float64) {
	move := func() {
		for _, c := range s.list() {
			c.moveExpiry()
		}
	}
	move()
	<-ctx.Done()
	move()
}

func (c *session) moveExpiry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.clock.expired.IsZero() { // else there is no token yet, or the end has come
		c.clock.expiry(c.server.faults.expiry(c.who.Expires))
		c.reschedule()
	}
}

// flood says that many messages per second in the hot room. Each is said to its end, like everybody's.
func (s *Server) flood(ctx context.Context, perSecond float64) {
	limiter, whole := pace(perSecond), context.WithoutCancel(ctx)
	var senders sync.WaitGroup
	for range flooding {
		senders.Go(func() {
			for limiter.Wait(ctx) == nil {
				m := history.Message{
					Room: hotRoom, ID: uuid.NewString(), From: "fault", Text: "a lot is going on here", Time: time.Now().UTC(),
				}
				saved, err := s.save(whole, m)
				if err == nil {
					err = s.publish(whole, saved)
				}
				if err != nil {
					s.logger.WarnContext(ctx, "message of the hot room failed", "error", err)
				}
			}
		})
	}
	senders.Wait()
}

func (s *Server) leak(ctx context.Context, perSecond float64) {
	limiter := pace(perSecond)
	for n := 0; n < mostLeaked && limiter.Wait(ctx) == nil; n++ {
		s.running.Go(func() { <-ctx.Done() })
	}
}

// burden gives every connection memory to hold. Those that come later get theirs from add.
func (s *Server) burden(ctx context.Context, _ float64) {
	each := func(do func(*session)) {
		for _, c := range s.list() {
			s.mu.Lock()
			if _, open := s.sessions[c]; open {
				do(c)
			}
			s.mu.Unlock()
		}
	}
	each(s.faults.load)
	<-ctx.Done()
	each(func(c *session) {
		if !s.faults.connectionMemory.On() { // else it has been turned on anew
			s.faults.unload(c)
		}
	})
}

// load gives a connection memory to hold, instead of what it holds, while there is some left. The server's lock is held.
func (f *faults) load(c *session) {
	f.unload(c)
	size := int(f.connectionMemory.Strength()) << 10
	if f.burdened+size > mostBurden {
		return
	}
	f.burdened += size
	c.burden = make([]byte, size)
	for i := 0; i < len(c.burden); i += pageSize {
		c.burden[i] = 1 // else there would be no memory behind it
	}
}

// unload takes back what load has given. The server's lock is held.
func (f *faults) unload(c *session) {
	f.burdened -= len(c.burden)
	c.burden = nil
}

func (s *Server) storm(ctx context.Context, perSecond float64) {
	limiter := pace(perSecond)
	for n := 1; limiter.Wait(ctx) == nil; n++ {
		s.logger.WarnContext(ctx, "log storm", "record", n)
	}
}
