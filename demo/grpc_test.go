package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/sockscope/sockscope/demo/auth"
	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
	"github.com/sockscope/sockscope/demo/wire"
)

// TestGRPCModes lets clients of all four kinds of calls talk with one on a WebSocket.
func TestGRPCModes(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, BatchWindow: 100 * time.Millisecond})
	ben := f.dial("Ben")
	ben.join("lobby")
	ada := f.chatter("Ada")
	ada.join()
	if _, p := expect[wire.PresencePayload](ben, wire.TypeJoined); p.User != "Ada" {
		t.Errorf("Ben is told %+v", p)
	}
	eve := f.caller("Eve").subscribeTo(&chatv1.SubscribeMessagesRequest{
		Rooms: []*chatv1.Join{{Room: "lobby"}}, Streams: []string{wire.StreamMarket},
	})
	if users := eve.await("room_users").GetRoomUsers(); !slices.Equal(users.GetUsers(), []string{"Ada", "Ben", "Eve"}) {
		t.Errorf("Eve finds %v", users)
	}
	if ticks := eve.await("ticks").GetTicks(); len(ticks.GetTicks()) == 0 || ticks.GetFirstSeq() == 0 {
		t.Errorf("a batch without ticks: %v", ticks)
	}

	id := ada.say("by chat")
	if ack := ada.await("ack"); ack.GetMessageId() != id || ack.GetAck().GetSeq() != 1 {
		t.Errorf("Ada's message is acknowledged by %v", ack)
	}
	if env, p := await[wire.MessagePayload](ben, wire.TypeMessage); env.MessageID != id || p.From != "Ada" || p.Text != "by chat" {
		t.Errorf("Ben got %+v", p)
	}
	if m := eve.await("message"); m.GetMessageId() != id || m.GetSeq() != 1 || m.GetMessage().GetFrom() != "Ada" {
		t.Errorf("Eve got %v", m)
	}
	dan, request := f.caller("Dan"), message("lobby", "by call\n<b>")
	for range 2 { // the second is the same message
		answer, err := dan.SendMessage(t.Context(), request)
		if err != nil || answer.GetSeq() != 2 || answer.GetSavedId() == "" {
			t.Errorf("SendMessage: %v, %v", answer, err)
		}
	}
	if env, p := await[wire.MessagePayload](ben, wire.TypeMessage); env.Seq != 2 || p.From != "Dan" || p.Text != request.GetText() {
		t.Errorf("Ben got %+v", p)
	}
	ben.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "by socket"})
	for _, s := range []*frames{ada.frames, eve} {
		for m := s.await("message"); m.GetMessage().GetFrom() != "Ben"; m = s.await("message") {
		}
	}
	ben.send(wire.TypeNotify, wire.NotifyPayload{User: "Ada", Text: "wake up"})
	ada.await("notification")
	if err := ada.rpc.CloseSend(); err != nil { // and goes on listening
		t.Fatal(err)
	}
	ben.send(wire.TypeTyping, wire.TypingPayload{Room: "lobby", Typing: true})
	ada.await("typing")
	ada.leave()
	await[wire.PresencePayload](ben, wire.TypeLeft)
	eve.leave()
	await[wire.PresencePayload](ben, wire.TypeLeft)

	f.awaitMetrics(map[string]float64{
		"grpc_stream_connections_total connected":                                        2,
		"grpc_stream_disconnections_total remote going_away":                             2,
		"grpc_stream_message_duration_seconds join":                                      2,
		"grpc_stream_message_duration_seconds message":                                   1,
		"grpc_stream_message_duration_seconds subscribe":                                 1,
		"grpc_message_duration_seconds " + chatv1.ChatService_SendMessage_FullMethodName: 2,
	}, "grpc_stream_connections_total", "grpc_stream_active_connections", "grpc_stream_disconnections_total", "grpc_stream_errors_total",
		"grpc_stream_message_duration_seconds", "grpc_message_duration_seconds", "grpc_errors_total")
	received := f.metrics("grpc_stream_messages_total")["grpc_stream_messages_total receive "+chatv1.ChatService_Chat_FullMethodName]
	if received != 2 {
		t.Errorf("%v messages of Chat are counted as received, want 2", received)
	}
	if n := f.metrics("grpc_stream_delivery_duration_seconds"); len(n) == 0 {
		t.Error("no delivery was timed")
	}
}

