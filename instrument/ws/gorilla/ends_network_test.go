package gorilla_test

import (
	"io"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
)

// writeToEnd writes until a write fails.
func writeToEnd(c *gorilla.Conn) {
	for payload := make([]byte, 1<<20); c.WriteMessage(websocket.BinaryMessage, payload) == nil; {
	}
}

// stuck writes control frames until one has waited in vain for a write that the peer does not let end.
func stuck(c *gorilla.Conn) {
	for c.WriteControl(websocket.PongMessage, nil, time.Now().Add(100*time.Millisecond)) == nil {
		time.Sleep(time.Millisecond)
	}
}

func networkEnds() map[string]endTest {
	broken := end{initiator: "network", reason: "abnormal", code: 1006, errors: map[string]float64{"read": 1}}
	unwritable := end{initiator: "network", reason: "write_error", code: 1006, errors: map[string]float64{"write": 1}}
	return map[string]endTest{
		"peer vanishes within a message": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				defer c.Close()
				var v any
				_ = c.ReadJSON(&v)
			},
			func(t *testing.T, c *websocket.Conn, _ <-chan struct{}) {
				_, _ = c.NetConn().Write([]byte{0x81, 0x85, 0, 0, 0, 0, '{'})
				_ = c.Close()
			}, broken,
		},
		"write error": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				defer c.Close()
				for c.WriteMessage(websocket.TextMessage, []byte("hello")) == nil {
					time.Sleep(5 * time.Millisecond)
				}
				_ = c.WriteMessage(websocket.TextMessage, []byte("again"))
			},
			func(t *testing.T, c *websocket.Conn, _ <-chan struct{}) { reset(t, c) }, unwritable,
		},
		"write timeout": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				defer c.Close()
				_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // time enough to fill the buffers first
				writeToEnd(c)
			}, peerIsSilent, unwritable,
		},
		"write timeout, then a close frame": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				defer c.Close()
				_ = c.SetWriteDeadline(time.Now().Add(time.Second))
				writeToEnd(c)
				_ = closeFrame(c, 1001)
			}, peerIsSilent, unwritable,
		},
		"control frame that waits for a write in vain": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				var writing sync.WaitGroup
				writing.Go(func() { writeToEnd(c) })
				stuck(c)
				_ = c.Close()
				writing.Wait()
			}, peerIsSilent, unwritable,
		},
		"write timeout of a writer": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				defer c.Close()
				_ = c.SetWriteDeadline(time.Now().Add(time.Second))
				w, err := c.NextWriter(websocket.BinaryMessage)
				for payload := make([]byte, 1<<20); err == nil; {
					_, err = w.Write(payload)
				}
				_ = w.Close()
			}, peerIsSilent, unwritable,
		},
		"write after the end": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				readUntilEnd(o, c)
				_ = c.WriteMessage(websocket.TextMessage, []byte("late"))
			}, func(t *testing.T, c *websocket.Conn, _ <-chan struct{}) { reset(t, c) }, broken,
		},
	}
}

func protocolEnds() map[string]endTest {
	violation := end{initiator: "local", reason: "protocol_error", code: 1002, errors: map[string]float64{"read": 1}}
	return map[string]endTest{
		"message too big": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				c.SetReadLimit(100)
				readUntilEnd(o, c)
			},
			func(_ *testing.T, c *websocket.Conn, _ <-chan struct{}) {
				_ = c.WriteMessage(websocket.BinaryMessage, make([]byte, 101))
				_ = readToEnd(c)
			},
			end{initiator: "local", reason: "message_too_big", code: 1009, errors: map[string]float64{"read": 1}},
		},
		"reserved bits":    {readUntilEnd, peerSends(0xF1, 0x80, 0, 0, 0, 0), violation},
		"not masked":       {readUntilEnd, peerSends(0x81, 0x01, 'x'), violation},
		"unknown opcode":   {readUntilEnd, peerSends(0x83, 0x80, 0, 0, 0, 0), violation},
		"endless ping":     {readUntilEnd, peerSends(0x09, 0x80, 0, 0, 0, 0), violation},
		"bad close code":   {readUntilEnd, peerSends(0x88, 0x82, 0, 0, 0, 0, 0, 7), violation},
		"odd continuation": {readUntilEnd, peerSends(0x80, 0x80, 0, 0, 0, 0), violation},
	}
}

