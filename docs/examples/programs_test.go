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
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// deadline is when a test gives up once its program is built; nothing in the tests waits for it to pass.
const deadline = 60 * time.Second

func TestPrograms(t *testing.T) {
	for _, tt := range []struct {
		program, connected string
		connect            func(ctx context.Context, t *testing.T, address string) (ended func())
		args               []string
	}{
		{
			program: "coder", connect: echo,
			connected: `websocket_connections_total{namespace="echo",status="connected"} 1`,
		},
		{
			program: "gorilla", connect: echo,
			connected: `websocket_connections_total{namespace="echo",status="connected"} 1`,
		},
		{
			program: "gobwas", connect: echo,
			connected: `websocket_connections_total{namespace="echo",status="connected"} 1`,
		},
		{
			program: "sse", connect: listen,
			connected: `sse_connections_total{namespace="clock",status="connected"} 1`,
		},
		{
			program: "grpc", connect: watch, args: []string{"-metrics", "127.0.0.1:0"},
			connected: `grpc_stream_connections_total{namespace="health",status="connected"} 1`,
		},
	} {
		t.Run(tt.program, func(t *testing.T) {
			t.Parallel()
			binary := build(t, tt.program)
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			p := start(ctx, t, binary, tt.args...)
			ended := tt.connect(ctx, t, p.address)
			p.exposes(ctx, t, tt.connected)
			p.terminate(t)
			ended()
			p.wait(t)
			if closed := p.logged("connection closed"); len(closed) == 0 || closed[0].Reason != "shutdown" {
				t.Errorf("the log does not tell that the connection was closed for the shutdown: %v", closed)
			}
		})
	}
}

// A program is one that runs.
type program struct {
	cmd     *exec.Cmd
	lines   *bufio.Scanner
	log     []record // as far as it has been read
	address string   // where it listens
	metrics string   // where it serves /metrics
}

// A record is what is looked at of a log record.
type record struct {
	Msg, Address, Metrics, Reason, Trigger string
	Seq                                    int
}

func build(t *testing.T, name string) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", binary, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// start runs a program on a free port, until it listens.
func start(ctx context.Context, t *testing.T, binary string, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.CommandContext(ctx, binary, append(args, "-listen", "127.0.0.1:0")...)}
	p.cmd.Env = append(os.Environ(), "OTEL_SDK_DISABLED=true") // there is no Collector beside this test
	p.cmd.Stderr = os.Stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(stdout)
	listening := p.next(t, "listening")
	p.address, p.metrics = listening.Address, listening.Address
	if listening.Metrics != "" {
		p.metrics = listening.Metrics
	}
	return p
}

// read reads a line of the log, and reports whether there was one. A line that is not a record leaves an empty record.
func (p *program) read() bool {
	if !p.lines.Scan() {
		return false
	}
	var r record
	_ = json.Unmarshal(p.lines.Bytes(), &r)
	p.log = append(p.log, r)
	return true
}

// next reads the log up to the next record with the message.
func (p *program) next(t *testing.T, message string) record {
	t.Helper()
	for p.read() {
		if r := p.log[len(p.log)-1]; r.Msg == message {
			return r
		}
	}
	t.Fatalf("the program has ended before it logged %q: %v", message, p.cmd.Wait())
	return record{}
}

// logged returns the records with the message.
func (p *program) logged(message string) []record {
	return slices.DeleteFunc(slices.Clone(p.log), func(r record) bool { return r.Msg != message })
}

// exposes waits until /metrics has all of these lines.
func (p *program) exposes(ctx context.Context, t *testing.T, lines ...string) {
	t.Helper()
	for end := time.Now().Add(deadline / 2); ; time.Sleep(10 * time.Millisecond) {
		metrics := "\n" + get(ctx, t, "http://"+p.metrics+"/metrics")
		missing := ""
		for _, line := range lines {
			if !strings.Contains(metrics, "\n"+line+"\n") {
				missing = line
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("/metrics lacks %s:%s", missing, metrics)
		}
	}
}

func (p *program) terminate(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// wait reads the log up to the end of the program.
func (p *program) wait(t *testing.T) {
	t.Helper()
	for p.read() {
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

// echo is a client that gets its message back, and is told at the end that the server goes away.
func echo(ctx context.Context, t *testing.T, address string) func() {
	conn := dial(ctx, t, address)
	say(ctx, t, conn, "hello")
	hear(ctx, t, conn, "hello")
	return func() { goesAway(ctx, t, conn) }
}

func dial(ctx context.Context, t *testing.T, address string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(ctx, "ws://"+address+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func say(ctx context.Context, t *testing.T, conn *websocket.Conn, message string) {
	t.Helper()
	if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

func hear(ctx context.Context, t *testing.T, conn *websocket.Conn, want string) {
	t.Helper()
	if _, got, err := conn.Read(ctx); err != nil || string(got) != want {
		t.Fatalf("received %q, %v, want %q", got, err, want)
	}
}

func goesAway(ctx context.Context, t *testing.T, conn *websocket.Conn) {
	t.Helper()
	_, _, err := conn.Read(ctx)
	if code := websocket.CloseStatus(err); code != websocket.StatusGoingAway {
		t.Errorf("the connection ended with %v, want going away", err)
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
	for _, want := range []string{":\n", "\n", "event: tick\n"} {
		if line, err := events.ReadString('\n'); err != nil || line != want {
			t.Fatalf("line: %q, %v, want %q", line, err, want)
		}
	}
	return func() {
		if _, err := io.Copy(io.Discard, events); err != nil {
			t.Errorf("the stream broke: %v", err)
		}
	}
}

// watch is a client that is told that the server serves, and at the end that it does not.
func watch(ctx context.Context, t *testing.T, address string) func() {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	health := healthpb.NewHealthClient(conn)
	if got, err := health.Check(ctx, nil); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("check: %v, %v", got, err)
	}
	stream, err := health.Watch(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := stream.Recv(); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("watch: %v, %v", got, err)
	}
	return func() {
		if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("the stream ended with %v, want unavailable", err)
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
