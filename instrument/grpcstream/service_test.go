package grpcstream_test

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The full names of the methods, one of each mode.
const (
	unaryMethod        = "/test.v1.Echo/Unary"
	clientStreamMethod = "/test.v1.Echo/ClientStream"
	serverStreamMethod = "/test.v1.Echo/ServerStream"
	bidiMethod         = "/test.v1.Echo/Bidi"
)

// message is what all methods take and give.
type message = wrapperspb.BytesValue

// service handles the methods; those of its methods that stream get the stream as it is.
type service struct {
	unary  func(context.Context, *message) (*message, error)
	stream func(grpc.ServerStream) error
}

// description is what protoc would generate.
func description() *grpc.ServiceDesc {
	stream := func(srv any, s grpc.ServerStream) error { return srv.(*service).stream(s) }
	afterRequest := func(srv any, s grpc.ServerStream) error {
		if err := s.RecvMsg(new(message)); err != nil {
			return err
		}
		return srv.(*service).stream(s)
	}
	return &grpc.ServiceDesc{
		ServiceName: "test.v1.Echo",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: handleUnary}},
		Streams: []grpc.StreamDesc{
			{StreamName: "ClientStream", Handler: stream, ClientStreams: true},
			{StreamName: "ServerStream", Handler: afterRequest, ServerStreams: true},
			{StreamName: "Bidi", Handler: stream, ClientStreams: true, ServerStreams: true},
		},
	}
}

//revive:disable-next-line:context-as-argument // gRPC has it so
func handleUnary(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	request := new(message)
	if err := decode(request); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(*service).unary(ctx, request)
	}
	info := &grpc.UnaryServerInfo{Server: srv, FullMethod: unaryMethod}
	return interceptor(ctx, request, info, func(ctx context.Context, request any) (any, error) {
		return srv.(*service).unary(ctx, request.(*message))
	})
}

// streamDescription is the client's view of a method.
func streamDescription(method string) *grpc.StreamDesc {
	return &grpc.StreamDesc{
		ClientStreams: method == clientStreamMethod || method == bidiMethod,
		ServerStreams: method == serverStreamMethod || method == bidiMethod,
	}
}

func messageOf(size int) *message { return wrapperspb.Bytes(make([]byte, size)) }
