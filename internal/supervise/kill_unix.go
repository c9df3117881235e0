//go:build unix

package supervise

import (
	"os"
	"syscall"
)

// KillGroup kills the process and what it has started.
func KillGroup(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }
