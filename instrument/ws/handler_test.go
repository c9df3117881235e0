package ws_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	coderws "github.com/coder/websocket"
	gobwasws "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorillaws "github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/ws"
	"github.com/sockscope/sockscope/instrument/ws/coder"
	"github.com/sockscope/sockscope/instrument/ws/gobwas"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
)

const deadline = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve serves next behind the handler of a new Recorder.
func serve(t *testing.T, next func(o *instrument.Observer) http.Handler, opts ...instrument.Option) (*realtimetest.Recorder, string) {
	t.Helper()
	r := realtimetest.New(t, opts...)
	return r, start(t, ws.Handler(r.Observer, next(r.Observer)))
}

// start serves h and returns the address.
func start(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // panics
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

func dial(t testing.TB, url string) (*coderws.Conn, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, _, err := coderws.Dial(ctx, url, &coderws.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return c, ctx
}

// send sends bytes on a new connection.
func send(t *testing.T, url string, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// request sends bytes, and returns the connection and the answer, nil if there is none.
func request(t *testing.T, url string, text string) (net.Conn, *http.Response) {
	t.Helper()
	c := send(t, url, text)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return c, nil
	}
	return c, resp
}

const upgrade = "GET / HTTP/1.1\r\nHost: chat.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// lived are the series of one connection that has carried so many messages in each direction.
func lived(initiator, reason string, messages float64, bytes float64) map[string]float64 {
	all := map[string]float64{
		`websocket_connections_total{status="connected"}`:                                       1,
		`websocket_handshake_duration_seconds_count{status="connected"}`:                        1,
		`websocket_disconnections_total{initiator="` + initiator + `",reason="` + reason + `"}`: 1,
		`websocket_connection_duration_seconds_count{reason="` + reason + `"}`:                  1,
	}
	for _, d := range []string{"receive", "transmit"} {
		all[`websocket_messages_total{direction="`+d+`",type="other"}`] = messages
		all[`websocket_message_size_bytes_count{direction="`+d+`"}`] = messages
		all[`websocket_message_size_bytes_sum{direction="`+d+`"}`] = bytes
	}
	return all
}

func refused(status, kind string) map[string]float64 {
	all := map[string]float64{
		`websocket_connections_total{status="` + status + `"}`:                1,
		`websocket_handshake_duration_seconds_count{status="` + status + `"}`: 1,
	}
	if kind != "" {
		all[`websocket_errors_total{kind="`+kind+`"}`] = 1
	}
	return all
}

// TestAdapterBehind has an adapter with the same observer behind the handler, or another handler, or the application
// itself begin the handshake: everything counts once, and messages with the types that the adapter knows.
func TestAdapterBehind(t *testing.T) {
	closes := func(t *testing.T, url string) {
		c, ctx := dial(t, url)
		if err := c.Write(ctx, coderws.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Read(ctx); err != nil {
			t.Fatal(err)
		}
		_ = c.Close(coderws.StatusGoingAway, "")
	}
	for name, next := range map[string]func(o *instrument.Observer) http.Handler{
		"coder": func(o *instrument.Observer) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := coder.Accept(w, r, o, nil)
				if err != nil {
					return
				}
				defer c.CloseNow()
				for {
					typ, p, err := c.Read(context.Background())
					if err != nil {
						return
					}
					c.Observed().Received(o.MessageType("chat"), len(p))
					if c.Write(context.Background(), typ, p) == nil {
						c.Observed().Sent(o.MessageType("chat"), len(p))
					}
				}
			})
		},
		"gorilla": func(o *instrument.Observer) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := gorilla.Upgrade(w, r, o, nil, nil)
				if err != nil {
					return
				}
				defer c.Close()
				for {
					typ, p, err := c.ReadMessage()
					if err != nil {
						return
					}
					c.Observed().Received(o.MessageType("chat"), len(p))
					if c.WriteMessage(typ, p) == nil {
						c.Observed().Sent(o.MessageType("chat"), len(p))
					}
				}
			})
		},
		"gobwas": func(o *instrument.Observer) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, _, err := gobwas.UpgradeHTTP(r, w, gobwasws.HTTPUpgrader{}, o)
				if err != nil {
					return
				}
				defer c.Close()
				c.CountMessages(func(gobwasws.OpCode, int64) instrument.MessageType { return o.MessageType("chat") })
				for {
					p, op, err := wsutil.ReadClientData(c)
					if err != nil || wsutil.WriteServerMessage(c, op, p) != nil {
						return
					}
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, url := serve(t, next, instrument.WithMessageTypes("chat"))
			closes(t, url)
			want := lived("remote", "going_away", 1, 5)
			for _, d := range []string{"receive", "transmit"} {
				want[`websocket_messages_total{direction="`+d+`",type="chat"}`] = 1
				delete(want, `websocket_messages_total{direction="`+d+`",type="other"}`)
			}
			r.ExpectOnly(want)
		})
		t.Run(name+" refuses", func(t *testing.T) {
			r, url := serve(t, next)
			_, resp := request(t, url, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			if resp == nil || resp.StatusCode != http.StatusBadRequest {
				t.Errorf("answered %v", resp)
			}
			r.ExpectOnly(refused("bad_handshake", "handshake"))
		})
	}
	for name, next := range map[string]func(o *instrument.Observer) http.Handler{
		"handler": func(o *instrument.Observer) http.Handler { return ws.Handler(o, echo(o)) },
		"application, by context": func(o *instrument.Observer) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if h := o.HandshakeFromContext(r.Context()); r.Header.Get("Authorization") == "nobody" {
					h.Refused(instrument.StatusUnauthorized, http.StatusUnauthorized, nil)
				}
				echo(o).ServeHTTP(w, r)
			})
		},
		"application": func(o *instrument.Observer) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, _ := o.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
				echo(o).ServeHTTP(w, r.WithContext(ctx))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, url := serve(t, next)
			closes(t, url)
			r.ExpectOnly(lived("remote", "going_away", 1, 5))
		})
	}
	t.Run("application, in front", func(t *testing.T) {
		r := realtimetest.New(t)
		h := ws.Handler(r.Observer, echo(r.Observer))
		url := start(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			ctx, handshake := r.Observer.BeginHandshake(req.Context(), instrument.HTTPRequest(req))
			if req.URL.Path == "/secret" {
				w.WriteHeader(http.StatusForbidden)
				handshake.Refused(instrument.StatusForbidden, http.StatusForbidden, nil)
				return
			}
			h.ServeHTTP(w, req.WithContext(ctx))
		}))
		closes(t, url)
		_, _ = request(t, url, "GET /secret HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		want := lived("remote", "going_away", 1, 5)
		maps.Copy(want, refused("forbidden", "auth"))
		r.ExpectOnly(want)
	})
}

