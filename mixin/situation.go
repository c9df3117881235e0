package mixin

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Situation is something that happens to services, as their metrics show it, with the exact set of alerts that are to
// fire at some moments. Tests for promtool are made of it.
type Situation struct {
	Name   string
	Step   time.Duration // between two samples, and between two evaluations
	Length time.Duration
	Want   []Want
	// Control names alerts that this has to leave quiet although it comes close.
	Control []string
	// Exact situations are shipped as tests of all rules together.
	Exact  bool
	series []series
	err    error
}

// A Want is which alerts fire at a moment, by name and severity, as "HighConnectionDropRate/warning". The heartbeat is
// left out.
type Want struct {
	At     string // as 11m30s
	Firing []string
}

// A series is a metric with its labels and, in short, its values: segments of the form DURATION:WHAT. The duration * is
// the rest of the time. What a segment says depends on the kind of metric: of a counter how much it grows a second, of
// a gauge its value, or a way from one value to another as 1..5, or "now" for the time itself, or "same" for what it
// last was; of a histogram how many observations a second are made of which value, as 90@0.01,10@2. "_" is no sample,
// and "stale" the mark that a series has ended. A jump of a counter is +60 between two segments, and a counter that
// begins anew is =0.
type series struct {
	name, labels string
	kind         kind
	spec         string
}

type kind int

const (
	gauge kind = iota
	counter
	native  // histogram
	fine    // the same, at the resolution that the library has
	classic // histogram
)

// bounds are the buckets of a classic histogram, as the library has them.
func bounds() []string {
	return []string{"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"}
}

// inputs returns the series as promtool reads them.
func (s Situation) inputs() ([][2]string, error) {
	var inputs [][2]string
	for _, one := range s.series {
		text := func(suffix, extra string) string {
			labels := one.labels
			if extra != "" {
				labels = strings.TrimPrefix(labels+", "+extra, ", ")
			}
			return one.name + suffix + "{" + labels + "}"
		}
		segments, err := s.segments(one.spec)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", text("", ""), err)
		}
		switch one.kind {
		case classic:
			for i, bound := range bounds() {
				limit, err := strconv.ParseFloat(bound, 64)
				if err != nil {
					return nil, err
				}
				values, err := s.values(counter, segments, func(at string) (string, error) { return below(at, limit) })
				if err != nil {
					return nil, err
				}
				inputs = append(inputs, [2]string{text("_bucket", `le="`+bounds()[i]+`"`), values})
			}
			values, err := s.values(counter, segments, func(at string) (string, error) { return below(at, math.Inf(1)) })
			if err != nil {
				return nil, err
			}
			inputs = append(inputs, [2]string{text("_count", ""), values})
		case native, fine:
			schema := 0
			if one.kind == fine {
				schema = 3
			}
			values, err := s.histogram(segments, schema)
			if err != nil {
				return nil, err
			}
			inputs = append(inputs, [2]string{text("", ""), values})
		default:
			values, err := s.values(one.kind, segments, func(what string) (string, error) { return what, nil })
			if err != nil {
				return nil, fmt.Errorf("%s: %w", text("", ""), err)
			}
			inputs = append(inputs, [2]string{text("", ""), values})
		}
	}
	return inputs, nil
}

type segment struct {
	samples int
	what    string
}

// segments reads how many samples there are of what. A jump or a new beginning has no samples.
func (s Situation) segments(spec string) ([]segment, error) {
	var all []segment
	left := int(s.Length/s.Step) + 1
	for _, field := range strings.Fields(spec) {
		length, what, ok := strings.Cut(field, ":")
		if !ok {
			all = append(all, segment{what: field})
			continue
		}
		n := left
		if length != "*" {
			d, err := time.ParseDuration(length)
			if err != nil {
				return nil, err
			}
			n = min(n, int(d/s.Step))
		}
		left -= n
		if n > 0 {
			all = append(all, segment{n, what})
		}
	}
	return all, nil
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 12, 64) }

// signed is a number with its sign in front.
func signed(v float64) string {
	if v < 0 {
		return number(v)
	}
	return "+" + number(v)
}

