package prometheus_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/tool"
)

// TestAlertsSayWhichServiceTheyAreAbout runs Prometheus with the shipped settings and alerts of its own, and looks at
// what reaches Alertmanager.
func TestAlertsSayWhichServiceTheyAreAbout(t *testing.T) {
	want := map[string]string{ // by job and the label that the rule sets itself
		"sockscope-demo ":  "sockscope-demo",
		"sockscope-probe ": "sockscope-demo",
		"loki ":            "loki",
		"loki logs":        "logs",
		" ":                "",
	}
	type alert struct {
		Labels map[string]string `json:"labels"`
	}
	received := make(chan []alert, 100)
	alertmanager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var alerts []alert
		if err := json.NewDecoder(r.Body).Decode(&alerts); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case received <- alerts:
		default: // the test has seen enough
		}
	}))
	defer alertmanager.Close()

	dir := t.TempDir()
	config, err := os.ReadFile("prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules strings.Builder
	rules.WriteString("groups:\n- name: test\n  interval: 100ms\n  rules:\n")
	for key := range want {
		job, service, _ := strings.Cut(key, " ")
		fmt.Fprintf(&rules, "  - {alert: Test, expr: vector(1), labels: {job: %q, service: %q, key: %q}}\n", job, service, key)
	}
	for path, content := range map[string]string{
		"prometheus.yml":           regexp.MustCompile(`(?ms)^scrape_configs:.*`).ReplaceAllString(string(config), ""),
		"rules/test.yml":           rules.String(),
		"targets/alertmanager.yml": "- targets: [" + alertmanager.Listener.Addr().String() + "]\n",
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(tool.Path(t, "prometheus"), "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--enable-feature=exemplar-storage", "--rules.alert.resend-delay=100ms")
	log := new(strings.Builder)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := command.Process.Kill(); err != nil {
			t.Errorf("stop Prometheus: %v", err)
		}
		_ = command.Wait() // "signal: killed"
		if t.Failed() {
			t.Log(log)
		}
	})

	got := map[string]string{}
	for deadline := time.After(time.Minute); len(got) < len(want); {
		select {
		case alerts := <-received:
			for _, a := range alerts {
				got[a.Labels["key"]] = a.Labels["service"]
			}
		case <-deadline:
			t.Fatalf("only alerts with %v arrived", got)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}
