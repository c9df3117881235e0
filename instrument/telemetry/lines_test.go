package telemetry

import (
	"strings"
	"sync"
	"testing"
)

// lines is a log writer whose lines can be looked for while it is written to.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func newLines() *lines { return &lines{} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(l.text.String(), "\n")
}

// find waits for a line that has all the parts.
func (l *lines) find(t *testing.T, parts ...string) (found string) {
	t.Helper()
	eventually(t, "a line with "+strings.Join(parts, " and "), func() bool {
		for _, line := range l.all() {
			has := true
			for _, part := range parts {
				has = has && strings.Contains(line, part)
			}
			if has {
				found = line
				return true
			}
		}
		return false
	})
	return found
}
