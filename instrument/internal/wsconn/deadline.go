package wsconn

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// A deadline of reads remembers what it was set for.
type deadline struct {
	mu       sync.Mutex
	at       time.Time
	woken    bool // it was set in the past to wake up the reader
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

// isDeadline reports whether a deadline has passed. A timeout of TCP is a different error.
func isDeadline(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// isClosed reports whether this side has closed the connection.
func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }
