package tracing

import (
	"cmp"
	"slices"
	"time"
)

// Row is a span at its place in a waterfall. Offset and Width are per cent of the whole.
type Row struct {
	Span
	Depth  int
	Offset float64
	Width  float64
	Orphan bool // its parent is not in the trace
	// Missing tells that the span is not in the trace, but several of its children are: it has not ended, or was lost.
	Missing bool
}

// minWidth keeps the shortest span visible.
const minWidth = 0.4

// maxDepth bounds how far rows are moved in; deeper ones stay there.
const maxDepth = 24

// Waterfall orders spans so that each stands below its parent, siblings by start, and every span appears exactly once,
// whatever their parents say.
func Waterfall(t Trace) []Row {
	present := len(t.Spans)
	t.Spans = append(slices.Clone(t.Spans), missing(t)...)
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
			row := place(s, min(v.depth, maxDepth), s.Parent != "" && !byID[s.Parent])
			row.Missing = v.span >= present
			rows = append(rows, row)
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

// missing returns a span in place of each that is not in the trace and has several children there, as long as they are.
// Otherwise each of them would be a root.
func missing(t Trace) []Span {
	present := map[string]bool{}
	for _, s := range t.Spans {
		present[s.ID] = true
	}
	children := map[string]Trace{}
	var parents []string
	for _, s := range t.Spans {
		if s.Parent == "" || present[s.Parent] {
			continue
		}
		if len(children[s.Parent].Spans) == 0 {
			parents = append(parents, s.Parent)
		}
		children[s.Parent] = Trace{Spans: append(children[s.Parent].Spans, s)}
	}
	var list []Span
	for _, id := range parents {
		if of := children[id]; len(of.Spans) > 1 {
			start, end := of.Range()
			list = append(list, Span{TraceID: t.ID, ID: id, Name: "not in this trace", Service: of.Spans[0].Service, Start: start, End: end})
		}
	}
	return list
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
