package alertmanager_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/tool"
)

const (
	config = "alertmanager.yml"
	paging = "alertmanager.paging.yml"
)

func TestConfigLoads(t *testing.T) {
	amtool := tool.Path(t, "amtool")
	for _, file := range []string{config, paging} {
		out, err := exec.Command(amtool, "check-config", file).CombinedOutput()
		if err != nil {
			t.Errorf("amtool check-config %s: %v\n%s", file, err, out)
		}
	}
}

func TestPagingConfigDiffersInOneLine(t *testing.T) {
	var want []string
	lines := strings.Split(read(t, config), "\n")
	for _, line := range lines {
		if !strings.Contains(line, "pagerduty_url:") {
			want = append(want, line)
		}
	}
	if len(lines)-len(want) != 1 {
		t.Fatalf("%s has %d lines with pagerduty_url, want 1", config, len(lines)-len(want))
	}
	if diff := cmp.Diff(want, strings.Split(read(t, paging), "\n")); diff != "" {
		t.Errorf("%s is not %s without its pagerduty_url (-want +got):\n%s", paging, config, diff)
	}
}

// Deprecated matchers; and PagerDuty's Events API v1, which ignores
// pagerduty_url and so could not be tried out.
func TestConfigHasNothingDeprecated(t *testing.T) {
	old := regexp.MustCompile(`(?m)^\s*-?\s*((source_|target_)?match(_re)?|service_key(_file)?|opsgenie_configs):`)
	if found := old.FindString(read(t, config)); found != "" {
		t.Errorf("%s has %q", config, strings.TrimSpace(found))
	}
}

func TestSecretsAreFilesAndComplete(t *testing.T) {
	text := read(t, config)
	var want []string
	for _, found := range regexp.MustCompile(`_file: /etc/alertmanager/secrets/(\w+)`).FindAllStringSubmatch(text, -1) {
		want = append(want, found[1])
	}
	slices.Sort(want)
	var got []string
	for _, path := range glob(t, "secrets/desk/*") {
		got = append(got, filepath.Base(path))
	}
	if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
		t.Errorf("files in secrets/desk are not those that %s names (-named +existing):\n%s", config, diff)
	}
	if inline := regexp.MustCompile(`(?m)^.*(\b(routing_key|api_url|password|token)|- url): .*$`).FindString(text); inline != "" {
		t.Errorf("%s has a secret in it: %s", config, inline)
	}
	key := strings.TrimSpace(read(t, "secrets/desk/pagerduty_routing_key"))
	if !regexp.MustCompile(`^[A-Za-z0-9]{32}$`).MatchString(key) {
		t.Errorf("routing key %q is not one that PagerDuty, and so the desk, would take", key)
	}
}

func TestRoutes(t *testing.T) {
	amtool := tool.Path(t, "amtool")
	for _, test := range []struct{ receivers, labels string }{
		{"pagerduty,slack", "alertname=WebSocketLatencyHigh severity=critical job=demo namespace=chat"},
		{"pagerduty,slack", "alertname=WebSocketSilentStall severity=critical job=demo namespace=chat"},
		{"pagerduty,slack", "alertname=WebSocketProbeFailing severity=critical job=probe target=eu"},
		{"slack", "alertname=WebSocketProbeSlow severity=warning job=probe target=eu"},
		{"slack", "alertname=HighConnectionDropRate severity=warning job=demo namespace=chat"},
		{"slack", "alertname=ActiveConnectionsSpiking severity=warning job=demo namespace=chat"},
		{"slack", "alertname=RealtimeTargetDown severity=warning job=demo instance=a:8080"},
		{"watchdog", "alertname=Watchdog severity=none"},
		{"watchdog", "alertname=Watchdog severity=critical"},
		{"default", "alertname=Heartbeat severity=none"},
		{"default", "alertname=SomethingNew severity=info job=demo"},
		{"default", "alertname=SomethingNew severity=Critical"},
		{"default", "alertname=SomethingWithoutSeverity"},
	} {
		t.Run(test.labels, func(t *testing.T) {
			args := []string{"config", "routes", "test", "--config.file=" + config, "--verify.receivers=" + test.receivers}
			out, err := exec.Command(amtool, append(args, strings.Fields(test.labels)...)...).CombinedOutput()
			if err != nil {
				t.Errorf("goes to %s, want %s", strings.TrimSpace(string(out)), test.receivers)
			}
		})
	}
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
