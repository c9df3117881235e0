//go:build e2e && unix

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/wire"
)

// TestSocketIOClient has the original client of Socket.IO talk with the demo.
func TestSocketIOClient(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "socketio"))); err != nil {
		t.Fatal(err)
	}
	install := exec.Command("npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("install the client: %v\n%s", err, out)
	}
	h := newHouse(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", "client.js", "http://"+h.cable.address(), h.token(t, "ada"))
	node.Dir, node.Stderr = dir, os.Stderr
	stdout, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if task, ok := strings.CutPrefix(lines.Text(), "do "); ok {
			h.do(t, task)
			continue
		}
		seen = append(seen, lines.Text())
	}
	if err := node.Wait(); err != nil {
		t.Errorf("the client ends with %v", err)
	}
	want := []string{
		"refused unauthorized",
		"no namespace: Invalid namespace",
		"polling joins true over polling",
		"websocket joins true over websocket",
		"polling then websocket joins true over websocket",
		"binary true 1 päckchen",
		"feed ticks on the same connection: true",
		"chat stays pong",
		"upgrade polling to websocket 200 in order: true",
		"recovery over polling transport error recovered true same id true",
		"missed 233 in order: true",
		"recovery over websocket transport close recovered true same id true",
		"missed 233 in order: true",
		"recovery over polling,websocket transport close recovered true same id true",
		"missed 233 in order: true",
		"drained: told transport close",
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("what the client has seen (-want +got):\n%s", diff)
	}
}

// house is a demo whose clients come by a cable that can be cut, and somebody who talks there.
type house struct {
	server *demo.Server
	tokens *auth.Authority
	cable  *cable
	talker *websocket.Conn
}

func newHouse(t *testing.T) *house {
	t.Helper()
	tokens, err := auth.New([]byte("a key for tests that is long enough"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := history.OpenFile(filepath.Join(t.TempDir(), "history.db"), history.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	server, err := demo.New(demo.Config{
		Authority: tokens, History: store, Limits: demo.Limits{MessagesPerSecond: 1e6, MessageBurst: 1e6, SendQueue: 10_000},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	front := httptest.NewServer(server.Handler())
	h := &house{server: server, tokens: tokens, cable: newCable(t, front.Listener.Addr().String())}
	t.Cleanup(func() {
		stop()
		running.Wait()
		front.CloseClientConnections()
		front.Close()
	})
	h.talker, _, err = websocket.Dial(t.Context(), front.URL+"/ws", &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + h.token(t, "ben")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.talker.CloseNow() })
	h.talker.SetReadLimit(1 << 20)
	h.ask(t, wire.TypeJoin, wire.JoinPayload{Room: "lobby"})
	return h
}

func (h *house) token(t *testing.T, user string) string {
	t.Helper()
	token, err := h.tokens.Issue(user, nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// ask has the talker ask for something, and waits for the answer.
func (h *house) ask(t *testing.T, typ wire.Type, payload any) {
	t.Helper()
	env, err := wire.New(typ, "", payload)
	if err != nil {
		t.Fatal(err)
	}
	f, err := env.Frame()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.talker.Write(t.Context(), websocket.MessageText, f.Data); err != nil {
		t.Fatal(err)
	}
	for {
		_, data, err := h.talker.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var answer wire.Envelope
		if err := json.Unmarshal(data, &answer); err != nil {
			t.Fatal(err)
		}
		if answer.Type == wire.TypeAck && answer.MessageID == env.MessageID {
			return
		}
	}
}

// do does what the client asks for.
func (h *house) do(t *testing.T, task string) {
	t.Helper()
	what, count, _ := strings.Cut(task, " ")
	switch what {
	case "say":
		n, err := strconv.Atoi(count)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			h.ask(t, wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "hello"})
		}
	case "cut":
		h.cable.cut()
	case "mend": // not before much was said, so that all of it was missed
		h.do(t, "say 230")
		h.cable.mend()
	case "drain":
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := h.server.Shutdown(ctx); err != nil {
			t.Errorf("drain: %v", err)
		}
	default:
		t.Fatalf("the client asks for %q", task)
	}
}

// cable carries connections to a server until it is cut.
type cable struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	isCut bool
	open  map[net.Conn]struct{}
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: l, to: to, open: make(map[net.Conn]struct{})}
	go c.run()
	t.Cleanup(func() {
		_ = l.Close()
		c.cut()
	})
	return c
}

func (c *cable) address() string { return c.listener.Addr().String() }

func (c *cable) run() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		there, err := net.Dial("tcp", c.to)
		if err != nil || !c.lay(conn, there) {
			_ = conn.Close()
			continue
		}
		go carry(conn, there)
		go carry(there, conn)
	}
}

func carry(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}

// lay reports whether the connections are carried.
func (c *cable) lay(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		if c.isCut {
			_ = conn.Close()
			continue
		}
		c.open[conn] = struct{}{}
	}
	return !c.isCut
}

// cut breaks all connections, and lets none through until mend.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = true
	for conn := range c.open {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	clear(c.open)
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = false
}
