package demo

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

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
