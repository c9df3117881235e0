package gorilla_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
)

type end struct {
	initiator, reason string
	code              int
	errors, pings     map[string]float64
}

type endTest struct {
	server func(*instrument.Observer, *gorilla.Conn)
	client func(t *testing.T, c *websocket.Conn, serverDone <-chan struct{})
	want   end
}

func readUntilEnd(_ *instrument.Observer, c *gorilla.Conn) {
	defer c.Close()
	_ = readToEnd(c)
}

func peerReads(_ *testing.T, c *websocket.Conn, _ <-chan struct{}) { _ = readToEnd(c) }

func peerIsSilent(_ *testing.T, _ *websocket.Conn, done <-chan struct{}) { <-done }

func peerCloses(code int) func(*testing.T, *websocket.Conn, <-chan struct{}) {
	return func(t *testing.T, c *websocket.Conn, _ <-chan struct{}) {
		if err := closeFrame(c, code); err != nil {
			t.Errorf("close by the peer: %v", err)
		}
		if err := readToEnd(c); !websocket.IsCloseError(err, code) {
			t.Errorf("the peer's close frame was answered by %v", err)
		}
	}
}

func peerSends(frame ...byte) func(*testing.T, *websocket.Conn, <-chan struct{}) {
	return func(t *testing.T, c *websocket.Conn, _ <-chan struct{}) {
		if _, err := c.NetConn().Write(frame); err != nil {
			t.Error(err)
		}
		_ = readToEnd(c)
	}
}

// weClose writes the close frame, waits for the answer and closes.
func weClose(code int) func(*instrument.Observer, *gorilla.Conn) {
	return func(_ *instrument.Observer, c *gorilla.Conn) {
		defer c.Close()
		_ = c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""))
		_ = readToEnd(c)
	}
}

// TestEnds has connections end in every way, between real peers, and compares everything that was counted.
func TestEnds(t *testing.T) {
	tests := map[string]endTest{}
	for code, reason := range map[int]string{
		1000: "normal", 1001: "going_away", 1002: "protocol_error", 1003: "protocol_error", 1005: "normal",
		1007: "protocol_error", 1008: "policy", 1009: "message_too_big", 1010: "protocol_error", 1011: "internal",
		1012: "restart", 1013: "try_again_later", 4711: "other",
	} {
		remote := end{initiator: "remote", reason: reason, code: code}
		local := end{initiator: "local", reason: reason, code: code}
		tests[fmt.Sprint("peer closes, ", code)] = endTest{readUntilEnd, peerCloses(code), remote}
		tests[fmt.Sprint("we close, ", code)] = endTest{weClose(code), peerReads, local}
	}
	for _, more := range []map[string]endTest{localEnds(), networkEnds(), protocolEnds(), pingEnds()} {
		for name, tt := range more {
			tests[name] = tt
		}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.run(t)
		})
	}
}

func (tt endTest) run(t *testing.T) {
	done := make(chan struct{})
	s := serve(t, func(o *instrument.Observer, c *gorilla.Conn) {
		defer close(done)
		tt.server(o, c)
	})
	c := dial(t, s.URL)
	var peer sync.WaitGroup
	peer.Go(func() { tt.client(t, c, done) })
	<-done
	_ = c.NetConn().SetReadDeadline(time.Now().Add(deadline))
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
}

