//go:build e2e && unix

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sockscope/sockscope/internal/endpoint"
)

// background is a stack that the test leaves to itself.
func background(t *testing.T, binary string) *stack {
	t.Helper()
	offset := freeOffset(t, 10000)
	s := &stack{binary: binary, offset: offset, data: t.TempDir(), at: endpoint.Local(offset)}
	t.Cleanup(func() { _, _ = s.command(nil, "down") })
	return s
}

// command runs a command about the stack and returns all that it prints.
func (s *stack) command(env []string, args ...string) (string, error) {
	cmd := exec.Command(s.binary, append(args, "--data="+s.data, "--port-offset="+strconv.Itoa(s.offset))...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// succeeds runs a command that has to succeed and print something.
func (s *stack) succeeds(t *testing.T, want string, args ...string) string {
	t.Helper()
	out, err := s.command(nil, args...)
	if err != nil || !strings.Contains(out, want) {
		t.Fatalf("%s: %v, want %q in\n%s", args[0], err, want, out)
	}
	return out
}

// fails runs a command that has to fail and say why.
func (s *stack) fails(t *testing.T, want string, args ...string) {
	t.Helper()
	out, err := s.command(nil, args...)
	if err == nil || !strings.Contains(out, want) {
		t.Fatalf("%s: %v, want an error and %q in\n%s", args[0], err, want, out)
	}
}

// findProcess finds the process that runs the stack.
func (s *stack) findProcess(t *testing.T) {
	t.Helper()
	paths, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		command, err := os.ReadFile("/proc/" + p.Name() + "/cmdline")
		if err != nil || !strings.Contains(string(command), "\x00up\x00") || !strings.Contains(string(command), "--data="+s.data+"\x00") {
			continue
		}
		if s.pid, err = strconv.Atoi(p.Name()); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("no process runs the stack")
}

func TestBackground(t *testing.T) {
	binary := program(t)
	for name, test := range map[string]func(*testing.T, *stack){
		"life": testLife, "killed": testKilled, "fails to start": testFailsToStart, "stopped while starting": testStoppedWhileStarting,
	} {
		t.Run(name, func(t *testing.T) { test(t, background(t, binary)) })
	}
}

// testLife leads a stack in the background through its life.
func testLife(t *testing.T, s *stack) {
	s.fails(t, "no stack is using "+s.data, "status")
	s.succeeds(t, "No stack is using "+s.data, "down")

	s.succeeds(t, "sockscope down", "up", "--detach")
	s.findProcess(t)
	table := s.succeeds(t, "http://"+s.at.Demo, "status")
	if got := strings.Count(table, " ready "); got < 8 {
		t.Errorf("%d components are ready:\n%s", got, table)
	}
	s.fails(t, "another stack is using "+s.data, "up", "--detach")
	other := background(t, s.binary)
	other.fails(t, "no stack is using "+other.data, "status")
	other.succeeds(t, "No stack is using "+other.data, "down")

	s.signal(t, "demo", syscall.SIGSTOP)
	eventually(t, "a component that hangs is down", time.Minute, func() error { // each thread of it stops on its own
		if out, err := s.command(nil, "status"); err == nil || !strings.Contains(out, "components are down: demo") {
			return fmt.Errorf("status: %v\n%s", err, out)
		}
		return nil
	})
	s.signal(t, "demo", syscall.SIGCONT)
	s.succeeds(t, "demo", "status")
	s.testLogs(t)

	children := s.children(t)
	s.succeeds(t, "The stack has stopped", "down")
	s.isGone(t, children)
	s.fails(t, "no stack is using", "status")
	s.succeeds(t, "Everything is ready", "logs", "otel-collector") // are kept
}

// testLogs reads logs, of what is there and of what comes.
func (s *stack) testLogs(t *testing.T) {
	s.succeeds(t, "listening", "logs", "desk")
	s.fails(t, "take one of up, desk, demo", "logs", "nothing")
	follow := exec.Command(s.binary, "logs", "up", "--follow", "--data="+s.data)
	pipe, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	printed, exited := &lines{}, make(chan error, 1)
	go func() {
		printed.follow(t, pipe)
		exited <- follow.Wait()
	}()
	printed.await(t, "Everything is ready", time.Minute, exited)
	s.signal(t, "probe", syscall.SIGKILL)
	printed.await(t, "probe died (signal: killed)", time.Minute, exited)
	printed.await(t, "probe is ready again", time.Minute, exited)
	_ = follow.Process.Signal(os.Interrupt)
	if err := <-exited; err != nil {
		t.Errorf("logs --follow ended with %v", err)
	}
}

// testKilled kills the stack's own process, which can then tidy nothing up.
func testKilled(t *testing.T, s *stack) {
	s.succeeds(t, "sockscope down", "up", "--detach")
	s.findProcess(t)
	if err := syscall.Kill(s.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stack's lock is free", 10*time.Second, func() error {
		if out, err := s.command(nil, "status"); err == nil || !strings.Contains(out, "no stack is using") {
			return fmt.Errorf("status: %v\n%s", err, out)
		}
		return nil
	})
	s.succeeds(t, "No stack is using", "down")
	eventually(t, "its components have ended", time.Minute, func() error {
		if !allFree(s.at) {
			return errors.New("ports are taken")
		}
		return nil
	})
	s.succeeds(t, "sockscope down", "up", "--detach")
	s.succeeds(t, "The stack has stopped", "down")
}

// testFailsToStart makes sure that a start in the background says why it failed.
func testFailsToStart(t *testing.T, s *stack) {
	l, err := net.Listen("tcp", s.at.Desk)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s.fails(t, s.at.Desk+", which desk needs, is taken", "up", "--detach")
	s.fails(t, "no stack is using", "status")
}

// testStoppedWhileStarting stops a stack whose components are still being built.
func testStoppedWhileStarting(t *testing.T, s *stack) {
	env, _ := slowBuilds(t, s.binary, time.Hour)
	type outcome struct {
		out string
		err error
	}
	up := make(chan outcome, 1)
	cache := t.TempDir()
	go func() {
		out, err := s.command(env, "up", "--detach", "--cache="+cache)
		up <- outcome{out, err}
	}()
	eventually(t, "is building", time.Minute, func() error {
		out, err := s.command(nil, "status")
		if err == nil && !strings.Contains(out, "building") {
			err = fmt.Errorf("not building:\n%s", out)
		}
		return err
	})
	s.findProcess(t)
	children := s.children(t)
	s.succeeds(t, "The stack has stopped", "down")
	s.isGone(t, children)
	if o := <-up; o.err == nil {
		t.Errorf("up --detach succeeded, and the stack was stopped:\n%s", o.out)
	}
}
