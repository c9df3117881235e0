// Package examples_test keeps the guide and its programs true.
package examples_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// Every code block of the guide that names a file is that file, to the byte.
func TestGuideShowsTheFiles(t *testing.T) {
	guide, err := os.ReadFile("../instrument-your-service.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```[a-z]+ (\\S+)\n(.*?)^```$")
	var shown []string
	for _, block := range blocks.FindAllStringSubmatch(string(guide), -1) {
		shown = append(shown, block[1])
		file, err := os.ReadFile(filepath.Join("../..", block[1]))
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(string(file), block[2]); diff != "" {
			t.Errorf("the guide shows another %s than there is (-file +guide):\n%s", block[1], diff)
		}
	}
	want := []string{
		"docs/examples/coder/main.go", "instrument/ws/gorilla/testdata/chat.patch", "docs/examples/gorilla/main.go",
		"docs/examples/gobwas/main.go", "docs/examples/sse/main.go", "docs/examples/clock_test.go",
	}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("files that the guide shows (-want +got):\n%s", diff)
	}
}

func TestPrograms(t *testing.T) {
	for _, tt := range []struct {
		program, connected string
		connect            func(ctx context.Context, t *testing.T, address string) (ended func())
	}{
		{
			"coder", `websocket_connections_total{namespace="echo",status="connected"} 1`, echo,
		},
		{
			"gorilla", `websocket_connections_total{namespace="echo",status="connected"} 1`, echo,
		},
		{
			"gobwas", `websocket_connections_total{namespace="echo",status="connected"} 1`, echo,
		},
		{
			"sse", `sse_connections_total{namespace="clock",status="connected"} 1`, listen,
		},
	} {
		t.Run(tt.program, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			binary := filepath.Join(t.TempDir(), tt.program)
			if out, err := exec.Command("go", "build", "-o", binary, "./"+tt.program).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			program, lines, address := start(ctx, t, binary)

			ended := tt.connect(ctx, t, address)
			if metrics := get(ctx, t, "http://"+address+"/metrics"); !strings.Contains(metrics, tt.connected+"\n") {
				t.Errorf("/metrics lacks %s:\n%s", tt.connected, metrics)
			}
			if err := program.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			ended()
			rest := new(strings.Builder)
			for lines.Scan() {
				rest.WriteString(lines.Text() + "\n")
			}
			if err := program.Wait(); err != nil {
				t.Errorf("after SIGTERM: %v", err)
			}
			if !strings.Contains(rest.String(), `"msg":"connection closed"`) || !strings.Contains(rest.String(), `"shutdown"`) {
				t.Errorf("the log does not tell that the connection was closed for the shutdown:\n%s", rest)
			}
		})
	}
}

// start runs a program on a free port and returns its address, which it logs, and the lines that it logs next.
func start(ctx context.Context, t *testing.T, binary string) (*exec.Cmd, *bufio.Scanner, string) {
	t.Helper()
	program := exec.CommandContext(ctx, binary, "-listen", "127.0.0.1:0")
	program.Env = append(os.Environ(), "OTEL_SDK_DISABLED=true") // there is no Collector beside this test
	program.Stderr = os.Stderr
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var record struct{ Msg, Address string }
		if err := json.Unmarshal(lines.Bytes(), &record); err == nil && record.Msg == "listening" {
			return program, lines, record.Address
		}
	}
	t.Fatalf("the program has ended before it listened: %v", program.Wait())
	return nil, nil, ""
}

// echo is a client that gets its message back, and is told at the end that the server goes away.
func echo(ctx context.Context, t *testing.T, address string) func() {
	conn, _, err := websocket.Dial(ctx, "ws://"+address+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.Read(ctx); err != nil || string(got) != "hello" {
		t.Fatalf("echo: %q, %v", got, err)
	}
	return func() {
		_, _, err := conn.Read(ctx)
		if code := websocket.CloseStatus(err); code != websocket.StatusGoingAway {
			t.Errorf("the connection ended with %v, want going away", err)
		}
	}
}

// listen is a client that gets an event, and the end of the stream at the end.
func listen(ctx context.Context, t *testing.T, address string) func() {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	events := bufio.NewReader(response.Body)
	if line, err := events.ReadString('\n'); err != nil || line != "event: tick\n" {
		t.Fatalf("first line: %q, %v", line, err)
	}
	return func() {
		if _, err := io.Copy(io.Discard, events); err != nil {
			t.Errorf("the stream broke: %v", err)
		}
	}
}

func get(ctx context.Context, t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
