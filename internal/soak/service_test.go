//go:build soak

package soak

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// service is three instances of the demo and their Redis.
type service struct {
	t         *testing.T
	dir       string
	program   string
	key       string // a file
	redis     *process
	instances []*process
}

// process is a program that is started again after it was killed.
type process struct {
	service *service
	name    string
	url     string // to ask whether it is ready; empty for Redis
	grpc    string // address
	args    []string
	away    time.Duration // how long it stays so

	mu  sync.Mutex
	cmd *exec.Cmd
}

func start(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, dir: t.TempDir()}
	s.program = filepath.Join(s.dir, "sockscope")
	if out, err := exec.Command("go", "build", "-o", s.program, "../../cmd/sockscope").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // crypto/rand never fails
	s.key = filepath.Join(s.dir, "key")
	if err := os.WriteFile(s.key, []byte(hex.EncodeToString(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	s.redis = &process{service: s, name: "redis", away: 3 * time.Second, args: []string{
		"redis-server", "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction",
	}}
	s.redis.run()
	for n := range 3 {
		listen := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
		grpc := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
		i := &process{service: s, name: fmt.Sprintf("demo-%d", n+1), url: "http://" + listen, grpc: grpc, away: 10 * time.Second, args: []string{
			s.program, "demo", "--listen=" + listen, "--grpc-listen=" + grpc, fmt.Sprintf("--node=demo-%d", n+1),
			fmt.Sprintf("--redis=redis://127.0.0.1:%d/0", port), "--auth-key-file=" + s.key, "--log-level=warn", "--sample-ratio=0.01",
		}}
		i.run()
		s.instances = append(s.instances, i)
	}
	for _, i := range s.instances {
		if err := i.ready(time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *service) note(format string, args ...any) {
	s.t.Logf("%s "+format, append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}

func (s *service) sockets() string {
	var urls []string
	for _, i := range s.instances {
		urls = append(urls, strings.Replace(i.url, "http", "ws", 1)+"/ws")
	}
	return strings.Join(urls, ",")
}

func (s *service) rpcs() string {
	var addresses []string
	for _, i := range s.instances {
		addresses = append(addresses, i.grpc)
	}
	return strings.Join(addresses, ",")
}

func (s *service) command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.program, args...)
	cmd.Env = append(os.Environ(), "OTEL_SDK_DISABLED=true")
	cmd.Stderr = os.Stderr
	return cmd
}

// run starts the process, which ends with the test.
func (p *process) run() {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(filepath.Join(p.service.dir, p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.service.t.Error(err)
		return
	}
	defer func() { _ = log.Close() }()
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Env = append(os.Environ(), "OTEL_SDK_DISABLED=true")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		p.service.t.Errorf("start %s: %v", p.name, err)
		return
	}
	cmd := p.cmd
	p.service.t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() }) // it may have been killed before
}

// restart kills the process without a word and starts it again after a while.
func (p *process) restart() {
	p.service.note("%s is killed", p.name)
	p.mu.Lock()
	_, _ = p.cmd.Process.Kill(), p.cmd.Wait() // the error is that it was killed
	p.mu.Unlock()
	time.Sleep(p.away)
	p.run()
	p.service.note("%s is started again", p.name)
}

func (p *process) ready(patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		status, body, err := p.get("/readyz")
		if err == nil && status == http.StatusOK {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready: %d %s %w", p.name, status, body, err)
		}
	}
}

func (p *process) get(path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// metric returns the value of a series of the instance.
func (p *process) metric(t *testing.T, series string) float64 {
	_, body, err := p.get("/metrics")
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(body) {
		if text, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Error(err)
			}
			return v
		}
	}
	t.Errorf("%s has no %s", p.name, series)
	return 0
}
