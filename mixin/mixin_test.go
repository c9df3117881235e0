package mixin

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseConfig(t *testing.T) {
	for _, tt := range []struct{ text, err string }{
		{"", ""},
		{"{transports: [sse], speed: 20, thresholds: {latency_seconds: 0.5}, objectives: {connections: 0.99}}", ""},
		{`{selector: 'cluster="eu", job=~"chat|feed"'}`, ""},
		{"{transport: sse}", "field transport not found"},
		{"{transports: []}", "transports is empty"},
		{"{transports: [server-sent]}", "can't begin the name of a metric"},
		{"{namespace_label: a-b}", "not a label"},
		{"{selector: 'cluster=eu'}", "not a list of matchers"},
		{"{speed: 0}", "1 is true speed"},
		{"{thresholds: {latency: 1}}", `no threshold "latency"`},
		{"{objectives: {latency: 0.9}}", `no SLO "latency"`},
		{"{objectives: {connections: 99.9}}", "share of good events"},
	} {
		_, err := ParseConfig([]byte(tt.text))
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.err)
		}
	}
}

func TestSelectors(t *testing.T) {
	const expr = `sum by (job, x) (rate(a_total{b=~"c|d", e!="f"}[5m:15s])) / on (job) group_left () max by (y) (g offset 1d) > bool 5m and {__name__=~"h"} unless x:y_z:sum`
	var got []string
	for _, s := range Selectors(expr) {
		got = append(got, s.Metric+" "+s.Matchers)
	}
	if diff := cmp.Diff([]string{`a_total b=~"c|d", e!="f"`, "g ", ` __name__=~"h"`, "x:y_z:sum "}, got); diff != "" {
		t.Errorf("selectors (-want +got):\n%s", diff)
	}
	const want = `sum by (job, x) (rate(a_total{b=~"c|d", e!="f", k="l"}[5m:15s])) / on (job) group_left () max by (y) (g{k="l"} offset 1d) > bool 5m and {__name__=~"h", k="l"} unless x:y_z:sum`
	if diff := cmp.Diff(want, withSelector(expr, `k="l"`)); diff != "" {
		t.Errorf("with a selector (-want +got):\n%s", diff)
	}
}

func TestConfigChangesWhatItSays(t *testing.T) {
	c, err := ParseConfig([]byte(`{transports: [sse], speed: 10, thresholds: {latency_seconds: 0.5}, objectives: {connections: 0.99},
		runbook_url: 'https://r.example.org/', dashboard_url: 'https://d.example.org/d/'}`))
	if err != nil {
		t.Fatal(err)
	}
	files, err := Files(c)
	if err != nil {
		t.Fatal(err)
	}
	text := files["sse.yml"]
	for _, want := range []string{
		"interval: 500ms", "sse_message_duration_seconds:p90_1m > 0.5 and", "for: 3000ms", "[30000ms]", "expr: vector(0.99)",
		"runbook_url: https://r.example.org/WebSocketLatencyHigh.md",
		"dashboard_url: https://d.example.org/d/sockscope-websockets?var-transport=sse&var-job={{ $labels.job | urlQueryEscape }}",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("sse.yml has no %q", want)
		}
	}
	for _, never := range []string{"websocket_", "$P", "$by", "$ns", "[5m]"} {
		if strings.Contains(text, never) {
			t.Errorf("sse.yml has %q", never)
		}
	}
}

// Annotations can only tell of labels that the alert has.
func TestAnnotationsNameLabelsThatAlertsHave(t *testing.T) {
	alerts, err := Alerts(Default())
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, a := range alerts {
		if a.Summary == "" || a.Description == "" || a.Meaning == "" || a.First == "" {
			t.Errorf("%s does not say everything", a.Name)
		}
		if strings.Contains(a.Summary, "$value") {
			t.Errorf("the summary of %s has a value in it: it would be another incident each time", a.Name)
		}
		for _, found := range named.FindAllStringSubmatch(a.Summary+a.Description, -1) {
			if !slices.Contains(a.By, found[1]) {
				t.Errorf("%s names the label %s and has %v", a.Name, found[1], a.By)
			}
		}
	}
}

// A pattern is for what a plain value can't say, and is anchored by Prometheus.
func TestMatchersAreAsPlainAsTheyCanBe(t *testing.T) {
	pattern := regexp.MustCompile(`(?:=|!)~"([^"]*)"`)
	for _, r := range ruleTexts(testGroups(t, Default())) {
		for _, s := range Selectors(r.expr) {
			for _, found := range pattern.FindAllStringSubmatch(s.Matchers, -1) {
				if plain := regexp.QuoteMeta(found[1]) == found[1]; plain || strings.HasPrefix(found[1], "^") || strings.HasSuffix(found[1], "$") {
					t.Errorf("%s%s: %s{%s} has a pattern that is none, or an anchor", r.record, r.alert, s.Metric, s.Matchers)
				}
			}
		}
	}
}

func TestRunbooksKeepWhatPeopleWrite(t *testing.T) {
	c := Default()
	pages, err := Runbooks(c, map[string]string{"Watchdog.md": "# Watchdog\n\nby hand\n"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Runbooks(c, pages)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(pages, again); diff != "" {
		t.Errorf("made again they differ (-first +second):\n%s", diff)
	}
	if page := pages["Watchdog.md"]; !strings.HasPrefix(page, "# Watchdog\n\n"+frameBegin) || !strings.HasSuffix(page, frameEnd+"\n\nby hand\n") {
		t.Errorf("the page is %s", page)
	}
}

func TestSituationValues(t *testing.T) {
	for _, tt := range []struct {
		kind       kind
		spec, want string
	}{
		{counter, "10s:2 +5 *:0", "10+10x1 25+0x1"},
		{counter, "5s:_ =60 *:0", "_x1 60+0x2"},
		{gauge, "5s:1 10s:4..8 *:same", "1+0x0 4+2x1 6+0x0"},
		{gauge, "10s:now *:same", "0+5x1 5+0x1"},
		{gauge, "10s:7 stale *:_", "7+0x1 stale _x2"},
		{classic, "*:2@0.01,1@9", ""},
	} {
		s := Situation{Step: 5e9, Length: 15e9, series: []series{{"m", `a="b"`, tt.kind, tt.spec}}}
		got, err := s.inputs()
		if err != nil {
			t.Errorf("%s: %v", tt.spec, err)
			continue
		}
		if tt.kind == classic {
			if len(got) != 13 || got[1] != [2]string{`m_bucket{a="b", le="0.01"}`, "10+10x3"} || got[12] != [2]string{`m_count{a="b"}`, "15+15x3"} {
				t.Errorf("%s: %v", tt.spec, got)
			}
		} else if got[0][1] != tt.want {
			t.Errorf("%s: %q, want %q", tt.spec, got[0][1], tt.want)
		}
	}
	for _, spec := range []string{"x:1", "*:fast", "*:1..fast", "*:2@"} {
		for _, k := range []kind{counter, gauge, native} {
			s := Situation{Step: 5e9, Length: 15e9, series: []series{{"m", "", k, spec}}}
			if got, err := s.inputs(); err == nil {
				t.Errorf("%s: %v, want an error", spec, got)
			}
		}
	}
}

// The package is for other people's programs as well, so it brings little with it.
func TestImportsLittle(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "_test.go") || !strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		text, err := os.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^\s+"([^"]+\.[^"]+/[^"]+)"$`).FindAllStringSubmatch(string(text), -1) {
			if found[1] != "gopkg.in/yaml.v3" {
				t.Errorf("%s imports %s", e.Name(), found[1])
			}
		}
	}
}
