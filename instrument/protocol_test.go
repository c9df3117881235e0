package instrument_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/instrument"
)

// TestNetworkProtocol looks at what handshake spans of each protocol say that the network protocol is.
func TestNetworkProtocol(t *testing.T) {
	for protocol, want := range map[string]string{
		"websocket": "websocket", "sse": "http", "grpc_stream": "grpc", "grpc": "grpc", "socketio": "socketio",
	} {
		s := recordSpans()
		o := newObserver(t, s.option(), instrument.WithProtocol(protocol), instrument.WithMetricPrefix("prefix"))
		_, h := o.BeginHandshake(t.Context(), instrument.Request{})
		h.Refused(instrument.StatusError, 0, nil)
		if got := s.ended(t)[0].Attributes["network.protocol.name"]; got != want {
			t.Errorf("the network protocol of %s is %v, want %s", protocol, got, want)
		}
	}
}

// TestExpectProtocol gives adapters observers of their own protocol, of another adapter's, and of one that the
// application has invented.
func TestExpectProtocol(t *testing.T) {
	for _, tt := range []struct {
		observer, adapter string
		want              int // warnings
	}{
		{"websocket", "websocket", 0},
		{"websocket", "sse", 1},
		{"sse", "websocket", 1},
		{"grpc", "websocket", 1},
		{"grpc_stream", "sse", 1},
		{"socketio", "websocket", 0},
	} {
		t.Run(tt.observer+" for "+tt.adapter, func(t *testing.T) {
			var out bytes.Buffer
			o := newObserver(t, instrument.WithProtocol(tt.observer), instrument.WithLogger(jsonLogger(&out)))
			o.ExpectProtocol(tt.adapter)
			o.ExpectProtocol(tt.adapter)
			if got := strings.Count(out.String(), "instrumentation misused"); got != tt.want {
				t.Errorf("%d warnings, want %d:\n%s", got, tt.want, &out)
			}
		})
	}
	var none *instrument.Observer
	none.ExpectProtocol("sse")
	new(instrument.Observer).ExpectProtocol("sse")
}