func pingEnds() map[string]endTest {
	ping := func(c *gorilla.Conn) { _ = c.WriteMessage(websocket.PingMessage, nil) }
	return map[string]endTest{
		"pings answered": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				pongs := 0
				c.SetPongHandler(func(string) error {
					if pongs++; pongs < 3 {
						return c.WriteControl(websocket.PingMessage, []byte("again"), time.Now().Add(deadline))
					}
					return closeFrame(c, 1000)
				})
				ping(c)
				readUntilEnd(o, c)
			}, peerReads, end{initiator: "local", reason: "normal", code: 1000, pings: map[string]float64{"pong": 3}},
		},
		"ping timeout": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				ping(c)
				_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				readUntilEnd(o, c)
			}, peerIsSilent,
			end{
				initiator: "network", reason: "ping_timeout", code: 1006,
				errors: map[string]float64{"timeout": 1}, pings: map[string]float64{"timeout": 1},
			},
		},
		"ping after a close frame": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				_ = closeFrame(c, 1000)
				ping(c) // is not sent
				readUntilEnd(o, c)
			}, peerReads, end{initiator: "local", reason: "normal", code: 1000},
		},
		"unanswered ping, but the peer closes": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				ping(c)
				readUntilEnd(o, c)
			},
			func(t *testing.T, c *websocket.Conn, _ <-chan struct{}) {
				c.SetPingHandler(func(string) error { return nil })
				peerCloses(1000)(t, c, nil)
			}, end{initiator: "remote", reason: "normal", code: 1000, pings: map[string]float64{"error": 1}},
		},
		"not every ping answered": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				for _, payload := range []string{"1", "2", "3"} {
					_ = c.WriteMessage(websocket.PingMessage, []byte(payload))
				}
				readUntilEnd(o, c)
			},
			func(t *testing.T, c *websocket.Conn, _ <-chan struct{}) {
				c.SetPingHandler(func(payload string) error {
					switch payload {
					case "2":
						return c.WriteControl(websocket.PongMessage, []byte(payload), time.Now().Add(deadline))
					case "3":
						return closeFrame(c, 1000)
					}
					return nil
				})
				_ = readToEnd(c)
			}, end{initiator: "remote", reason: "normal", code: 1000, pings: map[string]float64{"pong": 1, "error": 1}},
		},
		"ping timeout within a message": {
			func(_ *instrument.Observer, c *gorilla.Conn) {
				defer c.Close()
				if _, r, err := c.NextReader(); err == nil {
					ping(c)
					ping(c)
					_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
					_, _ = io.ReadAll(r)
				}
			},
			func(t *testing.T, c *websocket.Conn, done <-chan struct{}) {
				_, _ = c.NetConn().Write([]byte{0x81, 0x85, 0, 0, 0, 0, 'h'})
				<-done
			},
			end{
				initiator: "network", reason: "ping_timeout", code: 1006,
				errors: map[string]float64{"timeout": 1}, pings: map[string]float64{"timeout": 2},
			},
		},
		"pings without end": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				for range 100 {
					ping(c)
				}
				_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				readUntilEnd(o, c)
			}, peerIsSilent,
			end{
				initiator: "network", reason: "ping_timeout", code: 1006,
				errors: map[string]float64{"timeout": 1}, pings: map[string]float64{"timeout": 100},
			},
		},
		"pong, then silence": {
			func(o *instrument.Observer, c *gorilla.Conn) {
				c.SetPongHandler(func(string) error { return c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) })
				ping(c)
				readUntilEnd(o, c)
			}, peerReads, end{initiator: "local", reason: "idle_timeout", code: 1006, pings: map[string]float64{"pong": 1}},
		},
		"pong that nobody asked for": {
			readUntilEnd,
			func(t *testing.T, c *websocket.Conn, _ <-chan struct{}) {
				_ = c.WriteControl(websocket.PongMessage, nil, time.Now().Add(deadline))
				peerCloses(1000)(t, c, nil)
			}, end{initiator: "remote", reason: "normal", code: 1000},
		},
	}
}
