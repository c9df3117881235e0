package conformance_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
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

// TestFieldCase17EndedHandshake has the request carry a handshake that has ended: the connection is observed all the same.
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
