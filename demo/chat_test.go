package demo

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sockscope/sockscope/demo/wire"
)

func TestConversation(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada, ben, eve := f.dial("Ada"), f.dial("Ben"), f.dial("Eve")
	ada.join("lobby")
	eve.join("cellar")
	ben.join("lobby")
	if _, p := expect[wire.PresencePayload](ada, wire.TypeJoined); p != (wire.PresencePayload{Room: "lobby", User: "Ben"}) {
		t.Errorf("Ada is told %+v", p)
	}

	id := ada.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "hello"})
	acked, ack := expect[wire.AckPayload](ada, wire.TypeAck)
	if acked.MessageID != id || !ack.Success || ack.SavedID == "" || acked.Traceparent != "" {
		t.Errorf("ack %+v of %s with trace %q, want success for %s and no trace", ack, acked.MessageID, acked.Traceparent, id)
	}
	want := wire.MessagePayload{Room: "lobby", Text: "hello", From: "Ada", SavedID: ack.SavedID}
	for _, c := range []*client{ada, ben} {
		env, got := expect[wire.MessagePayload](c, wire.TypeMessage)
		if diff := cmp.Diff(want, got); diff != "" || env.MessageID != id {
			t.Errorf("message %s (-want +got):\n%s", env.MessageID, diff)
		}
	}

	ping := eve.send(wire.TypePing, nil) // and Eve has heard nothing before
	if env, _ := expect[struct{}](eve, wire.TypePong); env.MessageID != ping {
		t.Errorf("pong for %s, want %s", env.MessageID, ping)
	}
	ben.send(wire.TypeLeave, wire.RoomPayload{Room: "lobby"})
	if _, ack := expect[wire.AckPayload](ben, wire.TypeAck); !ack.Success {
		t.Errorf("leave: %+v", ack)
	}
	expect[wire.PresencePayload](ada, wire.TypeLeft)
	ben.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "and yet"})
	if _, ack := expect[wire.AckPayload](ben, wire.TypeAck); ack.Success || ack.Error != wire.CodeNotInRoom {
		t.Errorf("a message from outside: %+v", ack)
	}
	ben.write(websocket.MessageText, []byte("{"))
	expect[wire.ErrorPayload](ben, wire.TypeError)
	if err := ben.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}

	f.awaitMetrics(map[string]float64{
		"connections_total connected":        3,
		"active_connections":                 2,
		"disconnections_total remote normal": 1,
		"errors_total decode":                1,
		"messages_total receive join":        3,
		"messages_total receive leave":       1,
		"messages_total receive message":     2,
		"messages_total receive ping":        1,
		"messages_total receive other":       1,
		"messages_total transmit ack":        6,
		"messages_total transmit joined":     1,
		"messages_total transmit left":       1,
		"messages_total transmit message":    2,
		"messages_total transmit pong":       1,
		"messages_total transmit error":      1,
		"messages_total transmit room_users": 3,
		"messages_total transmit welcome":    3,
		"message_duration_seconds join":      3,
		"message_duration_seconds leave":     1,
		"message_duration_seconds message":   2,
		"message_duration_seconds ping":      1,
	}, "websocket_connections_total", "websocket_active_connections", "websocket_disconnections_total", "websocket_errors_total",
		"websocket_messages_total", "websocket_message_duration_seconds", "websocket_messages_dropped_total", "sockscope_label_overflow_total")
}

// TestJoinAgain lets a client join that is in the room already, because it has not got the first answer: it is told how
// far the room is.
func TestJoinAgain(t *testing.T) {
	f := start(t, Config{})
	ada := f.dial("Ada")
	ada.join("lobby")
	ada.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "hello"})
	expect[wire.AckPayload](ada, wire.TypeAck)
	expect[wire.MessagePayload](ada, wire.TypeMessage)
	ada.send(wire.TypeJoin, wire.JoinPayload{Room: "lobby"})
	_, users := expect[wire.RoomUsersPayload](ada, wire.TypeRoomUsers)
	_, ack := expect[wire.AckPayload](ada, wire.TypeAck)
	if users.Seq != 1 || ack.Seq != 1 {
		t.Errorf("the room is at %d and %d, want 1 twice", users.Seq, ack.Seq)
	}
}