// TestGRPCTraces looks at the spans of a call and of a stream: the call has a trace, which goes on with what was said,
// and no span is as long as the stream.
func TestGRPCTraces(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	f := start(t, Config{GRPC: true, SampleRatio: 1, TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))})
	c := f.caller("Ada")
	subscription := c.subscribe(0)
	subscription.await("ack")
	const theirs = "0af7651916cd43dd8448eb211c80319c"
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-"+theirs+"-b7ad6b7169203331-01")
	if _, err := c.SendMessage(ctx, message("lobby", "hello")); err != nil {
		t.Fatal(err)
	}
	said := subscription.await("message").GetTraceparent()
	subscription.leave()
	f.awaitMetrics(map[string]float64{"grpc_stream_disconnections_total remote going_away": 1}, "grpc_stream_disconnections_total")
	names := make(map[string]int)
	for _, span := range spans.Ended() {
		names[span.Name()]++
		if span.Name() != "sockscope.chat.v1.ChatService/SendMessage" {
			continue
		}
		if !strings.Contains(said, span.SpanContext().TraceID().String()) {
			t.Errorf("what was said has the trace %q, want that of the call", said)
		}
		if links := span.Links(); span.Parent().IsValid() || len(links) != 1 || links[0].SpanContext.TraceID().String() != theirs {
			t.Errorf("the call has the parent %v and the links %v, want a link to its sender", span.Parent(), links)
		}
	}
	for name, want := range map[string]int{
		"sockscope.chat.v1.ChatService/SendMessage": 1, "sockscope.chat.v1.ChatService/SubscribeMessages": 0,
		"grpc_stream.handshake": 1, "grpc_stream.close": 1, "store": 1,
	} {
		if names[name] != want {
			t.Errorf("%d spans %s, want %d of %v", names[name], name, want, names)
		}
	}
}

// TestUploadLogs uploads records, hostile ones among them.
func TestUploadLogs(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Limits: Limits{MessagesPerSecond: 0.01, MessageBurst: 7}})
	c := f.caller("Ada")
	rpc, err := c.UploadLogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	many := make(map[string]string)
	for i := range 17 {
		many[fmt.Sprint("a", i)] = ""
	}
	records := []*chatv1.UploadLogsRequest{
		{Severity: chatv1.Severity_SEVERITY_ERROR, Text: "it broke", Attributes: map[string]string{"page": "chat"}},
		{Text: "one\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\x1b[31m\u202e", Attributes: map[string]string{"level": "x\ny"}},
		{},
		{Severity: 17, Text: "what"},
		{Text: "name", Attributes: map[string]string{"a b": ""}},
		{Text: "value", Attributes: map[string]string{"a": strings.Repeat("x", 1025)}},
		{Text: "fields", Attributes: many},
		{Text: "one too many in so short a time"},
	}
	for _, r := range records {
		if err := rpc.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	counts, err := rpc.CloseAndRecv()
	if err != nil || counts.GetWritten() != 2 || counts.GetDropped() != 6 {
		t.Errorf("%v, %v: want 2 written and 6 dropped", counts, err)
	}
	for _, want := range []string{
		`"msg":"log record uploaded"`, `"user":"Ada","severity":"error","text":"it broke","attributes":{"page":"chat"}`,
		`"severity":"unspecified","text":"one {\"level\":\"ERROR\",\"msg\":\"forged\"}�[31m�","attributes":{"level":"x y"}`,
	} {
		if !strings.Contains(f.logs.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, f.logs)
		}
	}
	if strings.Contains(f.logs.String(), `"level":"ERROR"`) {
		t.Error("a client's record counts as a failure of the service")
	}
	f.awaitMetrics(map[string]float64{"grpc_stream_disconnections_total local normal": 1}, "grpc_stream_disconnections_total", "grpc_stream_errors_total")
}

