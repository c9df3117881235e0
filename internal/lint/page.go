package lint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/sockscope/sockscope/internal/contract"
)

// maxPage is how long a page of metrics may be, in bytes, unpacked.
const maxPage = 16 << 20

// accept asks for the form in which native histograms are, and for the others if the service does not have it.
const accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," +
	"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"

// page is what a service exports at its metrics address.
type page struct {
	families map[string]*family
	series   map[string][]series // by their own names, as x_bucket
}

// family is a metric of a page.
type family struct {
	name   string // that of a counter with its _total
	kind   string // as the page says it; untyped if it does not
	unit   string // as the page says it; mostly empty
	series int
	native bool // there is a native histogram
}

// series is one series, with its labels by name.
type series struct {
	labels map[string]string
	value  float64
}

// fetch reads the page of a service.
func fetch(ctx context.Context, client *http.Client, address string) (*page, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPage+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", address, err)
	}
	if len(body) > maxPage {
		return nil, fmt.Errorf("the answer of %s is longer than %d MiB", address, maxPage>>20)
	}
	p, err := parse(response.Header.Get("Content-Type"), body)
	if err != nil {
		return nil, fmt.Errorf("%s is no page of metrics: %w", address, err)
	}
	return p, nil
}

// Address completes what a person writes to the address of a page: 127.0.0.1:9464 is http://127.0.0.1:9464/metrics.
func Address(given string) (string, error) {
	if !strings.Contains(given, "://") {
		given = "http://" + given
	}
	u, err := url.Parse(given)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%q is not the address of a page of metrics, as http://127.0.0.1:9464/metrics", given)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/metrics"
	}
	return u.String(), nil
}

// parse reads a page in Prometheus' text format, in OpenMetrics', or in protobuf.
func parse(contentType string, body []byte) (*page, error) {
	p := &page{families: make(map[string]*family), series: make(map[string][]series)}
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil && contentType != "":
		return nil, fmt.Errorf("its content type is %q", contentType)
	case media == "text/html":
		return nil, errors.New("it is a page for people: its content type is text/html")
	case media == "application/vnd.google.protobuf":
		err = p.readProtobuf(body)
	default:
		err = p.readText(media == "application/openmetrics-text", body)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// readText reads either text format. The type of a metric stands before its series.
func (p *page) readText(openMetrics bool, body []byte) error {
	var parser textparse.Parser
	if openMetrics {
		parser = textparse.NewOpenMetricsParser(body)
	} else {
		parser = textparse.NewPromParser(append(slices.Clip(body), '\n')) // the last line may lack its end
	}
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch entry {
		case textparse.EntryType:
			name, kind := parser.Type()
			p.declare(openMetrics, string(name), string(kind))
		case textparse.EntryUnit:
			name, unit := parser.Unit()
			if f := p.of(string(name)); f != nil {
				f.unit = string(unit)
			}
		case textparse.EntrySeries:
			var l labels.Labels
			parser.Metric(&l)
			_, _, value := parser.Series()
			all := l.Map()
			name := all[labels.MetricName]
			delete(all, labels.MetricName)
			p.add(name, all, value)
		}
	}
}

// declare notes the type of a metric. In OpenMetrics a counter is declared without its _total.
func (p *page) declare(openMetrics bool, name, kind string) {
	if openMetrics && kind == "counter" {
		name += "_total"
	}
	if kind == "unknown" {
		kind = untyped
	}
	p.families[name] = &family{name: name, kind: kind}
}

// untyped is the type of a metric that is not declared.
const untyped = "untyped"

// of returns the family that a series of that name, or a line about it, belongs to.
func (p *page) of(name string) *family {
	for _, suffix := range []string{"", "_bucket", "_count", "_sum", "_created"} {
		base, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		if f := p.families[base]; f != nil && (suffix == "" || f.kind == "histogram" || f.kind == "summary" || f.kind == "gaugehistogram") {
			return f
		}
		if f := p.families[base+"_total"]; f != nil && (suffix == "" || suffix == "_created") {
			return f
		}
	}
	return nil
}

func (p *page) add(name string, all map[string]string, value float64) {
	f := p.of(name)
	if f == nil {
		f = &family{name: name, kind: untyped}
		p.families[name] = f
	}
	f.series++
	p.series[name] = append(p.series[name], series{all, value})
}

