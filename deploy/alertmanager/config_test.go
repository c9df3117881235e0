package alertmanager_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/tool"
)

const config = "alertmanager.yml"

func TestConfigLoads(t *testing.T) {
	amtool := tool.Path(t, "amtool")
	for name, edit := range map[string]func(string) string{
		"as shipped": unchanged,
		"with a routing key of one's own": func(text string) string {
			return regexp.MustCompile(`(?m)^  pagerduty_url: .*\n`).ReplaceAllString(text, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := exec.Command(amtool, "check-config", "--enable-feature=utf8-strict-mode", filepath.Join(settings(t, edit), config)).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "1 templates") {
				t.Errorf("amtool check-config: %v\n%s", err, out)
			}
		})
	}
}

// TestOneLineIsTheDesk makes sure that what starts the stack finds the line that it leaves out.
func TestOneLineIsTheDesk(t *testing.T) {
	if lines := regexp.MustCompile(`(?m)^.*desk:8090.*$`).FindAllString(read(t, config), -1); len(lines) != 1 || !strings.HasPrefix(lines[0], "  pagerduty_url: ") {
		t.Errorf("the lines with the desk are %q, want one that is pagerduty_url", lines)
	}
}

// Deprecated matchers; and PagerDuty's Events API v1, which ignores pagerduty_url and so could not be tried out.
func TestConfigHasNothingDeprecated(t *testing.T) {
	old := regexp.MustCompile(`(?m)^\s*-?\s*((source_|target_)?match(_re)?|service_key(_file)?):`)
	for _, path := range append(glob(t, "alternatives/*.yml"), config) {
		if found := old.FindString(read(t, path)); found != "" {
			t.Errorf("%s has %q", path, strings.TrimSpace(found))
		}
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
		{"pagerduty,slack", "alertname=WebSocketSilentStall severity=critical job=demo namespace=chat service=demo"},
		{"pagerduty,slack", "alertname=WebSocketProbeFailing severity=critical job=probe target=eu service=demo"},
		{"pagerduty,slack", "alertname=WebSocketBackplaneDown severity=critical job=demo service=demo"},
		{"pagerduty,slack", "alertname=RealtimeTargetMissing severity=critical job=demo service=demo"},
		{"pagerduty,slack", "alertname=SomethingNew severity=critical"},
		{"pagerduty,slack", "alertname=NotifyTest severity=critical job=notify-test"},
		{"slack", "alertname=NotifyTest severity=warning job=notify-test"},
		{"slack", "alertname=WebSocketProbeSlow severity=warning job=probe target=eu"},
		{"slack", "alertname=HighConnectionDropRate severity=warning job=demo namespace=chat service=demo"},
		{"slack", "alertname=ActiveConnectionsSpiking severity=warning job=demo namespace=chat"},
		{"slack", "alertname=RealtimeTargetDown severity=warning job=demo instance=a:8080"},
		{"slack", "alertname=SomethingNew severity=Critical"},
		{"slack", "alertname=SomethingNew severity=page"},
		{"slack", "alertname=SomethingWithoutSeverity"},
		{"dashboards", "alertname=WebSocketConnectionImbalance severity=info job=demo"},
		{"dashboards", "alertname=Heartbeat severity=none"},
		{"watchdog", "alertname=Watchdog severity=none"},
		{"watchdog", "alertname=Watchdog severity=critical service=prometheus"},
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