// echo answers each message with itself, by gorilla/websocket.
func echo(*instrument.Observer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u := gorillaws.Upgrader{EnableCompression: true}
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			typ, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(typ, p) != nil {
				return
			}
		}
	})
}

// TestRefused has requests for a WebSocket that do not become one, and requests that ask for none.
func TestRefused(t *testing.T) {
	asks := "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c, WebSocket\r\n\r\n"
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	hijacked := func(do func(c net.Conn, rw *bufio.ReadWriter)) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			c, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			defer c.Close()
			do(c, rw)
		}
	}
	for name, tt := range map[string]struct {
		request string
		handler http.HandlerFunc
		want    map[string]float64
		status  float64 // in the record
	}{
		"asks for nothing":           {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", answer(200), nil, 0},
		"asks for nothing, hijacked": {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", hijacked(func(net.Conn, *bufio.ReadWriter) {}), nil, 0},
		"401":                        {asks, answer(401), refused("unauthorized", "auth"), 401},
		"403":                        {asks, answer(403), refused("forbidden", "auth"), 403},
		"404":                        {asks, answer(404), refused("bad_handshake", "handshake"), 404},
		"429":                        {asks, answer(429), refused("rate_limited", ""), 429},
		"503":                        {asks, answer(503), refused("over_capacity", ""), 503},
		"500":                        {asks, answer(500), refused("error", "handshake"), 500},
		"302":                        {asks, answer(302), refused("bad_handshake", "handshake"), 302},
		"a page":                     {asks, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }, refused("bad_handshake", "handshake"), 200},
		"nothing":                    {asks, func(http.ResponseWriter, *http.Request) {}, refused("bad_handshake", "handshake"), 200},
		"early hints": {asks, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusUnauthorized)
		}, refused("unauthorized", "auth"), 401},
		"panic": {asks, func(http.ResponseWriter, *http.Request) { panic("boom") }, refused("error", "handshake"), 0},
		"403 on the connection": {asks, hijacked(func(_ net.Conn, rw *bufio.ReadWriter) {
			_, _ = rw.WriteString("HTTP/1.1 403 Forbidden\r\n\r\nno")
			_ = rw.Flush()
		}), refused("forbidden", "auth"), 403},
		"closed without an answer": {asks, hijacked(func(net.Conn, *bufio.ReadWriter) {}), refused("error", "handshake"), 0},
		"sent too early":           {asks + "\x81\x80aaaa", hijacked(func(net.Conn, *bufio.ReadWriter) {}), refused("bad_handshake", "handshake"), 0},
		"panic on the connection":  {asks, hijacked(func(net.Conn, *bufio.ReadWriter) { panic("boom") }), refused("error", "handshake"), 0},
		"no answer": {asks, hijacked(func(c net.Conn, _ *bufio.ReadWriter) {
			_, _ = io.WriteString(c, "220 hello\r\n\r\n")
		}), refused("error", "handshake"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := realtimetest.New(t)
			served := make(chan struct{})
			url := start(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				defer close(served)
				ws.Handler(r.Observer, tt.handler).ServeHTTP(w, req)
			}))
			c, resp := request(t, url, tt.request)
			if resp != nil {
				defer resp.Body.Close()
			}
			<-served
			_ = c.Close()
			r.ExpectOnly(tt.want)
			if tt.want == nil {
				return
			}
			if got, _ := r.Record("handshake refused")["http_status"].(float64); got != tt.status {
				t.Errorf("record has status %v, want %v", got, tt.status)
			}
		})
	}
}

