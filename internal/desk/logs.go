package desk

import (
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
	// aroundRecord and aroundRange are how many records are shown before and after one, and how far from it they may
	// be.
	aroundRecord = 20
	aroundRange  = time.Hour
	// followEvery is after how many seconds the page asks for new records.
	followEvery = 3
)

// logSteps are the widths that a bar of the histogram may have.
func logSteps() []time.Duration {
	return []time.Duration{
		time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute,
		30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	}
}

// logsData is what the page of log records shows.
type logsData struct {
	Form    logsForm
	Ranges  []timeRange
	Levels  []string
	Known   []string // fields of the contract, with their values where these are known
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
	Fields                                   pairs
	period
	Follow bool
}

func newLogsForm(query url.Values) logsForm {
	text := func(name string) string { return formText(query.Get(name)) }
	return logsForm{
		Words: text("q"), Level: text("level"), Service: text("service"), Trace: strings.ToLower(text("trace")), Connection: text("connection"),
		Fields: newPairs(query["field"]), period: newPeriod(query), Follow: query.Get("follow") != "",
	}
}

// path is the address that asks for the form's records.
func (f logsForm) path() string {
	query := url.Values{}
	set(query, map[string]string{"q": f.Words, "level": f.Level, "service": f.Service, "trace": f.Trace, "connection": f.Connection})
	f.set(query)
	if len(f.Fields) > 0 {
		query["field"] = f.Fields
	}
	if f.Follow {
		query.Set("follow", "on")
	}
	return "/logs?" + query.Encode()
}

// between is the form for the records of a range of time.
func (f logsForm) between(from, to time.Time) logsForm {
	f.From, f.To, f.Follow = machine(from), machine(to), false
	return f
}

// Unfollowed is the address of the same records, which then stay as they are.
func (f logsForm) Unfollowed() string {
	f.Follow = false
	return f.path()
}

// query is what the log store is asked.
func (f logsForm) query(now time.Time) (logstore.Query, error) {
	q := logstore.Query{
		Limit: maxLogRecords, Newest: true,
		Words: f.Words, Level: f.Level, Service: f.Service, TraceID: f.Trace, ConnectionID: f.Connection,
	}
	fields, err := f.Fields.parse()
	if err != nil {
		return q, err
	}
	for _, p := range fields {
		q.Fields = append(q.Fields, logstore.Field(p))
	}
	q.Start, q.End, err = f.bounds(now)
	return q, err
}

func (d *Desk) logsPage(w http.ResponseWriter, r *http.Request) {
	data := logsData{
		Form: newLogsForm(r.URL.Query()), Ranges: timeRanges(), Known: d.known.fields,
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
			p.Refresh = followEvery
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

// Everywhere is the address of the records of all services at that time.
func (d aroundData) Everywhere() string { return logAroundPath(logstore.Record{Time: d.At}) }

// logAroundPath is the address of the records around one, of its service.
func logAroundPath(r logstore.Record) string {
	query := url.Values{"time": {machine(r.Time)}}
	set(query, map[string]string{"service": r.Service})
	return "/logs/around?" + query.Encode()
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
