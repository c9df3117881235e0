package conformance_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/sse"
	"github.com/sockscope/sockscope/instrument/ws/gobwas"
)

// TestFieldCase17Counted has the adapter count messages, and the application, too: each counts once.
func TestFieldCase17Counted(t *testing.T) {
	for name, serveBy := range aware() {
		t.Run(name, func(t *testing.T) {
			recorder := realtimetest.New(t, instrument.WithMessageTypes("chat"))
			chat := recorder.Observer.MessageType("chat")
			url, returned := serve(t, func(w http.ResponseWriter, r *http.Request) {
				serveBy(w, r, recorder.Observer, func(c conn) {
					c.countMessages()
					connection := c.Observed()
					ctx := connection.Context(r.Context())
					for c.read() == nil {
						_ = connection.Handle(ctx, chat, 1, nil, func(context.Context) error {
							defer connection.Sent(chat, 2)
							return c.write([]byte("ok"))
						})
					}
				})
			})
			p := ask(t, url, upgrade)
			p.upgraded()
			p.send(frame(0x81, 'x'))
			p.send(closeFrame(1000, ""))
			p.readAll()
			<-returned
			recorder.Expect(map[string]float64{
				`websocket_messages_total{direction="receive",type="other"}`:         1,
				`websocket_messages_total{direction="receive",type="chat"}`:          0,
				`websocket_messages_total{direction="transmit",type="other"}`:        1,
				`websocket_messages_total{direction="transmit",type="chat"}`:         0,
				`websocket_message_duration_seconds_count{type="chat"}`:              1,
				`websocket_message_size_bytes_sum{direction="receive"}`:              1,
				`websocket_message_size_bytes_sum{direction="transmit"}`:             2,
				`websocket_message_size_bytes_count{direction="transmit"}`:           1,
				`websocket_disconnections_total{initiator="remote",reason="normal"}`: 1,
			})
		})
	}
}

// TestFieldCase17EndedHandshake has the request carry a handshake that has ended: the connection is observed all the
// same.
func TestFieldCase17EndedHandshake(t *testing.T) {
	for name, serveBy := range aware() {
		t.Run(name, func(t *testing.T) {
			recorder := realtimetest.New(t)
			url, returned := serve(t, func(w http.ResponseWriter, r *http.Request) {
				ctx, h := recorder.Observer.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
				h.Refused(instrument.StatusRateLimited, 0, nil)
				serveBy(w, r.WithContext(ctx), recorder.Observer, readUntilEnd)
			})
			p := ask(t, url, upgrade)
			p.upgraded()
			p.send(closeFrame(1000, ""))
			p.readAll()
			<-returned
			recorder.Expect(map[string]float64{
				`websocket_connections_total{status="connected"}`:                    1,
				`websocket_disconnections_total{initiator="remote",reason="normal"}`: 1,
			})
		})
	}
}

// TestFieldCase17Protocol gives adapters an observer that was made for another's protocol, which is told once.
func TestFieldCase17Protocol(t *testing.T) {
	type serveFunc func(http.ResponseWriter, *http.Request, *instrument.Observer)
	adapters := map[string]serveFunc{
		"sse": func(w http.ResponseWriter, r *http.Request, o *instrument.Observer) {
			if s, err := sse.Accept(w, r, o); err == nil {
				s.Close()
			}
		},
		"gobwas, without net/http": func(_ http.ResponseWriter, r *http.Request, o *instrument.Observer) {
			peer, conn := net.Pipe()
			go func() {
				defer peer.Close()
				_ = r.Write(peer)
				_, _ = io.Copy(io.Discard, peer)
			}()
			_, _, _ = gobwas.Upgrade(conn, ws.Upgrader{}, o)
			_ = conn.Close()
		},
	}
	for name, serveBy := range webSockets() {
		adapters[name] = func(w http.ResponseWriter, r *http.Request, o *instrument.Observer) {
			serveBy(w, r, o, func(conn) {})
		}
	}
	for name, serveBy := range adapters {
		t.Run(name, func(t *testing.T) {
			others := sse.Protocol
			if name == "sse" {
				others = "websocket"
			}
			recorder := realtimetest.New(t, instrument.WithProtocol(others))
			for range 2 {
				serveBy(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), recorder.Observer)
			}
			records := recorder.Records("instrumentation misused")
			if len(records) != 1 {
				t.Fatalf("told %d times, want once", len(records))
			}
			if problem, _ := records[0]["problem"].(string); !strings.Contains(problem, "WithProtocol") {
				t.Errorf("the problem is %q, want the cure", problem)
			}
		})
	}
}

// TestFieldCase18Woken has a read woken up by a deadline in the past, which is no timeout, also if it is set after one
// that has passed.
func TestFieldCase18Woken(t *testing.T) {
	type deadlines interface{ SetReadDeadline(time.Time) error }
	past := time.Unix(1, 0)
	for name, serveBy := range aware() {
		if name == "coder" {
			continue // it has contexts
		}
		for way, tt := range map[string]struct {
			set  func(deadlines, conn)
			want end
		}{
			"woken": {func(d deadlines, _ conn) {
				time.AfterFunc(soon, func() { _ = d.SetReadDeadline(past) })
			}, end{Initiator: "local", Reason: "normal", Code: 1006}},
			"timed out, then woken": {func(d deadlines, c conn) {
				c.limitReads(time.Millisecond)
				<-time.After(soon)
				_ = d.SetReadDeadline(past)
			}, end{Initiator: "local", Reason: "idle_timeout", Code: 1006}},
		} {
			t.Run(name+"/"+way, func(t *testing.T) {
				recorder := realtimetest.New(t)
				url, returned := serve(t, func(w http.ResponseWriter, r *http.Request) {
					serveBy(w, r, recorder.Observer, func(c conn) {
						tt.set(c.(deadlines), c)
						readUntilEnd(c)
					})
				})
				p := ask(t, url, upgrade)
				p.upgraded()
				<-returned
				ended(t, recorder, "websocket", tt.want, false)
			})
		}
	}
}
