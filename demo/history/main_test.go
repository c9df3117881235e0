package history_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo/history"
)

// deadline is when a test gives up; nothing in the tests waits for it to pass.
const deadline = 20 * time.Second

// The servers of the tests that do them no harm.
var single, cluster *server

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "history")
	if err == nil {
		single, err = startServer(dir)
	}
	var bus string // by default 10,000 above the other port, which may be none
	if err == nil {
		_, bus, err = freePort()
	}
	if err == nil {
		cluster, err = startServer(dir, "--cluster-enabled", "yes", "--cluster-port", bus)
	}
	if err == nil {
		err = cluster.takeAllSlots()
	}
	var endBrokers func()
	if err == nil {
		endBrokers, err = startBrokers()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(), goleak.Cleanup(func(code int) {
		single.kill()
		cluster.kill()
		endBrokers()
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// stores are all the ways to keep a history. Each test gets an empty store with a limit or two of its own.
var stores = map[string]func(testing.TB, history.Limits) history.Store{
	"file": func(t testing.TB, limits history.Limits) history.Store {
		return openFile(t, filepath.Join(t.TempDir(), "chat.db"), limits)
	},
	"redis": func(t testing.TB, limits history.Limits) history.Store {
		return newRedis(t, single.client(t), limits)
	},
	"redis cluster": func(t testing.TB, limits history.Limits) history.Store {
		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{cluster.addr}, ContextTimeoutEnabled: true})
		t.Cleanup(func() { client.Close() })
		return newRedis(t, client, limits)
	},
	"kafka": func(t testing.TB, limits history.Limits) history.Store {
		return newKafka(t, limits)
	},
}

func openFile(t testing.TB, path string, limits history.Limits) *history.File {
	t.Helper()
	f, err := history.OpenFile(path, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// newRedis returns a store in a Redis that it has emptied.
func newRedis(t testing.TB, client redis.UniversalClient, limits history.Limits) *history.Redis {
	t.Helper()
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	return joinRedis(t, client, limits)
}

// joinRedis returns another instance's store.
func joinRedis(t testing.TB, client redis.UniversalClient, limits history.Limits) *history.Redis {
	t.Helper()
	r, err := history.NewRedis(client, limits)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A server is a redis-server on loopback.
type server struct {
	addr string
	args []string
	cmd  *exec.Cmd
}

func startServer(dir string, args ...string) (*server, error) {
	addr, port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &server{
		addr: addr,
		args: append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", ""}, args...),
	}
	return s, s.start()
}

func freePort() (addr, port string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	addr = l.Addr().String()
	_, port, err = net.SplitHostPort(addr)
	return addr, port, errors.Join(err, l.Close())
}

// ownServer starts a server for a test that harms it, or wants it different.
func ownServer(t testing.TB, args ...string) *server {
	t.Helper()
	s, err := startServer(t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	return s
}

func (s *server) start() error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("these tests need a Redis of their own: make test installs redis-server on Debian"+
			" or `brew install redis`: %w", err)
	}
	s.cmd = exec.Command(path, s.args...)
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", path, err)
	}
	client := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1})
	defer client.Close()
	for end := time.Now().Add(deadline); ; time.Sleep(5 * time.Millisecond) {
		if err = client.Ping(context.Background()).Err(); err == nil {
			return nil
		}
		if time.Now().After(end) {
			s.kill()
			return fmt.Errorf("%s on %s does not answer: %w", path, s.addr, err)
		}
	}
}

// takeAllSlots makes a cluster of the one server. It keeps to the rules of a large one.
func (s *server) takeAllSlots() error {
	client := redis.NewClient(&redis.Options{Addr: s.addr})
	defer client.Close()
	if err := client.ClusterAddSlotsRange(context.Background(), 0, 16383).Err(); err != nil {
		return err
	}
	for end := time.Now().Add(deadline); ; time.Sleep(5 * time.Millisecond) {
		err := client.Set(context.Background(), "up", 1, 0).Err()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// kill ends the server at once, as a crash would, even while it is paused.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *server) client(t testing.TB) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { c.Close() })
	return c
}

// eventually waits until check has nothing more to complain about.
func eventually(t *testing.T, check func() string) {
	t.Helper()
	for end := time.Now().Add(deadline); ; time.Sleep(2 * time.Millisecond) {
		complaint := check()
		if complaint == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatal(complaint)
		}
	}
}
