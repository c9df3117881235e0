package load

import "slices"

// sequence follows the numbers of what one recipient gets: each number once, one after the other. The zero value knows
// nothing yet.
type sequence struct {
	known       bool
	first, last uint64 // what is accounted for
	missing     []span // what did not come of it, in order
	forgotten   uint64 // how many were missing before those
}

// span is a range of numbers.
type span struct{ from, to uint64 }

// maxSpans bounds the gaps that are remembered.
const maxSpans = 64

// verdict is what a number is to who has got it.
type verdict int

const (
	inOrder verdict = iota // the next, or the one after a gap
	late                   // one that was missing
	twice
)

// begin says that everything after seq is to come.
func (s *sequence) begin(seq uint64) {
	switch {
	case !s.known:
		*s = sequence{known: true, first: seq + 1, last: seq}
	case seq+1 < s.first: // what came already was not the first
		s.lose(0, span{seq + 1, s.first - 1})
		s.first = seq + 1
	}
}

// take takes a number that has come.
func (s *sequence) take(seq uint64) verdict {
	if !s.known {
		s.begin(seq - 1)
	}
	if seq > s.last {
		s.reach(seq - 1)
		s.last = seq
		return inOrder
	}
	for i, m := range s.missing {
		if seq < m.from || seq > m.to {
			continue
		}
		s.missing = slices.Delete(s.missing, i, i+1)
		if seq > m.from {
			s.lose(i, span{m.from, seq - 1})
			i++
		}
		if seq < m.to {
			s.lose(i, span{seq + 1, m.to})
		}
		return late
	}
	return twice
}

// reach says that there are numbers up to seq: those after the last that has come are missing.
func (s *sequence) reach(seq uint64) {
	if s.known && seq > s.last {
		s.lose(len(s.missing), span{s.last + 1, seq})
		s.last = seq
	}
}

// lose notes what is missing, and forgets where the first of it was if that gets too much: the last may still come.
func (s *sequence) lose(at int, m span) {
	s.missing = slices.Insert(s.missing, at, m)
	if len(s.missing) > maxSpans {
		s.forgotten += s.missing[0].to - s.missing[0].from + 1
		s.missing = slices.Delete(s.missing, 0, 1)
	}
}

// lost returns how many numbers are missing.
func (s *sequence) lost() uint64 {
	n := s.forgotten
	for _, m := range s.missing {
		n += m.to - m.from + 1
	}
	return n
}
