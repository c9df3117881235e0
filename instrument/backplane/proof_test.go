package backplane_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/instrument/backplane"
)

const undelivered = "backplane: redis answers but does not deliver: a message of this node has not come back in time"

// TestFieldCase15Failover has the name of the master lead to another Redis, while the old one goes on answering: what
// is published no longer comes to the one that the node is subscribed at.
func TestFieldCase15Failover(t *testing.T) {
	for name, publish := range map[string]bool{"busy": true, "idle": false} {
		t.Run(name, func(t *testing.T) {
			before, after := ownServer(t), ownServer(t)
			var master atomic.Pointer[server]
			master.Store(before)
			n := newNodeWith(t, &redis.Options{
				Addr: "master:6379",
				Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, master.Load().addr)
				},
			}, backplane.WithPing(20*time.Millisecond, 500*time.Millisecond))
			n.start(t, "room")
			n.publish(t, "room", "before")
			n.expect(t, "room before own")

			master.Store(after)
			admin := redis.NewClient(&redis.Options{Addr: before.addr})
			defer admin.Close()
			// Those that publish; Sentinel's clients are told, others use new connections now and then.
			if err := admin.ClientKillByFilter(t.Context(), "TYPE", "normal").Err(); err != nil {
				t.Fatal(err)
			}
			failed := time.Now()
			if publish {
				n.publish(t, "room", "lost")
			}
			gap := receive(t, n.gaps)
			if gap.From.After(failed) || gap.To.Before(failed) {
				t.Errorf("the gap is from %v to %v, the failover was at %v", gap.From, gap.To, failed)
			}
			n.waitUp(t, true)
			n.publish(t, "room", "after")
			n.expect(t, "room after own")
			if diff := cmp.Diff([]string{undelivered}, n.errors()); diff != "" {
				t.Errorf("records, -want +got:\n%s", diff)
			}
			if got := len(n.Records("backplane restored")); got != 1 {
				t.Errorf("%d records that it is restored, want 1", got)
			}
		})
	}
}

