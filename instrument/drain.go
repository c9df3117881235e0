package instrument

import (
	"context"
	"fmt"
	"sync"
)

// maxClosing is how many connections Drain closes at a time. Closing one may wait for its peer.
const maxClosing = 256

// OnDrain sets the function by which Drain and Observer.Drain ask the connection to close. Adapters set it. It is called once, in
// a goroutine of its own; the connection has ended when Closed is called.
func (c *Conn) OnDrain(shut func()) {
	if !c.live() || shut == nil {
		return
	}
	c.drain.Store(&shut)
	if c.observer.drains.Load() { // and has perhaps asked all others already
		go c.askToClose()
	}
}

func (c *Conn) askToClose() {
	if shut := c.drain.Swap(nil); shut != nil {
		(*shut)()
	}
}

// Drain closes the connection as Observer.Drain closes all: for the reason shutdown, so that its client comes back. It
// does not wait for the peer. It returns false, and does nothing, if the adapter has set no function by OnDrain or that
// function was called before.
func (c *Conn) Drain() bool {
	if !c.live() {
		return false
	}
	shut := c.drain.Swap(nil)
	if shut == nil {
		return false
	}
	go (*shut)()
	return true
}

// Drain shuts the endpoint down gracefully: it sets Draining, closes all connections for the reason shutdown, those
// that open meanwhile too, and returns when none is open anymore. If ctx ends first, Drain returns its error and tells
// how many connections are left. Call it before http.Server.Shutdown, which does not wait for WebSockets.
//
// A connection closes by the function that its adapter has given to Conn.OnDrain. Drain only waits for one without.
// An Observer that was drained stays so: connections that open later are closed, too.
func (o *Observer) Drain(ctx context.Context) error {
	if !o.live() {
		return nil
	}
	o.SetDraining(true)
	o.drains.Store(true)
	var closing sync.WaitGroup
	slots := make(chan struct{}, maxClosing)
	for c := range o.conns.all() {
		if c.drain.Load() == nil {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return o.leftOpen(ctx)
		}
		closing.Go(func() {
			defer func() { <-slots }()
			c.askToClose()
		})
	}
	for o.active.Load() > 0 {
		select {
		case <-o.empty:
		case <-ctx.Done():
			return o.leftOpen(ctx)
		}
	}
	o.nowEmpty() // for another Drain that waits
	closing.Wait()
	return nil
}

func (o *Observer) leftOpen(ctx context.Context) error {
	return fmt.Errorf("instrument: drain %s: %d connections are still open: %w", o.namespace, o.active.Load(), context.Cause(ctx))
}

// left notes that a connection has closed.
func (o *Observer) left() {
	if o.active.Add(-1) == 0 && o.drains.Load() {
		o.nowEmpty()
	}
}

// nowEmpty wakes up one Drain, which wakes up the next.
func (o *Observer) nowEmpty() {
	select {
	case o.empty <- struct{}{}:
	default:
	}
}
