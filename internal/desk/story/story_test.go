package story

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/console"
	"github.com/sockscope/sockscope/internal/desk/tracing"
	"github.com/sockscope/sockscope/internal/logstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	id        = "5f0c2d1e-7777-4d31-9ad3-000000000042"
	handshake = "02620e98b440366a1cf7026b2d76d885"
)

// span is a span as Jaeger answers it.
type span struct {
	trace, id, parent, link string
	name, service           string
	at                      time.Time
	took                    time.Duration
	tags                    map[string]any
}

func (s span) json() map[string]any {
	references, tags := []map[string]any{}, []map[string]any{}
	if s.parent != "" {
		references = append(references, map[string]any{"refType": "CHILD_OF", "traceID": s.trace, "spanID": s.parent})
	}
	if s.link != "" {
		references = append(references, map[string]any{"refType": "FOLLOWS_FROM", "traceID": s.link, "spanID": "30cff0de4846df43"})
	}
	for key, value := range s.tags {
		tags = append(tags, map[string]any{"key": key, "value": value})
	}
	return map[string]any{
		"traceID": s.trace, "spanID": s.id, "operationName": s.name, "references": references, "tags": tags,
		"startTime": s.at.UnixMicro(), "duration": s.took.Microseconds(), "processID": "p-" + s.service,
	}
}

// otlp is the span as the newer API answers it.
func (s span) otlp() map[string]any {
	kinds := map[any]int{"server": 2, "client": 3}
	o := map[string]any{
		"traceId": s.trace, "spanId": s.id, "parentSpanId": s.parent, "name": s.name, "kind": kinds[s.tags["span.kind"]],
		"startTimeUnixNano": strconv.FormatInt(s.at.UnixNano(), 10), "endTimeUnixNano": strconv.FormatInt(s.at.Add(s.took).UnixNano(), 10),
	}
	if s.link != "" {
		o["links"] = []any{map[string]string{"traceId": s.link, "spanId": "30cff0de4846df43"}}
	}
	return map[string]any{
		"resource":   map[string]any{"attributes": []any{map[string]any{"key": "service.name", "value": map[string]string{"stringValue": s.service}}}},
		"scopeSpans": []any{map[string]any{"spans": []any{o}}},
	}
}

// has says whether the span has all of the tags.
func (s span) has(tags map[string]any) bool {
	for key, value := range tags {
		if s.tags[key] != value {
			return false
		}
	}
	return true
}

// jaeger answers searches as Jaeger does: with the newest traces of which a span has the tags.
type jaeger struct {
	*httptest.Server
	searches atomic.Int64
}

func newJaeger(t *testing.T, spans ...span) *jaeger {
	t.Helper()
	traces := map[string][]span{}
	services := map[string]bool{}
	for _, s := range spans {
		traces[s.trace] = append(traces[s.trace], s)
		services[s.service] = true
	}
	encoded := map[string]json.RawMessage{}
	for trace, spans := range traces {
		all, processes := []any{}, map[string]any{}
		for _, s := range spans {
			all = append(all, s.json())
			processes["p-"+s.service] = map[string]string{"serviceName": s.service}
		}
		encoded[trace], _ = json.Marshal(map[string]any{"traceID": trace, "spans": all, "processes": processes})
	}
	j := &jaeger{}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, data any) { _ = json.NewEncoder(w).Encode(map[string]any{"data": data}) }
	mux.HandleFunc("GET /api/services", func(w http.ResponseWriter, _ *http.Request) {
		var names []string
		for name := range services {
			names = append(names, name)
		}
		answer(w, names)
	})
	mux.HandleFunc("GET /api/traces", func(w http.ResponseWriter, r *http.Request) {
		j.searches.Add(1)
		var tags map[string]any
		_ = json.Unmarshal([]byte(r.FormValue("tags")), &tags)
		number := func(name string) int64 {
			n, err := strconv.ParseInt(r.FormValue(name), 10, 64)
			if err != nil {
				t.Errorf("asked for %s", r.URL)
			}
			return n
		}
		service := r.FormValue("service")
		start, end, limit := number("start"), number("end"), int(number("limit"))
		var found []span
		for _, s := range spans {
			if at := s.at.UnixMicro(); at >= start && at <= end && s.service == service && s.has(tags) {
				found = append(found, s)
			}
		}
		slices.SortFunc(found, func(a, b span) int { return b.at.Compare(a.at) })
		list := []json.RawMessage{}
		for _, s := range found[:min(len(found), limit)] {
			list = append(list, encoded[s.trace])
		}
		answer(w, list)
	})
	mux.HandleFunc("GET /api/v3/traces/{id}", func(w http.ResponseWriter, r *http.Request) {
		var found []any
		for _, s := range traces[r.PathValue("id")] {
			found = append(found, s.otlp())
		}
		if found == nil {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"result": map[string]any{"resourceSpans": found}})
	})
	j.Server = httptest.NewServer(mux)
	t.Cleanup(j.Close)
	return j
}

