// Package grpcstream observes the streams and connections of a gRPC server.
//
//	streams, err := instrument.New(instrument.WithProtocol(grpcstream.Protocol),
//		grpcstream.WithMethods(pb.Chat_Join_FullMethodName))
//	…
//	connections, err := instrument.New(instrument.WithProtocol(grpcstream.ConnectionProtocol),
//		grpcstream.WithMethods(pb.Chat_Join_FullMethodName, pb.Chat_Rooms_FullMethodName))
//	…
//	observed, err := grpcstream.New(grpcstream.Config{Streams: streams, Connections: connections})
//	…
//	server := grpc.NewServer(observed.ServerOptions()...)
//	…
//	err = observed.Shutdown(ctx, server)
//
// There are two observers, for two kinds of connections:
//
//   - A streaming RPC is a connection of the first observer, whichever side streams: grpc_stream_active_connections,
//     grpc_stream_messages_total, grpc_stream_disconnections_total.
//   - An HTTP/2 connection is a connection of the second observer: grpc_active_connections and so on. All messages of
//     the connection are counted there. A unary RPC is not a connection but a message: grpc_message_duration_seconds is
//     the time from its request to its status.
//
// The label type is the full name of the method, such as "/chat.v1.Chat/Join". Methods become label values by
// [WithMethods], which shortens names that are too long for a label; all other methods are "other". The Handler counts
// the messages, with their size before compression. To note more about a stream, a handler calls the methods of the
// [instrument.Conn] that [Observed] returns: Handle times the handling of a message, with a type of the application,
// and Delivery.Sent the time in a send queue. They do not count the messages again. A handler that has a reason of its
// own to end the stream, such as instrument.ReasonSlowConsumer, calls Conn.Closed before it returns the status.
//
// # When a stream is open
//
// The handler of an RPC and its interceptors accept or refuse the RPC, and gRPC does not say when they have decided. A
// stream counts as open as soon as the handler sends its header or a message, reads a message of a streaming client,
// calls [Observed], or has been running for a second. The time until then is the duration of the handshake. If the
// server streams, that is the time to its first message. An RPC that ends earlier with one of these statuses was
// refused and has never been open:
//
//	Unauthenticated                        unauthorized
//	PermissionDenied                       forbidden
//	ResourceExhausted                      rate_limited; bad_handshake for a request above grpc.MaxRecvMsgSize
//	Unavailable                            draining while the observer is, otherwise error
//	Internal                               error; bad_handshake for a request that can't be decoded
//	Unimplemented, InvalidArgument, NotFound, AlreadyExists, FailedPrecondition, OutOfRange   bad_handshake
//	every other but OK and Canceled        error
//
// If the client leaves before the stream is open, or the deadline passes, the stream counts as opened and then ended by
// its client.
//
// # How streams and connections end
//
// The first rows are the statuses that a handler returns. A row with "-" under stream is about a connection without
// RPCs. A "-" under connection means that the connection stays open. A test runs every row.
//
//	what happens                                      stream                  connection              error
//	OK                                                local, normal           -
//	InvalidArgument                                   local, policy           -
//	NotFound                                          local, policy           -
//	AlreadyExists                                     local, policy           -
//	FailedPrecondition                                local, policy           -
//	OutOfRange                                        local, policy           -
//	PermissionDenied                                  local, policy           -                       auth
//	Unauthenticated                                   local, token_expired    -                       auth
//	Canceled, though the client has not cancelled     local, going_away       -
//	ResourceExhausted                                 local, try_again_later  -
//	Aborted                                           local, try_again_later  -
//	Unavailable                                       local, try_again_later  -
//	Unimplemented                                     local, protocol_error   -
//	Unknown, or an error without a status             local, internal         -                       handler
//	Internal                                          local, internal         -                       handler
//	DataLoss                                          local, internal         -                       handler
//	DeadlineExceeded before the RPC's own             local, internal         -                       timeout
//	a code that is not gRPC's                         local, other            -
//	the client sends a message above MaxRecvMsgSize   local, message_too_big  -                       read
//	the client sends what can't be decoded            local, protocol_error   -                       decode
//	the client cancels                                remote, going_away      -
//	the client cancels, the handler returns nil       remote, going_away      -
//	the client's deadline passes                      remote, going_away      -
//	that, and the handler returns Internal            remote, going_away      -
//	the client is closed                              remote, going_away      remote, going_away
//	the client is closed, no RPC                      -                       remote, going_away
//	the client's process dies                         network, abnormal       network, abnormal
//	the client's process dies, no RPC                 -                       remote, going_away
//	the connection is reset                           network, abnormal       network, abnormal
//	the connection is reset, no RPC                   -                       remote, going_away
//	no answer to a keepalive ping                     network, ping_timeout   network, ping_timeout
//	no answer to a keepalive ping, no RPC             -                       network, ping_timeout
//	the client pings more often than it may           local, policy           local, policy
//	the client violates HTTP/2                        local, protocol_error   local, protocol_error
//	MaxConnectionAge, the RPC ends in the grace       local, normal           local, going_away
//	MaxConnectionAge, no RPC                          -                       local, going_away
//	MaxConnectionAgeGrace is over                     local, going_away       local, going_away
//	that, and the handler still sends                 local, going_away       local, going_away
//	MaxConnectionIdle                                 -                       local, idle_timeout
//	Shutdown, the handler returns Unavailable         local, shutdown         local, shutdown
//	Shutdown, the handler stays                       local, shutdown         local, shutdown
//	GracefulStop, no RPC                              -                       local, shutdown
//	Stop                                              local, shutdown         local, shutdown
//	Stop, no RPC                                      -                       local, shutdown
//
// The code in a stream's spans and log records is the code of its status. A handler's panic is local, internal, and an
// error of the kind panic. gRPC does not recover from it, so the process ends and only the log record remains. If an
// interceptor of yours recovers, put it before ServerOptions, so that the panic of a stream still counts as one.
//
// Long streams usually end because the client cancels, and the client chooses its deadline. The two are not
// distinguished: a client also cancels at its deadline, and the server may see either first. Neither is an error,
// whatever status the handler returns afterwards.
//
// [keepalive.ServerParameters] end connections on purpose: MaxConnectionAge and MaxConnectionIdle are local and not a
// failure. A stream that is cut at the end of MaxConnectionAgeGrace is local, going_away, too: its client reconnects.
//
// gRPC does not tell a stats.Handler who has ended a connection, or why. So [New] wraps the server's credentials to see
// the frames GOAWAY and PING of both sides, and how reading ends. It looks at no other frames. Without these
// credentials, because [grpc.Creds] replaces them or below net/http, a connection that ends with an RPC under way is
// network, abnormal, and any other is remote, going_away. While the observer drains, both are local, shutdown.
//
// Connections that fail before HTTP/2 is set up are not counted. RPCs that gRPC itself refuses, such as those above
// grpc.MaxConcurrentStreams, are not counted either. An unknown method is a refused stream, bad_handshake.
//
// # Draining
//
// [Handler.Shutdown] drains and stops the server. Only a stream's handler can end the stream, so a handler that runs
// for long must call [instrument.Conn.OnDrain]:
//
//	draining := make(chan struct{})
//	grpcstream.Observed(stream.Context()).OnDrain(func() { close(draining) })
//	…
//	case <-draining:
//		return status.Error(codes.Unavailable, "restarting")
//
// [instrument.Observer.Drain] asks the handlers in the same way, but on its own lets clients open new streams on the
// same connection until GracefulStop sends GOAWAY.
//
// # Unary RPCs
//
// A unary RPC is a failed message if its status says that the server is at fault: Unknown, Internal, DataLoss,
// Unavailable or Unimplemented. DeadlineExceeded before the RPC's own deadline is an error of the kind timeout.
// Unauthenticated and PermissionDenied are of the kind auth. A request above grpc.MaxRecvMsgSize is of the kind read,
// and a request that can't be decoded is of the kind decode. No other status is an error.
//
// # Traces
//
// This package makes no spans of unary RPCs. Use otelgrpc to trace them: exemplars and log records of unary RPCs point
// at otelgrpc's spans.
//
// A stream has the spans grpc_stream.handshake and grpc_stream.close. The RPC's metadata carries the client's trace
// context, which becomes a link unless peers are trusted. If you also use otelgrpc, in either order, the span of the
// handshake is a child of otelgrpc's span. The handler's context does not carry the span of the handshake, because that
// ends early and must not become the parent of everything that a stream does.
//
// # Below net/http
//
// With grpc.Server.ServeHTTP every request is a connection for gRPC, so the second observer counts requests. A
// cancelled stream can't be distinguished from a stream whose connection has ended: both are remote, going_away.
package grpcstream