// TestPeerGone has peers leave before they are answered.
func TestPeerGone(t *testing.T) {
	arrived := make(chan struct{})
	r, url := serve(t, func(*instrument.Observer) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done()
		})
	})
	c := send(t, url, upgrade)
	<-arrived
	_ = c.Close()
	r.ExpectOnly(refused("bad_handshake", "handshake"))
}

// TestPanics has handlers panic whose deferred Close comes first, or is missing.
func TestPanics(t *testing.T) {
	for name, tt := range map[string]struct {
		defers func(c *gorillaws.Conn)
		value  any
		want   map[string]float64
		code   float64
	}{
		"closed by defer":    {func(c *gorillaws.Conn) { _ = c.Close() }, "boom", lived("local", "internal", 0, 0), 1006},
		"not closed":         {func(*gorillaws.Conn) {}, "boom", lived("local", "internal", 0, 0), 1011},
		"aborts":             {func(c *gorillaws.Conn) { _ = c.Close() }, http.ErrAbortHandler, lived("local", "abnormal", 0, 0), 1006},
		"aborts, not closed": {func(*gorillaws.Conn) {}, http.ErrAbortHandler, lived("local", "abnormal", 0, 0), 1006},
	} {
		t.Run(name, func(t *testing.T) {
			r, url := serve(t, func(*instrument.Observer) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					c, err := (&gorillaws.Upgrader{}).Upgrade(w, r, nil)
					if err != nil {
						return
					}
					defer tt.defers(c)
					panic(tt.value)
				})
			})
			c, ctx := dial(t, url)
			_, _, err := c.Read(ctx)
			if got := coderws.CloseStatus(err); (got == 1011) != (tt.code == 1011) {
				t.Errorf("the peer reads %v, want code %v", err, tt.code)
			}
			if tt.value == "boom" {
				tt.want[`websocket_errors_total{kind="panic"}`] = 1
			}
			r.ExpectOnly(tt.want)
			if closed := r.Record("connection closed"); closed["code"] != tt.code {
				t.Errorf("record is %v, want code %v", closed, tt.code)
			}
		})
	}
}

