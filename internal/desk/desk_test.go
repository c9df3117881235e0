package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/internal/desk/inbox"
	"github.com/sockscope/sockscope/internal/desk/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a desk on loopback and returns its address and what stops it.
func serve(t testing.TB, c Config) (address string, stop func()) {
	t.Helper()
	c.Logger = slog.New(slog.DiscardHandler)
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx, l) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve = %v", err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
	t.Cleanup(stop)
	return "http://" + l.Addr().String(), stop
}

// do makes a request with headers given as name and value in turn.
func do(t *testing.T, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

const trigger = `{"routing_key":"0123456789abcdef0123456789abcdef","event_action":"trigger","dedup_key":"k",
"payload":{"summary":"Messages are slow","source":"chat","severity":"critical","class":"WebSocketLatencyHigh"}}`

func TestRoutes(t *testing.T) {
	away := httptest.NewServer(nil)
	away.Close()
	unknown := httptest.NewServer(http.NotFoundHandler())
	defer unknown.Close()
	none, _ := serve(t, Config{JaegerURL: unknown.URL, LokiURL: away.URL})
	dead, _ := serve(t, Config{PrometheusURL: away.URL, JaegerURL: away.URL, LokiURL: away.URL})
	const id = "724e3b184d68acf94e746096135d877c"
	tests := []struct {
		method, url string
		code        int
		text        string
	}{
		{"GET", none + "/healthz", 200, "ok"},
		{"GET", none + "/", 200, "No components are listed"},
		{"GET", none + "/inbox", 200, "Nothing is open"},
		{"GET", none + "/inbox/nothing", 404, "No such notification"},
		{"GET", none + "/trace", 200, "Trace id"},
		{"GET", none + "/trace?id=xyz", 400, "32 hexadecimal digits"},
		{"GET", none + "/trace?min=1", 400, "&#34;1&#34; is not a duration"},
		{"GET", none + "/trace?attribute=%3Cb%3E", 400, "&#34;&lt;b&gt;&#34; is not a name and its value"},
		{"GET", none + "/trace?id=" + id, 303, ""},
		{"GET", none + "/trace/xyz", 400, "32 hexadecimal digits"},
		{"GET", none + "/trace/" + id, 404, "Spans take some seconds"},
		{"GET", dead + "/trace/" + id, 502, "connection refused"},
		{"GET", none + "/api/status", 200, `"components":`},
		{"GET", none + "/api/inbox", 200, `{"notifications":[],"alerts":[]}`},
		{"GET", none + "/api/inbox/nothing", 404, `"error"`},
		{"GET", none + "/api/trace/xyz", 400, `"error"`},
		{"GET", none + "/api/trace/" + id, 404, `"unknown":true`},
		{"GET", dead + "/api/trace/" + id, 502, `"spansProblem":"ask Jaeger`},
		{"GET", none + "/nowhere", 404, ""},
		{"GET", none + "/d/sockscope-websockets?var-job=x", 303, "/dashboard/sockscope-websockets?var-job=x"},
		{"GET", none + "/d/x/slug", 303, "/dashboard/x"},
		{"GET", none + "/dashboards", 200, "There is none"},
		{"GET", none + "/dashboard/x", 404, "No such dashboard"},
		{"GET", none + "/?from=noon", 400, "is not a time"},
		{"GET", none + "/api/dashboard/x/panel/1", 404, "no such dashboard"},
		{"GET", none + "/api/dashboard/x/marks", 404, "no such dashboard"},
		{"GET", none + "/api/overview/99", 404, "no such panel"},
		{"GET", none + "/api/overview/1?points=many", 400, "points is a number"},
		{"GET", none + "/api/overview/1?from=noon", 400, "is not a time"},
		{"GET", none + "/api/query", 400, "1 to 4096 bytes"},
		{"GET", none + "/api/query?query=up", 200, "no address of Prometheus is set"},
		{"GET", none + "/query", 200, "no address of Prometheus is set"},
		{"GET", none + "/query?job=x&namespace=y", 200, "Metrics of x, y"},
		{"GET", none + "/query?query=" + strings.Repeat("x", 5000), 400, "too long"},
		{"GET", none + "/prometheus/graph", 303, "/query"},
		{"GET", none + "/prometheus/graph?g0.expr=up+%3E+1&g0.tab=1", 303, "/query?query=up+%3E+1"},
		{"PUT", none + "/api/outages/email", 404, "pagerduty, slack and webhook"},
		{"PUT", none + "/api/outages/slack", 400, "status code from 400"},
		{"DELETE", none + "/api/outages/slack", 200, "{}"},
		{"GET", none + "/logs", 200, "ask Loki at"},
		{"GET", none + "/logs?from=noon", 400, "is not a time"},
		{"GET", none + "/logs?field=reason", 400, "&#34;reason&#34; is not a name and its value"},
		{"GET", none + "/logs/around?time=noon", 400, "is not a time"},
		{"GET", none + "/logs/around?time=2026-01-02T15:04:05Z", 200, "ask Loki at"},
		{"GET", none + "/connections", 200, "No live console is known"},
		{"GET", none + "/connections?id=a/b", 303, ""},
		{"GET", dead + "/connection/a%2Fb%3F%22%3Cb%3E", 502, "a/b?&#34;&lt;b&gt;</p>"},
		{"GET", none + "/connection/x?from=noon", 400, "nanoseconds"},
		{"GET", none + "/connection/x?from=9223372036854775807&order=newest", 502, "ask Loki"},
		{"GET", none + "/connection/x?from=-9223372036854775808", 502, "ask Loki"},
		{"GET", none + "/connection/%FF", 400, "1 to 256 bytes"},
		{"GET", none + "/connection/" + strings.Repeat("x", 300), 400, "1 to 256 bytes"},
		{"GET", none + "/v2/enqueue", 405, ""},
		{"PUT", none + "/v2/enqueue", 405, ""},
		{"GET", none + "/services/T1/B1/x", 405, ""},
		{"DELETE", none + "/webhook/default", 405, ""},
		{"POST", none + "/inbox", 405, ""},
		{"POST", none + "/", 405, ""},
	}
	for _, test := range tests {
		response, text := do(t, test.method, test.url, "")
		if response.StatusCode != test.code || !strings.Contains(text, test.text) {
			t.Errorf("%s %s is answered by %d %.200s, want %d with %q", test.method, test.url, response.StatusCode, text, test.code, test.text)
		}
		if got := response.Header.Get("Content-Security-Policy"); got != policy {
			t.Errorf("%s %s has the policy %q", test.method, test.url, got)
		}
	}
}

func TestNotificationsAndRestart(t *testing.T) {
	dir := t.TempDir()
	address, stop := serve(t, Config{DataDir: dir})
	response, text := do(t, "POST", address+"/v2/enqueue", trigger, "Content-Type", "application/json")
	if response.StatusCode != http.StatusAccepted || text != `{"status":"success","message":"Event processed","dedup_key":"k"}`+"\n" {
		t.Fatalf("answer = %d %s", response.StatusCode, text)
	}
	if response, text = do(t, "POST", address+"/services/T1/B1/x", `{"text":"Deployed"}`, "Content-Type", "application/json"); response.StatusCode != http.StatusOK || text != "ok" {
		t.Errorf("answer = %d %s", response.StatusCode, text)
	}
	if response, _ = do(t, "POST", address+"/webhook/default", `{}`, "Content-Type", "application/json"); response.StatusCode != http.StatusBadRequest {
		t.Errorf("answer = %d", response.StatusCode)
	}
	stop()

	address, _ = serve(t, Config{DataDir: dir})
	var list struct{ Notifications []inbox.Notification }
	_, text = do(t, "GET", address+"/api/inbox", "")
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Notifications) != 3 {
		t.Fatalf("inbox after a restart = %s, %v; want three notifications", text, err)
	}
	oldest := list.Notifications[2]
	if oldest.Source != inbox.PagerDuty || oldest.Alert != "WebSocketLatencyHigh" || oldest.Severity != "critical" || oldest.Key != "k" || !oldest.Accepted {
		t.Errorf("oldest = %+v, want the trigger", oldest)
	}
	if _, text = do(t, "GET", address+"/inbox", ""); !strings.Contains(text, "1 open alert<") || !strings.Contains(text, "Rejected") || !strings.Contains(text, "Deployed") {
		t.Errorf("page = %s", text)
	}
	if _, text = do(t, "GET", address+"/inbox/"+oldest.ID, ""); !strings.Contains(text, "event_action") || strings.Contains(text, "0123456789abcdef0123456789abcdef") {
		t.Errorf("page of the notification = %s, want its body without the routing key", text)
	}
}

