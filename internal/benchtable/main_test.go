package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	in := `goos: linux
pkg: github.com/sockscope/sockscope/instrument
BenchmarkCounted/bare-2         	11379076	        30.50 ns/op	       0 B/op	       0 allocs/op
BenchmarkCounted/observed-2     	20501696	        17.52 ns/op	       0 B/op	       2 allocs/op
BenchmarkCounted/bare-2         	11379076	        40.00 ns/op	       0 B/op	       0 allocs/op
BenchmarkCounted/observed-2     	20501696	        15.25 ns/op	       0 B/op	       0 allocs/op
PASS
pkg: github.com/sockscope/sockscope/instrument/ws/coder
BenchmarkEcho/bare-2 	      37	   9764142 ns/op	        22.00 families
`
	want := `| benchmark | | time | ÷ first | allocations |
|---|---|---|---|---|
| Counted | bare | 30.5 ns | 1.00 | 0 |
| Counted | observed | 15.2 ns | 0.50 | 0 |
| /ws/coder Echo | bare | 9.76 ms | 1.00 | 0 |
`
	var out strings.Builder
	if err := run(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := run(strings.NewReader("FAIL"), &out); err == nil {
		t.Error("no benchmark at all is no error")
	}
}
