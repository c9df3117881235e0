package grpcstream_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/grpcstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is when a test gives up; nothing in the tests waits for it to pass.
const deadline = 10 * time.Second

// server is a gRPC server on loopback that is observed.
type server struct {
	*grpc.Server
	address              string
	streams, connections *instrument.Observer
	records              *records // of streams
}

func serve(t testing.TB, srv *service, opts ...grpc.ServerOption) *server {
	t.Helper()
	s := &server{records: new(records)}
	s.streams = newObserver(t, grpcstream.Transport, s.records)
	s.connections = newObserver(t, grpcstream.ConnectionTransport, new(records))
	s.start(t, srv, append(opts, grpc.StatsHandler(grpcstream.NewServerHandler(s.streams, s.connections)))...)
	return s
}

func newObserver(t testing.TB, transport string, r *records) *instrument.Observer {
	t.Helper()
	o, err := instrument.New(instrument.WithTransport(transport), instrument.WithNamespace("test"), instrument.WithSampleRatio(0),
		instrument.WithMessageTypes(unaryMethod, clientStreamMethod, serverStreamMethod, bidiMethod),
		instrument.WithTracerProvider(noop.NewTracerProvider()), instrument.WithLogger(slog.New(slog.NewJSONHandler(r, nil))))
	if err != nil {
		t.Fatal(err)
	}
	return o
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
	tcp *net.TCPConn
}

func dial(t testing.TB, s *server) *client {
	t.Helper()
	c := new(client)
	dialer := func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			c.tcp = conn.(*net.TCPConn)
		}
		return conn, err
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
func (c *client) open(ctx context.Context, t testing.TB, method string) grpc.ClientStream {
	t.Helper()
	stream, err := c.NewStream(ctx, streamDescription(method), method)
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

// counts returns every counter and gauge that is not 0, the counts of histograms, and the sums of those of sizes, without
// what measures time.
func counts(t testing.TB, o *instrument.Observer) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(o); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		name := strings.TrimPrefix(strings.TrimPrefix(f.GetName(), "grpc_"), "stream_")
		if name == "last_message_timestamp_seconds" || name == "instrument_spans_suppressed_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if l.GetName() != "namespace" && l.GetName() != "transport" {
					labels = append(labels, l.GetName()+"="+l.GetValue())
				}
			}
			series := "{" + strings.Join(labels, ",") + "}"
			if v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()); v != 0 {
				got[name+series] = v
			}
			if sum := m.GetHistogram().GetSampleSum(); sum != 0 && name == "message_size_bytes" {
				got[name+"_sum"+series] = sum
			}
		}
	}
	return got
}

// eventually retries until the two are equal or time is up.
func eventually(t testing.TB, want map[string]float64, get func() map[string]float64) {
	t.Helper()
	var diff string
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if diff = cmp.Diff(want, get()); diff == "" {
			return
		}
	}
	t.Errorf("metrics, -want +got:\n%s", diff)
}

// ended is what is counted for one connection that ended so.
func ended(initiator, reason string) map[string]float64 {
	return map[string]float64{
		"connections_total{status=connected}":                                     1,
		"handshake_duration_seconds{status=connected}":                            1,
		"connection_duration_seconds{reason=" + reason + "}":                      1,
		"disconnections_total{initiator=" + initiator + ",reason=" + reason + "}": 1,
	}
}

// records keeps what was logged.
type records struct {
	mu    sync.Mutex
	lines []map[string]any
}

func (r *records) Write(p []byte) (int, error) {
	line := map[string]any{}
	if err := json.Unmarshal(p, &line); err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	return len(p), nil
}

// find waits for a record, which is written after what is counted.
func (r *records) find(t testing.TB, msg string) map[string]any {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if line := r.lookUp(msg); line != nil {
			return line
		}
	}
	t.Fatalf("no record %q in %v", msg, r.lines)
	return nil
}

func (r *records) lookUp(msg string) map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if line["msg"] == msg {
			return line
		}
	}
	return nil
}