// TestOutages lets each receiver fail as its vendor does, and work again.
func TestOutages(t *testing.T) {
	address, _ := serve(t, Config{})
	tests := []struct {
		receiver, path, body string
		status               int
		answer               string
		accepted             int
	}{
		{"pagerduty", "/v2/enqueue", trigger, 429, `"message":"Too Many Requests"`, 202},
		{"pagerduty", "/v2/enqueue", trigger, 500, `"errors":[`, 202},
		{"slack", "/services/T1/B1/x", `{"text":"t"}`, 429, "rate_limited", 200},
		{"slack", "/services/T1/B1/x", `{"text":"t"}`, 403, "invalid_token", 200},
		{"slack", "/services/T1/B1/x", `{"text":"t"}`, 500, "rollup_error", 200},
	}
	for _, test := range tests {
		do(t, "PUT", address+"/api/outages/"+test.receiver, fmt.Sprintf(`{"status":%d}`, test.status))
		response, text := do(t, "POST", address+test.path, test.body, "Content-Type", "application/json")
		if response.StatusCode != test.status || !strings.Contains(text, test.answer) {
			t.Errorf("%s answers %d %s, want %d %s", test.receiver, response.StatusCode, text, test.status, test.answer)
		}
		if _, page := do(t, "GET", address+"/inbox", ""); !strings.Contains(page, "was told to answer everything by") || !strings.Contains(page, "Rejected") {
			t.Errorf("the inbox does not show the outage: %s", page)
		}
		do(t, "DELETE", address+"/api/outages/"+test.receiver, "")
		if response, text := do(t, "POST", address+test.path, test.body, "Content-Type", "application/json"); response.StatusCode != test.accepted {
			t.Errorf("%s answers %d %s after the outage", test.receiver, response.StatusCode, text)
		}
	}
}

