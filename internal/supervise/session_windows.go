package supervise

import "syscall"

// OwnSession keeps a Ctrl-C at the terminal from the program.
func OwnSession() *syscall.SysProcAttr { return OwnGroup() }
