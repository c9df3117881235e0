package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestScanner reads marks in pieces of every size, in which text and frames are between them.
func TestScanner(t *testing.T) {
	var stream strings.Builder
	base := time.Unix(1_700_000_000, 123)
	const n = 40
	for i := range n {
		fmt.Fprintf(&stream, "\x81\x7eat: at:12 %s%sat", mark(base.Add(time.Duration(i)), i), strings.Repeat("x", i*7))
	}
	text := stream.String()
	for size := 1; size < 200; size++ {
		var s scanner
		next := 0
		for rest := text; rest != ""; {
			read := copy(s.free(), rest[:min(size, len(rest))])
			rest = rest[read:]
			for at, number := range s.marks(read) {
				if number != next || !at.Equal(base.Add(time.Duration(number))) {
					t.Fatalf("pieces of %d bytes: got %d of %v, want %d", size, number, at, next)
				}
				next++
			}
		}
		if next != n {
			t.Errorf("pieces of %d bytes: found %d marks, want %d", size, next, n)
		}
	}
}
