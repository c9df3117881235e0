package drawing

import (
	"math"
	"strconv"
	"time"

	"github.com/sockscope/sockscope/internal/logstore"
)

// Number is a number in JSON, which is null where there is none.
type Number float64

// MarshalJSON writes null for NaN and infinities, which JSON has no words for.
func (n Number) MarshalJSON() ([]byte, error) {
	if v := float64(n); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return strconv.AppendFloat(nil, v, 'g', 9, 64), nil
	}
	return []byte("null"), nil
}

// none is no number.
func none() Number { return Number(math.NaN()) }

func (n Number) exists() bool { return !math.IsNaN(float64(n)) }

// Panel is what a page draws of a panel. Times are in milliseconds since 1970.
type Panel struct {
	Kind     string   `json:"kind"`
	From     int64    `json:"from"`
	To       int64    `json:"to"`
	Step     int64    `json:"step"`
	Problems []string `json:"problems,omitempty"`
	More     int      `json:"more,omitempty"` // at least so many series or rows are left out

	// Of charts.
	Times      []int64     `json:"times,omitempty"`
	Series     []Line      `json:"series,omitempty"`
	Axes       []Axis      `json:"axes,omitempty"`
	Stacked    bool        `json:"stacked,omitempty"`
	Thresholds []Threshold `json:"thresholds,omitempty"`
	Exemplars  []Dot       `json:"exemplars,omitempty"`
	Heat       *Heat       `json:"heat,omitempty"`
	Lanes      []Lane      `json:"lanes,omitempty"`

	// Of single values.
	Stats      []Stat `json:"stats,omitempty"`
	ColorMode  string `json:"colorMode,omitempty"`
	Horizontal bool   `json:"horizontal,omitempty"`

	Table   *Table            `json:"table,omitempty"`
	Records []logstore.Record `json:"records,omitempty"`
	Alerts  []Alert           `json:"alerts,omitempty"`
}

// Line is a series of a chart.
type Line struct {
	Name   string   `json:"name"`
	Color  string   `json:"color,omitempty"` // empty is the next one of the palette
	Style  string   `json:"style"`           // line, bars or points
	Dash   string   `json:"dash,omitempty"`
	Width  float64  `json:"width"`
	Fill   float64  `json:"fill"`
	Stairs bool     `json:"stairs,omitempty"`
	Dots   bool     `json:"dots,omitempty"`
	Span   int64    `json:"span,omitempty"` // the longest break that it spans
	Axis   int      `json:"axis"`
	Hidden bool     `json:"hidden,omitempty"` // from the legend
	Calcs  []Calc   `json:"calcs,omitempty"`
	Values []Number `json:"values"`
}

// Calc is a number that stands beside the name of a series.
type Calc struct {
	Name  string `json:"name"`
	Value Number `json:"value"`
}

// Axis is a vertical axis.
type Axis struct {
	Unit    Unit     `json:"unit"`
	Label   string   `json:"label,omitempty"`
	Min     *float64 `json:"min,omitempty"`
	Max     *float64 `json:"max,omitempty"`
	SoftMin *float64 `json:"softMin,omitempty"`
	SoftMax *float64 `json:"softMax,omitempty"`
	Log     bool     `json:"log,omitempty"`
}

// Threshold is a value from which on a colour holds.
type Threshold struct {
	Value float64 `json:"value"`
	Color string  `json:"color"`
	Line  bool    `json:"line,omitempty"`
	Area  bool    `json:"area,omitempty"`
}

// Dot is an exemplar.
type Dot struct {
	At    int64  `json:"at"`
	Value Number `json:"value"`
	Trace string `json:"trace"`
}

// Heat is a heatmap: for each time, a count for each of the rows, which are between two bounds that follow each other.
type Heat struct {
	Bounds []Number   `json:"bounds"`
	Counts [][]Number `json:"counts"`
}

// Lane is a row of a timeline of states.
type Lane struct {
	Name   string  `json:"name"`
	States []State `json:"states"`
}

// State is one of them.
type State struct {
	From  int64  `json:"from"`
	To    int64  `json:"to"`
	Text  string `json:"text"`
	Color string `json:"color"`
}

// Stat is a single value.
type Stat struct {
	Name  string    `json:"name,omitempty"`
	Value Number    `json:"value"`
	Text  string    `json:"text,omitempty"` // instead of the value
	Color string    `json:"color"`
	Unit  Unit      `json:"unit"`
	Min   float64   `json:"min"`
	Max   float64   `json:"max"`
	Steps []Segment `json:"steps,omitempty"` // of a gauge
	Spark []Number  `json:"spark,omitempty"`
	Href  string    `json:"href,omitempty"`
}

// Segment is a part of a gauge.
type Segment struct {
	From  float64 `json:"from"`
	Color string  `json:"color"`
}

// Alert is one that is pending or fires.
type Alert struct {
	Name     string    `json:"name"`
	Of       string    `json:"of,omitempty"`
	Severity string    `json:"severity,omitempty"`
	State    string    `json:"state"`
	Since    time.Time `json:"since"`
	Summary  string    `json:"summary,omitempty"`
	Runbook  string    `json:"runbook,omitempty"`
	Board    string    `json:"board,omitempty"`
}

// Mark is a time, or a range of it, that is marked in all charts.
type Mark struct {
	From  int64  `json:"from"`
	To    int64  `json:"to"`
	Title string `json:"title"`
	Text  string `json:"text,omitempty"`
	Color string `json:"color"`
}

// Empty tells whether nothing is drawn.
func (p Panel) Empty() bool {
	return len(p.Series) == 0 && len(p.Stats) == 0 && len(p.Records) == 0 && len(p.Alerts) == 0 && len(p.Lanes) == 0 &&
		(p.Table == nil || len(p.Table.Rows) == 0) && (p.Heat == nil || len(p.Heat.Bounds) == 0)
}
