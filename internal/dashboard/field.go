package dashboard

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
)

// FieldConfig says how a panel shows its values: all of them, and some otherwise.
type FieldConfig struct {
	Defaults  FieldOptions `json:"defaults"`
	Overrides []Override   `json:"overrides"`
}

// Override changes the options of the fields that it matches.
type Override struct {
	Matcher struct {
		ID      string          `json:"id"` // byName, byRegexp, byFrameRefID or byType
		Options json.RawMessage `json:"options"`
	} `json:"matcher"`
	Properties []Property `json:"properties"`
}

// Property is one option, by its path, as in custom.drawStyle.
type Property struct {
	ID    string          `json:"id"`
	Value json.RawMessage `json:"value"`
}

// FieldOptions are how a field is shown, as they stand in the dashboard. Read them by [FieldConfig.Of].
type FieldOptions struct {
	Unit string
	raw  map[string]any
}

// UnmarshalJSON keeps everything.
func (o *FieldOptions) UnmarshalJSON(content []byte) error {
	if err := json.Unmarshal(content, &o.raw); err != nil {
		return err
	}
	o.Unit, _ = o.raw["unit"].(string)
	return nil
}

// Field says how one field is shown: a series, or a column of a table.
type Field struct {
	Unit        string      `json:"unit"`
	Decimals    *int        `json:"decimals"`
	Min         *float64    `json:"min"`
	Max         *float64    `json:"max"`
	DisplayName string      `json:"displayName"`
	NoValue     string      `json:"noValue"`
	Mappings    []Mapping   `json:"mappings"`
	Thresholds  *Thresholds `json:"thresholds"`
	Color       struct {
		Mode  string `json:"mode"` // fixed, thresholds or a palette
		Fixed string `json:"fixedColor"`
	} `json:"color"`
	Links  []Link `json:"links"`
	Custom Custom `json:"custom"`
}

// Custom are the options of a field that belong to the panel's kind.
type Custom struct {
	DrawStyle   string  `json:"drawStyle"` // line, bars or points
	LineWidth   float64 `json:"lineWidth"`
	LineStep    string  `json:"lineInterpolation"`
	FillOpacity float64 `json:"fillOpacity"`
	ShowPoints  string  `json:"showPoints"`
	// SpanNulls is true, or the longest break in milliseconds that a line spans.
	SpanNulls any `json:"spanNulls"`
	Stacking  struct {
		Mode string `json:"mode"` // none, normal or percent
	} `json:"stacking"`
	LineStyle struct {
		Fill string `json:"fill"` // solid, dash or dot
	} `json:"lineStyle"`
	Thresholds struct {
		Mode string `json:"mode"` // off, line, dashed, area, line+area or dashed+area
	} `json:"thresholdsStyle"`
	Scale struct {
		Type string  `json:"type"` // linear or log
		Log  float64 `json:"log"`
	} `json:"scaleDistribution"`
	SoftMin   *float64 `json:"axisSoftMin"`
	SoftMax   *float64 `json:"axisSoftMax"`
	AxisLabel string   `json:"axisLabel"`
	Axis      string   `json:"axisPlacement"`
	HideFrom  struct {
		Legend bool `json:"legend"`
		Viz    bool `json:"viz"`
	} `json:"hideFrom"`
	Transform string `json:"transform"` // negative-Y draws below the line
	Cell      struct {
		Type string `json:"type"` // auto, color-text, color-background or gauge
	} `json:"cellOptions"`
	Hidden bool `json:"hidden"`
}

// Thresholds are the values from which on a colour holds.
type Thresholds struct {
	Mode  string `json:"mode"` // absolute or percentage
	Steps []struct {
		Color string   `json:"color"`
		Value *float64 `json:"value"` // nil begins below everything
	} `json:"steps"`
}

// Mapping puts values into words.
type Mapping struct {
	Type    string          `json:"type"` // value, range, regex or special
	Options json.RawMessage `json:"options"`
}

