package gobwas_test

import (
	"context"
	"testing"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/turns"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/ws/gobwas"
)

// BenchmarkEcho sends 128 bytes over loopback and back: "bare" through ws alone, "observed" with every message counted
// by the adapter, "timed" with everything counted and timed by the application.
func BenchmarkEcho(b *testing.B) {
	for _, way := range []struct {
		name string
		echo handler
	}{{"bare", echoBare}, {"observed", echoCounted}, {"timed", echoTimed}} {
		b.Run(way.name, func(b *testing.B) {
			roundTrip := dialEcho(b, way.echo)
			b.SetBytes(128)
			b.ReportAllocs()
			for b.Loop() {
				roundTrip()
			}
		})
	}
}

// BenchmarkEchoInTurns compares the adapter with the transport alone.
func BenchmarkEchoInTurns(b *testing.B) {
	for name, echo := range map[string]handler{"observed": echoCounted, "timed": echoTimed} {
		b.Run(name, func(b *testing.B) {
			turns.Compare(b,
				func() func() { return dialEcho(b, echoBare) },
				func() func() { return dialEcho(b, echo) })
		})
	}
}

// dialEcho returns a function that sends a message and waits for its echo.
func dialEcho(b *testing.B, echo handler) func() {
	b.Helper()
	o, err := instrument.New()
	if err != nil {
		b.Fatal(err)
	}
	s := &server{Recorder: &realtimetest.Recorder{Observer: o}}
	s.serveTCP(b, ws.Upgrader{}, func(_ context.Context, o *instrument.Observer, c *gobwas.Conn) {
		echo(context.Background(), o, c) // as long as it takes
	})
	c, ctx, payload := dial(b, s.url), context.Background(), make([]byte, 128)
	b.Cleanup(func() { _ = c.CloseNow() })
	return func() {
		if err := c.Write(ctx, websocket.MessageBinary, payload); err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.Read(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
