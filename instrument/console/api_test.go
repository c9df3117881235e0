package console

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sockscope/sockscope/instrument"
)

func TestAccess(t *testing.T) {
	for name, tt := range map[string]struct {
		remote, host string
		header       string
		open         bool
		want         int
	}{
		"this machine":                      {"127.0.0.1:1", "localhost:8080", "", false, 200},
		"this machine, IPv6":                {"[::1]:1", "[::1]:8080", "", false, 200},
		"elsewhere":                         {"192.0.2.7:1", "localhost", "", false, 403},
		"elsewhere, allowed":                {"192.0.2.7:1", "app.example.com", "", true, 200},
		"by a proxy":                        {"127.0.0.1:1", "localhost", "X-Forwarded-For", false, 403},
		"by a proxy, allowed":               {"127.0.0.1:1", "localhost", "X-Forwarded-For", true, 200},
		"by another proxy":                  {"127.0.0.1:1", "localhost", "Forwarded", false, 403},
		"a name that was made to mean here": {"127.0.0.1:1", "rebound.example.com", "", false, 403},
		"no address":                        {"@", "localhost", "", false, 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/debug/realtime/", nil)
			r.RemoteAddr, r.Host = tt.remote, tt.host
			if tt.header != "" {
				r.Header.Set(tt.header, "127.0.0.1")
			}
			w := httptest.NewRecorder()
			New(Config{AllowRemote: tt.open}).ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d: %s", w.Code, tt.want, w.Body)
			}
		})
	}
}

