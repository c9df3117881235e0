package prometheus_test

import (
	"regexp"
	"testing"

	"github.com/sockscope/sockscope/instrument"
)

// TestFieldCase05Drops holds the rule that counts broken connections to the library's own notion of a failure, for
// every initiator and reason that there is.
func TestFieldCase05Drops(t *testing.T) {
	const record = "instance:websocket_drops:increase10m"
	var expr string
	for _, rule := range rules(t) {
		if rule.Record == record {
			expr = rule.Expr
		}
	}
	selectors := make(map[string]bool) // each is in the expression several times
	for _, found := range regexp.MustCompile(`websocket_disconnections_total\{([^}]*)\}`).FindAllStringSubmatch(expr, -1) {
		selectors[found[1]] = true
	}
	if len(selectors) == 0 {
		t.Fatalf("%s selects nothing: %s", record, expr)
	}
	for initiator := range labels[instrument.Initiator] {
		for reason := range labels[instrument.CloseReason] {
			series := map[string]string{"initiator": initiator.String(), "reason": reason.String()}
			counted := 0
			for s := range selectors {
				if selects(t, s, series) {
					counted++
				}
			}
			want := 0
			if (instrument.Cause{Initiator: initiator, Reason: reason}).IsFailure() {
				want = 1
			}
			if counted != want {
				t.Errorf("%s, %s is counted %d times, want %d", initiator, reason, counted, want)
			}
		}
	}
}

// labels yields the values of a closed set, which ends where the name is that of a value outside of it.
func labels[T interface {
	~uint8
	String() string
}](yield func(T) bool) {
	outside := T(255).String()
	for v := T(0); v == 0 || v.String() != outside; v++ {
		if !yield(v) {
			return
		}
	}
}

// selects says whether the matchers of a selector match a series.
func selects(t *testing.T, matchers string, series map[string]string) bool {
	t.Helper()
	for _, m := range regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`).FindAllStringSubmatch(matchers, -1) {
		value, ok := series[m[1]]
		if !ok {
			t.Fatalf("the selector asks for the label %s", m[1])
		}
		equal := value == m[3]
		if m[2] == "=~" || m[2] == "!~" {
			equal = regexp.MustCompile("^(?:" + m[3] + ")$").MatchString(value)
		}
		if equal != (m[2][0] == '=') {
			return false
		}
	}
	return true
}
