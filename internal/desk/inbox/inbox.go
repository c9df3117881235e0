package inbox

import (
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Limits on the whole inbox.
const (
	maxKept     = 1000
	maxBytes    = 8 << 20
	maxPerGroup = 20  // a heartbeat every few seconds must not displace an alert
	maxRejected = 100 // neither must a flood of rubbish
)

// Inbox takes notifications and keeps the newest of them. It is safe for concurrent use.
type Inbox struct {
	log     *slog.Logger
	started time.Time

	mu      sync.Mutex
	kept    []entry // oldest first
	bytes   int
	journal *journal // nil when nothing is kept on disk
}

// entry is a notification as it is kept, with what every look at it needs.
type entry struct {
	Notification
	group string
	size  int
}

// Open returns an inbox with what an earlier one left in the directory. An empty directory name means to keep nothing
// on disk.
func Open(dir string, log *slog.Logger) (*Inbox, error) {
	in := &Inbox{log: log, started: time.Now()}
	if dir == "" {
		return in, nil
	}
	journal, err := openJournal(dir)
	if err != nil {
		return nil, fmt.Errorf("open the inbox's journal: %w", err)
	}
	in.journal = journal
	unreadable, err := journal.load(func(n Notification) {
		n.clamp()
		in.keep(n)
	})
	if err != nil {
		journal.close()
		return nil, fmt.Errorf("read the inbox's journal: %w", err)
	}
	if unreadable > 0 {
		log.Warn("skipped lines of the inbox's journal that could not be read", "lines", unreadable)
	}
	return in, nil
}

// Close stops writing to disk. The inbox can still be read.
func (in *Inbox) Close() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.journal == nil {
		return nil
	}
	return in.journal.close()
}

// Add takes a notification that a receiver accepted or rejected, works out what it does to its alert, and returns it as
// it was kept. It always succeeds: a disk that can't be written costs the copy on disk only.
func (in *Inbox) Add(n Notification) Notification {
	n.ID = uuid.NewString()
	n.Received = time.Now()
	if n.Accepted && n.Key == "" {
		n.Key = n.ID
	}
	n.clamp()

	in.mu.Lock()
	defer in.mu.Unlock()
	if n.Accepted {
		in.relate(&n)
	}
	in.keep(n)
	if in.journal != nil {
		in.journal.append(n, in.all, in.log)
	}
	return n
}

// relate sets outcome, Since and Count from the state of the alert so far.
func (in *Inbox) relate(n *Notification) {
	state, last := in.state(n.groupID())
	open := state == StateOpen || state == StateAcknowledged
	switch {
	case n.Event == Message:
		n.Outcome = Shown
	case n.Event == Trigger && open:
		n.Outcome = Repeated
	case n.Event == Trigger:
		n.Outcome = Opened
	case !open:
		n.Outcome = Dropped
	case n.Event == Acknowledge:
		n.Outcome = Acknowledged
	default:
		n.Outcome = Resolved
	}
	n.Since, n.Count = n.Received, 1
	if open {
		n.Since, n.Count = last.Since, last.Count+1
	}
}

// state returns the state of an alert and the last notification about it.
func (in *Inbox) state(group string) (State, Notification) {
	var state State
	var last Notification
	for _, e := range in.kept {
		if e.Accepted && e.group == group {
			state, last = state.after(e.Outcome), e.Notification
		}
	}
	return state, last
}

// isOpen tells whether a receiver was told of an alert that is not over.
func (in *Inbox) isOpen(group string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	state, _ := in.state(group)
	return state == StateOpen || state == StateAcknowledged
}

// keep appends a notification and drops what is then too much.
func (in *Inbox) keep(n Notification) {
	added := entry{n, n.groupID(), n.size()}
	in.kept = append(in.kept, added)
	in.bytes += added.size
	same := func(e entry) bool { return e.Accepted && e.group == added.group }
	limit := maxPerGroup
	if !n.Accepted {
		same = func(e entry) bool { return !e.Accepted }
		limit = maxRejected
	}
	if count(in.kept, same) > limit {
		in.drop(slices.IndexFunc(in.kept, same))
	}
	for len(in.kept) > maxKept || in.bytes > maxBytes {
		in.drop(in.leastWanted())
	}
}

// leastWanted returns the index of the oldest notification that is not the last word on an open alert, so that what is
// over goes before what is not.
func (in *Inbox) leastWanted() int {
	last := map[string]int{}
	states := map[string]State{}
	for i, e := range in.kept {
		if e.Accepted {
			last[e.group], states[e.group] = i, states[e.group].after(e.Outcome)
		}
	}
	for i, e := range in.kept {
		state := states[e.group]
		if !e.Accepted || last[e.group] != i || state != StateOpen && state != StateAcknowledged {
			return i
		}
	}
	return 0
}

func (in *Inbox) drop(i int) {
	in.bytes -= in.kept[i].size
	in.kept = slices.Delete(in.kept, i, i+1)
}

// Notifications returns what is kept, newest first, without the bodies.
func (in *Inbox) Notifications() []Notification {
	in.mu.Lock()
	defer in.mu.Unlock()
	list := make([]Notification, 0, len(in.kept))
	for _, e := range slices.Backward(in.kept) {
		e.Body = ""
		list = append(list, e.Notification)
	}
	return list
}

// Notification returns one notification with its body. The error is fs.ErrNotExist when it is unknown or was displaced
// by newer ones.
func (in *Inbox) Notification(id string) (Notification, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	i := slices.IndexFunc(in.kept, func(e entry) bool { return e.ID == id })
	if i < 0 {
		return Notification{}, fs.ErrNotExist
	}
	return in.kept[i].Notification, nil
}

// all hands out every notification, oldest first.
func (in *Inbox) all(yield func(Notification) bool) {
	for _, e := range in.kept {
		if !yield(e.Notification) {
			return
		}
	}
}

func count(list []entry, is func(entry) bool) int {
	total := 0
	for _, e := range list {
		if is(e) {
			total++
		}
	}
	return total
}
