package backplane_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/instrument/backplane"
)

// TestQueueFull has messages arrive while none is handled. That some were dropped is told behind those that were not.
func TestQueueFull(t *testing.T) {
	var n *node
	told := make(chan int, 10)
	n = newNode(t, shared, backplane.WithQueue(3), backplane.WithDropped(func() { told <- len(n.received) }))
	handling, goOn := make(chan struct{}), make(chan struct{})
	n.startWith(t, func(ctx context.Context, m backplane.Message) {
		if string(m.Payload) == "0" {
			close(handling)
			<-goOn
		}
		n.deliver(ctx, m)
	}, t.Name())
	for i := range 10 {
		n.publish(t, t.Name(), fmt.Sprint(i))
		if i == 0 {
			<-handling
		}
	}
	want := map[string]float64{
		`websocket_backplane_up{backplane="redis"}`:                                                  1,
		`websocket_backplane_messages_total{backplane="redis",direction="transmit",result="ok"}`:     10,
		`websocket_backplane_messages_total{backplane="redis",direction="receive",result="dropped"}`: 6,
	}
	n.ExpectOnly(want) // still up: a slow handler does not keep pings from being answered
	close(goOn)
	if before := <-told; before != 4 {
		t.Errorf("told of the drop behind %d messages, want 4", before)
	}
	n.expect(t, t.Name()+" 0 own", t.Name()+" 1 own", t.Name()+" 2 own", t.Name()+" 3 own")
	n.publish(t, t.Name(), "10")
	n.expect(t, t.Name()+" 10 own")
	if len(told) > 0 {
		t.Error("told of it again")
	}
}

// TestRunEnds ends Run with messages waiting, and runs again.
func TestRunEnds(t *testing.T) {
	n := newNode(t, shared)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Ready(over); !errors.Is(err, context.Canceled) || errors.Is(err, backplane.ErrDown) {
		t.Errorf("ready before Run: %v, want context.Canceled", err)
	}
	handling, goOn := make(chan struct{}), make(chan struct{})
	stop := n.startWith(t, func(ctx context.Context, m backplane.Message) {
		if string(m.Payload) == "first" {
			close(handling)
			<-goOn
		}
		n.received <- m
	}, t.Name())
	if err := n.Run(t.Context(), nil); !errors.Is(err, backplane.ErrRunning) {
		t.Errorf("got %v, want ErrRunning", err)
	}
	n.publish(t, t.Name(), "first")
	<-handling
	n.publish(t, t.Name(), "second")
	close(goOn)
	stop()
	n.waitUp(t, false)
	n.start(t)
	for len(n.received) > 0 {
		<-n.received
	}
	n.publish(t, t.Name(), "third")
	n.expect(t, t.Name()+" third own")
	if len(n.gaps) > 0 {
		t.Errorf("got a gap %v, but nothing was lost", <-n.gaps)
	}
}

// TestPanic has the handler panic: the panic is the caller's, and nothing is left behind.
func TestPanic(t *testing.T) {
	n := newNode(t, shared)
	if err := n.Subscribe(t.Context(), t.Name()); err != nil {
		t.Fatal(err)
	}
	panicked := make(chan any)
	go func() {
		defer func() { panicked <- recover() }()
		_ = n.Run(context.Background(), func(context.Context, backplane.Message) {
			panic("oops")
		})
	}()
	n.waitUp(t, true)
	n.publish(t, t.Name(), "hello")
	if got := receive(t, panicked); got != "oops" {
		t.Errorf("recovered %v, want oops", got)
	}
	n.start(t)
	n.publish(t, t.Name(), "hello")
	n.expect(t, t.Name()+" hello own")
}

// TestClientClosed closes the client under a running node.
func TestClientClosed(t *testing.T) {
	n := newNode(t, shared)
	done := make(chan error, 1)
	go func() { done <- n.Run(context.Background(), n.deliver) }()
	n.waitUp(t, true)
	n.client.Close()
	if err := receive(t, done); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("got %v, want redis.ErrClosed", err)
	}
	n.waitUp(t, false)
}

// TestNeverConnected ends Run while Redis cannot be reached.
func TestNeverConnected(t *testing.T) {
	s := ownServer(t)
	n := newNode(t, s)
	s.kill()
	stop := n.run(t, n.deliver)
	eventually(t, func() string {
		if errors.Is(n.Publish(t.Context(), "room", nil), backplane.ErrDown) {
			return ""
		}
		return "not down yet"
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := n.Ready(ctx); !errors.Is(err, backplane.ErrDown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ready: %v, want ErrDown and context.DeadlineExceeded", err)
	}
	stop()
	s.restart(t)
	n.publish(t, "room", "hello") // nobody says it is down any more
	n.waitUp(t, true)
}
