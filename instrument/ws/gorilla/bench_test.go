package gorilla_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/turns"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
)

// BenchmarkEcho sends 128 bytes over loopback and back: "bare" through the transport alone, "observed" with every
// message counted by the adapter, "timed" with everything counted and timed by the application.
func BenchmarkEcho(b *testing.B) {
	b.Run("bare", func(b *testing.B) { benchmark(b, nil, nil) })
	b.Run("observed", func(b *testing.B) { benchmark(b, observer(b), echoesCounted) })
	b.Run("timed", func(b *testing.B) { benchmark(b, observer(b), echoesHandled) })
}

// BenchmarkEchoInTurns compares the adapter with the transport alone.
func BenchmarkEchoInTurns(b *testing.B) {
	for name, echoes := range map[string]func(*gorilla.Conn){"observed": echoesCounted, "timed": echoesHandled} {
		b.Run(name, func(b *testing.B) {
			turns.Compare(b,
				func() func() { return dialEcho(b, nil, nil) },
				func() func() { return dialEcho(b, observer(b), echoes) })
		})
	}
}

func benchmark(b *testing.B, o *instrument.Observer, echoes func(*gorilla.Conn)) {
	roundTrip := dialEcho(b, o, echoes)
	b.SetBytes(128)
	b.ReportAllocs()
	for b.Loop() {
		roundTrip()
	}
}

// TestNoAllocations compares echoes through the adapter with one through the transport alone.
func TestNoAllocations(t *testing.T) {
	bare := testing.AllocsPerRun(1000, dialEcho(t, nil, nil))
	for name, echoes := range map[string]func(*gorilla.Conn){"counted": echoesCounted, "handled": echoesHandled} {
		if observed := testing.AllocsPerRun(1000, dialEcho(t, observer(t), echoes)); observed > bare {
			t.Errorf("%s: %v allocations per echo, want the transport's %v", name, observed, bare)
		}
	}
}

func observer(t testing.TB) *instrument.Observer {
	t.Helper()
	o, err := instrument.New(instrument.WithSampleRatio(0))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// dialEcho returns a function that sends a message and waits for its echo.
func dialEcho(t testing.TB, o *instrument.Observer, echoes func(*gorilla.Conn)) func() {
	t.Helper()
	s := httptest.NewServer(echoServer(t, o, echoes))
	t.Cleanup(s.Close)
	c, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = c.Close() })
	payload := make([]byte, 128)
	return func() {
		if err := c.WriteMessage(websocket.BinaryMessage, payload); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
}
