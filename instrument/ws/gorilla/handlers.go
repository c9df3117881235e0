package gorilla

import (
	"sync"

	"github.com/sockscope/sockscope/instrument"
)

// SetPongHandler sets the application's handler for pongs, see websocket.Conn.SetPongHandler. It is called after the
// round trip time has been taken.
func (c *Conn) SetPongHandler(h func(data string) error) {
	if h == nil {
		h = func(string) error { return nil }
	}
	c.handlePong = h
}

// PongHandler returns the application's handler for pongs.
func (c *Conn) PongHandler() func(data string) error { return c.handlePong }

// SetPingHandler sets the application's handler for pings, see websocket.Conn.SetPingHandler. The default answers with a
// pong, and an answer that cannot be written is counted as a failed write.
func (c *Conn) SetPingHandler(h func(data string) error) {
	if h == nil {
		h = c.defaultPing
	}
	c.handlePing = h
}

// PingHandler returns the application's handler for pings.
func (c *Conn) PingHandler() func(data string) error { return c.handlePing }

// SetCloseHandler sets the application's handler for the peer's close frame, see websocket.Conn.SetCloseHandler. It is
// called after the reason has been taken note of.
func (c *Conn) SetCloseHandler(h func(code int, text string) error) {
	if h == nil {
		h = c.defaultClose
	}
	c.handleClose = h
}

// CloseHandler returns the application's handler for close frames.
func (c *Conn) CloseHandler() func(code int, text string) error { return c.handleClose }

func (c *Conn) pong(data string) error {
	c.pings.answered()
	return c.handled(c.handlePong(data))
}

func (c *Conn) ping(data string) error {
	return c.handled(c.handlePing(data))
}

func (c *Conn) close(code int, text string) error {
	c.closing(remote(code))
	return c.handled(c.handleClose(code, text))
}

// handled takes note of an error by which a handler makes reading fail.
func (c *Conn) handled(err error) error {
	switch {
	case err == nil:
	case isNetworkError(err):
		c.written(err)
	default:
		cause := c.cutCause()
		cause.Err = err
		c.closing(cause)
	}
	return err
}

// maxPings is how many unanswered pings of one connection are remembered; more are not observed.
const maxPings = 64

// pings are the unanswered ones, oldest first.
type pings struct {
	mu  sync.Mutex
	out []instrument.Ping
}

func (p *pings) begin(session *instrument.Conn) instrument.Ping {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.out) == maxPings {
		return instrument.Ping{}
	}
	ping := session.Ping()
	p.out = append(p.out, ping)
	return ping
}

// answered ends the oldest ping.
func (p *pings) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.out) > 0 {
		p.take(0).End(instrument.PingPong)
	}
}

// fail ends a ping that could not be written.
func (p *pings) fail(ping instrument.Ping) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.out {
		if p.out[i] == ping {
			p.take(i).End(instrument.PingError)
			return
		}
	}
}

// timeOut ends all pings as unanswered and says whether there were any.
func (p *pings) timeOut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ping := range p.out {
		ping.End(instrument.PingTimeout)
	}
	some := len(p.out) > 0
	p.out = nil
	return some
}

// forget drops the pings of a connection that has ended for another reason.
func (p *pings) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ping := range p.out {
		ping.Forget()
	}
	p.out = nil
}

func (p *pings) take(i int) instrument.Ping {
	ping := p.out[i]
	p.out = append(p.out[:i], p.out[i+1:]...)
	return ping
}
