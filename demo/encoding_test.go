package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/sockscope/sockscope/demo/wire"
)

// packed translates a frame to MessagePack by a library that the server does not use for it.
func packed(t *testing.T, typ wire.Type, id string, payload any) []byte {
	t.Helper()
	f, err := wire.NewFrame(typ, id, payload)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(f.Data, &object); err != nil {
		t.Fatal(err)
	}
	data, err := msgpack.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// unpacked reads the next frame, which has to be MessagePack and of that type.
func unpacked(t *testing.T, c *client, typ wire.Type) (id string, payload map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	kind, data, err := c.conn.Read(ctx)
	if err != nil {
		t.Fatalf("waiting for %s: %v", typ, err)
	}
	var env struct {
		Type      string         `msgpack:"type"`
		MessageID string         `msgpack:"messageId"`
		Payload   map[string]any `msgpack:"payload"`
	}
	if err := msgpack.Unmarshal(data, &env); err != nil || kind != websocket.MessageBinary || env.Type != string(typ) {
		t.Fatalf("got %s %v of %v (%v), want %s", env.Type, env.Payload, kind, err, typ)
	}
	return env.MessageID, env.Payload
}

// TestMessagePack lets a client that speaks it talk with one that speaks JSON.
func TestMessagePack(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada := f.mustConnect(&websocket.DialOptions{
		HTTPHeader: bearer(f.token("Ada")), Subprotocols: []string{wire.SubprotocolMessagePack},
	})
	if got := ada.conn.Subprotocol(); got != wire.SubprotocolMessagePack {
		t.Fatalf("the server selects %q", got)
	}
	if _, p := unpacked(t, ada, wire.TypeWelcome); p["user"] != "Ada" {
		t.Errorf("welcome %v", p)
	}
	ben := f.dial("Ben")
	ben.join("lobby")
	ada.write(websocket.MessageBinary, packed(t, wire.TypeJoin, "", wire.JoinPayload{Room: "lobby"}))
	unpacked(t, ada, wire.TypeRoomUsers)
	unpacked(t, ada, wire.TypeAck)
	expect[wire.PresencePayload](ben, wire.TypeJoined)

	id := uuid.NewString()
	ada.write(websocket.MessageBinary, packed(t, wire.TypeMessage, id, wire.MessagePayload{Room: "lobby", Text: "grüß dich"}))
	if got, p := unpacked(t, ada, wire.TypeAck); got != id || p["success"] != true {
		t.Errorf("ack %v for %s", p, got)
	}
	if got, p := unpacked(t, ada, wire.TypeMessage); got != id || p["text"] != "grüß dich" {
		t.Errorf("message %v of %s", p, got)
	}
	if env, p := expect[wire.MessagePayload](ben, wire.TypeMessage); env.MessageID != id || p.Text != "grüß dich" || p.From != "Ada" {
		t.Errorf("Ben got %+v", p)
	}
	id = ben.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "ahoi"})
	if got, p := unpacked(t, ada, wire.TypeMessage); got != id || p["text"] != "ahoi" {
		t.Errorf("message %v of %s", p, got)
	}

	for name, tc := range map[string]struct {
		kind websocket.MessageType
		data []byte
		want wire.Code
	}{
		"text":             {websocket.MessageText, []byte(`{}`), wire.CodeWrongKind},
		"no MessagePack":   {websocket.MessageBinary, []byte{0xc1}, wire.CodeBadMessagePack},
		"cut short":        {websocket.MessageBinary, packed(t, wire.TypePing, "", nil)[:20], wire.CodeBadMessagePack},
		"of 4 billion":     {websocket.MessageBinary, []byte{0xdf, 0xff, 0xff, 0xff, 0xff}, wire.CodeBadMessagePack},
		"deep":             {websocket.MessageBinary, bytes.Repeat([]byte{0x91}, 8000), wire.CodeBadMessagePack},
		"type of a server": {websocket.MessageBinary, packed(t, wire.TypeWelcome, "", nil), wire.CodeUnknownType},
	} {
		ada.write(tc.kind, tc.data)
		if _, p := unpacked(t, ada, wire.TypeError); p["code"] != string(tc.want) {
			t.Errorf("%s: %v, want %s", name, p, tc.want)
		}
	}
	ada.write(websocket.MessageBinary, packed(t, wire.TypePing, id, nil)) // it is still there
	if got, _ := unpacked(t, ada, wire.TypePong); got != id {
		t.Errorf("pong for %s, want %s", got, id)
	}
}

