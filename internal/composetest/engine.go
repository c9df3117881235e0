package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sockscope/sockscope/internal/supervise"
)

// engine is the Docker engine that the test uses.
type engine struct {
	host string // for DOCKER_HOST; empty is the user's own choice

	// Of an engine that the test started itself:
	dir    string
	daemon *exec.Cmd
	exited chan struct{}
}

// openEngine returns the engine that the docker command reaches, or starts one with a data directory of its own.
func openEngine(ctx context.Context) (*engine, error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, fmt.Errorf("%w (make test-compose installs it on Debian)", err)
	}
	e := &engine{}
	if e.answers(ctx) {
		return e, nil
	}
	return startEngine(ctx)
}

func startEngine(ctx context.Context) (*engine, error) {
	dir, err := os.MkdirTemp("", "sockscope-docker-")
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	e := &engine{host: "unix://" + filepath.Join(dir, "docker.sock"), dir: dir, exited: make(chan struct{})}
	e.daemon = exec.Command("dockerd", "--host="+e.host, "--data-root="+filepath.Join(dir, "data"),
		"--exec-root="+filepath.Join(dir, "exec"), "--pidfile="+filepath.Join(dir, "pid"))
	e.daemon.Stdout, e.daemon.Stderr = log, log
	// A Ctrl-C ends the test, which then stops the containers and the engine.
	e.daemon.SysProcAttr = supervise.OwnGroup()
	if err := e.daemon.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("no Docker engine runs, and none can be started: %w (make test-compose installs one on Debian; it runs as root)", err), os.RemoveAll(dir))
	}
	go func() {
		_ = e.daemon.Wait() // its log says why
		close(e.exited)
	}()
	if err := e.waitReady(ctx); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func (e *engine) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for !e.answers(ctx) {
		select {
		case <-time.After(200 * time.Millisecond):
		case <-e.exited:
			return fmt.Errorf("dockerd ended at once:\n%s", e.lastLines())
		case <-ctx.Done():
			return fmt.Errorf("dockerd does not answer: %w\n%s", ctx.Err(), e.lastLines())
		}
	}
	return nil
}

func (e *engine) answers(ctx context.Context) bool {
	return e.command(ctx, "docker", "version", "--format={{.Server.Version}}").Run() == nil
}

func (e *engine) lastLines() string {
	log, err := os.ReadFile(filepath.Join(e.dir, "log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// close stops the engine if the test started it, and removes what it kept.
func (e *engine) close() error {
	if e.daemon == nil {
		return nil
	}
	_ = e.daemon.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-e.exited:
	case <-time.After(time.Minute):
		// Its containerd is in the same process group.
		_ = supervise.KillGroup(e.daemon.Process)
		<-e.exited
	}
	if err := os.RemoveAll(e.dir); err != nil {
		return fmt.Errorf("remove the engine's data: %w", err)
	}
	return nil
}

// command prepares a command that talks to this engine. When ctx ends it is asked to stop, and made to after a while.
func (e *engine) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = os.Environ()
	if e.host != "" {
		cmd.Env = append(cmd.Env, "DOCKER_HOST="+e.host)
	}
	cmd.SysProcAttr = supervise.OwnGroup()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// holds says whether the engine has the image, and whether it's one of ours.
func (e *engine) holds(ctx context.Context, reference string) (found, ours bool) {
	out, err := e.command(ctx, "docker", "image", "inspect", "--format={{json .Config.Labels}}", reference).Output()
	return err == nil, err == nil && strings.Contains(string(out), standIn)
}