// MappingResult is what stands for a value.
type MappingResult struct {
	Text  string `json:"text"`
	Color string `json:"color"`
}

// Of returns the options of a field, which is a series or a column, by its name. Ref is the query that it comes from,
// and kind is number, string or time.
func (c FieldConfig) Of(name, ref, kind string) (Field, error) {
	options := c.Defaults.raw
	for _, o := range c.Overrides {
		if !o.matches(name, ref, kind) {
			continue
		}
		for _, p := range o.Properties {
			var value any
			if err := json.Unmarshal(p.Value, &value); err != nil {
				return Field{}, fmt.Errorf("read the property %s: %w", p.ID, err)
			}
			options = with(options, strings.Split(p.ID, "."), value)
		}
	}
	text, err := json.Marshal(options)
	if err != nil {
		return Field{}, fmt.Errorf("read the options of %s: %w", name, err)
	}
	var f Field
	if err := json.Unmarshal(text, &f); err != nil {
		return Field{}, fmt.Errorf("read the options of %s: %w", name, err)
	}
	return f, nil
}

// with returns a copy of options in which the one at a path has the value.
func with(options map[string]any, path []string, value any) map[string]any {
	changed := maps.Clone(options)
	if changed == nil {
		changed = make(map[string]any)
	}
	if len(path) == 1 {
		changed[path[0]] = value
		return changed
	}
	inner, _ := changed[path[0]].(map[string]any)
	changed[path[0]] = with(inner, path[1:], value)
	return changed
}

func (o Override) matches(name, ref, kind string) bool {
	var text string
	if json.Unmarshal(o.Matcher.Options, &text) != nil {
		return false
	}
	switch o.Matcher.ID {
	case "byName":
		return text == name
	case "byFrameRefID":
		return text == ref
	case "byType":
		return text == kind
	case "byRegexp":
		pattern, err := Pattern(text)
		return err == nil && pattern.MatchString(name)
	}
	return false
}

// Pattern reads a regular expression as Grafana's users write it: by itself, or between slashes, which may be followed
// by an i for any case.
func Pattern(text string) (*regexp.Regexp, error) {
	if inner, ok := strings.CutPrefix(text, "/"); ok {
		if end := strings.LastIndex(inner, "/"); end >= 0 {
			text = inner[:end]
			if strings.Contains(inner[end:], "i") {
				text = "(?i)" + text
			}
		}
	}
	return regexp.Compile(text)
}

// Options are how a panel shows its data, of all kinds of panels.
type Options struct {
	Legend struct {
		Mode  string   `json:"displayMode"` // list, table or hidden
		Show  *bool    `json:"showLegend"`  // nil is true
		Calcs []string `json:"calcs"`
	} `json:"legend"`
	Reduce struct {
		Calcs []string `json:"calcs"`
	} `json:"reduceOptions"`
	Orientation string `json:"orientation"` // horizontal, vertical or auto
	ColorMode   string `json:"colorMode"`   // none, value, background or background_solid
	GraphMode   string `json:"graphMode"`   // none or area
	TextMode    string `json:"textMode"`    // auto, value, name, value_and_name or none
	// Of a text.
	Content string `json:"content"`
	// Of log records.
	SortOrder string `json:"sortOrder"` // Descending or Ascending
	// Of a heatmap.
	YAxis struct {
		Unit string `json:"unit"`
	} `json:"yAxis"`
	Filter struct {
		LE *float64 `json:"le"` // counts up to it are left out
	} `json:"filterValues"`
	// Of a list of alerts.
	AlertName string          `json:"alertName"`
	MaxItems  int             `json:"maxItems"`
	StateOf   map[string]bool `json:"stateFilter"`
	// Of a table.
	SortBy []struct {
		Column string `json:"displayName"`
		Desc   bool   `json:"desc"`
	} `json:"sortBy"`
}

// Transformation changes a panel's data before it is shown.
type Transformation struct {
	ID string `json:"id"`
}
