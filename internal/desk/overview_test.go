package desk

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/mixin"
)

// TestOverviewAsksForAllTransports has each query of the start page that is about several transports be about all that
// there are rules for.
func TestOverviewAsksForAllTransports(t *testing.T) {
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(overviewJSON, &board); err != nil {
		t.Fatal(err)
	}
	transports, asked := mixin.Default().Transports, 0
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			if !strings.Contains(target.Expr, transports[1]) {
				continue
			}
			asked++
			for _, transport := range transports {
				if !strings.Contains(target.Expr, transport) {
					t.Errorf("%s leaves out %s: %s", panel.Title, transport, target.Expr)
				}
			}
		}
	}
	if asked == 0 {
		t.Error("no query is about several transports")
	}
}