// tap keeps what comes over a connection.
type tap struct {
	net.Conn
	mu  sync.Mutex
	got bytes.Buffer
}

func (c *tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got.Write(p[:n])
	return n, err
}

// flush returns what has come since the last call.
func (c *tap) flush() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.got.Reset()
	return bytes.Clone(c.got.Bytes())
}

// tapped connects a client that offers compression and returns what comes over the wire beside it.
func (f *fixture) tapped(mode websocket.CompressionMode) (*client, *tap) {
	f.t.Helper()
	var line *tap
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		line = &tap{Conn: conn}
		return line, err
	}}
	c := f.mustConnect(&websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: bearer(f.token("Ada")), CompressionMode: mode, CompressionThreshold: 1,
	})
	expect[wire.WelcomePayload](c, wire.TypeWelcome)
	return c, line
}

// TestCompression looks at what comes over the wire: large frames are compressed for whom it was agreed with, small
// ones and those of others are not.
func TestCompression(t *testing.T) {
	t.Parallel()
	large, small := strings.Repeat("all work and no play ", 100), "all work and no play"
	for name, tc := range map[string]struct {
		above  int
		mode   websocket.CompressionMode
		agreed bool
	}{
		"agreed":            {1000, websocket.CompressionNoContextTakeover, true},
		"with context":      {1000, websocket.CompressionContextTakeover, true},
		"client does not":   {1000, websocket.CompressionDisabled, false},
		"server does not":   {0, websocket.CompressionNoContextTakeover, false},
		"neither of either": {0, websocket.CompressionDisabled, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, Config{CompressAbove: tc.above})
			c, line := f.tapped(tc.mode)
			c.join("lobby")
			say := func(text string) []byte {
				line.flush()
				c.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: text})
				if _, p := await[wire.MessagePayload](c, wire.TypeMessage); p.Text != text {
					t.Errorf("got %q", p.Text)
				}
				return line.flush()
			}
			if wired := say(small); !bytes.Contains(wired, []byte(small)) {
				t.Errorf("a small message is compressed: %q", wired)
			}
			wired := say(large)
			if compressed := len(wired) < len(large)/2 && !bytes.Contains(wired, []byte(large)); compressed != tc.agreed {
				t.Errorf("%d bytes came of a text of %d: compressed is %t, want %t", len(wired), len(large), compressed, tc.agreed)
			}
		})
	}
}

// TestCompressedOversize sends a few bytes that unpack to more than a message may have.
func TestCompressedOversize(t *testing.T) {
	t.Parallel()
	f := start(t, Config{CompressAbove: 1000, Heartbeat: 10_000 * time.Hour}) // a ping beside the end would hide it
	c, _ := f.tapped(websocket.CompressionNoContextTakeover)
	fits, err := wire.NewFrame(wire.TypePing, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.write(websocket.MessageText, append(fits.Data, strings.Repeat(" ", wire.MaxFrameBytes-len(fits.Data))...))
	expect[struct{}](c, wire.TypePong)
	c.write(websocket.MessageText, []byte(strings.Repeat(" ", 1<<20)))
	if err := c.ended(); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("ended by %v, want 1009", err)
	}
	f.awaitMetrics(map[string]float64{"disconnections_total local message_too_big": 1, "errors_total read": 1},
		"websocket_disconnections_total", "websocket_errors_total", "websocket_active_connections")
}
