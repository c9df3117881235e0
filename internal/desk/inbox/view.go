package inbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
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

// Channel is a way by which an alert was told, and what its receiver knows of it.
type Channel struct {
	Source   Source    `json:"source"`
	Receiver string    `json:"receiver,omitempty"`
	State    State     `json:"state"`
	Received time.Time `json:"received"` // the last notification about the alert
}

// Group is an alert and the notifications about it, newest first, by whichever channels they came.
type Group struct {
	ID       string // stays the same while the alert is kept
	Subject  Subject
	State    State
	Channels []Channel // in the order in which they were first used
	Since    time.Time // when it opened
	Count    int       // notifications since then
	Latest   Notification
	Events   []Notification
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

	b := builder{groups: map[string]*Group{}, known: map[string][]string{}}
	for _, n := range slices.Backward(all) {
		if n.Accepted {
			b.add(n)
		}
	}
	for _, n := range all {
		if !n.Accepted {
			v.Rejected = append(v.Rejected, n)
		}
	}
	now := time.Now()
	for _, g := range b.groups {
		slices.Reverse(g.Events)
		switch {
		case g.Latest.Alert == HeartbeatAlert:
			v.Heartbeats = append(v.Heartbeats, newHeartbeat(*g, v.Started, now))
		case g.Open():
			v.Open = append(v.Open, *g)
		default:
			v.Closed = append(v.Closed, *g)
		}
	}
	slices.SortFunc(v.Heartbeats, func(a, b Heartbeat) int { return newer(a.Group, b.Group) })
	slices.SortFunc(v.Closed, newer)
	// By what does not change with every repetition, so that nothing jumps about.
	slices.SortFunc(v.Open, func(a, b Group) int {
		return cmp.Or(b.Since.Compare(a.Since), strings.Compare(a.ID, b.ID))
	})
	return v
}

func newer(a, b Group) int {
	return cmp.Or(b.Latest.Received.Compare(a.Latest.Received), strings.Compare(a.ID, b.ID))
}

// builder puts notifications together by the alerts that they are about.
type builder struct {
	groups map[string]*Group   // by alert
	known  map[string][]string // the alerts that a receiver was told of under one key
}

// add takes the next notification, the oldest one first. One that covers several alerts belongs to each of them. One
// that names none, as an acknowledgement, is about those that were named before it under its key.
func (b *builder) add(n Notification) {
	key := n.groupID()
	over := map[string]bool{}
	subjects := map[string]Subject{}
	var about []string
	name := func(list []Subject, resolved bool) {
		for _, s := range list {
			id := "\x00" + s.Alert + "\x00" + s.Of
			if _, twice := subjects[id]; !twice {
				about = append(about, id)
			}
			subjects[id] = s
			over[id] = resolved
		}
	}
	name(n.Resolved, true)
	name(n.Firing, false)
	if len(about) == 0 || n.Event == Resolve {
		for _, id := range b.known[key] {
			if _, named := subjects[id]; !named {
				about = append(about, id)
			}
		}
	}
	if len(about) == 0 {
		about = []string{key}
	}
	for _, id := range about {
		g := b.groups[id]
		if g == nil {
			g = &Group{ID: anchor(id), Subject: subjects[id]}
			b.groups[id] = g
		}
		g.take(n, over[id])
	}
	if n.Event == Resolve {
		delete(b.known, key)
		return
	}
	for _, id := range about {
		if !slices.Contains(b.known[key], id) {
			b.known[key] = append(b.known[key], id)
		}
	}
}

// take adds a notification to its alert. Over is whether it says that this alert has ended, while others that it covers
// have not.
func (g *Group) take(n Notification, over bool) {
	wasOpen := g.Open()
	i := slices.IndexFunc(g.Channels, func(c Channel) bool { return c.Source == n.Source && c.Receiver == n.Receiver })
	if i < 0 {
		i = len(g.Channels)
		g.Channels = append(g.Channels, Channel{Source: n.Source, Receiver: n.Receiver})
	}
	c := &g.Channels[i]
	c.Received = n.Received
	if over {
		c.State = StateResolved
	} else {
		c.State = c.State.after(n.Outcome)
	}
	g.State = together(g.Channels)
	g.Count++
	if g.Open() && !wasOpen {
		g.Since, g.Count = n.Received, 1
	} else if g.Since.IsZero() {
		g.Since = n.Received
	}
	// A notification about this alert alone describes it better than one about several.
	if g.Latest.ID == "" || len(n.Firing)+len(n.Resolved) <= 1 || len(g.Latest.Firing)+len(g.Latest.Resolved) > 1 {
		g.Latest = n
	}
	g.Events = append(g.Events, n)
}

// together is the state of an alert whose channels have these. Somebody has to act as long as any of them is open,
// unless it was acknowledged by one.
func together(channels []Channel) State {
	for _, state := range []State{StateAcknowledged, StateOpen, StateResolved, StateMessage} {
		if slices.ContainsFunc(channels, func(c Channel) bool { return c.State == state }) {
			return state
		}
	}
	return StateDropped
}

// anchor makes an identifier for pages out of a group's.
func anchor(groupID string) string {
	sum := sha256.Sum256([]byte(groupID))
	return "alert-" + hex.EncodeToString(sum[:6])
}