// get asks the console as somebody on this machine.
func get(h http.Handler, method, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:1", "127.0.0.1:8080"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestLinks gives addresses for links, of which one tries to be more than that.
func TestLinks(t *testing.T) {
	c := New(Config{TraceURL: "http://desk/trace/", StoryURL: `http://desk/c/?a&"><script>`})
	const want = `<body data-trace-url="http://desk/trace/" data-story-url="http://desk/c/?a&amp;&#34;&gt;&lt;script&gt;" data-allow-close="false">`
	if w := get(c, http.MethodGet, "/"); !strings.Contains(w.Body.String(), want) {
		t.Errorf("no %s in\n%s", want, w.Body)
	}
}

// TestPaths asks for everything where consoles are mounted.
func TestPaths(t *testing.T) {
	s := newService(t)
	conn := s.open(t)
	mux := http.NewServeMux()
	mux.Handle("/debug/realtime/", s.console)
	mux.Handle("/stripped/", http.StripPrefix("/stripped", s.console))
	mux.Handle("/api/v1/console/", s.console)
	for _, mount := range []string{"/debug/realtime/", "/stripped/", "/api/v1/console/"} {
		for path, want := range map[string]struct {
			status int
			kind   string
		}{
			"":                                    {200, "text/html"},
			"console.js":                          {200, "text/javascript"},
			"chart.js":                            {200, "text/javascript"},
			"plot.js":                             {200, "text/javascript"},
			"raster.js":                           {200, "text/javascript"},
			"scale.js":                            {200, "text/javascript"},
			"pointer.js":                          {200, "text/javascript"},
			"console.css":                         {200, "text/css"},
			"icon.svg":                            {200, "image/svg+xml"},
			"missing.js":                          {404, ""},
			"..%2fapi.go":                         {404, ""},
			"api/v1/connections":                  {200, "application/json"},
			"api/v1/connections?limit=0":          {400, ""},
			"api/v1/connections?sort=worst":       {400, ""},
			"api/v1/connections/" + conn.ID():     {200, "application/json"},
			"api/v1/connections/unknown":          {404, ""},
			"api/v1/series":                       {200, "application/json"},
			"api/v1/series?since=yesterday":       {400, ""},
			"api/v1/records":                      {200, "application/json"},
			"api/v1/records?kind=opened":          {200, "application/json"},
			"api/v1/records?kind=strange":         {400, ""},
			"api/v1/traces":                       {200, "application/json"},
			"api/v1/findings":                     {200, "application/json"},
			"api/v1/other":                        {404, ""},
			"api/v1/connections?q=%00%ff&limit=1": {200, "application/json"},
		} {
			if mount == "/api/v1/console/" && !strings.HasPrefix(path, "api/") {
				continue // what looks like the API is the API
			}
			w := get(mux, http.MethodGet, mount+path)
			if w.Code != want.status || want.kind != "" && !strings.HasPrefix(w.Header().Get("Content-Type"), want.kind) {
				t.Errorf("%s%s: %d %s", mount, path, w.Code, w.Header().Get("Content-Type"))
			}
			if !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") && w.Code != http.StatusMovedPermanently {
				t.Errorf("%s%s: no policy", mount, path)
			}
		}
	}
	if w := get(s.console, http.MethodPost, "/api/v1/connections"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestAllowClose(t *testing.T) {
	s := newService(t)
	closed := make(chan struct{})
	conn, stubborn := s.open(t), s.open(t)
	conn.OnDrain(func() {
		conn.Closed(instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: instrument.ReasonShutdown})
		close(closed)
	})
	post := func(c *Console, path, site string) int {
		r := httptest.NewRequest(http.MethodPost, "/debug"+path, nil)
		r.RemoteAddr, r.Host = "127.0.0.1:1234", "localhost:8080"
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		return w.Code
	}
	target := "/api/v1/connections/" + conn.ID() + "/close"
	allows := New(Config{AllowClose: true})
	allows.Observe(s.Observer)
	for _, tt := range []struct {
		name    string
		console *Console
		path    string
		site    string
		want    int
	}{
		{"the default is read-only", s.console, target, "same-origin", http.StatusMethodNotAllowed},
		{"a page elsewhere asks", allows, target, "cross-site", http.StatusForbidden},
		{"no such connection", allows, "/api/v1/connections/0/close", "same-origin", http.StatusNotFound},
		{"not a connection", allows, "/api/v1/connections", "same-origin", http.StatusNotFound},
		{"its transport can't", allows, "/api/v1/connections/" + stubborn.ID() + "/close", "same-origin", http.StatusConflict},
		{"it closes", allows, target, "same-origin", http.StatusAccepted},
	} {
		if got := post(tt.console, tt.path, tt.site); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	<-closed
	if got := post(allows, target, "same-origin"); got != http.StatusNotFound {
		t.Errorf("a closed one: %d, want 404", got)
	}
}

func decode[T any](t *testing.T, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v in %d %s", err, w.Code, w.Body)
	}
	return v
}

// TestStory follows a connection from its opening to after its end.
func TestStory(t *testing.T) {
	live := New(Config{Service: "chat"})
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(live.SpanProcessor()))
	o, err := instrument.New(instrument.WithTracerProvider(provider), instrument.WithSampleRatio(1), instrument.WithMessageTypes("say"))
	if err != nil {
		t.Fatal(err)
	}
	live.Observe(o)
	s := &service{o, live, o.MessageType("say")}

	conn := s.open(t)
	_ = conn.Handle(conn.Context(t.Context()), s.say, 7, nil, fails)
	story := decode[Story](t, get(live, http.MethodGet, "/api/v1/connections/"+conn.ID()))
	if story.Connection == nil || story.Connection.ReceivedBytes != 7 || len(story.Spans) != 2 {
		t.Fatalf("story is %+v", story)
	}
	if message := story.Spans[0]; message.Name != "websocket.message say" || !message.Failed || message.Error != "no such room" {
		t.Errorf("the newest span is %+v", message)
	}
	traces := decode[Traces](t, get(live, http.MethodGet, "/api/v1/traces")).Traces
	if len(traces) != 1 || traces[0].ID != story.Spans[0].TraceID || len(traces[0].Spans[0].Links) != 1 {
		t.Errorf("notable traces are %+v", traces)
	}
	if all := decode[Traces](t, get(live, http.MethodGet, "/api/v1/traces?all=1")).Traces; len(all) != 2 {
		t.Errorf("all traces are %+v", all)
	}

	conn.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal, Code: 1000})
	story = decode[Story](t, get(live, http.MethodGet, "/api/v1/connections/"+conn.ID()))
	if story.Connection != nil || story.Spans[0].Name != "websocket.close" {
		t.Errorf("after the end the story is %+v", story)
	}
}

