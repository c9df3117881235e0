package needs

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/sockscope/sockscope/internal/contract"
	"github.com/sockscope/sockscope/mixin"
)

func TestNeeds(t *testing.T) {
	recorded := records{
		"x:a:sum": {{Expr: "sum(a)"}},
		"slo:bad": {{Expr: "sum(bad_a)", Labels: map[string]string{"slo": "a"}}, {Expr: "sum(bad_b)", Labels: map[string]string{"slo": "b"}}},
	}
	for _, tt := range []struct {
		expr  string
		found string // names of series that there are
		unmet string // selectors without which there is no result
	}{
		{"a", "a", ""},
		{"a", "", "a"},
		{`sum by (x) (rate(a{b="c"}[5m])) > 3`, "", `a{b="c"}`},
		{"a and b", "a", "b"},
		{"a / on (x) b", "b", "a"},
		{"a or b", "b", ""},
		{"a or b", "", "b"},
		{"a unless b", "a", ""},
		{"a or vector(0)", "", "a"},
		{"count(up == 0) or vector(0)", "", ""},
		{`a or ALERTS{alertname="A"}`, "", "a"},
		{"x:a:sum > 1", "", "a"},
		{"avg_over_time(x:a:sum[10m] offset 2m) > 5m", "", "a"},
		{`slo:bad{slo="b"}`, "bad_a", "bad_b"},
		{"histogram_quantile(0.9, rate(h[5m])) or histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m])))", "h_bucket", ""},
		{"histogram_quantile(0.9, rate(h[5m])) or histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m])))", "", "h_bucket"},
		{"histogram_count(sum(increase(h[2m]))) * (1 - histogram_fraction(0, 0.25, sum(increase(h[2m]))))", "", "h h"},
		{`{__name__=~"(a|b)_c"}`, "b_c", ""},
	} {
		need, err := recorded.of(tt.expr)
		if err != nil {
			t.Errorf("%s: %v", tt.expr, err)
			continue
		}
		found := func(selector []*labels.Matcher) bool {
			return slices.ContainsFunc(strings.Fields(tt.found), Name(selector).Matches)
		}
		var unmet []string
		for _, selector := range need.Unmet(found) {
			unmet = append(unmet, Describe(selector))
		}
		if got := strings.Join(unmet, " "); got != tt.unmet || need.Met(found) != (tt.unmet == "") {
			t.Errorf("%s with %q lacks %q, want %q", tt.expr, tt.found, got, tt.unmet)
		}
	}
	for _, expr := range []string{"sum(", "x:unknown:sum"} {
		if need, err := recorded.of(expr); err == nil {
			t.Errorf("%s has the need %v", expr, need)
		}
	}
}

// All rules, panels and tables can be read. That they ask for metrics that exist is a matter of deploy/prometheus.
func TestConsumers(t *testing.T) {
	for _, transport := range mixin.Default().Transports {
		all, err := Consumers(transport)
		if err != nil {
			t.Fatal(err)
		}
		kinds := make(map[Kind]int)
		for _, consumer := range all {
			kinds[consumer.Kind]++
			if len(consumer.Need.Selectors()) == 0 {
				t.Errorf("%s %s asks for nothing", consumer.Kind, consumer.Name)
			}
		}
		if boards := transport == contract.DefaultPrefix; kinds[Alert] == 0 || (kinds[Panel] > 0) != boards || (kinds[Page] > 0) != boards {
			t.Errorf("%s has %v", transport, kinds)
		}
	}
}

func TestFillIn(t *testing.T) {
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := FillIn(c); err != nil {
		t.Fatal(err)
	}
	observer, err := c.Part(contract.Observer)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range observer.Metrics {
		if m.Name == "websocket_errors_total" {
			if by := m.NeededBy; !slices.Contains(by.Alerts, "WebSocketPanics") || !slices.Contains(by.Panels, "Error Rate") || !slices.Contains(by.Pages, "Metrics: Errors within ten minutes") {
				t.Errorf("%s is needed by %+v", m.Name, by)
			}
			return
		}
	}
	t.Error("the contract has no websocket_errors_total")
}
