package demo

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/sockscope/sockscope/demo/fault"
)

// cutEvery is how often mass_disconnect strikes while it is on: clients come
// back, and a drop rate has to last to be one.
const cutEvery = 5 * time.Second

// faults are the ways in which this server can be broken on request.
type faults struct {
	slowHandling   *fault.Switch
	massDisconnect *fault.Switch
	silence        *fault.Switch
}

func newFaults() faults {
	return faults{
		slowHandling: &fault.Switch{
			Name: "slow_handling", Unit: "ms", Min: 1, Max: 10_000,
			Description: "handling every message takes that much longer",
		},
		massDisconnect: &fault.Switch{
			Name: "mass_disconnect", Unit: "share", Min: 0.01, Max: 1,
			Description: "that share of the connections breaks without a close frame, at once and every 5 s",
		},
		silence: &fault.Switch{
			Name: "silence", Unit: "on", Min: 1, Max: 1,
			Description: "connections stay open and pings are answered, but no message is sent",
		},
	}
}

func (f *faults) all() []*fault.Switch {
	return []*fault.Switch{f.slowHandling, f.massDisconnect, f.silence}
}

// slow takes the time that slow_handling adds to a message.
func (f *faults) slow(ctx context.Context) {
	f.slowHandling.Hold(ctx, time.Duration(f.slowHandling.Strength())*time.Millisecond)
}

// strike starts what a fault does by itself; the others are asked where they
// matter.
func (s *Server) strike(ctx context.Context, f *fault.Switch) {
	if f != s.faults.massDisconnect {
		return
	}
	share := f.Strength()
	s.running.Go(func() {
		tick := time.NewTicker(cutEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			s.cut(share)
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
}

// cut breaks a random share of the open connections: from here it looks as if the peers had vanished.
func (s *Server) cut(share float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := make([]*session, 0, len(s.sessions))
	for c := range s.sessions {
		open = append(open, c)
	}
	rand.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	for _, c := range open[:int(math.Ceil(share*float64(len(open))))] {
		c.link.vanish()
	}
}
