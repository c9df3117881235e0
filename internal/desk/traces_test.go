package desk

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/desk/tracing"
)

// goldenTraces has hostile texts wherever a reader or a service could put one.
func goldenTraces(found []tracing.Found) tracesData {
	form := newTracesForm(url.Values{
		"service": {"demo"}, "operation": {hostile}, "min": {hostile}, "max": {"2s"}, "failed": {"on"}, "attribute": {"k=" + hostile}, "range": {"6h"}, "ticks": {"on"},
	})
	match := found[0]
	match.Match = &tracing.Match{SpanID: "b7ad6b7169203331", Name: hostile, Service: hostile, Duration: time.Second, Failed: true}
	return tracesData{
		Form: form, Ranges: timeRanges(), Known: []string{"error.type=", hostile},
		Result: tracing.Result{
			Found: []tracing.Found{found[0], match}, Returned: 9, Problem: hostile,
			Services: []tracing.Service{{Name: "demo", Operations: []string{hostile, "websocket.message chat"}}, {Name: hostile}},
			Cut: []tracing.Cut{
				{Service: "demo", Operation: hostile, Limit: 100, Oldest: before(time.Hour)},
				{Service: hostile, Limit: 100, Oldest: before(time.Minute)},
			},
		},
	}
}

func TestTracesForm(t *testing.T) {
	hour := tracing.Search{Start: before(time.Hour), End: now}
	with := func(change func(*tracing.Search)) tracing.Search {
		s := hour
		change(&s)
		return s
	}
	for name, test := range map[string]struct {
		query   string
		want    tracing.Search
		problem string
	}{
		"default":    {"", hour, ""},
		"everything": {"service=a&operation=b+c&failed=on&ticks=on&range=15m", tracing.Search{Service: "a", Operation: "b c", Failed: true, Ticks: true, Start: before(15 * time.Minute), End: now}, ""},
		"durations":  {"min=100ms&max=1.5s", with(func(s *tracing.Search) { s.Shortest, s.Longest = 100*time.Millisecond, 1500*time.Millisecond }), ""},
		"attributes": {"attribute=a%3Db%3Dc&attribute=+&attribute=d%3De", with(func(s *tracing.Search) {
			s.Attributes = []tracing.Attribute{{Key: "a", Value: "b=c"}, {Key: "d", Value: "e"}}
		}), ""},
		"no unit":     {"min=100", hour, `"100" is not a duration: write it as in 100ms`},
		"negative":    {"max=-1s", hour, "is not a duration"},
		"no range":    {"min=2s&max=1s", hour, "shorter than the shortest"},
		"no value":    {"attribute=a", hour, "is not a name and its value"},
		"not a time":  {"from=noon", hour, "is not a time"},
		"end of time": {"from=2026-11-23&to=2026-11-22", hour, "no later"},
	} {
		t.Run(name, func(t *testing.T) {
			query, err := url.ParseQuery(test.query)
			if err != nil {
				t.Fatal(err)
			}
			form := newTracesForm(query)
			s, err := form.search(now)
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("error = %v, want %q in it", err, test.problem)
				}
				return
			}
			if diff := cmp.Diff(test.want, s); diff != "" || err != nil {
				t.Errorf("error %v, asked for (-want +got):\n%s", err, diff)
			}
			u, err := url.Parse(form.path())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(form, newTracesForm(u.Query()), cmp.AllowUnexported(tracesForm{})); diff != "" {
				t.Errorf("asked again as (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFurther follows what was cut off: to its operation alone, then to what was before.
func TestFurther(t *testing.T) {
	all := newTracesForm(url.Values{"min": {"1s"}, "from": {"2026-11-22"}})
	cut := tracing.Cut{Service: "demo", Operation: "store", Oldest: before(time.Minute)}
	if all.IsOlder(cut) || all.Further(cut) != "/trace?from=2026-11-22&min=1s&operation=store&range=1h&service=demo" {
		t.Errorf("leads to %s", all.Further(cut))
	}
	alone := newTracesForm(url.Values{"service": {"demo"}, "operation": {"store"}, "from": {"2026-11-22"}})
	if !alone.IsOlder(cut) || alone.Further(cut) != "/trace?from=2026-11-22&operation=store&range=1h&service=demo&to=2026-11-22T11%3A59%3A00Z" {
		t.Errorf("leads to %s", alone.Further(cut))
	}
}

func TestSamePair(t *testing.T) {
	for text, want := range map[string]bool{
		"reason=slow_consumer": true, "a.b=c=d": true, "code=1006": true,
		"duration_seconds=1.5": false, "websocket.message.size=12": false, "a= x": false, "a=": false, "a=" + strings.Repeat("x", maxFormText): false,
	} {
		key, value, _ := strings.Cut(text, "=")
		if got := samePair(key, value); (got != nil) != want {
			t.Errorf("the same as %s is searched by %q", text, got)
		}
	}
	if p := samePair("a=b", "c"); p != nil {
		t.Errorf("a name with = is searched by %q", p)
	}
}
