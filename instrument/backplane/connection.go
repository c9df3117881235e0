package backplane

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	errUnanswered = errors.New("redis has not answered a ping in time")
	errLost       = errors.New("the connection was lost")
)

// A connection is one to which channels are subscribed, from connect to its first failure. It is not used afterwards,
// because go-redis would reconnect it silently, and nobody would know which messages were missed.
type connection struct {
	ctx         context.Context
	pubsub      *redis.PubSub
	missedSince time.Time // messages may be missing from then on, zero for the first connection
	subscribed  *command  // to the channels that it began with
	heard       *command  // to the channel of heartbeats
	unheard     bool      // Redis has refused heartbeats

	up     bool      // it has been connected
	proven time.Time // everything that Redis had passed on by then has been received

	mu         sync.Mutex
	unanswered []*command
	ended      chan struct{}
	reason     error // why it has ended
}

func newConnection(ctx context.Context, pubsub *redis.PubSub, missedSince time.Time) *connection {
	return &connection{ctx: ctx, pubsub: pubsub, missedSince: missedSince, ended: make(chan struct{})}
}

// kind is the kind of a command, and of the Subscription that confirms it.
type kind string

const (
	ping        kind = "ping"
	subscribe   kind = "subscribe"
	unsubscribe kind = "unsubscribe"
)

// A command waits for its answer. Redis answers in order, but its refusals don't say what they refuse.
type command struct {
	kind          kind
	confirmations int // yet to come
	answered      chan struct{}
	err           error // valid when answered is closed
}

// send sends a command. On a nil connection it does nothing.
func (c *connection) send(k kind, channels ...string) *command {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cmd := &command{kind: k, confirmations: max(1, len(channels)), answered: make(chan struct{})}
	if c.reason != nil {
		cmd.answer(errLost)
		return cmd
	}
	c.unanswered = append(c.unanswered, cmd)
	var err error
	switch k {
	case ping:
		err = c.pubsub.Ping(c.ctx)
	case subscribe:
		err = c.pubsub.Subscribe(c.ctx, channels...)
	case unsubscribe:
		err = c.pubsub.Unsubscribe(c.ctx, channels...)
	}
	if err != nil {
		c.endLocked(err)
	}
	return cmd
}

// read passes messages on and answers to the commands they are for, until the connection ends.
func (c *connection) read(take func(*redis.Message)) {
	for !c.over() {
		reply, err := c.pubsub.Receive(c.ctx)
		switch {
		case err == nil:
		case refused(err) && c.refuse(err):
			continue
		default:
			c.end(err)
			return
		}
		switch r := reply.(type) {
		case *redis.Message:
			take(r)
		case *redis.Pong:
			c.confirm(ping)
		case *redis.Subscription:
			c.confirm(kind(r.Kind))
		}
	}
}

// confirm passes a confirmation to the oldest unanswered command.
func (c *connection) confirm(k kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unanswered) == 0 || c.unanswered[0].kind != k {
		return // go-redis may subscribe anew by itself when Redis hands the connection over
	}
	if c.unanswered[0].confirmations--; c.unanswered[0].confirmations == 0 {
		c.answerOldest(nil)
	}
}

// refuse passes a refusal to the oldest unanswered command, and says whether there was one.
func (c *connection) refuse(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unanswered) == 0 {
		return false
	}
	c.answerOldest(err)
	return true
}

func (c *connection) answerOldest(err error) {
	c.unanswered[0].answer(err)
	c.unanswered = c.unanswered[1:]
}

// end ends the connection. The first reason counts.
func (c *connection) end(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(reason)
}

func (c *connection) endLocked(reason error) {
	if c.reason != nil {
		return
	}
	c.reason = reason
	close(c.ended)
	for len(c.unanswered) > 0 {
		c.answerOldest(errLost)
	}
}

func (c *connection) over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

func (cmd *command) answer(err error) {
	cmd.err = err
	close(cmd.answered)
}

// confirmed says whether Redis has confirmed the command.
func (cmd *command) confirmed() bool {
	if cmd == nil {
		return false
	}
	select {
	case <-cmd.answered:
		return cmd.err == nil
	default:
		return false
	}
}

// wait waits for the answer. It does not wait long: an unanswered ping ends the connection, and the end answers all
// commands.
func (cmd *command) wait(ctx context.Context) error {
	if cmd == nil {
		return nil
	}
	select {
	case <-cmd.answered:
		return cmd.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
