package grpcstream_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/sockscope/sockscope/instrument/grpcstream"
)

// tooBig is the size of the content of a message that is just too big for a server with that as its limit.
const tooBig = 1000

// why is the cause of an end.
type why struct{ initiator, reason string }

func (w why) String() string {
	if w == (why{}) {
		return "-"
	}
	return w.initiator + ", " + w.reason
}

// peers are what a connection ends between.
type peers struct {
	*testing.T
	server  *server
	client  *client
	stream  grpc.ClientStream // nil if none is open
	cancel  context.CancelFunc
	release func() // the handler
}

// An end is a way in which a stream, a connection or both end.
type end struct {
	event      string
	handler    func(s grpc.ServerStream, released <-chan struct{}) error // of an open stream; nil if none is open
	happens    func(*peers)
	options    []grpc.ServerOption
	call       []grpc.CallOption
	timeout    time.Duration // of the RPC
	stream     why
	connection why // zero if it stays open
	code       codes.Code
	kind       string // of error; empty if it is none
}

func untilDone(s grpc.ServerStream, _ <-chan struct{}) error {
	<-s.Context().Done()
	return s.Context().Err()
}

func returns(err error) func(grpc.ServerStream, <-chan struct{}) error {
	return func(grpc.ServerStream, <-chan struct{}) error { return err }
}

func reads(s grpc.ServerStream, _ <-chan struct{}) error { return s.RecvMsg(new(message)) }

// sendsOn finds nothing wrong when it can't send anymore.
func sendsOn(s grpc.ServerStream, _ <-chan struct{}) error {
	for s.SendMsg(messageOf(0)) == nil {
	}
	return nil
}

func stays(p *peers) { _ = receiveToEnd(p.stream) }

// isLeft waits until the client has noticed that its connection has ended.
func isLeft(p *peers) {
	ctx, cancel := context.WithTimeout(p.Context(), deadline)
	defer cancel()
	if !p.client.WaitForStateChange(ctx, connectivity.Ready) {
		p.Error("the connection has not ended")
	}
}

func sends(m any) func(*peers) {
	return func(p *peers) {
		if err := p.stream.SendMsg(m); err != nil {
			p.Error(err)
		}
		stays(p)
	}
}

// writes has the client's connection carry an HTTP/2 frame that its gRPC would not send.
func writes(frame string, times int) func(*peers) {
	return func(p *peers) {
		if _, err := p.client.tcp.Write([]byte(strings.Repeat(frame, times))); err != nil {
			p.Error(err)
		}
		isLeft(p)
	}
}

