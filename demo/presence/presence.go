package presence

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	defaultHeartbeat  = 5 * time.Second
	defaultMaxNodes   = 64
	defaultMaxMembers = 250_000
)

var (
	// ErrFull is wrapped by the errors for what would exceed MaxNodes or MaxMembers.
	ErrFull = errors.New("presence: limit reached")
	// ErrVersion is wrapped by the error of Receive for a message of another version of this package.
	ErrVersion = errors.New("presence: message of another version")
)

// Config says how a node takes part. Publish is required.
type Config struct {
	// Node names this node in its messages, at most 64 bytes, for people who read them. The identity of the node is
	// another one each time New is called, whatever the name.
	Node string
	// Publish sends a message to all nodes; this one may get it, too. Only Run calls it, one call at a time. An error
	// is for Publish itself to report; what wasn't sent is made good later.
	Publish func(ctx context.Context, data []byte) error
	// Changed is told when a user enters a room that they were in on no node, and when they have left it on all, as far
	// as this node knows. Calls come one at a time and in order, from whichever goroutine makes a change or finds one;
	// it should be quick. It may call the Presence. Nil is allowed.
	Changed func(Change)
	// Lost is told after other nodes are gone, whether they said goodbye or were given up: what they alone knew is to
	// be looked for elsewhere. It is called like Changed, after what it is told. Nil is allowed.
	Lost func()
	// Heartbeat is the time between two signs of life, 5 s by default. Lost messages are noticed as often.
	Heartbeat time.Duration
	// DeadAfter is how long a node may be silent before it is given up, three heartbeats by default.
	DeadAfter time.Duration
	// MaxNodes is how many other nodes are followed, 64 by default. Those that come later are ignored.
	MaxNodes int
	// MaxMembers is how many pairs of room and user there may be on each node, 250,000 by default. It bounds the number
	// of rooms as well, as no room is empty. All nodes should have the same.
	MaxMembers int
}

// Change is a user's first appearance in a room, or their last disappearance.
type Change struct {
	Room, User string
	Joined     bool // otherwise they left
}

// Presence is one node's view of who is where. It is safe for concurrent use.
type Presence struct {
	cfg  Config
	node string
	rev  uint64 // of what was published; only Run uses it

	mu    sync.Mutex
	rooms rooms // of all nodes
	own   map[membership]own
	dirty map[membership]struct{} // whose presence is not what was published
	peers map[string]*peer        // the other nodes
	gone  map[string]time.Time    // nodes that said goodbye, and when

	helloDue, heartbeatDue, snapshotDue bool
	snapshotSent                        time.Time

	changes    []Change // not yet told to Changed
	lost       bool     // not yet told to Lost
	delivering bool     // somebody is about to tell them
}

// membership is a user in a room.
type membership struct{ room, user string }

// own is a membership on this node.
type own struct {
	connections int
	published   bool // the others were told that it is there
}

// New returns the presence of a node on which nobody is yet. It fails if Publish is missing, if Node is too long, or if
// DeadAfter isn't longer than Heartbeat.
func New(cfg Config) (*Presence, error) {
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = defaultHeartbeat
	}
	if cfg.DeadAfter <= 0 {
		cfg.DeadAfter = 3 * cfg.Heartbeat
	}
	if cfg.MaxNodes <= 0 {
		cfg.MaxNodes = defaultMaxNodes
	}
	if cfg.MaxMembers <= 0 {
		cfg.MaxMembers = defaultMaxMembers
	}
	switch {
	case cfg.Publish == nil:
		return nil, errors.New("presence: Publish is missing: without it no other node learns who is here")
	case len(cfg.Node) > maxNodeName:
		return nil, fmt.Errorf("presence: Node is longer than %d bytes", maxNodeName)
	case cfg.DeadAfter <= cfg.Heartbeat:
		return nil, fmt.Errorf("presence: DeadAfter is %v, it has to be longer than Heartbeat, %v", cfg.DeadAfter, cfg.Heartbeat)
	}
	node := rand.Text()
	if cfg.Node != "" {
		node = cfg.Node + "." + node
	}
	return &Presence{
		cfg: cfg, node: node, rooms: make(rooms), own: make(map[membership]own), dirty: make(map[membership]struct{}),
		peers: make(map[string]*peer), gone: make(map[string]time.Time),
	}, nil
}

// Enter counts one more connection of the user in the room on this node. It fails on a name that is empty, longer than
// 256 bytes or not UTF-8, and with ErrFull when MaxMembers are there already. The others learn of it by Run.
func (p *Presence) Enter(room, user string) error {
	m := membership{room, user}
	if err := m.check(); err != nil {
		return fmt.Errorf("presence: %w", err)
	}
	p.mu.Lock()
	o, known := p.own[m]
	if !known && len(p.own) >= p.cfg.MaxMembers {
		p.mu.Unlock()
		return fmt.Errorf("%w: MaxMembers is %d; raise it on all nodes", ErrFull, p.cfg.MaxMembers)
	}
	o.connections++
	if o.connections == 1 {
		p.join(m)
	}
	p.setOwn(m, o)
	p.mu.Unlock()
	p.deliver()
	return nil
}

// Leave takes back one Enter. Without one it does nothing.
func (p *Presence) Leave(room, user string) {
	m := membership{room, user}
	p.mu.Lock()
	o := p.own[m]
	if o.connections > 0 {
		o.connections--
		if o.connections == 0 {
			p.leave(m)
		}
		p.setOwn(m, o)
	}
	p.mu.Unlock()
	p.deliver()
}

// setOwn notes what is the case on this node, and whether the others have to be told.
func (p *Presence) setOwn(m membership, o own) {
	present := o.connections > 0
	if present == o.published {
		delete(p.dirty, m)
	} else {
		p.dirty[m] = struct{}{}
	}
	if present || o.published {
		p.own[m] = o
	} else {
		delete(p.own, m)
	}
}

// Users returns the users of the room on all nodes, how many there are, and the names of the first of them, at most
// limit, in the order of their bytes. It costs what copying the names takes.
func (p *Presence) Users(room string, limit int) (names []string, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rooms.first(room, limit)
}

// join notes that the user is in the room on one more node.
func (p *Presence) join(m membership) {
	if p.rooms.add(m) {
		p.note(Change{Room: m.room, User: m.user, Joined: true})
	}
}

// leave notes that the user is in the room on one node less.
func (p *Presence) leave(m membership) {
	if p.rooms.remove(m) {
		p.note(Change{Room: m.room, User: m.user})
	}
}

func (p *Presence) note(c Change) {
	if p.cfg.Changed != nil {
		p.changes = append(p.changes, c)
	}
}

// deliver tells Changed and Lost what is to be told. One goroutine does so at a time, for all, since two could swap a
// user's coming and going; and it holds no lock meanwhile.
func (p *Presence) deliver() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.delivering {
		return
	}
	p.delivering = true
	defer func() { p.delivering = false }()
	for len(p.changes) > 0 || p.lost {
		changes, lost := p.changes, p.lost
		p.changes, p.lost = nil, false
		p.tell(changes, lost)
	}
}

func (p *Presence) tell(changes []Change, lost bool) {
	p.mu.Unlock()
	defer p.mu.Lock() // even if Changed panics
	for _, c := range changes {
		p.cfg.Changed(c)
	}
	if lost {
		p.cfg.Lost()
	}
}
