package gobwas_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/ws/gobwas"
)

const (
	upgradeRequest = "GET /chat HTTP/1.1\r\nHost: server.example.com:80\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" +
		"Traceparent: 00-" + traceID + "-b7ad6b7169203331-01\r\n\r\n"
	traceID = "0af7651916cd43dd8448eb211c80319c"
)

// TestHandshakeSpan sends upgrade requests in one piece and in many, and wants what the request says in the span.
func TestHandshakeSpan(t *testing.T) {
	for way, serve := range ways() {
		for name, size := range map[string]int{"at once": len(upgradeRequest), "in pieces": 100} {
			t.Run(way+"/"+name, func(t *testing.T) {
				s := newServer(t)
				serve(s, t, func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) { _ = c.Close() })
				conn := s.connect(t)
				for p := []byte(upgradeRequest); len(p) > 0; p = p[min(size, len(p)):] {
					if _, err := conn.Write(p[:min(size, len(p))]); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Millisecond) // so that it is a piece, most of the time
				}
				if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 101 ") {
					t.Fatalf("answered %q, %v", answer, err)
				}
				want := end{initiator: "local", reason: "normal", code: 1006}
				s.ended(t, want)

				type handshake struct {
					Name, Server, Sender string
					Status               int64
				}
				var got []handshake
				for _, span := range s.Spans()[:1] {
					attrs := attribute.NewSet(span.Attributes()...)
					server, _ := attrs.Value("server.address")
					status, _ := attrs.Value("http.response.status_code")
					for _, link := range span.Links() {
						got = append(got, handshake{
							span.Name(), server.AsString(), link.SpanContext.TraceID().String(), status.AsInt64(),
						})
					}
				}
				if diff := cmp.Diff([]handshake{{"websocket.handshake", "server.example.com", traceID, 101}}, got); diff != "" {
					t.Errorf("span, -want +got:\n%s", diff)
				}
			})
		}
	}
}

// TestHandshakeBeginsWithRequest has the application do its part of a handshake without net/http within the span of it,
// also where the request is longer than what is looked at.
func TestHandshakeBeginsWithRequest(t *testing.T) {
	for name, request := range map[string]string{
		"short": upgradeRequest,
		"long":  strings.Replace(upgradeRequest, "\r\n\r\n", "\r\nCookie: "+strings.Repeat("a", 5000)+"\r\n\r\n", 1),
	} {
		t.Run(name, func(t *testing.T) {
			spans := tracetest.NewSpanRecorder()
			s := newServer(t, instrument.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))
			var begun, ended int
			u := ws.Upgrader{OnBeforeUpgrade: func() (ws.HandshakeHeader, error) {
				begun, ended = len(spans.Started()), len(spans.Ended())
				return ws.HandshakeHeaderString(""), nil
			}}
			s.serveTCP(t, u, func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) { _ = c.Close() })
			conn := s.connect(t)
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, conn)
			s.ended(t, end{initiator: "local", reason: "normal", code: 1006})
			if begun != 1 || ended != 0 {
				t.Errorf("%d spans had begun and %d ended when the application was asked, want 1 and 0", begun, ended)
			}
		})
	}
}

// connect opens a TCP connection to the server.
func (s *server) connect(t *testing.T) net.Conn {
	t.Helper()
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestEarlyFrames has the peer send frames together with its request, before it may.
func TestEarlyFrames(t *testing.T) {
	var early bytes.Buffer
	early.WriteString(upgradeRequest)
	for _, f := range []ws.Frame{ws.NewTextFrame([]byte("early")), ws.NewCloseFrame(ws.NewCloseFrameBody(1001, ""))} {
		if err := ws.WriteFrame(&early, ws.MaskFrame(f)); err != nil {
			t.Fatal(err)
		}
	}
	s := newServer(t)
	s.serveHTTP(t, ws.HTTPUpgrader{}, func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
		defer c.Close()
		c.CountMessages(nil)
		if p, err := wsutil.ReadClientText(c); err != nil || string(p) != "early" {
			t.Errorf("read %q, %v", p, err)
		}
		_ = readToEnd(c)
	})
	conn := s.connect(t)
	if _, err := conn.Write(early.Bytes()); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, conn)
	want := end{initiator: "remote", reason: "going_away", code: 1001}
	counts := want.counts()
	counts[`websocket_messages_total{direction="receive",type="other"}`] = 1
	counts[`websocket_message_size_bytes_count{direction="receive"}`] = 1
	counts[`websocket_message_size_bytes_sum{direction="receive"}`] = 5
	s.ExpectOnly(counts)
}

// TestExtension negotiates an extension, whose reserved bits then are no violation.
func TestExtension(t *testing.T) {
	s := newServer(t)
	u := ws.HTTPUpgrader{Negotiate: func(o httphead.Option) (httphead.Option, error) { return o, nil }}
	s.serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, hs, err := gobwas.UpgradeHTTP(r, w, u, s.Observer)
		if err != nil || len(hs.Extensions) != 1 {
			t.Errorf("upgrade: %v, %v", hs, err)
			return
		}
		defer c.Close()
		_, _ = ws.ReadFrame(c)
	}))
	conn := s.connect(t)
	request := strings.Replace(upgradeRequest, "\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n", 1)
	if _, err := conn.Write(append([]byte(request), 0xC1, 0x80, 0, 0, 0, 0)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, conn)
	s.ended(t, end{initiator: "local", reason: "normal", code: 1006})
}

// TestHandshakeOfTheApplication has the application begin the handshake and refuse or leave it to UpgradeHTTP: either
// way there is one.
func TestHandshakeOfTheApplication(t *testing.T) {
	s := newServer(t)
	s.serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, h := s.Observer.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
		if r.Header.Get("Authorization") == "" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			h.Refused(instrument.StatusUnauthorized, http.StatusUnauthorized, nil)
			return
		}
		c, _, err := gobwas.UpgradeHTTP(r.WithContext(ctx), w, ws.HTTPUpgrader{}, s.Observer)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		defer c.Close()
		_ = readToEnd(c)
	}))
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	_, resp, err := websocket.Dial(ctx, s.url, nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("dial without a token: %v, %v, want 401", resp, err)
	}
	c, _, err := websocket.Dial(ctx, s.url, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer x"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	want := end{initiator: "remote", reason: "normal", code: 1000}
	counts := want.counts()
	counts[`websocket_connections_total{status="unauthorized"}`] = 1
	counts[`websocket_handshake_duration_seconds_count{status="unauthorized"}`] = 1
	counts[`websocket_errors_total{kind="auth"}`] = 1
	s.ExpectOnly(counts)
}

// TestUnobserved uses the adapter without an observer, which leaves plain gobwas/ws.
func TestUnobserved(t *testing.T) {
	for way, serve := range ways() {
		t.Run(way, func(t *testing.T) {
			s := &server{Recorder: new(realtimetest.Recorder)}
			serve(s, t, echoCounted)
			c := dial(t, s.url)
			c.echoes(t, websocket.MessageText, []byte("hello"))
			if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Fatal(err)
			}
		})
	}
}