func TestTracesAndRecords(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	f := start(t, Config{SampleRatio: 1, TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))})
	ada := f.dial("Ada")
	ada.join("lobby")
	const secret = "nobody else's business"
	ada.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: secret})
	ack, _ := expect[wire.AckPayload](ada, wire.TypeAck)
	delivered, _ := expect[wire.MessagePayload](ada, wire.TypeMessage)
	if len(ack.Traceparent) != 55 || len(delivered.Traceparent) != 55 || delivered.Traceparent[:35] != ack.Traceparent[:35] {
		t.Fatalf("ack has trace %q, the delivered message %q: want the same", ack.Traceparent, delivered.Traceparent)
	}

	var span sdktrace.ReadOnlySpan
	f.eventually(func() bool {
		for _, s := range spans.Ended() {
			if s.Name() == "websocket.message message" {
				span = s
			}
		}
		return span != nil
	}, func() string { return "the message has no span" })
	sc := span.SpanContext()
	if want := "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-01"; ack.Traceparent != want {
		t.Errorf("ack has trace %s, its span is %s", ack.Traceparent, want)
	}

	var handled map[string]any
	f.eventually(func() bool {
		for line := range strings.Lines(f.logs.String()) {
			var record map[string]any
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Fatal(err)
			}
			if record["msg"] == "message handled" && record["type"] == "message" {
				handled = record
			}
		}
		return handled != nil
	}, func() string { return "no record of the message:\n" + f.logs.String() })
	if handled["trace_id"] != sc.TraceID().String() || handled["span_id"] != sc.SpanID().String() ||
		handled["connection_id"] == nil || handled["namespace"] != "chat" {
		t.Errorf("record %v, want trace %s", handled, sc.TraceID())
	}
	if strings.Contains(f.logs.String(), secret) {
		t.Error("the log has what was said")
	}
}

func TestRefusedFrames(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{RoomsPerConnection: 1, Rooms: 2}})
	other := f.dial("other")
	other.join("full")
	frame := func(typ wire.Type, payload any) []byte {
		made, err := wire.NewFrame(typ, "", payload)
		if err != nil {
			t.Fatal(err)
		}
		return made.Data
	}
	for name, tc := range map[string]struct {
		typ    websocket.MessageType
		data   []byte
		answer wire.Type
		code   wire.Code
	}{
		"binary":        {websocket.MessageBinary, []byte{1, 2, 3}, wire.TypeError, wire.CodeWrongKind},
		"empty":         {websocket.MessageText, nil, wire.TypeError, wire.CodeBadJSON},
		"not JSON":      {websocket.MessageText, []byte("hello"), wire.TypeError, wire.CodeBadJSON},
		"no envelope":   {websocket.MessageText, []byte(`{}`), wire.TypeError, wire.CodeBadEnvelope},
		"unknown type":  {websocket.MessageText, frame("dance", nil), wire.TypeError, wire.CodeUnknownType},
		"server's type": {websocket.MessageText, frame(wire.TypeGoingAway, nil), wire.TypeError, wire.CodeUnknownType},
		"no room":       {websocket.MessageText, frame(wire.TypeJoin, map[string]string{}), wire.TypeAck, wire.CodeBadPayload},
		"second room":   {websocket.MessageText, frame(wire.TypeJoin, wire.JoinPayload{Room: "second"}), wire.TypeAck, wire.CodeTooManyRooms},
		"outside":       {websocket.MessageText, frame(wire.TypeMessage, wire.MessagePayload{Room: "second", Text: "x"}), wire.TypeAck, wire.CodeNotInRoom},
		"leave outside": {websocket.MessageText, frame(wire.TypeLeave, wire.RoomPayload{Room: "second"}), wire.TypeAck, wire.CodeNotInRoom},
		"long text":     {websocket.MessageText, frame(wire.TypeMessage, wire.MessagePayload{Room: "first", Text: strings.Repeat("x", wire.MaxTextBytes+1)}), wire.TypeAck, wire.CodeBadPayload},
	} {
		t.Run(name, func(t *testing.T) {
			c := f.dial("Ada")
			c.join("first")
			c.write(tc.typ, tc.data)
			var code wire.Code
			if tc.answer == wire.TypeError {
				_, p := expect[wire.ErrorPayload](c, wire.TypeError)
				code = p.Code
			} else {
				_, p := expect[wire.AckPayload](c, wire.TypeAck)
				if p.Success || p.Reason == "" {
					t.Errorf("ack %+v, want a refusal with its reason", p)
				}
				code = p.Error
			}
			if code != tc.code {
				t.Errorf("code %q, want %q", code, tc.code)
			}
			// The connection goes on.
			c.send(wire.TypePing, nil)
			expect[struct{}](c, wire.TypePong)
			_ = c.conn.Close(websocket.StatusNormalClosure, "")
			f.eventually(func() bool { return f.chat.sessions.Len() == 1 }, func() string { return "the connection stays open" })
		})
	}

	holder := f.dial("holder")
	holder.join("first")
	late := f.dial("late")
	late.send(wire.TypeJoin, wire.JoinPayload{Room: "third"})
	if _, ack := expect[wire.AckPayload](late, wire.TypeAck); ack.Error != wire.CodeServerFull {
		t.Errorf("a room too many: %+v, want %s", ack, wire.CodeServerFull)
	}
}