// TestOutlivesHandler has the handler return while its connection is used by others.
func TestOutlivesHandler(t *testing.T) {
	returned, leave := make(chan struct{}), make(chan struct{})
	r := realtimetest.New(t)
	var pumps = make(chan struct{})
	h := ws.Handler(r.Observer, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := (&gorillaws.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		go func() {
			defer close(pumps)
			<-leave
			_ = c.Close()
		}()
	}))
	url := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { defer close(returned); h.ServeHTTP(w, r) }))
	dial(t, url)
	<-returned
	r.Expect(map[string]float64{`websocket_active_connections{}`: 1})
	close(leave)
	<-pumps
	r.ExpectOnly(lived("local", "normal", 0, 0))
}

// TestDrainWithinFrame drains a connection in the middle of a frame: the close frame comes behind it, and nothing
// after.
func TestDrainWithinFrame(t *testing.T) {
	begun, resume, done := make(chan struct{}), make(chan struct{}), make(chan error, 2)
	r, url := serve(t, func(*instrument.Observer) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _, _, err := gobwasws.UpgradeHTTP(r, w)
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = c.Write([]byte{0x82, 4, 'o', 'n'})
			close(begun)
			<-resume
			_, err = c.Write([]byte("ce"))
			done <- err
			_, err = c.Write([]byte{0x82, 0})
			done <- err
			_, _ = io.Copy(io.Discard, c) // the peer's close frame and its end
		})
	})
	c, ctx := dial(t, url)
	<-begun
	drained := make(chan error, 1)
	go func() { drained <- r.Observer.Drain(ctx) }()
	r.Expect(map[string]float64{`websocket_draining{}`: 1})
	close(resume)
	if _, p, err := c.Read(ctx); err != nil || string(p) != "once" {
		t.Errorf("read %q, %v, want the whole message", p, err)
	}
	if _, _, err := c.Read(ctx); coderws.CloseStatus(err) != coderws.StatusGoingAway {
		t.Errorf("read %v, want close code 1001", err)
	}
	if err := <-done; err != nil {
		t.Errorf("the rest of the frame: %v", err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after the close frame: %v, want net.ErrClosed", err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if closed := r.Record("connection closed"); closed["reason"] != "shutdown" || closed["code"] != 1001. {
		t.Errorf("record is %v, want shutdown by 1001", closed)
	}
}

// TestDrainWhileClosing drains a connection that the handler is about to close: the peer gets one close frame.
func TestDrainWhileClosing(t *testing.T) {
	closing := make(chan struct{})
	r, url := serve(t, func(*instrument.Observer) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _, _, err := gobwasws.UpgradeHTTP(r, w)
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = c.Write(gobwasws.CompiledCloseNormalClosure)
			close(closing)
			_, _ = io.Copy(io.Discard, c)
		})
	})
	c := send(t, url, upgrade)
	<-closing
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := r.Observer.Drain(ctx); err != nil {
		t.Error(err)
	}
	all, err := io.ReadAll(c)
	if _, frames, _ := bytes.Cut(all, []byte("\r\n\r\n")); !bytes.Equal(frames, gobwasws.CompiledCloseNormalClosure) || err != nil {
		t.Errorf("read % x, %v, want one close frame", frames, err)
	}
	if closed := r.Record("connection closed"); closed["reason"] != "normal" || closed["code"] != 1000. {
		t.Errorf("record is %v, want a normal end", closed)
	}
}

