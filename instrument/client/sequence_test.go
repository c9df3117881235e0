package client_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument/client"
)

func ExampleSequence() {
	var s client.Sequence
	for _, number := range []uint64{1, 2, 5, 3, 5} {
		verdict, missing := s.Observe(number, 0)
		fmt.Println(number, verdict, missing)
	}
	// Output:
	// 1 in order 0
	// 2 in order 0
	// 5 gap 2
	// 3 out of order 0
	// 5 duplicate 0
}

func TestSequence(t *testing.T) {
	type observed struct {
		First, Last uint64
		Verdict     client.Verdict
		Missing     uint64
	}
	const end = math.MaxInt64
	tests := map[string]struct {
		reset    uint64
		observed []observed
		last     uint64
	}{
		"begins with the first": {0, []observed{{100, 0, client.InOrder, 0}, {101, 101, client.InOrder, 0}}, 101},
		"continues a snapshot":  {9, []observed{{10, 0, client.InOrder, 0}}, 10},
		"gap after a snapshot":  {9, []observed{{12, 0, client.Gap, 2}, {11, 0, client.OutOfOrder, 0}}, 12},
		"contained in a snapshot": {9, []observed{
			{8, 9, client.Superseded, 0}, {9, 10, client.InOrder, 0}, {10, 10, client.Duplicate, 0},
		}, 10},
		"ranges": {0, []observed{
			{1, 4, client.InOrder, 0}, {5, 9, client.InOrder, 0}, {12, 15, client.Gap, 2}, {9, 10, client.OutOfOrder, 0},
			{9, 10, client.Duplicate, 0}, {14, 20, client.InOrder, 0}, {11, 30, client.InOrder, 0}, {11, 11, client.Duplicate, 0},
		}, 30},
		"late events": {0, []observed{
			{1, 0, client.InOrder, 0}, {5, 0, client.Gap, 3}, {3, 0, client.OutOfOrder, 0}, {3, 0, client.Duplicate, 0},
			{2, 4, client.OutOfOrder, 0}, {2, 4, client.Duplicate, 0}, {6, 0, client.InOrder, 0},
		}, 6},
		"no numbers": {0, []observed{{0, 0, client.InOrder, 0}, {7, 7, client.InOrder, 0}, {0, 0, client.InOrder, 0}}, 7},
		"ends": {end - 3, []observed{
			{end - 1, end - 1, client.Gap, 1}, {end, end, client.InOrder, 0}, {1, end, client.OutOfOrder, 0},
		}, end},
		"widest gap": {0, []observed{{1, 1, client.InOrder, 0}, {end, end, client.Gap, end - 2}}, end},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var s client.Sequence
			s.Reset(test.reset)
			var got []observed
			for _, o := range test.observed {
				verdict, missing := s.Observe(o.First, o.Last)
				got = append(got, observed{o.First, o.Last, verdict, missing})
			}
			if diff := cmp.Diff(test.observed, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if s.Last() != test.last {
				t.Errorf("last = %d, want %d", s.Last(), test.last)
			}
		})
	}
}

// TestFieldCase13 observes ranges that are empty or invalid. They are progress or refused, and nothing is guessed.
func TestFieldCase13(t *testing.T) {
	type observed struct {
		First, Last uint64
		Verdict     client.Verdict
		Missing     uint64
	}
	const highest = math.MaxInt64
	tests := map[string]struct {
		reset    uint64
		observed []observed
		last     uint64
	}{
		"empty, at the end":          {7, []observed{{8, 7, client.InOrder, 0}, {8, 0, client.InOrder, 0}, {9, 8, client.InOrder, 0}}, 8},
		"empty, beyond the end":      {7, []observed{{10, 9, client.Gap, 2}, {8, 9, client.OutOfOrder, 0}, {10, 0, client.InOrder, 0}}, 10},
		"empty, old":                 {0, []observed{{5, 0, client.InOrder, 0}, {9, 0, client.Gap, 3}, {8, 7, client.Duplicate, 0}, {7, 0, client.OutOfOrder, 0}}, 9},
		"empty, in the snapshot":     {7, []observed{{6, 5, client.Superseded, 0}}, 7},
		"empty, first":               {0, []observed{{8, 7, client.InOrder, 0}, {8, 0, client.InOrder, 0}}, 8},
		"ends before it begins":      {3, []observed{{5, 3, client.Invalid, 0}, {4, 0, client.InOrder, 0}}, 4},
		"from 0":                     {3, []observed{{0, 7, client.Invalid, 0}, {4, 0, client.InOrder, 0}}, 4},
		"negative once":              {3, []observed{{highest + 1, 0, client.Invalid, 0}, {math.MaxUint64, math.MaxUint64, client.Invalid, 0}, {4, 0, client.InOrder, 0}}, 4},
		"up to a negative one":       {3, []observed{{4, math.MaxUint64, client.Invalid, 0}, {4, 0, client.InOrder, 0}}, 4},
		"from a negative one":        {3, []observed{{math.MaxUint64, 4, client.Invalid, 0}, {4, 0, client.InOrder, 0}}, 4},
		"invalid before it begins":   {0, []observed{{9, 3, client.Invalid, 0}, {5, 0, client.InOrder, 0}}, 5},
		"as high as it may be":       {highest - 1, []observed{{highest, highest, client.InOrder, 0}, {highest, 0, client.Duplicate, 0}}, highest},
		"empty range at the highest": {highest - 1, []observed{{highest + 1, highest, client.Gap, 1}}, highest},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var s client.Sequence
			s.Reset(test.reset)
			var got []observed
			for _, o := range test.observed {
				verdict, missing := s.Observe(o.First, o.Last)
				got = append(got, observed{o.First, o.Last, verdict, missing})
			}
			if diff := cmp.Diff(test.observed, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if s.Last() != test.last {
				t.Errorf("last = %d, want %d", s.Last(), test.last)
			}
		})
	}
}

