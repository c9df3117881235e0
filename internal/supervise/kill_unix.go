//go:build unix

package supervise

import (
	"os"
	"syscall"
)

// killGroup kills the process and what it has started.
func killGroup(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }
