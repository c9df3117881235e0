package desk

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sockscope/sockscope/internal/logstore"
)

const (
	maxLogRecords = 200
	maxBars       = 60
	maxLogText    = 500 // bytes of one field of the form
	// aroundRecord and aroundRange are how many records are shown before and after one, and how far from it they may
	// be.
	aroundRecord = 20
	aroundRange  = time.Hour
)

// logSteps are the widths that a bar of the histogram may have.
func logSteps() []time.Duration {
	return []time.Duration{
		time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute,
		30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	}
}

// logRanges are the ranges of time to choose from, with what they are called.
func logRanges() []logRange {
	return []logRange{
		{"15m", "15 minutes", 15 * time.Minute}, {"1h", "hour", time.Hour}, {"6h", "6 hours", 6 * time.Hour},
		{"24h", "day", 24 * time.Hour}, {"168h", "week", 168 * time.Hour},
	}
}

type logRange struct {
	Value, Words string
	length       time.Duration
}

// logsData is what the page of log records shows.
type logsData struct {
	Form    logsForm
	Ranges  []logRange
	Levels  []string
	Store   string
	Native  string
	Records []logstore.Record // newest first
	Older   string            // address of the records before, empty if there are none
	Bars    []bar
	Step    time.Duration
	Total   int
	Awaited string // why there is no answer yet
	Problem string
}

// bar is one step of the histogram. Offset, Width and Height are per cent.
type bar struct {
	Start                 time.Time
	Count                 int
	Offset, Width, Height float64
	Href                  string // of the records in it
}

// logsForm is what the reader asks for.
type logsForm struct {
	Words, Level, Service, Trace, Connection string
	Range                                    string // one of logRanges
	From, To                                 string // texts of times, instead of the range
	Follow                                   bool
}

func newLogsForm(query url.Values) logsForm {
	text := func(name string) string {
		s := strings.TrimSpace(query.Get(name))
		return strings.ToValidUTF8(s[:min(len(s), maxLogText)], "\uFFFD")
	}
	f := logsForm{
		Words: text("q"), Level: text("level"), Service: text("service"), Trace: strings.ToLower(text("trace")), Connection: text("connection"),
		Range: text("range"), From: text("from"), To: text("to"), Follow: text("follow") != "",
	}
	if !slices.ContainsFunc(logRanges(), func(r logRange) bool { return r.Value == f.Range }) {
		f.Range = "1h"
	}
	return f
}

// path is the address that asks for the form's records.
func (f logsForm) path() string {
	query := url.Values{}
	for name, value := range map[string]string{
		"q": f.Words, "level": f.Level, "service": f.Service, "trace": f.Trace, "connection": f.Connection,
		"range": f.Range, "from": f.From, "to": f.To,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return "/logs?" + query.Encode()
}

// between is the form for the records of a range of time.
func (f logsForm) between(from, to time.Time) logsForm {
	f.From, f.To, f.Follow = from.UTC().Format(time.RFC3339Nano), to.UTC().Format(time.RFC3339Nano), false
	return f
}

// query is what the log store is asked.
func (f logsForm) query(now time.Time) (logstore.Query, error) {
	q := logstore.Query{
		End: now, Limit: maxLogRecords, Newest: true,
		Words: f.Words, Level: f.Level, Service: f.Service, TraceID: f.Trace, ConnectionID: f.Connection,
	}
	var err error
	if f.To != "" {
		if q.End, err = parseTime(f.To); err != nil {
			return q, err
		}
	}
	for _, r := range logRanges() {
		if r.Value == f.Range {
			q.Start = q.End.Add(-r.length)
		}
	}
	if f.From != "" {
		if q.Start, err = parseTime(f.From); err != nil {
			return q, err
		}
	}
	if !q.Start.Before(q.End) {
		return q, fmt.Errorf("the range begins at %s and ends at %s, which is no later", q.Start.Format(time.RFC3339), q.End.Format(time.RFC3339))
	}
	return q, nil
}

// parseTime reads a time that a person or this page wrote, in UTC.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write it as in 2026-01-02 15:04:05, in UTC", text)
}