// TestDrainSilentPeer drains a connection whose peer does not answer, and another whose peer does not read.
func TestDrainSilentPeer(t *testing.T) {
	for name, serves := range map[string]func(c net.Conn){
		"does not answer": func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"does not read": func(c net.Conn) {
			for big := make([]byte, 1<<20); ; {
				if err := gobwasws.WriteFrame(c, gobwasws.NewBinaryFrame(big)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, url := serve(t, func(*instrument.Observer) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if c, _, _, err := gobwasws.UpgradeHTTP(r, w); err == nil {
						defer c.Close()
						serves(c)
					}
				})
			})
			request(t, url, upgrade)
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			if err := r.Observer.Drain(ctx); err != nil {
				t.Error(err)
			}
			r.Expect(map[string]float64{
				`websocket_active_connections{}`:                                      0,
				`websocket_disconnections_total{initiator="local",reason="shutdown"}`: 1,
			})
		})
	}
}

// TestOpensWhileDraining opens a connection after the server has begun to drain.
func TestOpensWhileDraining(t *testing.T) {
	r, url := serve(t, echo)
	held, _ := dial(t, url) // keeps the drain waiting, because it does not read the close frame
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- r.Observer.Drain(ctx) }()
	r.Expect(map[string]float64{`websocket_draining{}`: 1})
	late, ctx := dial(t, url)
	if _, _, err := late.Read(ctx); coderws.CloseStatus(err) != coderws.StatusGoingAway {
		t.Errorf("read %v, want close code 1001", err)
	}
	if _, _, err := held.Read(ctx); coderws.CloseStatus(err) != coderws.StatusGoingAway {
		t.Errorf("read %v, want close code 1001", err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	r.Expect(map[string]float64{`websocket_disconnections_total{initiator="local",reason="shutdown"}`: 2})
}

// TestMeasured has the handler inside and outside of a middleware that measures requests.
func TestMeasured(t *testing.T) {
	for name, build := range map[string]func(o *instrument.Observer, middleware func(http.Handler) http.Handler) http.Handler{
		"inside": func(o *instrument.Observer, middleware func(http.Handler) http.Handler) http.Handler {
			return instrument.UntilConnected(middleware, ws.Handler(o, echo(o)))
		},
		"outside": func(o *instrument.Observer, middleware func(http.Handler) http.Handler) http.Handler {
			return ws.Handler(o, instrument.UntilConnected(middleware, echo(o)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total"}, []string{"code"})
			r := realtimetest.New(t)
			url := start(t, build(r.Observer, func(next http.Handler) http.Handler {
				return promhttp.InstrumentHandlerCounter(requests, next)
			}))
			c, ctx := dial(t, url)
			if err := c.Write(ctx, coderws.MessageText, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Read(ctx); err != nil {
				t.Fatal(err)
			}
			if got := testutil.ToFloat64(requests.WithLabelValues("101")); got != 1 {
				t.Errorf("measured %v requests with status 101, want 1", got)
			}
			_ = c.Close(coderws.StatusNormalClosure, "")
			r.ExpectOnly(lived("remote", "normal", 1, 5))
		})
	}
}

// TestDeflate has the peers negotiate compression, which is no violation, and counts bytes on the wire.
func TestDeflate(t *testing.T) {
	r, url := serve(t, echo)
	d := gorillaws.Dialer{EnableCompression: true}
	c, _, err := d.Dial("ws"+strings.TrimPrefix(url, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text := bytes.Repeat([]byte("hello "), 1000)
	if err := c.WriteMessage(gorillaws.TextMessage, text); err != nil {
		t.Fatal(err)
	}
	if _, p, err := c.ReadMessage(); err != nil || !bytes.Equal(p, text) {
		t.Fatalf("read %d bytes, %v", len(p), err)
	}
	_ = c.WriteMessage(gorillaws.CloseMessage, gorillaws.FormatCloseMessage(1000, ""))
	closed := r.Record("connection closed")
	if closed["reason"] != "normal" || closed["received_bytes"].(float64) > 200 || closed["sent_messages"] != 1. {
		t.Errorf("record is %v, want a normal end and few bytes", closed)
	}
}

// TestHandedOut looks at what a handler gets: all that the server's own ResponseWriter and connection have.
func TestHandedOut(t *testing.T) {
	problems := make(chan string, 10)
	_, url := serve(t, func(*instrument.Observer) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(problems)
			check := func(ok bool, what string) {
				if !ok {
					problems <- what
				}
			}
			_, flushes := w.(http.Flusher)
			_, reads := w.(io.ReaderFrom)
			_, strings := w.(io.StringWriter)
			rc := http.NewResponseController(w)
			check(flushes && reads && strings, "Flusher, ReaderFrom, StringWriter")
			check(rc.SetWriteDeadline(time.Now().Add(deadline)) == nil && rc.SetReadDeadline(time.Now().Add(deadline)) == nil, "deadlines")
			check(rc.EnableFullDuplex() == nil, "full duplex")
			c, rw, err := rc.Hijack()
			check(err == nil, "Hijack")
			defer c.Close()
			p, err := rw.Peek(rw.Reader.Buffered())
			check(err == nil && string(p) == "early", fmt.Sprintf("buffered %q", p))
			_, calls := c.(syscall.Conn)
			_, half := c.(interface{ CloseWrite() error })
			check(calls && half, "SyscallConn and CloseWrite")
			tcp, ok := c.(interface{ NetConn() net.Conn })
			check(ok, "NetConn")
			_, ok = tcp.NetConn().(*net.TCPConn)
			check(ok, "TCPConn")
			_, err = io.ReadFull(rw, make([]byte, len("early")))
			check(err == nil, "read what was buffered")
			_, _ = rw.WriteString("HTTP/1.1 204 No Content\r\n\r\n")
			check(rw.Flush() == nil, "flush")
			line, err := rw.ReadString('\n')
			check(err == nil && line == "late\n", fmt.Sprintf("read %q, %v", line, err))
		})
	})
	c, _ := request(t, url, upgrade+"early")
	_, _ = io.WriteString(c, "late\n")
	for problem := range problems {
		t.Error(problem)
	}
}

// holding is like gin's ResponseWriter: the header is held back until WriteHeaderNow.
type holding struct {
	http.ResponseWriter
	status int
}

func (w *holding) WriteHeader(status int)      { w.status = status }
func (w *holding) WriteHeaderNow()             { w.ResponseWriter.WriteHeader(w.status) }
func (w *holding) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type unwrapping struct{ http.ResponseWriter }

func (w unwrapping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// TestMiddlewares has middlewares on both sides of the handler.
func TestMiddlewares(t *testing.T) {
	wraps := map[string]func(w http.ResponseWriter) http.ResponseWriter{
		"none":   func(w http.ResponseWriter) http.ResponseWriter { return w },
		"unwrap": func(w http.ResponseWriter) http.ResponseWriter { return unwrapping{w} },
		"gin":    func(w http.ResponseWriter) http.ResponseWriter { return &holding{ResponseWriter: w} },
	}
	accept := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := coderws.Accept(w, r, nil)
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		defer c.CloseNow()
		_, _, _ = c.Read(context.Background())
	})
	for outer, wrapOuter := range wraps {
		for inner, wrapInner := range wraps {
			t.Run(outer+"/"+inner, func(t *testing.T) {
				r := realtimetest.New(t)
				h := ws.Handler(r.Observer, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					accept.ServeHTTP(wrapInner(w), r)
				}))
				url := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(wrapOuter(w), r) }))
				c, _ := dial(t, url)
				_ = c.Close(coderws.StatusNormalClosure, "")
				r.ExpectOnly(lived("remote", "normal", 0, 0))
			})
		}
	}
}

// TestUnobserved has no observer.
func TestUnobserved(t *testing.T) {
	next := http.NewServeMux()
	if h := ws.Handler(nil, next); h != http.Handler(next) {
		t.Errorf("Handler(nil, next) is %v, want next", h)
	}
}
