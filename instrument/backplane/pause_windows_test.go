package backplane_test

import "testing"

func (s *server) pause(t *testing.T) {
	t.Helper()
	t.Fatal("Windows has no way to pause Redis: run this test on Linux or macOS")
}

func (s *server) resume(t *testing.T) { t.Helper() }
