package stack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/sockscope/sockscope/internal/progress"
)

// Find returns what the stack that uses the data directory says of itself. The error says so if none does.
func Find(data string) (progress.State, error) {
	running, err := Running(data)
	if err != nil {
		return progress.State{}, err
	}
	if !running {
		return progress.State{}, errNone(data)
	}
	return progress.Read(placesIn(data).progress())
}

// Signal sends a signal to a service of the stack that uses the data directory, once it is certain that the process is
// a child of that stack.
func Signal(data, service string, signal syscall.Signal) error {
	state, err := Find(data)
	if err == nil {
		err = signalChild(state, service, signal)
	}
	if err != nil {
		return fmt.Errorf("send %v to %s: %w", signal, service, err)
	}
	return nil
}

func signalChild(state progress.State, service string, signal syscall.Signal) error {
	pid := state.Services[service].PID
	if pid == 0 {
		return errors.New("the stack has no such process now")
	}
	parent, err := parentOf(pid)
	if err != nil {
		return err
	}
	if parent != state.PID {
		return fmt.Errorf("process %d does not belong to the stack any more; try again", pid)
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return process.Signal(signal)
}

func parentOf(pid int) (int, error) {
	out, err := exec.Command("ps", "-o", "ppid=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0, fmt.Errorf("process %d has ended, or there is no ps: %w", pid, err)
	}
	return strconv.Atoi(strings.TrimSpace(string(out)))
}
