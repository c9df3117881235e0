package drawing

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sockscope/sockscope/internal/backend"
	"github.com/sockscope/sockscope/internal/dashboard"
)

// Unit says how the page writes numbers: times a factor in a form, with a prefix and a suffix.
type Unit struct {
	// Form is number, seconds, bytes (of 1024), time (seconds since 1970) or plain, which has no thousands or millions.
	Form     string  `json:"form"`
	Factor   float64 `json:"factor"`
	Prefix   string  `json:"prefix,omitempty"`
	Suffix   string  `json:"suffix,omitempty"`
	Decimals *int    `json:"decimals,omitempty"`
}

// unit returns what Grafana's name of a unit stands for.
func unit(name string, decimals *int) (Unit, bool) {
	known := map[string]Unit{
		"": {Form: "number"}, "none": {Form: "plain"}, "short": {Form: "number"}, "string": {Form: "plain"}, "locale": {Form: "plain"}, "sishort": {Form: "number"}, "bool": {Form: "plain"},
		"percent": {Form: "plain", Suffix: "%"}, "percentunit": {Form: "plain", Factor: 100, Suffix: "%"},
		"s": {Form: "seconds"}, "ms": {Form: "seconds", Factor: 1e-3}, "µs": {Form: "seconds", Factor: 1e-6}, "us": {Form: "seconds", Factor: 1e-6}, "ns": {Form: "seconds", Factor: 1e-9},
		"m": {Form: "seconds", Factor: 60}, "h": {Form: "seconds", Factor: 3600}, "d": {Form: "seconds", Factor: 86400},
		"dtdurations": {Form: "seconds"}, "dtdurationms": {Form: "seconds", Factor: 1e-3}, "clocks": {Form: "seconds"},
		"bytes": {Form: "bytes"}, "kbytes": {Form: "bytes", Factor: 1 << 10}, "mbytes": {Form: "bytes", Factor: 1 << 20},
		"decbytes": {Form: "number", Suffix: "B"}, "bits": {Form: "number", Suffix: "b"}, "decbits": {Form: "number", Suffix: "b"},
		"binBps": {Form: "bytes", Suffix: "/s"}, "Bps": {Form: "number", Suffix: "B/s"}, "bps": {Form: "number", Suffix: "b/s"}, "binbps": {Form: "number", Suffix: "b/s"},
		"cps": {Form: "number", Suffix: "/s"}, "ops": {Form: "number", Suffix: "/s"}, "reqps": {Form: "number", Suffix: "/s"}, "rps": {Form: "number", Suffix: "/s"}, "mps": {Form: "number", Suffix: "/s"},
		"wps": {Form: "number", Suffix: "/s"}, "iops": {Form: "number", Suffix: "/s"}, "eps": {Form: "number", Suffix: "/s"}, "pps": {Form: "number", Suffix: "/s"}, "recps": {Form: "number", Suffix: "/s"}, "hertz": {Form: "number", Suffix: "Hz"},
		"cpm": {Form: "number", Suffix: "/min"}, "opm": {Form: "number", Suffix: "/min"}, "rpm": {Form: "number", Suffix: "/min"}, "wpm": {Form: "number", Suffix: "/min"}, "reqpm": {Form: "number", Suffix: "/min"},
		"dateTimeAsIso": {Form: "time", Factor: 1e-3}, "dateTimeAsIsoNoDateIfToday": {Form: "time", Factor: 1e-3}, "dateTimeFromNow": {Form: "time", Factor: 1e-3}, "time": {Form: "time", Factor: 1e-3},
	}
	u, ok := known[name]
	for i, part := range []string{"suffix:", "prefix:"} {
		if text, found := strings.CutPrefix(name, part); found && !ok {
			u, ok = Unit{Form: "number"}, true
			if i == 0 {
				u.Suffix = strings.TrimSpace(text)
			} else {
				u.Prefix = strings.TrimSpace(text)
			}
		}
	}
	if u.Form == "" {
		u.Form = "number"
	}
	if u.Factor == 0 {
		u.Factor = 1
	}
	u.Decimals = decimals
	return u, ok
}

