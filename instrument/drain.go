package instrument

import (
	"context"
	"fmt"
	"sync"
)

// maxClosing is how many connections Drain closes at a time. Closing one may wait for its peer.
const maxClosing = 256

// OnDrain sets the function that Drain and Observer.Drain call to close the connection. Adapters set it. It is called
// once, in a goroutine of its own. The connection has ended when Closed is called.
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

// Drain closes the connection for the reason shutdown, like Observer.Drain, so that its client reconnects. It does not
// wait for the peer. It does nothing and returns false if the adapter did not call OnDrain, or if the function of
// OnDrain was called before.
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

// Drain shuts the endpoint down gracefully. It sets Draining, closes all connections for the reason shutdown, including
// those that open meanwhile, and returns when none is open anymore. If ctx ends first, Drain returns the error of ctx
// and says how many connections are left. Call it before http.Server.Shutdown, which does not wait for WebSockets.
//
// Drain closes a connection by the function that its adapter gave to Conn.OnDrain. It only waits for a connection
// without such a function. A drained Observer stays drained: connections that open later are closed, too.
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
