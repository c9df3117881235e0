package wsconn

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// A deadline of reads knows what it was set for.
type deadline struct {
	mu       sync.Mutex
	at       time.Time
	woken    bool // it was set in the past, in order to wake up the reader
	lifetime bool // frames have arrived before it
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !passed(t) {
		d.woken, d.lifetime = false, false
	} else if !passed(d.at) {
		d.woken = true // otherwise time was up before
	}
	d.at = t
}

// met notes that a frame has arrived.
func (d *deadline) met() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lifetime = d.lifetime || !d.at.IsZero()
}

func (d *deadline) wakes() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.woken
}

func (d *deadline) isLifetime() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lifetime
}

func passed(t time.Time) bool { return !t.IsZero() && time.Until(t) <= 0 }

// isDeadline tells a deadline that has passed from a timeout of TCP.
func isDeadline(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// isClosed tells the error of a connection that this side has closed.
func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }
