package lint

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/internal/contract"
	"github.com/sockscope/sockscope/internal/needs"
)

func nameOf(selector []*labels.Matcher) *labels.Matcher { return needs.Name(selector) }

// check is the check of one page.
type check struct {
	*Linter
	page      *page
	metrics   []contract.Metric // those that the page is to have
	consumers []needs.Consumer  // of them
	told      map[string]bool   // families whose labels have been looked at
	report    Report
}

// page checks a page of metrics.
func (l *Linter) page(p *page) Report {
	c := &check{Linter: l, page: p, told: make(map[string]bool), report: Report{Findings: []Finding{}, Works: []Consumer{}, Silent: []Consumer{}}}
	c.expect()
	c.absent(c.leftover())
	for _, m := range c.metrics {
		if f := p.families[m.Name]; f != nil {
			c.present(m, f)
		}
	}
	c.foreign()
	c.verdicts()
	c.report.sort()
	return c.report
}

// own reports whether a metric is what the library says of itself, which no other service has.
func own(name string) bool { return strings.HasPrefix(name, "sockscope_") }

// expect finds out what the service is: an endpoint of some transports, a client, a probe, or several of them. It is
// what the page has any metric of, or else an endpoint of WebSocket. Every service is a process.
func (c *check) expect() {
	asked := make(map[string]bool) // consumers by transport, kind and name
	take := func(part contract.Part, transport string) {
		c.metrics = append(c.metrics, part.Metrics...)
		for _, consumer := range c.Linter.consumers[transport] {
			key := transport + " " + string(consumer.Kind) + " " + consumer.Name
			if !asked[key] && slices.ContainsFunc(part.Metrics, func(m contract.Metric) bool { return !own(m.Name) && consumer.Need.Needs(m) }) {
				asked[key] = true
				c.consumers = append(c.consumers, consumer)
			}
		}
	}
	known := false // what it is
	for _, transport := range c.transports {
		for _, part := range c.contract.Of(transport) {
			observer := part.Name == contract.Observer
			switch {
			case !observer && transport != contract.DefaultPrefix, part.Name == contract.Process: // once
			case c.has(part), observer && slices.Contains(c.cfg.Transports, transport):
				known = known || part.Name != contract.Pipeline
				take(part, transport)
			}
		}
	}
	for _, part := range c.contract.Parts {
		if part.Name == contract.Process || part.Name == contract.Observer && !known {
			take(part, contract.DefaultPrefix)
		}
	}
}

// has reports whether the page has any metric of a part.
func (c *check) has(part contract.Part) bool {
	return slices.ContainsFunc(part.Metrics, func(m contract.Metric) bool { return !own(m.Name) && c.page.families[m.Name] != nil })
}

// isOf reports whether a selector finds series of a metric.
func isOf(selector []*labels.Matcher, m contract.Metric) bool {
	return slices.ContainsFunc(needs.SeriesNames(m.Name, m.Type), nameOf(selector).Matches)
}

// leftover returns what the page has and the contract does not, apart from what libraries export of a process.
func (c *check) leftover() []*family {
	known := make(map[string]bool)
	for _, transport := range c.transports {
		for _, part := range c.contract.Of(transport) {
			for _, m := range part.Metrics {
				known[m.Name] = true
			}
		}
	}
	var left []*family
	for _, name := range sortedKeys(c.page.families) {
		if !known[name] && !slices.ContainsFunc([]string{"go_", "process_", "promhttp_", "nodejs_", "python_", "jvm_", "dotnet_", "sockscope_"}, func(prefix string) bool {
			return strings.HasPrefix(name, prefix)
		}) {
			left = append(left, c.page.families[name])
		}
	}
	return left
}

