package load

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sockscope/sockscope/demo"
)

// TestFindsFaults turns on faults of the demo in the middle of a run: each must be found, and nothing else. The
// histories are right in all cases.
func TestFindsFaults(t *testing.T) {
	const (
		twiceTicks = "batches of ticks twice or out of order"
		cut        = "connections ended early"
	)
	for _, tc := range []struct {
		does  Behaviour
		fault string
		body  string
		must  []string // be wrong
		may   []string
	}{
		{Chat, "dropped_deliveries", `{"strength":0.3,"duration":"1s"}`, []string{"deliveries missing"}, nil},
		{Chat, "skipped_sequence", `{"strength":0.3,"duration":"1s"}`, []string{"deliveries missing"}, nil},
		{Chat, "repeated_sequence", `{"strength":0.3,"duration":"1s"}`, []string{"delivered twice"}, nil},
		{Chat, "reordered_sequence", `{"strength":0.3,"duration":"1s"}`, []string{"delivered out of order"}, nil},
		{Chat, "silence", `{"strength":1,"duration":"500ms"}`, []string{"acknowledgements missing", "deliveries missing"}, nil},
		{Chat, "mass_disconnect", `{"strength":1,"duration":"100ms"}`, []string{cut}, nil},
		{Chat, "handler_panics", `{"strength":0.3,"duration":"500ms"}`, []string{cut}, nil},
		{Chat, "store_errors", `{"strength":1,"duration":"500ms"}`, nil, []string{"messages refused"}},
		{Chat, "slow_store", `{"strength":100,"duration":"500ms"}`, nil, nil},
		{Feed, "skipped_sequence", `{"strength":1,"duration":"500ms"}`, []string{"ticks missing"}, nil},
		{Feed, "silence", `{"strength":1,"duration":"500ms"}`, []string{"ticks missing"}, nil},
		{Feed, "repeated_sequence", `{"strength":1,"duration":"500ms"}`, []string{twiceTicks}, nil},
		{Feed, "reordered_sequence", `{"strength":1,"duration":"500ms"}`, []string{"ticks missing", twiceTicks}, nil},
		{Feed, "mass_disconnect", `{"strength":1,"duration":"100ms"}`, []string{cut}, nil},
	} {
		t.Run(string(tc.does)+" "+tc.fault, func(t *testing.T) {
			t.Parallel()
			s := start(t, demo.Config{BatchWindow: 100 * time.Millisecond})
			scenario := chat(6, 2, 60, 2*time.Second)
			if tc.does == Feed {
				scenario.Groups = []Group{{Name: "watchers", Does: Feed, Connections: 6}}
			}
			var once sync.Once
			r, err := Run(t.Context(), Config{URLs: []string{s.url}, Scenario: scenario, Verify: true, patience: 2 * time.Second},
				50*time.Millisecond, func(p Progress) {
					if p.Acked > 0 || tc.does == Feed && p.Elapsed > 300*time.Millisecond {
						once.Do(func() { s.turnOn(tc.fault, tc.body) })
					}
				})
			if err != nil {
				t.Fatal(err)
			}
			wrong := faults(r)
			for _, what := range tc.must {
				if wrong[what] == 0 {
					t.Errorf("no %s were found", what)
				}
			}
			for what, n := range wrong {
				if !slices.Contains(tc.must, what) && !slices.Contains(tc.may, what) {
					t.Errorf("%d %s: %v", n, what, r.Reasons)
				}
			}
			if h := r.History; h == nil || h.Kept != r.Acked || h.Lost != 0 || h.Twice != 0 {
				t.Errorf("of %d acknowledged the history has %+v", r.Acked, h)
			}
		})
	}
}
