package presence

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

const (
	// flushEvery is how long changes are gathered for one message. A thousand connections that open at once are told of
	// together.
	flushEvery = 50 * time.Millisecond
	// byeTimeout is how long the end may take.
	byeTimeout = 2 * time.Second
)

// Run asks the others who is there, and tells them who is here, until ctx is done; it then says goodbye, which takes at
// most two seconds, so that the others needn't wait until they give this node up. It is to be called once.
func (p *Presence) Run(ctx context.Context) {
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	heartbeat := time.NewTicker(p.cfg.Heartbeat)
	defer heartbeat.Stop()
	p.Resync()
	for {
		p.flush(ctx)
		select {
		case <-ctx.Done():
			p.bye(context.WithoutCancel(ctx))
			return
		case <-heartbeat.C:
			p.mu.Lock()
			p.heartbeatDue = true
			p.mu.Unlock()
		case <-flush.C:
		}
	}
}

// Resync makes Run ask all nodes for a sign of life at once, and so for what was missed. It is to be called when
// messages can be exchanged again after they could not for a while; the next heartbeats would do the same, later.
func (p *Presence) Resync() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.helloDue = true
}

// flush publishes what is due, in the order of the revisions.
func (p *Presence) flush(ctx context.Context) {
	due := p.collectDue(time.Now())
	p.deliver()
	var messages []message
	for _, changes := range split(due.changes) {
		p.rev++
		m := message{Kind: kindUpdate, Rev: p.rev}
		m.list(changes)
		messages = append(messages, m)
	}
	if due.snapshot {
		messages = append(messages, p.snapshot(due.members)...)
	}
	for _, m := range due.signs {
		m.Rev = p.rev
		messages = append(messages, m)
	}
	for _, m := range messages {
		// After an error the rest would only take time: the others see the gap and ask.
		if err := p.publish(ctx, m); err != nil {
			return
		}
	}
}

// due is what is to be published.
type due struct {
	changes  []change
	snapshot bool
	members  []change // of the snapshot
	signs    []message
}

// collectDue gives up silent nodes and takes what there is to say.
func (p *Presence) collectDue(now time.Time) due {
	// Asking and answering more often than this would repeat what is under way.
	patience := p.cfg.Heartbeat / 5
	var d due
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire(now)
	for m := range p.dirty {
		o := p.own[m]
		o.published = o.connections > 0
		d.changes = append(d.changes, change{m, o.published})
		p.setOwn(m, o)
	}
	if p.snapshotDue && now.Sub(p.snapshotSent) >= patience {
		p.snapshotDue, p.snapshotSent, d.snapshot = false, now, true
		d.members = make([]change, 0, len(p.own))
		for m := range p.own { // which all are published by now
			d.members = append(d.members, change{m, true})
		}
	}
	switch {
	case p.helloDue:
		d.signs = append(d.signs, message{Kind: kindHello})
	case p.heartbeatDue:
		d.signs = append(d.signs, message{Kind: kindHeartbeat})
	}
	p.helloDue, p.heartbeatDue = false, false
	for node, q := range p.peers {
		if q.rev < q.newest && now.Sub(q.asked) >= patience {
			q.asked = now
			d.signs = append(d.signs, message{Kind: kindAsk, Of: node})
		}
	}
	return d
}

// snapshot returns the parts of a snapshot of all who are here.
func (p *Presence) snapshot(members []change) []message {
	parts := split(members)
	if len(parts) == 0 {
		parts = [][]change{nil} // nobody, which is to be told as well
	}
	messages := make([]message, len(parts))
	for i, part := range parts {
		messages[i] = message{Kind: kindSnapshot, Rev: p.rev, Part: i, Parts: len(parts)}
		messages[i].list(part)
	}
	return messages
}

func (p *Presence) bye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, byeTimeout)
	defer cancel()
	_ = p.publish(ctx, message{Kind: kindBye, Rev: p.rev}) // without it the others wait for DeadAfter
}

func (p *Presence) publish(ctx context.Context, m message) error {
	m.Version, m.Node = version, p.node
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("presence: encode a message: %w", err)
	}
	return p.cfg.Publish(ctx, data)
}
