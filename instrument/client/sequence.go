package client

import (
	"fmt"
	"math"
)

// A Verdict says how an event's sequence numbers relate to those before it.
type Verdict uint8

// The verdicts of a Sequence.
const (
	// InOrder is an event that continues the sequence. So do a range that begins before the end of the sequence and
	// ends after it, an event without a number, and an empty range at the end of the sequence.
	InOrder Verdict = iota
	// Gap is an event that continues the sequence after missing numbers.
	Gap
	// Duplicate is an event whose numbers have all been observed.
	Duplicate
	// OutOfOrder is an event that comes late: it has numbers that were missing.
	OutOfOrder
	// Superseded is an event that the snapshot already contains, see Sequence.Reset.
	Superseded
	// Invalid is an event whose numbers make no sense, see Sequence.Observe. It changes nothing.
	Invalid
)

// String returns the verdict in words.
func (v Verdict) String() string {
	names := []string{"in order", "gap", "duplicate", "out of order", "superseded", "invalid"}
	if int(v) >= len(names) {
		return fmt.Sprintf("Verdict(%d)", uint8(v))
	}
	return names[v]
}

// rememberedGaps is the number of gaps that a Sequence remembers to distinguish late events from repeated ones.
const rememberedGaps = 16

// maxNumber is the highest valid number. A higher one is a negative number that was converted. It would make every
// event after it a duplicate.
const maxNumber = math.MaxInt64

// A Sequence follows the numbers of one stream and recognizes gaps, duplicates and late events. Events carry one number
// each or a range of numbers, like an exchange's aggregated updates. The zero value begins with the first event. A
// Sequence allocates nothing and remembers only the 16 newest gaps. A late event from an older gap counts as a
// duplicate. It is not safe for concurrent use.
type Sequence struct {
	begun   bool
	last    uint64
	floor   uint64 // a snapshot contains everything up to here
	gaps    [rememberedGaps]span
	missing int // gaps in use, oldest first
}

// span is a range of numbers, both ends included.
type span struct{ first, last uint64 }

func (s span) width() uint64 { return s.last - s.first + 1 }

func (s span) empty() bool { return s.first > s.last }

// numbers returns the span of an event that has a number, and whether it is valid.
func numbers(first, last uint64) (s span, ok bool) {
	if last == 0 {
		last = first
	}
	return span{first, last}, 1 <= first && first-1 <= last && last <= maxNumber
}

// Reset makes last the end of the sequence, because a snapshot contains everything up to it. Events up to last that
// arrive afterwards are Superseded, because a snapshot may be ahead of the stream. After a snapshot without a number,
// 0, the sequence begins with the next event.
func (s *Sequence) Reset(last uint64) {
	*s = Sequence{begun: last != 0, last: last, floor: last}
}

// Last returns the highest number observed, or 0 before the first.
func (s *Sequence) Last() uint64 { return s.last }

// Observe takes the numbers of one event, from first to last. It returns the verdict and, for a Gap, how many numbers
// are missing. Valid numbers are from 1 to the highest int64.
//
//   - An event with one number has it in first, and the same or 0 in last.
//   - An event without a number has 0 in both. It is always InOrder.
//   - An empty range, where first is last+1, says that nothing has happened since last. It is InOrder at the end of the
//     sequence, and a Gap beyond it.
//   - Everything else is Invalid: a range from 0, one that ends before it begins, a number that is too high.
func (s *Sequence) Observe(first, last uint64) (v Verdict, missing uint64) {
	if first == 0 && last == 0 {
		return InOrder, 0
	}
	event, ok := numbers(first, last)
	if !ok {
		return Invalid, 0
	}
	switch {
	case !s.begun:
		s.begun, s.last = true, event.last
		return InOrder, 0
	case event.empty() && event.last == s.last:
		return InOrder, 0
	case event.last <= s.floor:
		return Superseded, 0
	case event.last <= s.last:
		if !event.empty() && s.fill(event) {
			return OutOfOrder, 0
		}
		return Duplicate, 0
	case event.first > s.last && event.first-s.last > 1:
		gap := span{s.last + 1, event.first - 1}
		s.remember(gap)
		s.last = event.last
		return Gap, gap.width()
	default:
		if event.first <= s.last {
			s.fill(event)
		}
		s.last = event.last
		return InOrder, 0
	}
}

// remember keeps a gap. If there are too many, it forgets the oldest. After an empty range the gap may grow.
func (s *Sequence) remember(gap span) {
	if s.missing > 0 && s.gaps[s.missing-1].last+1 == gap.first {
		s.gaps[s.missing-1].last = gap.last
		return
	}
	if s.missing == rememberedGaps {
		copy(s.gaps[:], s.gaps[1:])
		s.missing--
	}
	s.gaps[s.missing] = gap
	s.missing++
}

// fill removes the numbers of a late event from the gaps and says whether any was missing.
func (s *Sequence) fill(event span) (late bool) {
	old := s.gaps
	gaps := old[:s.missing]
	s.missing = 0
	for _, gap := range gaps {
		if event.last < gap.first || gap.last < event.first {
			s.remember(gap)
			continue
		}
		late = true
		if gap.first < event.first {
			s.remember(span{gap.first, event.first - 1})
		}
		if event.last < gap.last {
			s.remember(span{event.last + 1, gap.last})
		}
	}
	return late
}
