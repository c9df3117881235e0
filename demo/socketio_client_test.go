package demo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/demo/wire"
)

// The transports of Engine.IO.
const (
	overPolling   = "polling"
	overWebSocket = "websocket"
)

// ioClient speaks Socket.IO by hand, over polling or a WebSocket, so that tests can say what no library would.
type ioClient struct {
	t       *testing.T
	f       *fixture
	opened  struct{ Sid string }
	socket  *websocket.Conn // nil while it polls
	waiting []string        // packets of the last poll
	acks    int
	pid     string // its private id
	offset  string
}

// openIO opens a client that is in no namespace yet.
func (f *fixture) openIO(over string) *ioClient {
	f.t.Helper()
	c := &ioClient{t: f.t, f: f}
	if over == overWebSocket {
		c.socket = c.dial()
	}
	first, err := c.packet()
	if err != nil || !strings.HasPrefix(first, "0") || json.Unmarshal([]byte(first[1:]), &c.opened) != nil {
		f.t.Fatalf("the first packet is %q, %v", first, err)
	}
	return c
}

// io returns a client in the default namespace, with a token of that user.
func (f *fixture) io(over, user string) *ioClient {
	f.t.Helper()
	c := f.openIO(over)
	c.connect("", map[string]string{"token": f.token(user)})
	if welcome := ioPayload[wire.WelcomePayload](c, wire.TypeWelcome); welcome.User != user {
		f.t.Fatalf("%s is welcomed as %q", user, welcome.User)
	}
	return c
}

// connect connects to a namespace, with a comma after its name.
func (c *ioClient) connect(namespace string, auth map[string]string) {
	c.t.Helper()
	said, err := json.Marshal(auth)
	if err != nil {
		c.t.Fatal(err)
	}
	c.send("40" + namespace + string(said))
	got, err := c.packet()
	var ids struct{ Sid, Pid string }
	if err != nil || !strings.HasPrefix(got, "40"+namespace+"{") || json.Unmarshal([]byte(got[2+len(namespace):]), &ids) != nil {
		c.t.Fatalf("connecting to %q: %q, %v", namespace, got, err)
	}
	c.pid = ids.Pid
}

func (c *ioClient) url() string {
	u := c.f.http.URL + "/socket.io/?EIO=4&transport=" + overPolling
	if c.opened.Sid != "" {
		u += "&sid=" + c.opened.Sid
	}
	return u
}

