package ws_test

import (
	"context"
	"net/http"
	"testing"

	coderws "github.com/coder/websocket"
	gobwasws "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws"
)

// BenchmarkEcho sends 128 bytes over loopback and back: "bare" by the server alone, "observed" behind the handler.
func BenchmarkEcho(b *testing.B) {
	for _, server := range []struct {
		name string
		http.Handler
	}{{"gorilla", echo(nil)}, {"coder", http.HandlerFunc(echoCoder)}, {"gobwas", http.HandlerFunc(echoGobwas)}} {
		for _, way := range []string{"bare", "observed"} {
			b.Run(server.name+"/"+way, func(b *testing.B) {
				h := server.Handler
				if way == "observed" {
					o, err := instrument.New()
					if err != nil {
						b.Fatal(err)
					}
					h = ws.Handler(o, h)
				}
				c, _ := dial(b, start(b, h))
				ctx, payload := context.Background(), make([]byte, 128)
				b.SetBytes(int64(len(payload)))
				b.ReportAllocs()
				for b.Loop() {
					if err := c.Write(ctx, coderws.MessageBinary, payload); err != nil {
						b.Fatal(err)
					}
					if _, _, err := c.Read(ctx); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func echoCoder(w http.ResponseWriter, r *http.Request) {
	c, err := coderws.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		typ, p, err := c.Read(context.Background())
		if err != nil || c.Write(context.Background(), typ, p) != nil {
			return
		}
	}
}

func echoGobwas(w http.ResponseWriter, r *http.Request) {
	c, _, _, err := gobwasws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		p, op, err := wsutil.ReadClientData(c)
		if err != nil || wsutil.WriteServerMessage(c, op, p) != nil {
			return
		}
	}
}
