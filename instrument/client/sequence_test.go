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
	const end = math.MaxUint64
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
		"no numbers":       {0, []observed{{0, 0, client.InOrder, 0}, {7, 7, client.InOrder, 0}, {0, 0, client.InOrder, 0}}, 7},
		"from 0":           {0, []observed{{0, 7, client.InOrder, 0}, {8, 0, client.InOrder, 0}}, 8},
		"last below first": {3, []observed{{5, 4, client.Gap, 1}}, 5},
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
	f.Fuzz(func(t *testing.T, reset uint8, numbers []byte) {
		var s client.Sequence
		s.Reset(uint64(reset))
		m := model{begun: reset > 0, last: uint64(reset), floor: uint64(reset), missing: map[uint64]bool{}}
		for i := 0; i+1 < len(numbers); i += 2 {
			first, last := uint64(numbers[i]), uint64(numbers[i])+uint64(numbers[i+1]%8)
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
	if !m.begun {
		m.begun, m.last = true, last
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
