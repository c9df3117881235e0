package gobwas_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/gobwas"
)

// end is how a connection ends, and what else is counted.
type end struct {
	initiator, reason string
	code              int
	errors, pings     map[string]float64
}

func (e end) counts() map[string]float64 {
	counts := map[string]float64{
		`websocket_connections_total{status="connected"}`:                                           1,
		`websocket_handshake_duration_seconds_count{status="connected"}`:                            1,
		`websocket_connection_duration_seconds_count{reason="` + e.reason + `"}`:                    1,
		`websocket_disconnections_total{initiator="` + e.initiator + `",reason="` + e.reason + `"}`: 1,
	}
	for kind, n := range e.errors {
		counts[`websocket_errors_total{kind="`+kind+`"}`] = n
	}
	for result, n := range e.pings {
		counts[`websocket_pings_total{result="`+result+`"}`] = n
	}
	if n := e.pings["pong"]; n > 0 {
		counts[`websocket_ping_rtt_seconds_count{}`] = n
	}
	return counts
}

// TestEnds has connections end in every way, between real peers, and compares everything that was counted.
func TestEnds(t *testing.T) {
	type test struct {
		server handler
		client func(context.Context, *testing.T, client)
		want   end
	}
	failed := map[string]float64{"read": 1}
	readUntilEnd := func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
		defer c.Close()
		_ = readToEnd(c)
	}
	peerReads := func(ctx context.Context, _ *testing.T, c client) { _ = peerToEnd(ctx, c) }
	peerIsSilent := func(ctx context.Context, _ *testing.T, _ client) { <-ctx.Done() }
	peerCloses := func(code websocket.StatusCode) func(context.Context, *testing.T, client) {
		return func(_ context.Context, _ *testing.T, c client) { _ = c.Close(code, "as it likes") }
	}
	peerSends := func(op ws.OpCode, payload ...byte) func(context.Context, *testing.T, client) {
		return func(ctx context.Context, t *testing.T, c client) {
			c.send(t, op, true, payload)
			_ = peerToEnd(ctx, c)
		}
	}
	peerResets := func(_ context.Context, t *testing.T, c client) { c.reset(t) }
	weSend := func(code ws.StatusCode) handler {
		return func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
			defer c.Close()
			_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(code, "as we like")))
		}
	}

	tests := map[string]test{
		"peer closes, no code": {
			readUntilEnd, peerCloses(1005), end{initiator: "remote", reason: "normal", code: 1005},
		},
		"peer closes, code that nobody may send": {
			readUntilEnd, peerSends(ws.OpClose, binary.BigEndian.AppendUint16(nil, 1006)...),
			end{initiator: "local", reason: "protocol_error", code: 1002, errors: failed},
		},
		"peer closes, half a code": {
			readUntilEnd, peerSends(ws.OpClose, 3),
			end{initiator: "local", reason: "protocol_error", code: 1002, errors: failed},
		},
		"peer closes, and nobody reads why": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				if h, err := ws.ReadHeader(c); h.OpCode != ws.OpClose {
					t.Errorf("read %v, %v, want the header of a close frame", h, err)
				}
			}, peerCloses(1001), end{initiator: "remote", reason: "other", code: 1005},
		},
		"peer closes, we answer with a code of our own": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				if _, err := ws.ReadFrame(c); err != nil {
					t.Error(err)
				}
				_, _ = c.Write(ws.CompiledCloseNormalClosure)
			}, peerCloses(1001), end{initiator: "remote", reason: "going_away", code: 1001},
		},
		"we close, no code": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_, _ = c.Write(ws.CompiledClose)
			}, peerReads, end{initiator: "local", reason: "normal", code: 1005},
		},
		"we close while we read": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				var reader sync.WaitGroup
				reader.Go(func() { _ = readToEnd(c) })
				_ = c.CloseFor(instrument.ReasonNormal, 1000, "")
				reader.Wait()
			}, peerReads, end{initiator: "local", reason: "normal", code: 1000},
		},
		"we close and wait for the answer": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_, _ = c.Write(ws.CompiledCloseGoingAway)
				_ = readToEnd(c)
			}, peerReads, end{initiator: "local", reason: "going_away", code: 1001},
		},
		"we cut": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) { _ = c.Close() },
			peerReads, end{initiator: "local", reason: "normal", code: 1006},
		},
		"we cut, twice": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				_ = c.Close()
				_ = c.CloseFor(instrument.ReasonPolicy, 1008, "")
			}, peerReads, end{initiator: "local", reason: "normal", code: 1006},
		},
		"we cut while draining": {
			func(_ context.Context, o *instrument.Observer, c *gobwas.Conn) {
				o.SetDraining(true)
				_ = c.Close()
				o.SetDraining(false)
			}, peerReads, end{initiator: "local", reason: "shutdown", code: 1006},
		},
		"we close for a reason without a code": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				_ = c.CloseFor(instrument.ReasonTokenExpired, 0, "")
			}, peerReads, end{initiator: "local", reason: "token_expired", code: 1005},
		},
		"we drain": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				_ = c.CloseFor(instrument.ReasonShutdown, ws.StatusGoingAway, "")
			}, peerReads, end{initiator: "local", reason: "shutdown", code: 1001},
		},
		"we close for a slow consumer": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				_ = c.CloseFor(instrument.ReasonSlowConsumer, ws.StatusPolicyViolation, "too slow")
			}, peerReads, end{initiator: "local", reason: "slow_consumer", code: 1008},
		},
		"we close for a slow consumer, within a write": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				const size = 1 << 26 // more than the buffers on the way hold
				begin(c, ws.Header{Fin: true, OpCode: ws.OpBinary, Length: size})
				var writer sync.WaitGroup
				writer.Go(func() { _, _ = c.Write(make([]byte, size-1)) })
				_ = c.CloseFor(instrument.ReasonSlowConsumer, ws.StatusPolicyViolation, "too slow")
				writer.Wait()
			}, peerIsSilent, end{initiator: "local", reason: "slow_consumer", code: 1006},
		},
		"read given up": {
			func(ctx context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
				defer cancel()
				context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Now()) })
				_ = readToEnd(c)
			}, peerReads, end{initiator: "local", reason: "normal", code: 1006},
		},
		"read given up while draining": {
			func(_ context.Context, o *instrument.Observer, c *gobwas.Conn) {
				_ = c.SetDeadline(time.Unix(1, 0))
				_ = readToEnd(c)
				o.SetDraining(true)
				_ = c.Close()
				o.SetDraining(false)
			}, peerReads, end{initiator: "local", reason: "shutdown", code: 1006},
		},
		"nothing received in time": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				_ = readToEnd(c)
			}, peerReads, end{initiator: "local", reason: "idle_timeout", code: 1006},
		},
		"nothing received in time, and we say so": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(20 * time.Millisecond))
				_ = readToEnd(c)
				_ = c.SetDeadline(time.Time{})
				_, _ = c.Write(ws.CompiledCloseGoingAway)
			}, peerReads, end{initiator: "local", reason: "idle_timeout", code: 1001},
		},
		"nothing received in time, and we close for something else": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				_ = readToEnd(c)
				_, _ = c.Write(ws.CompiledClosePolicyViolation)
			}, peerReads, end{initiator: "local", reason: "policy", code: 1008},
		},
		"something received after all": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
				_ = readToEnd(c)
				_, _ = c.Write(ws.CompiledPing)
				_ = c.SetReadDeadline(time.Now().Add(deadline))
				_, _ = ws.ReadFrame(c)
			}, peerReads, end{initiator: "local", reason: "normal", code: 1006, pings: map[string]float64{"pong": 1}},
		},
		"peer vanishes": {
			readUntilEnd, func(_ context.Context, _ *testing.T, c client) { _ = c.tcp.Close() },
			end{initiator: "network", reason: "abnormal", code: 1006, errors: failed},
		},
		"peer resets": {
			readUntilEnd, peerResets, end{initiator: "network", reason: "abnormal", code: 1006, errors: failed},
		},
		"peer vanishes within a message": {
			readUntilEnd,
			func(_ context.Context, t *testing.T, c client) {
				if _, err := c.tcp.Write([]byte{0x81, 0xFE, 0x10}); err != nil {
					t.Error(err)
				}
				_ = c.tcp.Close()
			},
			end{initiator: "network", reason: "abnormal", code: 1006, errors: failed},
		},
		"message too big": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				r := wsutil.Reader{Source: c, State: ws.StateServerSide, MaxFrameSize: 1000}
				if _, err := r.NextFrame(); !errors.Is(err, wsutil.ErrFrameTooLarge) {
					t.Errorf("read: %v, want %v", err, wsutil.ErrFrameTooLarge)
				}
				_, _ = c.Write(ws.CompiledCloseMessageTooBig)
			}, peerSends(ws.OpBinary, make([]byte, 1001)...),
			end{initiator: "local", reason: "message_too_big", code: 1009, errors: failed},
		},
		"protocol error, reserved bits": {
			readUntilEnd,
			func(ctx context.Context, _ *testing.T, c client) {
				_, _ = c.tcp.Write([]byte{0xF1, 0x80, 0, 0, 0, 0})
				_ = peerToEnd(ctx, c)
			},
			end{initiator: "local", reason: "protocol_error", code: 1006, errors: failed},
		},
		"protocol error, not masked": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				err := readToEnd(c)
				_ = c.CloseFor(instrument.ReasonProtocolError, ws.StatusProtocolError, err.Error())
			},
			func(ctx context.Context, _ *testing.T, c client) {
				_, _ = c.tcp.Write([]byte{0x81, 0x00})
				_ = peerToEnd(ctx, c)
			},
			end{initiator: "local", reason: "protocol_error", code: 1002, errors: failed},
		},
		"protocol error, impossible length": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_ = readToEnd(c)
				_, _ = c.Write(ws.CompiledCloseProtocolError)
			},
			func(ctx context.Context, _ *testing.T, c client) {
				_, _ = c.tcp.Write([]byte{0x82, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4})
				_ = peerToEnd(ctx, c)
			},
			end{initiator: "local", reason: "protocol_error", code: 1002, errors: failed},
		},
		"protocol error, not UTF-8": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				if err := readToEnd(c); !errors.Is(err, wsutil.ErrInvalidUTF8) {
					t.Errorf("read: %v, want %v", err, wsutil.ErrInvalidUTF8)
				}
				_, _ = c.Write(ws.CompiledCloseInvalidFramePayloadData)
			}, peerSends(ws.OpText, 0xFF),
			end{initiator: "local", reason: "protocol_error", code: 1007, errors: failed},
		},
		"ping answered": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				for _, payload := range []string{"", "1", "", "2"} {
					_ = ws.WriteFrame(c, ws.NewPingFrame([]byte(payload)))
				}
				for range 4 {
					_, _ = ws.ReadFrame(c)
				}
				_, _ = c.Write(ws.CompiledCloseNormalClosure)
			}, peerReads, end{initiator: "local", reason: "normal", code: 1000, pings: map[string]float64{"pong": 4}},
		},
		"newest ping answered, and pongs without a ping": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				for _, payload := range []string{"1", "2", "3"} {
					_ = ws.WriteFrame(c, ws.NewPingFrame([]byte(payload)))
				}
				for range 3 {
					_, _ = ws.ReadFrame(c)
				}
				_, _ = c.Write(ws.CompiledCloseNormalClosure)
			},
			func(_ context.Context, t *testing.T, c client) {
				for _, payload := range []string{"", "2", "1"} {
					c.send(t, ws.OpPong, true, []byte(payload))
				}
				_, _ = c.tcp.Read(make([]byte, 100))
			},
			end{
				initiator: "local", reason: "normal", code: 1000, pings: map[string]float64{"pong": 1, "error": 1},
			},
		},
		"ping timeout, then cut": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_, _ = c.Write(ws.CompiledPing)
				_, _ = c.Write(ws.CompiledPing)
				_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				_ = readToEnd(c)
			}, peerIsSilent,
			end{
				initiator: "network", reason: "ping_timeout", code: 1006,
				errors: map[string]float64{"timeout": 1}, pings: map[string]float64{"timeout": 2},
			},
		},
		"ping timeout, and we say so": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_, _ = c.Write(ws.CompiledPing)
				_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				_ = readToEnd(c)
				_, _ = c.Write(ws.CompiledClosePolicyViolation)
			}, peerIsSilent,
			end{
				initiator: "network", reason: "ping_timeout", code: 1008,
				errors: map[string]float64{"timeout": 1}, pings: map[string]float64{"timeout": 1},
			},
		},
		"ping timeout of the application's own": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				_, _ = c.Write(ws.CompiledPing)
				_ = c.CloseFor(instrument.ReasonPingTimeout, ws.StatusPolicyViolation, "no pong")
			}, peerIsSilent,
			end{
				initiator: "local", reason: "ping_timeout", code: 1008,
				errors: map[string]float64{"timeout": 1}, pings: map[string]float64{"timeout": 1},
			},
		},
		"ping timeout, then the peer resets": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_, _ = c.Write(ws.CompiledPing)
				_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
				_ = readToEnd(c)
				_ = c.SetReadDeadline(time.Time{})
				_ = readToEnd(c)
			},
			func(ctx context.Context, t *testing.T, c client) {
				time.Sleep(200 * time.Millisecond)
				c.reset(t)
			},
			end{
				initiator: "network", reason: "ping_timeout", code: 1006,
				errors: map[string]float64{"timeout": 1}, pings: map[string]float64{"timeout": 1},
			},
		},
		"more pings than anybody waits for": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				for range 20 {
					_, _ = c.Write(ws.CompiledPing)
				}
			}, peerIsSilent,
			end{initiator: "local", reason: "normal", code: 1006, pings: map[string]float64{"timeout": 4, "error": 16}},
		},
		"ping after the end": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				_ = readToEnd(c)
				_ = c.Close()
				_, _ = c.Write(ws.CompiledPing)
			}, peerCloses(1000),
			end{initiator: "remote", reason: "normal", code: 1000, pings: map[string]float64{"error": 1}},
		},
		"write error": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				for wsutil.WriteServerText(c, []byte("hello")) == nil {
					time.Sleep(5 * time.Millisecond)
				}
			}, peerResets,
			end{initiator: "network", reason: "write_error", code: 1006, errors: map[string]float64{"write": 1}},
		},
		"write timeout": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // time enough to fill the buffers first
				writeToEnd(c)
			}, peerIsSilent,
			end{initiator: "network", reason: "write_error", code: 1006, errors: map[string]float64{"write": 1}},
		},
		"write timeout, then the peer resets": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_ = c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
				writeToEnd(c)
				_ = readToEnd(c)
			},
			func(ctx context.Context, t *testing.T, c client) {
				time.Sleep(300 * time.Millisecond)
				c.reset(t)
			},
			end{initiator: "network", reason: "write_error", code: 1006, errors: map[string]float64{"write": 1}},
		},
		"write timeout, then a write succeeds": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_ = c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
				for late := false; !late; {
					_, err := c.Write(ws.CompiledPong)
					late = err != nil
				}
				_ = c.SetWriteDeadline(time.Time{})
				_, _ = c.Write(ws.CompiledPong)
				_, _ = c.Write(ws.CompiledCloseNormalClosure)
			}, peerReads, end{initiator: "local", reason: "normal", code: 1000, errors: map[string]float64{"write": 1}},
		},
		"write given up": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				time.AfterFunc(100*time.Millisecond, func() { _ = c.SetWriteDeadline(time.Now()) })
				writeToEnd(c)
			}, peerIsSilent, end{initiator: "local", reason: "normal", code: 1006},
		},
		"write after the end": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_ = readToEnd(c)
				for range 20 {
					_ = wsutil.WriteServerText(c, []byte("late"))
				}
			}, peerResets, end{initiator: "network", reason: "abnormal", code: 1006, errors: failed},
		},
		"handler panics": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				panics(t, "boom", c, func() { _, _, _ = wsutil.ReadClientData(c); panic("boom") })
			},
			func(ctx context.Context, t *testing.T, c client) {
				ctx = context.WithoutCancel(ctx) // the server is done before the peer has read the close frame
				_ = c.Write(ctx, websocket.MessageText, []byte("go"))
				if err := peerToEnd(ctx, c); websocket.CloseStatus(err) != websocket.StatusInternalError {
					t.Errorf("the peer read %v, want close code 1011", err)
				}
			},
			end{initiator: "local", reason: "internal", code: 1011, errors: map[string]float64{"panic": 1}},
		},
		"handler panics, with a Close in a literal, too": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				panics(t, "boom", c, func() {
					defer func() { _ = c.Close() }()
					defer c.Close()
					panic("boom")
				})
			}, peerReads,
			end{initiator: "local", reason: "internal", code: 1011, errors: map[string]float64{"panic": 1}},
		},
		"handler panics within a frame": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				panics(t, "boom", c, func() {
					begin(c, ws.Header{Fin: true, OpCode: ws.OpText, Length: 10})
					panic("boom")
				})
			}, peerReads,
			end{initiator: "local", reason: "internal", code: 1006, errors: map[string]float64{"panic": 1}},
		},
		"handler panics behind a header": { // which has not been written yet
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				panics(t, "boom", c, func() {
					_ = ws.WriteHeader(c, ws.Header{Fin: true, OpCode: ws.OpText, Length: 10})
					panic("boom")
				})
			}, peerReads,
			end{initiator: "local", reason: "internal", code: 1011, errors: map[string]float64{"panic": 1}},
		},
		"handler aborts": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				panics(t, http.ErrAbortHandler, c, func() { panic(http.ErrAbortHandler) })
			}, peerReads, end{initiator: "local", reason: "abnormal", code: 1006},
		},
		"handler panics after the end": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				panics(t, "boom", c, func() {
					defer c.Close()
					_ = readToEnd(c)
					panic("boom")
				})
			}, peerCloses(1000),
			end{initiator: "remote", reason: "normal", code: 1000, errors: map[string]float64{"panic": 1}},
		},
		"closed behind our back": {
			func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				defer c.Close()
				_ = c.Unwrap().Close()
				_ = readToEnd(c)
				_ = wsutil.WriteServerText(c, nil)
			}, peerReads, end{initiator: "local", reason: "normal", code: 1006},
		},
	}
	for code, reason := range map[int]string{
		1000: "normal", 1001: "going_away", 1002: "protocol_error", 1003: "protocol_error", 1007: "protocol_error",
		1008: "policy", 1009: "message_too_big", 1010: "protocol_error", 1011: "internal", 1012: "restart",
		1013: "try_again_later", 1014: "internal", 3999: "other", 4711: "other",
	} {
		name := websocket.StatusCode(code).String()
		tests["peer closes, "+name] = test{
			readUntilEnd, peerCloses(websocket.StatusCode(code)), end{initiator: "remote", reason: reason, code: code},
		}
		want := end{initiator: "local", reason: reason, code: code}
		if reason == "protocol_error" || reason == "message_too_big" {
			want.errors = failed
		}
		tests["we close, "+name] = test{weSend(ws.StatusCode(code)), peerReads, want}
	}
	for way, serve := range ways() {
		for name, tt := range tests {
			t.Run(way+"/"+name, func(t *testing.T) {
				t.Parallel()
				s, done := newServer(t), make(chan struct{})
				serve(s, t, func(ctx context.Context, o *instrument.Observer, c *gobwas.Conn) {
					defer close(done)
					tt.server(ctx, o, c)
				})
				ctx, cancel := context.WithCancel(t.Context())
				c := dial(t, s.url)
				var peer sync.WaitGroup
				peer.Go(func() { tt.client(ctx, t, c) })
				<-done
				cancel()
				peer.Wait()
				s.ended(t, tt.want)
			})
		}
	}
}

// ended wants one connection to have ended like this.
func (s *server) ended(t *testing.T, want end) {
	t.Helper()
	s.ExpectOnly(want.counts())
	closed := s.Record("connection closed")
	type cause struct{ Initiator, Reason, Code any }
	if diff := cmp.Diff(cause{want.initiator, want.reason, float64(want.code)},
		cause{closed["initiator"], closed["reason"], closed["code"]}); diff != "" {
		t.Errorf("record `connection closed`, -want +got:\n%s", diff)
	}
	if opened := s.Record("connection opened"); opened["connection_id"] != closed["connection_id"] {
		t.Errorf("sessions differ: %v and %v", opened, closed)
	}
}

// begin writes a header and the first byte of the payload.
func begin(c *gobwas.Conn, h ws.Header) {
	_ = ws.WriteHeader(c, h)
	_, _ = c.Write(make([]byte, 1))
}

// panics runs a handler that defers Close and wants its panic to arrive unchanged, as net/http would get it.
func panics(t *testing.T, want any, c *gobwas.Conn, handle func()) {
	t.Helper()
	defer func() {
		if got := recover(); got != want {
			t.Errorf("the panic arrived as %v, want %v", got, want)
		}
	}()
	defer c.Close()
	handle()
}
