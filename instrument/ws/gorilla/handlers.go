package gorilla

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

// SetPingHandler sets the application's handler for pings, see websocket.Conn.SetPingHandler. The default answers with
// a pong, and an answer that cannot be written is counted as a failed write.
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
	c.pings.answered(data)
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
