package grpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sockscope/sockscope/demo/auth"
	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
	"github.com/sockscope/sockscope/demo/session"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/grpcstream"
)

// stream is a Chat or a SubscribeMessages, the link of its session.
type stream struct {
	server  *Server
	rpc     grpc.ServerStream
	conn    *instrument.Conn
	session *session.Session
	late    *time.Timer // ends the stream if a frame is not written in time
	end     chan ending // takes the first
}

// ending is why a stream ends.
type ending struct {
	cause    *instrument.Cause // nil where gRPC knows it
	err      error             // the status
	panicked any               // what the handler of a message has panicked with
}

// Chat implements the service. A goroutine of its own reads what the client sends, because only the handler can end the
// stream, and it can't while it waits for the client.
func (s *Server) Chat(rpc chatv1.ChatService_ChatServer) error {
	return s.serve(rpc, func(ctx context.Context, st *stream) { go st.read(ctx) })
}

// SubscribeMessages implements the service.
func (s *Server) SubscribeMessages(request *chatv1.SubscribeMessagesRequest, rpc chatv1.ChatService_SubscribeMessagesServer) error {
	if err := s.checkSubscription(caller(rpc.Context()), request); err != nil {
		return err
	}
	return s.serve(rpc, func(ctx context.Context, st *stream) {
		for _, join := range request.GetRooms() {
			st.ask(ctx, wire.TypeJoin, wire.JoinPayload{Room: join.GetRoom(), After: join.After})
		}
		for _, name := range request.GetStreams() {
			st.ask(ctx, wire.TypeSubscribe, wire.StreamPayload{Stream: name})
		}
	})
}

// checkSubscription returns the status for a subscription that is not allowed.
func (s *Server) checkSubscription(who auth.Identity, request *chatv1.SubscribeMessagesRequest) error {
	var checks []violation
	if n := len(request.GetRooms()); n > s.cfg.RoomsPerSession {
		checks = append(checks, violation{"rooms", fmt.Errorf("a connection may be in %d rooms", s.cfg.RoomsPerSession)})
	}
	for i, join := range request.GetRooms() {
		checks = append(checks, violation{fmt.Sprintf("rooms[%d].room", i), wire.CheckRoom(join.GetRoom())})
	}
	for i, name := range request.GetStreams() {
		err := wire.CheckStream(name)
		if slices.Contains(request.GetStreams()[:i], name) {
			err = errors.New("name each stream once")
		}
		checks = append(checks, violation{fmt.Sprintf("streams[%d]", i), err})
	}
	if err := invalid(checks...); err != nil {
		return err
	}
	for _, join := range request.GetRooms() {
		if !who.MayEnter(join.GetRoom()) {
			return refused(&wire.RefusalError{Code: wire.CodeForbidden, Reason: "your token does not open one of the rooms"})
		}
	}
	return nil
}

// serve opens the session of a stream, begins what it is for, and returns when it has ended.
func (s *Server) serve(rpc grpc.ServerStream, begin func(context.Context, *stream)) error {
	ctx := rpc.Context()
	st := &stream{server: s, rpc: rpc, conn: grpcstream.Observed(ctx), end: make(chan ending, 1)}
	st.late = time.AfterFunc(s.cfg.WriteTimeout, func() { st.close(instrument.ReasonWriteError, "a frame could not be written in time") })
	st.late.Stop()
	st.session = s.cfg.Sessions.Open(s.cfg.Streams, st.conn, st)
	st.session.Begin(caller(ctx))
	// As over a WebSocket, what has come is done even if the client is gone.
	background := st.conn.Context(context.WithoutCancel(ctx))
	// A write under way can end only after the handler has returned, so that the session must not wait for it.
	ended, end := context.WithCancel(background)
	end()
	defer st.session.End(ended)

	begin(background, st)
	select {
	case e := <-st.end:
		if e.panicked != nil {
			panic(e.panicked) //nolint:forbidigo // the handler's own, which is counted and recovered from further up
		}
		if e.cause != nil {
			st.conn.Closed(*e.cause)
		}
		return e.err
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// read hands the session what the client sends, until one of the two ends that. A client that has said all that it
// wanted may go on listening.
func (st *stream) read(ctx context.Context) {
	defer func() {
		if v := recover(); v != nil {
			st.finish(ending{panicked: v})
		}
	}()
	for {
		var data encoded
		if err := st.rpc.RecvMsg(&data); err != nil {
			if !errors.Is(err, io.EOF) {
				st.finish(ending{err: err})
			}
			return
		}
		if !st.session.Receive(ctx, data, wire.DecodeProtobuf) {
			return
		}
	}
}

// ask does what a client of Chat asks for in a message of its own.
func (st *stream) ask(ctx context.Context, typ wire.Type, payload any) {
	f, err := wire.NewFrame(typ, uuid.NewString(), payload)
	if err != nil {
		st.conn.Failed(ctx, instrument.ErrorHandler, err)
		return
	}
	st.session.Receive(ctx, f.Data, wire.Decode)
}

// Write implements session.Link.
func (st *stream) Write(f *wire.Frame) (instrument.MessageType, int, error) {
	typ := st.server.cfg.Streams.TypeOf(f.Type)
	data, _, err := f.Encode(wire.Protobuf, nil)
	if err != nil {
		return typ, 0, err
	}
	st.late.Reset(st.server.cfg.WriteTimeout)
	defer st.late.Stop()
	return typ, len(data), st.rpc.SendMsg(encoded(data))
}

// Ping implements session.Link: gRPC itself pings the client's connection.
func (st *stream) Ping() {}

// Close implements session.Link.
func (st *stream) Close(reason instrument.CloseReason, text string) { st.close(reason, text) }

func (st *stream) close(reason instrument.CloseReason, text string) {
	err := ended(reason, text)
	st.finish(ending{
		cause: &instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: reason, Code: int(status.Code(err))}, err: err,
	})
}

// Cut implements session.Link.
func (st *stream) Cut() {
	st.finish(ending{err: failure(codes.Unavailable, "cut", "the stream is cut off", retry())})
}

// finish has the handler return. The first ending counts.
func (st *stream) finish(e ending) {
	select {
	case st.end <- e:
	default:
	}
}
