package grpcstream_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/grpcstream"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is when a test gives up; nothing in the tests waits for it to pass.
const deadline = 10 * time.Second

// server is a gRPC server on loopback that is observed.
type server struct {
	*grpc.Server
	address              string
	streams, connections *recorded
	observed             *grpcstream.Handler
}

func serve(t testing.TB, srv *service, opts ...grpc.ServerOption) *server {
	t.Helper()
	s := &server{streams: record(t, grpcstream.Protocol), connections: record(t, grpcstream.ConnectionProtocol)}
	s.observed = observedBy(t, grpcstream.Config{Streams: s.streams.Observer, Connections: s.connections.Observer})
	s.start(t, srv, append(opts, s.observed.ServerOptions()...)...)
	return s
}

func observedBy(t testing.TB, c grpcstream.Config) *grpcstream.Handler {
	t.Helper()
	h, err := grpcstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// recorded is what one of the two observers exports.
type recorded struct {
	*realtimetest.Recorder
	transport string
}

func record(t testing.TB, transport string, opts ...instrument.Option) *recorded {
	t.Helper()
	opts = append([]instrument.Option{
		instrument.WithProtocol(transport), instrument.WithNamespace("test"),
		grpcstream.WithMethods(unaryMethod, clientStreamMethod, serverStreamMethod, bidiMethod),
	}, opts...)
	return &recorded{realtimetest.New(t, opts...), transport}
}

// counted wants this to have been counted, by names without the transport, and nothing else but what begins with one of
// the prefixes.
func (r *recorded) counted(want map[string]float64, but ...string) {
	full := map[string]float64{}
	for name, value := range want {
		full[r.transport+"_"+name] = value
	}
	for i, prefix := range but {
		but[i] = r.transport + "_" + prefix
	}
	r.ExpectOnly(full, but...)
}

func (s *server) start(t testing.TB, srv *service, opts ...grpc.ServerOption) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	s.Server = grpc.NewServer(append(opts, grpc.WaitForHandlers(true))...)
	s.RegisterService(description(), srv)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(listener); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		s.Stop()
		serving.Wait()
	})
}

// client is a peer with its hands on the TCP connection.
type client struct {
	*grpc.ClientConn
	tcp    *net.TCPConn
	silent atomic.Bool
}

// mutable is the client's TCP connection: once the client is silent, nothing comes or goes, and the connection stays
// open.
type mutable struct {
	*net.TCPConn
	silent *atomic.Bool
}

func (m mutable) Read(p []byte) (int, error) {
	for {
		n, err := m.TCPConn.Read(p)
		if err != nil || !m.silent.Load() {
			return n, err
		}
	}
}

func (m mutable) Write(p []byte) (int, error) {
	if m.silent.Load() {
		return len(p), nil
	}
	return m.TCPConn.Write(p)
}

func dial(t testing.TB, s *server) *client {
	t.Helper()
	c := new(client)
	dialer := func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		c.tcp = conn.(*net.TCPConn)
		return mutable{c.tcp, &c.silent}, nil
	}
	var err error
	c.ClientConn, err = grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(dialer), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// connect waits for the connection.
func (c *client) connect(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	c.Connect()
	for state := c.GetState(); state != connectivity.Ready; state = c.GetState() {
		if !c.WaitForStateChange(ctx, state) {
			t.Fatalf("connection is still %v", state)
		}
	}
}

// open opens a stream; the request of a method without a streaming client is sent.
func (c *client) open(ctx context.Context, t testing.TB, method string, opts ...grpc.CallOption) grpc.ClientStream {
	t.Helper()
	stream, err := c.NewStream(ctx, streamDescription(method), method, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if method == serverStreamMethod {
		if err := stream.SendMsg(messageOf(10)); err != nil {
			t.Fatal(err)
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
	}
	return stream
}

// reset ends the TCP connection by RST.
func (c *client) reset(t testing.TB) {
	t.Helper()
	if err := c.tcp.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := c.tcp.Close(); err != nil {
		t.Fatal(err)
	}
}

// receiveToEnd receives until the stream ends and returns its error, which is io.EOF for the status OK.
func receiveToEnd(stream grpc.ClientStream) error {
	for {
		if err := stream.RecvMsg(new(message)); err != nil {
			return err
		}
	}
}

// ended is what is counted for one connection that ended so.
func ended(initiator, reason string) map[string]float64 {
	return map[string]float64{
		`connections_total{status="connected"}`:                                       1,
		`handshake_duration_seconds_count{status="connected"}`:                        1,
		`connection_duration_seconds_count{reason="` + reason + `"}`:                  1,
		`disconnections_total{initiator="` + initiator + `",reason="` + reason + `"}`: 1,
	}
}
