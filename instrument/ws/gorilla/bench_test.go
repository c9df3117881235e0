package gorilla_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// BenchmarkEcho sends 128 bytes over loopback and back: "bare" through the transport alone, "observed" with every
// message counted and timed.
func BenchmarkEcho(b *testing.B) {
	b.Run("bare", func(b *testing.B) { benchmark(b, nil) })
	b.Run("observed", func(b *testing.B) { benchmark(b, observer(b)) })
}

func benchmark(b *testing.B, o *instrument.Observer) {
	roundTrip := dialEcho(b, o)
	b.SetBytes(128)
	b.ReportAllocs()
	for b.Loop() {
		roundTrip()
	}
}

// TestNoAllocations compares an echo through the adapter with one through the transport alone.
func TestNoAllocations(t *testing.T) {
	bare := testing.AllocsPerRun(1000, dialEcho(t, nil))
	observed := testing.AllocsPerRun(1000, dialEcho(t, observer(t)))
	if observed > bare {
		t.Errorf("%v allocations per echo, want the transport's %v", observed, bare)
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
func dialEcho(t testing.TB, o *instrument.Observer) func() {
	t.Helper()
	s := httptest.NewServer(echoServer(t, o))
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
