package gorilla_test

import (
	"context"
	"fmt"
	"io"
	"maps"
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

// TestStranger observes the chat server among gorilla's own examples, which knows nothing of this project: it changes the
// lines that the guide changes, no more than promised, builds the server, drives it and compares what it exports.
func TestStranger(t *testing.T) {
	dir := t.TempDir()
	if changed := strangersChat(t, dir); changed > maxChangedLines {
		t.Errorf("%d lines changed, want at most %d", changed, maxChangedLines)
	}
	base := runChat(t, buildChat(t, dir), dir)

	resp, err := http.Get(base + "/ws") // is no upgrade
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a request that is no upgrade was answered %d", resp.StatusCode)
	}
	anna, bert := dial(t, base+"/ws"), dial(t, base+"/ws")
	if err := anna.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*websocket.Conn{anna, bert} {
		if _, p, err := c.ReadMessage(); err != nil || string(p) != "hello" {
			t.Fatalf("read %q, %v", p, err)
		}
	}
	peerCloses(1000)(t, anna, nil)
	reset(t, bert)

	eventually(t, map[string]float64{
		`connections_total{status="connected"}`:                       2,
		`connections_total{status="bad_handshake"}`:                   1,
		`errors_total{kind="handshake"}`:                              1,
		`errors_total{kind="read"}`:                                   1,
		`disconnections_total{initiator="remote",reason="normal"}`:    1,
		`disconnections_total{initiator="network",reason="abnormal"}`: 1,
		`connection_duration_seconds_count{reason="normal"}`:          1,
		`connection_duration_seconds_count{reason="abnormal"}`:        1,
		`handshake_duration_seconds_count{status="connected"}`:        2,
		`handshake_duration_seconds_count{status="bad_handshake"}`:    1,
		`messages_total{direction="receive",type="other"}`:            1,
		`messages_total{direction="transmit",type="other"}`:           2,
		`message_size_bytes_count{direction="receive"}`:               1,
		`message_size_bytes_count{direction="transmit"}`:              2,
		`message_size_bytes_sum{direction="receive"}`:                 5,
		`message_size_bytes_sum{direction="transmit"}`:                10,
	}, func() map[string]float64 { return scrape(t, base+"/metrics") })
}

// strangersChat puts the patched example into dir and returns how many of its lines were changed or added.
func strangersChat(t *testing.T, dir string) int {
	t.Helper()
	source := filepath.Join(strings.TrimSpace(run(t, ".", "list", "-m", "-f", "{{.Dir}}", "github.com/gorilla/websocket")), "examples", "chat")
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
	if len(patch) > 0 {
		t.Errorf("the example has no file for %v", maps.Collect(maps.All(patch)))
	}
	return changed
}

// A hunk replaces the old lines, which may be none, from a line on.
type hunk struct {
	at       int // the index of the first line that is replaced, or is behind what is added
	old, new []string
}

type hunks []hunk

// readPatch reads a unified diff without context, by file.
func readPatch(t *testing.T, name string) map[string]hunks {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	header := regexp.MustCompile(`^@@ -(\d+)(,0)? \+`)
	patch, file := map[string]hunks{}, ""
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSuffix(line, "\n")
		last := len(patch[file]) - 1
		switch m := header.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "--- "):
		case strings.HasPrefix(line, "+++ b/"):
			file = strings.TrimPrefix(line, "+++ b/")
		case m != nil:
			at, _ := strconv.Atoi(m[1])
			if m[2] == "" {
				at-- // the line itself is replaced, not added after
			}
			patch[file] = append(patch[file], hunk{at: at})
		case last >= 0 && strings.HasPrefix(line, "-"):
			patch[file][last].old = append(patch[file][last].old, line[1:])
		case last >= 0 && strings.HasPrefix(line, "+"):
			patch[file][last].new = append(patch[file][last].new, line[1:])
		default:
			t.Fatalf("%s: unexpected line %q", name, line)
		}
	}
	return patch
}

// apply returns the content with the hunks applied, and how many lines were changed or added.
func (h hunks) apply(t *testing.T, content string) (string, int) {
	t.Helper()
	lines := strings.Split(content, "\n")
	var patched []string
	changed, done := 0, 0
	for _, hunk := range h {
		patched = append(patched, lines[done:hunk.at]...)
		done = hunk.at + len(hunk.old)
		if diff := cmp.Diff(hunk.old, lines[hunk.at:done:done], cmp.Transformer("", func(s []string) string { return strings.Join(s, "\n") })); diff != "" {
			t.Fatalf("the example is not what the patch is for, -patch +example:\n%s", diff)
		}
		patched = append(patched, hunk.new...)
		changed += max(len(hunk.old), len(hunk.new))
	}
	return strings.Join(append(patched, lines[done:]...), "\n"), changed
}

// buildChat builds the server in a module of its own, with the versions that this module has, and returns the program.
func buildChat(t *testing.T, dir string) string {
	t.Helper()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	const adapter, core = "github.com/sockscope/sockscope/instrument/ws/gorilla", "github.com/sockscope/sockscope/instrument"
	corePath := strings.TrimSpace(run(t, ".", "list", "-m", "-f", "{{.Dir}}", core))
	chat := regexp.MustCompile(`(?m)^replace .*$`).ReplaceAllString(string(mod), "")
	chat = strings.Replace(chat, "module "+adapter, "module chat", 1)
	chat += fmt.Sprintf("require %s v0.0.0\nreplace %s => %s\nreplace %s => %s\n", adapter, adapter, here, core, corePath)
	sum, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"go.mod": chat, "go.sum": string(sum)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "chat.exe")
	run(t, dir, "build", "-o", program, ".")
	return program
}

// run runs the go command and returns what it prints.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// runChat runs the server until the test ends and returns its address.
func runChat(t *testing.T, program, dir string) string {
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
			return "http://" + addr
		}
	}
	t.Fatal("the server does not listen")
	return ""
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
