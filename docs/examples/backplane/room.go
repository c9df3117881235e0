package main

import (
	"context"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/backplane"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// channel is where the nodes publish to each other what is said in the room.
const channel = "room:lobby"

// A room passes on what a member says to all members, here and on the other nodes.
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

// ServeHTTP lets a connection take part until it ends.
func (r *room) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	conn, err := coder.Accept(w, req, r.observer, nil)
	if err != nil {
		return // answered, counted and logged
	}
	defer conn.CloseNow() //nolint:errcheck // the connection has ended by then
	observed, say := conn.Observed(), r.observer.MessageType("say")
	ctx := observed.Context(req.Context())
	m := &member{conn: conn, queue: make(chan outgoing, 64)}
	observed.SetQueueCapacity(cap(m.queue))
	r.enter(m)
	defer r.leave(m)
	go m.send(ctx, say)
	for {
		_, payload, err := conn.Read(ctx)
		if err != nil {
			return // the peer left, or something broke: counted and logged with its cause
		}
		_ = observed.Handle(ctx, say, len(payload), nil, func(ctx context.Context) error {
			return r.say(ctx, payload)
		})
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

// say passes a message on, first to the members of this node, who get it even while Redis is down.
func (r *room) say(ctx context.Context, payload []byte) error {
	ctx, broadcast := r.observer.BeginBroadcast(ctx)
	r.enqueue(broadcast, payload)
	broadcast.End(nil)
	return r.others.Publish(ctx, channel, payload)
}

// deliver passes on to the members of this node what was said on another one.
func (r *room) deliver(ctx context.Context, m backplane.Message) {
	if m.Own {
		return // say has served them
	}
	_, broadcast := m.Deliver(ctx)
	r.enqueue(broadcast, m.Payload)
	broadcast.End(nil)
}

// enqueue never waits: a member whose queue is full loses the message.
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
