package supervise

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

const (
	tailLines    = 15
	tailLineSize = 400
)

// tail is a writer that keeps the last lines written to it, each cut to a length that a terminal bears.
type tail struct {
	mu   sync.Mutex
	last []string
	rest []byte // of a line that isn't complete
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	for {
		line, after, complete := bytes.Cut(p, []byte{'\n'})
		if room := tailLineSize - len(t.rest); room > 0 {
			t.rest = append(t.rest, line[:min(len(line), room)]...)
		}
		if !complete {
			return n, nil
		}
		t.last = append(t.last, string(t.rest))
		if len(t.last) > tailLines {
			t.last = t.last[1:]
		}
		t.rest, p = t.rest[:0], after
	}
}

func (t *tail) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := slices.Clone(t.last)
	if len(t.rest) > 0 {
		lines = append(lines, string(t.rest))
	}
	return lines
}

func (t *tail) String() string { return strings.Join(t.lines(), "\n") }
