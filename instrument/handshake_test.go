package instrument_test

import (
	"net/http"
	"testing"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// TestOneHandshakePerRequest has several handlers and adapters begin or continue the handshake of one request.
func TestOneHandshakePerRequest(t *testing.T) {
	r, other := realtimetest.New(t), realtimetest.New(t)
	ctx, h := r.Observer.BeginHandshake(t.Context(), instrument.Request{})
	if h.Taken() {
		t.Error("the handshake is taken before anybody has asked for it")
	}
	if _, foreign := other.Observer.BeginHandshake(ctx, instrument.Request{}); foreign == h || h.Taken() {
		t.Error("another observer has got the handshake")
	}
	again, same := r.Observer.BeginHandshake(ctx, instrument.Request{})
	if again != ctx || same != h || !h.Taken() {
		t.Errorf("the second beginning returns %p, want %p, which is then taken", same, h)
	}
	if got := r.Observer.HandshakeFromContext(ctx); got != h {
		t.Errorf("the context has %p, want %p", got, h)
	}
	if h.Opened(http.StatusSwitchingProtocols) == nil || same.Opened(http.StatusSwitchingProtocols) != nil {
		t.Error("the handshake does not open one connection")
	}
	if _, next := r.Observer.BeginHandshake(ctx, instrument.Request{}); next == h || next.Taken() {
		t.Error("a handshake that has ended is continued")
	}
	r.Expect(map[string]float64{`websocket_connections_total{status="connected"}`: 1})
	var none *instrument.Handshake
	if none.Taken() {
		t.Error("no handshake is taken")
	}
}