func TestStatusFollowsComponents(t *testing.T) {
	component := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	away := httptest.NewServer(nil)
	away.Close()
	address, _ := serve(t, Config{Components: []status.Component{
		{Name: "a", Title: "A", Ready: component.URL}, {Name: "b", Title: "B", Ready: away.URL, Optional: true},
	}})
	expect := func(ready bool, states ...string) {
		t.Helper()
		var got string
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			var answer struct {
				Ready      bool
				Components []struct{ State string }
			}
			_, text := do(t, "GET", address+"/api/status", "")
			if err := json.Unmarshal([]byte(text), &answer); err != nil {
				t.Fatal(err)
			}
			got = fmt.Sprint(answer.Ready)
			for _, c := range answer.Components {
				got += " " + c.State
			}
			if got == fmt.Sprint(ready, " ", strings.Join(states, " ")) {
				return
			}
		}
		t.Fatalf("status stays %s, want %v %v", got, ready, states)
	}
	expect(true, "ready", "absent")
	component.Close()
	expect(false, "not_ready", "absent")
}

// TestForeignPages makes the requests that a web page elsewhere could make a browser send.
func TestForeignPages(t *testing.T) {
	address, _ := serve(t, Config{})
	host := strings.TrimPrefix(address, "http://")
	tests := []struct {
		name    string
		headers []string
		code    int
	}{
		{"Alertmanager", nil, 200},
		{"by name", []string{"Host", "desk:8090"}, 200},
		{"by IPv6", []string{"Host", "[::1]:8090"}, 200},
		{"localhost", []string{"Host", "localhost"}, 200},
		{"rebound name", []string{"Host", "evil.example.com:8090"}, 421},
		{"other origin", []string{"Origin", "https://evil.example.com"}, 403},
		{"other site", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"same origin", []string{"Origin", "http://" + host}, 200},
	}
	for _, test := range tests {
		headers := append([]string{"Content-Type", "application/x-www-form-urlencoded"}, test.headers...)
		if response, text := do(t, "POST", address+"/services/T1/B1/x", "payload=%7B%22text%22%3A%22t%22%7D", headers...); response.StatusCode != test.code {
			t.Errorf("%s is answered by %d %s, want %d", test.name, response.StatusCode, text, test.code)
		}
	}
	if response, _ := do(t, "GET", address+"/api/inbox", "", "Host", "evil.example.com"); response.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a rebound name reads the inbox: %d", response.StatusCode)
	}
}

func TestNewNamesTheMistake(t *testing.T) {
	for what, c := range map[string]Config{
		"Prometheus":              {PrometheusURL: "prometheus:9090"},
		"Jaeger":                  {JaegerURL: "127.0.0.1:16686"},
		"Loki":                    {LokiURL: "ftp://loki"},
		"VictoriaLogs":            {VictoriaLogsURL: "victoria-logs:9428"},
		"one of them":             {VictoriaLogsURL: "http://victoria-logs:9428", LokiURL: "http://loki:3100"},
		"Jaeger's user interface": {JaegerUI: "javascript:alert(1)"},
		"a live console":          {Consoles: []string{"http://127.0.0.1:8080/debug/realtime/", "127.0.0.1:8080"}},
	} {
		c.Logger = slog.New(slog.DiscardHandler)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("error = %v, want one that names %s", err, what)
		}
	}
}
