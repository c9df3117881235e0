package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/browser"
	"github.com/sockscope/sockscope/instrument/carrier"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// step is what a server does to a client. The client asks for the steps in the query, so a test says what it wants.
type step struct {
	Text  string // sends it
	Huge  int    // sends a message of so many bytes
	Close int    // closes with that code
	Cut   bool   // breaks the connection
	Event string // sends it as a part of an event stream, as it stands
}

// server misbehaves on request.
type server struct {
	*httptest.Server
	spans *tracetest.SpanRecorder

	mu     sync.Mutex
	traces map[string][]json.RawMessage // bodies of exports, by who has sent them
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{spans: tracetest.NewSpanRecorder(), traces: make(map[string][]json.RawMessage)}
	observer, err := instrument.New(
		instrument.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s.spans))),
		instrument.WithSampleRatio(1), instrument.WithMessageTypes("chat"),
	)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", s.serveSocket)
	mux.HandleFunc("GET /refused", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.Handle("GET /observed", browser.Headers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveObserved(w, r, observer) })))
	mux.Handle("GET /events", browser.Headers(http.HandlerFunc(serveEvents)))
	mux.HandleFunc("GET /feed", serveFeed)
	mux.HandleFunc("GET /api/stock", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"seq": 7, "items": {"tea": 8, "coffee": 5}}`)
	})
	mux.HandleFunc("GET /spans", s.serveSpans)
	mux.HandleFunc("POST /v1/traces", s.takeTraces)
	mux.HandleFunc("GET /v1/traces", s.serveTraces)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func stepsOf(r *http.Request) (steps []step) {
	_ = json.Unmarshal([]byte(r.URL.Query().Get("steps")), &steps) // none if it can't be read
	return steps
}

// serveSocket does the steps and then answers pings, and sends back what else it receives.
func (s *server) serveSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	ctx := r.Context()
	for _, step := range stepsOf(r) {
		switch {
		case step.Cut:
			return
		case step.Close != 0:
			_ = conn.Close(websocket.StatusCode(step.Close), "as asked") // the client may be gone
			return
		case step.Huge != 0:
			err = conn.Write(ctx, websocket.MessageText, []byte(strings.Repeat("x", step.Huge)))
		default:
			err = conn.Write(ctx, websocket.MessageText, []byte(step.Text))
		}
		if err != nil {
			return
		}
	}
	for {
		typ, data, err := conn.Read(ctx)
		if err != nil {
			return
		}
		if r.URL.Query().Has("mute") {
			continue
		}
		if err := conn.Write(ctx, typ, data); err != nil {
			return
		}
	}
}

// serveFeed is the server of the guide's example.
func serveFeed(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		_, data, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		var asked struct {
			Op string
			ID int
		}
		if err := json.Unmarshal(data, &asked); err != nil {
			return
		}
		answers := []string{fmt.Sprintf(`{"op":"pong","id":%d}`, asked.ID)}
		if asked.Op == "subscribe" {
			answers = []string{
				`{"op":"stock","seq":7,"at":"2026-01-02T15:04:05Z","item":"tea","left":8}`,
				`{"op":"stock","seq":8,"at":"2026-01-02T15:04:05Z","item":"coffee","left":5}`,
				`{"op":"stock","seq":9,"at":"2026-01-02T15:04:05Z","item":"tea","left":7}`,
			}
		}
		for _, answer := range answers {
			if err := conn.Write(r.Context(), websocket.MessageText, []byte(answer)); err != nil {
				return
			}
		}
	}
}

// serveObserved handles messages as an observed service does, and sends them back.
func serveObserved(w http.ResponseWriter, r *http.Request, observer *instrument.Observer) {
	conn, err := coder.Accept(w, r, observer, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	chat := observer.MessageType("chat")
	ctx := conn.Observed().Context(r.Context())
	for {
		typ, data, err := conn.Read(ctx)
		if err != nil {
			return
		}
		var envelope carrier.JSON
		envelope.Reset(data)
		if err := conn.Observed().Handle(ctx, chat, len(data), &envelope, func(ctx context.Context) error {
			return conn.Write(ctx, typ, data)
		}); err != nil {
			return
		}
	}
}

// serveEvents sends what the client has said in headers, and then the steps.
func serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	head, err := json.Marshal(map[string]string{"traceparent": r.Header.Get("Traceparent"), "after": r.Header.Get("Last-Event-Id")})
	if err != nil {
		return
	}
	_, _ = fmt.Fprintf(w, "event: head\ndata: %s\n\n", head)
	for _, step := range stepsOf(r) {
		if step.Cut {
			return
		}
		_, _ = io.WriteString(w, step.Event)
	}
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// serveSpans tells which spans the observed service has made.
func (s *server) serveSpans(w http.ResponseWriter, _ *http.Request) {
	type span struct {
		Name, TraceID string
		Attributes    map[attribute.Key]any
		Links         []string
	}
	all := []span{}
	for _, ended := range s.spans.Ended() {
		made := span{Name: ended.Name(), TraceID: ended.SpanContext().TraceID().String(), Attributes: map[attribute.Key]any{}}
		for _, a := range ended.Attributes() {
			made.Attributes[a.Key] = a.Value.AsInterface()
		}
		for _, l := range ended.Links() {
			made.Links = append(made.Links, l.SpanContext.TraceID().String())
		}
		all = append(all, made)
	}
	_ = json.NewEncoder(w).Encode(all) // the client may be gone
}

// takeTraces takes an export, or refuses it with the status that the client asks for.
func (s *server) takeTraces(w http.ResponseWriter, r *http.Request) {
	var body json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	query := r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	from := query.Get("from")
	s.traces[from] = append(s.traces[from], body)
	if status := query.Get("status"); status != "" && len(s.traces[from]) == 1 { // the first one only
		var code int
		_, _ = fmt.Sscan(status, &code)
		w.WriteHeader(code)
		return
	}
	_, _ = io.WriteString(w, query.Get("answer"))
}

func (s *server) serveTraces(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(s.traces[r.URL.Query().Get("from")]) // the client may be gone
}
