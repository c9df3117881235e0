package lint

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/internal/needs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	text        = "text/plain; version=0.0.4; charset=utf-8"
	openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
)

func linter(t *testing.T, transports ...string) *Linter {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	l, err := New(Config{Transports: transports, Timeout: 10 * time.Second, HTTP: transport})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve answers each request with a page.
func serve(t *testing.T, contentType, page string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(page))
	}))
	t.Cleanup(server.Close)
	return server.URL + "/metrics"
}

// good is what a service in another language has to have at least.
const good = `# HELP websocket_active_connections Connections open now.
# TYPE websocket_active_connections gauge
websocket_active_connections{namespace="chat"} 3
# TYPE websocket_connections_total counter
websocket_connections_total{namespace="chat",status="connected"} 5
# TYPE websocket_disconnections_total counter
websocket_disconnections_total{namespace="chat",initiator="network",reason="abnormal"} 2
# TYPE websocket_errors_total counter
websocket_errors_total{namespace="chat",kind="handler"} 0
# TYPE websocket_messages_total counter
websocket_messages_total{namespace="chat",direction="receive",type="chat"} 7
# TYPE websocket_message_duration_seconds histogram
websocket_message_duration_seconds_bucket{namespace="chat",type="chat",le="0.25"} 6
websocket_message_duration_seconds_bucket{namespace="chat",type="chat",le="1"} 7
websocket_message_duration_seconds_bucket{namespace="chat",type="chat",le="+Inf"} 7
websocket_message_duration_seconds_sum{namespace="chat",type="chat"} 0.4
websocket_message_duration_seconds_count{namespace="chat",type="chat"} 7
# TYPE chat_rooms gauge
chat_rooms 3
`