// ends are all of them. The documentation shows the same table.
func ends() []end {
	aged := []grpc.ServerOption{grpc.KeepaliveParams(keepalive.ServerParameters{
		MaxConnectionAge: 300 * time.Millisecond, MaxConnectionAgeGrace: 200 * time.Millisecond,
	})}
	impatient := []grpc.ServerOption{grpc.KeepaliveParams(keepalive.ServerParameters{
		Time: time.Second, Timeout: 200 * time.Millisecond,
	})}
	status := func(code codes.Code) error { return status.Error(code, "as told") }
	goingAway := why{"remote", "going_away"}
	cuts := func(p *peers) { p.client.reset(p) }
	dies := func(p *peers) { _ = p.client.tcp.Close() }
	closes := func(p *peers) { _ = p.client.Close() }
	silent := func(p *peers) { p.client.silent.Store(true) }
	stops := func(p *peers) { p.server.Stop() }
	const (
		ping = "\x00\x00\x08\x06\x00\x00\x00\x00\x00" + "sockstop"
		odd  = "\x00\x00\x07\x06\x00\x00\x00\x00\x00" + "7 bytes"
	)
	return []end{
		{event: "OK", handler: returns(nil), happens: stays, stream: why{"local", "normal"}},
		{event: "InvalidArgument", handler: returns(status(codes.InvalidArgument)), happens: stays, stream: why{"local", "policy"}, code: codes.InvalidArgument},
		{event: "NotFound", handler: returns(status(codes.NotFound)), happens: stays, stream: why{"local", "policy"}, code: codes.NotFound},
		{event: "AlreadyExists", handler: returns(status(codes.AlreadyExists)), happens: stays, stream: why{"local", "policy"}, code: codes.AlreadyExists},
		{event: "FailedPrecondition", handler: returns(status(codes.FailedPrecondition)), happens: stays, stream: why{"local", "policy"}, code: codes.FailedPrecondition},
		{event: "OutOfRange", handler: returns(status(codes.OutOfRange)), happens: stays, stream: why{"local", "policy"}, code: codes.OutOfRange},
		{event: "PermissionDenied", handler: returns(status(codes.PermissionDenied)), happens: stays, stream: why{"local", "policy"}, code: codes.PermissionDenied, kind: "auth"},
		{event: "Unauthenticated", handler: returns(status(codes.Unauthenticated)), happens: stays, stream: why{"local", "token_expired"}, code: codes.Unauthenticated, kind: "auth"},
		{event: "Canceled, though the client has not cancelled", handler: returns(status(codes.Canceled)), happens: stays, stream: why{"local", "going_away"}, code: codes.Canceled},
		{event: "ResourceExhausted", handler: returns(status(codes.ResourceExhausted)), happens: stays, stream: why{"local", "try_again_later"}, code: codes.ResourceExhausted},
		{event: "Aborted", handler: returns(status(codes.Aborted)), happens: stays, stream: why{"local", "try_again_later"}, code: codes.Aborted},
		{event: "Unavailable", handler: returns(status(codes.Unavailable)), happens: stays, stream: why{"local", "try_again_later"}, code: codes.Unavailable},
		{event: "Unimplemented", handler: returns(status(codes.Unimplemented)), happens: stays, stream: why{"local", "protocol_error"}, code: codes.Unimplemented},
		{event: "Unknown, or an error without a status", handler: returns(errors.New("no status")), happens: stays, stream: why{"local", "internal"}, code: codes.Unknown, kind: "handler"},
		{event: "Internal", handler: returns(status(codes.Internal)), happens: stays, stream: why{"local", "internal"}, code: codes.Internal, kind: "handler"},
		{event: "DataLoss", handler: returns(status(codes.DataLoss)), happens: stays, stream: why{"local", "internal"}, code: codes.DataLoss, kind: "handler"},
		{event: "DeadlineExceeded before the RPC's own", handler: returns(status(codes.DeadlineExceeded)), happens: stays, stream: why{"local", "internal"}, code: codes.DeadlineExceeded, kind: "timeout"},
		{event: "a code that is not gRPC's", handler: returns(status(codes.Code(99))), happens: stays, stream: why{"local", "other"}, code: codes.Code(99)},

		{
			event: "the client sends a message above MaxRecvMsgSize", handler: reads, happens: sends(messageOf(tooBig)),
			options: []grpc.ServerOption{grpc.MaxRecvMsgSize(tooBig)},
			stream:  why{"local", "message_too_big"}, code: codes.ResourceExhausted, kind: "read",
		},
		{
			event: "the client sends what can't be decoded", handler: reads, happens: sends("\xff\xff"),
			call: []grpc.CallOption{grpc.ForceCodec(raw{})}, stream: why{"local", "protocol_error"}, code: codes.Internal, kind: "decode",
		},
		{
			event: "the client cancels", handler: untilDone, happens: func(p *peers) { p.cancel(); stays(p) },
			stream: goingAway, code: codes.Canceled,
		},
		{
			event:   "the client cancels, the handler returns nil",
			handler: sendsOn,
			happens: func(p *peers) { p.cancel(); stays(p) }, stream: goingAway,
		},
		{
			event: "the client's deadline passes",
			handler: func(s grpc.ServerStream, released <-chan struct{}) error {
				_ = untilDone(s, released)
				return status(codes.Canceled) // or DeadlineExceeded: it is chance which of them the server sees first
			},
			happens: stays, timeout: time.Second, stream: goingAway, code: codes.Canceled,
		},
		{
			event: "that, and the handler returns Internal",
			handler: func(s grpc.ServerStream, released <-chan struct{}) error {
				_ = untilDone(s, released)
				return status(codes.Internal)
			},
			happens: stays, timeout: time.Second, stream: goingAway, code: codes.Internal,
		},

		{event: "the client is closed", handler: untilDone, happens: closes, stream: goingAway, connection: goingAway, code: codes.Canceled},
		{event: "the client is closed, no RPC", happens: closes, connection: goingAway},
		{event: "the client's process dies", handler: untilDone, happens: dies, stream: why{"network", "abnormal"}, connection: why{"network", "abnormal"}, code: codes.Canceled},
		{event: "the client's process dies, no RPC", happens: dies, connection: goingAway},
		{event: "the connection is reset", handler: untilDone, happens: cuts, stream: why{"network", "abnormal"}, connection: why{"network", "abnormal"}, code: codes.Canceled},
		{event: "the connection is reset, no RPC", happens: cuts, connection: goingAway},
		{
			event: "no answer to a keepalive ping", handler: untilDone, happens: func(p *peers) { silent(p); stays(p) }, options: impatient,
			stream: why{"network", "ping_timeout"}, connection: why{"network", "ping_timeout"}, code: codes.Canceled,
		},
		{
			event: "no answer to a keepalive ping, no RPC", happens: func(p *peers) { silent(p); p.server.connections.Record("connection closed") },
			options: impatient, connection: why{"network", "ping_timeout"},
		},
		{
			event: "the client pings more often than it may", handler: untilDone, happens: writes(ping, 5),
			stream: why{"local", "policy"}, connection: why{"local", "policy"}, code: codes.Canceled,
		},
		{
			event: "the client violates HTTP/2", handler: untilDone, happens: writes(odd, 1),
			stream: why{"local", "protocol_error"}, connection: why{"local", "protocol_error"}, code: codes.Canceled,
		},

		{
			event: "MaxConnectionAge, the RPC ends in the grace", handler: func(_ grpc.ServerStream, released <-chan struct{}) error { <-released; return nil },
			happens: func(p *peers) { isLeft(p); p.release(); stays(p) },
			options: []grpc.ServerOption{grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 300 * time.Millisecond})},
			stream:  why{"local", "normal"}, connection: why{"local", "going_away"},
		},
		{event: "MaxConnectionAge, no RPC", happens: isLeft, options: aged, connection: why{"local", "going_away"}},
		{
			event: "MaxConnectionAgeGrace is over", handler: untilDone, happens: stays, options: aged,
			stream: why{"local", "going_away"}, connection: why{"local", "going_away"}, code: codes.Canceled,
		},
		{
			event:   "that, and the handler still sends",
			handler: sendsOn,
			happens: stays, options: aged,
			stream: why{"local", "going_away"}, connection: why{"local", "going_away"}, code: codes.Unavailable,
		},
		{
			event: "MaxConnectionIdle", happens: isLeft,
			options:    []grpc.ServerOption{grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 300 * time.Millisecond})},
			connection: why{"local", "idle_timeout"},
		},
		{
			event: "Shutdown, the handler returns Unavailable",
			handler: func(s grpc.ServerStream, _ <-chan struct{}) error {
				drains := make(chan struct{})
				grpcstream.Observed(s.Context()).OnDrain(func() { close(drains) })
				<-drains
				return status(codes.Unavailable)
			},
			happens: func(p *peers) {
				if err := p.server.observed.Shutdown(p.Context(), p.server.Server); err != nil {
					p.Error(err)
				}
			},
			stream: why{"local", "shutdown"}, connection: why{"local", "shutdown"}, code: codes.Unavailable,
		},
		{
			event: "Shutdown, the handler stays", handler: untilDone,
			happens: func(p *peers) {
				ctx, cancel := context.WithTimeout(p.Context(), 100*time.Millisecond)
				defer cancel()
				if err := p.server.observed.Shutdown(ctx, p.server.Server); !errors.Is(err, context.DeadlineExceeded) {
					p.Errorf("Shutdown: %v, want that the deadline has passed", err)
				}
			},
			stream: why{"local", "shutdown"}, connection: why{"local", "shutdown"}, code: codes.Canceled,
		},
		{event: "GracefulStop, no RPC", happens: func(p *peers) { p.server.GracefulStop() }, connection: why{"local", "shutdown"}},
		{event: "Stop", handler: untilDone, happens: stops, stream: why{"local", "shutdown"}, connection: why{"local", "shutdown"}, code: codes.Canceled},
		{event: "Stop, no RPC", happens: stops, connection: why{"local", "shutdown"}},
	}
}

