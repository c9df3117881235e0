//go:build unix

package stack

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/sockscope/sockscope/internal/progress"
)

// sleeper starts a child of this process, which is killed at the end of the test.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func TestSignalReachesAService(t *testing.T) {
	data := t.TempDir()
	if err := Signal(data, "demo", syscall.SIGTERM); err == nil || !strings.Contains(err.Error(), "no stack is using") {
		t.Errorf("error is %v, want that there is no stack", err)
	}
	lock := dataLock(data)
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Unlock() }()
	teller, err := tell(placesIn(data), []service{{name: "demo"}}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer teller.end()
	process := sleeper(t)
	teller.runs("demo", process.Process.Pid)
	teller.write()
	if err := Signal(data, "demo", syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err == nil || err.Error() != "signal: terminated" {
		t.Errorf("the service ended with %v, want the signal that was sent", err)
	}
}

func TestSignalSparesOthers(t *testing.T) {
	own := sleeper(t).Process.Pid
	for name, test := range map[string]struct {
		stack, service int
		want           string
	}{
		"a service that is down": {os.Getpid(), 0, "the stack has no such process"},
		"a process of no stack":  {os.Getpid() + 1, own, "does not belong to the stack"},
		"a process of long ago":  {os.Getpid(), 1 << 30, "has ended"},
	} {
		t.Run(name, func(t *testing.T) {
			state := progress.State{PID: test.stack, Services: map[string]progress.Service{"demo": {PID: test.service}}}
			err := signalChild(state, "demo", syscall.SIGKILL)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one that says %q", err, test.want)
			}
		})
	}
	if err := syscall.Kill(own, 0); err != nil {
		t.Errorf("a process that is nobody's service: %v", err)
	}
}
