package inbox

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
)

// State is the state of an alert.
type State string

// The zero State is that of an alert nothing is known of.
const (
	StateOpen         State = "open"
	StateAcknowledged State = "acknowledged"
	StateResolved     State = "resolved"
	StateDropped      State = "dropped" // only ever resolved, never triggered
	StateMessage      State = "message"
)

// after returns the state once a notification had the given outcome.
func (s State) after(o Outcome) State {
	switch o {
	case Opened:
		return StateOpen
	case Acknowledged:
		return StateAcknowledged
	case Resolved:
		return StateResolved
	case Shown:
		return StateMessage
	case Repeated:
		if s == StateAcknowledged {
			return s // a repeated trigger does not take back an acknowledgement
		}
		return StateOpen
	}
	if s == "" {
		return StateDropped
	}
	return s
}

// Group is an alert and the notifications about it, newest first.
type Group struct {
	ID     string // stays the same while the alert is kept
	State  State
	Latest Notification
	Events []Notification
}

// Open tells whether somebody may still have to act.
func (g Group) Open() bool { return g.State == StateOpen || g.State == StateAcknowledged }

// View is the inbox as a person wants to see it.
type View struct {
	Open       []Group // longest open last
	Closed     []Group // newest first
	Rejected   []Notification
	Heartbeats []Heartbeat
	Started    time.Time // since when this inbox has been listening
	DiskError  string    // why notifications are kept in memory only, if they are
}

// View groups what is kept. Bodies are left out.
func (in *Inbox) View() View {
	all := in.Notifications()
	in.mu.Lock()
	v := View{Started: in.started}
	if in.journal != nil && in.journal.err != nil {
		v.DiskError = in.journal.err.Error()
	}
	in.mu.Unlock()

	groups := map[string]*Group{}
	var order []*Group // by newest notification
	for _, n := range all {
		if !n.Accepted {
			v.Rejected = append(v.Rejected, n)
			continue
		}
		g := groups[n.groupID()]
		if g == nil {
			g = &Group{ID: anchor(n.groupID()), Latest: n}
			groups[n.groupID()] = g
			order = append(order, g)
		}
		g.Events = append(g.Events, n)
	}
	for _, g := range order {
		for _, n := range slices.Backward(g.Events) {
			g.State = g.State.after(n.Outcome)
		}
		switch {
		case g.Latest.Alert == HeartbeatAlert:
			v.Heartbeats = append(v.Heartbeats, newHeartbeat(*g, v.Started, time.Now()))
		case g.Open():
			v.Open = append(v.Open, *g)
		default:
			v.Closed = append(v.Closed, *g)
		}
	}
	// By what does not change with every repetition, so that nothing jumps about.
	slices.SortStableFunc(v.Open, func(a, b Group) int { return b.Latest.Since.Compare(a.Latest.Since) })
	return v
}

// anchor makes an identifier for pages out of a group's.
func anchor(groupID string) string {
	sum := sha256.Sum256([]byte(groupID))
	return "alert-" + hex.EncodeToString(sum[:6])
}
