package grafana_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sockscope/sockscope/internal/tool"
)

// patience is when a test gives up on a Grafana that migrates its new database.
const patience = 2 * time.Minute

// TestGrafanaLoadsEverything has a real Grafana read the files and compares what it then has with them. Grafana is not
// built here, so without one the test only says that it did not run.
func TestGrafanaLoadsEverything(t *testing.T) {
	binary, installed := tool.Installed(t, "grafana")
	if !installed {
		return
	}
	// Grafana has no data source for VictoriaLogs of its own.
	address := startGrafana(t, binary)
	for _, source := range dataSources(t, "loki") {
		var got struct {
			Type     string `json:"type"`
			ReadOnly bool   `json:"readOnly"`
		}
		fetch(t, address+"/api/datasources/uid/"+source.UID, &got)
		if got.Type != source.Type || !got.ReadOnly {
			t.Errorf("data source %s is %+v in Grafana, want a read-only %s", source.UID, got, source.Type)
		}
	}
	for name, want := range boards(t, "loki") {
		var got struct {
			Meta struct {
				Provisioned bool `json:"provisioned"`
			} `json:"meta"`
			Dashboard struct {
				Title  string `json:"title"`
				Panels []any  `json:"panels"`
			} `json:"dashboard"`
		}
		fetch(t, address+"/api/dashboards/uid/"+want.UID, &got)
		if got.Dashboard.Title != want.Title || len(got.Dashboard.Panels) != len(want.Panels) || !got.Meta.Provisioned {
			t.Errorf("%s is %q with %d panels in Grafana, want %q with %d, provisioned", name, got.Dashboard.Title,
				len(got.Dashboard.Panels), want.Title, len(want.Panels))
		}
	}
}

// startGrafana runs Grafana with these files until the end of the test and returns its address.
func startGrafana(t *testing.T, binary string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := listener.Addr().String()
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	var output bytes.Buffer
	grafana := exec.CommandContext(ctx, binary, "server", "--homepath="+homeOf(t, binary))
	grafana.Stdout, grafana.Stderr = &output, &output
	grafana.Env = append(os.Environ(),
		"GF_SERVER_HTTP_ADDR=127.0.0.1", "GF_SERVER_HTTP_PORT="+port,
		"GF_PATHS_DATA="+data, "GF_PATHS_LOGS="+data, "GF_PATHS_PLUGINS="+filepath.Join(data, "plugins"),
		"GF_PATHS_PROVISIONING="+filepath.Join(here, "provisioning"), "DASHBOARDS_DIR="+filepath.Join(here, "dashboards"),
		"GF_AUTH_ANONYMOUS_ENABLED=true", "GF_AUTH_ANONYMOUS_ORG_ROLE=Admin",
		"GF_PLUGINS_PREINSTALL_DISABLED=true", "GF_ANALYTICS_REPORTING_ENABLED=false", "GF_ANALYTICS_CHECK_FOR_UPDATES=false",
		"PROMETHEUS_URL=http://127.0.0.1:1", "JAEGER_URL=http://127.0.0.1:1", "LOKI_URL=http://127.0.0.1:1", "DESK_URL=http://127.0.0.1:1",
	)
	if err := grafana.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- grafana.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Logf("Grafana says:\n%s", output.Bytes())
		}
	})
	for deadline := time.Now().Add(patience); ; {
		response, err := http.Get("http://" + host + "/api/health")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return "http://" + host
			}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("Grafana has ended: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("Grafana is not ready after %s: %v", patience, err)
		}
	}
}

// homeOf returns the folder of Grafana's own files: beside bin in an unpacked archive, in a fixed place where a package
// has put it.
func homeOf(t *testing.T, binary string) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(binary)
	if err != nil {
		t.Fatal(err)
	}
	for _, home := range []string{filepath.Dir(filepath.Dir(path)), "/usr/share/grafana"} {
		if _, err := os.Stat(filepath.Join(home, "conf", "defaults.ini")); err == nil {
			return home
		}
	}
	t.Fatalf("the files of %s are neither beside it nor in /usr/share/grafana", binary)
	return ""
}

func fetch(t *testing.T, address string, into any) {
	t.Helper()
	response, err := http.Get(address)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", response.Status)
	}
	if err == nil {
		err = json.NewDecoder(response.Body).Decode(into)
		_ = response.Body.Close()
	}
	if err != nil {
		t.Errorf("get %s: %v", address, err)
	}
}
