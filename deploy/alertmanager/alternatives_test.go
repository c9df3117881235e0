package alertmanager_test

import (
	"bufio"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/internal/tool"
)

// TestAlternatives checks the settings of the other services and sees what Alertmanager sends with them.
func TestAlternatives(t *testing.T) {
	amtool := tool.Path(t, "amtool")
	for name, want := range map[string][]string{
		"opsgenie.yml": {`"message":"Messages of (chat) [are handled] slowly"`, `"priority":"P1"`, "* WebSocketLatencyHigh of demo/chat: p99: 2s (since ", `"Runbook":"` + runbook + `"`},
		"teams.yml":    {`"text":"CRITICAL: Messages of (chat) (are handled) slowly"`, `- p99: 2s (since `, `[Runbook](` + runbook + `)`},
		"webhook.yml":  {`"alertname":"WebSocketLatencyHigh"`, `"truncatedAlerts":0`},
		"email.yml":    {"Subject: CRITICAL: Messages of (chat) [are handled] slowly", "* WebSocketLatencyHigh of demo/chat: p99: 2s (since ", "Runbook:   " + runbook},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &routing{changed: make(chan struct{})}
			server := httptest.NewServer(r.record(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })))
			defer server.Close()
			dir := settings(t, func(text string) string {
				return shorter(strings.NewReplacer(
					"https://api.opsgenie.com/ ", server.URL+"/ ",
					"smtp.example.com:587", r.mailbox(t)+"\n        require_tls: false",
					"        auth_username: alertmanager@example.com\n", "",
					"  receiver: ", "  group_wait: 0s\n  receiver: ",
				).Replace(text))
			})
			for _, secret := range []string{"webhook_url", "teams_webhook_url"} {
				if err := os.WriteFile(filepath.Join(dir, "secrets", secret), []byte(server.URL), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, secret := range []string{"opsgenie_api_key", "smtp_password"} {
				if err := os.WriteFile(filepath.Join(dir, "secrets", secret), []byte("secret"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, "alternatives", name)
			out, err := exec.Command(amtool, "check-config", "--enable-feature=utf8-strict-mode", path).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "1 templates") {
				t.Fatalf("amtool check-config: %v\n%s", err, out)
			}
			r.runAlertmanager(t, path)
			slow := slowMessages()
			slow.Annotations["summary"] = "Messages of (chat) [are handled] slowly"
			r.post(t, slow)
			r.await(t, fmt.Sprintf("a notification with %q", want), func() bool {
				for _, path := range []string{"/", "/v2/alerts", "mail"} {
					if len(r.all(path, want...)) > 0 {
						return true
					}
				}
				return false
			})
		})
	}
}

// mailbox takes mail until the test ends and returns its address.
func (r *routing) mailbox(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // the test has ended
			}
			go r.takeMail(conn)
		}
	}()
	return l.Addr().String()
}

// takeMail speaks as much SMTP as it needs for one connection.
func (r *routing) takeMail(conn net.Conn) {
	defer conn.Close()
	_, _ = io.WriteString(conn, "220 mailbox\r\n")
	lines := bufio.NewScanner(conn)
	var mail strings.Builder
	data := false
	for lines.Scan() {
		line := lines.Text()
		answer := "250 ok\r\n"
		switch {
		case data && line == ".":
			data = false
			text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(mail.String())))
			if err != nil {
				return // the client is broken, and the test will miss the mail
			}
			r.keep(request{"mail", string(text), http.StatusOK})
		case data:
			mail.WriteString(line + "\n")
			continue
		case line == "QUIT":
			answer = "221 bye\r\n"
		case line == "DATA":
			data, answer = true, "354 go on\r\n"
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}
