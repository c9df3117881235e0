// Package process runs a program that listens on loopback, and tells what it takes. It reads /proc, so it needs Linux.
package process

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 20 * time.Second
	stopTimeout  = 30 * time.Second
)

// Process is a running program.
type Process struct {
	Address string // on which it listens
	cmd     *exec.Cmd
	dir     string
}

// Start runs a program and waits until it listens. Command returns how to run it, given a folder of its own, which is
// gone at the end, and the address to listen on.
func Start(ctx context.Context, name string, command func(dir, address string) ([]string, error)) (*Process, error) {
	dir, err := os.MkdirTemp("", "measured-")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Process{dir: dir, Address: l.Addr().String()}
	_ = l.Close() // the program listens there now
	args, err := command(dir, p.Address)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p.cmd = exec.CommandContext(ctx, args[0], args[1:]...)
	p.cmd.Env = append(os.Environ(), "OTEL_SDK_DISABLED=true")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", p.Address)
		if err == nil {
			_ = conn.Close()
			return p, nil
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			p.Stop()
			return nil, fmt.Errorf("%s does not listen: %w\n%s", name, err, text)
		}
	}
}

// Stop ends the program and removes what it has kept.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	kill := time.AfterFunc(stopTimeout, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait()
	kill.Stop()
	_ = os.RemoveAll(p.dir)
}

// CPU returns the processor time that the program has taken.
func (p *Process) CPU() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	const user, system, tick = 11, 12, 10 * time.Millisecond // behind the name, which may hold spaces
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int
	for _, i := range []int{user, system} {
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// Memory returns how much memory of the program is resident, in bytes.
func (p *Process) Memory() (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	line, _, _ := strings.Cut(rest, "kB")
	kib, err := strconv.Atoi(strings.TrimSpace(line))
	return kib << 10, err
}