func (d *Desk) logsPage(w http.ResponseWriter, r *http.Request) {
	data := logsData{
		Form: newLogsForm(r.URL.Query()), Ranges: logRanges(),
		Levels: []string{"trace", "debug", "info", "warn", "error", "fatal"},
	}
	p := page{Title: "Logs", Section: "logs"}
	q, err := data.Form.query(time.Now())
	code := http.StatusOK
	switch {
	case err != nil:
		code, data.Problem = http.StatusBadRequest, err.Error()
	case d.logs == nil:
		data.Problem = "no address of a log store is set"
	default:
		if data.Awaited = d.awaited("loki", "victoria-logs"); data.Awaited == "" {
			d.findLogs(r, q, &data)
		}
		if data.Awaited != "" || data.Form.Follow && data.Form.To == "" {
			p.Refresh = 3
		}
	}
	p.Data = data
	d.show(w, code, "logs", p)
}

// findLogs asks the log store for records and for how many there are in each step of time.
func (d *Desk) findLogs(r *http.Request, q logstore.Query, data *logsData) {
	data.Store, data.Native = d.logs.Name(), d.logs.Native(q)
	records, err := d.logs.Records(r.Context(), q)
	if err != nil {
		data.Problem = err.Error()
		return
	}
	if len(records) == q.Limit {
		// Of those at the same moment as the oldest, some may be missing.
		data.Older = data.Form.between(q.Start, records[0].Time.Add(1)).path()
	}
	slices.Reverse(records)
	data.Records = records

	data.Step = logStep(q.End.Sub(q.Start))
	whole := q
	whole.Start, whole.End = q.Start.Truncate(data.Step), q.End.Add(data.Step-1).Truncate(data.Step)
	buckets, err := d.logs.Histogram(r.Context(), whole, data.Step)
	if err != nil {
		data.Problem = err.Error()
		return
	}
	data.Bars, data.Total = bars(data.Form, whole, data.Step, buckets)
}

// logStep is the shortest step of which no more than maxBars are in a range.
func logStep(length time.Duration) time.Duration {
	steps := logSteps()
	for _, step := range steps {
		if length/step < maxBars {
			return step
		}
	}
	days := length/(24*time.Hour)/maxBars + 1
	return days * 24 * time.Hour
}

// bars draws the buckets that are in the range.
func bars(form logsForm, q logstore.Query, step time.Duration, buckets []logstore.Bucket) (list []bar, total int) {
	most := 0
	for _, b := range buckets {
		total += b.Count
		most = max(most, b.Count)
	}
	whole := float64(q.End.Sub(q.Start))
	for _, b := range buckets {
		if b.Start.Before(q.Start) || !b.Start.Before(q.End) {
			continue
		}
		list = append(list, bar{
			Start: b.Start, Count: b.Count, Href: form.between(b.Start, b.Start.Add(step)).path(),
			Offset: 100 * float64(b.Start.Sub(q.Start)) / whole, Width: 95 * float64(step) / whole,
			Height: max(100*float64(b.Count)/float64(most), 2),
		})
	}
	return list, total
}

// aroundData is what the page of the records around one shows.
type aroundData struct {
	At      time.Time
	Service string
	Records []logstore.Record // oldest first
	Problem string
}

// logAroundPath is the address of the records around one.
func logAroundPath(r logstore.Record) string {
	return "/logs/around?" + url.Values{"time": {r.Time.UTC().Format(time.RFC3339Nano)}, "service": {r.Service}}.Encode()
}

func (d *Desk) aroundPage(w http.ResponseWriter, r *http.Request) {
	at, err := parseTime(r.URL.Query().Get("time"))
	if err != nil {
		d.problem(w, http.StatusBadRequest, "logs", "That is not a time", "In its address, "+err.Error()+".")
		return
	}
	data := aroundData{At: at, Service: newLogsForm(r.URL.Query()).Service}
	if d.logs == nil {
		data.Problem = "no address of a log store is set"
	} else {
		before, errBefore := d.logs.Records(r.Context(), logstore.Query{
			Start: at.Add(-aroundRange), End: at, Limit: aroundRecord, Newest: true, Service: data.Service,
		})
		after, errAfter := d.logs.Records(r.Context(), logstore.Query{
			Start: at, End: at.Add(aroundRange), Limit: aroundRecord + 1, Service: data.Service,
		})
		data.Records = slices.Concat(before, after)
		for _, err := range []error{errBefore, errAfter} {
			if err != nil {
				data.Problem = err.Error()
			}
		}
	}
	d.show(w, http.StatusOK, "around", page{Title: "Log records", Section: "logs", Data: data})
}