// values returns the values of a counter or a gauge in promtool's notation.
func (s Situation) values(k kind, segments []segment, read func(string) (string, error)) (string, error) {
	step := s.Step.Seconds()
	var parts []string
	at, value, last := 0, 0.0, 0.0 // last is the slope of the segment before
	for _, seg := range segments {
		if seg.samples == 0 {
			switch {
			case seg.what == "stale":
				parts = append(parts, "stale")
				at++
			case strings.HasPrefix(seg.what, "="), strings.HasPrefix(seg.what, "+"):
				v, err := strconv.ParseFloat(seg.what[1:], 64)
				if err != nil {
					return "", err
				}
				if seg.what[0] == '+' {
					v += value
				}
				value = v
			}
			continue
		}
		n := seg.samples
		if seg.what == "_" {
			parts = append(parts, fmt.Sprintf("_x%d", n))
			at += n
			continue
		}
		what, err := read(seg.what)
		if err != nil {
			return "", err
		}
		from, slope := value, 0.0
		switch {
		case what == "same":
		case what == "now":
			from, slope = float64(at)*step, step
		case k == counter:
			rate, err := strconv.ParseFloat(what, 64)
			if err != nil {
				return "", err
			}
			slope = rate * step
			if last != math.Trunc(last) { // promtool adds up, with an error, and less than its sum would be a new beginning
				from *= 1 + 1e-10
			}
			from += slope
		default:
			first, last, way := strings.Cut(what, "..")
			if from, err = strconv.ParseFloat(first, 64); err != nil {
				return "", err
			}
			if way {
				to, err := strconv.ParseFloat(last, 64)
				if err != nil {
					return "", err
				}
				slope = (to - from) / float64(n)
			}
		}
		parts = append(parts, fmt.Sprintf("%s%sx%d", number(from), signed(slope), n-1))
		value, last = from+slope*float64(n-1), slope
		at += n
	}
	return strings.Join(parts, " "), nil
}

// below is how many observations a second a segment of a histogram has up to a bound.
func below(what string, bound float64) (string, error) {
	observations, err := observed(what)
	if err != nil {
		return what, err
	}
	rate := 0.0
	for _, o := range observations {
		if o.value <= bound {
			rate += o.rate
		}
	}
	return number(rate), nil
}

type observation struct{ rate, value float64 }

func observed(what string) ([]observation, error) {
	var all []observation
	for _, part := range strings.Split(what, ",") {
		rate, value, ok := strings.Cut(part, "@")
		if !ok {
			return nil, fmt.Errorf("%q is not RATE@VALUE", part)
		}
		r, err := strconv.ParseFloat(rate, 64)
		if err != nil {
			return nil, err
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, err
		}
		all = append(all, observation{r, v})
	}
	return all, nil
}