// records is a log store.
type records []logstore.Record

func (records) Name() string                 { return "records" }
func (records) URL(logstore.Query) string    { return "" }
func (records) Native(logstore.Query) string { return "" }

func (records) Histogram(context.Context, logstore.Query, time.Duration) ([]logstore.Bucket, error) {
	return nil, errors.New("not asked")
}

func (records) Ask(context.Context, string, time.Time, time.Time, int) ([]logstore.Record, error) {
	return nil, nil
}

func (records) Count(context.Context, string, time.Time, time.Time, time.Duration) ([]logstore.Series, error) {
	return nil, nil
}

func (all records) Records(_ context.Context, q logstore.Query) ([]logstore.Record, error) {
	if q.ConnectionID == "" {
		return nil, errors.New("asked for all records")
	}
	var found []logstore.Record
	for _, r := range all {
		if !r.Time.Before(q.Start) && r.Time.Before(q.End) && slices.Contains(r.Fields, logstore.Field{Key: "connection_id", Value: q.ConnectionID}) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b logstore.Record) int { return a.Time.Compare(b.Time) })
	if q.Newest {
		return found[max(len(found)-q.Limit, 0):], nil
	}
	return found[:min(len(found), q.Limit)], nil
}

func record(at time.Time, message string, fields ...string) logstore.Record {
	r := logstore.Record{Time: at, Level: "info", Service: "demo", Message: message, Fields: []logstore.Field{{Key: "connection_id", Value: id}}}
	for i := 0; i < len(fields); i += 2 {
		r.Fields = append(r.Fields, logstore.Field{Key: fields[i], Value: fields[i+1]})
	}
	return r
}

// message is a sampled message and the span of a query that it made.
func message(at time.Time, number int) []span {
	trace := fmt.Sprintf("%032x", number)
	own := fmt.Sprintf("%016x", number)
	return []span{
		{trace: trace, id: own, link: handshake, name: "websocket.message chat", service: "demo", at: at, took: 3 * time.Millisecond,
			tags: map[string]any{"connection.id": id, "websocket.message.number": number, "websocket.message.type": "chat", "websocket.message.size": 12, "span.kind": "consumer"}},
		{trace: trace, id: fmt.Sprintf("%016x", 1<<32+number), parent: own, name: "INSERT", service: "store", at: at.Add(time.Millisecond), took: time.Millisecond},
	}
}

func teller(t *testing.T, jaegerURL string, logs logstore.Store, consoles ...string) *Teller {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return NewTeller(tracing.NewFinder(jaegerURL, logs, transport), logs, func() ([]string, error) { return consoles, nil }, &http.Client{Transport: transport})
}

// line says in one line what an event is.
func line(e Event) string {
	text := string(e.Kind) + " " + cmp.Or(e.Name, fmt.Sprint(e.Count))
	if e.Number > 0 {
		text += fmt.Sprintf(" %s %d", e.Direction, e.Number)
	}
	for _, c := range e.Caused {
		text += " → " + c.Name
	}
	return text
}

func lines(s Story) []string {
	var list []string
	for _, e := range s.Events {
		list = append(list, line(e))
	}
	return list
}

