package tracing

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// at makes a span from and to some milliseconds.
func at(id, parent string, from, to int) Span {
	start := time.Unix(1795315449, 0)
	return Span{ID: id, Parent: parent, Name: id, Start: start.Add(time.Duration(from) * time.Millisecond), End: start.Add(time.Duration(to) * time.Millisecond)}
}

func TestWaterfallOrder(t *testing.T) {
	tests := []struct {
		name  string
		spans []Span
		want  []string // depth and id, "!" for an orphan, "?" for a parent that is missing
	}{
		{"nothing", nil, nil},
		{"children by start", []Span{at("c", "a", 5, 6), at("b", "a", 1, 2), at("a", "", 0, 9), at("d", "b", 1, 2)}, []string{"0a", "1b", "2d", "1c"}},
		{"longer first", []Span{at("b", "", 0, 1), at("a", "", 0, 9)}, []string{"0a", "0b"}},
		{"parent elsewhere", []Span{at("a", "x", 0, 9), at("b", "a", 1, 2)}, []string{"0a!", "1b"}},
		{"several of a parent elsewhere", []Span{at("a", "x", 0, 1), at("b", "x", 1, 2), at("c", "b", 1, 2)}, []string{"0x?", "1a", "1b", "2c"}},
		{"its own parent", []Span{at("a", "a", 0, 9)}, []string{"0a"}},
		{"in a circle", []Span{at("a", "b", 0, 9), at("b", "a", 1, 2), at("c", "", 3, 4)}, []string{"0c", "0a", "1b"}},
		{"the same id twice", []Span{at("a", "", 0, 9), at("b", "a", 1, 2), at("b", "a", 3, 4), at("c", "b", 1, 2)}, []string{"0a", "1b", "2c", "1b"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, r := range Waterfall(Trace{Spans: test.spans}) {
				mark := ""
				if r.Orphan {
					mark = "!"
				}
				if r.Missing {
					mark = "?"
				}
				got = append(got, fmt.Sprint(r.Depth, r.ID, mark))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWaterfallScale(t *testing.T) {
	rows := Waterfall(Trace{Spans: []Span{at("a", "", 0, 200), at("b", "a", 50, 150), at("c", "a", 200, 200)}})
	var got [][2]float64
	for _, r := range rows {
		got = append(got, [2]float64{r.Offset, r.Width})
	}
	want := [][2]float64{{0, 100}, {25, 50}, {100 - minWidth, minWidth}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("offsets and widths (-want +got):\n%s", diff)
	}
}

func TestDeepTraceStaysOnThePage(t *testing.T) {
	spans := []Span{at("0", "", 0, 9)}
	for i := range maxSpans {
		spans = append(spans, at(fmt.Sprint(i+1), fmt.Sprint(i), 0, 9))
	}
	rows := Waterfall(Trace{Spans: spans})
	if len(rows) != len(spans) || rows[len(rows)-1].Depth != maxDepth {
		t.Errorf("%d rows, the last at depth %d; want %d at %d", len(rows), rows[len(rows)-1].Depth, len(spans), maxDepth)
	}
}

// TestMisplacedSpans has spans of 1970 and 2100 beside others: the range stays that of the others.
func TestMisplacedSpans(t *testing.T) {
	early, late := at("early", "a", 0, 0), at("late", "a", 100, 0)
	early.Start = time.Unix(0, 0)
	late.End = late.Start.AddDate(74, 0, 0)
	trace := Trace{Spans: []Span{early, at("a", "", 0, 200), at("b", "a", 50, 150), late}, More: 3}
	start, end := trace.Range()
	if whole := end.Sub(start); whole != 200*time.Millisecond {
		t.Errorf("the range is %s", whole)
	}
	if got := trace.Misplaced(); got != 2 {
		t.Errorf("%d spans are misplaced", got)
	}
	if got := trace.Count(); got != 7 {
		t.Errorf("%d spans are counted", got)
	}
	for _, row := range Waterfall(trace) {
		if row.Offset < 0 || row.Width < minWidth || row.Offset+row.Width > 100 {
			t.Errorf("%s is drawn from %v, %v wide", row.ID, row.Offset, row.Width)
		}
	}
}
