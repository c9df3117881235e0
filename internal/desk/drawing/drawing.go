// Package drawing makes of Grafana's dashboards what the desk's pages draw: it fills in the variables, asks Prometheus
// and the log store, and says for each panel what stands where. The page in the browser only draws.
package drawing

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/desk/metrics"
	"github.com/sockscope/sockscope/internal/logstore"
)

// Limits of what is asked for and drawn.
const (
	maxPoints      = 900
	maxSeries      = 60
	maxHeatPoints  = 180
	maxHeatRows    = 48
	maxExemplars   = 2000
	maxDots        = 60 // exemplars that are drawn
	maxMarks       = 100
	maxRows        = 200
	maxRecords     = 200
	maxOptions     = 500 // values of a variable
	maxName        = 200 // bytes of the name of a series, or of a cell
	maxExpr        = 16 << 10
	maxTitleOfMark = 100
)

// Load reads the dashboards in folders, of which later ones take the place of earlier ones with the same file name.
// They are in the order of their titles.
func Load(folders ...fs.FS) ([]*dashboard.Dashboard, error) {
	byName := make(map[string]*dashboard.Dashboard)
	for _, folder := range folders {
		err := fs.WalkDir(folder, ".", func(name string, _ fs.DirEntry, err error) error {
			if err != nil || path.Ext(name) != ".json" {
				return err
			}
			content, err := fs.ReadFile(folder, name)
			if err != nil {
				return err
			}
			byName[name], err = dashboard.Parse(name, content)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("load the dashboards: %w", err)
		}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b *dashboard.Dashboard) int { return strings.Compare(a.Title, b.Title) }), nil
}

// Drawer draws. It is safe for concurrent use.
type Drawer struct {
	Prometheus *metrics.Asker
	Logs       logstore.Store // nil if there is none
}

// View is a dashboard as somebody looks at it: at a range of time, with choices.
type View struct {
	drawer *Drawer
	board  *dashboard.Dashboard
	span   dashboard.Span
	chosen map[string][]string // by the variable's name

	mu      sync.Mutex
	choices map[string]*resolved
}

// View returns a view of a dashboard. Chosen has values by the names of variables.
func (d *Drawer) View(board *dashboard.Dashboard, span dashboard.Span, chosen map[string][]string) *View {
	return &View{drawer: d, board: board, span: span, chosen: chosen, choices: make(map[string]*resolved)}
}

// Span is the range of time that is looked at.
func (v *View) Span() dashboard.Span { return v.span }
