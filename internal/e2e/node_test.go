//go:build e2e && unix

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockscope/sockscope/internal/logstore"
)

// testNodeService runs a service in Node, which emits what docs/foreign-services.md asks for, and looks for all of it. Its
// targets are put beside the demo's while the stack runs.
func (s *stack) testNodeService(t *testing.T) {
	const (
		service  = "node-chat"
		messages = 70 // ten of each level
	)
	began := time.Now()
	address := s.startNode(t, service, messages)
	target := filepath.Join(s.data, "targets", service+".yaml")
	if err := os.WriteFile(target, fmt.Appendf(nil, "- targets: [%q]\n  labels: {job: %s}\n", address, service), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(target)
	eventually(t, "the new target is scraped", 15*time.Second, func() error {
		up, err := s.metric(fmt.Sprintf(`up{job=%q}`, service))
		return errors.Join(err, atLeast("targets up", up, 1))
	})
	for query, want := range map[string]float64{
		`websocket_connections_total{status="connected",job="%s"}`:   2,
		`websocket_disconnections_total{reason="normal",job="%s"}`:   1,
		`websocket_disconnections_total{reason="abnormal",job="%s"}`: 1,
		`websocket_messages_total{direction="receive",job="%s"}`:     messages,
		`websocket_message_duration_seconds_count{job="%s"}`:         messages,
		`websocket_errors_total{kind="handler",job="%s"}`:            1,
		`chat__heartbeats_sent{job="%s"}`:                            messages,
		`chat_handled_total{job="%s"}`:                               messages,
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
	// winston's http, verbose and debug are all details; silly is more than that.
	for level, want := range map[string]int{"error": 10, "warn": 10, "info": 10, "debug": 30, "trace": 10} {
		eventually(t, level+" log records with a trace", time.Minute, func() error {
			records, err := s.logs().Records(t.Context(), logstore.Query{
				Service: service, Level: level, Start: began, End: time.Now().Add(time.Minute), Limit: 1000,
			})
			records = slices.DeleteFunc(records, func(r logstore.Record) bool { return r.TraceID == "" })
			if err == nil && len(records) != want {
				err = fmt.Errorf("got %d, want %d", len(records), want)
			}
			return err
		})
	}
	eventually(t, "its traces in Jaeger", time.Minute, func() error {
		var answer struct{ Data []struct{} }
		err := fetch("http://"+s.at.JaegerQuery+"/api/traces?limit=1000&lookback=1h&service="+service, &answer)
		return errors.Join(err, atLeast("traces", float64(len(answer.Data)), messages))
	})
}

// startNode runs the service until the end of the test and returns the address of its metrics.
func (s *stack) startNode(t *testing.T, service string, messages int) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "node"))); err != nil {
		t.Fatal(err)
	}
	install := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("install what the service needs: %v\n%s", err, out)
	}
	node := exec.Command("node", "service.js", "http://"+s.at.CollectorLoki, fmt.Sprint(messages))
	node.Dir = dir
	node.Env = append(os.Environ(),
		"OTEL_SERVICE_NAME="+service,
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://"+s.at.CollectorOTLPHTTP,
		"OTEL_METRICS_EXPORTER=otlp", "OTEL_METRIC_EXPORT_INTERVAL=1000", "OTEL_METRIC_EXPORT_TIMEOUT=1000", "OTEL_LOGS_EXPORTER=none",
		"OTEL_BSP_SCHEDULE_DELAY=1000",
	)
	node.Stderr = os.Stderr
	stdout, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = node.Process.Kill()
		_ = node.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the service does not say where it listens: %v", err)
	}
	return strings.TrimSpace(address)
}