// TestUploadIsBounded uploads more records than one upload may have.
func TestUploadIsBounded(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true})
	rpc, err := f.caller("Ada").UploadLogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	for ; rpc.Send(&chatv1.UploadLogsRequest{Text: "again"}) == nil; sent++ {
	}
	_, err = rpc.CloseAndRecv()
	if want := (failed{codes.ResourceExhausted, "TOO_MANY_RECORDS", ""}); failureOf(err) != want || sent < 10_000 {
		t.Errorf("after %d records: %v, want %+v after 10000", sent, err, want)
	}
}

// TestGRPCResumes listens while others talk at full speed, and is cut off again and again: with the number of the last
// message it gets all, once and in order.
func TestGRPCResumes(t *testing.T) {
	t.Parallel()
	const talkers, each = 3, 60
	f := start(t, Config{GRPC: true, Limits: Limits{MessagesPerSecond: 1e6, MessageBurst: 1e6, SendQueue: 10_000}})
	cat := f.caller("Cat")
	if _, err := cat.SendMessage(t.Context(), message("lobby", "the first")); err != nil {
		t.Fatal(err)
	}
	var talking sync.WaitGroup
	defer talking.Wait()
	for range talkers {
		talking.Go(func() {
			for range each {
				if _, err := cat.SendMessage(t.Context(), message("lobby", "hello")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	ada := f.caller("Ada")
	last, total := uint64(1), uint64(talkers*each+1)
	for last < total {
		s := ada.subscribe(last)
		for n := 0; n < 20 && last < total; {
			frame, err := s.read()
			if err != nil {
				t.Fatalf("after %d messages: %v", last, err)
			}
			var got []uint64
			switch p := frame.GetPayload().(type) {
			case *chatv1.Frame_Message:
				got = append(got, frame.GetSeq())
			case *chatv1.Frame_History:
				for _, m := range p.History.GetMessages() {
					got = append(got, m.GetSeq())
				}
			}
			for _, seq := range got {
				if seq != last+1 {
					t.Fatalf("message %d comes after %d", seq, last)
				}
				last = seq
				n++
			}
		}
		s.leave()
	}
}

// TestGRPCRefusals makes calls that are not allowed.
func TestGRPCRefusals(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Limits: Limits{RoomsPerConnection: 2}})
	ann := f.callerWith(f.token("Ann"))
	late := time.Now().Add(-time.Hour)
	expired := signed(t, jwt.RegisteredClaims{
		Subject: "Ann", Audience: jwt.ClaimStrings{auth.Audience}, ExpiresAt: jwt.NewNumericDate(late), IssuedAt: jwt.NewNumericDate(late),
	})
	send := func(c *calls, r *chatv1.SendMessageRequest) error {
		_, err := c.SendMessage(t.Context(), r)
		return err
	}
	subscribe := func(c *calls, rooms []string, streams ...string) error {
		r := &chatv1.SubscribeMessagesRequest{Streams: streams}
		for _, room := range rooms {
			r.Rooms = append(r.Rooms, &chatv1.Join{Room: room})
		}
		return c.subscribeTo(r).ended()
	}
	bad := failed{codes.InvalidArgument, "BAD_PAYLOAD", "BadRequest"}
	for name, tc := range map[string]struct {
		err  error
		want failed
	}{
		"no token":          {send(f.callerWith(""), message("lobby", "x")), failed{codes.Unauthenticated, "UNAUTHORIZED", ""}},
		"no token, stream":  {f.callerWith("").chat(t.Context()).ended(), failed{codes.Unauthenticated, "UNAUTHORIZED", ""}},
		"bad token":         {subscribe(f.callerWith("a.b.c"), nil), failed{codes.Unauthenticated, "UNAUTHORIZED", ""}},
		"expired token":     {subscribe(f.callerWith(expired), nil), failed{codes.Unauthenticated, "UNAUTHORIZED", ""}},
		"private room":      {send(ann, message("private.x", "x")), failed{codes.PermissionDenied, "FORBIDDEN", ""}},
		"private, stream":   {subscribe(ann, []string{"private.x"}), failed{codes.PermissionDenied, "FORBIDDEN", ""}},
		"no text":           {send(ann, message("lobby", " ")), bad},
		"bad room":          {send(ann, message("a b", "x")), bad},
		"no id":             {send(ann, &chatv1.SendMessageRequest{Room: "lobby", Text: "x"}), bad},
		"bad room, stream":  {subscribe(ann, []string{"a b"}), bad},
		"too many rooms":    {subscribe(ann, []string{"a", "b", "c"}), bad},
		"unknown stream":    {subscribe(ann, nil, "weather"), bad},
		"stream twice":      {subscribe(ann, nil, "market", "market"), bad},
		"a message too big": {send(ann, message("lobby", strings.Repeat("x", wire.MaxFrameBytes))), failed{code: codes.ResourceExhausted}},
	} {
		if got := failureOf(tc.err); got != tc.want {
			t.Errorf("%s: %+v (%v), want %+v", name, got, tc.err, tc.want)
		}
	}
	f.awaitMetrics(map[string]float64{
		"grpc_stream_connections_total unauthorized":  3,
		"grpc_stream_connections_total forbidden":     1,
		"grpc_stream_connections_total bad_handshake": 4,
	}, "grpc_stream_connections_total", "grpc_stream_active_connections")
}

// TestGRPCViolations lists everything that is wrong with a request.
func TestGRPCViolations(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true})
	_, err := f.caller("Ann").SendMessage(t.Context(), new(chatv1.SendMessageRequest))
	text := fmt.Sprint(status.Convert(err).Details()...)
	for _, field := range []string{"message_id", "room", "text"} {
		if !strings.Contains(text, `"`+field+`"`) {
			t.Errorf("%s is not said to be wrong: %s", field, text)
		}
	}
}

// TestGRPCMalformed sends what can't be read: it is answered as on a WebSocket, and the stream stays.
func TestGRPCMalformed(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true})
	c := f.chatter("Ada", grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	for data, want := range map[string]wire.Code{
		"\xff": wire.CodeBadProtobuf, "": wire.CodeBadEnvelope, `{"type":"ping"}`: wire.CodeBadProtobuf,
	} {
		if err := c.rpc.SendMsg([]byte(data)); err != nil {
			t.Fatal(err)
		}
		if e := c.await("error").GetError(); e.GetCode() != string(want) || e.GetReason() == "" {
			t.Errorf("%q: %v, want %s", data, e, want)
		}
	}
	c.ping()
	if err := c.rpc.SendMsg(make([]byte, wire.MaxFrameBytes+1)); err != nil {
		t.Fatal(err)
	}
	if err := c.ended(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message too big: %v", err)
	}
	f.awaitMetrics(map[string]float64{
		"grpc_stream_errors_total decode": 3, "grpc_stream_errors_total read": 1,
		"grpc_stream_disconnections_total local message_too_big": 1,
	}, "grpc_stream_errors_total", "grpc_stream_disconnections_total")
}

