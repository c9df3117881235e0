package main

import (
	"context"
	"sync"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/backplane"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// channel is where the nodes publish to each other what is said in the room.
const channel = "room:lobby"

// A room passes what one of its members says on to all of them, here and on the other nodes.
type room struct {
	observer *instrument.Observer
	others   *backplane.Backplane

	mu      sync.Mutex
	members map[*member]struct{} // those who are connected to this node
}

// A member is a connection and what waits to be sent to it.
type member struct {
	conn  *coder.Conn
	queue chan outgoing
}

type outgoing struct {
	payload  []byte
	delivery instrument.Delivery
}

// serve has a connection take part until it ends.
func (r *room) serve(ctx context.Context, conn *coder.Conn) {
	session, say := conn.Observed(), r.observer.MessageType("say")
	m := &member{conn: conn, queue: make(chan outgoing, 64)}
	session.SetQueueCapacity(cap(m.queue))
	r.enter(m)
	defer r.leave(m)
	go m.send(ctx, say)
	for {
		_, payload, err := conn.Read(ctx)
		if err != nil {
			return // the peer has left, or something broke: counted and logged with its cause
		}
		ctx, message := session.BeginMessage(ctx, say, len(payload), nil)
		message.End(r.say(ctx, payload))
	}
}

func (r *room) enter(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[m] = struct{}{}
}

func (r *room) leave(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, m)
	close(m.queue)
}

// say serves the members of this node first: they get the message even while Redis is down.
func (r *room) say(ctx context.Context, payload []byte) error {
	ctx, broadcast := r.observer.BeginBroadcast(ctx)
	r.enqueue(broadcast, payload)
	broadcast.End(nil)
	return r.others.Publish(ctx, channel, payload)
}

// deliver serves the members of this node with what was said on another one.
func (r *room) deliver(ctx context.Context, m backplane.Message) {
	if m.Own {
		return // they have got it already
	}
	_, broadcast := m.Deliver(ctx)
	r.enqueue(broadcast, m.Payload)
	broadcast.End(nil)
}

// enqueue waits for nobody: a member whose queue is full loses the message.
func (r *room) enqueue(broadcast *instrument.Broadcast, payload []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for m := range r.members {
		delivery := broadcast.BeginDelivery(m.conn.Observed())
		select {
		case m.queue <- outgoing{payload, delivery}:
		default:
			broadcast.Dropped(delivery, instrument.DropQueueFull)
		}
	}
}

// send writes what is in the queue until the member leaves.
func (m *member) send(ctx context.Context, say instrument.MessageType) {
	for out := range m.queue {
		if err := m.conn.Write(ctx, websocket.MessageText, out.payload); err != nil {
			out.delivery.Dropped(instrument.DropClosed)
			continue
		}
		out.delivery.Sent(say, len(out.payload))
	}
}
