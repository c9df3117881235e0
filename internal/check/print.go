package check

import (
	"fmt"
	"io"
)

// Printer returns a function for Run that writes each result to w as a line. After a failed one it writes the question,
// the answer, and where to look next.
func Printer(w io.Writer, colour bool) func(Result) {
	paint := func(code, text string) string {
		if !colour {
			return text
		}
		return "\x1b[" + code + "m" + text + "\x1b[0m"
	}
	return func(r Result) {
		mark := paint("32", "✓")
		switch {
		case r.Skipped:
			mark = paint("33", "–")
		case !r.OK:
			mark = paint("31", "✗")
		}
		_, _ = fmt.Fprintf(w, "%s %-9s %6.2fs  %s\n", mark, r.Name, r.Seconds, oneLine(r.Detail))
		for _, more := range [][2]string{{"asked ", r.URL}, {"answer", r.Answer}, {"next  ", r.Next}} {
			if more[1] != "" {
				_, _ = fmt.Fprintf(w, "%21s%s  %s\n", "", paint("2", more[0]), oneLine(more[1]))
			}
		}
	}
}
