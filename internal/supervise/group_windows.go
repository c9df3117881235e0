package supervise

import (
	"os"
	"syscall"
)

// OwnGroup keeps a Ctrl-C at the terminal from the program.
func OwnGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// KillGroup kills the process: Windows has no signal for a group.
func KillGroup(p *os.Process) error { return p.Kill() }
