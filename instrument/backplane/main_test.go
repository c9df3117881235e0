package backplane_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// deadline is when a test gives up; nothing in the tests waits for it to pass.
const deadline = 20 * time.Second

// shared is the server of the tests that do it no harm, of the example and of the benchmark.
var shared *server

func TestMain(m *testing.M) {
	s, err := startServer()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared = s
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		shared.kill()
		os.Exit(code)
	}))
}

// A server is a redis-server on loopback.
type server struct {
	addr string
	args []string
	cmd  *exec.Cmd
}

func startServer(args ...string) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s := &server{addr: addr, args: args}
	return s, s.start()
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// ownServer starts a server for a test that harms it, or wants it different.
func ownServer(t *testing.T, args ...string) *server {
	t.Helper()
	s, err := startServer(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	return s
}

func (s *server) start() error {
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return err
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("these tests need a Redis of their own: make test installs redis-server on Debian"+
			" or `brew install redis`: %w", err)
	}
	args := append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"}, s.args...)
	s.cmd = exec.Command(path, args...)
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

// kill ends the server at once, as a crash would, even while it is paused.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *server) restart(t *testing.T) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}
