package gorilla

import (
	"sync"
	"time"
)

// A readDeadline tells a deadline that passes from one that is set in the past, by which the application only wakes up
// the reader.
type readDeadline struct {
	mu    sync.Mutex
	at    time.Time
	woken bool
}

// SetReadDeadline sets the deadline of reads, see websocket.Conn.SetReadDeadline. A connection whose deadline passes has
// ended, because nothing was received in time. A deadline in the past only makes a read fail: the connection ends by what
// the application does then, a close frame, CloseFor or Close.
func (c *Conn) SetReadDeadline(t time.Time) error {
	d := &c.readDeadline
	d.mu.Lock()
	defer d.mu.Unlock()
	if !passed(t) {
		d.woken = false
	} else if !passed(d.at) {
		d.woken = true // otherwise time was up before
	}
	d.at = t
	return c.Conn.SetReadDeadline(t)
}

func (d *readDeadline) wakes() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.woken
}

func passed(deadline time.Time) bool {
	return !deadline.IsZero() && time.Until(deadline) <= 0
}