func TestSpansAreBounded(t *testing.T) {
	c := New(Config{})
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(c.SpanProcessor()))
	for i := range maxSpans + 500 {
		_, span := provider.Tracer("test").Start(t.Context(), strings.Repeat("x", 1+i%1000))
		span.End()
	}
	spans := c.spans.list(1<<20, func(*Span) bool { return true })
	if len(spans) != maxSpans {
		t.Errorf("%d spans are kept", len(spans))
	}
	for i := 1; i < len(spans); i++ {
		if spans[i].Start.After(spans[i-1].Start) {
			t.Fatal("the newest do not come first")
		}
	}
}

// TestSeries compares rates with what was counted.
func TestSeries(t *testing.T) {
	s := newService(t, instrument.WithConnectionLimit(10))
	now := time.Now()
	sample := func(after time.Duration) Endpoint {
		now = now.Add(after)
		s.console.sampler.took = 0 // however busy the machine that tests
		s.console.sampler.sample(s.console.observed(), now)
		all := s.console.sampler.since(time.Time{})
		return all[len(all)-1].Endpoints[0]
	}
	sample(0)
	conn := s.open(t)
	for range 20 {
		conn.Received(s.say, 1)
	}
	conn.Sent(s.say, 1)
	_ = conn.Handle(conn.Context(t.Context()), s.say, 1, nil, fails)
	_, refused := s.BeginHandshake(t.Context(), instrument.Request{})
	refused.Refused(instrument.StatusUnauthorized, http.StatusUnauthorized, nil)
	conn.Dropped(instrument.DropQueueFull, 4)
	s.open(t).Closed(instrument.Cause{Initiator: instrument.InitiatorNetwork, Reason: instrument.ReasonAbnormal})
	e := sample(2 * time.Second)
	if e.Open != 1 || e.Limit != 10 || e.Opened != 1 || e.Received != 10.5 || e.Sent != 0.5 || e.Errors != 1 || e.Broken != 0.5 ||
		e.Refused["unauthorized"] != 0.5 || e.Dropped["queue_full"] != 2 || e.Closed["abnormal"] != 0.5 || e.Handling == nil {
		t.Errorf("the sample is %+v", e)
	}
	if e := sample(time.Second); e.Received != 0 || e.Handling != nil || len(e.Closed) != 0 {
		t.Errorf("nothing happened, and the sample is %+v", e)
	}
	conn.Received(s.say, 1)
	if e := sample(time.Hour); e.Received != 0 {
		t.Errorf("after a break there is a rate: %+v", e)
	}
	for range history + 10 {
		sample(time.Second)
	}
	if n := len(s.console.sampler.since(time.Time{})); n != history {
		t.Errorf("%d samples are kept", n)
	}
	if n := len(s.console.sampler.since(now.Add(-10 * time.Second))); n != 10 {
		t.Errorf("%d samples of the last 10 seconds", n)
	}
}

// TestEvents reads two events from a real server, then shuts it down, which must not wait for the viewer.
func TestEvents(t *testing.T) {
	s := newService(t)
	server := httptest.NewServer(s.console)
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	next := func() (e Event) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &e); err != nil {
					t.Fatal(err)
				}
				return e
			}
		}
		t.Fatal("the stream has ended: ", lines.Err())
		return e
	}
	next()
	conn := s.open(t)
	for e := next(); ; e = next() {
		if len(e.Records) == 0 {
			continue
		}
		if e.Records[0].connection() != conn.ID() || len(e.Samples) == 0 {
			t.Errorf("the event is %+v", e)
		}
		break
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := server.Config.Shutdown(ctx); err != nil {
		t.Errorf("shutdown with a viewer: %v", err)
	}
}

func BenchmarkSample(b *testing.B) {
	s := newService(b)
	for range 100_000 {
		s.open(b)
	}
	b.ReportAllocs()
	now := time.Now()
	for b.Loop() {
		now = now.Add(time.Hour)
		s.console.sampler.sample(s.console.observed(), now)
	}
}
