package drill

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sockscope/sockscope/internal/load"
	"github.com/sockscope/sockscope/internal/supervise"
)

// clusterService is what the nodes of the cluster are called in telemetry.
const clusterService = "sockscope-cluster"

const (
	clusterNodes = 3
	readyTimeout = time.Minute
	stopTimeout  = 30 * time.Second
)

// cluster is a service of several nodes with a Redis between them, beside the demo of the stack, for drills of what
// only such a service has.
type cluster struct {
	dir     string // gone in the end
	targets string // the file that has its metrics scraped
	redis   *exec.Cmd
	nodes   []*node
	people  *crowd
	began   time.Time
}

// node is an instance of the service. It runs again when it has ended.
type node struct {
	address string
	process *supervise.Process

	mu    sync.Mutex
	pid   int
	ready int // how often it has been
}

// startCluster starts the service and has the stack watch it.
func (s *Stack) startCluster(ctx context.Context, self string) (_ *cluster, err error) {
	redis, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("a service of several nodes needs redis-server on PATH: %w", err)
	}
	c := &cluster{targets: filepath.Join(s.data, "targets", "drill.yaml")}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
		}
	}()
	if c.dir, err = os.MkdirTemp("", "sockscope-drill-cluster-"); err != nil {
		return nil, fmt.Errorf("make a place for the nodes: %w", err)
	}
	ports, err := freePorts(clusterNodes + 1)
	if err != nil {
		return nil, err
	}
	c.redis = exec.Command(redis, "--port", ports[0], "--bind", "127.0.0.1", "--dir", c.dir, "--save", "", "--maxmemory-policy", "noeviction")
	c.redis.SysProcAttr = supervise.OwnGroup()
	if err := c.redis.Start(); err != nil {
		return nil, fmt.Errorf("start Redis: %w", err)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	keyFile := filepath.Join(c.dir, "key")
	if err := os.WriteFile(keyFile, []byte(hex.EncodeToString(key)), 0o600); err != nil {
		return nil, fmt.Errorf("write down the key of the nodes: %w", err)
	}
	for i, port := range ports[1:] {
		c.nodes = append(c.nodes, s.startNode(self, c.dir, fmt.Sprintf("node-%d", i+1), net.JoinHostPort("127.0.0.1", port),
			"--redis=redis://127.0.0.1:"+ports[0]+"/0", "--auth-key-file="+keyFile, "--dev-tokens=loopback"))
	}
	waiting, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	addresses := make([]string, 0, len(c.nodes))
	for _, n := range c.nodes {
		if err := n.process.WaitReady(waiting); err != nil {
			return nil, err
		}
		addresses = append(addresses, `"`+n.address+`"`)
	}
	target := fmt.Sprintf("- targets: [%s]\n  labels: {job: %s, __console_path__: /debug/realtime/}\n", strings.Join(addresses, ", "), clusterService)
	if err := os.WriteFile(c.targets, []byte(target), 0o600); err != nil {
		return nil, fmt.Errorf("have the nodes scraped: %w", err)
	}
	c.people = invite(ctx, c.urls(), []load.Group{{Name: "people", Does: load.Chat, Connections: 60, Rooms: 6, Rate: 20}})
	if err := c.people.arrived(ctx); err != nil {
		return nil, fmt.Errorf("have people talk: %w", err)
	}
	c.began = time.Now()
	return c, nil
}

func (s *Stack) startNode(self, dir, name, address string, args ...string) *node {
	n := &node{address: address}
	n.process = supervise.Run(supervise.Program{
		Name: name, Path: self,
		Args: append([]string{"demo", "--listen=" + address, "--node=" + name, "--trace-url=http://" + s.At.Desk + "/trace/"}, args...),
		Env: []string{
			"OTEL_SERVICE_NAME=" + clusterService,
			"OTEL_RESOURCE_ATTRIBUTES=service.namespace=sockscope,deployment.environment.name=demo",
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + s.At.CollectorOTLPGRPC,
			"SOCKSCOPE_LOKI_URL=http://" + s.At.CollectorLoki + "/loki/api/v1/push",
		},
		Log: filepath.Join(dir, name+".log"), Ready: "http://" + address + "/readyz", StopTimeout: stopTimeout,
	}, n.happened)
	return n
}

func (n *node) happened(e supervise.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch e.Kind {
	case supervise.Started:
		n.pid = e.PID
	case supervise.Ready:
		n.ready++
	case supervise.Exited:
		n.pid = 0
	}
}

// signal sends a signal to the process, if there is one now.
func (n *node) signal(signal syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pid == 0 {
		return errors.New("the node is not running")
	}
	process, err := os.FindProcess(n.pid)
	if err == nil {
		err = process.Signal(signal)
	}
	return err
}

func (n *node) timesReady() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ready
}

func (c *cluster) urls() []string {
	urls := make([]string, 0, len(c.nodes))
	for _, n := range c.nodes {
		urls = append(urls, "ws://"+n.address+"/ws")
	}
	return urls
}

// stop stops as much of the service as was started.
func (c *cluster) stop() (err error) {
	if c.people != nil {
		err = c.people.leave()
	}
	if failed := os.Remove(c.targets); failed != nil && !errors.Is(failed, os.ErrNotExist) {
		err = errors.Join(err, fmt.Errorf("have the nodes no longer scraped: %w", failed))
	}
	for _, n := range c.nodes {
		n.process.Stop()
	}
	if c.redis != nil && c.redis.Process != nil {
		_ = c.redis.Process.Kill() // fails only if it has ended
		_ = c.redis.Wait()
	}
	if c.dir != "" {
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	return err
}

// freePorts returns ports that nothing listens on.
func freePorts(n int) (ports []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find free ports: %w", err)
		}
		defer func() { _ = l.Close() }() // all of them stay taken until all are found
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

// rollingRestart ends one node after the other in order, each once the one before is ready again.
type rollingRestart struct{}

func (rollingRestart) String() string { return "restart one node after the other" }

func (rollingRestart) Inject(ctx context.Context, s *Stack) (func(context.Context) error, error) {
	for _, n := range s.cluster.nodes {
		before := n.timesReady()
		if err := n.signal(syscall.SIGTERM); err != nil {
			return noHealing, err
		}
		limit := time.Now().Add(readyTimeout)
		for n.timesReady() == before {
			if time.Now().After(limit) {
				return noHealing, fmt.Errorf("%s is not ready again within %v", n.address, readyTimeout)
			}
			if err := wait(ctx, crashEvery); err != nil {
				return noHealing, err
			}
		}
	}
	return noHealing, nil
}
