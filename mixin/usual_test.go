package mixin

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/internal/tool"
)

// TestUsualExpressions has the expressions that are usual for three alerts meet what they get wrong, where ours get it
// right. docs/alerts.md tells of each.
func TestUsualExpressions(t *testing.T) {
	promtool := tool.Path(t, "promtool")
	doc, err := os.ReadFile("../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	const (
		drops    = "rate(websocket_disconnections_total[5m]) > 10"
		latency  = "histogram_quantile(0.99, rate(websocket_message_duration_seconds_bucket[5m])) > 1"
		spiking  = "websocket_active_connections > 10000"
		wrong    = true  // fires where nothing is wrong
		overlook = false // stays quiet where something is
	)
	c := testConfig()
	groups := testGroups(t, c)
	for _, tt := range []struct {
		alert, usual, wait, situation, at string
		fires                             bool
	}{
		{"HighConnectionDropRate", drops, "5m", "short sessions that end well, at any rate", "13m", wrong},
		{"HighConnectionDropRate", drops, "5m", "one blow breaks 6% of the connections", "24m", overlook},
		{"WebSocketLatencyHigh", latency, "3m", "one message is slow in a quiet night", "9m", wrong},
		{"WebSocketLatencyHigh", latency, "3m", "handling takes a second and a half", "10m45s", overlook},
		{"ActiveConnectionsSpiking", spiking, "1m", "20,000 connections, as always", "50m", wrong},
		{"ActiveConnectionsSpiking", spiking, "1m", "from 200 to 2000 connections within a minute", "66m", overlook},
	} {
		t.Run(tt.alert+"/"+tt.situation, func(t *testing.T) {
			all := Situations()
			i := slices.IndexFunc(all, func(s Situation) bool { return s.Name == tt.situation })
			if i < 0 {
				t.Fatal("there is no such situation")
			}
			ours := newTrial(c, groups, tt.alert)
			usual := ours
			usual.rules = []ruleText{{alert: "Usual", expr: tt.usual, wait: tt.wait, labels: map[string]string{"severity": "warning"}}}
			fires := func(tr trial) bool {
				return tr.run(t, promtool, all[i:i+1])[moment{tt.situation, tt.at}] != ""
			}
			if got := fires(usual); got != tt.fires {
				t.Errorf("the usual expression fires: %v, want %v", got, tt.fires)
			}
			if got := fires(ours); got == tt.fires {
				t.Errorf("ours fires: %v, want %v", got, !tt.fires)
			}
			for _, text := range []string{tt.usual, tt.situation} {
				if !strings.Contains(string(doc), text) {
					t.Errorf("docs/alerts.md does not say %q", text)
				}
			}
		})
	}
}