// readProtobuf reads the messages of a page, each of which has its length in front. A length that is made up must not
// take memory, so it is bounded by that of a page.
func (p *page) readProtobuf(body []byte) error {
	reader, options := bytes.NewReader(body), protodelim.UnmarshalOptions{MaxSize: maxPage}
	for {
		f := new(dto.MetricFamily)
		if err := options.UnmarshalFrom(reader, f); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		p.families[f.GetName()] = &family{name: f.GetName(), kind: strings.ToLower(f.GetType().String()), unit: f.GetUnit()}
		for _, m := range f.GetMetric() {
			p.addMetric(f.GetName(), m)
		}
	}
}

func (p *page) addMetric(name string, m *dto.Metric) {
	with := func(more ...string) map[string]string {
		all := make(map[string]string, len(m.GetLabel())+len(more)/2)
		for _, l := range m.GetLabel() {
			all[l.GetName()] = l.GetValue()
		}
		for i := 0; i+1 < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	switch {
	case m.Histogram != nil:
		h := m.GetHistogram()
		p.families[name].native = p.families[name].native || h.Schema != nil
		for _, b := range h.GetBucket() {
			p.add(name+"_bucket", with("le", strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64)), float64(b.GetCumulativeCount()))
		}
		p.add(name+"_count", with(), float64(h.GetSampleCount()))
		p.add(name+"_sum", with(), h.GetSampleSum())
	case m.Summary != nil:
		p.add(name+"_count", with(), float64(m.GetSummary().GetSampleCount()))
		p.add(name+"_sum", with(), m.GetSummary().GetSampleSum())
	case m.Counter != nil:
		p.add(name, with(), m.GetCounter().GetValue())
	case m.Gauge != nil:
		p.add(name, with(), m.GetGauge().GetValue())
	default:
		p.add(name, with(), m.GetUntyped().GetValue())
	}
}

// seriesOf returns the series of a metric in which its labels are, each once: of a histogram, its counts.
func (p *page) seriesOf(f *family) []series {
	if f.kind == string(contract.Histogram) || f.kind == "summary" {
		return p.series[f.name+"_count"]
	}
	return p.series[f.name]
}

// bounds returns the classic buckets of a histogram in order, without the last, which has no bound.
func (p *page) bounds(f *family) []float64 {
	var bounds []float64
	for _, s := range p.series[f.name+"_bucket"] {
		if bound, err := strconv.ParseFloat(s.labels["le"], 64); err == nil && !math.IsInf(bound, 0) {
			bounds = append(bounds, bound)
		}
	}
	slices.Sort(bounds)
	return slices.Compact(bounds)
}

// finds reports whether a selector finds series of the page, as it will be scraped. The labels of the target are not on
// the page. Of a label that is there any value is taken, except for bounds: another may come with the next connection.
func (p *page) finds(selector []*labels.Matcher) bool {
	name := nameOf(selector)
	for _, f := range p.families {
		if f.series == 0 && f.kind != string(contract.Histogram) && name.Matches(f.name) {
			return true // declared, and nothing of it has happened yet
		}
		if f.series == 0 && f.kind == string(contract.Histogram) && slices.ContainsFunc([]string{"_bucket", "_count", "_sum"}, func(suffix string) bool {
			return name.Matches(f.name + suffix)
		}) {
			return true
		}
		if f.native && name.Matches(f.name) && p.labelsFit(selector, p.series[f.name+"_count"]) {
			return true
		}
	}
	for of, list := range p.series {
		if name.Matches(of) && p.labelsFit(selector, list) {
			return true
		}
	}
	return false
}

func (p *page) labelsFit(selector []*labels.Matcher, list []series) bool {
	return slices.ContainsFunc(list, func(s series) bool {
		return !slices.ContainsFunc(selector, func(m *labels.Matcher) bool { return !fits(m, s.labels) })
	})
}

func fits(m *labels.Matcher, all map[string]string) bool {
	if m.Name == labels.MetricName || slices.Contains(targetLabels(), m.Name) {
		return true
	}
	value := all[m.Name]
	if m.Name != "le" || m.Type != labels.MatchEqual {
		return value != "" || m.Matches("")
	}
	want, err := strconv.ParseFloat(m.Value, 64)
	if err != nil {
		return false
	}
	got, err := strconv.ParseFloat(value, 64)
	return err == nil && got == want
}

// targetLabels are those that a scraper adds.
func targetLabels() []string { return []string{"job", "instance"} }
