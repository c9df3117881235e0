package coder_test

import (
	"context"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// TestEcho carries messages and compares the counts that the application's calls make.
func TestEcho(t *testing.T) {
	s := serve(t, func(ctx context.Context, o *instrument.Observer, c *coder.Conn) {
		defer c.CloseNow()
		ctx = c.Session().Context(ctx)
		for {
			typ, p, err := c.Read(ctx)
			if err != nil {
				return
			}
			handling, m := c.Session().Receive(ctx, o.MessageType("other"), len(p), nil)
			err = c.Write(handling, typ, p)
			if err == nil {
				c.Session().Sent(o.MessageType("other"), len(p))
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
	want := map[string]float64{
		"connections_total{status=connected}":                  1,
		"handshake_duration_seconds{status=connected}":         1,
		"connection_duration_seconds{reason=normal}":           1,
		"disconnections_total{initiator=remote,reason=normal}": 1,
		"messages_total{direction=receive,type=other}":         10,
		"messages_total{direction=transmit,type=other}":        10,
		"message_size_bytes{direction=receive}":                10,
		"message_size_bytes{direction=transmit}":               10,
		"message_duration_seconds{type=other}":                 10,
	}
	eventually(t, want, func() map[string]float64 {
		got := counts(t, s.observer)
		for k := range got { // sampled or not is left to chance here
			if strings.HasPrefix(k, "instrument_spans_suppressed_total") {
				delete(got, k)
			}
		}
		return got
	})
}

// TestCountMessages has the adapter count, by a type that it is told and without one.
func TestCountMessages(t *testing.T) {
	for name, classified := range map[string]bool{"classified": true, "all other": false} {
		t.Run(name, func(t *testing.T) {
			o, err := instrument.New(instrument.WithMessageTypes("text"))
			if err != nil {
				t.Fatal(err)
			}
			text, typ := o.MessageType("text"), "other"
			var classify func(websocket.MessageType, []byte) instrument.MessageType
			if classified {
				typ = "text"
				classify = func(websocket.MessageType, []byte) instrument.MessageType { return text }
			}
			s := serveObserved(t, o, func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				defer c.CloseNow()
				c.CountMessages(classify)
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
			eventually(t, map[string]float64{
				"connections_total{status=connected}":                  1,
				"handshake_duration_seconds{status=connected}":         1,
				"connection_duration_seconds{reason=normal}":           1,
				"disconnections_total{initiator=remote,reason=normal}": 1,
				"messages_total{direction=receive,type=" + typ + "}":   3,
				"messages_total{direction=transmit,type=" + typ + "}":  3,
				"message_size_bytes{direction=receive}":                3,
				"message_size_bytes{direction=transmit}":               3,
			}, func() map[string]float64 { return counts(t, o) })
		})
	}
}

// TestNoAllocations compares an echo through the adapter with one through the transport alone.
func TestNoAllocations(t *testing.T) {
	echo := func(t *testing.T, observer *instrument.Observer) float64 {
		s := serveObserved(t, observer, func(_ context.Context, o *instrument.Observer, c *coder.Conn) {
			defer c.CloseNow()
			for {
				typ, p, err := c.Read(context.Background())
				if err != nil {
					return
				}
				if o == nil {
					err = c.Unwrap().Write(context.Background(), typ, p)
				} else {
					handling, m := c.Session().Receive(context.Background(), instrument.MessageType{}, len(p), nil)
					err = c.Write(handling, typ, p)
					c.Session().Sent(instrument.MessageType{}, len(p))
					m.End(err)
				}
				if err != nil {
					return
				}
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