// Colours are words that the page has a colour for in both themes: p0 to p7 of the palette, and good, warn, bad, info
// and quiet. None is empty.

// stateColor is the colour of a value that is judged.
func stateColor(name string) string {
	if c, ok := otherColor(name); ok {
		return c
	}
	return byHue(name, map[string]string{"green": "good", "yellow": "warn", "orange": "warn", "red": "bad", "blue": "info", "purple": "info"})
}

// markColor is the colour of what is marked in charts.
func markColor(name string) string {
	if c, ok := otherColor(name); ok {
		return c
	}
	return byHue(name, map[string]string{"green": "good", "yellow": "warn", "orange": "warn", "red": "bad", "blue": "info", "purple": "p5"})
}

// seriesColor is the colour of a series. Green and red lines have those of the palette, which everybody can tell apart.
func seriesColor(name string) string {
	if c, ok := otherColor(name); ok {
		return c
	}
	light := strings.HasPrefix(name, "light-") || strings.HasPrefix(name, "super-light-")
	if light && strings.HasSuffix(name, "blue") {
		return "p4"
	}
	return byHue(name, map[string]string{"green": "p2", "yellow": "p6", "orange": "p1", "red": "p3", "blue": "p0", "purple": "p5"})
}

var hexColor = regexp.MustCompile(`^(#[0-9a-fA-F]{3,8}|rgba?\([0-9., %]+\))$`)

func otherColor(name string) (string, bool) {
	switch {
	case name == "" || name == "transparent":
		return "", true
	case name == "text" || name == "gray" || name == "grey" || name == "super-light-gray" || name == "white" || name == "black":
		return "quiet", true
	case hexColor.MatchString(name):
		return name, true
	}
	return "", false
}

func byHue(name string, hues map[string]string) string {
	for hue, color := range hues {
		if strings.HasSuffix(name, hue) {
			return color
		}
	}
	return "quiet"
}

// knownColor tells whether a colour is one that Grafana has a name for.
func knownColor(name string) bool {
	if _, ok := otherColor(name); ok {
		return true
	}
	return regexp.MustCompile(`^(dark-|semi-dark-|light-|super-light-)?(green|yellow|orange|red|blue|purple)$`).MatchString(name)
}

// labelText writes labels as one name: the value, if there is one label, and otherwise each with its value.
func labelText(labels map[string]string) string {
	named := maps.Clone(labels)
	metric := named["__name__"]
	delete(named, "__name__")
	switch {
	case len(named) == 0:
		return metric
	case len(named) == 1 && metric == "":
		for _, v := range named {
			return v
		}
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(named)) {
		parts = append(parts, name+"="+strconv.Quote(named[name]))
	}
	return metric + "{" + strings.Join(parts, ", ") + "}"
}

var legendLabel = regexp.MustCompile(`\{\{\s*([^{}]+?)\s*\}\}`)

// legend fills the labels of a series into a format such as {{instance}} in.
func legend(format string, labels map[string]string) string {
	return strings.TrimSpace(legendLabel.ReplaceAllStringFunc(format, func(found string) string {
		return labels[legendLabel.FindStringSubmatch(found)[1]]
	}))
}

var fieldLabel = regexp.MustCompile(`\$\{__field\.(?:labels\.(\w+)|(name))\}`)

// seriesName is what a series is called, before and after what its field says.
func seriesName(t dashboard.Target, labels map[string]string) string {
	var name string
	if t.Legend == "" || t.Legend == "__auto" {
		name = labelText(labels)
	} else {
		name = legend(t.Legend, labels)
	}
	if name == "" {
		name = "value"
	}
	return backend.Cut(name, maxName)
}

// field returns how a series is shown, and what it is called then.
func (d *draft) field(t dashboard.Target, labels map[string]string, name string) (dashboard.Field, string) {
	f, err := d.panel.FieldConfig.Of(name, t.Ref, "number")
	d.fail(err)
	if f.DisplayName != "" {
		name = fieldLabel.ReplaceAllStringFunc(f.DisplayName, func(found string) string {
			if groups := fieldLabel.FindStringSubmatch(found); groups[1] != "" {
				return labels[groups[1]]
			}
			return name
		})
	}
	return f, backend.Cut(name, maxName)
}

