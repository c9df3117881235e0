package alertmanager_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sockscope/sockscope/internal/desk"
	"github.com/sockscope/sockscope/internal/tool"
)

const (
	pagerDutyPath = "/v2/enqueue"
	slackPath     = "/services/T00000000/B00000000/deskinboxonly"
	watchdogPath  = "/webhook/watchdog"
)

// timeout is how long what is expected may take.
const timeout = 40 * time.Second

type labels map[string]string

type alert struct {
	Labels       labels    `json:"labels"`
	Annotations  labels    `json:"annotations,omitempty"`
	GeneratorURL string    `json:"generatorURL,omitempty"`
	EndsAt       time.Time `json:"endsAt,omitzero"`
}

// routing is Alertmanager with the shipped settings, its waiting times divided by 60, and the desk that it sends to.
type routing struct {
	address string // of Alertmanager
	desk    string // URL
	log     string // file of Alertmanager's

	settings string // folder with its settings

	mu      sync.Mutex
	kept    []request
	changed chan struct{} // closed when a further request is kept
}

// request is what Alertmanager sent and the desk answered.
type request struct {
	path, body string
	status     int
}

func (r request) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), into); err != nil {
		t.Fatalf("decode %s: %v", r.body, err)
	}
}

// start runs both until the test ends. Edit changes the settings.
func start(t *testing.T, edit func(string) string) *routing {
	t.Helper()
	d, err := desk.New(desk.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r := &routing{changed: make(chan struct{})}
	server := httptest.NewServer(r.record(d.Handler()))
	t.Cleanup(func() {
		server.Close()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	r.desk = server.URL
	deskAddress := server.Listener.Addr().String()
	dir := settings(t, func(text string) string {
		return shorter(edit(strings.ReplaceAll(text, "desk:8090", deskAddress)))
	})
	r.settings = dir
	r.runAlertmanager(t, filepath.Join(dir, config))
	return r
}

// secret replaces a secret, which Alertmanager reads each time.
func (r *routing) secret(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.settings, "secrets", name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// record keeps every notification and hands it on.
func (r *routing) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodPost {
			next.ServeHTTP(w, req)
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, req)
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())

		r.keep(request{req.URL.Path, string(body), answer.Code})
	})
}

func (r *routing) keep(n request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, n)
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *routing) runAlertmanager(t *testing.T, config string) {
	t.Helper()
	program := tool.Path(t, "alertmanager")
	r.address = freeAddress(t)
	r.log = filepath.Join(t.TempDir(), "log")
	log, err := os.Create(r.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	command := exec.Command(program, "--config.file="+config, "--storage.path="+t.TempDir(),
		"--cluster.listen-address=", "--web.listen-address="+r.address, "--web.external-url=http://"+r.address,
		"--enable-feature=utf8-strict-mode,receiver-name-in-metrics")
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := command.Process.Kill(); err != nil {
			t.Errorf("stop Alertmanager: %v", err)
		}
		_ = command.Wait() // "signal: killed"
		if t.Failed() {
			t.Log(read(t, r.log))
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		response, err := http.Get("http://" + r.address + "/-/ready")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				tick.Stop()
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("Alertmanager did not become ready: %v", err)
		}
	}
}

