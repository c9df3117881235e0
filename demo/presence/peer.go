package presence

import (
	"fmt"
	"time"
)

// peer is what is known of another node.
type peer struct {
	rev     uint64 // what members is as of
	newest  uint64 // what the node is known to be at
	members map[membership]struct{}
	heard   time.Time
	asked   time.Time // for a snapshot
	partial partial
}

// partial is a snapshot of which some parts are still missing.
type partial struct {
	rev     uint64
	of      int // parts
	parts   map[int]map[string][]string
	members int // in parts
}

// Receive takes a message that a node published. The error says why it was ignored; another node's mistake does no
// harm. This node's own messages are ignored without one.
func (p *Presence) Receive(data []byte) error {
	m, err := decode(data)
	if err != nil || m.Node == p.node {
		return err
	}
	p.mu.Lock()
	err = p.receive(m, time.Now())
	p.mu.Unlock()
	p.deliver()
	return err
}

func (p *Presence) receive(m message, now time.Time) error {
	if _, gone := p.gone[m.Node]; gone {
		return nil // it was overtaken by the goodbye
	}
	if m.Kind == kindBye {
		p.bury(m.Node)
		p.remember(m.Node, now)
		return nil
	}
	q, ok := p.peers[m.Node]
	if !ok {
		if len(p.peers) >= p.cfg.MaxNodes {
			return fmt.Errorf("%w: MaxNodes is %d; raise it on all nodes", ErrFull, p.cfg.MaxNodes)
		}
		q = &peer{members: make(map[membership]struct{})}
		p.peers[m.Node] = q
	}
	q.heard = now
	q.newest = max(q.newest, m.Rev)
	switch m.Kind {
	case kindHello:
		p.heartbeatDue = true
	case kindAsk:
		p.snapshotDue = p.snapshotDue || m.Of == p.node
	case kindUpdate:
		return p.update(q, m)
	case kindSnapshot:
		return p.collect(q, m)
	}
	return nil
}

// update applies a message that follows what is known. Any other is old, or comes after a gap that only a snapshot
// fills.
func (p *Presence) update(q *peer, m message) error {
	if q.rev+1 != m.Rev {
		return nil
	}
	if len(q.members)+count(m.Entered) > p.cfg.MaxMembers {
		return p.tooMany()
	}
	q.rev = m.Rev
	if q.partial.rev <= q.rev {
		q.partial = partial{}
	}
	for room, users := range m.Entered {
		for _, user := range users {
			p.enterOn(q, membership{room, user})
		}
	}
	for room, users := range m.Left {
		for _, user := range users {
			p.leaveOn(q, membership{room, user})
		}
	}
	return nil
}

// collect keeps a part of a snapshot, and takes the whole over once all parts are there.
func (p *Presence) collect(q *peer, m message) error {
	if m.Rev == q.rev {
		q.newest = m.Rev // whatever was said of newer ones, this is where the node is
	}
	if m.Rev <= q.rev || m.Rev < q.partial.rev {
		return nil
	}
	if m.Rev > q.partial.rev || m.Parts != q.partial.of {
		q.partial = partial{rev: m.Rev, of: m.Parts, parts: make(map[int]map[string][]string)}
	}
	s := &q.partial
	if _, again := s.parts[m.Part]; again {
		return nil
	}
	s.members += count(m.Entered)
	if s.members > p.cfg.MaxMembers {
		q.partial = partial{}
		return p.tooMany()
	}
	s.parts[m.Part] = m.Entered
	if len(s.parts) == s.of {
		p.restore(q)
	}
	return nil
}

// restore replaces what is known of a node by the snapshot.
func (p *Presence) restore(q *peer) {
	members := make(map[membership]struct{}, q.partial.members)
	for _, part := range q.partial.parts {
		for room, users := range part {
			for _, user := range users {
				m := membership{room, user}
				members[m] = struct{}{}
				p.enterOn(q, m)
			}
		}
	}
	for m := range q.members {
		if _, still := members[m]; !still {
			p.leaveOn(q, m)
		}
	}
	q.rev, q.partial = q.partial.rev, partial{}
}

func (p *Presence) enterOn(q *peer, m membership) {
	if _, ok := q.members[m]; !ok {
		q.members[m] = struct{}{}
		p.join(m)
	}
}

func (p *Presence) leaveOn(q *peer, m membership) {
	if _, ok := q.members[m]; ok {
		delete(q.members, m)
		p.leave(m)
	}
}

// bury forgets a node and all who are on it.
func (p *Presence) bury(node string) {
	q, ok := p.peers[node]
	if !ok {
		return
	}
	for m := range q.members {
		p.leave(m)
	}
	delete(p.peers, node)
	p.lost = p.cfg.Lost != nil
}

// remember notes who said goodbye, since messages from before may still come. There is room for as many as there may be
// nodes; the oldest goes first.
func (p *Presence) remember(node string, now time.Time) {
	if len(p.gone) >= p.cfg.MaxNodes {
		oldest, at := node, now
		for n, t := range p.gone {
			if !t.After(at) {
				oldest, at = n, t
			}
		}
		delete(p.gone, oldest)
	}
	p.gone[node] = now
}

// expire gives up nodes that have been silent for too long.
func (p *Presence) expire(now time.Time) {
	for node, q := range p.peers {
		if now.Sub(q.heard) >= p.cfg.DeadAfter {
			p.bury(node)
		}
	}
	for node, at := range p.gone {
		if now.Sub(at) >= p.cfg.DeadAfter {
			delete(p.gone, node)
		}
	}
}

func (p *Presence) tooMany() error {
	return fmt.Errorf("%w: another node has more than MaxMembers, %d here; it has to be the same on all nodes",
		ErrFull, p.cfg.MaxMembers)
}

func count(names map[string][]string) int {
	n := 0
	for _, users := range names {
		n += len(users)
	}
	return n
}