func localEnds() map[string]endTest {
	return map[string]endTest{
		"we close without waiting": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				_ = closeFrame(c, 1001)
				_ = c.Close()
			}, peerReads, end{initiator: "local", reason: "going_away", code: 1001},
		},
		"we close by a writer": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				if w, err := c.NextWriter(websocket.CloseMessage); err == nil {
					_, _ = w.Write(websocket.FormatCloseMessage(1012, ""))
					_ = w.Close()
				}
				readUntilEnd(o, c)
			}, peerReads, end{initiator: "local", reason: "restart", code: 1012},
		},
		"we cut while we read": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = readToEnd(c)
				}()
				_ = c.Close()
				<-done
			}, peerReads, end{initiator: "local", reason: "normal", code: 1006},
		},
		"we cut while draining": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				o.SetDraining(true)
				_ = c.Close()
				o.SetDraining(false)
			}, peerReads, end{initiator: "local", reason: "shutdown", code: 1006},
		},
		"we drain": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				_ = c.CloseFor(instrument.ReasonShutdown, 1001, "")
			}, peerReads, end{initiator: "local", reason: "shutdown", code: 1001},
		},
		"context cancelled": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				ctx, cancel := context.WithCancel(context.Background())
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				time.AfterFunc(10*time.Millisecond, cancel)
				_ = readToEnd(c)
			}, peerReads, end{initiator: "local", reason: "normal", code: 1006},
		},
		"we close by a prepared message": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				frame := websocket.FormatCloseMessage(1012, "")
				if pm, err := websocket.NewPreparedMessage(websocket.CloseMessage, frame); err == nil {
					_ = c.WritePreparedMessage(pm)
				}
				readUntilEnd(o, c)
			}, peerReads, end{initiator: "local", reason: "restart", code: 1012},
		},
		"we close after the peer": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				_ = readToEnd(c)
				_ = closeFrame(c, 1012)
				_ = c.CloseFor(instrument.ReasonShutdown, 1001, "")
			}, peerCloses(1000), end{initiator: "remote", reason: "normal", code: 1000},
		},
		"close frame that cannot be": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				_ = c.WriteMessage(websocket.CloseMessage, make([]byte, 200))
				readUntilEnd(o, c)
			}, peerCloses(1001), end{initiator: "remote", reason: "going_away", code: 1001},
		},
		"close handler fails": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				c.SetCloseHandler(func(int, string) error { return errors.New("not like this") })
				readUntilEnd(o, c)
			},
			func(_ *testing.T, c *websocket.Conn, _ <-chan struct{}) {
				_ = closeFrame(c, 1001)
				_ = readToEnd(c)
			}, end{initiator: "remote", reason: "going_away", code: 1001},
		},
		"close handler of the transport": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				c.Unwrap().SetCloseHandler(nil)
				readUntilEnd(o, c)
			}, peerCloses(1001), end{initiator: "remote", reason: "going_away", code: 1001},
		},
		"we close for a consumer that does not read": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				var writing sync.WaitGroup
				writing.Go(func() { writeToEnd(c) })
				stuck(c)
				_ = c.CloseFor(instrument.ReasonSlowConsumer, 1008, "too slow")
				writing.Wait()
			}, peerIsSilent,
			end{initiator: "local", reason: "slow_consumer", code: 1006, errors: map[string]float64{"write": 1}},
		},
		"closed behind our back": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				_ = c.Unwrap().Close()
				readUntilEnd(o, c)
			}, peerReads, end{initiator: "local", reason: "normal", code: 1006},
		},
		"read given up": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				time.AfterFunc(10*time.Millisecond, func() { _ = c.SetReadDeadline(time.Now()) })
				readUntilEnd(o, c)
			}, peerReads, end{initiator: "local", reason: "normal", code: 1006},
		},
		"read given up while draining": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				_ = c.SetReadDeadline(time.Now().Add(deadline))
				_ = c.WriteMessage(websocket.PingMessage, nil)
				o.SetDraining(true)
				_ = c.SetReadDeadline(time.Unix(1, 0))
				_ = c.SetReadDeadline(time.Now())
				readUntilEnd(o, c)
				o.SetDraining(false)
			}, peerIsSilent, end{initiator: "local", reason: "shutdown", code: 1006, pings: map[string]float64{"error": 1}},
		},
		"read given up within a message": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				defer c.Close()
				time.AfterFunc(10*time.Millisecond, func() { _ = c.SetReadDeadline(time.Now()) })
				var v any
				_ = c.ReadJSON(&v)
			},
			func(t *testing.T, c *websocket.Conn, _ <-chan struct{}) {
				peerSends(0x81, 0x85, 0, 0, 0, 0, '{')(t, c, nil)
			},
			end{initiator: "local", reason: "normal", code: 1006},
		},
		"read given up, and we say why": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				_ = c.SetReadDeadline(time.Now())
				_ = readToEnd(c)
				_ = c.CloseFor(instrument.ReasonTokenExpired, 4001, "")
			}, peerReads, end{initiator: "local", reason: "token_expired", code: 4001},
		},
		"read given up, then a close frame": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				defer c.Close()
				_ = c.SetReadDeadline(time.Now())
				_ = readToEnd(c)
				_ = closeFrame(c, 1001)
			}, peerReads, end{initiator: "local", reason: "going_away", code: 1001},
		},
		"read given up after a close frame": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				_ = closeFrame(c, 1012)
				_ = c.SetReadDeadline(time.Now())
				readUntilEnd(o, c)
			}, peerReads, end{initiator: "local", reason: "restart", code: 1012},
		},
		"nothing received in time, and then the deadline is set to another time of the past": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
				time.Sleep(10 * time.Millisecond)
				_ = c.SetReadDeadline(time.Now().Add(-time.Millisecond))
				readUntilEnd(o, c)
			}, peerIsSilent, end{initiator: "local", reason: "idle_timeout", code: 1006},
		},
		"nothing received in time after all": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				_ = c.SetReadDeadline(time.Now())
				_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				readUntilEnd(o, c)
			}, peerIsSilent, end{initiator: "local", reason: "idle_timeout", code: 1006},
		},
		"handler fails": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				c.SetPingHandler(func(string) error { return errors.New("enough of it") })
				readUntilEnd(o, c)
			}, peerSends(0x89, 0x80, 0, 0, 0, 0), end{initiator: "local", reason: "normal", code: 1006},
		},
		"handler panics": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				defer c.Close()
				panic("mistake")
			},
			func(t *testing.T, c *websocket.Conn, _ <-chan struct{}) {
				if err := readToEnd(c); !websocket.IsCloseError(err, 1011) {
					t.Errorf("the peer got %v, want close code 1011", err)
				}
			},
			end{initiator: "local", reason: "internal", code: 1011, errors: map[string]float64{"panic": 1}},
		},
		"handler panics through two": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				defer c.Close()
				func() {
					defer c.Close()
					panic("mistake")
				}()
			}, peerReads, end{initiator: "local", reason: "internal", code: 1011, errors: map[string]float64{"panic": 1}},
		},
		"handler panics, with a Close in a literal, too": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				defer func() { _ = c.Close() }()
				defer c.Close()
				panic("mistake")
			}, peerReads, end{initiator: "local", reason: "internal", code: 1011, errors: map[string]float64{"panic": 1}},
		},
		"handler panics after the end": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				defer c.Close()
				_ = readToEnd(c)
				panic("mistake")
			}, peerCloses(1000), end{initiator: "remote", reason: "normal", code: 1000, errors: map[string]float64{"panic": 1}},
		},
	}
}
