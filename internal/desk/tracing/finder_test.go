package tracing

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/internal/logstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backends are servers on loopback that answer as the real ones did.
type backends struct {
	jaeger, loki *httptest.Server
	queries      chan map[string]string // what Loki was asked
}

func start(t *testing.T) *backends {
	t.Helper()
	b := &backends{queries: make(chan map[string]string, 10)}
	jaeger := http.NewServeMux()
	jaeger.HandleFunc("GET /api/v3/traces/{id}", func(w http.ResponseWriter, r *http.Request) {
		switch r.PathValue("id") {
		case messageID:
			_, _ = w.Write(fixture(t, "jaeger-trace.json"))
		case handshakeID:
			_, _ = w.Write(fixture(t, "jaeger-handshake.json"))
		default:
			http.Error(w, `{"error":{"httpCode":404,"message":"No traces found"}}`, http.StatusNotFound)
		}
	})
	jaeger.HandleFunc("GET /api/services", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"data":["sockscope-demo","store"]}`))
	})
	jaeger.HandleFunc("GET /api/traces", func(w http.ResponseWriter, r *http.Request) {
		tags := r.URL.Query().Get("tags")
		if tags != "" && tags != `{"connection.id":"5f0c2d1e-7777-4d31-9ad3-000000000042"}` {
			http.Error(w, "unexpected tags "+tags, http.StatusBadRequest)
			return
		}
		_, _ = w.Write(fixture(t, "jaeger-search.json"))
	})
	loki := http.NewServeMux()
	loki.HandleFunc("GET /loki/api/v1/query_range", func(w http.ResponseWriter, r *http.Request) {
		asked := map[string]string{}
		for k := range r.URL.Query() {
			asked[k] = r.URL.Query().Get(k)
		}
		b.queries <- asked
		_, _ = w.Write(fixture(t, "loki-records.json"))
	})
	b.jaeger, b.loki = httptest.NewServer(jaeger), httptest.NewServer(loki)
	t.Cleanup(b.jaeger.Close)
	t.Cleanup(b.loki.Close)
	return b
}

func finder(t *testing.T, jaeger, loki string) *Finder {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	if loki == "" {
		return NewFinder(jaeger, nil, transport)
	}
	return NewFinder(jaeger, logstore.Loki(loki, transport), transport)
}

func TestFind(t *testing.T) {
	b := start(t)
	v := finder(t, b.jaeger.URL+"/", b.loki.URL).Find(t.Context(), messageID)
	if len(v.Spans) != 5 || v.Unknown || v.SpansProblem != "" || v.LogsProblem != "" {
		t.Errorf("view = %+v, want 5 spans and no problem", v)
	}
	if len(v.Linked) != 1 || v.Linked[0].ID != handshakeID || !v.Linked[0].Inline() || !cmp.Equal(v.Linked[0].From, []string{"websocket.message message"}) {
		t.Errorf("linked = %+v, want the handshake with its span", v.Linked)
	}
	if len(v.Session) != 0 {
		t.Errorf("session = %+v, want nothing that is shown as linked already", v.Session)
	}
	if len(v.Records) != 3 {
		t.Fatalf("%d records, want 3", len(v.Records))
	}
	want := logstore.Record{
		Time: time.Unix(0, 1795315449695919905).UTC(), Level: "error", Service: "sockscope-demo", Message: "message failed",
		TraceID: messageID, SpanID: v.Records[0].SpanID,
		Fields: []logstore.Field{{Key: "connection_id", Value: "5f0c2d1e-7777-4d31-9ad3-000000000042"}, {Key: "error", Value: "store: timeout"}, {Key: "namespace", Value: "chat"}},
	}
	if diff := cmp.Diff(want, v.Records[0]); diff != "" {
		t.Errorf("first record (-want +got):\n%s", diff)
	}

	asked := <-b.queries
	if want := `{service_name=~".+"} | trace_id="` + messageID + `"`; asked["query"] != want {
		t.Errorf("Loki was asked %s, want %s", asked["query"], want)
	}
	first, last := v.Range()
	if from, to := nanoseconds(t, asked["start"]), nanoseconds(t, asked["end"]); !from.Equal(first.Add(-aroundSpans)) || !to.Equal(last.Add(aroundSpans)) {
		t.Errorf("Loki was asked from %v to %v, want around the spans from %v to %v", from, to, first, last)
	}
}

func nanoseconds(t *testing.T, s string) time.Time {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(0, n)
}

func TestFindLinkingTraces(t *testing.T) {
	b := start(t)
	v := finder(t, b.jaeger.URL, b.loki.URL).Find(t.Context(), handshakeID)
	want := []Found{{
		TraceID: messageID, Name: "websocket.message message", Service: "sockscope-demo",
		Start: time.UnixMicro(1795315449661919).UTC(), Duration: 48 * time.Millisecond, Spans: 5, Failed: true,
	}}
	for i := range v.Linking {
		v.Linking[i].LinksTo = nil
	}
	if diff := cmp.Diff(want, v.Linking); diff != "" {
		t.Errorf("traces that link to the handshake (-want +got):\n%s", diff)
	}
}

func TestUnknownTrace(t *testing.T) {
	b := start(t)
	v := finder(t, b.jaeger.URL, b.loki.URL).Find(t.Context(), strings.Repeat("ab", 16))
	if !v.Unknown || v.SpansProblem != "" || len(v.Records) != 3 {
		t.Errorf("view = %+v, want an unknown trace with records", v)
	}
	asked := <-b.queries
	from, to := nanoseconds(t, asked["start"]), nanoseconds(t, asked["end"])
	if time.Since(to) > time.Minute || to.Sub(from) != recently {
		t.Errorf("Loki was asked from %v to %v, want the last %v", from, to, recently)
	}
	text, err := json.Marshal(v)
	if err != nil || strings.Contains(string(text), "null") {
		t.Errorf("JSON = %s, %v; want empty lists instead of null", text, err)
	}
}

// TestDeadBackends looks what is left when one of the backends, or both, are away, answer rubbish, or hang.
func TestDeadBackends(t *testing.T) {
	b := start(t)
	away := httptest.NewServer(nil)
	away.Close()
	rubbish := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	defer rubbish.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "too many outstanding requests", http.StatusTooManyRequests)
	}))
	defer broken.Close()
	tests := []struct {
		name, jaeger, loki string
		spans, records     int
		spansProblem       string
		logsProblem        string
	}{
		{"no Jaeger", away.URL, b.loki.URL, 0, 3, "ask Jaeger at " + away.URL + ": connection refused", ""},
		{"no Loki", b.jaeger.URL, away.URL, 5, 0, "", "ask Loki at " + away.URL + ": connection refused"},
		{"neither", away.URL, away.URL, 0, 0, "connection refused", "connection refused"},
		{"not set", "", "", 0, 0, "no address of Jaeger is set", "no address of a log store is set"},
		{"rubbish", rubbish.URL, rubbish.URL, 0, 0, "not OTLP JSON", "invalid character"},
		{"refusing", broken.URL, broken.URL, 0, 0, "429 Too Many Requests: too many outstanding", "429 Too Many Requests: too many outstanding"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := finder(t, test.jaeger, test.loki).Find(t.Context(), messageID)
			if len(v.Spans) != test.spans || len(v.Records) != test.records || v.Unknown {
				t.Errorf("%d spans and %d records, unknown %v; want %d and %d", len(v.Spans), len(v.Records), v.Unknown, test.spans, test.records)
			}
			if !strings.Contains(v.SpansProblem, test.spansProblem) || !strings.Contains(v.LogsProblem, test.logsProblem) ||
				(v.SpansProblem == "") != (test.spansProblem == "") || (v.LogsProblem == "") != (test.logsProblem == "") {
				t.Errorf("problems %q and %q, want %q and %q", v.SpansProblem, v.LogsProblem, test.spansProblem, test.logsProblem)
			}
		})
	}
}

func TestHangingBackend(t *testing.T) {
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer hanging.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	v := finder(t, hanging.URL, hanging.URL).Find(ctx, messageID)
	if v.SpansProblem == "" || v.LogsProblem == "" {
		t.Errorf("problems %q and %q, want both", v.SpansProblem, v.LogsProblem)
	}
}

func TestOfConnection(t *testing.T) {
	b := start(t)
	end := time.UnixMicro(1795315449661919).Add(time.Minute)
	for _, newest := range []bool{false, true} {
		w, err := finder(t, b.jaeger.URL, "").OfConnection(t.Context(), "5f0c2d1e-7777-4d31-9ad3-000000000042", end.Add(-time.Hour), end, newest)
		if err != nil || w.Incomplete || w.Problem != "" || !w.Start.Equal(end.Add(-time.Hour)) || !w.End.Equal(end) {
			t.Fatalf("window from %v to %v, incomplete %v, problem %q, %v", w.Start, w.End, w.Incomplete, w.Problem, err)
		}
		if len(w.Traces) != 2 || w.Traces[0].ID != messageID || w.Traces[1].ID != handshakeID {
			t.Fatalf("traces = %+v, want the message's and the handshake's, each once", w.Traces)
		}
		for _, span := range w.Traces[0].Spans {
			if span.Name == "websocket.message message" {
				if span.Kind != "consumer" || !span.Failed() || span.Duration() != 48*time.Millisecond || span.Attribute("websocket.message.type") != "message" ||
					!cmp.Equal(span.Links, []Link{{TraceID: handshakeID, SpanID: "30cff0de4846df43"}}) {
					t.Errorf("the message's span is %+v", span)
				}
			}
		}
	}
	away := httptest.NewServer(nil)
	away.Close()
	if _, err := finder(t, away.URL, "").OfConnection(t.Context(), "x", end, end, false); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error = %v, want that Jaeger is not running", err)
	}
}

func FuzzSearchAnswer(f *testing.F) {
	f.Add(fixture(f, "jaeger-search.json"))
	f.Add([]byte(`{"data":[{"traceID":"1","spans":[{"references":[{"traceID":"` + messageID + `"}]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var answer jaegerAnswer
		if json.Unmarshal(data, &answer) != nil {
			return
		}
		for _, trace := range answer.Data {
			if whole, ok := trace.trace(); ok {
				Waterfall(whole)
				for _, span := range whole.Spans {
					if span.TraceID != whole.ID || len(span.Links) > maxLinks || len(span.Attributes) > maxAttributes || span.End.Before(span.Start) {
						t.Errorf("found the span %+v", span)
					}
				}
			}
			found, ok := trace.found()
			if !ok {
				continue
			}
			var r Result
			r.add(Search{Failed: true, Attributes: []Attribute{{"a", "b"}}}, trace)
			question{}.cut([]jaegerTrace{trace})
			if id, err := ParseID(found.TraceID); err != nil || id != found.TraceID {
				t.Errorf("found the trace id %q", found.TraceID)
			}
			for _, l := range found.LinksTo {
				if _, err := ParseID(l.TraceID); err != nil {
					t.Errorf("found a link to %q", l.TraceID)
				}
			}
		}
	})
}

func TestLinksToWhatIsMissing(t *testing.T) {
	links := func(ids ...string) []Span {
		var span Span
		for _, id := range ids {
			span.Links = append(span.Links, Link{TraceID: id})
		}
		return []Span{span}
	}
	view := View{
		Trace: Trace{ID: "a", Spans: links("there", "missing", "beyond the limit")},
		Linked: []Linked{
			{Trace: Trace{ID: "there", Spans: links("a", "missing", "nobody looked for it")}},
			{Trace: Trace{ID: "missing"}, Problem: "not stored"},
		},
	}
	view.markMissing()
	missing := func(spans []Span) (ids []string) {
		for _, link := range spans[0].Links {
			if link.Missing {
				ids = append(ids, link.TraceID)
			}
		}
		return ids
	}
	if got, want := missing(view.Spans), []string{"missing"}; !cmp.Equal(got, want) {
		t.Errorf("marked in the trace are %q, want %q", got, want)
	}
	if got, want := missing(view.Linked[0].Spans), []string{"missing", "nobody looked for it"}; !cmp.Equal(got, want) {
		t.Errorf("marked in the linked trace are %q, want %q", got, want)
	}
}
