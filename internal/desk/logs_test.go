package desk

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/logstore"
)

func goldenLogs() logsData {
	form := newLogsForm(url.Values{"q": {hostile}, "level": {"warn"}, "service": {hostile}, "trace": {hostile}, "connection": {hostile}, "field": {"reason=" + hostile, hostile}, "range": {"6h"}, "follow": {"on"}})
	records := []logstore.Record{
		{Time: now, Level: "error", Service: hostile, Message: hostile, TraceID: "724e3b184d68acf94e746096135d877c", SpanID: "b7ad6b7169203331",
			Fields: []logstore.Field{{Key: "connection_id", Value: "a/b?c#" + hostile}, {Key: "error", Value: hostile}}},
		{Time: before(time.Second), Message: "nobody knows"},
	}
	q := logstore.Query{Start: before(6 * time.Hour), End: now}
	list, total := bars(form, q, logStep(6*time.Hour), []logstore.Bucket{{Start: before(time.Hour), Count: 7}, {Start: before(10 * time.Minute), Count: 1}})
	return logsData{
		Form: form, Ranges: timeRanges(), Known: []string{"reason=abnormal", hostile}, Levels: []string{"info", "warn"}, Store: "VictoriaLogs", Native: hostile, Records: records,
		Older: form.between(before(time.Hour), now).path(), Bars: list, Total: total, Step: logStep(6 * time.Hour), Problem: hostile,
	}
}

func TestLogsForm(t *testing.T) {
	for name, test := range map[string]struct {
		query      string
		start, end time.Time
		problem    string
	}{
		"default":             {"", before(time.Hour), now, ""},
		"a range":             {"range=15m", before(15 * time.Minute), now, ""},
		"an unknown range":    {"range=99y", before(time.Hour), now, ""},
		"a range before":      {"range=24h&to=2026-11-20+12:00:00", time.Date(2026, 11, 19, 12, 0, 0, 0, time.UTC), time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), ""},
		"from and to":         {"from=2026-11-20&to=2026-11-20T01:00:00%2B01:00", time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), "no later"},
		"from":                {"from=2026-11-22+11:59", before(time.Minute), now, ""},
		"not a time":          {"from=%3Cb%3E", time.Time{}, time.Time{}, "is not a time"},
		"an end without time": {"to=noon", time.Time{}, time.Time{}, "is not a time"},
		"no value":            {"field=reason", time.Time{}, time.Time{}, "is not a name and its value"},
		"no name":             {"field=%3Dx", time.Time{}, time.Time{}, "is not a name and its value"},
		"too many":            {strings.Repeat("field=a%3Db&", 9), time.Time{}, time.Time{}, "at most 8"},
	} {
		t.Run(name, func(t *testing.T) {
			query, err := url.ParseQuery(test.query)
			if err != nil {
				t.Fatal(err)
			}
			q, err := newLogsForm(query).query(now)
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("error = %v, want %q in it", err, test.problem)
				}
				return
			}
			if err != nil || !q.Start.Equal(test.start) || !q.End.Equal(test.end) {
				t.Errorf("from %v to %v, %v; want from %v to %v", q.Start, q.End, err, test.start, test.end)
			}
		})
	}
}

// TestLogsPath asks again what the page links to.
func TestLogsPath(t *testing.T) {
	form := newLogsForm(url.Values{
		"q": {`a & "b"`}, "level": {"warn"}, "service": {"x=y"}, "trace": {"AB"}, "connection": {"c#1"}, "field": {"reason=a&b", " ", "x=y=z"}, "range": {"6h"}, "follow": {"on"},
	})
	if !form.Follow || !strings.Contains(form.path(), "follow=on") || strings.Contains(form.Unfollowed(), "follow") {
		t.Errorf("followed at %s, and not at %s", form.path(), form.Unfollowed())
	}
	form = form.between(before(time.Hour), now)
	u, err := url.Parse(form.path())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(form, newLogsForm(u.Query()), cmp.AllowUnexported(logsForm{})); diff != "" || form.Trace != "ab" || len(form.Fields) != 2 {
		t.Errorf("%+v is asked again as (-want +got):\n%s", form, diff)
	}
}

func TestLogStep(t *testing.T) {
	for length, want := range map[time.Duration]time.Duration{
		time.Second:          time.Second,
		15 * time.Minute:     30 * time.Second,
		time.Hour:            5 * time.Minute,
		7 * 24 * time.Hour:   3 * time.Hour,
		365 * 24 * time.Hour: 7 * 24 * time.Hour,
	} {
		if got := logStep(length); got != want || length/got > maxBars {
			t.Errorf("logStep(%v) = %v, want %v", length, got, want)
		}
	}
}

// TestKnown offers names of the contract, and the values that they can have.
func TestKnown(t *testing.T) {
	k, err := loadKnown()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"reason=slow_consumer", "initiator=network", "status=unauthorized", "namespace=", "type=", "error="} {
		if !slices.Contains(k.fields, want) {
			t.Errorf("%s is not offered for log records", want)
		}
	}
	for _, want := range []string{"error.type=", "websocket.message.type=", "connection.id="} {
		if !slices.Contains(k.attributes, want) {
			t.Errorf("%s is not offered for spans", want)
		}
	}
	for _, offered := range slices.Concat(k.fields, k.attributes) {
		if name, _, ok := strings.Cut(offered, "="); !ok || name == "" || strings.ContainsAny(offered, "{}") || hasEntry(name) {
			t.Errorf("%q is offered", offered)
		}
	}
}
