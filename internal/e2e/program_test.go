//go:build e2e && unix

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sockscope/sockscope/internal/endpoint"
)

// buildTimeout bounds a start that has to build every component.
const buildTimeout = 40 * time.Minute

// program is the sockscope binary, built once.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sockscope")
	build := exec.Command("go", "build", "-o", path, "./cmd/sockscope")
	build.Dir = root(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	return path
}

// root is the checkout.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// freeOffset finds a port offset that leaves every address of a stack free. All of them stay below 32768, where the
// ports begin that Linux gives to outgoing connections, of which there may be many thousand.
func freeOffset(t *testing.T, from int) int {
	t.Helper()
	for offset := from; offset <= 16000; offset += 100 {
		if allFree(endpoint.Local(offset)) {
			return offset
		}
	}
	t.Fatal("no free range of ports")
	return 0
}

func allFree(at endpoint.Set) bool {
	addresses := reflect.ValueOf(at)
	for i := range addresses.NumField() {
		l, err := net.Listen("tcp", addresses.Field(i).String())
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// stack is a running "sockscope up".
type stack struct {
	binary string
	offset int
	data   string
	at     endpoint.Set
	cmd    *exec.Cmd
	pid    int // of the program
	output *lines
	exited chan error
}

// start runs "sockscope up" and waits until the check at its end is done.
func start(t *testing.T, binary string, offset int, data string, flags ...string) *stack {
	t.Helper()
	s := begin(t, binary, offset, data, nil, flags...)
	s.awaitUp(t)
	return s
}

// awaitUp waits until the check at the end of the start is done.
func (s *stack) awaitUp(t *testing.T) {
	t.Helper()
	s.output.await(t, "Ctrl-C stops everything", buildTimeout, s.exited)
}

// begin runs "sockscope up" with further environment variables.
func begin(t *testing.T, binary string, offset int, data string, env []string, flags ...string) *stack {
	t.Helper()
	s := &stack{
		binary: binary, offset: offset, data: data, at: endpoint.Local(offset),
		output: &lines{}, exited: make(chan error, 1),
	}
	s.cmd = exec.Command(binary, append([]string{
		"up", "--port-offset=" + strconv.Itoa(offset), "--data=" + data, "--loki=", // not one that happens to be installed
	}, flags...)...)
	s.cmd.Dir = root(t)
	s.cmd.Env = append(os.Environ(), env...)
	pipe, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.pid = s.cmd.Process.Pid
	go func() {
		s.output.follow(t, pipe)
		s.exited <- s.cmd.Wait()
	}()
	t.Cleanup(func() { s.stop(t) })
	return s
}

// stop ends the stack as Ctrl-C does and makes sure that nothing is left.
func (s *stack) stop(t *testing.T) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	children := s.children(t)
	_ = s.cmd.Process.Signal(os.Interrupt)
	select {
	case err := <-s.exited:
		if err != nil {
			t.Errorf("up ended with %v", err)
		}
	case <-time.After(2 * time.Minute):
		_ = s.cmd.Process.Kill()
		t.Error("up did not stop within two minutes")
	}
	s.cmd = nil
	s.isGone(t, children)
}

// isGone makes sure that nothing is left of a stack that had these processes.
func (s *stack) isGone(t *testing.T, children map[string]int) {
	t.Helper()
	for name, pid := range children {
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("%s (process %d) is left running", name, pid)
		}
	}
	if !allFree(s.at) {
		t.Error("ports of the stack are still taken")
	}
}

// children are the process ids of the components, by the names of their binaries; for the demo, the probe and the desk,
// of their commands.
func (s *stack) children(t *testing.T) map[string]int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int)
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		_, after, ok := strings.Cut(string(stat), ") ")
		fields := strings.Fields(after)
		if !ok || len(fields) < 2 || fields[1] != strconv.Itoa(s.pid) {
			continue
		}
		dir := filepath.Dir(path)
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			t.Fatal(err)
		}
		command, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue
		}
		args := strings.Split(string(command), "\x00")
		name := versionAndKey.ReplaceAllString(filepath.Base(args[0]), "")
		if name == "sockscope" {
			name = args[1]
		}
		found[name] = pid
	}
	return found
}

var versionAndKey = regexp.MustCompile(`-[0-9.]+-[0-9a-f]+$`)

// signal sends a signal to a component.
func (s *stack) signal(t *testing.T, name string, signal syscall.Signal) {
	t.Helper()
	pid, ok := s.children(t)[name]
	if !ok {
		t.Fatalf("no process of %s among %v", name, s.children(t))
	}
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatalf("%s: %v: %v", name, signal, err)
	}
}

// run runs a command of the program against this stack and returns its standard output.
func (s *stack) run(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Stderr = os.Stderr
	return cmd.Output()
}

// lines collects what a program prints.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) follow(t *testing.T, r io.Reader) {
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		l.mu.Lock()
		l.all = append(l.all, scanner.Text())
		l.mu.Unlock()
		fmt.Fprintln(t.Output(), "up |", scanner.Text())
	}
}

// since returns the lines after the first n that contain the text.
func (l *lines) since(n int, text string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.all[n:] {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

// await waits for a line.
func (l *lines) await(t *testing.T, text string, limit time.Duration, exited chan error) {
	t.Helper()
	deadline := time.After(limit)
	for len(l.since(0, text)) == 0 {
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("up ended (%v) before it said %q", err, text)
		case <-deadline:
			t.Fatalf("up did not say %q within %s", text, limit)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