func TestPages(t *testing.T) {
	without := func(metric string) string {
		var lines []string
		for line := range strings.Lines(good) {
			if !strings.Contains(line, metric) {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "")
	}
	with := func(old, replacement string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the good page has no %q", old)
		}
		return strings.ReplaceAll(good, old, replacement)
	}
	var users strings.Builder
	for i := range 150 {
		fmt.Fprintf(&users, "chat_room_users{room=\"room %c%c\"} 1\n", 'a'+i/26, 'a'+i%26)
	}
	var types strings.Builder
	for i := range 120 {
		fmt.Fprintf(&types, "websocket_messages_total{namespace=\"chat\",direction=\"receive\",type=\"t%c%c\"} 1\n", 'a'+i/26, 'a'+i%26)
	}
	l := linter(t)
	for _, tt := range []struct {
		name, page string
		want       []string // severity, subject, and a part of the problem or what mends it
	}{
		{"good", good, nil},
		{"nothing", "", []string{
			"error websocket_active_connections is not there", "error websocket_connections_total is not there", "error websocket_disconnections_total is not there",
			"error websocket_errors_total is not there", "error websocket_message_duration_seconds is not there", "error websocket_messages_total is not there",
		}},
		{"a metric is missing", without("websocket_errors_total"), []string{"error websocket_errors_total is not there"}},
		{"no message yet", strings.ReplaceAll(without("websocket_message_duration_seconds"), `type="chat"} 7`, `type="chat"} 0`), nil},
		{"messages and no histogram", without("websocket_message_duration_seconds"), []string{"error websocket_message_duration_seconds is not there, or nothing"}},
		{"words in another order", with("websocket_active_connections", "ws_connections_active"), []string{"error ws_connections_active call it websocket_active_connections"}},
		{"no _total", with("websocket_errors_total", "websocket_errors"), []string{"error websocket_errors call it websocket_errors_total"}},
		{"a label in the name", with("websocket_messages_total", "websocket_messages_received_total"), []string{
			`error websocket_messages_received_total call it websocket_messages_total with the label direction="receive"`,
		}},
		{"milliseconds in the name", with("websocket_message_duration_seconds", "websocket_message_latency_ms"), []string{
			"error websocket_message_latency_ms call it websocket_message_duration_seconds, in seconds",
		}},
		{"milliseconds in the buckets", with(`le="1"`, `le="500"`), []string{"error websocket_message_duration_seconds these look like milliseconds"}},
		{"a summary", with("websocket_message_duration_seconds histogram", "websocket_message_duration_seconds summary"), []string{
			"error websocket_message_duration_seconds is a summary",
		}},
		{"no type", without("# TYPE websocket_connections_total"), []string{"error websocket_connections_total is without a type"}},
		{"another type", with("websocket_errors_total counter", "websocket_errors_total gauge"), []string{"error websocket_errors_total is a gauge"}},
		{"no bucket of the objective", with(`le="0.25"`, `le="0.3"`), []string{"error websocket_message_duration_seconds has no bucket up to 0.25"}},
		{"a label is missing", with(`namespace="chat",status`, `status`), []string{"error websocket_connections_total has no label namespace"}},
		{"close codes", with(`reason="abnormal"`, `reason="1006"`), []string{"error websocket_disconnections_total 1006 (abnormal)"}},
		{"a slip", with(`reason="abnormal"`, `reason="abnormall"`), []string{"error websocket_disconnections_total abnormall (abnormal)"}},
		{"other is known", with(`reason="abnormal"`, `reason="other"`), nil},
		{"ids as types", with(`type="chat"} 7`, `type="6f1ed002-ab5d-4c12-9b1e-8d3d2e0a4b11"} 7`), []string{
			"error websocket_message_duration_seconds whose values look like ids", "error websocket_messages_total whose values look like ids",
		}},
		{"many types", good + types.String(), []string{"error websocket_messages_total with 121 values"}},
		{"a user in a label", with(`namespace="chat",kind`, `namespace="chat",user="u-482136",kind`), []string{"error websocket_errors_total has a label user whose values look like ids"}},
		{"a label more", with(`namespace="chat",kind`, `namespace="chat",region="eu",kind`), []string{"warning websocket_errors_total has a label region that the contract does not have"}},
		{"labels of the target", with(`namespace="chat",kind`, `namespace="chat",instance="a:1",job="chat",kind`), nil},
		{"many values of the application's own", good + users.String(), []string{"warning chat_room_users has a label room with 150 values"}},
		{"addresses", good + "chat_peer{peer=\"10.1.2.3:4711\"} 1\n", []string{"warning chat_peer has a label peer whose values look like ids: 10.1.2.3:4711"}},
		{"milliseconds since 1970", good + "# TYPE websocket_last_message_timestamp_seconds gauge\nwebsocket_last_message_timestamp_seconds{namespace=\"chat\",direction=\"transmit\"} 1796095321840\n", []string{
			"error websocket_last_message_timestamp_seconds this looks like milliseconds",
		}},
		{"percent", good + "# TYPE websocket_send_queue_max_ratio gauge\nwebsocket_send_queue_max_ratio{namespace=\"chat\"} 87\n", []string{"error websocket_send_queue_max_ratio this looks like percent"}},
		{"a client", "# TYPE websocket_client_connected gauge\nwebsocket_client_connected{client=\"feed\"} 1\n", nil},
		{"another transport", strings.ReplaceAll(good, "websocket_", "sse_"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := l.Metrics(t.Context(), serve(t, text, tt.page))
			if r.Problem != "" {
				t.Fatal(r.Problem)
			}
			got := serious(r)
			if len(got) != len(tt.want) {
				t.Fatalf("got %d findings, want %d:\n%s", len(got), len(tt.want), strings.Join(got, "\n"))
			}
			for i, want := range tt.want {
				start, part, _ := strings.Cut(want, " ")
				subject, part, _ := strings.Cut(part, " ")
				if !strings.HasPrefix(got[i], start+" "+subject+" ") || !strings.Contains(got[i], part) {
					t.Errorf("got %s\nwant %s", got[i], want)
				}
			}
		})
	}
}

// serious are the findings that are more than notes, as lines.
func serious(r Report) []string {
	var lines []string
	for _, f := range r.Findings {
		if f.Severity != Note {
			lines = append(lines, fmt.Sprintf("%s %s %s; %s", f.Severity, f.Subject, f.Problem, f.Fix))
		}
	}
	return lines
}