// TestFieldCase18Ends has streams and connections end in every way, between real peers, and compares everything that
// was counted of them, their close spans and their log records. One of the ways is field case 18-grpc-max-age.
func TestFieldCase18Ends(t *testing.T) {
	for _, tt := range ends() {
		t.Run(tt.event, func(t *testing.T) {
			t.Parallel()
			opened, released := make(chan struct{}), make(chan struct{})
			s := serve(t, &service{stream: func(s grpc.ServerStream) error {
				if err := s.SendHeader(nil); err != nil {
					t.Error(err)
				}
				close(opened)
				return tt.handler(s, released)
			}}, tt.options...)
			c := dial(t, s)
			c.connect(t)
			ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(tt.timeout, deadline))
			defer cancel()
			p := &peers{T: t, server: s, client: c, cancel: cancel, release: func() { close(released) }}
			streams := map[string]float64{}
			if tt.handler != nil {
				p.stream = c.open(ctx, t, bidiMethod, tt.call...)
				<-opened
				streams = ended(tt.stream.initiator, tt.stream.reason)
			}
			tt.happens(p)

			if tt.kind != "" {
				streams[`errors_total{kind="`+tt.kind+`"}`] = 1
			}
			s.streams.counted(streams, "message", "draining")
			if tt.handler != nil {
				closedFor(t, s.streams, tt.stream, tt.code)
			}
			_ = c.Close()
			connection := cmp.Or(tt.connection, why{"remote", "going_away"})
			s.connections.counted(ended(connection.initiator, connection.reason), "message", "draining")
			closedFor(t, s.connections, connection, codes.OK)
		})
	}
}

