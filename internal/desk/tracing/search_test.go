package tracing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sockscope/sockscope/internal/tool"
)

// sent is a span as a service sends it.
type sent struct {
	trace, name, service string
	child                bool // of the first span of its trace
	after, took          time.Duration
	failed               bool
	tags                 map[string]string
}

const hostile = "a\"b\\c=d\n<é>`' \u202e"

// everything is what the demo makes within seconds, and more of some of it than a search asks for.
func everything() []sent {
	all := []sent{
		{trace: "slow", name: "websocket.message chat", service: "demo", after: time.Second, took: 2 * time.Second, tags: map[string]string{"connection.id": "c-1"}},
		{trace: "slow", name: "store", service: "store", child: true, after: time.Second, took: 1900 * time.Millisecond, failed: true, tags: map[string]string{"error.type": "timeout"}},
		{trace: "slow", name: "websocket.broadcast", service: "demo", child: true, after: 3 * time.Second, took: time.Millisecond},
		{trace: "quick", name: "websocket.message chat", service: "demo", after: 2 * time.Second, took: 3 * time.Millisecond, failed: true, tags: map[string]string{"connection.id": "c-2", "error.type": "decode"}},
		{trace: "quick", name: "websocket.broadcast", service: "demo", child: true, after: 2 * time.Second, took: 2 * time.Second},
		{trace: "handshake", name: "websocket.handshake", service: "demo", took: 7 * time.Millisecond, tags: map[string]string{"connection.id": "c-1", "user": hostile}},
		{trace: "failed tick", name: "websocket.broadcast", service: "demo", after: 4 * time.Second, took: time.Millisecond, failed: true},
		{trace: "slow tick", name: "websocket.broadcast", service: "demo", after: 5 * time.Second, took: 3 * time.Second},
	}
	for i := range maxSearched + 10 {
		all = append(all, sent{trace: fmt.Sprint("tick ", i), name: "websocket.broadcast", service: "demo", after: 10*time.Second + time.Duration(i)*time.Millisecond, took: time.Millisecond})
	}
	for i := range maxOfEach + 5 {
		all = append(all, sent{trace: fmt.Sprint("ping ", i), name: "websocket.message ping", service: "demo", after: 11*time.Second + time.Duration(i)*time.Millisecond, took: time.Millisecond})
	}
	return all
}

func traceOf(name string) []byte { sum := sha256.Sum256([]byte(name)); return sum[:16] }

