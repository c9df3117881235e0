// Package supervise runs programs: it keeps their output, reports when they are ready, restarts them when they die, and
// stops them.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"
)

// Program is what to run.
type Program struct {
	Name string
	Path string
	Args []string
	// Env is added to the environment of this process.
	Env []string
	// Log is the file that gets what the program prints, kept below 20 MB.
	Log string
	// Ready is a URL that answers 200 once the program is ready.
	Ready string
	// StopTimeout is how long the program may take to stop when asked to, before it is killed.
	StopTimeout time.Duration
}

// Kind says what has happened to a program.
type Kind int

// The kinds of events.
const (
	// Started: the process runs.
	Started Kind = iota
	// Ready: the readiness URL answers; Event.Took says how long it took.
	Ready
	// Exited: the process has ended without being asked to; Event.Err says how, Event.Tail has its last lines, and it
	// runs again after Event.Wait.
	Exited
)

// Event is something that has happened to a program.
type Event struct {
	Program string
	Kind    Kind
	PID     int
	Took    time.Duration
	Err     error
	Tail    []string
	Wait    time.Duration
}

// The wait before a restart doubles from the first to the last. It starts again with the first when the program has run
// for a while.
const (
	firstWait  = 500 * time.Millisecond
	lastWait   = 30 * time.Second
	longEnough = time.Minute
)

// hopeless is how often a program may die before it is ready for the first time. After that, WaitReady stops waiting.
const hopeless = 4

// Process is a program that is kept running until it is stopped.
type Process struct {
	program Program
	notify  func(Event)
	log     io.WriteCloser
	tail    *tail

	ready     chan struct{}
	readyOnce sync.Once
	failed    chan struct{} // closed when a program that was never ready is hopeless
	stop      chan struct{}
	stopOnce  sync.Once
	done      chan struct{}
}

// Run starts the program and keeps it running until Stop. It calls notify for each event, one at a time.
func Run(p Program, notify func(Event)) *Process {
	process := &Process{
		program: p,
		notify:  notify,
		log:     &lumberjack.Logger{Filename: p.Log, MaxSize: 10, MaxBackups: 1},
		tail:    &tail{},
		ready:   make(chan struct{}),
		failed:  make(chan struct{}),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	go process.keepRunning()
	return process
}

// WaitReady returns when the program was ready for the first time. If it dies again and again before that, or ctx ends,
// the error has its last lines.
func (p *Process) WaitReady(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-p.done:
		return fmt.Errorf("%s was stopped before it was ready", p.program.Name)
	case <-p.failed:
		return fmt.Errorf("%s does not start; see %s\n%s", p.program.Name, p.program.Log, p.tail)
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), context.Canceled) {
			return ctx.Err()
		}
		return fmt.Errorf("%s is not ready (%s): %w; see %s\n%s", p.program.Name, p.program.Ready, context.Cause(ctx), p.program.Log, p.tail)
	}
}

// Stop asks the program to stop and returns when it has, killing it if it takes longer than its StopTimeout.
func (p *Process) Stop() {
	p.stopOnce.Do(func() { close(p.stop) })
	<-p.done
}

func (p *Process) keepRunning() {
	defer close(p.done)
	defer p.log.Close()
	wait := firstWait
	for deaths := 1; ; deaths++ {
		began := time.Now()
		err := p.runOnce()
		if p.stopping() {
			return
		}
		if time.Since(began) > longEnough {
			wait = firstWait
		}
		if deaths == hopeless && !p.wasReady() {
			close(p.failed)
		}
		p.notify(Event{Program: p.program.Name, Kind: Exited, Err: err, Tail: p.tail.lines(), Wait: wait})
		select {
		case <-time.After(wait):
		case <-p.stop:
			return
		}
		wait = min(2*wait, lastWait)
	}
}

func (p *Process) stopping() bool { return closed(p.stop) }

func (p *Process) wasReady() bool { return closed(p.ready) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// runOnce runs the program until it ends, by itself or because of Stop.
func (p *Process) runOnce() error {
	cmd := exec.Command(p.program.Path, p.program.Args...)
	cmd.Env = append(os.Environ(), p.program.Env...)
	output := io.MultiWriter(p.log, p.tail)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = OwnGroup()
	cmd.WaitDelay = time.Second // a grandchild that holds the pipe must not block Wait
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	p.notify(Event{Program: p.program.Name, Kind: Started, PID: cmd.Process.Pid})

	exited := make(chan struct{})
	var exit error
	go func() {
		exit = cmd.Wait()
		close(exited)
	}()
	probing, endProbing := context.WithCancel(context.Background())
	probed := make(chan struct{})
	go func() {
		defer close(probed)
		if waitReady(probing, p.program.Ready) == nil {
			p.readyOnce.Do(func() { close(p.ready) })
			p.notify(Event{Program: p.program.Name, Kind: Ready, PID: cmd.Process.Pid, Took: time.Since(began)})
		}
	}()
	defer func() { endProbing(); <-probed }()

	select {
	case <-exited:
		if exit == nil {
			return errors.New("exit status 0")
		}
		return exit
	case <-p.stop:
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // fails only if it has just ended
	select {
	case <-exited:
	case <-time.After(p.program.StopTimeout):
		_ = KillGroup(cmd.Process)
		<-exited
	}
	return nil
}
