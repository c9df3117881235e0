package coder_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/turns"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// BenchmarkEcho sends 128 bytes over loopback and back: "bare" through the transport alone, "observed" with every
// message counted by the adapter, "timed" with everything counted and timed by the application.
func BenchmarkEcho(b *testing.B) {
	b.Run("bare", func(b *testing.B) { benchmark(b, observed(b, echoBare)) })
	b.Run("observed", func(b *testing.B) { benchmark(b, observed(b, echoCounted)) })
	b.Run("timed", func(b *testing.B) { benchmark(b, observed(b, echoHandled)) })
}

// BenchmarkEchoInTurns compares the adapter with the transport alone.
func BenchmarkEchoInTurns(b *testing.B) {
	for name, echo := range map[string]func(*coder.Conn){"observed": echoCounted, "timed": echoHandled} {
		b.Run(name, func(b *testing.B) {
			turns.Compare(b,
				func() func() { return dialEcho(b, observed(b, echoBare)) },
				func() func() { return dialEcho(b, observed(b, echo)) })
		})
	}
}

func benchmark(b *testing.B, handler http.HandlerFunc) {
	b.Helper()
	roundTrip := dialEcho(b, handler)
	b.SetBytes(128)
	b.ReportAllocs()
	for b.Loop() {
		roundTrip()
	}
}

// observed echoes by an adapter that is there in each case; echoBare goes around it.
func observed(b *testing.B, echoes func(*coder.Conn)) http.HandlerFunc {
	b.Helper()
	o, err := instrument.New()
	if err != nil {
		b.Fatal(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, o, nil)
		if err != nil {
			b.Error(err)
			return
		}
		defer c.CloseNow()
		echoes(c)
	}
}

// dialEcho returns a function that sends a message and waits for its echo.
func dialEcho(b *testing.B, handler http.HandlerFunc) func() {
	b.Helper()
	s := httptest.NewServer(handler)
	b.Cleanup(s.Close)
	c, _, err := websocket.Dial(b.Context(), s.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.CloseNow() })
	ctx, payload := context.Background(), make([]byte, 128)
	return func() {
		if err := c.Write(ctx, websocket.MessageBinary, payload); err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.Read(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