// TestGRPCDeadlines has clients that wait only so long: for the store, and on a stream.
func TestGRPCDeadlines(t *testing.T) {
	t.Parallel()
	store := newFragile(t)
	f := start(t, Config{GRPC: true, History: store})
	c := f.caller("Ada")
	if _, err := c.SendMessage(t.Context(), message("lobby", "hello")); err != nil {
		t.Fatal(err)
	}
	store.suffer(hang)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	request := message("lobby", "late")
	if _, err := c.SendMessage(ctx, request); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("SendMessage: %v, want the deadline", err)
	}
	store.suffer(nil)
	if answer, err := c.SendMessage(t.Context(), request); err != nil || answer.GetSeq() != 2 {
		t.Errorf("the same again: %v, %v", answer, err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := c.chat(ctx).ended(); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("Chat: %v, want the deadline", err)
	}
	f.awaitMetrics(map[string]float64{"grpc_stream_disconnections_total remote going_away": 1},
		"grpc_stream_disconnections_total", "grpc_stream_errors_total", "grpc_stream_active_connections")
}

// TestGRPCUnavailable has the store fail: the client is told to try again.
func TestGRPCUnavailable(t *testing.T) {
	t.Parallel()
	store := newFragile(t)
	f := start(t, Config{GRPC: true, History: store, Limits: Limits{Store: 100 * time.Millisecond}})
	store.suffer(func(context.Context) error { return errors.New("no store") })
	_, err := f.caller("Ada").SendMessage(t.Context(), message("lobby", "hello"))
	if want := (failed{codes.Unavailable, "UNAVAILABLE", "RetryInfo"}); failureOf(err) != want {
		t.Errorf("%v, want %+v", err, want)
	}
}

