package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const rangePath = "/api/v1/query_range"

// Series is a series of an answer.
type Series struct {
	Labels     map[string]string
	Points     []Point
	Histograms []Histogram
}

// Point is a value at a time in milliseconds since 1970.
type Point struct {
	At    int64
	Value float64
}

// Histogram is a native histogram at a time in milliseconds since 1970. Prometheus leaves out its empty buckets.
type Histogram struct {
	At         int64
	Count, Sum float64
	Buckets    []Bucket
}

// Bucket is how many observations are between two values.
type Bucket struct{ Lower, Upper, Count float64 }

// Exemplar is one observation of a histogram, and its trace.
type Exemplar struct {
	At      int64 // in milliseconds since 1970
	Value   float64
	TraceID string
	Labels  map[string]string // of its series
}

// Alert is an alert that is pending or fires.
type Alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       string            `json:"state"`
	Since       time.Time         `json:"activeAt"`
}

// number reads Prometheus' numbers, which stand in strings.
type number float64

func (n *number) UnmarshalJSON(content []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(content), `"`), 64)
	*n = number(v)
	return err
}

// tuple decodes an array whose elements have different types.
func tuple(content []byte, into ...any) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(content, &parts); err != nil {
		return err
	}
	if len(parts) < len(into) {
		return fmt.Errorf("an array has %d elements instead of %d", len(parts), len(into))
	}
	for i, part := range parts[:len(into)] {
		if err := json.Unmarshal(part, into[i]); err != nil {
			return err
		}
	}
	return nil
}

// UnmarshalJSON reads [seconds, "value"].
func (p *Point) UnmarshalJSON(content []byte) error {
	var at, value number
	err := tuple(content, &at, &value)
	*p = Point{milliseconds(at), float64(value)}
	return err
}

// UnmarshalJSON reads [seconds, {count, sum, buckets}].
func (h *Histogram) UnmarshalJSON(content []byte) error {
	var at number
	var body struct {
		Count, Sum number
		Buckets    []json.RawMessage
	}
	if err := tuple(content, &at, &body); err != nil {
		return err
	}
	*h = Histogram{At: milliseconds(at), Count: float64(body.Count), Sum: float64(body.Sum)}
	for _, bucket := range body.Buckets {
		var bounds, lower, upper, count number
		if err := tuple(bucket, &bounds, &lower, &upper, &count); err != nil {
			return err
		}
		h.Buckets = append(h.Buckets, Bucket{float64(lower), float64(upper), float64(count)})
	}
	return nil
}

func milliseconds(seconds number) int64 { return int64(float64(seconds)*1000 + 0.5) }