// TestSearch searches a real Jaeger.
func TestSearch(t *testing.T) {
	query, ingest := jaeger(t)
	moment := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	send(t, ingest, moment)
	f := finder(t, query, "")
	names := map[string]string{}
	for _, s := range everything() {
		names[fmt.Sprintf("%x", traceOf(s.trace))] = s.trace
	}
	look := func(s Search) (Result, []string) {
		t.Helper()
		s.Start, s.End = moment.Add(-time.Minute), moment.Add(time.Minute)
		r, err := f.Search(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, trace := range r.Found {
			found = append(found, names[trace.TraceID])
		}
		return r, found
	}
	await(t, func() error {
		r, found := look(Search{Operation: "websocket.message ping"})
		if len(found) != maxOfEach+5 || len(r.Services) != 2 {
			return fmt.Errorf("%d traces, services %v", len(found), r.Services)
		}
		return nil
	})
	several := func(prefix string, from, to int) (list []string) {
		for i := from; i >= to; i-- {
			list = append(list, fmt.Sprint(prefix, i))
		}
		return list
	}
	pings := several("ping ", maxOfEach+4, 5)
	ticks := several("tick ", maxSearched+9, 10)
	attribute := func(key, value string) Search { return Search{Attributes: []Attribute{{key, value}}} }
	both := attribute("connection.id", "c-2")
	both.Attributes = append(both.Attributes, Attribute{"error.type", "decode"})
	apart := attribute("connection.id", "c-1") // of one span, and the other of another in the same trace
	apart.Attributes = append(apart.Attributes, Attribute{"error.type", "timeout"})
	for name, test := range map[string]struct {
		Search
		want     []string
		cut      []string // operations
		returned int      // if that is more
	}{
		"all, with no ticks":    {Search{}, slices.Concat(pings, []string{"failed tick", "quick", "slow", "handshake"}), []string{"websocket.message ping"}, 0},
		"all, with ticks":       {Search{Ticks: true, Service: "demo"}, slices.Concat(several("ping ", maxOfEach+4, 0), ticks[:maxSearched-maxOfEach-5]), []string{""}, 0},
		"the ticks":             {Search{Operation: "websocket.broadcast"}, ticks, []string{"websocket.broadcast"}, 0},
		"a service":             {Search{Service: "store"}, []string{"slow"}, nil, 0},
		"an operation":          {Search{Operation: "websocket.message chat"}, []string{"quick", "slow"}, nil, 0},
		"of another service":    {Search{Service: "store", Operation: "websocket.message chat"}, nil, nil, 0},
		"slow":                  {Search{Shortest: 2 * time.Second}, []string{"slow tick", "quick", "slow"}, nil, 0},
		"slow, and slow itself": {Search{Shortest: 2 * time.Second, Operation: "websocket.message chat"}, []string{"slow"}, nil, 2},
		"quick":                 {Search{Longest: 5 * time.Millisecond, Operation: "websocket.message chat"}, []string{"quick"}, nil, 2},
		"between":               {Search{Shortest: 5 * time.Millisecond, Longest: 10 * time.Millisecond}, []string{"handshake"}, nil, 0},
		"failed":                {Search{Failed: true}, []string{"failed tick", "quick", "slow"}, nil, 0},
		"failed itself":         {Search{Failed: true, Operation: "websocket.message chat"}, []string{"quick"}, nil, 0},
		"failed in a service":   {Search{Failed: true, Service: "store"}, []string{"slow"}, nil, 0},
		"an attribute":          {attribute("connection.id", "c-1"), []string{"slow", "handshake"}, nil, 0},
		"part of its value":     {attribute("connection.id", "c-"), nil, nil, 0},
		"two attributes":        {both, []string{"quick"}, nil, 0},
		"two of two spans":      {apart, nil, nil, 0},
		"of a resource":         {attribute("host.name", "h-store"), []string{"slow"}, nil, 0},
		"hostile":               {attribute("user", hostile), []string{"handshake"}, nil, 0},
		"hostile names":         {Search{Service: hostile, Operation: hostile, Attributes: []Attribute{{hostile, hostile}}}, nil, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r, found := look(test.Search)
			if diff := cmp.Diff(test.want, found); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
			var cut []string
			for _, c := range r.Cut {
				cut = append(cut, c.Operation)
			}
			if diff := cmp.Diff(test.cut, cut); diff != "" {
				t.Errorf("cut off are (-want +got):\n%s", diff)
			}
			if want := max(test.returned, len(test.want)); r.Returned != want || r.Problem != "" {
				t.Errorf("Jaeger returned %d, problem %q; want %d", r.Returned, r.Problem, want)
			}
		})
	}

	r, _ := look(Search{Failed: true, Service: "store"})
	if m := r.Found[0].Match; m == nil || m.Name != "store" || m.Service != "store" || m.Duration != 1900*time.Millisecond || !m.Failed || m.SpanID != spanID(1) {
		t.Errorf("the span that matches is %+v", m)
	}
	r, _ = look(Search{Shortest: 1500 * time.Millisecond})
	if tick, slow := r.Found[0].Match, r.Found[2].Match; tick != nil || slow == nil || slow.Name != "store" {
		t.Errorf("the innermost spans that are slow are %+v and %+v, want none but the first, and the store's", tick, slow)
	}
	older, _ := look(Search{Operation: "websocket.broadcast"})
	rest, err := f.Search(t.Context(), Search{Operation: "websocket.broadcast", Start: moment.Add(-time.Minute), End: older.Cut[0].Oldest})
	if err != nil || len(rest.Found) != 10+1+4 || len(rest.Cut) != 0 { // the last one again, the other ticks, and those with another span
		t.Errorf("older than %v are %d, cut off %v, %v", older.Cut[0].Oldest, len(rest.Found), rest.Cut, err)
	}
	if diff := cmp.Diff(Service{"demo", []string{"websocket.broadcast", "websocket.handshake", "websocket.message chat", "websocket.message ping"}}, r.Services[0]); diff != "" {
		t.Errorf("the first service (-want +got):\n%s", diff)
	}
}

