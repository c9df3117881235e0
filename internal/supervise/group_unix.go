//go:build unix && !linux

package supervise

import "syscall"

// OwnGroup keeps a Ctrl-C at the terminal from the program, which is stopped in its turn.
func OwnGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
