package history_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/demo/history"
)

// TestRedisKeepsNoGarbage looks at everything that is in Redis.
func TestRedisKeepsNoGarbage(t *testing.T) {
	client := single.client(t)
	s := newRedis(t, client, history.Limits{Messages: 3, Reads: 2, Retention: time.Minute})
	for i := range 20 {
		say(t, s, "lobby", fmt.Sprint(i))
		equal(t, "mark", nil, s.MarkRead(t.Context(), "lobby", fmt.Sprint("user", i), uint64(i+1)))
	}
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	equal(t, "keys", []string{
		"history:rooms", "history:{lobby}:ids", "history:{lobby}:messages", "history:{lobby}:reads",
	}, keys)
	equal(t, "messages", int64(3), client.XLen(t.Context(), "history:{lobby}:messages").Val())
	equal(t, "ids", map[string]string{"ada\x0017": "18", "ada\x0018": "19", "ada\x0019": "20"},
		client.HGetAll(t.Context(), "history:{lobby}:ids").Val())
	equal(t, "reads", []redis.Z{{Score: 19, Member: "user18"}, {Score: 20, Member: "user19"}},
		client.ZRangeWithScores(t.Context(), "history:{lobby}:reads", 0, -1).Val())
	for _, key := range keys[1:] {
		if ttl := client.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > time.Minute {
			t.Errorf("%s is kept for %v, want up to a minute", key, ttl)
		}
	}
}

// A losing connection breaks when the next answer has come, before anybody has seen it.
type losing struct {
	net.Conn
	lose *atomic.Bool
}

func (c losing) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil && c.lose.CompareAndSwap(true, false) {
		c.Close()
		return 0, io.EOF
	}
	return n, err
}

// TestLostAnswers shows that the client's own attempts are no repetition, unlike those of the sender.
func TestLostAnswers(t *testing.T) {
	for name, retries := range map[string]int{"client tries again": 3, "sender tries again": -1} {
		t.Run(name, func(t *testing.T) {
			var lose atomic.Bool
			client := redis.NewClient(&redis.Options{
				Addr: single.addr, ContextTimeoutEnabled: true, MaxRetries: retries,
				Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
					conn, err := new(net.Dialer).DialContext(ctx, network, addr)
					return losing{conn, &lose}, err
				},
			})
			defer client.Close()
			s := newRedis(t, client, history.Limits{})
			said := say(t, s, "lobby", "1")
			lose.Store(true)
			m, again, err := s.Append(t.Context(), message("lobby", "2", "2"))
			if retries < 0 {
				if err == nil || errors.Is(err, history.ErrFull) || errors.Is(err, history.ErrInvalid) {
					t.Errorf("the first attempt: %v", err)
				}
				m, again, err = s.Append(t.Context(), message("lobby", "2", "2"))
			}
			if err != nil || again != (retries < 0) || lose.Load() {
				t.Errorf("again %t, %v, answer lost %t", again, err, !lose.Load())
			}
			equal(t, "what is kept", append(said, m), after(t, s, "lobby", 0, 10))
		})
	}
}

func TestRedisDown(t *testing.T) {
	s := ownServer(t)
	client := redis.NewClient(&redis.Options{Addr: s.addr, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	store := newRedis(t, client, history.Limits{})
	s.kill()
	_, _, err1 := store.Append(t.Context(), message("lobby", "1", "1"))
	_, err2 := store.Latest(t.Context(), "lobby", 1)
	for _, err := range []error{err1, err2, store.Ping(t.Context())} {
		if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), s.addr) {
			t.Errorf("%v", err)
		}
	}
}

