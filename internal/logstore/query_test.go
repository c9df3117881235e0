package logstore

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// quoted matches a string in either language: both have Go's.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// lokiLabel matches what LogQL takes for a name.
var lokiLabel = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// FuzzQuery has texts of any kind in a query: they stay in quotes, so that all around them stays as it is.
func FuzzQuery(f *testing.F) {
	for _, text := range []string{"slow_consumer", hostile, injected, "\\", `"`, "`", "\n| drop", "\xff\x00", "ü\u2028\u202e", `\x22`, "{{.error}}", "a.b", ""} {
		f.Add(text, text)
		f.Add("reason", text)
		f.Add(text, "x")
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		service, level, trace, connection := "s"+value, "l"+value, "t"+value, "c"+value
		q := Query{Service: service, Level: level, TraceID: trace, ConnectionID: connection, Fields: []Field{{name, value}}}

		if !lokiLabel.MatchString(lokiName(name)) {
			t.Errorf("Loki's name for %q is %q", name, lokiName(name))
		}
		made(t, logQL(q), `{service_name=Q, level=Q} | trace_id=Q | connection_id=Q | `+lokiName(name)+`=Q`,
			service, level, trace, connection, value)

		want := []string{"service.name", service, "level", level, trace, connection, name, value}
		skeleton := "Q:=Q"
		if underscored := strings.ReplaceAll(name, ".", "_"); underscored != name {
			want = append(want, underscored, value)
			skeleton = "(Q:=Q or Q:=Q)"
		}
		made(t, logsQL(q), `{Q=Q,Q=Q} trace_id:=Q connection_id:=Q `+skeleton, want...)
	})
}

// made takes the strings out of a query, and compares them and what is left.
func made(t *testing.T, query, skeleton string, texts ...string) {
	t.Helper()
	if !utf8.ValidString(query) || strings.ContainsFunc(query, func(r rune) bool { return r < ' ' }) {
		t.Errorf("%q is not one line of text", query)
	}
	var got []string
	rest := quoted.ReplaceAllStringFunc(query, func(s string) string {
		text, err := strconv.Unquote(s)
		if err != nil {
			t.Errorf("%s in %s: %v", s, query, err)
		}
		got = append(got, text)
		return "Q"
	})
	if rest != skeleton || !slices.Equal(got, texts) {
		t.Errorf("%s\nis %s with %q,\nwant %s with %q", query, rest, got, skeleton, texts)
	}
}
