package grpcstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/test/bufconn"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// FuzzFrames follows any bytes, at once and in two parts: what is seen must be the same.
func FuzzFrames(f *testing.F) {
	goAway := "\x00\x00\x13\x07\x00\x00\x00\x00\x00" + "\x7f\xff\xff\xff\x00\x00\x00\x0b" + "max_age and"
	ping := "\x00\x00\x08\x06\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00"
	data := "\x00\x00\x03\x00\x01\x00\x00\x00\x01abc"
	f.Add([]byte(data+goAway+ping), 15)
	f.Add([]byte(ping+ping+data), 9)
	f.Add([]byte("\x00\x00\x00\x07\x00\x00\x00\x00\x00"+goAway), 3)
	f.Add([]byte("\xff\xff\xff\x06\x01\x00\x00\x00\x00abc"), 10)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		seen := func(parts ...[]byte) (all []frame) {
			var f frames
			for _, p := range parts {
				f.follow(p, func(f frame) {
					f.payload = slices.Clone(f.payload)
					_ = f.goAway()
					all = append(all, f)
				})
			}
			return all
		}
		cut = max(0, min(cut, len(stream)))
		whole, parts := seen(stream), seen(stream[:cut], stream[cut:])
		if diff := cmp.Diff(whole, parts, cmp.AllowUnexported(frame{})); diff != "" {
			t.Errorf("frames seen at once and in parts: %s", diff)
		}
		for _, f := range whole {
			if len(f.payload) > framePayload || !bytes.Contains(stream, f.payload) {
				t.Errorf("payload %q of %q", f.payload, stream)
			}
		}
	})
}

// TestFrames looks at what is understood of the frames.
func TestFrames(t *testing.T) {
	tests := map[string]struct {
		frame     frame
		goAway    goAway
		keepalive bool
	}{
		"GOAWAY":            {frame{frameGoAway, 0, []byte("\x7f\xff\xff\xff\x00\x00\x00\x0btoo_many_pings")}, goAway{true, enhanceYourCalm, "too_many_pings"}, false},
		"GOAWAY, too short": {frame{frameGoAway, 0, []byte("\x7f\xff\xff\xff\x00\x00\x00")}, goAway{}, false},
		"keepalive ping":    {frame{framePing, 0, make([]byte, 8)}, goAway{}, true},
		"its answer":        {frame{framePing, flagAck, make([]byte, 8)}, goAway{}, false},
		"another ping":      {frame{framePing, 0, []byte("measures")}, goAway{}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.frame.goAway(); tt.frame.kind == frameGoAway && got != tt.goAway {
				t.Errorf("GOAWAY is %+v, want %+v", got, tt.goAway)
			}
			if got := tt.frame.isKeepalive(); got != tt.keepalive {
				t.Errorf("keepalive is %t, want %t", got, tt.keepalive)
			}
		})
	}
}

// TestCause looks at ends that take too long, or too much luck, to happen between real peers.
func TestCause(t *testing.T) {
	timedOut := &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}
	reset := &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	tests := map[string]struct {
		wire      *wire
		pinged    bool
		initiator instrument.Initiator
		reason    instrument.CloseReason
	}{
		"the kernel gives up, after a ping": {
			&wire{stopped: timedOut}, true, instrument.InitiatorNetwork, instrument.ReasonPingTimeout,
		},
		"the kernel gives up": {
			&wire{stopped: timedOut}, false, instrument.InitiatorNetwork, instrument.ReasonAbnormal,
		},
		"reset in the grace": {
			&wire{stopped: reset, sent: goAway{seen: true, text: maxAge}}, false,
			instrument.InitiatorNetwork, instrument.ReasonAbnormal,
		},
		"set up during GracefulStop": {
			&wire{stopped: net.ErrClosed, closed: true, sent: goAway{seen: true}}, false,
			instrument.InitiatorLocal, instrument.ReasonShutdown,
		},
		"a violation of HTTP/2 that gRPC tells": {
			&wire{stopped: io.EOF, sent: goAway{seen: true, code: 1}}, false,
			instrument.InitiatorLocal, instrument.ReasonProtocolError,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.wire.pinged.Store(tt.pinged)
			if got := tt.wire.cause(true); got.Initiator != tt.initiator || got.Reason != tt.reason {
				t.Errorf("%v, %v, want %v, %v", got.Initiator, got.Reason, tt.initiator, tt.reason)
			}
		})
	}
}