// A missing metric is reported with the alerts, panels and pages that show nothing for it, and only these.
func TestSilent(t *testing.T) {
	r := linter(t).Metrics(t.Context(), serve(t, text, strings.ReplaceAll(good, "websocket_errors_total", "chat_failures_total")))
	for _, tt := range []struct {
		consumer Consumer
		silent   bool
	}{
		{Consumer{Kind: needs.Alert, Name: "WebSocketPanics"}, true},
		{Consumer{Kind: needs.Panel, Name: "Error Rate"}, true},
		{Consumer{Kind: needs.Page, Name: "Metrics: Errors within ten minutes"}, true},
		{Consumer{Kind: needs.Alert, Name: "HighConnectionDropRate"}, false},
		{Consumer{Kind: needs.Alert, Name: "WebSocketLatencyErrorBudgetBurn"}, false},
		{Consumer{Kind: needs.Panel, Name: "Message Latency (p50/p95/p99)"}, false},
	} {
		list, never := r.Works, r.Silent
		if tt.silent {
			list, never = r.Silent, r.Works
		}
		if !slices.ContainsFunc(list, tt.consumer.is) || slices.ContainsFunc(never, tt.consumer.is) {
			t.Errorf("%s %s: silent should be %v", tt.consumer.Kind, tt.consumer.Name, tt.silent)
		}
		finding := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Subject == "websocket_errors_total" })
		if affected := slices.ContainsFunc(r.Findings[finding].Affects, tt.consumer.is); affected != tt.silent {
			t.Errorf("%s %s: affected is %v", tt.consumer.Kind, tt.consumer.Name, affected)
		}
	}
	for _, c := range slices.Concat(r.Silent, r.Works) {
		if strings.HasPrefix(c.Name, "WebSocketClient") || strings.HasPrefix(c.Name, "WebSocketProbe") || strings.HasPrefix(c.Name, "Telemetry") {
			t.Errorf("%s is not about this service", c.Name)
		}
	}
}

// observed is a registry with an observer that has seen something of everything that is usual.
func observed(t *testing.T) *prometheus.Registry {
	t.Helper()
	o, err := instrument.New(instrument.WithNamespace("chat"), instrument.WithMessageTypes("message"), instrument.WithConnectionLimit(100))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, h := o.BeginHandshake(t.Context(), instrument.Request{Method: http.MethodGet, Host: "chat.example", Path: "/ws"})
		c := h.Opened(http.StatusSwitchingProtocols)
		ctx := c.Context(t.Context())
		_, m := c.BeginMessage(ctx, o.MessageType("message"), 10, nil)
		m.End(nil)
		_, b := o.BeginBroadcast(ctx)
		b.BeginDelivery(c).Sent(o.MessageType("message"), 10)
		b.End(nil)
		c.BeginPing().End(instrument.PingPong)
		c.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal, Code: 1000})
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(o)
	return registry
}

// The library is without fault, in each format. Heatmaps work without native histograms, which only protobuf has.
func TestLibrary(t *testing.T) {
	registry, l := observed(t), linter(t)
	for _, format := range []string{accept, openMetrics, "text/plain"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Accept", format)
			promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(w, r)
		}))
		defer server.Close()
		r := l.Metrics(t.Context(), server.URL)
		if got := serious(r); r.Problem != "" || len(got) > 0 {
			t.Errorf("%s: %s\n%s", format, r.Problem, strings.Join(got, "\n"))
		}
		if !slices.ContainsFunc(r.Works, Consumer{Kind: needs.Panel, Name: "Handling Times"}.is) {
			t.Errorf("%s: the heatmap does not work", format)
		}
	}
}

func TestTransports(t *testing.T) {
	page := strings.ReplaceAll(good, "websocket_", "signalr_")
	if got := serious(linter(t).Metrics(t.Context(), serve(t, text, page))); len(got) == 0 {
		t.Error("a transport that nobody has named is known")
	}
	r := linter(t, "signalr").Metrics(t.Context(), serve(t, text, page))
	if got := serious(r); len(got) > 0 {
		t.Errorf("with --transport:\n%s", strings.Join(got, "\n"))
	}
	if !slices.ContainsFunc(r.Works, Consumer{Kind: needs.Alert, Name: "HighConnectionDropRate"}.is) {
		t.Error("its alerts do not work")
	}
	if _, err := New(Config{Transports: []string{"socket.io"}}); err == nil {
		t.Error("socket.io begins the name of a metric")
	}
}