// dial opens a WebSocket, of a new client or one that polls.
func (c *ioClient) dial() *websocket.Conn {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(c.url(), overPolling, overWebSocket, 1), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	c.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// do makes one request of polling.
func (c *ioClient) do(ctx context.Context, method, body string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.url(), strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := c.f.http.Client().Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// send sends packets. A packet that begins with b is binary, in base64.
func (c *ioClient) send(packets ...string) {
	c.t.Helper()
	if err := c.trySend(packets...); err != nil {
		c.t.Fatalf("send %.100q: %v", packets, err)
	}
}

func (c *ioClient) trySend(packets ...string) error {
	if c.socket == nil {
		status, answer, err := c.do(c.t.Context(), http.MethodPost, strings.Join(packets, "\x1e"))
		if err == nil && (status != http.StatusOK || answer != "ok") {
			err = fmt.Errorf("the post is answered %d %q", status, answer)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for _, p := range packets {
		typ, data := websocket.MessageText, []byte(p)
		if code, ok := strings.CutPrefix(p, "b"); ok {
			typ, data = websocket.MessageBinary, must(base64.StdEncoding.DecodeString(code))
		}
		if err := c.socket.Write(ctx, typ, data); err != nil {
			return err
		}
	}
	return nil
}

func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// packet returns the next packet that is no ping, which it answers.
func (c *ioClient) packet() (string, error) {
	for {
		p, err := c.raw()
		if err != nil || p != "2" {
			return p, err
		}
		if err := c.trySend("3"); err != nil {
			return "", err
		}
	}
}

// raw returns the next packet.
func (c *ioClient) raw() (string, error) {
	if c.socket != nil {
		ctx, cancel := context.WithTimeout(c.t.Context(), patience)
		defer cancel()
		typ, data, err := c.socket.Read(ctx)
		if typ == websocket.MessageBinary {
			return "b" + base64.StdEncoding.EncodeToString(data), err
		}
		return string(data), err
	}
	for len(c.waiting) == 0 {
		status, body, err := c.do(c.t.Context(), http.MethodGet, "")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("the poll is answered %d %s", status, body)
		}
		if err != nil {
			return "", err
		}
		c.waiting = slices.DeleteFunc(strings.Split(body, "\x1e"), func(p string) bool { return p == "6" })
	}
	p := c.waiting[0]
	c.waiting = c.waiting[1:]
	if p == "1" {
		return "", io.EOF
	}
	return p, nil
}

// upgrade goes from polling to a WebSocket as the original client does. Packets that it gets meanwhile wait.
func (c *ioClient) upgrade() {
	c.t.Helper()
	conn := c.dial()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte("2probe")); err != nil {
		c.t.Fatal(err)
	}
	if _, data, err := conn.Read(ctx); err != nil || string(data) != "3probe" {
		c.t.Fatalf("the probe is answered %q, %v", data, err)
	}
	status, body, err := c.do(ctx, http.MethodGet, "") // as one that is under way would be: it is answered at once
	if err != nil || status != http.StatusOK {
		c.t.Fatalf("the last poll is answered %d %q, %v", status, body, err)
	}
	c.waiting = append(c.waiting, slices.DeleteFunc(strings.Split(body, "\x1e"), func(p string) bool { return p == "6" })...)
	if err := conn.Write(ctx, websocket.MessageText, []byte("5")); err != nil {
		c.t.Fatal(err)
	}
	c.socket = conn
}

// ioEvent is an event, or an acknowledgement, which has no name.
type ioEvent struct {
	name string
	id   int // of an acknowledgement, or -1
	env  wire.Envelope
}

// next returns the next event or acknowledgement, and keeps its offset as the original client does.
func (c *ioClient) next() (ioEvent, error) {
	var text string
	var err error
	if len(c.waiting) > 0 && c.socket != nil { // of the last poll before an upgrade
		text, c.waiting = c.waiting[0], c.waiting[1:]
	} else if text, err = c.packet(); err != nil {
		return ioEvent{}, err
	}
	kind, rest := text[:min(2, len(text))], text[min(2, len(text)):]
	if begins := strings.IndexByte(rest, '['); begins > 0 && rest[0] == '/' {
		_, rest, _ = strings.Cut(rest, ",")
	}
	digits := strings.IndexByte(rest, '[')
	var args []json.RawMessage
	if digits < 0 || json.Unmarshal([]byte(rest[digits:]), &args) != nil {
		return ioEvent{}, fmt.Errorf("got %q", text)
	}
	ev := ioEvent{id: -1}
	switch kind {
	case "43":
		ev.id, err = strconv.Atoi(rest[:digits])
		return ev, errors.Join(err, json.Unmarshal(args[0], &ev.env))
	case "42":
		err = json.Unmarshal(args[0], &ev.name)
		if last := args[len(args)-1]; last[0] == '"' && len(args) > 1 {
			err = errors.Join(err, json.Unmarshal(last, &c.offset))
		}
		if len(args) > 1 && args[1][0] == '{' {
			err = errors.Join(err, json.Unmarshal(args[1], &ev.env))
		}
		return ev, err
	}
	return ev, fmt.Errorf("got %q", text)
}

// await returns the next event of a type. Those before it are forgotten.
func (c *ioClient) await(typ wire.Type) wire.Envelope {
	c.t.Helper()
	for {
		ev, err := c.next()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", typ, err)
		}
		if ev.name == string(typ) {
			return ev.env
		}
	}
}

// ioPayload returns the payload of the next event of a type.
func ioPayload[P any](c *ioClient, typ wire.Type) P {
	c.t.Helper()
	return payloadOf[P](c.t, c.await(typ))
}

// emit sends an event and returns the id by which it is acknowledged.
func (c *ioClient) emit(typ wire.Type, payload any) int {
	c.t.Helper()
	c.acks++
	data, err := json.Marshal(map[string]any{"payload": payload})
	if err != nil {
		c.t.Fatal(err)
	}
	c.send(fmt.Sprintf("42%d[%q,%s]", c.acks, typ, data))
	return c.acks
}

// ask emits an event and returns its acknowledgement. Events before that are forgotten.
func (c *ioClient) ask(typ wire.Type, payload any) wire.AckPayload {
	c.t.Helper()
	for id := c.emit(typ, payload); ; {
		ev, err := c.next()
		if err != nil {
			c.t.Fatalf("waiting for the acknowledgement of %s: %v", typ, err)
		}
		if ev.id == id {
			return payloadOf[wire.AckPayload](c.t, ev.env)
		}
	}
}

func (c *ioClient) join(room string) {
	c.t.Helper()
	if ack := c.ask(wire.TypeJoin, wire.JoinPayload{Room: room}); !ack.Success {
		c.t.Fatalf("join %s: %+v", room, ack)
	}
}

// cut takes the client away without a word.
func (c *ioClient) cut() {
	c.t.Helper()
	if c.socket != nil {
		_ = c.socket.CloseNow()
		return
	}
	for { // until one of its polls waits
		ctx, cancel := context.WithTimeout(c.t.Context(), 100*time.Millisecond)
		_, _, err := c.do(ctx, http.MethodGet, "")
		cancel()
		if err != nil {
			return
		}
	}
}

// back returns the client that comes back after a break, as the original client does.
func (c *ioClient) back(over, token string) *ioClient {
	c.t.Helper()
	again := c.f.openIO(over)
	again.connect("", map[string]string{"token": token, "pid": c.pid, "offset": c.offset})
	return again
}

// ended returns how the client is ended, after whatever else comes first.
func (c *ioClient) ended() error {
	for {
		if _, err := c.packet(); err != nil {
			return err
		}
	}
}
