package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// chat is a Chat on an HTTP/2 connection of its own.
type chat struct {
	*lines
	conn *grpc.ClientConn
	rpc  grpc.ClientStream
	end  context.CancelCauseFunc
	live context.Context // ends with the Chat

	sending sync.Mutex // held while something is sent
}

func dialGRPC(ctx context.Context, l *lines, o Options) (Conn, error) {
	if o.Server.GRPC() == "" {
		return nil, errors.New("there is no address of the server's gRPC")
	}
	conn, err := grpc.NewClient("passthrough:///"+o.Server.GRPC(), l.grpcOptions(o)...)
	if err != nil {
		return nil, err
	}
	c := &chat{lines: l, conn: conn}
	c.live, c.end = context.WithCancelCause(metadata.AppendToOutgoingContext(context.WithoutCancel(ctx), "authorization", o.Authorization))
	keep := context.AfterFunc(ctx, func() { c.end(ctx.Err()) })
	desc := &grpc.StreamDesc{StreamName: "Chat", ServerStreams: true, ClientStreams: true}
	if c.rpc, err = conn.NewStream(c.live, desc, chatv1.ChatService_Chat_FullMethodName); err == nil {
		err = c.begun()
	}
	if !keep() && err == nil {
		err = context.Cause(c.live)
	}
	if err != nil {
		c.stop(err)
		return nil, notConnected(l.failure(), err)
	}
	return c, nil
}

func (l *lines) grpcOptions(o Options) []grpc.DialOption {
	secure := insecure.NewCredentials()
	if o.Server.TLS() {
		config := l.tls
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		secure = credentials.NewTLS(config)
	}
	return []grpc.DialOption{
		grpc.WithTransportCredentials(secure), grpc.WithDisableServiceConfig(), grpc.WithNoProxy(),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return l.dial(ctx, "tcp", address) }),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(encoded{}), grpc.MaxCallRecvMsgSize(readLimit)),
	}
}

// encoded is a codec for messages that are encoded already.
type encoded struct{}

// Name implements encoding.Codec.
func (encoded) Name() string { return "proto" }

// Marshal implements encoding.Codec.
func (encoded) Marshal(v any) ([]byte, error) {
	data, ok := v.([]byte)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return data, nil
}

// Unmarshal implements encoding.Codec.
func (encoded) Unmarshal(data []byte, v any) error {
	to, ok := v.(*[]byte)
	if !ok {
		return errors.ErrUnsupported
	}
	*to = data
	return nil
}

// begun waits until the server has let the call in, and returns why it has not.
func (c *chat) begun() error {
	header, err := c.rpc.Header()
	if err == nil && header != nil {
		return nil
	}
	if err = c.rpc.RecvMsg(new([]byte)); errors.Is(err, io.EOF) || err == nil {
		err = errors.New("the server has ended the call at once")
	}
	return err
}

// notConnected returns the error of a call that was not let in. If the network is to blame, it is because of failed.
func notConnected(failed, err error) error {
	st := status.Convert(err)
	switch {
	case failed != nil:
		return failed
	case infoOf(st) == nil:
		return err
	}
	code := http.StatusInternalServerError
	switch st.Code() {
	case codes.Unauthenticated:
		code = http.StatusUnauthorized
	case codes.PermissionDenied:
		code = http.StatusForbidden
	case codes.ResourceExhausted:
		code = http.StatusTooManyRequests
	case codes.Unavailable:
		code = http.StatusServiceUnavailable
	}
	return &RefusedError{code, st.Message()}
}

// infoOf returns what a status says for programs, nil if it is not the service's own.
func infoOf(st *status.Status) *errdetails.ErrorInfo {
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}

// Receive implements Conn.
func (c *chat) Receive(take func([]byte)) error {
	var data []byte
	if err := c.rpc.RecvMsg(&data); err != nil {
		return c.ended(err)
	}
	take(data)
	return nil
}

// ended returns why the Chat has ended, and takes away what is left of it.
func (c *chat) ended(err error) error {
	if cause := context.Cause(c.live); cause != nil {
		err = cause
	}
	c.stop(err)
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	info := infoOf(st)
	if info == nil { // the network has ended it: the rest has addresses in it
		return fmt.Errorf("the call has ended with %v", st.Code())
	}
	return &EndError{
		Code: int(st.Code()), Text: fmt.Sprintf("%v %s", st.Code(), info.GetReason()),
		Expired: strings.EqualFold(info.GetReason(), instrument.ReasonTokenExpired.String()),
	}
}

// stop ends the Chat for a reason that Receive returns.
func (c *chat) stop(why error) {
	c.end(why)
	_ = c.conn.Close() // it may be closed
	c.cut()
}

// Decode implements Conn.
func (*chat) Decode(data []byte) (wire.Envelope, error) { return wire.DecodeResponse(data) }

// Send implements Conn.
func (c *chat) Send(env *wire.Envelope) error {
	data, err := wire.EncodeRequest(env)
	if err != nil {
		return err
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := c.rpc.SendMsg(data); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// Close implements Conn. To cancel the call is its order.
func (c *chat) Close() { c.stop(errUsed) }

// Cut implements Conn.
func (c *chat) Cut() {
	c.cut() // before it is cancelled, which would be told the server
	c.stop(errUsed)
}

// Vanish implements Conn.
func (c *chat) Vanish() {
	c.vanish()
	c.stop(errVanished)
}

// Noticed implements Conn.
func (c *chat) Noticed() bool { return c.noticed() }
