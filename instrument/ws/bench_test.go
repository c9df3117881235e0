package ws_test

import (
	"context"
	"iter"
	"net/http"
	"testing"

	coderws "github.com/coder/websocket"
	gobwasws "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/turns"
	"github.com/sockscope/sockscope/instrument/ws"
)

// BenchmarkEcho sends 128 bytes over loopback and back: "bare" by the server alone, "observed" behind the handler.
func BenchmarkEcho(b *testing.B) {
	for name, server := range echoServers() {
		for _, way := range []string{"bare", "observed"} {
			b.Run(name+"/"+way, func(b *testing.B) {
				h := server
				if way == "observed" {
					h = handler(b, h)
				}
				roundTrip := dialEcho(b, h)
				b.SetBytes(128)
				b.ReportAllocs()
				for b.Loop() {
					roundTrip()
				}
			})
		}
	}
}

// BenchmarkEchoInTurns compares the same two.
func BenchmarkEchoInTurns(b *testing.B) {
	for name, server := range echoServers() {
		b.Run(name, func(b *testing.B) {
			turns.Compare(b,
				func() func() { return dialEcho(b, server) },
				func() func() { return dialEcho(b, handler(b, server)) })
		})
	}
}

// echoServers returns an echo server per library.
func echoServers() iter.Seq2[string, http.Handler] {
	return func(yield func(string, http.Handler) bool) {
		_ = yield("gorilla", echo(nil)) &&
			yield("coder", http.HandlerFunc(echoCoder)) &&
			yield("gobwas", http.HandlerFunc(echoGobwas))
	}
}

func handler(b *testing.B, next http.Handler) http.Handler {
	b.Helper()
	o, err := instrument.New()
	if err != nil {
		b.Fatal(err)
	}
	return ws.Handler(o, next)
}

// dialEcho returns a function that sends a message and waits for its echo.
func dialEcho(b *testing.B, h http.Handler) func() {
	b.Helper()
	c, _ := dial(b, start(b, h))
	ctx, payload := context.Background(), make([]byte, 128)
	return func() {
		if err := c.Write(ctx, coderws.MessageBinary, payload); err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.Read(ctx); err != nil {
			b.Fatal(err)
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