// TestRedisOutOfMemory wants a refusal that leaves nothing behind, as scripts are not undone.
func TestRedisOutOfMemory(t *testing.T) {
	s := ownServer(t)
	client := s.client(t)
	store := newRedis(t, client, history.Limits{})
	said := say(t, store, "lobby", "1")
	set := func(limit string) {
		t.Helper()
		if err := client.ConfigSet(t.Context(), "maxmemory", limit).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("1")
	for _, room := range []string{"lobby", "cellar"} {
		_, _, err := store.Append(t.Context(), message(room, "2", "2"))
		if !errors.Is(err, history.ErrFull) || !strings.Contains(err.Error(), "raise the maxmemory of Redis") {
			t.Errorf("append to %s: %v", room, err)
		}
	}
	if err := store.MarkRead(t.Context(), "lobby", "ada", 1); !errors.Is(err, history.ErrFull) {
		t.Errorf("mark: %v", err)
	}
	equal(t, "what is kept", said, after(t, store, "lobby", 0, 10))
	// A retry needs no memory.
	if m, again, err := store.Append(t.Context(), message("lobby", "1", "1")); err != nil || !again || m.Seq != 1 {
		t.Errorf("a retry: seq %d, again %t, %v", m.Seq, again, err)
	}
	set("0")
	said = append(said, say(t, store, "lobby", "2")...)
	equal(t, "what is kept", said, after(t, store, "lobby", 0, 10))
}

// TestForeignEntries are what somebody else has written under the keys of a room.
func TestForeignEntries(t *testing.T) {
	client := single.client(t)
	for name, tc := range map[string]struct {
		values []string
		want   string
	}{
		"no message":  {[]string{"greeting", "hello"}, "is not a message"},
		"no JSON":     {[]string{"message", "hello"}, "message 7 of room lobby is damaged"},
		"empty":       {[]string{"message", "{}"}, "fields are missing"},
		"other types": {[]string{"message", `{"id":1}`}, "message 7 of room lobby is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newRedis(t, client, history.Limits{})
			entry := &redis.XAddArgs{Stream: "history:{lobby}:messages", ID: "7-3", Values: tc.values}
			err := client.XAdd(t.Context(), entry).Err()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Latest(t.Context(), "lobby", 1); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("latest: %v, want %s", err, tc.want)
			}
			if m, _, err := s.Append(t.Context(), message("lobby", "1", "1")); err != nil || m.Seq != 8 {
				t.Errorf("append: seq %d, %v", m.Seq, err)
			}
		})
	}
	t.Run("a key of another type", func(t *testing.T) {
		s := newRedis(t, client, history.Limits{})
		client.Set(t.Context(), "history:{lobby}:messages", "hello", 0)
		_, _, err1 := s.Append(t.Context(), message("lobby", "1", "1"))
		_, err2 := s.Latest(t.Context(), "lobby", 1)
		for _, err := range []error{err1, err2} {
			if err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
				t.Errorf("%v", err)
			}
		}
	})
}

// TestManyRoomsAtTheLimit has rooms that are alive stand in line before those that are gone.
func TestManyRoomsAtTheLimit(t *testing.T) {
	client := single.client(t)
	s := newRedis(t, client, history.Limits{Rooms: 40, Retention: time.Hour})
	for i := range 40 {
		say(t, s, fmt.Sprint("room", i), "1")
	}
	old := float64(time.Now().Add(-2 * time.Hour).UnixMilli()) // when all of them came
	for i := range 40 {
		client.ZAdd(t.Context(), "history:rooms", redis.Z{Score: old + float64(i), Member: fmt.Sprint("room", i)})
	}
	client.Del(t.Context(), "history:{room39}:messages") // which Redis does by itself when its time has come
	eventually(t, func() string {
		_, _, err := s.Append(t.Context(), message("new", "1", "1"))
		if errors.Is(err, history.ErrFull) {
			return err.Error()
		}
		return cmp.Diff(nil, err)
	})
	equal(t, "rooms", int64(40), client.ZCard(t.Context(), "history:rooms").Val())
	if _, _, err := s.Append(t.Context(), message("newer", "1", "1")); !errors.Is(err, history.ErrFull) {
		t.Errorf("a room too many: %v", err)
	}
}

func TestClientsThatAreRefused(t *testing.T) {
	clients := map[string]redis.UniversalClient{
		"nil":     nil,
		"client":  redis.NewClient(&redis.Options{Addr: single.addr}),
		"cluster": redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{cluster.addr}}),
		"ring":    redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"one": single.addr}}),
	}
	for name, client := range clients {
		if client != nil {
			defer client.Close()
		}
		_, err := history.NewRedis(client, history.Limits{})
		want := "history: the Redis client ignores deadlines: set ContextTimeoutEnabled in its options"
		if client == nil {
			want = "history: client is nil: give the go-redis client that the service uses"
		}
		equal(t, name, want, fmt.Sprint(err))
	}
}
