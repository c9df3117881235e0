package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestProbe probes a demo and an address where nobody is.
func TestProbe(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	url := startedDemo(t)
	records, stop := started(t, "probe", "--target", "here="+url, "--target", "nowhere=ws://127.0.0.1:1/ws",
		"--interval", "4s", "--timeout", "4s", "--listen", "127.0.0.1:0")
	var begun struct{ Msg, Metrics string }
	if err := records.Decode(&begun); err != nil || begun.Msg != "probe started" {
		t.Fatalf("the first record is %+v (%v)", begun, err)
	}
	var failed struct{ Msg, Target, Phase, Error string }
	if err := records.Decode(&failed); err != nil || failed.Msg != "probe failed" || failed.Target != "nowhere" || failed.Phase != "connect" {
		t.Errorf("the second record is %+v (%v)", failed, err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		metrics := metricsAt(t, begun.Metrics)
		if strings.Contains(metrics, `websocket_probe_success{target="here"} 1`) && strings.Contains(metrics, `websocket_probe_success{target="nowhere"} 0`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the metrics are\n%s", metrics)
		}
	}
	stop()
}

func TestProbeRefuses(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	for want, args := range map[string][]string{
		"--target":        {"--target", "http://127.0.0.1"},
		"different names": {"--target", "a=ws://127.0.0.1", "--target", "a=ws://127.0.0.1"},
		"interval":        {"--interval", "1s", "--timeout", "2s"},
		"--auth-key-file": {"--auth-key-file", filepath.Join(t.TempDir(), "missing")},
		"--listen":        {"--listen", "127.0.0.1:none"},
	} {
		if err := execute(t.Context(), io.Discard, append([]string{"probe"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("probe %v: %v, want an error about %s", args, err, want)
		}
	}
}