// settings renders this folder as the stack does and returns where.
func settings(t *testing.T, edit func(string) string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{config: config}
	for _, path := range glob(t, "templates/*") {
		files[path] = path
	}
	for _, path := range glob(t, "secrets/desk/*") {
		files[path] = filepath.Join("secrets", filepath.Base(path))
	}
	for _, path := range glob(t, "alternatives/*.yml") {
		files[path] = path
	}
	for from, to := range files {
		text := edit(strings.ReplaceAll(read(t, from), "/etc/alertmanager", dir))
		path := filepath.Join(dir, to)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// unchanged leaves settings as they are.
func unchanged(text string) string { return text }

var waits = regexp.MustCompile(`(group_wait|group_interval|repeat_interval): (\d+)(s|m|h)`)

// shorter divides the waiting times by 60.
func shorter(text string) string {
	return waits.ReplaceAllStringFunc(text, func(found string) string {
		parts := waits.FindStringSubmatch(found)
		n, err := strconv.Atoi(parts[2])
		if err != nil {
			return found
		}
		unit := map[string]int{"s": 1000, "m": 60_000, "h": 3_600_000}[parts[3]]
		return fmt.Sprintf("%s: %dms", parts[1], n*unit/60)
	})
}

// post sends alerts to Alertmanager.
func (r *routing) post(t *testing.T, alerts ...alert) {
	t.Helper()
	body, err := json.Marshal(alerts)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post("http://"+r.address+"/api/v2/alerts", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if answer, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		t.Fatalf("post alerts: %s %s", response.Status, answer)
	}
}

// resolve ends alerts.
func (r *routing) resolve(t *testing.T, alerts ...alert) {
	t.Helper()
	for i := range alerts {
		alerts[i].EndsAt = time.Now()
	}
	r.post(t, alerts...)
}

// get decodes what a URL answers.
func get(t *testing.T, url string, into any) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatalf("decode %s: %v", url, err)
	}
}

// outage makes a receiver of the desk answer everything by a status, or work again by 0.
func (r *routing) outage(t *testing.T, receiver string, status int) {
	t.Helper()
	method := http.MethodPut
	if status == 0 {
		method = http.MethodDelete
	}
	req, err := http.NewRequestWithContext(t.Context(), method, r.desk+"/api/outages/"+receiver, strings.NewReader(fmt.Sprintf(`{"status":%d}`, status)))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("outage of %s: %s", receiver, response.Status)
	}
}

// all returns what was sent to a path and has all the parts in it.
func (r *routing) all(path string, parts ...string) []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []request
next:
	for _, n := range r.kept {
		for _, part := range parts {
			if !strings.Contains(n.body, part) {
				continue next
			}
		}
		if n.path == path {
			found = append(found, n)
		}
	}
	return found
}

// await waits until something holds, and looks again whenever a notification arrives.
func (r *routing) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(timeout)
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			r.mu.Lock()
			defer r.mu.Unlock()
			t.Fatalf("%s did not come, but: %.20000s", what, fmt.Sprint(r.kept))
		}
	}
}

// wait returns the first notification that was sent to a path and has all the parts in it.
func (r *routing) wait(t *testing.T, path string, parts ...string) request {
	t.Helper()
	var found []request
	r.await(t, fmt.Sprintf("a notification to %s with %q", path, parts), func() bool {
		found = r.all(path, parts...)
		return len(found) > 0
	})
	return found[0]
}

// entry is an alert in the desk's inbox.
type entry struct {
	Alert    string `json:"alert"`
	Of       string `json:"of"`
	State    string `json:"state"`
	Channels []struct {
		Source string `json:"source"`
		State  string `json:"state"`
	} `json:"channels"`
}

func (e entry) String() string {
	var channels []string
	for _, c := range e.Channels {
		channels = append(channels, c.Source+"="+c.State)
	}
	slices.Sort(channels)
	return fmt.Sprintf("%s of %s %s %s", e.Alert, e.Of, e.State, strings.Join(channels, " "))
}

// inbox returns the alerts in the desk's inbox. It fails the test for what the desk has refused or warns of, unless
// that is expected.
func (r *routing) inbox(t *testing.T) []entry {
	t.Helper()
	var answer struct {
		Alerts        []entry `json:"alerts"`
		Notifications []struct {
			Source   string   `json:"source"`
			Accepted bool     `json:"accepted"`
			Reason   string   `json:"reason"`
			Warnings []string `json:"warnings"`
		} `json:"notifications"`
	}
	get(t, r.desk+"/api/inbox", &answer)
	for _, n := range answer.Notifications {
		if !n.Accepted || len(n.Warnings) > 0 {
			t.Errorf("the desk refuses or warns of a notification by %s: %s %q", n.Source, n.Reason, n.Warnings)
		}
	}
	return answer.Alerts
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
