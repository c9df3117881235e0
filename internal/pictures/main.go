// Command pictures makes the pictures of docs/pictures: it runs the stack, loads and breaks the demo, and looks at its
// pages in Chromium as a user would, by clicking on what they offer. Run it by make screenshots, or with names of
// pictures to make only those. It fails if a page does not lead to where docs/walks.md says that it leads.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// readyTimeout is how long a first start may take, which compiles the components.
const readyTimeout = 20 * time.Minute

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	program := flag.String("sockscope", ".cache/sockscope", "the program `sockscope`")
	out := flag.String("out", "docs/pictures", "write the pictures into `DIR`")
	offset := flag.Int("port-offset", 9000, "add `N` to every port of the stack")
	start := flag.Bool("start", true, "start a stack and stop it at the end; without it, one with the port offset runs already")
	flag.Parse()
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	s := &stack{program: *program, offset: *offset}
	if *start {
		data, err := os.MkdirTemp("", "pictures")
		if err != nil {
			return err
		}
		defer os.RemoveAll(data)
		ready, cancel := context.WithTimeout(ctx, readyTimeout)
		defer cancel()
		flags := []string{"--port-offset", strconv.Itoa(*offset), "--data", data}
		// A start that fails halfway has left something running, too.
		defer func() {
			err = errors.Join(err, s.sockscope(context.WithoutCancel(ctx), append([]string{"down"}, flags...)...))
		}()
		if err := s.sockscope(ready, append([]string{"up", "--detach"}, flags...)...); err != nil {
			return err
		}
	}
	v, closeViewer, err := newViewer(ctx, *out)
	if err != nil {
		return err
	}
	defer closeViewer()
	chosen := func(name string) bool { return flag.NArg() == 0 || slices.Contains(flag.Args(), name) }
	taken, err := pages(ctx, s, v, chosen)
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	walked := taken
	for _, w := range walks() {
		if !chosen(w.name) {
			continue
		}
		if walked {
			if err := v.do(open("about:blank"), pause(forgetting)); err != nil {
				return err
			}
		}
		walked = true
		if err := w.walk(ctx, s, v); err != nil {
			return fmt.Errorf("the walk %s: %w", w.name, err)
		}
	}
	return nil
}

// stack is a running stack.
type stack struct {
	program string
	offset  int
}

func (s *stack) demo() string { return s.local("http", 8080) }
func (s *stack) desk() string { return s.local("http", 8090) }

func (s *stack) local(scheme string, port int) string {
	return fmt.Sprintf("%s://127.0.0.1:%d", scheme, port+s.offset)
}

// sockscope runs one of its commands to its end.
func (s *stack) sockscope(ctx context.Context, arguments ...string) error {
	cmd := exec.CommandContext(ctx, s.program, arguments...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("sockscope %s: %w", arguments[0], err)
	}
	return nil
}

// load drives the demo until the returned function is called.
func (s *stack) load(ctx context.Context, arguments ...string) (stop func(), err error) {
	arguments = append([]string{"load", "--url", s.local("ws", 8080) + "/ws", "--duration", "1h"}, arguments...)
	cmd := exec.CommandContext(context.WithoutCancel(ctx), s.program, arguments...)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = cmd.Process.Signal(os.Interrupt) // it closes its connections
		_ = cmd.Wait()                       // and reports what the fault has done to them
	}, nil
}

// fault turns a fault on for long enough to walk, and returns a function that turns it off.
func (s *stack) fault(ctx context.Context, name, strength string) (heal func() error, err error) {
	if err := s.sockscope(ctx, "fault", "set", name, strength, "--for", "10m", "--url", s.demo()); err != nil {
		return nil, err
	}
	return func() error {
		return s.sockscope(context.WithoutCancel(ctx), "fault", "clear", name, "--url", s.demo())
	}, nil
}

// A page is one that has pictures, and the way to what they show.
type page struct {
	name  string
	steps []step
}

// pages takes pictures of the chosen main pages in both themes, while many talk, some read slowly and handling is slow.
// It reports whether there were any.
func pages(ctx context.Context, s *stack, v *viewer, chosen func(string) bool) (some bool, err error) {
	desk := s.desk()
	all := []page{
		{"console", []step{open(s.demo() + "/debug/realtime/"), see("live"), pause(12 * time.Second)}},
		{"overview", []step{open(desk), pause(5 * time.Second)}},
		{"connections", []step{open(desk + "/connections"), see("behind")}},
		{"story", []step{open(desk + "/connections?sort=busy"), clickFirst("table.live a"), see("websocket.message")}},
		{"logs", []step{open(desk + "/logs"), see("a bar for each")}},
		{"traces", []step{open(desk + "/trace"), see("newest first")}},
		{"trace", []step{open(desk + "/trace?min=1s"), clickFirst(".found a"), see("Log records"), pause(time.Second)}},
		{"dashboard", []step{open(desk + "/dashboards"), click("Realtime overview"), pause(6 * time.Second)}},
		{"inbox", []step{open(desk + "/inbox"), see("open alert")}},
	}
	all = slices.DeleteFunc(all, func(p page) bool { return !chosen(p.name) })
	if len(all) == 0 {
		return false, nil
	}
	stop, err := s.load(ctx, "--scenario", "mixed")
	if err != nil {
		return true, err
	}
	defer stop()
	heal, err := s.fault(ctx, "slow_handling", "1500")
	if err != nil {
		return true, err
	}
	defer func() { err = errors.Join(err, heal()) }()
	// The alert comes last, so everything has something to show then.
	if err := v.do(open(desk+"/inbox"), see("open alert")); err != nil {
		return true, err
	}
	for _, p := range all {
		for _, theme := range []string{"light", "dark"} {
			steps := append([]step{look(theme)}, p.steps...)
			if err := v.do(append(steps, picture(p.name+"-"+theme))...); err != nil {
				return true, fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	return true, nil
}

// pictureFile is where a picture is.
func pictureFile(dir, name string) string { return filepath.Join(dir, name+".png") }
