package backplane

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

var errUndelivered = errors.New("redis answers but does not deliver: a message of this node has not come back in time")

// heartbeats is the prefix of the names of the channels of heartbeats.
const heartbeats = "sockscope:heartbeat:"

// newHeartbeat returns the name of a channel that only this node uses.
func newHeartbeat() string { return fmt.Sprintf("%s%016x", heartbeats, rand.Uint64()) }

// prove makes sure that messages of this node come back on the connection: a message that the application has published
// since the last proof, or a heartbeat if there was none. It returns the time until which all messages have arrived, or
// a zero time if nothing is proven because nothing could be published. pinged is when the last answered ping was sent.
// The error says why the connection is of no use.
func (b *Backplane) prove(c *connection, pinged time.Time) (time.Time, error) {
	for {
		proven, watched := b.echoes.proof()
		switch {
		case !proven.IsZero() && proven.Before(pinged):
			return proven, nil
		case !proven.IsZero(), watched.number == 0 && c.unheard:
			return pinged, nil
		case watched.number == 0:
			if !b.beat(c) {
				return time.Time{}, nil
			}
			continue
		case watched.taken.IsZero(): // Publish has its own timeout
			return time.Time{}, nil
		}
		late := time.NewTimer(time.Until(watched.taken.Add(b.pingTimeout)))
		select {
		case <-watched.settled:
			late.Stop()
		case <-late.C:
			return time.Time{}, errUndelivered
		case <-c.ended:
			late.Stop()
			return time.Time{}, errLost
		case <-c.ctx.Done():
			late.Stop()
			return time.Time{}, context.Cause(c.ctx)
		}
	}
}

// beat publishes a heartbeat, and says whether Redis has answered. If Redis refuses the channel, such as by its access
// control list, there are no heartbeats on this connection.
func (b *Backplane) beat(c *connection) bool {
	err := c.heard.wait(c.ctx) // answered by now
	if err == nil {
		ctx, cancel := context.WithTimeout(c.ctx, b.pingTimeout)
		defer cancel()
		b.beats++
		message := strconv.AppendUint(nil, b.beats, 10)
		err = b.send(ctx, b.heartbeat, message, b.echoes.expect(b.heartbeat, message, true))
	}
	switch {
	case err == nil:
		return true
	case c.over() || c.ctx.Err() != nil:
		return false
	case refused(err):
		c.unheard = true
		b.observed.Failed(c.ctx, fmt.Errorf("backplane: no heartbeats: allow the channels %s*, or a Redis that answers but does "+
			"not deliver is noticed only by what the service publishes: %w", heartbeats, err))
		return true
	default:
		b.observed.SetUp(false)
		b.observed.Failed(c.ctx, fmt.Errorf("backplane: publish a heartbeat: %w", err))
		return false
	}
}
