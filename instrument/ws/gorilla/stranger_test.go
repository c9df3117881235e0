package gorilla_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
)

// maxChangedLines is what the guide promises.
const maxChangedLines = 10

// TestStranger observes the chat server among gorilla's own examples, which knows nothing of this project: it changes
// the lines that the guide changes, no more than promised, builds the server, drives it and compares what it exports.
func TestStranger(t *testing.T) {
	dir := t.TempDir()
	if changed := strangersChat(t, dir); changed > maxChangedLines {
		t.Errorf("%d lines changed, want at most %d", changed, maxChangedLines)
	}
	hurry(t, filepath.Join(dir, "client.go"))
	s := runChat(t, buildChat(t, dir), dir)

	s.refuses(t, http.StatusBadRequest, http.Header{})
	evil := upgradeHeader()
	evil.Set("Origin", "https://evil.example")
	s.refuses(t, http.StatusForbidden, evil)

	// A client that says hello and hears it is known to the server, so all counts are certain then.
	anna, bert, dora, emil := s.join(t), s.join(t), s.join(t), s.join(t)
	s.join(t) // carl, who later reads no more, and so answers no ping
	s.say(t, anna, "hello")
	if active := scrape(t, s.url+"/metrics")[`active_connections{namespace="chat"}`]; active != 5 {
		t.Errorf("%v active connections, want 5", active)
	}

	peerCloses(1001)(t, bert, nil)
	reset(t, dora)
	if err := emil.WriteMessage(websocket.TextMessage, make([]byte, 513)); err != nil { // one byte too many
		t.Error(err)
	}
	if err := readToEnd(emil); !websocket.IsCloseError(err, 1009) {
		t.Errorf("a message above the limit was answered by %v", err)
	}
	leaveAfterPong(t, anna)

	exports(t, s.url+"/metrics", map[string]float64{
		`connections_total{status="connected"}`:                            5,
		`connections_total{status="bad_handshake"}`:                        1,
		`connections_total{status="forbidden"}`:                            1,
		`handshake_duration_seconds_count{status="connected"}`:             5,
		`handshake_duration_seconds_count{status="bad_handshake"}`:         1,
		`handshake_duration_seconds_count{status="forbidden"}`:             1,
		`errors_total{kind="handshake"}`:                                   1,
		`errors_total{kind="auth"}`:                                        1,
		`errors_total{kind="read"}`:                                        2,
		`errors_total{kind="timeout"}`:                                     1,
		`disconnections_total{initiator="remote",reason="normal"}`:         1,
		`disconnections_total{initiator="remote",reason="going_away"}`:     1,
		`disconnections_total{initiator="network",reason="ping_timeout"}`:  1,
		`disconnections_total{initiator="network",reason="abnormal"}`:      1,
		`disconnections_total{initiator="local",reason="message_too_big"}`: 1,
		`connection_duration_seconds_count{reason="normal"}`:               1,
		`connection_duration_seconds_count{reason="going_away"}`:           1,
		`connection_duration_seconds_count{reason="ping_timeout"}`:         1,
		`connection_duration_seconds_count{reason="abnormal"}`:             1,
		`connection_duration_seconds_count{reason="message_too_big"}`:      1,
		`pings_total{result="pong"}`:                                       1,
		`pings_total{result="timeout"}`:                                    1,
		`ping_rtt_seconds_count{namespace="chat"}`:                         1,
		`messages_total{direction="receive",type="other"}`:                 6,
		`messages_total{direction="transmit",type="other"}`:                1 + 2 + 3 + 4 + 5 + 5,
		`message_size_bytes_count{direction="receive"}`:                    6,
		`message_size_bytes_count{direction="transmit"}`:                   20,
		`message_size_bytes_sum{direction="receive"}`:                      6 * 5,
		`message_size_bytes_sum{direction="transmit"}`:                     20 * 5,
	})
}

// leaveAfterPong waits for a ping, answers it and closes.
func leaveAfterPong(t *testing.T, c *websocket.Conn) {
	t.Helper()
	answer := c.PingHandler()
	c.SetPingHandler(func(payload string) error {
		if err := answer(payload); err != nil {
			return err
		}
		return closeFrame(c, 1000)
	})
	_ = c.SetReadDeadline(time.Now().Add(deadline))
	if err := readToEnd(c); !websocket.IsCloseError(err, 1000) {
		t.Errorf("after a ping: %v", err)
	}
}

