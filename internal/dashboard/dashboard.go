// Package dashboard reads Grafana dashboards as far as it takes to check them, to run their queries, and to draw them,
// without a Grafana.
package dashboard

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Dashboard is a dashboard in Grafana's Classic JSON model.
type Dashboard struct {
	UID         string   `json:"uid"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Tags        []string `json:"tags"`
	Schema      int      `json:"schemaVersion"`
	Editable    bool     `json:"editable"`
	Refresh     string   `json:"refresh"`
	Time        struct {
		From string `json:"from"`
		To   string `json:"to"`
	} `json:"time"`
	Links       []Link      `json:"links"`
	Panels      []Panel     `json:"panels"`
	Templating  Templating  `json:"templating"`
	Annotations Annotations `json:"annotations"`
}

// Link leads elsewhere from a dashboard or a panel.
type Link struct {
	Title string   `json:"title"`
	URL   string   `json:"url"`
	Type  string   `json:"type"` // of a dashboard's link: link, or dashboards, which are those with one of the tags
	Tags  []string `json:"tags"`
}

// Panel is a panel, or a row with the panels that are folded into it.
type Panel struct {
	ID              int              `json:"id"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description"`
	Datasource      *Datasource      `json:"datasource"`
	Grid            Grid             `json:"gridPos"`
	Collapsed       bool             `json:"collapsed"`
	Interval        string           `json:"interval"` // the shortest step that is asked for
	MaxDataPoints   float64          `json:"maxDataPoints"`
	Links           []Link           `json:"links"`
	Targets         []Target         `json:"targets"`
	Transformations []Transformation `json:"transformations"`
	FieldConfig     FieldConfig      `json:"fieldConfig"`
	Options         Options          `json:"options"`
	Panels          []Panel          `json:"panels"`
}

// Grid is where a panel stands: the dashboard is 24 units wide.
type Grid struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
}

// Target is one query of a panel.
type Target struct {
	Ref        string      `json:"refId"`
	Datasource *Datasource `json:"datasource"`
	Expr       string      `json:"expr"`
	Type       string      `json:"queryType"`
	Legend     string      `json:"legendFormat"`
	Format     string      `json:"format"` // time_series, table or heatmap
	Interval   string      `json:"interval"`
	Instant    bool        `json:"instant"`
	Exemplar   bool        `json:"exemplar"`
	Hide       bool        `json:"hide"`
	MaxLines   int         `json:"maxLines"`
}

// Datasource refers to a data source by its uid, or by a variable that has it.
type Datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// Templating holds the variables that the reader of a dashboard sets.
type Templating struct {
	List []Variable `json:"list"`
}

// Variable is one of them. Query says where its values come from: for the type "datasource" it is the type of data
// source, otherwise a query.
type Variable struct {
	Name       string          `json:"name"`
	Label      string          `json:"label"`
	Type       string          `json:"type"`
	Datasource *Datasource     `json:"datasource"`
	Query      json.RawMessage `json:"query"`
	Regex      string          `json:"regex"`
	Sort       int             `json:"sort"`
	Multi      bool            `json:"multi"`
	IncludeAll bool            `json:"includeAll"`
	AllValue   string          `json:"allValue"`
	Hide       int             `json:"hide"` // 2 is a variable that nobody sets
	Current    struct {
		Value any `json:"value"`
	} `json:"current"`
}

// initial is the variable's value until somebody chooses another. Several are as a regular expression has them.
func (v Variable) initial() string {
	var all []string
	switch value := v.Current.Value.(type) {
	case string:
		all = []string{value}
	case []any:
		for _, one := range value {
			if text, ok := one.(string); ok {
				all = append(all, text)
			}
		}
	}
	if slices.Contains(all, "$__all") {
		return v.AllValue
	}
	return strings.Join(all, "|")
}

// Annotations holds the queries whose results are drawn across all panels.
type Annotations struct {
	List []Annotation `json:"list"`
}

// Annotation is one of them. Series without a break are one time, or a range of it.
type Annotation struct {
	Name        string      `json:"name"`
	Datasource  *Datasource `json:"datasource"`
	Enable      bool        `json:"enable"`
	Hide        bool        `json:"hide"`
	Color       string      `json:"iconColor"`
	Expr        string      `json:"expr"`
	Step        string      `json:"step"`
	TitleFormat string      `json:"titleFormat"`
	TextFormat  string      `json:"textFormat"`
	// ValueForTime is set where a series' value is the time in milliseconds.
	ValueForTime bool `json:"useValueForTime"`
}

// Load reads the dashboard in the file at path.
func Load(path string) (*Dashboard, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the dashboard: %w", err)
	}
	return Parse(path, content)
}

// Parse reads a dashboard from the content of a file of that name.
func Parse(name string, content []byte) (*Dashboard, error) {
	d := new(Dashboard)
	if err := json.Unmarshal(content, d); err != nil {
		return nil, fmt.Errorf("decode the dashboard %s: %w", name, err)
	}
	if d.UID == "" || len(d.Panels) == 0 {
		return nil, fmt.Errorf("dashboard %s has no uid or no panels: is it one in the Classic JSON model?", name)
	}
	return d, nil
}

// Panel returns the panel with the id, also one in a folded row.
func (d *Dashboard) Panel(id int) (Panel, bool) {
	for _, p := range d.AllPanels() {
		if p.ID == id {
			return p, true
		}
	}
	return Panel{}, false
}

// AllPanels returns the panels of the dashboard, including those in folded rows, but not the rows.
func (d *Dashboard) AllPanels() []Panel { return unfold(d.Panels) }

func unfold(panels []Panel) []Panel {
	var all []Panel
	for _, p := range panels {
		if p.Type == "row" {
			all = append(all, unfold(p.Panels)...)
			continue
		}
		all = append(all, p)
	}
	return all
}