// TestNotUTF8Closes sends a text frame that is none (RFC 6455, 8.1), as it is and among too many messages.
func TestNotUTF8Closes(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{MessageBurst: 1, MessagesPerSecond: 1e-9}})
	for _, before := range []int{0, 1} {
		c := f.dial("Ada")
		for range before {
			c.heard()
		}
		c.write(websocket.MessageText, []byte("{\"type\":\"\xff\"}"))
		if err := c.ended(); websocket.CloseStatus(err) != websocket.StatusInvalidFramePayloadData {
			t.Errorf("ended by %v, want 1007", err)
		}
	}
	packed := f.mustConnect(&websocket.DialOptions{
		HTTPHeader: bearer(f.token("Ada")), Subprotocols: []string{wire.SubprotocolMessagePack},
	})
	if _, _, err := packed.conn.Read(t.Context()); err != nil { // the welcome, which the end would overtake
		t.Fatal(err)
	}
	packed.write(websocket.MessageText, []byte("\xff"))
	if _, _, err := packed.conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusInvalidFramePayloadData {
		t.Errorf("where MessagePack was agreed: ended by %v, want 1007", err)
	}
	f.awaitMetrics(map[string]float64{
		"disconnections_total local protocol_error": 3, "errors_total decode": 3, "messages_total receive ping": 1, "messages_total receive other": 3,
		"messages_total transmit welcome": 3, "messages_total transmit pong": 1,
	}, "websocket_disconnections_total", "websocket_errors_total", "websocket_active_connections", "websocket_messages_total")
}

func TestOversizeCloses(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	c := f.dial("Ada")
	// In two frames, of which the server reads the first: what it has not read would have the system reset the
	// connection.
	w, err := c.conn.Writer(t.Context(), websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{wire.MaxFrameBytes, 1} {
		if _, err := w.Write([]byte(strings.Repeat(" ", size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.ended(); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("ended by %v, want 1009", err)
	}
	f.awaitMetrics(map[string]float64{"disconnections_total local message_too_big": 1, "errors_total read": 1},
		"websocket_disconnections_total", "websocket_errors_total", "websocket_active_connections")
}

// TestOversizeIsToldWhy sends a message of which the server leaves almost all unread: the client reads why it is
// disconnected all the same, once it is done.
func TestOversizeIsToldWhy(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	var conn net.Conn
	c := f.dialBy("Ada", &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (_ net.Conn, err error) {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
			return conn, err
		},
	}})
	const size = 4 << 20 // more than fits into buffers
	frame := binary.BigEndian.AppendUint64([]byte{0x81, 0x80 | 127}, size)
	if _, err := conn.Write(append(frame, make([]byte, 4+size)...)); err != nil { // with a mask that changes nothing
		t.Error(err)
	}
	if err := c.ended(); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("ended by %v, want 1009", err)
	}
}

func TestRefusedHandshakes(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{Connections: 1}})
	refused := func(path string, header http.Header, want int) {
		t.Helper()
		_, resp, err := websocket.Dial(t.Context(), f.http.URL+path, &websocket.DialOptions{HTTPHeader: header})
		if err == nil || resp == nil || resp.StatusCode != want {
			t.Fatalf("%s: %v (%v), want status %d", path, resp, err, want)
		}
	}
	refused("/ws?token="+f.token("Ada"), nil, http.StatusUnauthorized)
	refused("/ws", http.Header{"Authorization": {"Bearer made.up.token"}}, http.StatusUnauthorized)
	refused("/ws", http.Header{"Origin": {"https://elsewhere.example"}}, http.StatusForbidden)
	if code, _ := f.do(http.MethodGet, "/ws", ""); code != http.StatusBadRequest {
		t.Errorf("a plain GET: %d, want 400", code)
	}
	ada := f.dial("Ada")
	refused("/ws", nil, http.StatusServiceUnavailable)
	_ = ada.conn.Close(websocket.StatusNormalClosure, "")
	f.eventually(func() bool { return f.chat.sessions.Len() == 0 }, func() string { return "the connection stays" })
	f.dial("Ben") // there is a place again
	f.awaitMetrics(map[string]float64{
		"connections_total bad_handshake": 1,
		"connections_total unauthorized":  2,
		"connections_total forbidden":     1,
		"connections_total over_capacity": 1,
		"connections_total connected":     2,
		"active_connections":              1,
	}, "websocket_connections_total", "websocket_active_connections")
}

