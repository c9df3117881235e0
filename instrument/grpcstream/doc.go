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
// There are two observers, because two things last:
//
//   - A streaming RPC, whichever side streams, is a connection of the first observer: grpc_stream_active_connections,
//     grpc_stream_messages_total, grpc_stream_disconnections_total.
//   - An HTTP/2 connection is a connection of the second: grpc_active_connections and so on. All messages that it carries
//     are counted there. A unary RPC is not a connection but a message: grpc_message_duration_seconds is the time from
//     its request to its status.
//
// The label type is the full name of the method, such as "/chat.v1.Chat/Join". Methods become label values by
// [WithMethods], which shortens names that are too long for a label; all other methods are "other". The Handler counts
// the messages, with their size before compression, so the application must not count them again. A handler that has more
// to tell of its stream, such as what its queues drop, tells it by the [instrument.Conn] that [Observed] returns.
//
// # When a stream is open
//
// The handler of an RPC and its interceptors accept it or refuse it, and gRPC does not tell when they have decided. A
// stream counts as open as soon as one of these happens: the handler sends its header or a message, it reads a message of
// a streaming client, it calls [Observed], or it has been running for a second. The time until then is the duration of
// the handshake; where a server streams, that is the time to its first message. An RPC that ends earlier with one of these
// statuses was refused and has never been open:
//
//	Unauthenticated                        unauthorized
//	PermissionDenied                       forbidden
//	ResourceExhausted                      rate_limited; bad_handshake for a request above grpc.MaxRecvMsgSize
//	Unavailable                            draining while the observer is, otherwise error
//	Internal                               error; bad_handshake for a request that can't be decoded
//	Unimplemented, InvalidArgument, NotFound, AlreadyExists, FailedPrecondition, OutOfRange   bad_handshake
//	every other but OK and Canceled        error
//
// An RPC whose client leaves before it is open, or whose deadline passes, counts as open and then as ended by its client.
//
// # How streams and connections end
//
// The first rows are the statuses that a handler returns. A row without a stream is about a connection that carries no
// RPC; "-" under connection says that it stays open. A test runs every row.
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
// The code in spans and log records of a stream is that of its status. A handler's panic is local, internal, and an
// error of the kind panic. gRPC does not recover it, so the process ends and the log record is what remains.
//
// A client that cancels is how long streams usually end, and a client's deadline is the client's choice. The two are not
// told apart, because a client also cancels at its deadline, and it is chance which of the two the server sees first.
// Neither is an error, whatever status the handler returns afterwards.
//
// [keepalive.ServerParameters] end connections on purpose: MaxConnectionAge and MaxConnectionIdle are local and no
// failure. A stream that is cut when MaxConnectionAgeGrace is over is local, going_away, too: its client connects again.
//
// gRPC tells a stats.Handler neither who has ended a connection nor why. The connection itself does: [New] wraps the
// server's credentials, so that it sees the frames GOAWAY and PING of both sides and the way in which reading ends. What
// the frames carry besides is not looked at. If [grpc.Creds] replaces these credentials, or below net/http, a connection
// that ends with an RPC under way is network, abnormal, and any other is remote, going_away; while the observer drains,
// both are local, shutdown.
//
// Connections that fail before HTTP/2 is set up are not counted. Nor are RPCs that gRPC refuses by itself, such as those
// above grpc.MaxConcurrentStreams. An unknown method is a refused stream, bad_handshake.
//
// # Draining
//
// [Handler.Shutdown] drains and stops the server. gRPC can't end a stream from outside, only its handler can, so a
// handler that runs for long says how by [instrument.Conn.OnDrain]:
//
//	draining := make(chan struct{})
//	grpcstream.Observed(stream.Context()).OnDrain(func() { close(draining) })
//	…
//	case <-draining:
//		return status.Error(codes.Unavailable, "restarting")
//
// [instrument.Observer.Drain] alone asks the handlers in the same way, but clients open new streams on the same
// connection until GracefulStop sends GOAWAY.
//
// # Unary RPCs
//
// A unary RPC whose status says that the server is at fault is a failed message: Unknown, Internal, DataLoss, Unavailable
// and Unimplemented. DeadlineExceeded before the RPC's own deadline is an error of the kind timeout, Unauthenticated and
// PermissionDenied are of the kind auth, a request above grpc.MaxRecvMsgSize is of the kind read, and one that can't be
// decoded of the kind decode. No other status is an error.
//
// # Traces
//
// Unary RPCs have no spans here: tracing RPCs is the business of otelgrpc. Exemplars and log records of unary RPCs point
// at the span that otelgrpc has made.
//
// A stream has the spans grpc_stream.handshake and grpc_stream.close. The metadata of the RPC carries its trace context,
// which is a link unless peers are trusted. With otelgrpc beside this package, in either order, the span of the handshake
// is a child of otelgrpc's. The context of the handler stays as it is: a span that ends with the handshake must not become
// the parent of everything that a stream does.
//
// # Below net/http
//
// With grpc.Server.ServeHTTP every request is a connection for gRPC, so the second observer counts requests. A client
// that cancels a stream can't be told from one whose connection has ended: both are remote, going_away.
package grpcstream
