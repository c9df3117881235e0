package lint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockscope/sockscope/internal/backend"
	"github.com/sockscope/sockscope/internal/logstore"
)

const (
	handshakeTrace = "11111111111111111111111111111111"
	messageTrace   = "22222222222222222222222222222222"
	closeTrace     = "33333333333333333333333333333333"
	connectionID   = "6f1ed002-ab5d-4c12-9b1e-8d3d2e0a4b11"
)

// storedSpan is a span as Jaeger's HTTP API has it.
type storedSpan struct {
	trace, id, name, kind string
	lasted                time.Duration
	link                  string // the trace that it links to
	tags                  map[string]string
}

// jaeger answers with spans of the service chat, each a trace of its own.
func jaeger(t *testing.T, spans []storedSpan) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/services", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"data":["chat"]}`)) })
	mux.HandleFunc("GET /api/traces", func(w http.ResponseWriter, r *http.Request) {
		var traces []map[string]any
		for _, s := range spans {
			if operation := r.FormValue("operation"); operation != "" && operation != s.name {
				continue
			}
			tags := []map[string]string{{"key": "span.kind", "value": s.kind}}
			for key, value := range s.tags {
				tags = append(tags, map[string]string{"key": key, "value": value})
			}
			references := []map[string]string{}
			if s.link != "" {
				references = append(references, map[string]string{"refType": "FOLLOWS_FROM", "traceID": s.link, "spanID": "00000000000000aa"})
			}
			traces = append(traces, map[string]any{
				"traceID": s.trace, "processes": map[string]any{"p": map[string]string{"serviceName": "chat"}},
				"spans": []map[string]any{{
					"traceID": s.trace, "spanID": s.id, "operationName": s.name, "references": references, "processID": "p", "tags": tags,
					"startTime": time.Now().Add(-time.Minute).UnixMicro(), "duration": s.lasted.Microseconds(),
				}},
			})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": traces})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// records is a log store in memory.
type records []logstore.Record

func (records) Name() string                 { return "memory" }
func (records) URL(logstore.Query) string    { return "" }
func (records) Native(logstore.Query) string { return "" }

func (r records) Records(_ context.Context, q logstore.Query) ([]logstore.Record, error) {
	var found []logstore.Record
	for _, one := range r {
		of := slices.ContainsFunc(one.Fields, func(f logstore.Field) bool { return f.Key == "connection_id" && f.Value == q.ConnectionID })
		if (q.Service == "" || q.Service == one.Service) && (q.ConnectionID == "" || of) {
			found = append(found, one)
		}
	}
	return found, nil
}

func (records) Histogram(context.Context, logstore.Query, time.Duration) ([]logstore.Bucket, error) {
	return nil, nil
}

func (records) Ask(context.Context, string, time.Time, time.Time, int) ([]logstore.Record, error) {
	return nil, errors.New("not asked")
}

func (records) Count(context.Context, string, time.Time, time.Time, time.Duration) ([]logstore.Series, error) {
	return nil, errors.New("not asked")
}

// away is a log store that does not run.
type away struct{ records }

func (away) Records(context.Context, logstore.Query) ([]logstore.Record, error) {
	return nil, fmt.Errorf("ask: %w", backend.ErrNotRunning)
}

func goodSpans() []storedSpan {
	of := func(more ...string) map[string]string {
		tags := map[string]string{"connection.id": connectionID}
		for i := 0; i+1 < len(more); i += 2 {
			tags[more[i]] = more[i+1]
		}
		return tags
	}
	return []storedSpan{
		{handshakeTrace, "00000000000000aa", "websocket.handshake", "server", time.Millisecond, "", of("http.request.method", "GET", "http.response.status_code", "101",
			"network.protocol.name", "websocket", "server.address", "chat", "server.port", "80", "url.path", "/ws", "websocket.namespace", "chat")},
		{messageTrace, "00000000000000bb", "websocket.message chat", "consumer", time.Millisecond, handshakeTrace, of("websocket.message.type", "chat", "websocket.message.size", "9", "websocket.message.number", "1")},
		{closeTrace, "00000000000000cc", "websocket.close", "internal", time.Millisecond, handshakeTrace, of("websocket.close.code", "1000", "websocket.close.reason", "normal", "websocket.close.initiator", "remote",
			"websocket.duration", "5", "websocket.received.messages", "1", "websocket.received.bytes", "9", "websocket.sent.messages", "1", "websocket.sent.bytes", "9")},
	}
}

func goodRecords() records {
	record := func(message, trace string, fields ...string) logstore.Record {
		r := logstore.Record{Time: time.Now().Add(-time.Minute), Service: "chat", Level: "info", Message: message, TraceID: trace, SpanID: "00000000000000aa"}
		for i := 0; i+1 < len(fields); i += 2 {
			r.Fields = append(r.Fields, logstore.Field{Key: fields[i], Value: fields[i+1]})
		}
		return r
	}
	return records{
		record("connection opened", handshakeTrace, "connection_id", connectionID, "namespace", "chat"),
		record("connection closed", closeTrace, "connection_id", connectionID, "namespace", "chat", "reason", "normal", "initiator", "remote", "duration_seconds", "5",
			"received_messages", "1", "received_bytes", "9", "sent_messages", "1", "sent_bytes", "9"),
	}
}

func TestStack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(spans *[]storedSpan, r *records)
		want   []string // findings: severity, subject and a part of the problem or what mends it
		silent []string // pages
	}{
		{name: "good"},
		{"nothing", func(spans *[]storedSpan, r *records) { *spans, *r = nil, nil },
			[]string{"error log records of the last hour are not there", "error spans of the last hour are not there"},
			[]string{"Traces: traces", "Traces: log records of a trace", "Logs: log records", "Connection: its story"}},
		{"no connection ids", func(spans *[]storedSpan, r *records) {
			for _, s := range *spans {
				delete(s.tags, "connection.id")
			}
			for i := range *r {
				(*r)[i].Fields = (*r)[i].Fields[1:]
			}
		}, []string{
			"error connection closed has no field connection_id", "error connection opened has no field connection_id",
			"error websocket.close has no attribute connection.id", "error websocket.handshake has no attribute connection.id", "error websocket.message has no attribute connection.id",
		}, []string{"Connection: its story"}},
		{"other names of spans", func(spans *[]storedSpan, _ *records) {
			(*spans)[0].name, (*spans)[1].name = "ws.handshakes", "websocket.messages"
		}, []string{
			"error websocket.handshake is no span of the last hour", "error websocket.messages call it websocket.message {type}", "error ws.handshakes call it websocket.handshake",
			"warning websocket.message is no span",
		}, []string{"Connection: its messages"}},
		{"another kind", func(spans *[]storedSpan, _ *records) { (*spans)[0].kind = "client" }, []string{"error websocket.handshake is of the kind client"}, nil},
		{"no link", func(spans *[]storedSpan, _ *records) { (*spans)[1].link = "" }, []string{"warning websocket.message has no link"}, nil},
		{"a span for the connection", func(spans *[]storedSpan, _ *records) {
			*spans = append(*spans, storedSpan{"44444444444444444444444444444444", "00000000000000dd", "session", "server", time.Hour, "", nil})
		}, []string{"warning session lasts as long as a connection"}, nil},
		{"ids in names", func(spans *[]storedSpan, _ *records) {
			*spans = append(*spans, storedSpan{"44444444444444444444444444444444", "00000000000000dd", "save user/482136", "internal", 0, "", nil})
		}, []string{"error spans have ids in their names"}, nil},
		{"no traces in records", func(_ *[]storedSpan, r *records) {
			for i := range *r {
				(*r)[i].TraceID = ""
			}
		}, []string{"error log records have no trace_id"}, []string{"Traces: log records of a trace"}},
		{"no levels", func(_ *[]storedSpan, r *records) { (*r)[0].Level = "30" }, []string{"error log records have no level that is known: 30"}, nil},
		{"another message", func(_ *[]storedSpan, r *records) { (*r)[0].Message = "Connection Open" },
			[]string{`warning connection opened and not "Connection Open"`}, nil},
		{"no reason", func(spans *[]storedSpan, r *records) {
			delete((*spans)[2].tags, "websocket.close.reason")
			(*r)[1].Fields = slices.DeleteFunc((*r)[1].Fields, func(f logstore.Field) bool { return f.Key == "reason" })
		}, nil, []string{"Connection: how it ended"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spans, stored := goodSpans(), goodRecords()
			if tt.change != nil {
				tt.change(&spans, &stored)
			}
			l, err := New(Config{
				Timeout: 30 * time.Second, HTTP: &http.Transport{DisableKeepAlives: true},
				Jaeger: jaeger(t, spans), Logs: []logstore.Store{away{}, stored},
			})
			if err != nil {
				t.Fatal(err)
			}
			r := l.Stack(t.Context(), "chat")
			if r.Problem != "" {
				t.Fatal(r.Problem)
			}
			got := serious(r)
			if len(got) != len(tt.want) {
				t.Fatalf("got %d findings, want %d:\n%s", len(got), len(tt.want), strings.Join(got, "\n"))
			}
			for i, want := range tt.want {
				severity, part, _ := strings.Cut(want, " ")
				if !strings.HasPrefix(got[i], severity+" ") || !containsInOrder(got[i], part) {
					t.Errorf("got %s\nwant %s", got[i], want)
				}
			}
			var silent []string
			for _, c := range r.Silent {
				silent = append(silent, c.Name)
			}
			if !slices.Equal(silent, tt.silent) {
				t.Errorf("silent are %q, want %q", silent, tt.silent)
			}
		})
	}
}

// containsInOrder reports whether the text has a subject, and after it the rest.
func containsInOrder(text, want string) bool {
	for i := len(want); i > 0; i = strings.LastIndexByte(want[:i], ' ') {
		subject, rest := want[:i], strings.TrimSpace(want[i:])
		if at := strings.Index(text, " "+subject+" "); at >= 0 && strings.Contains(text[at:], rest) {
			return true
		}
	}
	return false
}

func TestStackUnread(t *testing.T) {
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer gone.Close()
	for _, tt := range []struct {
		name, jaeger string
		logs         logstore.Store
		want         string
	}{
		{"no log store", "", away{}, "it is not running"},
		{"Jaeger fails", gone.URL, goodRecords(), "502 Bad Gateway"},
		{"the log store fails", jaeger(t, nil), failing{}, "disk full"},
	} {
		l, err := New(Config{Timeout: 10 * time.Second, HTTP: &http.Transport{DisableKeepAlives: true}, Jaeger: tt.jaeger, Logs: []logstore.Store{tt.logs}})
		if err != nil {
			t.Fatal(err)
		}
		if r := l.Stack(t.Context(), "chat"); !strings.Contains(r.Problem, tt.want) {
			t.Errorf("%s: the problem is %q, want %q", tt.name, r.Problem, tt.want)
		}
	}
}

// failing is a log store that answers with an error.
type failing struct{ records }

func (failing) Records(context.Context, logstore.Query) ([]logstore.Record, error) {
	return nil, errors.New("disk full")
}
