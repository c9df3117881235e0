package inject

import (
	"testing"

	"github.com/sockscope/sockscope/demo/session"
)

// TestConnectionMemoryIsBounded has more connections than there is memory for, when the fault begins and later: as many
// as it is enough for have theirs, and when one of them goes, there is some for the next.
func TestConnectionMemoryIsBounded(t *testing.T) {
	t.Parallel()
	const size, most = 1 << 20, 3 << 20
	held := make(map[*session.Session][]byte)
	var open []*session.Session
	for range 5 {
		open = append(open, new(session.Session))
	}
	check := func(what string) {
		t.Helper()
		load(held, open, size, most)
		holding := 0
		for _, s := range open {
			if len(held[s]) == size {
				holding++
			}
		}
		if want := min(3, len(open)); holding != want || len(held) != want {
			t.Errorf("%s: %d of %d connections hold 1 MiB, and %d are held, want %d", what, holding, len(open), len(held), want)
		}
	}
	check("who was there before")
	open = append(open, new(session.Session))
	check("one more")
	for s := range held {
		for i, o := range open {
			if o == s {
				open[i] = new(session.Session)
			}
		}
		break
	}
	check("one more when one has gone")
	open = nil
	check("none when all are gone")
}
