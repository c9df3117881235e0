//go:build unix

package stack

import "syscall"

// Signals that stop a service for a while, as if it hung, and have it go on.
const (
	Pause  = syscall.SIGSTOP
	Resume = syscall.SIGCONT
)
