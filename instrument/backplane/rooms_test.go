package backplane_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/instrument/backplane"
)

// TestRooms has rooms come and go while messages flow.
func TestRooms(t *testing.T) {
	n := newNode(t, shared)
	lobby, kitchen := t.Name()+"/lobby", t.Name()+"/kitchen"
	n.start(t)
	n.publish(t, lobby, "nobody hears this")
	if err := n.Subscribe(t.Context(), lobby, kitchen); err != nil {
		t.Fatal(err)
	}
	n.publish(t, lobby, "one") // confirmed, so it must arrive
	n.publish(t, kitchen, "two")
	n.expect(t, lobby+" one own", kitchen+" two own")
	if err := n.Subscribe(t.Context(), lobby); err != nil { // again
		t.Fatal(err)
	}
	if err := n.Unsubscribe(t.Context(), lobby); err != nil {
		t.Fatal(err)
	}
	n.publish(t, lobby, "nobody hears this either")
	n.publish(t, kitchen, "three")
	n.expect(t, kitchen+" three own")
	if err := n.Unsubscribe(t.Context()); err != nil { // from nothing, not from everything
		t.Fatal(err)
	}
	n.publish(t, kitchen, "four")
	n.expect(t, kitchen+" four own")
}

// TestRoomsFromHandler changes the rooms within the handler.
func TestRoomsFromHandler(t *testing.T) {
	n := newNode(t, shared)
	n.startWith(t, func(ctx context.Context, m backplane.Message) {
		if room, ok := strings.CutPrefix(string(m.Payload), "open "); ok {
			if err := n.Subscribe(ctx, room); err != nil {
				t.Error(err)
			}
		}
		n.received <- m
	}, t.Name())
	n.publish(t, t.Name(), "open "+t.Name()+"/2")
	n.expect(t, t.Name()+" open "+t.Name()+"/2 own")
	n.publish(t, t.Name()+"/2", "hello")
	n.expect(t, t.Name()+"/2 hello own")
}

// TestManyRooms opens and closes rooms from many goroutines, while Redis cuts the node off again and again.
func TestManyRooms(t *testing.T) {
	s := ownServer(t)
	n := newNode(t, s)
	n.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	var rooms sync.WaitGroup
	for g := range 20 {
		rooms.Go(func() {
			for i := range 20 {
				room := fmt.Sprintf("room %d/%d", g, i)
				if err := n.Subscribe(ctx, room); err != nil {
					t.Error(err)
				}
				if i == 19 {
					continue // the last one stays
				}
				if err := n.Unsubscribe(ctx, room); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 5 {
		if err := n.client.ClientKillByFilter(ctx, "TYPE", "pubsub").Err(); err != nil {
			t.Error(err)
		}
	}
	rooms.Wait()
	n.waitUp(t, true)
	want := map[string]int64{}
	for g := range 20 {
		want[fmt.Sprintf("room %d/19", g)] = 1
	}
	eventually(t, func() string {
		channels, err := n.client.PubSubChannels(ctx, "room *").Result()
		if err != nil {
			return err.Error()
		}
		got, err := n.client.PubSubNumSub(ctx, channels...).Result()
		if err != nil {
			return err.Error()
		}
		return cmp.Diff(want, got)
	})
}

// TestRoomsWhileDown changes the rooms while Redis is down.
func TestRoomsWhileDown(t *testing.T) {
	s := ownServer(t)
	n := newNode(t, s)
	n.start(t, "old")
	s.kill()
	n.waitUp(t, false)
	if err := n.Subscribe(t.Context(), "new"); err != nil {
		t.Errorf("subscribe: %v", err)
	}
	if err := n.Unsubscribe(t.Context(), "old"); err != nil {
		t.Errorf("unsubscribe: %v", err)
	}
	s.restart(t)
	n.waitUp(t, true)
	n.publish(t, "old", "nobody hears this")
	n.publish(t, "new", "hello")
	n.expect(t, "new hello own")
}

// TestForbiddenRoom asks for a room that Redis refuses: the others are not affected.
func TestForbiddenRoom(t *testing.T) {
	s := ownServer(t)
	admin := redis.NewClient(&redis.Options{Addr: s.addr})
	defer admin.Close()
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "node", "on", ">secret", "+@all", "resetchannels", "&room:*").Err(); err != nil {
		t.Fatal(err)
	}
	n := newNodeWith(t, &redis.Options{Addr: s.addr, Username: "node", Password: "secret"},
		backplane.WithPing(10*time.Millisecond, deadline))
	const refusal = "NOPERM this user has no permissions to access one of the channels used as arguments"

	// Subscribe before Run can't return the refusal, but a log record has it.
	if err := n.Subscribe(t.Context(), "vault", "room:1"); err != nil {
		t.Fatal(err)
	}
	n.run(t, n.deliver)
	eventually(t, func() string {
		if told := n.errors(); len(told) > 0 {
			return cmp.Diff("backplane: "+refusal, told[0])
		}
		return "nothing told"
	})
	n.waitUp(t, false)
	if err := n.Unsubscribe(t.Context(), "vault"); err != nil {
		t.Fatal(err)
	}
	n.waitUp(t, true)
	before := n.Metrics()

	err := n.Subscribe(t.Context(), "vault")
	if want := `backplane: subscribe to ["vault"]: ` + refusal; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := n.Subscribe(t.Context(), "room:2"); err != nil {
		t.Error(err)
	}
	if err := n.Publish(t.Context(), "vault", nil); err == nil {
		t.Error("published to a forbidden channel")
	}
	n.publish(t, "room:1", "one")
	n.publish(t, "room:2", "two")
	n.expect(t, "room:1 one own", "room:2 two own")
	before[`websocket_errors_total{kind="backplane"}`]++ // the publish, which is an answer of Redis: it is up
	before[`websocket_backplane_messages_total{backplane="redis",direction="transmit",result="error"}`] = 1
	before[`websocket_backplane_messages_total{backplane="redis",direction="transmit",result="ok"}`] = 2
	n.ExpectOnly(before)
}

// TestSubscribeGivenUp asks a Redis that hangs for a room, and gets it when Redis is back.
func TestSubscribeGivenUp(t *testing.T) {
	s := ownServer(t)
	n := newNode(t, s, backplane.WithPing(time.Hour, deadline))
	n.start(t)
	s.pause(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for what, err := range map[string]error{
		`backplane: subscribe to ["room"]: context deadline exceeded`:      n.Subscribe(ctx, "room"),
		`backplane: unsubscribe from ["other"]: context deadline exceeded`: n.Unsubscribe(ctx, "other"),
	} {
		if err == nil || err.Error() != what {
			t.Errorf("got %v, want %s", err, what)
		}
	}
	s.resume(t)
	if err := n.Subscribe(t.Context(), "room"); err != nil {
		t.Fatal(err)
	}
	n.publish(t, "room", "hello")
	n.expect(t, "room hello own")
}
