package backplane_test

import (
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/instrument/backplane"
)

// TestOutages takes Redis away from a running node in different ways and gives it back.
func TestOutages(t *testing.T) {
	for name, outage := range map[string]struct {
		begin, end func(*server, *testing.T)
		told       string
	}{
		"killed": {
			func(s *server, _ *testing.T) { s.kill() },
			func(s *server, t *testing.T) { s.restart(t) },
			`backplane: (EOF|.*: connection reset by peer|.*: connection refused)`,
		},
		"paused": {
			func(s *server, t *testing.T) { s.pause(t) },
			func(s *server, t *testing.T) { s.resume(t) },
			`backplane: redis has not answered a ping in time`,
		},
		"paused, then killed": {
			func(s *server, t *testing.T) { s.pause(t) },
			func(s *server, t *testing.T) { s.kill(); s.restart(t) },
			`backplane: redis has not answered a ping in time`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := ownServer(t)
			n := newNodeWith(t, &redis.Options{Addr: s.addr, ReadTimeout: 200 * time.Millisecond},
				backplane.WithPing(20*time.Millisecond, 200*time.Millisecond))
			n.start(t, "room")
			n.publish(t, "room", "before")
			n.expect(t, "room before own")

			began := time.Now()
			outage.begin(s, t)
			n.waitUp(t, false)
			eventually(t, func() string { // an attempt to reconnect has to fail first
				return cmp.Diff(true, errors.Is(n.Publish(t.Context(), "room", nil), backplane.ErrDown))
			})
			ended := time.Now()
			outage.end(s, t)
			n.waitUp(t, true)

			gap := receive(t, n.gaps)
			if gap.From.After(began) || gap.To.Before(ended) {
				t.Errorf("the gap is from %v to %v, the outage was from %v to %v", gap.From, gap.To, began, ended)
			}
			for len(n.received) > 0 { // a publish that timed out may still have arrived
				<-n.received
			}
			n.publish(t, "room", "after")
			n.expect(t, "room after own")
			told := n.errors()
			if !slices.ContainsFunc(told, regexp.MustCompile("^"+outage.told+"$").MatchString) {
				t.Errorf("logged %q, want %s", told, outage.told)
			}
			if got := n.Metrics()[`websocket_errors_total{kind="backplane"}`]; got != float64(len(told)) {
				t.Errorf("counted %v errors, logged %d", got, len(told))
			}
			if len(n.gaps) > 0 {
				t.Errorf("one outage made more than one gap: %v", <-n.gaps)
			}
		})
	}
}

// TestCut has Redis cut off one node: it is back at once, and publishing goes on meanwhile.
func TestCut(t *testing.T) {
	s := ownServer(t)
	n := newNode(t, s)
	n.start(t, "room")
	before := time.Now()
	if err := n.client.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	gap := receive(t, n.gaps)
	if gap.From.After(before) || gap.To.Before(before) || gap.Duration() != gap.To.Sub(gap.From) {
		t.Errorf("the gap is from %v to %v, the cut was at %v", gap.From, gap.To, before)
	}
	n.publish(t, "room", "hello")
	n.expect(t, "room hello own")
	n.ExpectOnly(map[string]float64{
		`websocket_backplane_up{backplane="redis"}`:                                              1,
		`websocket_backplane_messages_total{backplane="redis",direction="transmit",result="ok"}`: 1,
		`websocket_errors_total{kind="backplane"}`:                                               1,
	})
	if diff := cmp.Diff([]string{"backplane: EOF"}, n.errors()); diff != "" {
		t.Errorf("records, -want +got:\n%s", diff)
	}
}

// TestCluster does the same with Redis Cluster, where every node passes on what is published at any other.
func TestCluster(t *testing.T) {
	bus, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(bus)
	s := ownServer(t, "--cluster-enabled", "yes", "--cluster-port", port, "--dir", t.TempDir())
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.addr}})
	if err := client.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if err := client.Get(t.Context(), "key").Err(); !errors.Is(err, redis.Nil) {
			return err.Error()
		}
		return ""
	})
	n := newNodeOf(t, client)
	n.start(t)
	if err := n.Subscribe(t.Context(), "one", "two"); err != nil {
		t.Fatal(err)
	}
	n.publish(t, "one", "hello")
	n.publish(t, "two", "hello")
	n.expect(t, "one hello own", "two hello own")

	s.kill()
	n.waitUp(t, false)
	s.restart(t)
	receive(t, n.gaps)
	eventually(t, func() string {
		if err := n.Publish(t.Context(), "two", []byte("again")); err != nil {
			return err.Error()
		}
		return ""
	})
	n.expect(t, "two again own")
}