func (d *draft) unit(f dashboard.Field) Unit {
	u, ok := unit(f.Unit, f.Decimals)
	if !ok {
		d.fail(fmt.Errorf("the desk does not know the unit %s", f.Unit))
	}
	return u
}

// thresholdColor is the colour of a value by the field's thresholds.
func thresholdColor(f dashboard.Field, v float64) string {
	color := ""
	if f.Thresholds == nil {
		return color
	}
	for _, step := range f.Thresholds.Steps {
		if step.Value == nil || v >= threshold(f, *step.Value) {
			color = stateColor(step.Color)
		}
	}
	return color
}

// threshold is a threshold's value, which may be a share of the field's range.
func threshold(f dashboard.Field, v float64) float64 {
	if f.Thresholds.Mode != "percentage" {
		return v
	}
	low, high := bounds(f, 0, 100)
	return low + v/100*(high-low)
}

func bounds(f dashboard.Field, low, high float64) (from, to float64) {
	if f.Min != nil {
		low = *f.Min
	}
	if f.Max != nil {
		high = *f.Max
	}
	return low, high
}

// mapped puts a value into words by the field's mappings. Text is of a value that is no number.
func mapped(f dashboard.Field, v float64, text string) (dashboard.MappingResult, bool) {
	if text == "" && !math.IsNaN(v) {
		text = strconv.FormatFloat(v, 'f', -1, 64)
	}
	for _, m := range f.Mappings {
		if m.Type == "value" {
			var options map[string]dashboard.MappingResult
			if json.Unmarshal(m.Options, &options) == nil {
				if result, ok := options[text]; ok {
					return result, true
				}
			}
			continue
		}
		var o struct {
			From, To *float64
			Match    string
			Pattern  string
			Result   dashboard.MappingResult
		}
		if json.Unmarshal(m.Options, &o) != nil {
			continue
		}
		switch m.Type {
		case "range":
			if !math.IsNaN(v) && (o.From == nil || v >= *o.From) && (o.To == nil || v <= *o.To) {
				return o.Result, true
			}
		case "special":
			if o.Match == "null" && math.IsNaN(v) || o.Match == "nan" && math.IsNaN(v) || o.Match == "null+nan" && math.IsNaN(v) || o.Match == "empty" && text == "" {
				return o.Result, true
			}
		case "regex":
			if pattern, err := dashboard.Pattern(o.Pattern); err == nil && pattern.MatchString(text) {
				return o.Result, true
			}
		}
	}
	return dashboard.MappingResult{}, false
}

// reducers make one number of those of a series.
func reduce(calc string, values []Number) (Number, bool) {
	var present []float64
	for _, v := range values {
		if v.exists() {
			present = append(present, float64(v))
		}
	}
	at := func(list []float64, i int) Number {
		if len(list) == 0 {
			return none()
		}
		return Number(list[i])
	}
	n := len(present)
	var sum float64
	for _, v := range present {
		sum += v
	}
	switch calc {
	case "", "lastNotNull":
		return at(present, max(n-1, 0)), true
	case "firstNotNull":
		return at(present, 0), true
	case "last":
		if len(values) == 0 {
			return none(), true
		}
		return values[len(values)-1], true
	case "first":
		if len(values) == 0 {
			return none(), true
		}
		return values[0], true
	case "count":
		return Number(len(values)), true
	}
	if n == 0 {
		return none(), slices.Contains([]string{"min", "max", "mean", "sum", "total", "range", "diff", "median"}, calc)
	}
	switch calc {
	case "min":
		return Number(slices.Min(present)), true
	case "max":
		return Number(slices.Max(present)), true
	case "mean":
		return Number(sum / float64(n)), true
	case "sum", "total":
		return Number(sum), true
	case "range":
		return Number(slices.Max(present) - slices.Min(present)), true
	case "diff":
		return Number(present[n-1] - present[0]), true
	case "median":
		slices.Sort(present)
		return Number((present[(n-1)/2] + present[n/2]) / 2), true
	}
	return none(), false
}
