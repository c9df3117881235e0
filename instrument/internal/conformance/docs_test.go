package conformance_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"

	"github.com/sockscope/sockscope/instrument"
)

var update = flag.Bool("update", false, "write the tables into docs/ends.md")

// TestDocumentedEnds compares the tables in the documentation with those that the adapters are held to.
func TestDocumentedEnds(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	// An absolute path that begins in this module: the go command believes a kept result until a file changes that the
	// test has opened, and of those it only looks at files whose path does so.
	endsFile := here + "/../../../docs/ends.md"
	content, err := os.ReadFile(endsFile)
	if err != nil {
		t.Fatal(err)
	}
	documented := string(content)
	for name, rows := range map[string]string{
		"websocket": table(webSocketRows()), "sse": table(streamRows()), "refusals": refusalTable(),
	} {
		documented = replace(t, documented, name, rows)
	}
	if *update {
		if err := os.WriteFile(endsFile, []byte(documented), 0o644); err != nil { //nolint:gosec // everybody may read it
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(content), documented); diff != "" {
		t.Errorf("docs/ends.md is out of date: run go test ./internal/conformance -update; -file +adapters:\n%s", diff)
	}
}

// replace puts rows between the markers of that name.
func replace(t *testing.T, text, name, rows string) string {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->\n"
	before, rest, ok := strings.Cut(text, begin)
	_, after, found := strings.Cut(rest, end)
	if !ok || !found {
		t.Fatalf("docs/ends.md has no markers %s", name)
	}
	return before + begin + rows + end + after
}

type row struct {
	name string
	want end
}

func webSocketRows() (rows []row) {
	for _, e := range webSocketEnds() {
		name := e.name
		if e.only != "" {
			name += " (" + e.only + ")"
		}
		if e.except != "" {
			name += " (not " + e.except + ")"
		}
		if e.aware {
			name += " (adapters)"
		}
		rows = append(rows, row{name, e.want})
	}
	return rows
}

func streamRows() (rows []row) {
	for _, e := range streamEnds() {
		rows = append(rows, row{e.name, e.want})
	}
	return rows
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| what happens | initiator | reason | code | error | broken |\n|---|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s | %s | %s |\n", r.name, r.want.Initiator, r.want.Reason,
			number(r.want.Code), code(r.want.Error), broken(r.want))
	}
	return b.String()
}

func refusalTable() string {
	var b strings.Builder
	b.WriteString("| what happens | status | HTTP status | error | span | level |\n|---|---|---|---|---|---|\n")
	for _, r := range refusals() {
		answer := "none"
		if r.answered {
			answer = "as answered"
		}
		span := "unset"
		if r.want.Span == codes.Error {
			span = "error"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s | %s |\n", r.name, r.want.Status, answer, code(r.want.Error), span, r.want.Level)
	}
	return b.String()
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// broken says what the library and the rules call a broken connection.
func broken(e end) string {
	for initiator := range instrument.Initiator(16) {
		for reason := range instrument.CloseReason(32) {
			if initiator.String() == e.Initiator && reason.String() == e.Reason {
				if (instrument.Cause{Initiator: initiator, Reason: reason}).IsFailure() {
					return "yes"
				}
				return ""
			}
		}
	}
	return "unknown"
}
