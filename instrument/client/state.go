package client

import (
	"fmt"

	"github.com/sockscope/sockscope/instrument"
)

// A State says how far the application's state of a stream can be trusted. Act on it only while the stream is Live.
type State uint8

// The states of a client and of each of its streams, the worst first. The client has the worst state of its streams.
const (
	// Closed is a client that does not run.
	Closed State = iota
	// Waiting is a client without a connection that waits before the next attempt.
	Waiting
	// Connecting is a client that connects or subscribes.
	Connecting
	// Reconciling is a stream whose events are held back until there is a snapshot, or whose handler has not yet
	// restored the snapshot and caught up with the events.
	Reconciling
	// Stale is a stream that has received nothing new for longer than expected.
	Stale
	// Live is a stream that is reconciled and carries events. The handler may lag by the length of the queue: see
	// Event.Received.
	Live
)

// String returns the name of the state in lower case.
func (s State) String() string {
	names := []string{"closed", "waiting", "connecting", "reconciling", "stale", "live"}
	if int(s) >= len(names) {
		return fmt.Sprintf("State(%d)", uint8(s))
	}
	return names[s]
}

// A Change is a change of the state of a stream, or of the client as a whole.
type Change struct {
	// Stream is the name of the stream. It is empty for the client as a whole.
	Stream string
	// From and To are the states before and after.
	From, To State
	// Err is the error that caused the change, if there was one.
	Err error
}

// State returns the state of the client, which is the worst state of its streams.
func (c *Client) State() State { return State(c.state.Load()) }

// StreamState returns the state of a stream. It changes as soon as the stream stops being live, even while earlier
// events are still queued. For a stream that is not registered it returns the state of a stream without snapshots.
func (c *Client) StreamState(name string) State {
	if st := c.streams[name]; st != nil {
		return State(st.state.Load())
	}
	return State(c.other.state.Load())
}

// enter moves one stream into a state. Only Run's goroutine calls it.
func (c *Client) enter(st *stream, to State, err error) {
	from := State(st.state.Swap(uint32(to)))
	if from == to {
		return
	}
	c.inState[from]--
	c.inState[to]++
	if st != c.other {
		c.changed(Change{Stream: st.Name, From: from, To: to, Err: err})
	}
	worst := Closed
	for c.inState[worst] == 0 {
		worst++
	}
	if from := State(c.state.Swap(uint32(worst))); from != worst {
		c.changed(Change{From: from, To: worst, Err: err})
	}
}

// enterAll moves every stream into a state.
func (c *Client) enterAll(to State, err error) {
	for _, st := range c.all {
		c.enter(st, to, err)
	}
}

func (c *Client) changed(change Change) {
	if c.config.stateChange == nil {
		return
	}
	if err := guarded(func() error { c.config.stateChange(change); return nil }); err != nil {
		c.failed(instrument.ErrorHandler, recordCallbackFailed, err)
	}
}
