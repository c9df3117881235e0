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

// BenchmarkEcho sends 128 bytes over loopback and back: "bare" through the transport alone, "observed" with every
// message counted by the adapter, "timed" with everything counted and timed by the application.
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
	for name, echoes := range map[string]func(*coder.Conn){"observed": echoCounted, "timed": echoHandled} {
		b.Run(name, func(b *testing.B) {
			o, err := instrument.New()
			if err != nil {
				b.Fatal(err)
			}
			echo(b, func(w http.ResponseWriter, r *http.Request) {
				c, err := coder.Accept(w, r, o, nil)
				if err != nil {
					b.Error(err)
					return
				}
				defer c.CloseNow()
				echoes(c)
			})
		})
	}
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