// TestSearchManyServices has a Jaeger with more services than a search asks for, of which one has very many operations.
func TestSearchManyServices(t *testing.T) {
	var asked []string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/services", func(w http.ResponseWriter, _ *http.Request) {
		var names []string
		for i := range maxServices + 3 {
			names = append(names, fmt.Sprintf("s%02d", i))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": names})
	})
	mux.HandleFunc("GET /api/operations", func(w http.ResponseWriter, r *http.Request) {
		operations := []map[string]string{{"name": "b"}, {"name": "a", "spanKind": "server"}, {"name": "a", "spanKind": "client"}}
		if r.FormValue("service") == "s01" {
			for i := range 2 * maxOffered {
				operations = append(operations, map[string]string{"name": fmt.Sprintf("o%04d", i)})
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": operations})
	})
	questions := make(chan string, 1000)
	mux.HandleFunc("GET /api/traces", func(w http.ResponseWriter, r *http.Request) {
		questions <- r.FormValue("service") + " " + r.FormValue("operation")
		_, _ = w.Write([]byte(`{"data":[]}`))
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	f := finder(t, server.URL, "")
	ask := func(service string) Result {
		t.Helper()
		r, err := f.Search(t.Context(), Search{Service: service, Start: time.Unix(0, 0), End: time.Unix(1, 0)})
		if err != nil {
			t.Fatal(err)
		}
		asked = nil
		for len(questions) > 0 {
			asked = append(asked, <-questions)
		}
		slices.Sort(asked)
		return r
	}
	r := ask("")
	if want := []string{"s00 a", "s00 b", "s01 ", "s02 a"}; !cmp.Equal(asked[:4], want) || len(asked) != 2*maxServices-1 {
		t.Errorf("asked %d questions, first %q; want %q", len(asked), asked[:4], want)
	}
	if r.Problem != "Jaeger knows 3 more services, which were not asked" || len(r.Services) != maxServices || len(r.Services[1].Operations) > maxOffered {
		t.Errorf("problem %q, %d services, %d operations of the second", r.Problem, len(r.Services), len(r.Services[1].Operations))
	}
	if r := ask("s33"); !cmp.Equal(asked, []string{"s33 "}) || r.Problem != "" {
		t.Errorf("asked %q, problem %q", asked, r.Problem)
	}
}

// jaeger runs Jaeger until the end of the test, with the settings of the stack. It returns the address of its API, and
// the one for spans.
func jaeger(t *testing.T) (query, ingest string) {
	t.Helper()
	port := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		return port
	}
	ports := []string{port(), port(), port(), port(), port()}
	var printed bytes.Buffer
	cmd := exec.Command(tool.Path(t, "jaeger"), "--config=../../../deploy/jaeger/config.yaml")
	cmd.Env = append(os.Environ(), "JAEGER_HOST=127.0.0.1", "JAEGER_DATA="+t.TempDir(), "JAEGER_QUERY_PORT="+ports[0], "JAEGER_QUERY_GRPC_PORT="+ports[1],
		"JAEGER_OTLP_PORT="+ports[2], "JAEGER_HEALTH_PORT="+ports[3], "JAEGER_METRICS_PORT="+ports[4])
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Jaeger printed:\n%s", printed.Bytes()[max(0, printed.Len()-8000):])
		}
	})
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	await(t, func() error {
		response, err := client.Get("http://127.0.0.1:" + ports[3] + "/status")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", response.Status)
		}
		return nil
	})
	return "http://127.0.0.1:" + ports[0], "127.0.0.1:" + ports[2]
}

// await tries until it succeeds.
func await(t *testing.T, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// spanID is the id of one of everything.
func spanID(i int) string { return fmt.Sprintf("%016x", i+1) }

// send sends everything to Jaeger.
func send(t *testing.T, address string, moment time.Time) {
	t.Helper()
	text := func(key, value string) *common.KeyValue {
		return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
	}
	roots := map[string][]byte{}
	var request coltrace.ExportTraceServiceRequest
	for i, s := range everything() {
		start := moment.Add(s.after)
		span := &otlp.Span{
			TraceId: traceOf(s.trace), SpanId: unhex(t, spanID(i)), Name: s.name, ParentSpanId: roots[s.trace],
			StartTimeUnixNano: uint64(start.UnixNano()), EndTimeUnixNano: uint64(start.Add(s.took).UnixNano()),
		}
		if !s.child {
			roots[s.trace] = span.SpanId
		}
		if s.failed {
			span.Status = &otlp.Status{Code: otlp.Status_STATUS_CODE_ERROR}
		}
		for key, value := range s.tags {
			span.Attributes = append(span.Attributes, text(key, value))
		}
		request.ResourceSpans = append(request.ResourceSpans, &otlp.ResourceSpans{
			Resource:   &resource.Resource{Attributes: []*common.KeyValue{text("service.name", s.service), text("host.name", "h-"+s.service)}},
			ScopeSpans: []*otlp.ScopeSpans{{Spans: []*otlp.Span{span}}},
		})
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := coltrace.NewTraceServiceClient(conn).Export(t.Context(), &request, grpc.WaitForReady(true)); err != nil {
		t.Fatal(err)
	}
}

func unhex(t *testing.T, id string) []byte {
	t.Helper()
	var raw []byte
	if _, err := fmt.Sscanf(id, "%x", &raw); err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestFirstSpan has a parent behind its child, which begins at the same time.
func TestFirstSpan(t *testing.T) {
	var trace jaegerTrace
	if err := json.Unmarshal([]byte(`{"spans": [
		{"spanID": "2", "startTime": 1000, "references": [{"refType": "CHILD_OF", "spanID": "1"}]},
		{"spanID": "1", "startTime": 1000}
	]}`), &trace); err != nil {
		t.Fatal(err)
	}
	if i := trace.first(); i != 1 {
		t.Errorf("the first span is number %d, want 1", i)
	}
}
