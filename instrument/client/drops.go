package client

import "time"

const (
	// A stream is no longer trusted after droppedEvents useless events in a row over at least droppedFor.
	droppedEvents = 3
	droppedFor    = time.Second
)

// drops counts a run of useless events or messages, because traffic does not prove health.
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