// closedFor wants the span and the log record of the one connection that was closed to tell the same.
func closedFor(t *testing.T, r *recorded, want why, code codes.Code) {
	t.Helper()
	record := r.Record("connection closed")
	if got := (why{fmt.Sprint(record["initiator"]), fmt.Sprint(record["reason"])}); got != want {
		t.Errorf("record `connection closed` of %s says %v, want %v", r.transport, got, want)
	}
	attributes := map[string]attribute.Value{}
	for _, span := range r.Spans() {
		if span.Name() == r.transport+".close" {
			for _, a := range span.Attributes() {
				attributes[strings.TrimPrefix(string(a.Key), r.transport+".close.")] = a.Value
			}
		}
	}
	if got := (why{attributes["initiator"].AsString(), attributes["reason"].AsString()}); got != want {
		t.Errorf("span %s.close says %v, want %v", r.transport, got, want)
	}
	inRecord, _ := record["code"].(float64)
	if codes.Code(inRecord) != code || codes.Code(attributes["code"].AsInt64()) != code {
		t.Errorf("the record has the code %v and the span %v, want %d", record["code"], attributes["code"].AsInterface(), code)
	}
}

// TestEndsInDoc compares the table in the documentation with what TestFieldCase18Ends has tested.
func TestEndsInDoc(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	line := func(event, stream, connection, kind string) string {
		return strings.TrimRight(fmt.Sprintf("//\t%-50s%-24s%-24s%s", event, stream, connection, kind), " ")
	}
	want := []string{line("what happens", "stream", "connection", "error")}
	for _, tt := range ends() {
		want = append(want, line(tt.event, tt.stream.String(), tt.connection.String(), tt.kind))
	}
	_, rest, _ := strings.Cut(string(source), want[0])
	table, _, _ := strings.Cut(want[0]+rest, "\n//\n")
	if diff := gocmp.Diff(strings.Join(want, "\n"), table); diff != "" {
		t.Errorf("table of ends in doc.go, -want +got:\n%s", diff)
	}
}
