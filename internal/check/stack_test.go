package check

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/wire"
)

// Ids in the answers that were recorded from the real components. A stack replaces them by those of the conversation
// that it really had.
const (
	recordedTrace         = "4bf92f3577b34da6a3ce929d0e0e4736"
	recordedSpan          = "00f067aa0ba902b7"
	recordedHandshake     = "11111111111111111111111111111111"
	recordedHandshakeSpan = "2222222222222222"
	recordedSender        = "33333333333333333333333333333333"
	recordedSenderSpan    = "4444444444444444"
)

// A stack stands in for the components: real servers on loopback that give the recorded answers, filled with what the
// demo of the stack was told.
type stack struct {
	t      *testing.T
	config Config

	mu        sync.Mutex
	messages  []received
	unsampled int // so many messages are acknowledged without a trace
	counted   int // what the counters had before the demo's own messages

	// Faults, set before the stack is used.
	refuse  bool                        // the demo acknowledges with an error
	mute    bool                        // the demo acknowledges nothing
	frozen  bool                        // the counters do not count
	leaks   bool                        // the demo logs what was said
	noLogs  bool                        // no log store is running
	newLogs bool                        // it is VictoriaLogs that is running, not Loki
	handler map[string]http.HandlerFunc // a component's name → what serves in its place
	edit    map[string][]string         // a recording's name → texts to be replaced in it
	instead map[string]string           // a recording's name → the one given in its place
}

// received is a message that the demo handled.
type received struct {
	sender, span trace.SpanContext
	said         string
}

func newStack(t *testing.T, faults ...func(*stack)) *stack {
	s := &stack{t: t, handler: map[string]http.HandlerFunc{}, edit: map[string][]string{}, instead: map[string]string{}}
	for _, fault := range faults {
		fault(s)
	}
	serve := func(name string, h http.HandlerFunc) string {
		if s.handler[name] != nil {
			h = s.handler[name]
		}
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
	s.config = Config{
		Demo:       serve("demo", s.demo),
		Prometheus: serve("prometheus", s.prometheus),
		Jaeger:     serve("jaeger", s.jaeger),
		Desk:       serve("desk", s.desk),

		VictoriaLogs: "http://127.0.0.1:1", // nothing is there
		Loki:         serve("loki", s.loki),
		Timeout:      20 * time.Second,
	}
	if s.noLogs || s.newLogs {
		s.config.Loki = s.config.VictoriaLogs
	}
	if s.newLogs {
		s.config.VictoriaLogs = serve("victoria-logs", s.victoriaLogs)
	}
	return s
}

func (s *stack) demo(w http.ResponseWriter, r *http.Request) {
	const token = "issued"
	if r.Method == http.MethodPost && r.URL.Path == "/auth/token" {
		_ = json.NewEncoder(w).Encode(map[string]string{"token": token})
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+token {
		http.Error(w, "send a token", http.StatusUnauthorized)
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	welcome, _ := wire.New(wire.TypeWelcome, "", wire.WelcomePayload{Session: "s", Node: "n", User: "sockscope-check"})
	if wsjson.Write(r.Context(), conn, welcome) != nil {
		return
	}
	for {
		var env wire.Envelope
		if wsjson.Read(r.Context(), conn, &env) != nil {
			return
		}
		if env.Type != wire.TypeMessage || s.mute {
			continue
		}
		ack, err := wire.New(wire.TypeAck, env.MessageID, wire.AckPayload{Success: !s.refuse, Error: "server_full"})
		if err != nil {
			s.t.Error(err)
			return
		}
		ack.Traceparent = s.handled(&env)
		// Messages of others come in between.
		chatter, _ := wire.New(wire.TypeRoomUsers, "", wire.RoomUsersPayload{Room: "lobby"})
		if wsjson.Write(r.Context(), conn, chatter) != nil || wsjson.Write(r.Context(), conn, ack) != nil {
			return
		}
	}
}

// handled notes a message and returns the traceparent of its span.
func (s *stack) handled(env *wire.Envelope) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sender := propagation.TraceContext{}.Extract(s.t.Context(), env)
	var said wire.MessagePayload
	if err := json.Unmarshal(env.Payload, &said); err != nil {
		s.t.Error(err)
	}
	m := received{sender: trace.SpanContextFromContext(sender), said: said.Text}
	if len(s.messages) >= s.unsampled {
		m.span = newSpanContext()
	}
	s.messages = append(s.messages, m)
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(s.t.Context(), m.span), carrier)
	return carrier["traceparent"]
}

func (s *stack) prometheus(w http.ResponseWriter, r *http.Request) {
	now := toSeconds(time.Now().Add(time.Millisecond)) // the API has whole ones
	query := r.FormValue("query")
	if r.URL.Path == "/api/v1/query_exemplars" {
		s.exemplars(w)
		return
	}
	s.mu.Lock()
	count := s.counted
	if !s.frozen {
		count += len(s.messages)
	}
	s.mu.Unlock()
	switch {
	case strings.HasPrefix(query, "histogram_quantile") && strings.Contains(query, "_bucket"):
		s.answer(w, "prometheus-vector-classic.json")
	case strings.HasPrefix(query, "histogram_quantile"):
		s.answer(w, "prometheus-vector.json")
	case strings.HasPrefix(query, "websocket_active_connections"):
		s.answer(w, "prometheus-active.json", `1795315115.080,"688"`, now+`,"1"`)
	case count == 0:
		s.answer(w, "prometheus-empty.json") // no series yet
	default:
		name, _, _ := strings.Cut(query, "{")
		s.answer(w, "prometheus-matrix.json", "websocket_messages_total", name, `1795315115.080,"688"`, fmt.Sprintf(`%s,"%d"`, now, count))
	}
}

func (s *stack) exemplars(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if m.span.IsValid() {
			s.answer(w, "prometheus-exemplars.json", recordedTrace, m.span.TraceID().String(), recordedSpan, m.span.SpanID().String())
			return
		}
	}
	s.answer(w, "prometheus-no-exemplars.json")
}