func TestHeartbeatTimeout(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Heartbeat: 500 * time.Millisecond})
	alive, dead := f.dial("alive"), f.dial("dead")
	answers := make(chan error, 1)
	go func() { answers <- alive.ended() }() // reading is what answers pings
	f.awaitMetrics(map[string]float64{
		"disconnections_total network ping_timeout": 1,
		"active_connections":                        1,
		"errors_total timeout":                      1,
	}, "websocket_disconnections_total", "websocket_errors_total", "websocket_active_connections")
	if n := f.metrics("websocket_pings_total")["pings_total timeout"]; n != 1 {
		t.Errorf("%v pings timed out, want 1", n)
	}
	_ = dead.ended()
	select {
	case err := <-answers:
		t.Errorf("the connection that answers ended too: %v", err)
	default:
	}
	f.shutdown()
	<-answers
}

// TestSlowConsumer gives up a client that stops reading in the middle of a frame. Its connection has no buffers, so it
// is known what waits: nothing of it is written any more.
func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	const queue = 4
	f := start(t, Config{Limits: Limits{SendQueue: queue}})
	slow, conn := f.dialUnbuffered("slow")
	quick := f.dial("quick")
	slow.join("lobby")
	quick.join("lobby")
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil { // of joined, which the server now waits to write
		t.Fatal(err)
	}
	say := func() {
		quick.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "hello"})
		await[wire.AckPayload](quick, wire.TypeAck)
		await[wire.MessagePayload](quick, wire.TypeMessage)
	}
	for range queue {
		say()
	}
	f.awaitMetrics(map[string]float64{"send_queue_messages": queue + 1, "active_connections": 2},
		"websocket_send_queue_messages", "websocket_active_connections", "websocket_messages_dropped_total")
	say()
	await[wire.PresencePayload](quick, wire.TypeLeft)
	f.awaitMetrics(map[string]float64{
		"disconnections_total local slow_consumer": 1,
		"messages_dropped_total queue_full":        1,
		"messages_dropped_total slow_consumer":     queue + 1,
	}, "websocket_disconnections_total", "websocket_messages_dropped_total", "websocket_send_queue_messages")
	if err := slow.ended(); err == nil {
		t.Error("no error where the connection ends")
	}
}

// TestPeersCloseWhileWrittenTo has peers leave in order while they are written to: a write that fails because of it
// must not be taken for the reason. There are no pings, because this client breaks off its closing when one comes; and
// none by chance either, as the first comes at any time within the heartbeat.
func TestPeersCloseWhileWrittenTo(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Heartbeat: 10_000 * time.Hour})
	const n = 100
	talker := f.dial("talker")
	talker.join("lobby")
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = f.dial(fmt.Sprintf("Ada-%d", i))
		clients[i].send(wire.TypeJoin, wire.JoinPayload{Room: "lobby"})
	}
	go func() { _ = talker.ended() }() // reads
	var leaving sync.WaitGroup
	for _, c := range clients {
		leaving.Go(func() { _ = c.conn.Close(websocket.StatusNormalClosure, "") })
		talker.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "bye"})
	}
	leaving.Wait()
	f.awaitMetrics(map[string]float64{"disconnections_total remote normal": n, "active_connections": 1},
		"websocket_disconnections_total", "websocket_active_connections", "websocket_errors_total")
	f.shutdown()
}

func TestConfigRefuses(t *testing.T) {
	for name, cfg := range map[string]Config{
		"connection limit": {Limits: Limits{Connections: -1}},
		"message rate":     {Limits: Limits{MessagesPerSecond: math.NaN()}},
		"heartbeat":        {Heartbeat: -time.Second},
		"sample ratio":     {SampleRatio: 1.5},
	} {
		if _, err := New(complete(t, cfg)); err == nil || !strings.Contains(err.Error(), "give") {
			t.Errorf("%s: %v, want an error that says what to give", name, err)
		}
	}
}

// TestBusyIsNotGone has messages whose handling takes longer than a pong may: nobody reads pongs meanwhile, and the
// peer is not to blame.
func TestBusyIsNotGone(t *testing.T) {
	t.Parallel()
	const messages = 6
	f := start(t, Config{Heartbeat: 500 * time.Millisecond})
	ada := f.dial("Ada")
	ada.join("lobby")
	f.turnOn("slow_handling", 400, "1m")
	for range messages {
		ada.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "hello"})
	}
	for range messages {
		await[wire.MessagePayload](ada, wire.TypeMessage) // or it fails, because the connection has ended
	}
}
