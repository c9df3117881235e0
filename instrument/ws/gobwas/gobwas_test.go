package gobwas_test

import (
	"bufio"
	"context"
	"io"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/gobwas"
)

// TestEcho carries messages in the ways in which users of ws read and write, and compares the counts.
func TestEcho(t *testing.T) {
	echoes := map[string]func(c *gobwas.Conn) error{
		"wsutil": func(c *gobwas.Conn) error {
			for {
				p, op, err := wsutil.ReadClientData(c)
				if err != nil {
					return err
				}
				if err := wsutil.WriteServerMessage(c, op, p); err != nil {
					return err
				}
			}
		},
		"wsutil.Reader and Writer": func(c *gobwas.Conn) error {
			r, w := wsutil.NewServerSideReader(c), wsutil.NewWriterSize(c, ws.StateServerSide, 0, 10)
			handle := wsutil.ControlFrameHandler(c, ws.StateServerSide)
			for {
				h, err := r.NextFrame()
				if err != nil {
					return err
				}
				if h.OpCode.IsControl() {
					if err := handle(h, r); err != nil {
						return err
					}
					continue
				}
				w.Reset(c, ws.StateServerSide, h.OpCode)
				if _, err := io.Copy(w, r); err != nil {
					return err
				}
				if err := w.Flush(); err != nil {
					return err
				}
			}
		},
		"frames, buffered": func(c *gobwas.Conn) error {
			rw := bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c))
			for {
				h, err := ws.ReadHeader(rw)
				if err != nil {
					return err
				}
				payload := make([]byte, h.Length)
				if _, err := io.ReadFull(rw, payload); err != nil {
					return err
				}
				f := ws.UnmaskFrameInPlace(ws.Frame{Header: h, Payload: payload})
				if err := ws.WriteFrame(rw, f); err != nil {
					return err
				}
				if err := rw.Flush(); err != nil || h.OpCode == ws.OpClose {
					return err
				}
			}
		},
	}
	for way, serve := range ways() {
		for name, echo := range echoes {
			t.Run(way+"/"+name, func(t *testing.T) {
				s := newServer(t, instrument.WithMessageTypes("text", "large"))
				text, large := s.Observer.MessageType("text"), s.Observer.MessageType("large")
				serve(s, t, func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
					defer c.Close()
					c.CountMessages(func(op ws.OpCode, size int64) instrument.MessageType {
						switch {
						case size > 1000:
							return large
						case op == ws.OpText:
							return text
						}
						return instrument.MessageType{}
					})
					_ = echo(c)
				})
				c := dial(t, s.url)
				for typ, p := range map[websocket.MessageType][]byte{
					websocket.MessageText: []byte("hello, echo"), websocket.MessageBinary: {},
				} {
					for range 10 {
						c.echoes(t, typ, p)
					}
				}
				c.SetReadLimit(-1)
				c.echoes(t, websocket.MessageText, make([]byte, 70_000))
				if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
					t.Fatal(err)
				}
				want := end{initiator: "remote", reason: "normal", code: 1000}
				counts := want.counts()
				for _, direction := range []string{"receive", "transmit"} {
					for typ, n := range map[string]float64{"text": 10, "other": 10, "large": 1} {
						counts[`websocket_messages_total{direction="`+direction+`",type="`+typ+`"}`] = n
					}
					counts[`websocket_message_size_bytes_count{direction="`+direction+`"}`] = 21
					counts[`websocket_message_size_bytes_sum{direction="`+direction+`"}`] = 10*11 + 70_000
				}
				s.ExpectOnly(counts)
				if closed := s.Record("connection closed"); closed["received_bytes"] != 70_110. ||
					closed["sent_bytes"] != 70_110. {
					t.Errorf("record is %v, want 70110 bytes both ways", closed)
				}
			})
		}
	}
}

func (c client) echoes(t testing.TB, typ websocket.MessageType, p []byte) {
	t.Helper()
	if err := c.Write(t.Context(), typ, p); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.Read(t.Context()); err != nil || string(got) != string(p) {
		t.Fatalf("read %d bytes, %v, want the %d that were sent", len(got), err, len(p))
	}
}

