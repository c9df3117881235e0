package dashboard_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/dashboard"
)

func variable(t *testing.T, text string) dashboard.Variable {
	t.Helper()
	var v dashboard.Variable
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestChoices(t *testing.T) {
	options := []string{"a", "b.c"}
	for name, test := range map[string]struct {
		variable string
		chosen   []string
		want     string // in a query
	}{
		"saved":                   {`{"multi":true,"current":{"value":["b.c"]}}`, nil, `b\\.c`},
		"saved as one":            {`{"current":{"value":"b.c"}}`, nil, "b.c"},
		"first":                   {`{}`, nil, "a"},
		"all by its own value":    {`{"multi":true,"includeAll":true,"allValue":".+","current":{"value":["$__all"]}}`, nil, ".+"},
		"all without a choice":    {`{"includeAll":true,"allValue":".*"}`, nil, ".*"},
		"all named":               {`{"multi":true,"includeAll":true}`, []string{"All"}, `(a|b\\.c)`},
		"several":                 {`{"multi":true}`, []string{"a", "x|y"}, `(a|x\\|y)`},
		"several where one may":   {`{}`, []string{"b.c", "a"}, "b.c"},
		"hostile in a string":     {`{"multi":true}`, []string{`"} or up{x="` + "\n" + `\`}, `\"\\} or up\\{x=\"\n\\\\`},
		"all where it may not be": {`{"multi":true}`, []string{"$__all"}, `\\$__all`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := variable(t, test.variable).Choose(options, test.chosen).Format("")
			if err != nil || got != test.want {
				t.Errorf("the choice is %s (error %v), want %s", got, err, test.want)
			}
		})
	}
	if got, _ := variable(t, `{"multi":true,"includeAll":true}`).Choose(nil, nil).Format(""); got != ".*" {
		t.Errorf("all of nothing is %q, want .*", got)
	}
}

func TestFormats(t *testing.T) {
	choice := dashboard.Choice{Values: []string{"a.b", `c"d`}, Pattern: true}
	for format, want := range map[string]string{
		"regex": `(a\.b|c"d)`, "raw": `a.b,c"d`, "csv": `a.b,c"d`, "text": `a.b,c"d`, "pipe": `a.b|c"d`,
		"doublequote": `"a.b","c\"d"`, "percentencode": "a.b%2Cc%22d",
	} {
		if got, err := choice.Format(format); err != nil || got != want {
			t.Errorf("as %s it is %s (error %v), want %s", format, got, err, want)
		}
	}
	if _, err := choice.Format("lucene"); err == nil {
		t.Error("a format that nobody knows is no error")
	}
}

func TestValues(t *testing.T) {
	for _, test := range []struct {
		variable string
		want     []string
	}{
		{`{}`, []string{"b2", "B1", "a10", "b2"}},
		{`{"sort":1}`, []string{"B1", "a10", "b2"}},
		{`{"sort":2}`, []string{"b2", "a10", "B1"}},
		{`{"sort":3}`, []string{"B1", "b2", "a10"}},
		{`{"sort":5}`, []string{"a10", "B1", "b2"}},
		{`{"regex":"/^b(.*)/i"}`, []string{"2", "1"}},
		{`{"regex":"^a"}`, []string{"a10"}},
	} {
		got, err := variable(t, test.variable).Filter([]string{"b2", "B1", "a10", "b2"})
		want := test.want
		if len(want) == 4 { // without repetitions
			want = want[:3]
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: error %v, (-want +got):\n%s", test.variable, err, diff)
		}
	}
	if _, err := variable(t, `{"regex":"("}`).Filter(nil); err == nil {
		t.Error("a regular expression that is none is no error")
	}
	for _, text := range []string{`{"query":"1m, one : 5m,"}`, `{"query":{"query":"1m,5m"}}`} {
		if diff := cmp.Diff([]string{"1m", "5m"}, variable(t, text).Listed()); diff != "" {
			t.Errorf("%s lists (-want +got):\n%s", text, diff)
		}
	}
}

func TestExpand(t *testing.T) {
	value := func(name, format string) (string, error) {
		if name == "bad" {
			return "", errors.New("bad")
		}
		return "<" + name + " " + format + ">", nil
	}
	got, err := dashboard.Expand(`$a ${b} ${c:regex} [[d]] [[e:csv]] x$ {{f}}`, value)
	if want := `<a > <b > <c regex> <d > <e csv> x$ {{f}}`; got != want || err != nil {
		t.Errorf("it is %s (error %v), want %s", got, err, want)
	}
	if _, err := dashboard.Expand("$a $bad", value); err == nil {
		t.Error("an error of a variable is none")
	}
}

func TestSpans(t *testing.T) {
	now := time.Date(2026, 3, 11, 15, 4, 5, 0, time.UTC) // a Wednesday
	at := func(text string) time.Time {
		moment, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return moment
	}
	for _, test := range []struct {
		from, to   string
		start, end string // empty is an error
	}{
		{"now-15m", "now", "2026-03-11T14:49:05Z", "2026-03-11T15:04:05Z"},
		{"now-2d/d", "now/d", "2026-03-09T00:00:00Z", "2026-03-12T00:00:00Z"},
		{"now/w", "now", "2026-03-09T00:00:00Z", "2026-03-11T15:04:05Z"},
		{"now-1M/M", "now/h", "2026-02-01T00:00:00Z", "2026-03-11T16:00:00Z"},
		{"now-30y", "now", "", ""},
		{"1773238800000", "1773239100000", "2026-03-11T14:20:00Z", "2026-03-11T14:25:00Z"},
		{"2026-03-11T14:00:00Z", "2026-03-11T14:00:01Z", "2026-03-11T14:00:00Z", "2026-03-11T14:00:01Z"},
		{"now", "now-1h", "", ""},
		{"now", "now", "", ""},
		{"yesterday", "now", "", ""},
		{"now-1h", "-1", "", ""},
		{"now-9999999h", "now", "", ""},
	} {
		got, err := dashboard.ParseSpan(test.from, test.to, now)
		if test.start == "" {
			if err == nil {
				t.Errorf("from %s to %s is %v, want an error", test.from, test.to, got)
			}
			continue
		}
		if want := (dashboard.Span{From: at(test.start), To: at(test.end)}); err != nil || !got.From.Equal(want.From) || !got.To.Equal(want.To) {
			t.Errorf("from %s to %s is %v (error %v), want %v", test.from, test.to, got, err, want)
		}
	}
}

func TestSteps(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		length, shortest time.Duration
		points           int
		want             time.Duration
		interval, rate   string
	}{
		{15 * time.Minute, 5 * time.Second, 300, 5 * time.Second, "5s", "20s"},
		{time.Hour, 5 * time.Second, 300, 15 * time.Second, "15s", "20s"},
		{24 * time.Hour, 5 * time.Second, 300, 5 * time.Minute, "300s", "305s"},
		{time.Minute, 30 * time.Second, 900, 30 * time.Second, "30s", "35s"},
		{366 * 24 * time.Hour, time.Second, 2, 30 * 24 * time.Hour, "2592000s", "2592005s"},
	} {
		span := dashboard.Span{From: now.Add(-test.length), To: now}
		step := span.Step(test.points, test.shortest)
		values := span.BuiltIn(step)
		if step != test.want || values["__interval"] != test.interval || values["__rate_interval"] != test.rate {
			t.Errorf("%v in %d points: step %v, interval %s, rate %s, want %v, %s, %s", test.length, test.points, step, values["__interval"], values["__rate_interval"], test.want, test.interval, test.rate)
		}
	}
	for text, want := range map[string]time.Duration{"15s": 15 * time.Second, ">1m": time.Minute, "1d": 24 * time.Hour, "100ms": 100 * time.Millisecond, "": -1, "1": -1, "9999999s": -1} {
		if got, err := dashboard.ParseStep(text); (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q is %v (error %v), want %v", text, got, err, want)
		}
	}
}

func TestFields(t *testing.T) {
	var c dashboard.FieldConfig
	err := json.Unmarshal([]byte(`{"defaults":{"unit":"s","custom":{"drawStyle":"line","stacking":{"mode":"normal"}}},"overrides":[
		{"matcher":{"id":"byName","options":"p99"},"properties":[{"id":"unit","value":"ms"},{"id":"custom.drawStyle","value":"bars"}]},
		{"matcher":{"id":"byRegexp","options":"/^P9/i"},"properties":[{"id":"custom.stacking.mode","value":"none"}]},
		{"matcher":{"id":"byFrameRefID","options":"B"},"properties":[{"id":"decimals","value":2}]},
		{"matcher":{"id":"byType","options":"time"},"properties":[{"id":"custom.hidden","value":true}]},
		{"matcher":{"id":"byNobody","options":{}},"properties":[{"id":"unit","value":"x"}]}]}`), &c)
	if err != nil {
		t.Fatal(err)
	}
	p99, err := c.Of("p99", "A", "number")
	if err != nil || p99.Unit != "ms" || p99.Custom.DrawStyle != "bars" || p99.Custom.Stacking.Mode != "none" || p99.Decimals != nil {
		t.Errorf("p99 is %+v (error %v)", p99, err)
	}
	other, err := c.Of("x", "B", "time")
	if err != nil || other.Unit != "s" || other.Custom.Stacking.Mode != "normal" || other.Decimals == nil || !other.Custom.Hidden {
		t.Errorf("another is %+v (error %v)", other, err)
	}
	err = json.Unmarshal([]byte(`{"defaults":{"decimals":"two"}}`), &c)
	if _, of := c.Of("x", "A", "number"); err != nil || of == nil || !strings.Contains(of.Error(), "options of x") {
		t.Errorf("decimals that are no number: errors %v, %v", err, of)
	}
}