// TestGRPCTokenEnds has a token end: a Chat can renew it, a subscription can't.
func TestGRPCTokenEnds(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true})
	short := func(user string) string {
		token, err := f.tokens.Issue(user, nil, 2*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	ada := f.callerWith(short("Ada")).chat(t.Context())
	eve := f.callerWith(short("Eve")).subscribe(0)
	upload, err := f.callerWith(short("Dan")).UploadLogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := upload.Send(&chatv1.UploadLogsRequest{Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	ada.await("token_expiring")
	ada.send(&chatv1.ChatRequest{Payload: &chatv1.ChatRequest_Auth{Auth: &chatv1.Auth{Token: f.token("Ada")}}})
	ada.await("ack")
	want := failed{codes.Unauthenticated, "TOKEN_EXPIRED", ""}
	if err := eve.ended(); failureOf(err) != want {
		t.Errorf("a subscription ends by %v, want %+v", err, want)
	}
	if err := upload.RecvMsg(new(chatv1.UploadLogsResponse)); failureOf(err) != want {
		t.Errorf("an upload ends by %v, want %+v", err, want)
	}
	ada.ping()
	f.awaitMetrics(map[string]float64{"grpc_stream_disconnections_total local token_expired": 2}, "grpc_stream_disconnections_total")
}

// TestGRPCLimits reaches the limits of connections and messages.
func TestGRPCLimits(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Limits: Limits{Connections: 3, ConnectionsPerAddress: 2, MessagesPerSecond: 0.01, MessageBurst: 2}})
	c := f.caller("Ada")
	first, second := c.chat(t.Context()), c.chat(t.Context())
	first.await("welcome")
	second.await("welcome")
	if err, want := c.subscribe(0).ended(), (failed{codes.ResourceExhausted, "RATE_LIMITED", "RetryInfo"}); failureOf(err) != want {
		t.Errorf("a stream too many: %v, want %+v", err, want)
	}
	second.leave()
	f.eventually(func() bool { return f.chat.door.Open() == 1 }, func() string { return "a stream keeps its place" })
	for range 2 {
		if _, err := c.SendMessage(t.Context(), message("lobby", "hello")); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.SendMessage(t.Context(), message("lobby", "hello"))
	if want := (failed{codes.ResourceExhausted, "RATE_LIMITED", "RetryInfo"}); failureOf(err) != want {
		t.Errorf("a message too many: %v, want %+v", err, want)
	}
	for range 5 { // two are let through, and three are too many
		first.say("hello")
	}
	if err, want := first.ended(), (failed{codes.ResourceExhausted, "POLICY", "RetryInfo"}); failureOf(err) != want {
		t.Errorf("a client that goes on regardless: %v, want %+v", err, want)
	}
	f.awaitMetrics(map[string]float64{
		"grpc_stream_disconnections_total local policy": 1, "grpc_stream_disconnections_total remote going_away": 1,
	}, "grpc_stream_disconnections_total")
}

// TestGRPCFull has as many connections as there may be.
func TestGRPCFull(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Limits: Limits{Connections: 1}})
	c := f.caller("Ada")
	c.chat(t.Context()).await("welcome")
	_, err := c.SendMessage(t.Context(), message("lobby", "hello"))
	if want := (failed{codes.Unavailable, "OVER_CAPACITY", "RetryInfo"}); failureOf(err) != want {
		t.Errorf("%v, want %+v", err, want)
	}
	if _, err := healthv1.NewHealthClient(c.conn).Check(t.Context(), new(healthv1.HealthCheckRequest)); err != nil {
		t.Errorf("health of a full server: %v", err)
	}
}