// TestFragments receives a message in pieces with a ping between them.
func TestFragments(t *testing.T) {
	s, got := newServer(t), make(chan string, 1)
	s.serveHTTP(t, ws.HTTPUpgrader{}, func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
		defer c.Close()
		c.CountMessages(nil)
		p, _ := wsutil.ReadClientText(c)
		got <- string(p)
		_ = readToEnd(c)
	})
	c := dial(t, s.url)
	c.send(t, ws.OpText, false, []byte("one "))
	c.send(t, ws.OpContinuation, false, nil)
	c.send(t, ws.OpPing, true, []byte("still there?"))
	c.send(t, ws.OpContinuation, true, []byte("message"))
	if p := <-got; p != "one message" {
		t.Errorf("received %q", p)
	}
	_ = c.Close(websocket.StatusNormalClosure, "")
	want := end{initiator: "remote", reason: "normal", code: 1000}
	counts := want.counts()
	counts[`websocket_messages_total{direction="receive",type="other"}`] = 1
	counts[`websocket_message_size_bytes_count{direction="receive"}`] = 1
	counts[`websocket_message_size_bytes_sum{direction="receive"}`] = 11
	s.ExpectOnly(counts)
	if closed := s.Record("connection closed"); closed["received_bytes"] != 11. {
		t.Errorf("record is %v, want 11 bytes received", closed)
	}
}

// TestConcurrentWrites has one goroutine answer pings, as wsutil does within a read, while others write frames.
func TestConcurrentWrites(t *testing.T) {
	const writers, messages, pings = 4, 50, 4
	s := newServer(t)
	s.serveTCP(t, ws.Upgrader{}, func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
		defer c.Close()
		c.CountMessages(nil)
		frame := ws.MustCompileFrame(ws.NewTextFrame([]byte("hello")))
		var reader, all sync.WaitGroup
		reader.Go(func() { _ = readToEnd(c) })
		for range writers {
			all.Go(func() {
				for n := range messages {
					_, _ = c.Write(frame)
					if n < pings {
						_, _ = c.Write(ws.CompiledPing)
					}
				}
			})
		}
		all.Wait()
		_, _ = c.Write(frame) // with which the peer has read, and answered, all that came before
		reader.Wait()
	})
	c := dial(t, s.url)
	for n := range writers*messages + 1 {
		if n%writers == 0 {
			c.send(t, ws.OpPing, true, []byte{byte(n)})
		}
		if _, p, err := c.Read(t.Context()); err != nil || string(p) != "hello" {
			t.Fatalf("read %q, %v", p, err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	want := end{
		initiator: "remote", reason: "normal", code: 1000, pings: map[string]float64{"pong": writers * pings},
	}
	counts := want.counts()
	counts[`websocket_messages_total{direction="transmit",type="other"}`] = writers*messages + 1
	counts[`websocket_message_size_bytes_count{direction="transmit"}`] = writers*messages + 1
	counts[`websocket_message_size_bytes_sum{direction="transmit"}`] = 5 * (writers*messages + 1)
	s.ExpectOnly(counts)
}

// TestNoAllocations compares an echo on the observed connection with one on the connection underneath.
func TestNoAllocations(t *testing.T) {
	echo := func(t *testing.T, handle handler) float64 {
		s := newServer(t, instrument.WithSampleRatio(0))
		s.serveTCP(t, ws.Upgrader{}, handle)
		c, ctx, payload := dial(t, s.url), context.Background(), make([]byte, 128)
		return testing.AllocsPerRun(1000, func() {
			if err := c.Write(ctx, websocket.MessageBinary, payload); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Read(ctx); err != nil {
				t.Fatal(err)
			}
		})
	}
	bare := echo(t, echoBare)
	for name, handle := range map[string]handler{"counted by the adapter": echoCounted, "timed by the application": echoTimed} {
		if observed := echo(t, handle); observed > bare {
			t.Errorf("%s: %v allocations per echo, want the transport's %v", name, observed, bare)
		}
	}
}

func echoBare(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
	defer c.Close()
	bare := c.Unwrap()
	for {
		p, op, err := wsutil.ReadClientData(bare)
		if err != nil || wsutil.WriteServerMessage(bare, op, p) != nil {
			return
		}
	}
}

func echoCounted(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
	defer c.Close()
	c.CountMessages(nil)
	for {
		p, op, err := wsutil.ReadClientData(c)
		if err != nil || wsutil.WriteServerMessage(c, op, p) != nil {
			return
		}
	}
}

func echoTimed(ctx context.Context, _ *instrument.Observer, c *gobwas.Conn) {
	defer c.Close()
	connection := c.Observed()
	ctx = connection.Context(ctx)
	for {
		p, op, err := wsutil.ReadClientData(c)
		if err != nil {
			return
		}
		_ = connection.Handle(ctx, instrument.MessageType{}, len(p), nil, func(context.Context) error {
			if err := wsutil.WriteServerMessage(c, op, p); err != nil {
				return err
			}
			connection.Sent(instrument.MessageType{}, len(p))
			return nil
		})
	}
}