// TestFieldCase15Swallowed has everything but messages come through, also after reconnecting, until the end is well.
func TestFieldCase15Swallowed(t *testing.T) {
	p := newProxy(t, shared)
	n := newNodeWith(t, &redis.Options{Addr: p.addr}, backplane.WithPing(20*time.Millisecond, 500*time.Millisecond))
	other := newNode(t, shared)
	room := t.Name()
	n.start(t, room)
	other.start(t, room)
	p.swallow(func(string) bool { return true })
	n.waitUp(t, false)
	n.publish(t, room, "heard by others") // Redis can be reached
	other.expect(t, room+" heard by others")
	eventually(t, func() string {
		if told := n.errors(); len(told) < 3 {
			return fmt.Sprintf("told %q", told)
		}
		return ""
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Ready(ctx); err == nil {
		t.Error("ready, though nothing comes through")
	}
	if got := len(n.Records("backplane restored")) + len(n.gaps); got > 0 {
		t.Errorf("told %d times that it is restored", got)
	}
	p.swallow(nil)
	n.waitUp(t, true)
	receive(t, n.gaps)
	n.publish(t, room, "after")
	n.expect(t, room+" after own")
	for _, told := range n.errors() {
		if told != undelivered {
			t.Errorf("logged %q", told)
		}
	}
	if got := len(n.Records("backplane restored")); got != 1 {
		t.Errorf("%d records that it is restored, want 1", got)
	}
}

// TestFieldCase15OwnMessage has heartbeats come through but not what the service publishes, as where some connections
// of the client lead to another Redis than the rest.
func TestFieldCase15OwnMessage(t *testing.T) {
	p := newProxy(t, shared)
	n := newNodeWith(t, &redis.Options{Addr: p.addr}, backplane.WithPing(20*time.Millisecond, 500*time.Millisecond))
	room := t.Name()
	n.start(t, room)
	p.swallow(func(channel string) bool { return channel == room })
	n.publish(t, room, "lost")
	receive(t, n.gaps) // which has begun anew, and nothing is missing there yet
	if diff := cmp.Diff([]string{undelivered}, n.errors()); diff != "" {
		t.Errorf("records, -want +got:\n%s", diff)
	}
	// Messages need not come back from a channel that was left.
	n.publish(t, room, "lost too")
	if err := n.Unsubscribe(t.Context(), room); err != nil {
		t.Fatal(err)
	}
	p.swallow(nil)
	n.waitUp(t, true)
}

// TestFieldCase15Pause has Redis not take what is published, while it answers everything else.
func TestFieldCase15Pause(t *testing.T) {
	s := ownServer(t)
	n := newNodeWith(t, &redis.Options{Addr: s.addr, MaxRetries: -1, ReadTimeout: 50 * time.Millisecond},
		backplane.WithPing(20*time.Millisecond, deadline))
	n.start(t, "room")
	admin := redis.NewClient(&redis.Options{Addr: s.addr})
	defer admin.Close()
	if err := admin.Do(t.Context(), "CLIENT", "PAUSE", deadline.Milliseconds(), "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	n.waitUp(t, false)
	if err := admin.Do(t.Context(), "CLIENT", "UNPAUSE").Err(); err != nil {
		t.Fatal(err)
	}
	n.waitUp(t, true)
	n.publish(t, "room", "after")
	n.expect(t, "room after own")
	if len(n.gaps) > 0 {
		t.Errorf("a gap %v, but the subscription was well", <-n.gaps)
	}
	for _, told := range n.errors() {
		if !strings.HasPrefix(told, "backplane: publish a heartbeat: ") {
			t.Errorf("logged %q", told)
		}
	}
	if got := len(n.Records("backplane restored")); got == 0 {
		t.Error("no record that it is restored")
	}
}

// TestFieldCase15ForbiddenHeartbeats runs for a user that Redis allows the service's channels only: what the service
// publishes is the only proof.
func TestFieldCase15ForbiddenHeartbeats(t *testing.T) {
	s := ownServer(t)
	admin := redis.NewClient(&redis.Options{Addr: s.addr})
	defer admin.Close()
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "node", "on", ">secret", "+@all", "resetchannels", "&room").Err(); err != nil {
		t.Fatal(err)
	}
	p := newProxy(t, s)
	n := newNodeWith(t, &redis.Options{Addr: p.addr, Username: "node", Password: "secret"},
		backplane.WithPing(20*time.Millisecond, 500*time.Millisecond))
	n.start(t, "room")
	want := []string{"backplane: no heartbeats: allow the channels sockscope:heartbeat:*, or a Redis that answers but does " +
		"not deliver is noticed only by what the service publishes: NOPERM this user has no permissions to access one of the " +
		"channels used as arguments"}
	n.publish(t, "room", "before")
	n.expect(t, "room before own")
	if diff := cmp.Diff(want, n.errors()); diff != "" {
		t.Errorf("records, -want +got:\n%s", diff)
	}
	p.swallow(func(string) bool { return true })
	n.publish(t, "room", "lost")
	receive(t, n.gaps)
	if diff := cmp.Diff(append(want, undelivered, want[0]), n.errors()); diff != "" {
		t.Errorf("records, -want +got:\n%s", diff)
	}
}

// A proxy stands before a Redis and keeps what it likes.
type proxy struct {
	addr     string
	swallows atomic.Pointer[func(channel string) bool]
}

func newProxy(t *testing.T, s *server) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: listener.Addr().String()}
	p.swallow(nil)
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			redis, err := net.Dial("tcp", s.addr)
			if err != nil {
				client.Close()
				continue
			}
			passing.Go(func() {
				defer redis.Close()
				_, _ = io.Copy(redis, client)
			})
			passing.Go(func() {
				defer client.Close()
				p.pass(client, bufio.NewReader(redis))
			})
		}
	})
	t.Cleanup(func() { // after the node's, which closes the connections
		listener.Close()
		passing.Wait()
	})
	return p
}

// swallow sets whose messages do not come through; nil lets all pass.
func (p *proxy) swallow(which func(channel string) bool) {
	if which == nil {
		which = func(string) bool { return false }
	}
	p.swallows.Store(&which)
}

func (p *proxy) pass(client io.Writer, redis *bufio.Reader) {
	for {
		var reply []byte
		var words []string
		if err := read(redis, &reply, &words); err != nil {
			return
		}
		if len(words) == 3 && words[0] == "message" && (*p.swallows.Load())(words[1]) {
			continue
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

// read reads a reply of RESP 2 or 3, as it is, and its strings.
func read(r *bufio.Reader, reply *[]byte, words *[]string) error {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return err
	}
	*reply = append(*reply, line...)
	var n int
	switch line[0] {
	case '$', '=', '*', '>', '~', '%':
		if _, err := fmt.Sscanf(string(line[1:]), "%d", &n); err != nil {
			return err
		}
	}
	switch line[0] {
	case '$', '=':
		if n < 0 {
			return nil
		}
		data := make([]byte, n+len("\r\n"))
		if _, err := io.ReadFull(r, data); err != nil {
			return err
		}
		*reply, *words = append(*reply, data...), append(*words, string(data[:n]))
	case '%':
		n *= 2
		fallthrough
	case '*', '>', '~':
		for range n {
			if err := read(r, reply, words); err != nil {
				return err
			}
		}
	}
	return nil
}