// TestGRPCSlowConsumer has a client that reads nothing: it is disconnected, and the others are not held up.
func TestGRPCSlowConsumer(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Limits: Limits{SendQueue: 8, MessagesPerSecond: 1e6, MessageBurst: 1e6}})
	slow := f.chatter("slow", smallWindow()...)
	slow.join()
	c, text := f.caller("quick"), strings.Repeat("x", wire.MaxTextBytes)
	f.eventually(func() bool {
		if _, err := c.SendMessage(t.Context(), message("lobby", text)); err != nil {
			t.Fatal(err)
		}
		return f.metrics("grpc_stream_disconnections_total")["grpc_stream_disconnections_total local slow_consumer"] == 1
	}, func() string { return "a client that reads nothing is not disconnected" })
	f.eventually(func() bool { return f.chat.sessions.Len() == 0 }, func() string { return "its session stays" })
	if err, want := slow.ended(), (failed{codes.ResourceExhausted, "SLOW_CONSUMER", "RetryInfo"}); failureOf(err) != want {
		t.Errorf("ended by %v, want %+v", err, want)
	}
}

// TestGRPCWriteTimeout has a client that reads nothing while little is said: it is disconnected all the same.
func TestGRPCWriteTimeout(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Limits: Limits{SendQueue: 10_000, MessagesPerSecond: 1e6, MessageBurst: 1e6, Write: 200 * time.Millisecond}})
	slow := f.chatter("slow", smallWindow()...)
	slow.join()
	c, text := f.caller("quick"), strings.Repeat("x", wire.MaxTextBytes)
	f.eventually(func() bool {
		if _, err := c.SendMessage(t.Context(), message("lobby", text)); err != nil {
			t.Fatal(err)
		}
		return f.metrics("grpc_stream_disconnections_total")["grpc_stream_disconnections_total local write_error"] == 1
	}, func() string { return "a client that reads nothing is not disconnected" })
	f.eventually(func() bool { return f.chat.sessions.Len() == 0 }, func() string { return "its session stays" })
}

// TestGRPCKeepalive has a client vanish without a word.
func TestGRPCKeepalive(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Heartbeat: time.Second})
	c := f.chatter("Ada")
	c.join()
	f.turnOn("half_open", 1, "1m")
	if err := c.ended(); status.Code(err) != codes.Unavailable {
		t.Errorf("ended by %v, want to be cut off", err)
	}
	f.awaitMetrics(map[string]float64{
		"grpc_stream_disconnections_total network ping_timeout": 1, "grpc_disconnections_total network ping_timeout": 1,
	}, "grpc_stream_disconnections_total", "grpc_disconnections_total", "grpc_stream_active_connections")
	f.turnOff("half_open")
	f.chatter("Ada").ping()
}

