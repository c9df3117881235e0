//go:build unix

package supervise

import "syscall"

// OwnSession detaches the program from the terminal, so that it goes on when this process and the terminal end.
func OwnSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