// absent tells of metrics that are not there, and of those that may be meant instead.
func (c *check) absent(left []*family) {
	var missing []contract.Metric
	for _, m := range c.metrics {
		if c.page.families[m.Name] == nil && !own(m.Name) && m.Name != "promhttp_metric_handler_errors_total" {
			missing = append(missing, m)
		}
	}
	meant := misnamed(missing, left)
	for _, m := range missing {
		affects := c.affects(m)
		if f := meant[m.Name]; f != nil {
			c.renamed(m, f, affects)
			continue
		}
		problem := "is not there"
		if m.Type == contract.Histogram {
			problem += ", or nothing of it has happened yet" // only then does the library export one
		}
		switch {
		case m.Required && !c.unheard(m):
			c.find(Error, m.Name, problem, "export it as a "+c.describe(m), affects)
		case len(affects) > 0:
			c.find(Note, m.Name, problem, "if the service has what it tells of, export it as a "+c.describe(m), affects)
		}
	}
}

// unheard reports whether a metric is about received messages, and none has been received yet. An endpoint that only
// sends, as one of server-sent events, never receives any.
func (c *check) unheard(m contract.Metric) bool {
	prefix, ok := strings.CutSuffix(m.Name, "_message_duration_seconds")
	counted := c.page.families[prefix+"_messages_total"]
	if !ok || counted == nil {
		return false
	}
	return !slices.ContainsFunc(c.page.series[counted.name], func(s series) bool {
		return s.labels["direction"] == "receive" && s.value > 0
	})
}

// renamed tells of a metric under another name.
func (c *check) renamed(m contract.Metric, f *family, affects []Consumer) {
	fix := "call it " + m.Name
	if label := labelInName(c.contract, f, m); label != "" {
		fix += " with the label " + label
	}
	if f.kind != string(m.Type) {
		fix += fmt.Sprintf(", and make it a %s: it is of the type %s", m.Type, f.kind)
	}
	if m.Unit == "seconds" && !strings.Contains(f.name, "second") {
		fix += ", in seconds"
	}
	severity := Warning
	if m.Required || len(affects) > 0 {
		severity = Error
	}
	c.find(severity, f.name, "is not a name of the contract; it looks like "+m.Name, fix, affects)
	c.labels(m, f)
	c.told[f.name] = true
}

// describe says what a metric is like.
func (c *check) describe(m contract.Metric) string {
	text := string(m.Type)
	if len(m.Labels) > 0 {
		text += " by " + strings.Join(m.LabelNames(), ", ")
	}
	if slices.Contains([]string{"seconds", "bytes", "ratio"}, m.Unit) {
		text += ", unit " + m.Unit
	}
	return text
}

// find adds a finding.
func (c *check) find(severity Severity, subject, problem, fix string, affects []Consumer) {
	c.report.Findings = append(c.report.Findings, Finding{severity, subject, problem, fix, affects})
}

// affects returns what shows nothing without a metric.
func (c *check) affects(m contract.Metric) []Consumer {
	var affected []Consumer
	for _, consumer := range c.consumers {
		if consumer.Need.Needs(m) {
			affected = append(affected, Consumer{Kind: consumer.Kind, Name: consumer.Name})
		}
	}
	return affected
}

// present checks a metric that is there.
func (c *check) present(m contract.Metric, f *family) {
	if f.kind != string(m.Type) {
		kind := "a " + f.kind
		if f.kind == untyped {
			kind = "without a type"
		}
		c.find(Error, f.name, "is "+kind, "make it a "+string(m.Type), c.affects(m))
		return
	}
	c.unit(m, f)
	c.labels(m, f)
}

// unit finds values that are of another unit than the name says.
func (c *check) unit(m contract.Metric, f *family) {
	const (
		far      = 20      // times the longest bucket of the contract: thousand are milliseconds, and some have short ones
		year5138 = 100_000 // seconds since 1970, in millions
	)
	if f.unit != "" && f.unit != m.Unit && slices.Contains([]string{"seconds", "bytes", "ratio"}, m.Unit) {
		c.find(Error, f.name, "has the unit "+f.unit, "its unit is "+m.Unit, c.affects(m))
		return
	}
	wrong := func(text string) { c.find(Error, f.name, text, "its unit is "+m.Unit, c.affects(m)) }
	if bounds := c.page.bounds(f); m.Unit == "seconds" && len(bounds) > 0 && bounds[len(bounds)-1] >= far*m.Buckets[len(m.Buckets)-1] {
		wrong(fmt.Sprintf("has buckets up to %g: these look like milliseconds", bounds[len(bounds)-1]))
		return
	}
	for _, s := range c.page.series[f.name] {
		switch {
		case strings.HasSuffix(m.Name, "_timestamp_seconds") && s.value > year5138*1e6:
			wrong(fmt.Sprintf("is %.0f: this looks like milliseconds since 1970", s.value))
			return
		case m.Unit == "ratio" && s.value > 1.5:
			wrong(fmt.Sprintf("is %g: this looks like percent", s.value))
			return
		}
	}
}

