//go:build unix

package backplane_test

import (
	"syscall"
	"testing"
)

// pause has the server hang: connections stay open and are even accepted, but nothing is answered.
func (s *server) pause(t *testing.T) { s.signal(t, syscall.SIGSTOP) }

func (s *server) resume(t *testing.T) { s.signal(t, syscall.SIGCONT) }

func (s *server) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}
