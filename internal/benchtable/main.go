// Command benchtable reads what `go test -bench` prints, on standard input, and prints a Markdown table that compares
// the benchmarks of each group with the group's first. With -count, the fastest run of each counts: what disturbs a
// measurement makes it slower, never faster.
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "benchtable:", err)
		os.Exit(1)
	}
}

// result is the fastest run of one benchmark.
type result struct {
	group, name   string
	nanos, allocs float64
}

func run(in io.Reader, out io.Writer) error {
	results, err := parse(in)
	if err != nil {
		return err
	}
	if len(results) == 0 {
		return fmt.Errorf("no benchmark in the input: give it what `go test -bench . -benchmem` prints")
	}
	fmt.Fprintln(out, "| benchmark | | time | ÷ first | allocations |\n|---|---|---|---|---|")
	first := map[string]result{}
	for _, r := range results {
		base, known := first[r.group]
		if !known {
			base, first[r.group] = r, r
		}
		fmt.Fprintf(out, "| %s | %s | %s | %.2f | %g |\n", r.group, r.name, duration(r.nanos), r.nanos/base.nanos, r.allocs)
	}
	return nil
}

// duration writes nanoseconds with three significant digits.
func duration(nanos float64) string {
	for _, u := range []struct {
		of   float64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}} {
		if nanos >= u.of {
			return fmt.Sprintf("%.3g %s", nanos/u.of, u.name)
		}
	}
	return fmt.Sprintf("%.3g ns", nanos)
}

// parse returns the fastest run of each benchmark, in the order of their first appearance.
func parse(in io.Reader) ([]result, error) {
	line := regexp.MustCompile(`^Benchmark(\w+)(?:/(\S+?))?(?:-\d+)?\s+\d+\s+([\d.]+) ns/op(?:.*?([\d.]+) allocs/op)?`)
	var results []result
	index := map[string]int{}
	pkg := ""
	scanner := bufio.NewScanner(in)
	for scanner.Scan() {
		if p, ok := strings.CutPrefix(scanner.Text(), "pkg: "); ok {
			pkg = strings.TrimPrefix(strings.TrimPrefix(p, "github.com/sockscope/sockscope"), "/instrument")
			continue
		}
		m := line.FindStringSubmatch(scanner.Text())
		if m == nil {
			continue
		}
		nanos, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", scanner.Text(), err)
		}
		allocs, err := strconv.ParseFloat(cmp.Or(m[4], "0"), 64)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", scanner.Text(), err)
		}
		r := result{strings.TrimPrefix(pkg+" "+m[1], " "), m[2], nanos, allocs}
		key := r.group + "/" + r.name
		if i, known := index[key]; !known {
			index[key] = len(results)
			results = append(results, r)
		} else if nanos < results[i].nanos {
			results[i] = r
		}
	}
	return results, scanner.Err()
}