// labels holds the labels of a metric to those of the contract.
func (c *check) labels(m contract.Metric, f *family) {
	values, everywhere := labelValues(c.page.seriesOf(f))
	if f.series == 0 {
		return
	}
	for _, label := range m.LabelNames() {
		if !everywhere[label] {
			c.find(Error, f.name, "has no label "+label, fmt.Sprintf("its values are %s", c.examples(m.Labels[label])), c.affects(m))
			continue
		}
		if !own(m.Name) {
			c.labelValues(m, f, label, values[label])
		}
	}
	for _, label := range sortedKeys(values) {
		if _, ok := m.Labels[label]; ok || slices.Contains(targetLabels(), label) {
			continue
		}
		if problem := unbounded(values[label], mostUnknown); problem != "" {
			c.find(Error, f.name, "has a label "+label+" "+problem, "put it on spans and log records instead", nil)
			continue
		}
		c.find(Warning, f.name, "has a label "+label+" that the contract does not have", "leave it off, or keep its values few", nil)
	}
}

// mostUnknown is how many values a label may have that the contract says nothing of.
const mostUnknown = 100

// labelValues returns the values of each label, and which labels all series have.
func labelValues(list []series) (values map[string][]string, everywhere map[string]bool) {
	sets, count := make(map[string]map[string]bool), make(map[string]int)
	for _, s := range list {
		for label, value := range s.labels {
			if label == "le" || label == "quantile" || value == "" {
				continue
			}
			if sets[label] == nil {
				sets[label] = make(map[string]bool)
			}
			sets[label][value] = true
			count[label]++
		}
	}
	values, everywhere = make(map[string][]string), make(map[string]bool)
	for label, set := range sets {
		values[label], everywhere[label] = sortedKeys(set), count[label] == len(list)
	}
	return values, everywhere
}

// examples says what values a set has.
func (c *check) examples(set string) string {
	v := c.contract.Values[set]
	if v.Application != "" {
		return "your own: " + strings.ToLower(v.Meaning[:1]) + strings.TrimSuffix(v.Meaning[1:], ".")
	}
	return strings.Join(v.Closed, ", ")
}

// labelValues checks the values of a label of the contract.
func (c *check) labelValues(m contract.Metric, f *family, label string, values []string) {
	set := c.contract.Values[m.Labels[label]]
	if set.Application != "" {
		if problem := unbounded(values, set.Most); problem != "" {
			c.find(Error, f.name, "has a label "+label+" "+problem, "give it few values that the code names, and put what varies on spans and log records", c.affects(m))
		}
		return
	}
	const most = 10
	var unknown []string
	for _, value := range values {
		if value == "other" || slices.Contains(set.Closed, value) {
			continue
		}
		said := value
		if known := c.known(m.Labels[label], value); known != "" {
			said += " (" + known + ")"
		}
		unknown = append(unknown, said)
	}
	if len(unknown) == 0 {
		return
	}
	if n := len(unknown) - most; n > 0 {
		unknown = append(unknown[:most], fmt.Sprintf("and %d more", n))
	}
	c.find(Error, f.name, "has values of "+label+" that no alert knows: "+strings.Join(unknown, ", "),
		"the words are "+strings.Join(set.Closed, ", ")+"; everything else is other", c.affects(m))
}

// known returns the word of the contract for another one, empty if it can't be told.
func (c *check) known(set, value string) string {
	if code, err := strconv.Atoi(value); err == nil {
		if set == "close_reason" {
			return instrument.ReasonForCode(code).String()
		}
		return ""
	}
	return nearest(strings.ToLower(value), c.contract.Values[set].Closed)
}

