//go:build unix && !linux

package supervise

import "syscall"

// ownGroup keeps a Ctrl-C at the terminal from the program, which is stopped in
// its turn.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