// histogram returns the values of a native histogram, with 2^schema buckets for each doubling from 2^-9 to 2^5, or from
// 1 to 2^14 where there are several.
func (s Situation) histogram(segments []segment, schema int) (string, error) {
	lowest, buckets := -9, 14
	if schema > 0 {
		lowest, buckets = 0, 14<<schema
	}
	step := s.Step.Seconds()
	var parts []string
	counts, sum := make([]float64, buckets), 0.0
	literal := func(counts []float64, sum float64) string {
		total := 0.0
		var list []string
		for _, c := range counts {
			total += c
			list = append(list, number(c))
		}
		return fmt.Sprintf("{{schema:%d sum:%s count:%s offset:%d buckets:[%s]}}", schema, number(sum), number(total), lowest, strings.Join(list, " "))
	}
	for _, seg := range segments {
		if seg.samples == 0 {
			continue
		}
		if seg.what == "_" {
			parts = append(parts, fmt.Sprintf("_x%d", seg.samples))
			continue
		}
		observations, err := observed(seg.what)
		if err != nil {
			return "", err
		}
		more, moreSum := make([]float64, buckets), 0.0
		for _, o := range observations {
			i := min(max(int(math.Ceil(math.Log2(o.value)*float64(int(1)<<schema)))-lowest, 0), buckets-1)
			more[i] += o.rate * step
			moreSum += o.rate * o.value * step
		}
		add := func(times float64) {
			for i := range counts {
				counts[i] += times * more[i]
			}
			sum += times * moreSum
		}
		add(1)
		part := literal(counts, sum)
		if seg.samples > 1 {
			part += "+" + literal(more, moreSum) + "x" + strconv.Itoa(seg.samples-1)
			add(float64(seg.samples - 1))
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " "), nil
}

// Tests returns tests for promtool by file name, one file for each step, of all rules together: which alerts fire, and
// no others. They are of the first transport, and hold for the shipped thresholds and objectives at true speed. Folder
// is where the rules are, seen from the tests.
//
// The situations of a file happen at the same time to services of different names, so each rule is evaluated once for
// all of them.
func Tests(c Config, folder string) (map[string]string, error) {
	rules, err := Files(c)
	if err != nil {
		return nil, err
	}
	for _, transport := range c.Transports[1:] {
		delete(rules, transport+".yml")
	}
	inputs, checks := make(map[time.Duration]string), make(map[time.Duration]string)
	for i, s := range Situations() {
		if !s.Exact {
			continue
		}
		input, check, err := s.test(c, fmt.Sprintf("s%d-", i))
		if err != nil {
			return nil, err
		}
		inputs[s.Step] += input
		checks[s.Step] += check
	}
	files := make(map[string]string)
	for step, input := range inputs {
		var b strings.Builder
		b.WriteString(Header + "\nrule_files:\n")
		for _, name := range slices.Sorted(maps.Keys(rules)) {
			fmt.Fprintf(&b, "  - %s/%s\n", folder, name)
		}
		fmt.Fprintf(&b, "evaluation_interval: %s\n\ntests:\n  - interval: %[1]s\n    input_series:\n%s    promql_expr_test:\n%s",
			short(step), input, checks[step])
		files["situations_"+short(step)+".yml"] = b.String()
	}
	return files, nil
}

// test returns the series and the checks of a situation whose services have a mark in front of their names.
func (s Situation) test(c Config, mark string) (inputs, checks string, err error) {
	if s.err != nil {
		return "", "", fmt.Errorf("situation %q: %w", s.Name, s.err)
	}
	series, err := s.inputs()
	if err != nil {
		return "", "", fmt.Errorf("situation %q: %w", s.Name, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "      # %s%s\n", mark, s.Name)
	for _, one := range series {
		fmt.Fprintf(&b, "      - series: %s\n        values: '%s'\n", c.foreign(strings.Replace(one[0], `job="`, `job="`+mark, 1)), one[1])
	}
	inputs = b.String()
	b.Reset()
	fmt.Fprintf(&b, "      # %s\n", s.Name)
	for _, w := range s.Want {
		after, err := time.ParseDuration(w.At)
		if err != nil {
			return "", "", fmt.Errorf("situation %q: %w", s.Name, err)
		}
		if after > 250*s.Step { // one that is looked at for long makes all others be
			continue
		}
		fmt.Fprintf(&b, "      - expr: group by (alertname, severity) (ALERTS{alertstate=\"firing\", job=~\"%s.*\"})\n        eval_time: %s\n        exp_samples:", mark, w.At)
		if len(w.Firing) == 0 {
			b.WriteString(" []\n")
			continue
		}
		b.WriteString("\n")
		for _, f := range w.Firing {
			name, severity, _ := strings.Cut(f, "/")
			fmt.Fprintf(&b, "          - {labels: '{alertname=\"%s\", severity=\"%s\"}', value: 1}\n", name, severity)
		}
	}
	return inputs, b.String(), nil
}

// foreign is a series of a situation as the configured service has it.
func (c Config) foreign(series string) string {
	if name, _, _ := strings.Cut(series, "{"); strings.HasPrefix(name, "websocket_") && !strings.HasPrefix(name, "websocket_probe") && !strings.HasPrefix(name, "websocket_client") {
		series = c.Transports[0] + strings.TrimPrefix(series, "websocket")
	}
	series = strings.Replace(series, "namespace=", c.NamespaceLabel+"=", 1)
	if c.Selector != "" {
		series = strings.Replace(series, "{", "{"+c.Selector+", ", 1)
	}
	return series
}

// short is a duration without its zeros.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
