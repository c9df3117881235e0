package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sockscope/sockscope/demo/history"
	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
	"github.com/sockscope/sockscope/demo/wire"
)

// startGRPC serves gRPC, if it is configured, until the server is shut down.
func (f *fixture) startGRPC() {
	f.t.Helper()
	if !f.chat.cfg.GRPC {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	f.grpc = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- f.chat.ServeGRPC(smallBuffers{l}) }()
	f.t.Cleanup(func() {
		if err := <-served; err != nil {
			f.t.Errorf("serve gRPC: %v", err)
		}
	})
}

// bearerToken is sent with every call.
type bearerToken string

func (b bearerToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if b == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearerToken) RequireTransportSecurity() bool { return false }

// calls is a client of gRPC with a connection of its own.
type calls struct {
	chatv1.ChatServiceClient
	f    *fixture
	conn *grpc.ClientConn
}

// caller returns a client that is a user.
func (f *fixture) caller(user string, opts ...grpc.DialOption) *calls {
	f.t.Helper()
	return f.callerWith(f.token(user), opts...)
}

// callerWith returns a client with that token, or none if it is empty.
func (f *fixture) callerWith(token string, opts ...grpc.DialOption) *calls {
	f.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+f.grpc, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(bearerToken(token)),
	}, opts...)...)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	return &calls{chatv1.NewChatServiceClient(conn), f, conn}
}

// frames is a stream of what the server sends.
type frames struct {
	f     *fixture
	next  func() (*chatv1.Frame, error)
	leave context.CancelFunc
}

// subscribe subscribes to the messages of the lobby: those with higher numbers than after, or only new ones if it is 0.
func (c *calls) subscribe(after uint64) *frames {
	c.f.t.Helper()
	join := &chatv1.Join{Room: "lobby"}
	if after > 0 {
		join.After = &after
	}
	return c.subscribeTo(&chatv1.SubscribeMessagesRequest{Rooms: []*chatv1.Join{join}})
}

func (c *calls) subscribeTo(request *chatv1.SubscribeMessagesRequest) *frames {
	c.f.t.Helper()
	ctx, leave := context.WithCancel(c.f.t.Context())
	c.f.t.Cleanup(leave)
	rpc, err := c.SubscribeMessages(ctx, request)
	if err != nil {
		c.f.t.Fatal(err)
	}
	return &frames{c.f, func() (*chatv1.Frame, error) {
		response, err := rpc.Recv()
		return response.GetFrame(), err
	}, leave}
}

// chatting is a Chat that is open.
type chatting struct {
	*frames
	rpc grpc.BidiStreamingClient[chatv1.ChatRequest, chatv1.ChatResponse]
}

// chatter opens a Chat on a connection of its own, and reads its welcome.
func (f *fixture) chatter(user string, opts ...grpc.DialOption) *chatting {
	f.t.Helper()
	c := f.caller(user, opts...).chat(f.t.Context())
	if w := c.await("welcome").GetWelcome(); w.GetUser() != user {
		f.t.Fatalf("%s is welcomed as %q", user, w.GetUser())
	}
	return c
}

func (c *calls) chat(ctx context.Context) *chatting {
	c.f.t.Helper()
	ctx, leave := context.WithCancel(ctx)
	c.f.t.Cleanup(leave)
	rpc, err := c.Chat(ctx)
	if err != nil {
		c.f.t.Fatal(err)
	}
	return &chatting{&frames{c.f, func() (*chatv1.Frame, error) {
		response, err := rpc.Recv()
		return response.GetFrame(), err
	}, leave}, rpc}
}

// kind returns the name of a frame's payload.
func kind(f *chatv1.Frame) string {
	m := f.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("payload"))
	if field == nil {
		return ""
	}
	return string(field.Name())
}

// read returns the next frame, or how the stream ended.
func (s *frames) read() (*chatv1.Frame, error) {
	overdue := time.AfterFunc(patience, s.leave)
	defer overdue.Stop()
	return s.next()
}

// await reads until a frame of that kind comes.
func (s *frames) await(name string) *chatv1.Frame {
	s.f.t.Helper()
	for {
		frame, err := s.read()
		if err != nil {
			s.f.t.Fatalf("waiting for %s: %v", name, err)
		}
		if kind(frame) == name {
			return frame
		}
	}
}

