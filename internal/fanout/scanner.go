package main

import (
	"bytes"
	"fmt"
	"iter"
	"strconv"
	"time"
)

// A mark in a message's text says when it was published and its number. It has a fixed length.
const (
	begins    = "at:"
	timeSize  = 19
	markSize  = len(begins) + timeSize + 1 + 8 + 1
	scannerIs = 4 << 10
)

func mark(at time.Time, number int) string {
	return fmt.Sprintf("%s%0*d:%08d:", begins, timeSize, at.UnixNano(), number)
}

// scanner finds marks in what a subscriber reads, in whatever pieces it comes. It does not look at frames.
type scanner struct {
	buf  [scannerIs]byte
	rest int // bytes of buf that may begin a mark
}

// free returns where to read to.
func (s *scanner) free() []byte { return s.buf[s.rest:] }

// marks returns the marks that are complete now that n bytes were read.
func (s *scanner) marks(n int) iter.Seq2[time.Time, int] {
	return func(yield func(time.Time, int) bool) {
		data := s.buf[:s.rest+n]
		for {
			i := bytes.Index(data, []byte(begins))
			if i < 0 {
				data = data[max(0, len(data)-len(begins)+1):]
				break
			}
			data = data[i:]
			if len(data) < markSize {
				break
			}
			at, number := data[len(begins):len(begins)+timeSize], data[len(begins)+timeSize+1:markSize-1]
			nanos, err1 := strconv.ParseInt(string(at), 10, 64)
			n, err2 := strconv.Atoi(string(number))
			if err1 == nil && err2 == nil && !yield(time.Unix(0, nanos), n) {
				return
			}
			data = data[len(begins):]
		}
		s.rest = copy(s.buf[:], data)
	}
}
