//go:build e2e && unix

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/internal/logstore"
)

// testGRPCClient has a client in another language call the demo in all four ways, and looks for what the stack has of
// it.
func (s *stack) testGRPCClient(t *testing.T) {
	began := time.Now()
	token, err := auth.RequestToken(t.Context(), http.DefaultClient, "http://"+s.at.Demo+"/auth/token", "nora")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "grpc"))); err != nil {
		t.Fatal(err)
	}
	npmInstall(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := exec.CommandContext(ctx, "node", "client.js", s.at.DemoGRPC, token, filepath.Join(root(t), "demo", "proto"), "node-grpc")
	client.Dir, client.Stderr = dir, os.Stderr
	out, err := client.Output()
	if err != nil {
		t.Fatalf("the client: %v\n%s", err, out)
	}
	var got []map[string]any
	for line := range strings.Lines(string(out)) {
		var call map[string]any
		if err := json.Unmarshal([]byte(line), &call); err != nil {
			t.Fatal(err)
		}
		if call["saved_id"] != nil {
			call["saved_id"] = call["saved_id"] != ""
		}
		got = append(got, call)
	}
	want := []map[string]any{
		{"call": "refused", "code": "UNAUTHENTICATED", "details": true},
		{"call": "SendMessage", "saved_id": true, "seq": 1.0},
		{"call": "SubscribeMessages", "text": "by call", "seq": 1.0},
		{"call": "Chat", "text": "by chat", "saved_id": true, "seq": 2.0},
		{"call": "UploadLogs", "written": 1.0, "dropped": 1.0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the client has got (-want +got):\n%s", diff)
	}
	for query, want := range map[string]float64{
		`grpc_stream_connections_total{job="sockscope-demo", status="connected"}`:          3,
		`grpc_stream_disconnections_total{job="sockscope-demo", reason="going_away"}`:      2,
		`grpc_stream_disconnections_total{job="sockscope-demo", reason="normal"}`:          1,
		`grpc_message_duration_seconds_count{job="sockscope-demo", type=~".*SendMessage"}`: 2,
		`job_namespace:grpc_stream_active_connections:sum{job="sockscope-demo"} + 1`:       1,
	} {
		eventually(t, query, time.Minute, func() error {
			value, err := s.metric(query)
			if err == nil && value != want {
				err = fmt.Errorf("got %g, want %g", value, want)
			}
			return err
		})
	}
	eventually(t, "the uploaded record", time.Minute, func() error {
		records, err := s.logs().Records(t.Context(), logstore.Query{
			Service: "sockscope-demo", Start: began, End: time.Now().Add(time.Minute), Limit: 1000,
		})
		for _, r := range records {
			if r.Message == "log record uploaded" && slices.ContainsFunc(r.Fields, func(f logstore.Field) bool { return f.Key == "connection_id" }) {
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("it is not among %d records", len(records)))
	})
}

// npmInstall installs what a package in a folder needs.
func npmInstall(t *testing.T, dir string) {
	t.Helper()
	install := exec.CommandContext(t.Context(), "npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("install what a package needs: %v\n%s", err, out)
	}
}
