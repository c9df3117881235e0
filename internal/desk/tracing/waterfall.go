package tracing

import (
	"cmp"
	"slices"
	"time"
)

// Row is a span at its place in a waterfall. Offset and Width are per cent of the
// whole.
type Row struct {
	Span
	Depth  int
	Offset float64
	Width  float64
	Orphan bool // its parent is not in the trace
}

// minWidth keeps the shortest span visible.
const minWidth = 0.4

// maxDepth bounds how far rows are moved in; deeper ones stay there.
const maxDepth = 24

// Waterfall orders spans so that each stands below its parent, siblings by start,
// and every span appears exactly once, whatever their parents say.
func Waterfall(t Trace) []Row {
	byID := map[string]bool{}
	children := map[string][]int{}
	for _, s := range t.Spans {
		byID[s.ID] = true
	}
	order := make([]int, len(t.Spans))
	for i := range order {
		order[i] = i
	}
	middle := t.middle()
	misplaced := func(i int) int { // what the trace is named after is its first span with a plausible time
		if far(t.Spans[i].Start, middle) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(misplaced(a)-misplaced(b),
			t.Spans[a].Start.Compare(t.Spans[b].Start), t.Spans[b].End.Compare(t.Spans[a].End))
	})
	var roots []int
	for _, i := range order {
		if s := t.Spans[i]; s.Parent == "" || s.Parent == s.ID || !byID[s.Parent] {
			roots = append(roots, i)
		} else {
			children[s.Parent] = append(children[s.Parent], i)
		}
	}

	rows := make([]Row, 0, len(t.Spans))
	place := scale(t)
	placed := make([]bool, len(t.Spans))
	type visit struct{ span, depth int }
	walk := func(root int) {
		stack := []visit{{root, 0}}
		for len(stack) > 0 {
			v := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if placed[v.span] {
				continue
			}
			placed[v.span] = true
			s := t.Spans[v.span]
			rows = append(rows, place(s, min(v.depth, maxDepth), s.Parent != "" && !byID[s.Parent]))
			for _, child := range slices.Backward(children[s.ID]) {
				stack = append(stack, visit{child, v.depth + 1})
			}
		}
	}
	for _, i := range roots {
		walk(i)
	}
	for _, i := range order { // what is left are cycles
		walk(i)
	}
	return rows
}

// scale returns what turns times into per cent of the trace.
func scale(t Trace) func(Span, int, bool) Row {
	start, end := t.Range()
	whole := max(end.Sub(start), time.Nanosecond)
	percent := func(d time.Duration) float64 { return 100 * float64(d) / float64(whole) }
	return func(s Span, depth int, orphan bool) Row {
		width := min(max(percent(s.Duration()), minWidth), 100)
		offset := min(max(percent(s.Start.Sub(start)), 0), 100-width)
		return Row{Span: s, Depth: depth, Offset: offset, Width: width, Orphan: orphan}
	}
}