// TestWires looks at which connections are known by their remote address, also when they are closed already, and that
// none stays for long.
func TestWires(t *testing.T) {
	tests := map[string]struct {
		remote func() net.Addr
		want   bool
	}{
		"TCP":                 {func() net.Addr { return new(net.TCPAddr) }, true},
		"not a pointer":       {func() net.Addr { return network("pipe") }, true},
		"not even comparable": {func() net.Addr { return parts{"pipe"} }, true},
		"none":                {func() net.Addr { return nil }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ws wires
				open, closed, failed := ws.follow(&addressed{remote: tt.remote()}), ws.follow(&addressed{remote: tt.remote()}),
					ws.follow(&addressed{remote: tt.remote()})
				for _, conn := range []net.Conn{closed, failed} {
					if err := conn.Close(); err != nil {
						t.Error(err)
					}
				}
				if w := ws.take(tt.remote()); w != nil {
					t.Errorf("the address of none names %v", w)
				}
				for name, conn := range map[string]net.Conn{"open": open, "closed": closed} {
					if w := ws.take(conn.RemoteAddr()); (w != nil) != tt.want || tt.want && w != conn {
						t.Errorf("the address of the %s connection names %v", name, w)
					}
				}
				time.Sleep(taggedWithin)
				synctest.Wait()
				ws.untagged.Range(func(key, _ any) bool {
					t.Errorf("%v is still there", key)
					return true
				})
			})
		})
	}
}

type addressed struct {
	net.Conn
	remote net.Addr
}

func (a *addressed) RemoteAddr() net.Addr { return a.remote }

func (*addressed) Close() error { return nil }

type network string

func (n network) Network() string { return string(n) }

func (n network) String() string { return string(n) }

type parts []string

func (p parts) Network() string { return p[0] }

func (p parts) String() string { return p[0] }

// listening is a way to reach a server.
type listening struct {
	net.Listener
	server, client credentials.TransportCredentials
	dialer         func(context.Context, string) (net.Conn, error)
	secure         bool
}

func overTLS(t *testing.T) listening {
	web := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(web.Close)
	pool := x509.NewCertPool()
	pool.AddCert(web.Certificate())
	l := overTCP(t)
	l.server = credentials.NewTLS(&tls.Config{Certificates: web.TLS.Certificates})
	l.client = credentials.NewTLS(&tls.Config{RootCAs: pool, ServerName: "example.com"})
	l.secure = true
	return l
}

func overTCP(t *testing.T) listening {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listening{Listener: listener, client: insecure.NewCredentials(), dialer: func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", listener.Addr().String())
	}}
}

func overUnix(t *testing.T) listening {
	path := t.TempDir() + "/s"
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	return listening{Listener: listener, client: insecure.NewCredentials(), dialer: func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
}

func inMemory(*testing.T) listening {
	listener := bufconn.Listen(1 << 16)
	return listening{
		Listener: listener, server: insecure.NewCredentials(), client: insecure.NewCredentials(),
		dialer: func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) },
	}
}

// TestListeners has a server end streams for the age of their connections, reached in different ways: the cause is
// known on each, and what the handler learns of its peer is what it is without us.
func TestListeners(t *testing.T) {
	for name, listen := range map[string]func(*testing.T) listening{
		"TLS": overTLS, "TCP": overTCP, "Unix": overUnix, "memory": inMemory,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams := realtimetest.New(t, instrument.WithProtocol(Protocol))
			connections := realtimetest.New(t, instrument.WithProtocol(ConnectionProtocol))
			l := listen(t)
			h, err := New(Config{Streams: streams.Observer, Connections: connections.Observer, Credentials: l.server})
			if err != nil {
				t.Fatal(err)
			}
			seen := make(chan *peer.Peer, 1)
			s := grpc.NewServer(append(h.ServerOptions(),
				grpc.KeepaliveParams(keepalive.ServerParameters{
					MaxConnectionAge: 300 * time.Millisecond, MaxConnectionAgeGrace: 200 * time.Millisecond,
				}),
				grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
					p, _ := peer.FromContext(ss.Context())
					seen <- p
					return handler(srv, ss)
				}))...)
			healthpb.RegisterHealthServer(s, health.NewServer())
			served := make(chan error, 1)
			go func() { served <- s.Serve(l) }()
			conn, err := grpc.NewClient("passthrough:peer", grpc.WithTransportCredentials(l.client), grpc.WithContextDialer(l.dialer))
			if err != nil {
				t.Fatal(err)
			}
			watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = watch.Recv()
			}
			if errors.Is(err, io.EOF) {
				t.Error("the stream ended with OK, want that it was cut")
			}
			p := <-seen
			if _, ok := p.AuthInfo.(credentials.TLSInfo); ok != l.secure {
				t.Errorf("AuthInfo is %T", p.AuthInfo)
			}
			if _, ok := p.Addr.(*net.TCPAddr); ok != (name == "TCP" || name == "TLS") {
				t.Errorf("address is a %T", p.Addr)
			}
			if name == "TCP" && p.AuthInfo != nil {
				t.Errorf("AuthInfo is %v without credentials, want none", p.AuthInfo)
			}
			streams.Expect(map[string]float64{
				`grpc_stream_disconnections_total{initiator="local",reason="going_away"}`: 1,
			})
			connections.Expect(map[string]float64{
				`grpc_disconnections_total{initiator="local",reason="going_away"}`: 1,
			})
			_ = conn.Close()
			if err := h.Shutdown(t.Context(), s); err != nil {
				t.Error(err)
			}
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
}
