// Package grpcstream observes the RPCs and connections of a gRPC server, by a stats.Handler.
//
//	streams, err := instrument.New(instrument.WithProtocol(grpcstream.Protocol),
//		grpcstream.WithMethods(pb.Chat_Join_FullMethodName))
//	…
//	connections, err := instrument.New(instrument.WithProtocol(grpcstream.ConnectionTransport),
//		grpcstream.WithMethods(pb.Chat_Join_FullMethodName, pb.Chat_Rooms_FullMethodName))
//	…
//	server := grpc.NewServer(grpc.StatsHandler(grpcstream.NewServerHandler(streams, connections)))
//
// There are two observers, because there are two things that last:
//
//   - A streaming RPC, whichever side streams, is a connection of the first observer: grpc_stream_active_connections,
//     grpc_stream_messages_total, and grpc_stream_disconnections_total by the status that it ended with.
//   - An HTTP/2 connection is one of the second: grpc_active_connections and so on. All messages that it carries are
//     counted there. A unary RPC is not a connection but a message: grpc_message_duration_seconds is the time from its
//     request to its status.
//
// The label type is the full name of the method, as "/chat.v1.Chat/Join", if it is registered with the observer by
// [WithMethods], and without the first parts of the package if it is longer than the 64 bytes that a label value may
// have. Messages are counted here, with their size before compression; the application must not count them again. What
// else it has to tell of a stream, such as what its queues drop, it tells by [Session].
//
// # When a stream is open
//
// An RPC is accepted or refused by its handler and interceptors, and nothing tells when they have made up their minds. A
// stream counts as open from the first of these: the handler sends its header or a message, it reads a message of a
// streaming client, it calls [Session], or it has been running for a second. The time until then is the duration of the
// handshake; where a server streams, that is the time to its first message. An RPC that ends before with a status that is
// a refusal has never been open:
//
//	Unauthenticated                        unauthorized
//	PermissionDenied                       forbidden
//	ResourceExhausted                      rate_limited; bad_handshake for a request above grpc.MaxRecvMsgSize
//	Unavailable                            draining if the Observer is, else error
//	Unimplemented, InvalidArgument, NotFound, AlreadyExists, FailedPrecondition, OutOfRange   bad_handshake
//	every other but OK, Canceled and DeadlineExceeded   error
//
// # How a stream ends
//
// gRPC streams have no close codes but a status, which only the server sends. The code in spans and log records is that of
// the status.
//
//   - OK: local, normal
//   - Unavailable: local, shutdown if the Observer is draining, else try_again_later; so are ResourceExhausted and Aborted
//   - a message above grpc.MaxRecvMsgSize, which gRPC answers by ResourceExhausted: local, message_too_big, and an error of
//     the kind read
//   - Unauthenticated: local, token_expired
//   - PermissionDenied and what is refused as bad_handshake above: local, policy; Unimplemented: local, protocol_error
//   - Internal, Unknown, DataLoss: local, internal, and an error of the kind handler; DeadlineExceeded before the RPC's
//     own deadline, which is somebody else's, likewise, of the kind timeout
//   - codes beyond gRPC's own: local, other
//   - the client cancels the RPC, or its deadline passes: remote, going_away. That is how long streams end, and no error.
//     The two are not told apart: a client cancels at its deadline, too, and which of them the server sees first is chance.
//   - the connection ends under the stream: network, abnormal. Clients that are closed with streams open do that, too, and so
//     does the server to a peer from which nothing comes anymore, for keepalive.ServerParameters. While the Observer is
//     draining, it is Server.Stop: local, shutdown
//   - the handler panics: local, internal, and an error of the kind panic. gRPC does not recover it, so the process is about
//     to end and the log record is what remains; an interceptor that recovers makes a status of it.
//
// A connection that ends with an RPC under way is network, abnormal. Any other is remote, going_away: it may as well have
// been the server, for keepalive.ServerParameters, and gRPC does not say. While the Observer is draining, connections end
// by local, shutdown. So call SetDraining of both observers before Server.GracefulStop or Server.Stop.
//
// Neither connections that fail before HTTP/2 is set up nor RPCs that gRPC refuses on its own, such as those above
// grpc.MaxConcurrentStreams, come to a stats.Handler. An unknown method is a refused stream, bad_handshake.
//
// # Unary RPCs
//
// A unary RPC whose status says that the server is at fault is a failed message: Unknown, Internal, DataLoss, Unavailable,
// Unimplemented, and DeadlineExceeded before the RPC's own deadline. Unauthenticated and PermissionDenied are errors of
// the kind auth, and a request above grpc.MaxRecvMsgSize is one of the kind read. No other status is an error.
//
// # Traces
//
// The metadata of an RPC is the carrier of its trace context. The handler's context is left as it is, without a span: one
// that ends with the handshake must not become the parent of all that a stream does. With otelgrpc beside it, in either
// order, nothing is counted twice and the handshake's span is a child of otelgrpc's.
//
// # Below net/http
//
// With grpc.Server.ServeHTTP every request is a connection for gRPC, so the second observer counts requests, and a client
// that cancels a stream cannot be told from one whose connection has ended: both are remote, going_away.
package grpcstream
