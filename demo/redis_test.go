package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/demo/history"
)

// redisServer is a redis-server on loopback that has a message on its disk before it says so.
type redisServer struct {
	t    *testing.T
	addr string
	dir  string
	cmd  *exec.Cmd
}

func newRedisServer(t *testing.T) *redisServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &redisServer{t: t, addr: l.Addr().String(), dir: t.TempDir()}
	_ = l.Close()
	r.start()
	t.Cleanup(r.kill)
	return r
}

func (r *redisServer) start() {
	r.t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		r.t.Fatalf("this test needs a Redis of its own: make test installs redis-server on Debian: %v", err)
	}
	_, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.cmd = exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--dir", r.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always")
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: r.addr, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	for end := time.Now().Add(patience); client.Ping(r.t.Context()).Err() != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s on %s does not answer", path, r.addr)
		}
	}
}

// kill ends the server as a crash would.
func (r *redisServer) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// cable is what connects a node with Redis, and can be pulled.
type cable struct {
	mu     sync.Mutex
	pulled bool
	conns  []net.Conn
}

func (c *cable) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pulled {
		return nil, errors.New("the cable is pulled")
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = true
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

func (c *cable) plug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = false
}

// node is one of several servers on one Redis.
type node struct {
	*fixture
	cable *cable
}

// startNodes starts as many servers, whose messages are in Redis, and waits until they hear each other.
func startNodes(t *testing.T, r *redisServer, n int, cfg Config) []node {
	t.Helper()
	return startNodesWith(t, r, n, cfg, func(client *redis.Client) (history.Store, error) {
		return history.NewRedis(client, history.Limits{})
	})
}

// startNodesWith has each server use a store of its own.
func startNodesWith(
	t *testing.T, r *redisServer, n int, cfg Config, open func(*redis.Client) (history.Store, error),
) []node {
	t.Helper()
	nodes := make([]node, n)
	for i := range nodes {
		nodes[i].cable = new(cable)
		client := redis.NewClient(&redis.Options{Addr: r.addr, Dialer: nodes[i].cable.dial, ContextTimeoutEnabled: true})
		t.Cleanup(func() { _ = client.Close() })
		store, err := open(client)
		if err != nil {
			t.Fatal(err)
		}
		cfg := cfg
		cfg.Redis, cfg.History, cfg.Node = client, store, fmt.Sprint("node-", i)
		nodes[i].fixture = start(t, cfg)
	}
	for _, node := range nodes {
		node.eventually(node.isReady, func() string { return "a node does not get ready" })
	}
	return nodes
}

func (n node) isReady() bool {
	code, _ := n.do("GET", "/readyz", "")
	return code == 200
}