func TestUnread(t *testing.T) {
	l := linter(t)
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	for _, tt := range []struct{ name, address, want string }{
		{"404", gone.URL, "404 Not Found"},
		{"a page for people", serve(t, "text/html; charset=utf-8", "<html>"), "it is a page for people"},
		{"no metrics", serve(t, text, `{"ok": true}`), "is no page of metrics"},
		{"half a page", serve(t, openMetrics, "# TYPE a gauge\na 1\n"), "is no page of metrics"},
		{"no content type that there is", serve(t, ";;", "a 1\n"), `content type is ";;"`},
		{"no protobuf", serve(t, "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", "\xff\xff\xff\xff\xff\xff"), "is no page of metrics"},
		{"too long", serve(t, text, strings.Repeat("# a comment that is long\n", maxPage/25+1)), "longer than 16 MiB"},
		{"nobody", "http://127.0.0.1:1/metrics", "connection refused"},
	} {
		if r := l.Metrics(t.Context(), tt.address); !strings.Contains(r.Problem, tt.want) {
			t.Errorf("%s: the problem is %q, want %q", tt.name, r.Problem, tt.want)
		}
	}
}

// A service that never ends its answer is given up.
func TestPatience(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("a 1\n"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	l := linter(t)
	l.cfg.Timeout = 50 * time.Millisecond
	if r := l.Metrics(t.Context(), server.URL); !strings.Contains(r.Problem, context.DeadlineExceeded.Error()) {
		t.Errorf("the problem is %q", r.Problem)
	}
}

func TestAddress(t *testing.T) {
	for given, want := range map[string]string{
		"127.0.0.1:9464":             "http://127.0.0.1:9464/metrics",
		"http://chat":                "http://chat/metrics",
		"https://chat:1/":            "https://chat:1/metrics",
		"http://chat/prometheus?x=1": "http://chat/prometheus?x=1",
		"":                           "",
		"ftp://chat":                 "",
		"http://":                    "",
		"http://a b":                 "",
	} {
		got, err := Address(given)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v, want %q", given, got, err, want)
		}
	}
}

func TestPrint(t *testing.T) {
	r := Report{
		Service: "http://chat/metrics",
		Findings: []Finding{
			{Error, "a_total", "is a \x1b[31mgauge\n", "make it a counter", []Consumer{{Kind: needs.Alert, Name: "A"}, {Kind: needs.Panel, Name: "P, p"}}},
			{Warning, "b", "has a label", "", nil},
			{Note, "c", "is not there", "export it", []Consumer{{Kind: needs.Page, Name: "G"}}},
		},
		Works:  []Consumer{{Kind: needs.Panel, Name: "Q"}},
		Silent: []Consumer{{Kind: needs.Alert, Name: "A", Lacks: []string{"a_total", "b"}}},
	}
	var plain, coloured bytes.Buffer
	Print(&plain, r, false)
	Print(&coloured, r, true)
	const want = `http://chat/metrics
  ✗ a_total is a  [31mgauge 
      fix   make it a counter
      hits  alerts A; panels "P, p"
  ! b has a label
  – c is not there: pages of the desk "G"
  0 of 1 alerts, 1 of 1 panels work. These show nothing, or not everything:
      alert A: no a_total, no b
`
	if diff := cmp.Diff(want, plain.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(coloured.String(), "\x1b[31m✗\x1b[0m") {
		t.Errorf("there are no colours in %q", coloured.String())
	}
	plain.Reset()
	Print(&plain, Report{Service: "chat", Problem: "connection\nrefused"}, false)
	if got := plain.String(); got != "chat\n  ✗ connection refused\n" {
		t.Errorf("printed is %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(text, []byte(good))
	f.Add(openMetrics, []byte("# TYPE websocket_connections counter\n# UNIT x_seconds seconds\nwebsocket_connections_total{a=\"b\"} 1 # {trace_id=\"0af7651916cd43dd8448eb211c80319c\"} 0.1\n# EOF\n"))
	f.Add("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", []byte("\x04\n\x01a\x18\x01"))
	f.Add("", []byte("a{le=\"x\"} NaN\na_bucket{le=\"+Inf\"} 1 2"))
	l, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		p, err := parse(contentType, body)
		if err != nil {
			return
		}
		var b bytes.Buffer
		Print(&b, l.page(p), false)
		for _, c := range b.Bytes() {
			if c < ' ' && c != '\n' {
				t.Fatalf("printed is the control character %#x", c)
			}
		}
	})
}