// Range returns what a query gives from one time to another, at most so many of its series, and whether there are more.
func (a *Asker) Range(ctx context.Context, query string, from, to time.Time, step time.Duration, most int) (list []Series, more bool, err error) {
	return a.query(ctx, rangePath, url.Values{
		"query": {query}, "start": {seconds(from)}, "end": {seconds(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	}, most)
}

// Instant returns what a query gives at a time, or now if it is zero. Of several series it returns at most so many, or
// all of them for 0.
func (a *Asker) Instant(ctx context.Context, query string, at time.Time, most int) (list []Series, more bool, err error) {
	form := url.Values{"query": {query}}
	if !at.IsZero() {
		form.Set("time", seconds(at))
	}
	return a.query(ctx, "/api/v1/query", form, most)
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

func (a *Asker) query(ctx context.Context, path string, form url.Values, most int) (list []Series, more bool, err error) {
	if most > 0 {
		form.Set("limit", strconv.Itoa(most+1))
	}
	var data struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	}
	if err := a.post(ctx, path, form, &data); err != nil {
		return nil, false, err
	}
	if list, err = readSeries(data.ResultType, data.Result, path == rangePath); err != nil {
		return nil, false, fmt.Errorf("read the answer of Prometheus: %w", err)
	}
	if most > 0 && len(list) > most {
		return list[:most], true, nil
	}
	return list, false, nil
}

// readSeries reads a result of Prometheus' types.
func readSeries(kind string, content []byte, ranged bool) ([]Series, error) {
	var result []struct {
		Metric     map[string]string `json:"metric"`
		Value      *Point            `json:"value"`
		Values     []Point           `json:"values"`
		Histogram  *Histogram        `json:"histogram"`
		Histograms []Histogram       `json:"histograms"`
	}
	switch {
	case kind == "scalar":
		list := []Series{{Points: make([]Point, 1)}}
		return list, json.Unmarshal(content, &list[0].Points[0])
	case kind != "vector" && (kind != "matrix" || !ranged):
		return nil, fmt.Errorf("the query returns a %s, which can't be shown: ask for one value per series, as rate(…[5m]) has", kind)
	}
	if err := json.Unmarshal(content, &result); err != nil {
		return nil, err
	}
	var list []Series
	for _, r := range result {
		s := Series{Labels: r.Metric, Points: r.Values, Histograms: r.Histograms}
		if r.Value != nil {
			s.Points = []Point{*r.Value}
		}
		if r.Histogram != nil {
			s.Histograms = []Histogram{*r.Histogram}
		}
		list = append(list, s)
	}
	return list, nil
}

// Exemplars returns the exemplars of the metrics in a query that have a trace, at most so many.
func (a *Asker) Exemplars(ctx context.Context, query string, from, to time.Time, most int) ([]Exemplar, error) {
	var data []struct {
		SeriesLabels map[string]string `json:"seriesLabels"`
		Exemplars    []struct {
			Labels    map[string]string `json:"labels"`
			Value     number            `json:"value"`
			Timestamp number            `json:"timestamp"`
		} `json:"exemplars"`
	}
	err := a.post(ctx, "/api/v1/query_exemplars", url.Values{"query": {query}, "start": {seconds(from)}, "end": {seconds(to)}}, &data)
	if err != nil {
		return nil, err
	}
	var list []Exemplar
	for _, s := range data {
		for _, e := range s.Exemplars {
			if id := e.Labels["trace_id"]; id != "" && len(list) < most {
				list = append(list, Exemplar{milliseconds(e.Timestamp), float64(e.Value), id, s.SeriesLabels})
			}
		}
	}
	return list, nil
}

// Values returns the values that a label had in a range of time, in the series that a selector matches, which is empty
// for all; at most so many.
func (a *Asker) Values(ctx context.Context, label, selector string, from, to time.Time, most int) ([]string, error) {
	form := url.Values{"start": {seconds(from)}, "end": {seconds(to)}, "limit": {strconv.Itoa(most)}}
	if selector != "" {
		form.Set("match[]", selector)
	}
	var values []string
	// Unlike the others, it takes no POST.
	err := a.get(ctx, "/api/v1/label/"+url.PathEscape(label)+"/values?"+form.Encode(), &values)
	return values, err
}

// Alerts returns the alerts that are pending or fire.
func (a *Asker) Alerts(ctx context.Context) ([]Alert, error) {
	var data struct {
		Alerts []Alert `json:"alerts"`
	}
	err := a.get(ctx, "/api/v1/alerts", &data)
	return data.Alerts, err
}

func (a *Asker) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+path, nil)
	if err != nil {
		return fmt.Errorf("ask Prometheus: %w", err)
	}
	return a.do(request, into)
}

// post asks by a form, which may be longer than an address.
func (a *Asker) post(ctx context.Context, path string, form url.Values, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("ask Prometheus: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.do(request, into)
}

// do asks Prometheus and decodes the data of its answer.
func (a *Asker) do(request *http.Request, into any) error {
	if a.url == "" {
		return errors.New("no address of Prometheus is set")
	}
	select {
	case a.asking <- struct{}{}:
		defer func() { <-a.asking }()
	case <-request.Context().Done():
		return fmt.Errorf("ask Prometheus: too many others are asking: %w", request.Context().Err())
	}
	response, err := a.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask Prometheus at %s: %w", a.url, explain(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	var reply struct {
		Error string          `json:"error"`
		Data  json.RawMessage `json:"data"`
	}
	if err == nil && len(body) <= maxAnswer {
		err = json.Unmarshal(body, &reply)
	}
	switch {
	case len(body) > maxAnswer:
		return fmt.Errorf("the answer of Prometheus is longer than %d MiB: ask for less", maxAnswer>>20)
	case err != nil:
		return fmt.Errorf("read the answer of Prometheus (%s): %w", response.Status, explain(err))
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("the answer of Prometheus is %s: %s", response.Status, reply.Error)
	}
	if err := json.Unmarshal(reply.Data, into); err != nil {
		return fmt.Errorf("read the answer of Prometheus: %w", err)
	}
	return nil
}
