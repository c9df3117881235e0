package client

import "time"

const (
	// droppedEvents and droppedFor are for how many events in a row, and how long, nothing of what comes may be of use
	// until a stream is no longer trusted.
	droppedEvents = 3
	droppedFor    = time.Second
)

// drops follows a run of events, or messages, of which none was of use: that something comes is no proof of health.
type drops struct {
	n     int
	since time.Time
}

// add adds one to the run and says whether it is too long.
func (d *drops) add(at time.Time) (tooLong bool) {
	if d.n == 0 {
		d.since = at
	}
	d.n++
	return d.n >= droppedEvents && at.Sub(d.since) >= droppedFor
}

// end ends the run.
func (d *drops) end() { d.n = 0 }