// ended returns how the stream ended, after whatever else comes first.
func (s *frames) ended() error {
	s.f.t.Helper()
	for {
		if _, err := s.read(); err != nil {
			return err
		}
	}
}

// messages reads so many messages, as number and saved id, and passes on the acknowledgements in between.
func (s *frames) messages(n int, acked func(wire.AckPayload)) (got []string) {
	for len(got) < n {
		frame, err := s.read()
		if err != nil {
			s.f.t.Errorf("after %d messages: %v", len(got), err)
			return got
		}
		switch p := frame.GetPayload().(type) {
		case *chatv1.Frame_Ack:
			if p.Ack.GetSavedId() != "" {
				acked(wire.AckPayload{Seq: p.Ack.GetSeq(), SavedID: p.Ack.GetSavedId()})
			}
		case *chatv1.Frame_Message:
			got = append(got, fmt.Sprint(frame.GetSeq(), p.Message.GetSavedId()))
		case *chatv1.Frame_History:
			for _, m := range p.History.GetMessages() {
				got = append(got, fmt.Sprint(m.GetSeq(), m.GetSavedId()))
			}
		}
	}
	return got
}

// send sends a request, in whose fields id and time are set, and returns its id.
func (c *chatting) send(request *chatv1.ChatRequest) string {
	c.f.t.Helper()
	request.MessageId, request.Timestamp = uuid.NewString(), timestamppb.Now()
	if err := c.rpc.Send(request); err != nil {
		c.f.t.Errorf("send: %v", err)
	}
	return request.MessageId
}

// join joins the room that all talk in.
func (c *chatting) join() {
	c.f.t.Helper()
	id := c.send(&chatv1.ChatRequest{Payload: &chatv1.ChatRequest_Join{Join: &chatv1.Join{Room: "lobby"}}})
	if ack := c.await("ack"); !ack.GetAck().GetSuccess() || ack.GetMessageId() != id {
		c.f.t.Fatalf("join: %v", ack)
	}
}

func (c *chatting) say(text string) string {
	c.f.t.Helper()
	return c.send(&chatv1.ChatRequest{Payload: &chatv1.ChatRequest_Message{Message: &chatv1.Message{Room: "lobby", Text: text}}})
}

// ping returns when the server has answered.
func (c *chatting) ping() {
	c.f.t.Helper()
	id := c.send(&chatv1.ChatRequest{Payload: &chatv1.ChatRequest_Ping{Ping: new(chatv1.Ping)}})
	for c.await("pong").GetMessageId() != id {
	}
}

func message(room, text string) *chatv1.SendMessageRequest {
	return &chatv1.SendMessageRequest{MessageId: uuid.NewString(), Room: room, Text: text}
}

// smallWindow are the options of a client that takes little that is not read.
func smallWindow() []grpc.DialOption {
	const least = 64 << 10
	return []grpc.DialOption{grpc.WithInitialWindowSize(least), grpc.WithInitialConnWindowSize(least)}
}

// failed is what a client is told of a failure.
type failed struct {
	code   codes.Code
	reason string // of the ErrorInfo
	more   string // the name of the other detail, if there is one
}

func failureOf(err error) failed {
	st := status.Convert(err)
	f := failed{code: st.Code()}
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			f.reason = info.GetReason()
			continue
		}
		if m, ok := detail.(proto.Message); ok {
			f.more = string(m.ProtoReflect().Descriptor().Name())
		}
	}
	return f
}

// raw sends and takes bytes as they are.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return v, nil
	case proto.Message:
		return proto.Marshal(v)
	}
	return nil, errors.ErrUnsupported
}

func (raw) Unmarshal(data []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return errors.ErrUnsupported
	}
	return proto.Unmarshal(data, m)
}

// deaf is a store that does not say that it is there when a test wants that.
type deaf struct {
	history.Store
	silent atomic.Bool
}

func (s *deaf) Ping(ctx context.Context) error {
	if s.silent.Load() {
		return errors.New("no store")
	}
	return s.Store.Ping(ctx)
}

// closed is a listener that notes that it is closed.
type closed bool

func (c *closed) Accept() (net.Conn, error) { return nil, net.ErrClosed }

func (c *closed) Addr() net.Addr { return new(net.TCPAddr) }

func (c *closed) Close() error {
	*c = true
	return nil
}
