package coder_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// TestEnds has connections end in every way, between real peers, and compares everything that was counted.
func TestEnds(t *testing.T) {
	type end struct {
		initiator, reason string
		code              int
		errors, pings     map[string]float64
	}
	readUntilEnd := func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
		defer c.CloseNow()
		_ = readToEnd(ctx, c)
	}
	peerReads := func(ctx context.Context, _ *testing.T, c client) { _ = readToEnd(ctx, c) }
	peerIsSilent := func(ctx context.Context, _ *testing.T, _ client) { <-ctx.Done() }
	peerCloses := func(code websocket.StatusCode) func(context.Context, *testing.T, client) {
		return func(_ context.Context, t *testing.T, c client) {
			if err := c.Close(code, "as it likes"); err != nil {
				t.Errorf("close by the peer: %v", err)
			}
		}
	}
	weClose := func(code websocket.StatusCode) func(context.Context, *instrument.Observer, *coder.Conn) {
		return func(_ context.Context, _ *instrument.Observer, c *coder.Conn) { _ = c.Close(code, "") }
	}
	// feed only writes; what it does meanwhile has a context that lasts until the connection ends.
	feed := func(do func(context.Context, *coder.Conn)) func(context.Context, *instrument.Observer, *coder.Conn) {
		return func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
			defer c.CloseNow()
			ctx = c.CloseRead(ctx)
			do(ctx, c)
			<-ctx.Done()
		}
	}
	untilDone := feed(func(context.Context, *coder.Conn) {})
	// readPieces reads a message by a Reader.
	readPieces := func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
		defer c.CloseNow()
		if _, r, err := c.Reader(ctx); err == nil {
			_, _ = io.Copy(io.Discard, r)
		}
	}
	peerBegins := func(frame ...byte) func(context.Context, *testing.T, client) {
		return func(_ context.Context, t *testing.T, c client) {
			if _, err := c.tcp.Write(frame); err != nil {
				t.Error(err)
			}
		}
	}
	tests := map[string]struct {
		server func(context.Context, *instrument.Observer, *coder.Conn)
		client func(context.Context, *testing.T, client)
		want   end
	}{
		"peer closes, normal":           {readUntilEnd, peerCloses(1000), end{initiator: "remote", reason: "normal", code: 1000}},
		"peer closes, no code":          {readUntilEnd, peerCloses(1005), end{initiator: "remote", reason: "normal", code: 1005}},
		"peer closes, going away":       {readUntilEnd, peerCloses(1001), end{initiator: "remote", reason: "going_away", code: 1001}},
		"peer closes, protocol error":   {readUntilEnd, peerCloses(1002), end{initiator: "remote", reason: "protocol_error", code: 1002}},
		"peer closes, unsupported data": {readUntilEnd, peerCloses(1003), end{initiator: "remote", reason: "protocol_error", code: 1003}},
		"peer closes, invalid payload":  {readUntilEnd, peerCloses(1007), end{initiator: "remote", reason: "protocol_error", code: 1007}},
		"peer closes, policy":           {readUntilEnd, peerCloses(1008), end{initiator: "remote", reason: "policy", code: 1008}},
		"peer closes, message too big":  {readUntilEnd, peerCloses(1009), end{initiator: "remote", reason: "message_too_big", code: 1009}},
		"peer closes, extension":        {readUntilEnd, peerCloses(1010), end{initiator: "remote", reason: "protocol_error", code: 1010}},
		"peer closes, internal":         {readUntilEnd, peerCloses(1011), end{initiator: "remote", reason: "internal", code: 1011}},
		"peer closes, restart":          {readUntilEnd, peerCloses(1012), end{initiator: "remote", reason: "restart", code: 1012}},
		"peer closes, try again later":  {readUntilEnd, peerCloses(1013), end{initiator: "remote", reason: "try_again_later", code: 1013}},
		"peer closes, bad gateway":      {readUntilEnd, peerCloses(1014), end{initiator: "remote", reason: "internal", code: 1014}},
		"peer closes, code of its own":  {readUntilEnd, peerCloses(4711), end{initiator: "remote", reason: "other", code: 4711}},
		"we close, normal":              {weClose(1000), peerReads, end{initiator: "local", reason: "normal", code: 1000}},
		"we close, going away":          {weClose(1001), peerReads, end{initiator: "local", reason: "going_away", code: 1001}},
		"we close, policy":              {weClose(1008), peerReads, end{initiator: "local", reason: "policy", code: 1008}},
		"we close, internal":            {weClose(1011), peerReads, end{initiator: "local", reason: "internal", code: 1011}},
		"we close, restart":             {weClose(1012), peerReads, end{initiator: "local", reason: "restart", code: 1012}},
		"we close, try again later":     {weClose(1013), peerReads, end{initiator: "local", reason: "try_again_later", code: 1013}},
		"we close, code of our own":     {weClose(4000), peerReads, end{initiator: "local", reason: "other", code: 4000}},
		"we close while we read": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = readToEnd(ctx, c)
				}()
				_ = c.Close(1000, "")
				<-done
			}, peerReads, end{initiator: "local", reason: "normal", code: 1000},
		},
		"we drain": {
			func(_ context.Context, o *instrument.Observer, c *coder.Conn) {
				o.SetDraining(true)
				_ = c.CloseFor(instrument.ReasonShutdown, websocket.StatusGoingAway, "")
				o.SetDraining(false)
			}, peerReads, end{initiator: "local", reason: "shutdown", code: 1001},
		},
		"context cancelled before reading": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				ctx, cancel := context.WithCancel(ctx)
				cancel()
				_ = readToEnd(ctx, c)
			}, peerReads, end{initiator: "local", reason: "shutdown", code: 1006},
		},
		"context cancelled while draining": {
			func(ctx context.Context, o *instrument.Observer, c *coder.Conn) {
				ctx, cancel := context.WithCancel(ctx)
				o.SetDraining(true)
				time.AfterFunc(10*time.Millisecond, cancel)
				_ = readToEnd(ctx, c)
				o.SetDraining(false)
			}, peerReads, end{initiator: "local", reason: "shutdown", code: 1006},
		},
		"peer vanishes within a message": {
			readUntilEnd,
			func(_ context.Context, t *testing.T, c client) {
				if _, err := c.tcp.Write([]byte{0x81, 0xFE, 0x10}); err != nil {
					t.Error(err)
				}
				_ = c.tcp.Close()
			},
			end{initiator: "network", reason: "abnormal", code: 1006, errors: map[string]float64{"read": 1}},
		},
		"message too big": {
			readUntilEnd,
			func(ctx context.Context, _ *testing.T, c client) {
				_ = c.Write(ctx, websocket.MessageBinary, make([]byte, 40_000))
				_ = readToEnd(ctx, c)
			},
			end{initiator: "local", reason: "message_too_big", code: 1009, errors: map[string]float64{"read": 1}},
		},
		"protocol error, reserved bits": {
			readUntilEnd,
			func(ctx context.Context, _ *testing.T, c client) {
				_, _ = c.tcp.Write([]byte{0xF1, 0x80, 0, 0, 0, 0})
				_ = readToEnd(ctx, c)
			},
			end{initiator: "local", reason: "protocol_error", code: 1002, errors: map[string]float64{"read": 1}},
		},
		"protocol error, not masked": {
			readUntilEnd,
			func(ctx context.Context, _ *testing.T, c client) {
				_, _ = c.tcp.Write([]byte{0x81, 0x00})
				_ = readToEnd(ctx, c)
			},
			end{initiator: "local", reason: "protocol_error", code: 1006, errors: map[string]float64{"read": 1}},
		},
		"ping timeout, then cut": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				read := make(chan error, 1)
				go func() { read <- readToEnd(ctx, c) }()
				ping(ctx, c, 50*time.Millisecond)
				_ = c.CloseNow()
				<-read
			}, peerIsSilent,
			end{
				initiator: "network", reason: "ping_timeout", code: 1006,
				errors: map[string]float64{"timeout": 1}, pings: map[string]float64{"timeout": 1},
			},
		},
		"ping timeout, then the peer resets": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				defer c.CloseNow()
				ping(ctx, c, 50*time.Millisecond)
				_ = readToEnd(ctx, c)
			},
			func(_ context.Context, t *testing.T, c client) {
				time.Sleep(200 * time.Millisecond)
				c.reset(t)
			},
			end{
				initiator: "network", reason: "ping_timeout", code: 1006,
				errors: map[string]float64{"timeout": 1}, pings: map[string]float64{"timeout": 1},
			},
		},
		"ping timeout, then a pong": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				read := make(chan error, 1)
				ping(ctx, c, 50*time.Millisecond) // nobody reads yet, so no pong can be seen
				go func() { read <- readToEnd(ctx, c) }()
				ping(ctx, c, deadline)
				_ = c.Close(1000, "")
				<-read
			}, peerReads,
			end{
				initiator: "local", reason: "normal", code: 1000,
				pings: map[string]float64{"timeout": 1, "pong": 1},
			},
		},
		"ping after the end": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				_ = readToEnd(ctx, c)
				ping(ctx, c, deadline)
			}, peerCloses(1000),
			end{initiator: "remote", reason: "normal", code: 1000, pings: map[string]float64{"error": 1}},
		},
		"ping given up": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				cancelled, cancel := context.WithCancel(ctx)
				time.AfterFunc(10*time.Millisecond, cancel)
				_ = c.Ping(cancelled)
				_ = readToEnd(ctx, c)
			},
			func(ctx context.Context, t *testing.T, c client) {
				time.Sleep(50 * time.Millisecond)
				peerCloses(1000)(ctx, t, c)
			},
			end{initiator: "remote", reason: "normal", code: 1000},
		},
		"write error": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				for c.Write(ctx, websocket.MessageText, []byte("hello")) == nil {
					time.Sleep(5 * time.Millisecond)
				}
				_ = c.CloseNow()
			},
			func(_ context.Context, t *testing.T, c client) { c.reset(t) },
			end{initiator: "network", reason: "write_error", code: 1006, errors: map[string]float64{"write": 1}},
		},
		"write timeout": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				read := make(chan error, 1)
				go func() { read <- readToEnd(ctx, c) }()
				timeout, cancel := context.WithTimeout(ctx, time.Second) // time enough to fill the buffers first
				defer cancel()
				writeToEnd(timeout, c)
				<-read
			}, peerIsSilent,
			end{initiator: "network", reason: "write_error", code: 1006, errors: map[string]float64{"write": 1}},
		},
		"write timeout beside a ping": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				var all sync.WaitGroup
				all.Go(func() {
					defer c.CloseNow()
					_ = readToEnd(ctx, c)
				})
				all.Go(func() { ping(ctx, c, deadline) })
				all.Go(func() {
					timeout, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
					defer cancel()
					_ = c.Write(timeout, websocket.MessageBinary, make([]byte, tooMuch))
				})
				all.Wait()
			}, peerIsSilent,
			end{
				initiator: "network", reason: "write_error", code: 1006,
				errors: map[string]float64{"write": 1}, pings: map[string]float64{"error": 1},
			},
		},
		"write given up": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				read := make(chan error, 1)
				go func() { read <- readToEnd(ctx, c) }()
				for {
					cancelled, cancel := context.WithCancel(ctx)
					time.AfterFunc(100*time.Millisecond, cancel)
					_ = c.Write(cancelled, websocket.MessageBinary, make([]byte, tooMuch))
					select {
					case <-read:
						return
					case <-time.After(time.Second): // the write was given up before it began
					}
				}
			}, peerIsSilent,
			end{initiator: "local", reason: "shutdown", code: 1006},
		},
		"write after the end": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				_ = readToEnd(ctx, c)
				for range 20 {
					if err := c.Write(ctx, websocket.MessageText, []byte("late")); err == nil {
						time.Sleep(time.Millisecond)
					}
				}
				_ = c.Close(1000, "")
			},
			func(_ context.Context, t *testing.T, c client) { c.reset(t) },
			end{initiator: "network", reason: "abnormal", code: 1006, errors: map[string]float64{"read": 1}},
		},
		"handler panics": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				panics(t, "boom", func() { _, _, _ = c.Read(ctx); panic("boom") }, c)
			},
			func(ctx context.Context, t *testing.T, c client) {
				_ = c.Write(ctx, websocket.MessageText, []byte("go"))
				_ = readToEnd(ctx, c)
			},
			end{initiator: "local", reason: "internal", code: 1011, errors: map[string]float64{"panic": 1}},
		},
		"handler panics through two": {
			func(_ context.Context, _ *instrument.Observer, c *coder.Conn) {
				panics(t, "boom", func() {
					defer c.CloseNow()
					panic("boom")
				}, c)
			}, peerReads,
			end{initiator: "local", reason: "internal", code: 1011, errors: map[string]float64{"panic": 1}},
		},
		"handler panics after the end": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				panics(t, "boom", func() { _ = readToEnd(ctx, c); panic("boom") }, c)
			}, peerCloses(1000),
			end{initiator: "remote", reason: "normal", code: 1000, errors: map[string]float64{"panic": 1}},
		},
		"feed, peer closes":             {untilDone, peerCloses(1000), end{initiator: "remote", reason: "normal", code: 1000}},
		"feed, peer closes, going away": {untilDone, peerCloses(1001), end{initiator: "remote", reason: "going_away", code: 1001}},
		"feed, peer resets": {
			untilDone, func(_ context.Context, t *testing.T, c client) { c.reset(t) },
			end{initiator: "network", reason: "abnormal", code: 1006, errors: map[string]float64{"read": 1}},
		},
		"feed, protocol error": {
			untilDone, peerBegins(0x81, 0x00),
			end{initiator: "local", reason: "protocol_error", code: 1006, errors: map[string]float64{"read": 1}},
		},
		"feed, peer sends a message": {
			untilDone,
			func(ctx context.Context, t *testing.T, c client) {
				_ = c.Write(ctx, websocket.MessageBinary, make([]byte, 40_000))
				if err := readToEnd(context.WithoutCancel(ctx), c); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
					t.Errorf("the peer read %v, want close code 1008", err)
				}
			}, end{initiator: "local", reason: "policy", code: 1008},
		},
		"feed, we close": {
			feed(func(_ context.Context, c *coder.Conn) { _ = c.Close(1001, "") }),
			peerReads, end{initiator: "local", reason: "going_away", code: 1001},
		},
		"feed, we close for a slow consumer": {
			feed(func(_ context.Context, c *coder.Conn) {
				_ = c.CloseFor(instrument.ReasonSlowConsumer, websocket.StatusPolicyViolation, "too slow")
			}), peerReads, end{initiator: "local", reason: "slow_consumer", code: 1008},
		},
		"feed, we cut": {
			feed(func(_ context.Context, c *coder.Conn) { _ = c.CloseNow() }),
			peerReads, end{initiator: "local", reason: "normal", code: 1006},
		},
		"feed, context cancelled": {
			func(ctx context.Context, o *instrument.Observer, c *coder.Conn) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(10*time.Millisecond, cancel)
				untilDone(ctx, o, c)
			}, peerReads, end{initiator: "local", reason: "shutdown", code: 1006},
		},
		"feed, time is up": {
			func(ctx context.Context, o *instrument.Observer, c *coder.Conn) {
				ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
				defer cancel()
				untilDone(ctx, o, c)
			}, peerReads, end{initiator: "local", reason: "normal", code: 1006},
		},
		"feed, context cancelled while draining": {
			func(ctx context.Context, o *instrument.Observer, c *coder.Conn) {
				ctx, cancel := context.WithCancel(ctx)
				o.SetDraining(true)
				time.AfterFunc(10*time.Millisecond, cancel)
				untilDone(ctx, o, c)
				o.SetDraining(false)
			}, peerReads, end{initiator: "local", reason: "shutdown", code: 1006},
		},
		"feed, ping answered": {
			feed(func(ctx context.Context, c *coder.Conn) {
				ping(ctx, c, deadline)
				_ = c.Close(1000, "")
			}), peerReads, end{initiator: "local", reason: "normal", code: 1000, pings: map[string]float64{"pong": 1}},
		},
		"feed, ping timeout": {
			feed(func(ctx context.Context, c *coder.Conn) {
				ping(ctx, c, 50*time.Millisecond)
				_ = c.CloseNow()
			}), peerIsSilent,
			end{
				initiator: "network", reason: "ping_timeout", code: 1006,
				errors: map[string]float64{"timeout": 1}, pings: map[string]float64{"timeout": 1},
			},
		},
		"feed, write timeout": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				var writing sync.WaitGroup
				defer writing.Wait()
				defer c.CloseNow()
				ended := c.CloseRead(ctx)
				writing.Go(func() {
					timeout, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
					defer cancel()
					_ = c.Write(timeout, websocket.MessageBinary, make([]byte, tooMuch))
				})
				<-ended.Done()
			}, peerIsSilent,
			end{initiator: "network", reason: "write_error", code: 1006, errors: map[string]float64{"write": 1}},
		},
		"reader, peer closes": {readPieces, peerCloses(1000), end{initiator: "remote", reason: "normal", code: 1000}},
		"reader, peer closes in a message": {
			readPieces,
			func(ctx context.Context, t *testing.T, c client) {
				peerBegins(0x01, 0x81, 0, 0, 0, 0, 'h')(ctx, t, c)
				peerCloses(1001)(ctx, t, c)
			}, end{initiator: "remote", reason: "going_away", code: 1001},
		},
		"reader, peer resets in a message": {
			readPieces,
			func(ctx context.Context, t *testing.T, c client) {
				peerBegins(0x81, 0x85, 0, 0, 0, 0, 'h')(ctx, t, c)
				c.reset(t)
			},
			end{initiator: "network", reason: "abnormal", code: 1006, errors: map[string]float64{"read": 1}},
		},
		"reader, message too big": {
			func(ctx context.Context, o *instrument.Observer, c *coder.Conn) {
				c.SetReadLimit(4)
				readPieces(ctx, o, c)
			}, peerBegins(0x81, 0x85, 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'),
			end{initiator: "local", reason: "message_too_big", code: 1009, errors: map[string]float64{"read": 1}},
		},
		"reader, message not received in time": {
			func(ctx context.Context, o *instrument.Observer, c *coder.Conn) {
				ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
				defer cancel()
				readPieces(ctx, o, c)
			}, peerBegins(0x81, 0x85, 0, 0, 0, 0, 'h'), end{initiator: "local", reason: "idle_timeout", code: 1006},
		},
		"writer, write timeout": {
			feed(func(ctx context.Context, c *coder.Conn) {
				timeout, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				w, err := c.Writer(timeout, websocket.MessageBinary)
				for payload := make([]byte, 1<<20); err == nil; {
					_, err = w.Write(payload)
				}
			}), peerIsSilent,
			end{initiator: "network", reason: "write_error", code: 1006, errors: map[string]float64{"write": 1}},
		},
		"writer, another is open": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				defer c.CloseNow()
				timeout, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
				defer cancel()
				_, _ = c.Writer(ctx, websocket.MessageText)
				if _, err := c.Writer(timeout, websocket.MessageText); err == nil {
					t.Error("two writers are open")
				}
			}, peerReads,
			end{initiator: "network", reason: "write_error", code: 1006, errors: map[string]float64{"write": 1}},
		},
		"closed behind our back": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				_ = c.Unwrap().CloseNow()
				_ = readToEnd(ctx, c)
			}, peerReads,
			end{initiator: "local", reason: "normal", code: 1006},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := make(chan struct{})
			s := serve(t, func(ctx context.Context, o *instrument.Observer, c *coder.Conn) {
				defer close(done)
				tt.server(ctx, o, c)
			})
			ctx, cancel := context.WithCancel(t.Context())
			c := dial(t, s.URL)
			var peer sync.WaitGroup
			peer.Go(func() { tt.client(ctx, t, c) })
			<-done
			cancel()
			peer.Wait()

			want := map[string]float64{
				`websocket_connections_total{status="connected"}`:                                                       1,
				`websocket_handshake_duration_seconds_count{status="connected"}`:                                        1,
				`websocket_connection_duration_seconds_count{reason="` + tt.want.reason + `"}`:                          1,
				`websocket_disconnections_total{initiator="` + tt.want.initiator + `",reason="` + tt.want.reason + `"}`: 1,
			}
			for kind, n := range tt.want.errors {
				want[`websocket_errors_total{kind="`+kind+`"}`] = n
			}
			for result, n := range tt.want.pings {
				want[`websocket_pings_total{result="`+result+`"}`] = n
			}
			if n := tt.want.pings["pong"]; n > 0 {
				want[`websocket_ping_rtt_seconds_count{}`] = n
			}
			s.ExpectOnly(want)

			closed := s.Record("connection closed")
			type cause struct{ Initiator, Reason, Code any }
			if diff := cmp.Diff(cause{tt.want.initiator, tt.want.reason, float64(tt.want.code)},
				cause{closed["initiator"], closed["reason"], closed["code"]}); diff != "" {
				t.Errorf("record `connection closed`, -want +got:\n%s", diff)
			}
			if opened := s.Record("connection opened"); opened["connection_id"] != closed["connection_id"] {
				t.Errorf("sessions differ: %v and %v", opened, closed)
			}
		})
	}
}

// panics runs a handler that defers CloseNow and wants its panic to arrive unchanged, as net/http would get it.
func panics(t *testing.T, want any, handler func(), c *coder.Conn) {
	t.Helper()
	defer func() {
		if got := recover(); got != want {
			t.Errorf("the panic arrived as %v, want %v", got, want)
		}
	}()
	defer c.CloseNow()
	handler()
}

func ping(ctx context.Context, c *coder.Conn, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_ = c.Ping(ctx)
}