// TestGRPCFaults has the faults strike that act on links, handlers and connections.
func TestGRPCFaults(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true})
	c, calls := f.chatter("Ada"), f.caller("Ben")
	c.join()

	f.turnOn("handler_panics", 1, "1m")
	internal := failed{codes.Internal, "INTERNAL", ""}
	if _, err := calls.SendMessage(t.Context(), message("lobby", "hello")); failureOf(err) != internal {
		t.Errorf("a call whose handler panics: %v", err)
	}
	c.say("hello")
	if err := c.ended(); failureOf(err) != internal {
		t.Errorf("a stream whose handler panics: %v", err)
	}
	f.awaitMetrics(map[string]float64{
		"grpc_stream_errors_total panic": 1, "grpc_stream_disconnections_total local internal": 1, "grpc_errors_total handler": 1,
	}, "grpc_stream_errors_total", "grpc_stream_disconnections_total", "grpc_errors_total")
	f.turnOff("handler_panics")

	f.turnOn("handshake_errors", 1, "1m")
	if _, err := calls.SendMessage(t.Context(), message("lobby", "hello")); failureOf(err) != (failed{codes.Internal, "ERROR", ""}) {
		t.Errorf("a call that fails at the gate: %v", err)
	}
	f.turnOff("handshake_errors")

	c = f.chatter("Ada")
	c.join()
	f.turnOn("silence", 1, "1m")
	if _, err := calls.SendMessage(t.Context(), message("lobby", "unheard")); err != nil {
		t.Error(err)
	}
	f.awaitMetrics(map[string]float64{"grpc_stream_messages_dropped_total expired": 1}, "grpc_stream_messages_dropped_total")
	f.turnOff("silence")
	c.ping()

	f.turnOn("mass_disconnect", 1, "1m")
	if err := c.ended(); status.Code(err) != codes.Unavailable {
		t.Errorf("ended by %v, want to be cut off", err)
	}
	f.awaitMetrics(map[string]float64{
		"grpc_stream_disconnections_total local internal": 1, "grpc_stream_disconnections_total network abnormal": 1,
	}, "grpc_stream_disconnections_total")
}

