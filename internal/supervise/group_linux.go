package supervise

import "syscall"

// OwnGroup keeps a Ctrl-C at the terminal from the program, which is stopped in its turn, and has the system stop it if
// this process is killed.
func OwnGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
