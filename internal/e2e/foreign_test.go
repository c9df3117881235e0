//go:build e2e && unix

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/logstore"
)

// testNodeService runs examples/node.
func (s *stack) testNodeService(t *testing.T) {
	const service = "node-chat"
	dir := copyExample(t, "node")
	npmInstall(t, dir)
	node := exec.Command("node", "service.js")
	node.Dir = dir
	node.Env = append(os.Environ(),
		"LOKI_URL=http://"+s.at.CollectorLoki, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+s.at.CollectorOTLPGRPC, "OTEL_BSP_SCHEDULE_DELAY=1000")
	s.testForeignService(t, service, node)
}

// testPythonService runs examples/python, with Debian's Python, which sees Debian's packages.
func (s *stack) testPythonService(t *testing.T) {
	const service = "python-chat"
	python := exec.Command("/usr/bin/python3", "service.py")
	python.Dir = copyExample(t, "python")
	python.Env = append(os.Environ(), "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+s.at.CollectorOTLPHTTP)
	s.testForeignService(t, service, python)
}

// testForeignService runs a service that emits what docs/foreign-services.md asks for, and looks whether the same lint,
// dashboard, alerts, traces and log records work for it. Its targets are put beside the demo's while the stack runs.
func (s *stack) testForeignService(t *testing.T, service string, program *exec.Cmd) {
	const messages = 60
	began := time.Now()
	address := startForeign(t, service, program)
	target := filepath.Join(s.data, "targets", service+".yaml")
	if err := os.WriteFile(target, fmt.Appendf(nil, "- targets: [%q]\n  labels: {job: %s}\n", address, service), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(target)
	eventually(t, "the new target is scraped", 15*time.Second, func() error {
		up, err := s.metric(fmt.Sprintf(`up{job=%q}`, service))
		return errors.Join(err, atLeast("targets up", up, 1))
	})

	talker, _ := dialForeign(t, address)
	listener, heard := dialForeign(t, address)
	for i := range messages {
		said := fmt.Sprintf("message %d", i)
		say(t, talker, said)
		select {
		case text := <-heard:
			if text != said {
				t.Fatalf("%q is heard as %q", said, text)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q is not heard", said)
		}
	}
	pages := s.failUntil(t, talker, service, "WebSocketHandlingFails")
	t.Logf("the alert pages %.1f s after the first failure", pages.Seconds())
	if err := listener.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	talker.CloseNow() // without a close frame, as a phone that loses its network

	for query, want := range map[string]float64{
		`websocket_connections_total{status="connected",job="%s"}`:                                    2,
		`websocket_disconnections_total{reason="normal",initiator="remote",job="%s"}`:                 1,
		`websocket_disconnections_total{reason="abnormal",initiator="network",job="%s"}`:              1,
		`websocket_messages_total{direction="transmit",job="%s"}`:                                     2 * messages,
		`websocket_active_connections{job="%s"}`:                                                      0,
		`job_namespace:websocket_active_connections:sum{job="%s"}`:                                    0,
		`count(count by (__name__) ({__name__=~"job_namespace:websocket_.*:.*", job="%s"})) > bool 8`: 1,
	} {
		query = fmt.Sprintf(query, service)
		eventually(t, query, time.Minute, func() error {
			got, err := s.metric(query)
			if err == nil && got != want {
				err = fmt.Errorf("got %g, want %g", got, want)
			}
			return err
		})
	}
	s.lintForeign(t, address, service)
	s.foreignDashboard(t, address, service)
	// winston's silly, like Python's level 5, is as detailed as trace, its http and debug are details.
	for level, want := range map[string]int{"info": 4, "warn": 10, "debug": messages, "trace": 1} {
		eventually(t, level+" log records", time.Minute, func() error {
			records, err := s.logs().Records(t.Context(), logstore.Query{
				Service: service, Level: level, Start: began, End: time.Now().Add(time.Minute), Limit: 1000,
			})
			records = slices.DeleteFunc(records, func(r logstore.Record) bool { return r.TraceID == "" })
			return errors.Join(err, atLeast("records with a trace", float64(len(records)), float64(want)))
		})
	}
}

// dialForeign opens a connection to the service, on which pings are answered until it ends. The channel has the
// received texts, as far as there is room.
func dialForeign(t *testing.T, address string) (*websocket.Conn, <-chan string) {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://"+address+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	heard := make(chan string, 100)
	go func() {
		for {
			var message struct{ Text string }
			if err := wsjson.Read(t.Context(), conn, &message); err != nil {
				return
			}
			select {
			case heard <- message.Text:
			default:
			}
		}
	}()
	return conn, heard
}

// say sends a message. One without a text is refused.
func say(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	if err := wsjson.Write(t.Context(), conn, map[string]string{"type": "chat", "text": text}); err != nil {
		t.Fatal(err)
	}
}

// failUntil sends messages that can't be handled, until an alert about the service fires.
func (s *stack) failUntil(t *testing.T, conn *websocket.Conn, service, alert string) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	for ticks := time.Tick(50 * time.Millisecond); ; {
		say(t, conn, "")
		firing, err := s.metric(fmt.Sprintf(`ALERTS{alertname=%q, alertstate="firing", severity="critical", job=%q}`, alert, service))
		if err == nil && firing > 0 {
			return time.Since(began)
		}
		select {
		case <-ticks:
		case <-ctx.Done():
			t.Fatalf("%s does not fire about %s: %v", alert, service, err)
		}
	}
}

// lintForeign has lint read the service, and what the stack has of it.
func (s *stack) lintForeign(t *testing.T, address, service string) {
	t.Helper()
	eventually(t, "lint", time.Minute, func() error {
		out, err := s.run(t, "lint", "--json", "--strict", fmt.Sprintf("--port-offset=%d", s.offset), "--service="+service, address)
		var document struct {
			OK      bool
			Reports []struct {
				Works, Silent []struct {
					Kind, Name string
					Lacks      []string
				}
			}
		}
		if decodeErr := json.Unmarshal(out, &document); decodeErr != nil {
			return errors.Join(err, decodeErr)
		}
		if err != nil || !document.OK || len(document.Reports) != 2 {
			return fmt.Errorf("%w: %s", err, out)
		}
		for _, silent := range document.Reports[1].Silent {
			return fmt.Errorf("the desk has no %s of %s", silent.Lacks, silent.Name)
		}
		return atLeast("alerts, panels and pages", float64(len(document.Reports[0].Works)), 40)
	})
}

// foreignDashboard runs the queries of the overview for the service.
func (s *stack) foreignDashboard(t *testing.T, address, service string) {
	t.Helper()
	done, over := make(chan struct{}), make(chan struct{})
	go func() { // a rate needs something to go on
		defer close(over)
		for ticks := time.Tick(500 * time.Millisecond); ; {
			conn, _, err := websocket.Dial(t.Context(), "ws://"+address+"/ws", nil)
			if err != nil {
				t.Error(err)
				return
			}
			err = errors.Join(wsjson.Write(t.Context(), conn, map[string]string{"type": "chat", "text": "still here"}), conn.Close(websocket.StatusNormalClosure, ""))
			if err != nil {
				t.Error(err)
			}
			select {
			case <-ticks:
			case <-done:
				return
			}
		}
	}()
	defer func() { close(done); <-over }()
	board, err := dashboard.Load(filepath.Join(root(t), "deploy", "grafana", "dashboards", "overview.json"))
	if err != nil {
		t.Fatal(err)
	}
	queries, err := board.Queries(map[string]string{
		"job": service, "__rate_interval": "1m", "__range": "5m", "__auto": "1m",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queries {
		if q.Datasource != "prometheus" || quiet[q.Panel] != "" || !strings.Contains(q.Expr, service) {
			continue
		}
		eventually(t, q.String(), 30*time.Second, func() error { return s.hasData(q) })
	}
}

// copyExample returns a folder with a copy of an example.
func copyExample(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root(t), "examples", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startForeign runs the service until the end of the test and returns its address.
func startForeign(t *testing.T, service string, program *exec.Cmd) string {
	t.Helper()
	program.Env = append(program.Env, "PORT=0", "PING_INTERVAL_MS=500", "OTEL_SERVICE_NAME="+service)
	program.Stderr = os.Stderr
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	t.Cleanup(func() {
		_ = program.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-exited:
			if err != nil {
				t.Errorf("the service ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			_ = program.Process.Kill()
			t.Error("the service does not stop")
		}
	})
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		t.Fatalf("the service does not say where it listens: %v", lines.Err())
	}
	go func() { exited <- program.Wait() }()
	return strings.TrimSpace(lines.Text())
}
