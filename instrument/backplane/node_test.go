package backplane_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/backplane"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// A node is one of those that a backplane connects, with all that it tells.
type node struct {
	*backplane.Backplane
	*realtimetest.Recorder
	client   redis.UniversalClient
	received chan backplane.Message
	gaps     chan backplane.Gap
}

// newNode makes a node that is not running.
func newNode(t *testing.T, s *server, opts ...backplane.Option) *node {
	t.Helper()
	return newNodeWith(t, &redis.Options{Addr: s.addr}, opts...)
}

func newNodeWith(t *testing.T, o *redis.Options, opts ...backplane.Option) *node {
	t.Helper()
	return newNodeOf(t, redis.NewClient(o), opts...)
}

func newNodeOf(t *testing.T, client redis.UniversalClient, opts ...backplane.Option) *node {
	t.Helper()
	n := &node{
		Recorder: realtimetest.New(t, instrument.WithBackplanes("redis")),
		client:   client,
		received: make(chan backplane.Message, 100),
		gaps:     make(chan backplane.Gap, 100),
	}
	t.Cleanup(func() { n.client.Close() })
	opts = append([]backplane.Option{backplane.WithRestored(func(g backplane.Gap) { n.gaps <- g })}, opts...)
	var err error
	if n.Backplane, err = backplane.New(n.client, n.Observer, "redis", opts...); err != nil {
		t.Fatal(err)
	}
	return n
}

// start runs the node until the end of the test, delivers what it receives to nobody, and waits until it is connected.
func (n *node) start(t *testing.T, channels ...string) {
	t.Helper()
	n.startWith(t, n.deliver, channels...)
}

func (n *node) deliver(ctx context.Context, m backplane.Message) {
	if !m.Own {
		_, b := m.Deliver(ctx)
		b.End(nil)
	}
	n.received <- m
}

// startWith returns what stops it earlier.
func (n *node) startWith(t *testing.T, handle func(context.Context, backplane.Message), channels ...string) (stop func()) {
	t.Helper()
	if err := n.Subscribe(t.Context(), channels...); err != nil {
		t.Fatal(err)
	}
	stop = n.run(t, handle)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := n.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return stop
}

func (n *node) run(t *testing.T, handle func(context.Context, backplane.Message)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, handle) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// waitUp waits until websocket_backplane_up is what it should be.
func (n *node) waitUp(t *testing.T, up bool) {
	t.Helper()
	eventually(t, func() string {
		if _, got := n.Metrics()[`websocket_backplane_up{backplane="redis"}`]; got != up {
			return fmt.Sprintf("%s; logged %q", cmp.Diff(up, got), n.errors())
		}
		return ""
	})
}

func (n *node) publish(t *testing.T, channel, payload string) {
	t.Helper()
	if err := n.Publish(t.Context(), channel, []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

// next returns the next message that was handled.
func (n *node) next(t *testing.T) backplane.Message {
	t.Helper()
	select {
	case m := <-n.received:
		return m
	case <-time.After(deadline):
		t.Fatalf("nothing received; logged %q", n.errors())
		return backplane.Message{}
	}
}

// expect receives messages and compares where they come from and what they carry.
func (n *node) expect(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for range want {
		m := n.next(t)
		text := m.Channel + " " + string(m.Payload)
		if m.Own {
			text += " own"
		}
		got = append(got, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages, -want +got:\n%s", diff)
	}
}

// errors returns the errors that were logged.
func (n *node) errors() []string {
	var all []string
	for _, record := range n.Records("backplane error") {
		all = append(all, record["error"].(string))
	}
	return all
}

// eventually retries until there is no difference or time is up.
func eventually(t *testing.T, diff func() string) {
	t.Helper()
	var d string
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if d = diff(); d == "" {
			return
		}
	}
	t.Fatalf("not so in time, -want +got:\n%s", d)
}
