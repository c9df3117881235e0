package coder_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// BenchmarkEcho sends 128 bytes over loopback and back: "bare" through the transport alone, "observed" with everything
// counted and timed.
func BenchmarkEcho(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		echo(b, func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.CloseNow()
			ctx := context.Background()
			for {
				typ, p, err := c.Read(ctx)
				if err != nil || c.Write(ctx, typ, p) != nil {
					return
				}
			}
		})
	})
	b.Run("observed", func(b *testing.B) {
		o, err := instrument.New(instrument.WithMessageTypes("text"))
		if err != nil {
			b.Fatal(err)
		}
		text := o.MessageType("text")
		echo(b, func(w http.ResponseWriter, r *http.Request) {
			c, err := coder.Accept(w, r, o, nil)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.CloseNow()
			connection := c.Observed()
			ctx := connection.Context(context.Background())
			for {
				typ, p, err := c.Read(ctx)
				if err != nil {
					return
				}
				_ = connection.Handle(ctx, text, len(p), nil, func(ctx context.Context) error {
					if err := c.Write(ctx, typ, p); err != nil {
						return err
					}
					connection.Sent(text, len(p))
					return nil
				})
			}
		})
	})
}

func echo(b *testing.B, handler http.HandlerFunc) {
	s := httptest.NewServer(handler)
	defer s.Close()
	c, _, err := websocket.Dial(b.Context(), s.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer c.CloseNow()
	ctx, payload := context.Background(), make([]byte, 128)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Write(ctx, websocket.MessageBinary, payload); err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.Read(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
