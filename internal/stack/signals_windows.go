package stack

import "syscall"

// Windows has neither these signals nor a stack that they could be sent to.
const (
	Pause  = syscall.Signal(0x13)
	Resume = syscall.Signal(0x12)
)