// TestPublisher finds out by publishing alone whether Redis can be reached.
func TestPublisher(t *testing.T) {
	s := ownServer(t)
	n := newNodeWith(t, &redis.Options{Addr: s.addr, MaxRetries: -1, DialerRetries: 1})
	want := map[string]float64{}
	n.ExpectOnly(want)

	n.publish(t, "room", "one")
	want[`websocket_backplane_up{backplane="redis"}`] = 1
	want[`websocket_backplane_messages_total{backplane="redis",direction="transmit",result="ok"}`] = 1
	n.ExpectOnly(want)

	s.kill()
	if err := n.Publish(t.Context(), "room", nil); err == nil || errors.Is(err, backplane.ErrDown) {
		t.Errorf("got %v, want what went wrong", err)
	}
	delete(want, `websocket_backplane_up{backplane="redis"}`)
	want[`websocket_backplane_messages_total{backplane="redis",direction="transmit",result="error"}`] = 1
	want[`websocket_errors_total{kind="backplane"}`] = 1
	n.ExpectOnly(want)

	s.restart(t)
	n.publish(t, "room", "two")
	want[`websocket_backplane_up{backplane="redis"}`] = 1
	want[`websocket_backplane_messages_total{backplane="redis",direction="transmit",result="ok"}`] = 2
	n.ExpectOnly(want)
}

// TestPublishTimeout publishes to a Redis that hangs, with a client that heeds contexts.
func TestPublishTimeout(t *testing.T) {
	s := ownServer(t)
	n := newNodeWith(t, &redis.Options{Addr: s.addr, ContextTimeoutEnabled: true},
		backplane.WithPublishTimeout(50*time.Millisecond))
	n.publish(t, "room", "one")
	s.pause(t)
	if err := n.Publish(t.Context(), "room", nil); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
		t.Errorf("got %v, want a timeout", err)
	}
	n.waitUp(t, false)
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// TestPublishGivenUp publishes for a caller who has left, which tells nothing about Redis.
func TestPublishGivenUp(t *testing.T) {
	n := newNode(t, shared)
	n.publish(t, t.Name(), "one")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Publish(ctx, t.Name(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	n.ExpectOnly(map[string]float64{
		`websocket_backplane_up{backplane="redis"}`:                                                 1,
		`websocket_backplane_messages_total{backplane="redis",direction="transmit",result="ok"}`:    1,
		`websocket_backplane_messages_total{backplane="redis",direction="transmit",result="error"}`: 1,
		`websocket_errors_total{kind="backplane"}`:                                                  1,
	})
}

// failing has a client fail to publish to a channel.
type failing struct{ channel string }

func (failing) DialHook(next redis.DialHook) redis.DialHook { return next }
func (failing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (f failing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); args[0] == "publish" && args[1] == f.channel {
			cmd.SetErr(io.ErrUnexpectedEOF)
			return cmd.Err()
		}
		return next(ctx, cmd)
	}
}

// TestFailedPublishAsks has a running node fail to publish once: up is 1 again with the next ping, which is not waited
// for.
func TestFailedPublishAsks(t *testing.T) {
	n := newNode(t, shared, backplane.WithPing(time.Hour, deadline))
	n.start(t, "room")
	n.client.AddHook(failing{"room"})
	if err := n.Publish(t.Context(), "room", nil); err == nil {
		t.Error("published without a connection")
	}
	n.ExpectOnly(map[string]float64{
		`websocket_backplane_up{backplane="redis"}`:                                                 1,
		`websocket_backplane_messages_total{backplane="redis",direction="transmit",result="error"}`: 1,
		`websocket_errors_total{kind="backplane"}`:                                                  1,
	})
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(deadline):
		t.Fatalf("no %T in time", *new(T))
		return *new(T)
	}
}