// TestGRPCDrain drains a server with clients of every kind.
func TestGRPCDrain(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, DrainSpread: time.Second})
	chat := f.chatter("Ada")
	chat.join()
	subscriber := f.caller("Eve")
	subscription := subscriber.subscribe(0)
	subscription.await("ack")
	upload, err := f.caller("Dan").UploadLogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := upload.Send(&chatv1.UploadLogsRequest{Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	f.eventually(func() bool { return strings.Contains(f.logs.String(), "log record uploaded") }, func() string { return "no record" })
	watcher := healthv1.NewHealthClient(f.callerWith("").conn)
	watch, err := watcher.Watch(t.Context(), new(healthv1.HealthCheckRequest))
	if err != nil {
		t.Fatal(err)
	}
	awaitHealth(t, watch, healthv1.HealthCheckResponse_SERVING)

	var drained sync.WaitGroup
	drained.Go(func() { f.shutdown() })
	awaitHealth(t, watch, healthv1.HealthCheckResponse_NOT_SERVING)
	chat.await("going_away")
	if !subscriber.conn.WaitForStateChange(t.Context(), connectivity.Ready) { // by the GOAWAY, while its stream goes on
		t.Error("the connection stays in use")
	}
	want := failed{codes.Unavailable, "SHUTDOWN", "RetryInfo"}
	for who, err := range map[string]error{
		"Chat": chat.ended(), "SubscribeMessages": subscription.ended(), "UploadLogs": upload.RecvMsg(new(chatv1.UploadLogsResponse)),
	} {
		if failureOf(err) != want {
			t.Errorf("%s ends by %v, want %+v", who, err, want)
		}
	}
	drained.Wait()
	if _, err := f.caller("Ben").SendMessage(t.Context(), message("lobby", "too late")); status.Code(err) != codes.Unavailable {
		t.Errorf("a call after the end: %v", err)
	}
	f.awaitMetrics(map[string]float64{"grpc_stream_disconnections_total local shutdown": 4}, // the watcher is one
		"grpc_stream_disconnections_total", "grpc_stream_active_connections", "grpc_active_connections")
}

// awaitHealth reads until the service is in that state.
func awaitHealth(t *testing.T, watch healthv1.Health_WatchClient, want healthv1.HealthCheckResponse_ServingStatus) {
	t.Helper()
	for {
		got, err := watch.Recv()
		if err != nil {
			t.Fatalf("waiting for %v: %v", want, err)
		}
		if got.GetStatus() == want {
			return
		}
	}
}

// TestGRPCDrainDeadline has a client that reads nothing: the drain does not wait for it longer than it may.
func TestGRPCDrainDeadline(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Limits: Limits{SendQueue: 10_000, MessagesPerSecond: 1e6, MessageBurst: 1e6, Write: time.Minute}})
	slow, c := f.chatter("slow", smallWindow()...), f.caller("quick")
	slow.join()
	text := strings.Repeat("x", wire.MaxTextBytes)
	f.clog("grpc_stream_send_queue_messages", func() {
		if _, err := c.SendMessage(t.Context(), message("lobby", text)); err != nil {
			t.Fatal(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := f.chat.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "cut off 1 connection") {
		t.Errorf("shutdown: %v, want one connection cut off", err)
	}
	if err := slow.ended(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the stream ends by %v", err)
	}
	f.awaitMetrics(map[string]float64{"grpc_stream_disconnections_total local shutdown": 1}, "grpc_stream_disconnections_total", "grpc_active_connections")
}

// TestGRPCHealth has health follow the store.
func TestGRPCHealth(t *testing.T) {
	t.Parallel()
	store := &deaf{Store: complete(t, Config{}).History}
	f := start(t, Config{GRPC: true, History: store})
	client := healthv1.NewHealthClient(f.callerWith("").conn)
	watch, err := client.Watch(t.Context(), &healthv1.HealthCheckRequest{Service: chatv1.ChatService_ServiceDesc.ServiceName})
	if err != nil {
		t.Fatal(err)
	}
	awaitHealth(t, watch, healthv1.HealthCheckResponse_SERVING)
	store.silent.Store(true)
	awaitHealth(t, watch, healthv1.HealthCheckResponse_NOT_SERVING)
	if got, err := client.Check(t.Context(), new(healthv1.HealthCheckRequest)); err != nil || got.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("check: %v, %v", got, err)
	}
	store.silent.Store(false)
	awaitHealth(t, watch, healthv1.HealthCheckResponse_SERVING)
	if _, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "nothing"}); status.Code(err) != codes.NotFound {
		t.Errorf("health of what there is not: %v", err)
	}
}

// TestGRPCReflection lists the services, as grpcurl does.
func TestGRPCReflection(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true})
	rpc, err := reflectionv1.NewServerReflectionClient(f.callerWith("").conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := rpc.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	response, err := rpc.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range response.GetListServicesResponse().GetService() {
		got = append(got, s.GetName())
	}
	want := []string{
		"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection", "sockscope.chat.v1.ChatService",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	if err := rpc.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := rpc.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("ended by %v", err)
	}
}

// TestNoGRPC serves gRPC on a server that was not made for it.
func TestNoGRPC(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	var l closed
	if err := f.chat.ServeGRPC(&l); err == nil || !bool(l) {
		t.Errorf("ServeGRPC: %v, and the listener is closed: %v", err, bool(l))
	}
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if strings.HasPrefix(family.GetName(), "grpc_") {
			t.Errorf("%s is a metric of what there is not", family.GetName())
		}
	}
}