func TestTell(t *testing.T) {
	opened := time.Now().Add(-time.Hour).Truncate(time.Microsecond).UTC()
	at := func(seconds int) time.Time { return opened.Add(time.Duration(seconds) * time.Second) }
	spans := []span{
		{trace: handshake, id: "30cff0de4846df43", name: "websocket.handshake", service: "demo", at: at(0).Add(-time.Millisecond), tags: map[string]any{"connection.id": id, "http.response.status_code": 101}},
		{trace: strings.Repeat("c", 32), id: "cccccccccccccccc", link: handshake, name: "websocket.close", service: "demo", at: at(50), tags: map[string]any{"connection.id": id}},
		{trace: strings.Repeat("d", 32), id: "dddddddddddddddd", name: "websocket.handshake", service: "demo", at: at(1), tags: map[string]any{"connection.id": "another"}},
	}
	for i, number := range []int{2, 3, 6} {
		spans = append(spans, message(at(10+10*i), number)...)
	}
	first := record(at(0), "connection opened")
	first.TraceID, first.SpanID = handshake, "30cff0de4846df43"
	logs := records{
		first, record(at(21), "message slow", "duration_seconds", "1.5"),
		record(at(50).Add(1), "connection closed", "initiator", "remote", "reason", "abnormal", "code", "1006", "error", "reset", "received_messages", "8", "sent_messages", "3"),
		{Time: at(22), Message: "of another", Fields: []logstore.Field{{Key: "connection_id", Value: "another"}}},
	}
	tell := teller(t, newJaeger(t, spans...).URL, logs)
	s := tell.Tell(t.Context(), id, Part{})
	want := []string{
		"handshake websocket.handshake", "record connection opened", "unsampled 1",
		"message websocket.message chat received 2 → INSERT", "message websocket.message chat received 3 → INSERT",
		"record message slow", "unsampled 2", "message websocket.message chat received 6 → INSERT", "unsampled 2",
		"close websocket.close", "record connection closed",
	}
	if diff := gocmp.Diff(want, lines(s)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if !s.Whole || s.Sampled != 3 || s.Unsampled != 5 || len(s.Problems) > 0 || !s.Opened.Equal(at(0)) || s.Duration() != 50*time.Second+1 ||
		s.Handshake.TraceID != handshake || s.Close.TraceID != strings.Repeat("c", 32) || s.Ending != (Ending{"remote", "abnormal", "1006", "reset"}) ||
		*s.Totals != (Totals{Received: 8, Sent: 3}) || s.Service != "demo" {
		t.Errorf("the story is %+v", s)
	}
	if m := s.Events[3]; m.Type != "chat" || m.Size != "12" || m.Duration != 3*time.Millisecond || m.Links[0].TraceID != handshake {
		t.Errorf("the message is %+v", m)
	}
	newest := tell.Tell(t.Context(), id, Part{Newest: true})
	slices.Reverse(want)
	if diff := gocmp.Diff(want, lines(newest)); diff != "" {
		t.Errorf("newest first (-want +got):\n%s", diff)
	}
	for _, hostile := range []string{"another\"}", "x\"} | drop", "../../x?y#z", "'; --"} {
		if s := tell.Tell(t.Context(), hostile, Part{}); s.Found() || len(s.Problems) > 0 {
			t.Errorf("the story of %q is %+v", hostile, s)
		}
	}
}

// TestOtherEnd joins what the client knows of its messages with what the service does. The service's handshake is in
// the client's trace, because it trusts its peers, or links to that.
func TestOtherEnd(t *testing.T) {
	opened := time.Now().Add(-time.Hour).Truncate(time.Microsecond).UTC()
	at := func(seconds int) time.Time { return opened.Add(time.Duration(seconds) * time.Second) }
	const trusted, untrusted = handshake, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	for name, given := range map[string]struct{ protocol, theirs string }{
		"trusted":                {"websocket", trusted},
		"untrusted":              {"websocket", untrusted},
		"server-sent events":     {"sse", untrusted},
		"Socket.IO":              {"socketio", trusted},
		"a stream of gRPC":       {"grpc_stream", trusted},
		"an untrusted gRPC peer": {"grpc_stream", untrusted},
	} {
		t.Run(name, func(t *testing.T) {
			protocol, theirs := given.protocol, given.theirs
			served := span{trace: handshake, id: "30cff0de4846df43", name: protocol + ".handshake", service: "demo", at: at(0), tags: map[string]any{"connection.id": id, "span.kind": "server"}}
			if theirs != handshake {
				served.link = theirs
			}
			ofClient := func(trace, name, kind string, second, number int) span {
				return span{
					trace: strings.Repeat(trace, 32), id: strings.Repeat(trace, 16), link: theirs, name: name, service: "bot", at: at(second), took: time.Millisecond,
					tags: map[string]any{protocol + ".handshake.trace_id": theirs, protocol + ".message.number": number, "span.kind": kind},
				}
			}
			spans := append(message(at(10), 2),
				span{trace: theirs, id: "1111111111111111", name: protocol + ".handshake", service: "bot", at: at(0), tags: map[string]any{"span.kind": "client"}},
				served,
				ofClient("b", protocol+".message book", "consumer", 5, 7),
				ofClient("c", "order", "internal", 9, 2),
				ofClient("d", "order", "internal", 20, 3), // which the service has not sampled
			)
			s := teller(t, newJaeger(t, spans...).URL, records{}).Tell(t.Context(), id, Part{})
			want := []string{
				"handshake " + protocol + ".handshake", "message " + protocol + ".message book received 7", "unsampled 1",
				"message websocket.message chat received 2 → INSERT", "message order sent 3",
			}
			if diff := gocmp.Diff(want, lines(s)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if len(s.Problems) > 0 || len(s.Events) < 4 {
				t.Fatalf("the story is %+v", s)
			}
			if p := s.Events[1]; !p.Peer || p.Received() || p.Service != "bot" {
				t.Errorf("what the client received is %+v", p)
			}
			if other := s.Events[3].OtherEnd; other == nil || other.Name != "order" || other.Direction != "sent" || other.Number != 2 {
				t.Errorf("the other end of message 2 is %+v", other)
			}
		})
	}
}

// TestLongStory goes through all parts of a story of 10,000 messages, of which many come at once.
func TestLongStory(t *testing.T) {
	const messages = 10_000
	opened := time.Now().Add(-6 * time.Hour).Truncate(time.Second).UTC()
	var spans []span
	logs := records{record(opened, "connection opened")}
	at := opened
	for n := 1; n <= messages; n++ {
		step := 200 * time.Millisecond
		if n%2000 < 1000 {
			step = time.Millisecond
		}
		at = at.Add(step)
		if n%5 != 0 { // is sampled
			spans = append(spans, message(at, n)...)
		}
		if n%7 == 0 {
			logs = append(logs, record(at.Add(500*time.Microsecond), "message failed"))
		}
	}
	logs = append(logs, record(at.Add(time.Second), "connection closed", "received_messages", strconv.Itoa(messages)))
	j := newJaeger(t, spans...)
	for name, test := range map[string]struct {
		logs   records
		newest bool
		parts  int // that are read; 0 is all
	}{
		"oldest first":     {logs, false, 0},
		"newest first":     {logs, true, 20},
		"without a record": {nil, false, 10},
	} {
		t.Run(name, func(t *testing.T) {
			tell := teller(t, j.URL, test.logs)
			part := Part{Newest: test.newest}
			seen, seenRecords, parts := 0, 0, 0
			last := time.Time{}
			for {
				before := j.searches.Load()
				s := tell.Tell(t.Context(), id, part)
				parts++
				if n := j.searches.Load() - before; n > 2*40 || len(s.Events) > 2*maxEvents || len(s.Problems) > 0 {
					t.Fatalf("part %d took %d searches and has %d events, problems %v", parts, n, len(s.Events), s.Problems)
				}
				for _, e := range s.Events {
					if order := e.Time.Compare(last); !last.IsZero() && (order < 0 && !test.newest || order > 0 && test.newest) {
						t.Fatalf("%v comes after %v", e.Time, last)
					}
					last = e.Time
					switch e.Kind {
					case KindUnsampled:
						seen += int(e.Count)
					case KindMessage:
						seen++
						if want := int64(seen); !test.newest && e.Number != want || test.newest && e.Number != messages+1-want {
							t.Fatalf("message %d is the %dth", e.Number, seen)
						}
					case KindRecord:
						seenRecords++
					}
				}
				if s.Last() || parts == test.parts || parts > 400 {
					break
				}
				part = s.Next
			}
			if test.parts == 0 && (seen != messages || seenRecords != len(logs)) || seen < 10*parts {
				t.Errorf("%d messages and %d records in %d parts, want %d and %d", seen, seenRecords, parts, messages, len(logs))
			}
		})
	}
}

// TestBack goes some parts into a long story, turns round, and meets every message again until it is back.
func TestBack(t *testing.T) {
	const messages = 3000
	opened := time.Now().Add(-time.Hour).Truncate(time.Second).UTC()
	var spans []span
	for n := 1; n <= messages; n++ {
		if n%3 != 0 { // is sampled
			spans = append(spans, message(opened.Add(time.Duration(n)*100*time.Millisecond), n)...)
		}
	}
	end := opened.Add(messages * 100 * time.Millisecond).Add(time.Second)
	tell := teller(t, newJaeger(t, spans...).URL, records{record(opened, "connection opened"), record(end, "connection closed", "received_messages", strconv.Itoa(messages))})
	for _, newest := range []bool{false, true} {
		s := tell.Tell(t.Context(), id, Part{Newest: newest})
		passed := s.Sampled + s.Unsampled
		for range 4 {
			s = tell.Tell(t.Context(), id, s.Next)
			passed += s.Sampled + s.Unsampled
		}
		passed -= s.Sampled + s.Unsampled
		met := int64(0)
		for part := s.Back(); ; part = s.Next {
			s = tell.Tell(t.Context(), id, part)
			met += s.Sampled + s.Unsampled
			if s.Part.Newest == newest || len(s.Problems) > 0 {
				t.Fatalf("back in the order newest=%v, problems %v", s.Part.Newest, s.Problems)
			}
			if s.Last() {
				break
			}
		}
		if met != passed || passed == 0 {
			t.Errorf("newest first %v: %d messages passed, and %d met on the way back", newest, passed, met)
		}
	}
}

// TestLive tells of a live connection, with records that only its console has yet.
func TestLive(t *testing.T) {
	live := console.New(console.Config{Service: "demo"})
	o, err := instrument.New(instrument.WithNamespace("chat"), instrument.WithoutTracing(), instrument.WithLogger(slog.New(live.LogHandler(nil))))
	if err != nil {
		t.Fatal(err)
	}
	live.Observe(o)
	mux := http.NewServeMux()
	mux.Handle("/debug/realtime/", live)
	server := httptest.NewServer(mux)
	defer server.Close()
	_, h := o.BeginHandshake(t.Context(), instrument.Request{})
	conn := h.Opened(http.StatusSwitchingProtocols)
	conn.Received(instrument.MessageType{}, 7)

	tell := teller(t, newJaeger(t).URL, records{}, server.URL+"/debug/realtime/")
	s := tell.Tell(t.Context(), conn.ID(), Part{})
	if diff := gocmp.Diff([]string{"record connection opened", "unsampled 1"}, lines(s)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if s.Live == nil || *s.Totals != (Totals{Received: 1, ReceivedBytes: 7}) || s.Service != "demo" || len(s.Problems) > 0 {
		t.Errorf("the story is %+v", s)
	}
	conn.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal, Code: 1000})
	s = tell.Tell(t.Context(), conn.ID(), Part{})
	if diff := gocmp.Diff([]string{"record connection opened", "unsampled 1", "record connection closed"}, lines(s)); diff != "" {
		t.Errorf("events after the end (-want +got):\n%s", diff)
	}
	if s.Live != nil || s.Closed.IsZero() || s.Ending.Code != "1000" || s.Totals.ReceivedBytes != 7 {
		t.Errorf("after the end, the story is %+v", s)
	}
}

// TestProblems looks at what is left when the backends are away.
func TestProblems(t *testing.T) {
	away := httptest.NewServer(nil)
	away.Close()
	now := time.Now()
	logs := records{record(now.Add(-time.Minute), "connection opened")}
	s := teller(t, away.URL, logs, away.URL).Tell(t.Context(), id, Part{})
	if diff := gocmp.Diff([]string{"record connection opened"}, lines(s)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if len(s.Problems) != 2 || !strings.HasPrefix(s.Problems[0], "Spans are missing: ask Jaeger") || !strings.HasPrefix(s.Problems[1], "Live connections are missing") {
		t.Errorf("problems are %q", s.Problems)
	}
	s = teller(t, newJaeger(t, message(now.Add(-time.Minute), 1)...).URL, nil).Tell(t.Context(), id, Part{})
	if diff := gocmp.Diff([]string{"message websocket.message chat received 1 → INSERT"}, lines(s)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if len(s.Problems) != 1 || s.Problems[0] != "Log records are missing: no address of a log store is set" || s.Handshake.TraceID != handshake {
		t.Errorf("the story is %+v", s)
	}
}

func TestCheckID(t *testing.T) {
	for text, ok := range map[string]bool{
		id: true, url.PathEscape("a/b"): true, "\u202e": true,
		"": false, "\xff": false, strings.Repeat("x", maxID): true, strings.Repeat("x", maxID+1): false,
	} {
		if err := CheckID(text); (err == nil) != ok {
			t.Errorf("CheckID(%.20q) = %v", text, err)
		}
	}
}