// hurry shortens the minute for which the server waits for a pong, lest the test takes as long.
func hurry(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	hasty := string(content)
	for patient, value := range map[string]string{
		"pongWait = 60 * time.Second":      "5 * time.Second",
		"pingPeriod = (pongWait * 9) / 10": "pongWait * 3 / 5",
	} {
		name, _, _ := strings.Cut(patient, " = ")
		if strings.Count(hasty, patient) != 1 {
			t.Fatalf("%s has no %q", file, patient)
		}
		hasty = strings.Replace(hasty, patient, name+" = "+value, 1)
	}
	if err := os.WriteFile(file, []byte(hasty), 0o600); err != nil {
		t.Fatal(err)
	}
}

// chat is the server as its users see it.
type chat struct {
	url   string
	users []*websocket.Conn
}

// refuses wants a request to be refused.
func (s *chat) refuses(t *testing.T, status int, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != status {
		t.Errorf("answered %d, want %d", resp.StatusCode, status)
	}
}

// join connects a user who says hello.
func (s *chat) join(t *testing.T) *websocket.Conn {
	t.Helper()
	c := dial(t, s.url+"/ws")
	s.users = append(s.users, c)
	s.say(t, c, "hello")
	return c
}

// say has all users hear what one of them says.
func (s *chat) say(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.users {
		if _, p, err := c.ReadMessage(); err != nil || string(p) != text {
			t.Fatalf("read %q, %v, want %q", p, err, text)
		}
	}
}

// strangersChat puts the patched example into dir and returns how many of its lines were changed or added.
func strangersChat(t *testing.T, dir string) int {
	t.Helper()
	transport := strings.TrimSpace(run(t, ".", "list", "-m", "-f", "{{.Dir}}", "github.com/gorilla/websocket"))
	source := filepath.Join(transport, "examples", "chat")
	files, err := filepath.Glob(filepath.Join(source, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no example in %s: %v", source, err)
	}
	patch := readPatch(t, filepath.Join("testdata", "chat.patch"))
	changed := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		patched, n := patch[name].apply(t, string(content))
		delete(patch, name)
		changed += n
		if err := os.WriteFile(filepath.Join(dir, name), []byte(patched), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name := range patch {
		t.Errorf("the example has no file %s", name)
	}
	return changed
}

// buildChat builds the server in a module of its own, with the versions that this module has, and returns the program.
func buildChat(t *testing.T, dir string) string {
	t.Helper()
	module, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	const path = "github.com/sockscope/sockscope/instrument"
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			t.Fatal(err)
		}
		chat := strings.Replace(string(content), "module "+path, "module chat", 1)
		if name == "go.mod" {
			chat += fmt.Sprintf("require %s v0.0.0\nreplace %s => %s\n", path, path, module)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(chat), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "chat.exe")
	run(t, dir, "build", "-mod=mod", "-o", program, ".")
	return program
}

// run runs the go command and returns what it prints.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// runChat runs the server until the test ends.
func runChat(t *testing.T, program, dir string) *chat {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "-addr", addr)
	cmd.Dir = dir
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
		http.DefaultClient.CloseIdleConnections()
		if t.Failed() {
			t.Logf("the server said:\n%s", log.String())
		}
	})
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return &chat{url: "http://" + addr}
		}
	}
	t.Fatal("the server does not listen")
	return nil
}

// exports waits until the server exports exactly these series, beside those that measure time.
func exports(t *testing.T, url string, want map[string]float64) {
	t.Helper()
	var diff string
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if diff = cmp.Diff(want, scrape(t, url)); diff == "" {
			return
		}
	}
	t.Errorf("metrics, -want +got:\n%s", diff)
}

// scrape returns the samples about WebSockets that are not 0, without what measures time.
func scrape(t *testing.T, url string) map[string]float64 {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		name, found := strings.CutPrefix(name+"}", "websocket_")
		if !found || strings.Contains(name, "_bucket{") || strings.Contains(name, "_seconds_sum{") ||
			strings.HasPrefix(name, "last_message_timestamp_seconds") {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if v != 0 {
			got[regexp.MustCompile(`namespace="chat",|,namespace="chat"`).ReplaceAllString(name, "")] = v
		}
	}
	return got
}