func TestSequenceAllocatesNothing(t *testing.T) {
	var s client.Sequence
	number := uint64(0)
	if got := testing.AllocsPerRun(100, func() {
		number += 3
		s.Observe(number, 0)
		s.Observe(number-1, 0)
	}); got != 0 {
		t.Errorf("%v allocations per event", got)
	}
}

// FuzzSequence compares a Sequence with a model that remembers every number.
func FuzzSequence(f *testing.F) {
	f.Add(uint8(0), []byte{1, 0, 2, 0, 5, 2, 3, 0})
	f.Add(uint8(9), []byte{8, 1, 9, 3, 20, 0, 15, 10, 12, 0})
	f.Add(uint8(0), []byte{3, 2, 4, 1, 9, 1, 6, 1, 0, 3, 255, 0})
	f.Fuzz(func(t *testing.T, reset uint8, numbers []byte) {
		var s client.Sequence
		s.Reset(uint64(reset))
		m := model{begun: reset > 0, last: uint64(reset), floor: uint64(reset), missing: map[uint64]bool{}}
		for i := 0; i+1 < len(numbers); i += 2 {
			first := uint64(numbers[i])
			last := first + uint64(numbers[i+1]%8) - 2 // from empty and invalid ranges to some numbers
			want, wantMissing := m.observe(first, last)
			if m.gaps() > 16 {
				return // it is allowed to forget
			}
			got, missing := s.Observe(first, last)
			if got != want || missing != wantMissing {
				t.Fatalf("event %d, %d to %d: %v, %d missing; want %v, %d", i/2, first, last, got, missing, want, wantMissing)
			}
		}
		if s.Last() != m.last {
			t.Fatalf("last = %d, want %d", s.Last(), m.last)
		}
	})
}

type model struct {
	begun       bool
	last, floor uint64
	missing     map[uint64]bool
}

func (m *model) observe(first, last uint64) (client.Verdict, uint64) {
	if first == 0 && last == 0 {
		return client.InOrder, 0
	}
	if last == 0 {
		last = first
	}
	if first == 0 || first > last+1 || last > math.MaxInt64 {
		return client.Invalid, 0
	}
	if !m.begun {
		m.begun, m.last = true, last
		return client.InOrder, 0
	}
	if first > last && last == m.last {
		return client.InOrder, 0
	}
	if last <= m.floor {
		return client.Superseded, 0
	}
	late := false
	for n := first; n <= last; n++ {
		late = late || m.missing[n]
		delete(m.missing, n)
	}
	if last <= m.last {
		if late {
			return client.OutOfOrder, 0
		}
		return client.Duplicate, 0
	}
	skipped := uint64(0)
	for n := m.last + 1; n < first; n++ {
		m.missing[n] = true
		skipped++
	}
	m.last = last
	if skipped > 0 {
		return client.Gap, skipped
	}
	return client.InOrder, 0
}

// gaps counts the runs of missing numbers.
func (m *model) gaps() int {
	n := 0
	for number := range m.missing {
		if !m.missing[number-1] {
			n++
		}
	}
	return n
}