func (s *stack) jaeger(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := strings.TrimPrefix(r.URL.Path, "/api/v3/traces/")
	if id == recordedHandshake {
		s.answer(w, "jaeger-handshake.json")
		return
	}
	for _, m := range s.messages {
		if m.span.TraceID().String() == id {
			s.answer(w, "jaeger-message.json", recordedTrace, id, recordedSpan, m.span.SpanID().String(),
				recordedSender, m.sender.TraceID().String(), recordedSenderSpan, m.sender.SpanID().String())
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
	s.answer(w, "jaeger-404.json")
}

func (s *stack) loki(w http.ResponseWriter, r *http.Request) {
	s.logged(w, r, `{service_name="sockscope-demo"} | trace_id="`, `"`, "loki-streams.json", "loki-empty.json")
}

func (s *stack) victoriaLogs(w http.ResponseWriter, r *http.Request) {
	s.logged(w, r, `{"service.name"="sockscope-demo"} trace_id:="`, `" | sort by (_time) limit 20`, "victoria-logs-records.json", "victoria-logs-empty.json")
}

// logged answers with the record of a message, if the query is for its trace.
func (s *stack) logged(w http.ResponseWriter, r *http.Request, before, after, found, empty string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if id := m.span.TraceID().String(); m.span.IsValid() && r.FormValue("query") == before+id+after {
			line := "message handled"
			if s.leaks {
				line = m.said
			}
			s.answer(w, found, recordedTrace, id, recordedSpan, m.span.SpanID().String(), "message handled", line)
			return
		}
	}
	s.answer(w, empty)
}

func (s *stack) desk(w http.ResponseWriter, _ *http.Request) {
	s.answer(w, "desk-inbox.json", "2026-11-22T02:40:00Z", time.Now().Format(time.RFC3339Nano))
}

// answer writes a recorded answer, with what a test replaces in it replaced first and the actual values after that.
func (s *stack) answer(w http.ResponseWriter, name string, replaced ...string) {
	if other := s.instead[name]; other != "" {
		name = other
	}
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		s.t.Error(err)
	}
	out := strings.NewReplacer(s.edit[name]...).Replace(string(text))
	_, _ = w.Write([]byte(strings.NewReplacer(replaced...).Replace(out)))
}

// The faults that tests give to a stack.

func broken(component string, h http.HandlerFunc) func(*stack) {
	return func(s *stack) { s.handler[component] = h }
}

func inVictoriaLogs(s *stack) { s.newLogs = true }

func both(a, b func(*stack)) func(*stack) {
	return func(s *stack) {
		a(s)
		b(s)
	}
}

func edited(recording string, replaced ...string) func(*stack) {
	return func(s *stack) { s.edit[recording] = replaced }
}

func swapped(recording, other string) func(*stack) {
	return func(s *stack) { s.instead[recording] = other }
}

func hangs(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then a client that leaves is noticed
	select {
	case <-r.Context().Done():
	case <-time.After(30 * time.Second):
	}
}

func saysNonsense(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte("<html>\x1b[31mnot what you think</html>"))
}

func failsInside(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusInternalServerError)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": "out of memory"})
}