// ids are what values look like that are different each time: a UUID, a hash, an address, a mail address, a number.
var ids = regexp.MustCompile(`^(?i:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{16,}|\d{1,3}(\.\d{1,3}){3}(:\d+)?|\[[0-9a-f:]+\](:\d+)?|[^@\s]+@[^@\s]+\.[a-z]+|[a-z]*[_-]?\d{5,})$`)

// unbounded says why a label's values look as if there was no end to them, empty if they don't.
func unbounded(values []string, most int) string {
	var alike []string
	for _, value := range values {
		if ids.MatchString(value) {
			alike = append(alike, value)
		}
	}
	switch {
	case len(alike) > 0:
		return fmt.Sprintf("whose values look like ids: %s", strings.Join(alike[:min(len(alike), 3)], ", "))
	case len(values) > most:
		return fmt.Sprintf("with %d values: every one is a series", len(values))
	}
	return ""
}

// foreign looks at the labels of what the contract does not have. These are the application's, but no store stands ids.
func (c *check) foreign() {
	for _, m := range c.metrics {
		c.told[m.Name] = true
	}
	for _, name := range sortedKeys(c.page.families) {
		if c.told[name] {
			continue
		}
		values, _ := labelValues(c.page.seriesOf(c.page.families[name]))
		for _, label := range sortedKeys(values) {
			if problem := unbounded(values[label], mostUnknown); problem != "" {
				c.find(Warning, name, "has a label "+label+" "+problem, "put it on spans and log records instead", nil)
			}
		}
	}
}

// verdicts says what shows something and what does not, and tells of buckets that are asked for.
func (c *check) verdicts() {
	bounds := make(map[string]map[string][]Consumer) // by metric and bound: what asks for it
	for _, consumer := range c.consumers {
		unmet := consumer.Need.Unmet(c.page.finds)
		verdict := Consumer{Kind: consumer.Kind, Name: consumer.Name}
		if len(unmet) == 0 {
			c.report.Works = append(c.report.Works, verdict)
			continue
		}
		for _, selector := range unmet {
			lacks := c.lack(selector, bounds, verdict)
			if !slices.Contains(verdict.Lacks, lacks) {
				verdict.Lacks = append(verdict.Lacks, lacks)
			}
		}
		c.report.Silent = append(c.report.Silent, verdict)
	}
	for _, m := range c.metrics {
		for _, bound := range sortedKeys(bounds[m.Name]) {
			c.find(Error, m.Name, "has no bucket up to "+bound+", by which slow ones are counted",
				"add it: those of the library are "+numbers(m.Buckets), bounds[m.Name][bound])
		}
	}
}

// lack says what a selector does not find. If it is a bucket of a histogram that is there, the bound is noted.
func (c *check) lack(selector []*labels.Matcher, bounds map[string]map[string][]Consumer, by Consumer) string {
	for _, m := range c.metrics {
		if !isOf(selector, m) {
			continue
		}
		switch f := c.page.families[m.Name]; {
		case f == nil:
			return m.Name
		case f.kind != string(m.Type):
			return m.Name + " as a " + string(m.Type)
		case m.Type == contract.Histogram && nameOf(selector).Matches(m.Name):
			return m.Name + " as a native histogram"
		}
		for _, matcher := range selector {
			if matcher.Name != "le" || matcher.Type != labels.MatchEqual {
				continue
			}
			if bounds[m.Name] == nil {
				bounds[m.Name] = make(map[string][]Consumer)
			}
			if !slices.ContainsFunc(bounds[m.Name][matcher.Value], by.is) {
				bounds[m.Name][matcher.Value] = append(bounds[m.Name][matcher.Value], Consumer{Kind: by.Kind, Name: by.Name})
			}
		}
	}
	return needs.Describe(slices.DeleteFunc(slices.Clone(selector), func(m *labels.Matcher) bool { return slices.Contains(targetLabels(), m.Name) }))
}

// is reports whether both are the same.
func (c Consumer) is(other Consumer) bool { return c.Kind == other.Kind && c.Name == other.Name }

func numbers(list []float64) string {
	var words []string
	for _, n := range list {
		if !math.IsInf(n, 0) {
			words = append(words, strconv.FormatFloat(n, 'g', -1, 64))
		}
	}
	return strings.Join(words, ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
