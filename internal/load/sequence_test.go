package load

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSequence(t *testing.T) {
	take := func(numbers ...uint64) func(*sequence) (verdicts []verdict) {
		return func(s *sequence) (verdicts []verdict) {
			for _, n := range numbers {
				verdicts = append(verdicts, s.take(n))
			}
			return verdicts
		}
	}
	for name, tc := range map[string]struct {
		steps func(*sequence) []verdict
		want  []verdict
		lost  uint64
		last  uint64
	}{
		"in order":              {take(1, 2, 3), []verdict{inOrder, inOrder, inOrder}, 0, 3},
		"from the middle":       {take(7, 8), []verdict{inOrder, inOrder}, 0, 8},
		"gap":                   {take(1, 5), []verdict{inOrder, inOrder}, 3, 5},
		"gap filled":            {take(1, 5, 3, 2, 4), []verdict{inOrder, inOrder, late, late, late}, 0, 5},
		"gap filled in part":    {take(1, 5, 3, 3), []verdict{inOrder, inOrder, late, twice}, 2, 5},
		"twice":                 {take(1, 2, 2, 1), []verdict{inOrder, inOrder, twice, twice}, 0, 2},
		"before the first":      {take(5, 4), []verdict{inOrder, twice}, 0, 5},
		"begun before":          {func(s *sequence) []verdict { s.begin(2); return take(3)(s) }, []verdict{inOrder}, 0, 3},
		"begun before, and gap": {func(s *sequence) []verdict { s.begin(2); return take(5)(s) }, []verdict{inOrder}, 2, 5},
		"begun afterwards": {func(s *sequence) []verdict {
			v := take(5, 6)(s)
			s.begin(2)
			return append(v, take(3)(s)...)
		}, []verdict{inOrder, inOrder, late}, 1, 6},
		"more known of": {func(s *sequence) []verdict {
			v := take(1)(s)
			s.reach(4)
			return append(v, take(3, 5)(s)...)
		}, []verdict{inOrder, late, inOrder}, 2, 5},
		"nothing known": {func(s *sequence) []verdict { s.reach(4); return nil }, nil, 0, 0},
	} {
		var s sequence
		if diff := cmp.Diff(tc.want, tc.steps(&s)); diff != "" {
			t.Errorf("%s: verdicts (-want +got):\n%s", name, diff)
		}
		if s.lost() != tc.lost || s.last != tc.last {
			t.Errorf("%s: %d lost until %d, want %d until %d", name, s.lost(), s.last, tc.lost, tc.last)
		}
	}
}

// TestSequenceOfAnything compares with a set of all that has come.
func TestSequenceOfAnything(t *testing.T) {
	for range 200 {
		var s sequence
		s.begin(0)
		had, highest := map[uint64]bool{}, uint64(0)
		for range 100 {
			n := rand.Uint64N(60) + 1
			want := late
			switch {
			case had[n]:
				want = twice
			case n > highest:
				want = inOrder
			}
			if got := s.take(n); got != want {
				t.Fatalf("%d after %v is %v, want %v", n, had, got, want)
			}
			had[n], highest = true, max(highest, n)
			if lost := highest - uint64(len(had)); s.lost() != lost {
				t.Fatalf("%d lost after %v, want %d", s.lost(), had, lost)
			}
		}
	}
}

// TestSequenceIsBounded has more gaps than there is place for: it is the first that are forgotten, not those which may
// still be filled.
func TestSequenceIsBounded(t *testing.T) {
	var s sequence
	for n := uint64(1); n < 1000; n += 2 {
		s.take(n)
	}
	if len(s.missing) != maxSpans || s.lost() != 499 {
		t.Errorf("%d gaps are remembered, %d numbers lost, want %d and 499", len(s.missing), s.lost(), maxSpans)
	}
	if got := s.take(998); got != late || s.lost() != 498 {
		t.Errorf("what came after the next is %v, %d numbers lost, want %v and 498", got, s.lost(), late)
	}
}

// TestSequenceBoundedInTheMiddle has gaps filled in their middle, which makes two of one, where there is place for no
// more.
func TestSequenceBoundedInTheMiddle(t *testing.T) {
	var s sequence
	s.begin(0)
	for i := range uint64(maxSpans) {
		s.take(4 * (i + 1)) // three are missing before each
	}
	for i := range uint64(maxSpans) {
		n := 4*(maxSpans-i) - 2
		s.take(n)
		// In the second half it is the forgotten ones that come.
		if want := uint64(3*maxSpans) - i - 1; i < maxSpans/2 && s.lost() != want {
			t.Fatalf("%d lost after %d, want %d", s.lost(), n, want)
		}
		if len(s.missing) > maxSpans || !slices.IsSortedFunc(s.missing, func(a, b span) int { return int(a.from) - int(b.from) }) {
			t.Fatalf("after %d: %v", n, s.missing)
		}
	}
}
