package instrument

import (
	"slices"
	"testing"
	"time"
)

// TestWaiting takes away from the front, the middle and the end, grows over the ring's edge, and forgets what is too
// much.
func TestWaiting(t *testing.T) {
	var w waiting
	var model []time.Duration
	check := func(what string) {
		t.Helper()
		n, since := w.length()
		var want time.Duration
		if len(model) > 0 {
			want = model[0]
		}
		if n != len(model) || since != want {
			t.Fatalf("%s: %d wait since %v, want %d since %v", what, n, since, len(model), want)
		}
	}
	add := func(d time.Duration) {
		if added, oldest := w.add(d, 40); !added || len(model) > 0 && oldest != d-model[0] || len(model) == 0 && oldest != 0 {
			t.Errorf("add %v: %v, with the oldest waiting for %v", d, added, oldest)
		}
		model = append(model, d)
	}
	remove := func(i int) { w.remove(model[i]); model = slices.Delete(model, i, i+1) }
	check("fresh")
	w.remove(1)
	check("removed from nothing")
	next := time.Duration(0)
	for round := range 30 {
		for range 3 {
			if len(model) < 40 {
				next++
				add(next)
			}
		}
		remove(0)
		check("from the front")
		remove(len(model) - 1)
		check("from the end")
		if round%3 == 2 {
			remove(len(model) / 2)
			check("from the middle")
			remove(len(model) - 2)
			check("from before the end")
		}
	}
	w.remove(-1)
	check("one that never came")
	for len(model) < 40 {
		next++
		add(next)
	}
	if added, oldest := w.add(next, 40); added || oldest != next-model[0] {
		t.Error("one too many is remembered")
	}
	check("one too many")
	for len(model) > 0 {
		remove(0)
		check("emptied")
	}
	if len(w.since) > 16 {
		t.Errorf("%d places are kept after a backlog", len(w.since))
	}
}
