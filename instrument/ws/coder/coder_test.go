package coder_test

import (
	"context"
	"testing"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// TestEcho carries messages and compares the counts that the application's calls make.
func TestEcho(t *testing.T) {
	s := serve(t, func(ctx context.Context, o *instrument.Observer, c *coder.Conn) {
		defer c.CloseNow()
		ctx = c.Observed().Context(ctx)
		for {
			typ, p, err := c.Read(ctx)
			if err != nil {
				return
			}
			handling, m := c.Observed().BeginMessage(ctx, o.MessageType("other"), len(p), nil)
			err = c.Write(handling, typ, p)
			if err == nil {
				c.Observed().Sent(o.MessageType("other"), len(p))
			}
			m.End(err)
		}
	})
	c := dial(t, s.URL)
	for range 10 {
		if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.Read(t.Context()); err != nil || string(p) != "hello" {
			t.Fatalf("read %q, %v", p, err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	s.ExpectOnly(map[string]float64{
		`websocket_connections_total{status="connected"}`:                    1,
		`websocket_handshake_duration_seconds_count{status="connected"}`:     1,
		`websocket_connection_duration_seconds_count{reason="normal"}`:       1,
		`websocket_disconnections_total{initiator="remote",reason="normal"}`: 1,
		`websocket_messages_total{direction="receive",type="other"}`:         10,
		`websocket_messages_total{direction="transmit",type="other"}`:        10,
		`websocket_message_size_bytes_count{direction="receive"}`:            10,
		`websocket_message_size_bytes_sum{direction="receive"}`:              10 * 5,
		`websocket_message_size_bytes_count{direction="transmit"}`:           10,
		`websocket_message_size_bytes_sum{direction="transmit"}`:             10 * 5,
		`websocket_message_duration_seconds_count{type="other"}`:             10,
	})
}

// TestCountMessages has the adapter count, by a type that it is told and without one.
func TestCountMessages(t *testing.T) {
	for name, classified := range map[string]bool{"classified": true, "all other": false} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(ctx context.Context, o *instrument.Observer, c *coder.Conn) {
				defer c.CloseNow()
				if classified {
					text := o.MessageType("text")
					c.CountMessages(func(websocket.MessageType, []byte) instrument.MessageType { return text })
				} else {
					c.CountMessages(nil)
				}
				for {
					typ, p, err := c.Read(ctx)
					if err != nil || c.Write(ctx, typ, p) != nil {
						return
					}
				}
			})
			c := dial(t, s.URL)
			for range 3 {
				if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
					t.Fatal(err)
				}
				if _, _, err := c.Read(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Fatal(err)
			}
			typ := "other"
			if classified {
				typ = "text"
			}
			s.ExpectOnly(map[string]float64{
				`websocket_connections_total{status="connected"}`:                    1,
				`websocket_handshake_duration_seconds_count{status="connected"}`:     1,
				`websocket_connection_duration_seconds_count{reason="normal"}`:       1,
				`websocket_disconnections_total{initiator="remote",reason="normal"}`: 1,
				`websocket_messages_total{direction="receive",type="` + typ + `"}`:   3,
				`websocket_messages_total{direction="transmit",type="` + typ + `"}`:  3,
				`websocket_message_size_bytes_count{direction="receive"}`:            3,
				`websocket_message_size_bytes_sum{direction="receive"}`:              3 * 5,
				`websocket_message_size_bytes_count{direction="transmit"}`:           3,
				`websocket_message_size_bytes_sum{direction="transmit"}`:             3 * 5,
			})
		})
	}
}

// echoBare echoes by the transport alone.
func echoBare(c *coder.Conn) {
	ctx := context.Background()
	for {
		typ, p, err := c.Unwrap().Read(ctx)
		if err != nil {
			return
		}
		if err := c.Unwrap().Write(ctx, typ, p); err != nil {
			return
		}
	}
}

// echoCounted echoes with every message counted by the adapter.
func echoCounted(c *coder.Conn) {
	c.CountMessages(nil)
	ctx := context.Background()
	for {
		typ, p, err := c.Read(ctx)
		if err != nil || c.Write(ctx, typ, p) != nil {
			return
		}
	}
}

// echoHandled echoes as the documentation tells.
func echoHandled(c *coder.Conn) {
	connection := c.Observed()
	ctx := connection.Context(context.Background())
	for {
		typ, p, err := c.Read(ctx)
		if err != nil {
			return
		}
		err = connection.Handle(ctx, instrument.MessageType{}, len(p), nil, func(ctx context.Context) error {
			if err := c.Write(ctx, typ, p); err != nil {
				return err
			}
			connection.Sent(instrument.MessageType{}, len(p))
			return nil
		})
		if err != nil {
			return
		}
	}
}

// TestNoAllocations compares an echo through the adapter with one through the transport alone.
func TestNoAllocations(t *testing.T) {
	echo := func(t *testing.T, observer *instrument.Observer) float64 {
		s := serveObserved(t, observer, func(_ context.Context, o *instrument.Observer, c *coder.Conn) {
			defer c.CloseNow()
			if o == nil {
				echoBare(c)
			} else {
				echoHandled(c)
			}
		})
		c, ctx, payload := dial(t, s.URL), context.Background(), make([]byte, 128)
		return testing.AllocsPerRun(1000, func() {
			if err := c.Write(ctx, websocket.MessageBinary, payload); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Read(ctx); err != nil {
				t.Fatal(err)
			}
		})
	}
	o, err := instrument.New(instrument.WithSampleRatio(0))
	if err != nil {
		t.Fatal(err)
	}
	if bare, observed := echo(t, nil), echo(t, o); observed > bare {
		t.Errorf("%v allocations per echo, want the transport's %v", observed, bare)
	}
}

// TestCancelledReadCloses wants a connection that is counted as closed to be closed, even when the transport had no
// chance to notice that the context was cancelled.
func TestCancelledReadCloses(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	s := serve(t, func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		_ = readToEnd(cancelled, c)
		<-hold
	})
	c := dial(t, s.URL)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := readToEnd(ctx, c); ctx.Err() != nil {
		t.Errorf("the connection is still open: %v", err)
	}
}
