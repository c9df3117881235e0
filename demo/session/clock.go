package session

import (
	"math/rand/v2"
	"time"

	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// expiryWarning is how long before its end a client is told to renew its token, if that is not more than half of what
// is left of it.
const expiryWarning = time.Minute

// clock says what a session has to do when, with one timer for all of it.
type clock struct {
	timer *time.Timer

	ping    time.Time // next
	login   time.Time // by when a token has to have come; zero when one has
	warning time.Time // of the token's end; zero when it was given
	expired time.Time // zero until there is a token
}

// expiry sets when the token ends.
func (k *clock) expiry(at time.Time) {
	k.expired, k.warning = at, at.Add(-min(expiryWarning, max(0, time.Until(at)/2)))
}

// next returns when there is something to do.
func (k *clock) next() time.Time {
	at := k.ping
	for _, t := range []time.Time{k.login, k.warning, k.expired} {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	return at
}

// Expires returns when the session's token ends, the zero time while there is none and once it has ended.
func (c *Session) Expires() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock.expired
}

// Expire has the session's token end at that time, whatever it says itself. Without a token nothing changes.
func (c *Session) Expire(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.clock.expired.IsZero() { // else there is no token yet, or the end has come
		c.clock.expiry(at)
		c.reschedule()
	}
}

// startClock begins at a random moment, so that clients that came all at once are not pinged all at once.
func (c *Session) startClock() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.clock.ping = now.Add(rand.N(c.sessions.cfg.Heartbeat))
	c.clock.login = now.Add(c.sessions.cfg.LoginTimeout)
	c.background.Add(1)
	c.clock.timer = time.AfterFunc(time.Until(c.clock.next()), c.tick)
}

// reschedule has the clock tick when there is something to do. The session's lock is held.
func (c *Session) reschedule() {
	if !c.ended && c.clock.timer.Stop() { // or it is ticking, and will look itself
		c.clock.timer.Reset(time.Until(c.clock.next()))
	}
}

func (c *Session) stopClock() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.clock.timer.Stop() {
		c.background.Done()
	}
}

// tick does what is due and sets the timer anew.
func (c *Session) tick() {
	c.onTime(time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		c.background.Done()
		return
	}
	c.clock.timer.Reset(time.Until(c.clock.next()))
}

func (c *Session) onTime(now time.Time) {
	c.mu.Lock()
	due := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	login, expired := due(c.clock.login), due(c.clock.expired)
	warn, ping := due(c.clock.warning), due(c.clock.ping)
	expires := c.clock.expired
	if ping {
		c.clock.ping = now.Add(c.sessions.cfg.Heartbeat)
	}
	if warn {
		c.clock.warning = time.Time{}
	}
	if login || expired {
		c.clock.login, c.clock.expired = time.Time{}, time.Time{}
	}
	c.mu.Unlock()

	switch {
	case login:
		c.link.Close(instrument.ReasonPolicy, "no token has come in time")
	case expired:
		c.link.Close(instrument.ReasonTokenExpired, "the token has expired")
	case c.idle(now):
		c.link.Close(instrument.ReasonIdleTimeout, "nothing was said for too long")
	default:
		if warn {
			use.Send(c, wire.TypeTokenExpiring, wire.TokenExpiringPayload{Expires: expires})
		}
		if ping {
			c.link.Ping()
		}
	}
}

// expired reports whether the token has ended, even if the connection has yet to.
func (c *Session) expired(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.clock.expired.IsZero() && !now.Before(c.clock.expired)
}

// idle reports whether the client has said nothing for longer than it may.
func (c *Session) idle(now time.Time) bool {
	limit := c.sessions.cfg.IdleTimeout
	if limit <= 0 {
		return false
	}
	stats := c.conn.Stats()
	last := stats.LastReceived
	if last.IsZero() {
		last = stats.Opened
	}
	return now.Sub(last) > limit
}
