package carrier_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/carrier"
)

// A message of usual size in each format: a JSON object without and with trace context, a call with it.
const (
	plainChat = `{"type":"message","timestamp":"2026-01-02T15:04:05Z",` +
		`"messageId":"6f1c2a80-5d1e-4b6c-9a43-0f2f6a1b7c55",` +
		`"payload":{"room":"lobby","text":"She said \"hi\" to everyone in the room."}}`
	tracedChat = `{"traceparent":"` + parent + `","tracestate":"` + state + `","type":"message",` +
		`"timestamp":"2026-01-02T15:04:05Z","messageId":"6f1c2a80-5d1e-4b6c-9a43-0f2f6a1b7c55",` +
		`"payload":{"room":"lobby","text":"She said \"hi\" to everyone in the room."}}`
	tracedCall = `{"jsonrpc":"2.0","id":7,"method":"message",` +
		`"params":{"_meta":{"traceparent":"` + parent + `","tracestate":"` + state + `"},` +
		`"room":"lobby","text":"She said \"hi\" to everyone in the room."}}`
)

// TestAllocations holds each step to what its documentation says it allocates.
func TestAllocations(t *testing.T) {
	var (
		object   carrier.JSON
		rpc      carrier.JSONRPC
		envelope carrier.Envelope
		with     = []byte(tracedChat)
		without  = []byte(plainChat)
		escaped  = []byte(`{"\u0061":1,"\u00zz":2,"traceparent":"\u00zz","tracestate":"\u0000"}`)
		called   = []byte(tracedCall)
		posted   = []byte("sockscope/1 1767366245123456 " + parent + " " + state + "\n" + tracedChat)
		buffer   = make([]byte, 0, 1024)
		bomb     = []byte(strings.Repeat(`{"a":[`, 10_000))
	)
	published := time.Now()
	tests := map[string]struct {
		want float64
		f    func()
	}{
		"JSON, not asked":       {0, func() { object.Reset(with) }},
		"JSON, absent":          {0, func() { object.Reset(without); get(&object) }},
		"JSON, present":         {2, func() { object.Reset(with); get(&object) }},
		"JSON, absent, escaped": {0, func() { object.Reset(escaped); get(&object) }},
		"JSON, a bomb":          {0, func() { object.Reset(bomb); object.Get("traceparent") }},
		"JSON, nothing set":     {0, func() { object.Reset(with); object.Bytes() }},
		"JSON, inserted":        {1, func() { object.Reset(without); set(&object); object.Bytes() }},
		"JSON, replaced":        {1, func() { object.Reset(with); set(&object); object.Bytes() }},
		"JSONRPC, not asked":    {0, func() { rpc.Reset(called) }},
		"JSONRPC, absent":       {0, func() { rpc.Reset(without); get(&rpc) }},
		"JSONRPC, present":      {2, func() { rpc.Reset(called); get(&rpc) }},
		"JSONRPC, a bomb":       {0, func() { rpc.Reset(bomb); rpc.Get("traceparent") }},
		"JSONRPC, no place":     {0, func() { rpc.Reset(without); set(&rpc); rpc.Bytes() }},
		"JSONRPC, replaced":     {1, func() { rpc.Reset(called); set(&rpc); rpc.Bytes() }},
		"Envelope, not asked":   {0, func() { envelope.Parse(posted) }},
		"Envelope, none":        {0, func() { envelope.Parse(with); envelope.Get("traceparent") }},
		"Envelope, present":     {2, func() { envelope.Parse(posted); get(&envelope) }},
		"Envelope, appended": {1,
			func() { envelope = carrier.Envelope{Published: published}; set(&envelope); envelope.Append(nil, with) }},
		"Envelope, with a buffer": {0, func() {
			envelope = carrier.Envelope{Published: published}
			set(&envelope)
			envelope.Append(buffer, with)
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := testing.AllocsPerRun(100, tc.f); got != tc.want {
				t.Errorf("%v allocations, want %v", got, tc.want)
			}
		})
	}
}

// TestUnsampledMessage holds a message that is not sampled, and its carrier, to no allocation at all.
func TestUnsampledMessage(t *testing.T) {
	observer, err := instrument.New(instrument.WithSampleRatio(0), instrument.WithMessageTypes("message"))
	if err != nil {
		t.Fatal(err)
	}
	_, handshake := observer.BeginHandshake(t.Context(), instrument.Request{})
	conn, typ := handshake.Opened(http.StatusSwitchingProtocols), observer.MessageType("message")
	defer conn.Closed(instrument.Cause{})
	ctx := conn.Context(t.Context())
	var (
		object   carrier.JSON
		rpc      carrier.JSONRPC
		envelope carrier.Envelope
	)
	payload := []byte(tracedChat)
	for name, prepare := range map[string]func() propagation.TextMapCarrier{
		"JSON":     func() propagation.TextMapCarrier { object.Reset(payload); return &object },
		"JSONRPC":  func() propagation.TextMapCarrier { rpc.Reset(payload); return &rpc },
		"Envelope": func() propagation.TextMapCarrier { envelope.Parse(payload); return &envelope },
	} {
		t.Run(name, func(t *testing.T) {
			if got := testing.AllocsPerRun(100, func() {
				_, m := conn.BeginMessage(ctx, typ, len(payload), prepare())
				m.End(nil)
			}); got != 0 {
				t.Errorf("%v allocations, want 0", got)
			}
		})
	}
}

// TestBytesFits wants no copy to be larger than what it was made for, but for a comma.
func TestBytesFits(t *testing.T) {
	for _, c := range []message{&carrier.JSON{}, &carrier.JSONRPC{}} {
		for _, payload := range []string{`{"method":"m"}`, `{"method":"m","params":{"a":1}}`} {
			c.Reset([]byte(payload))
			c.Set("tracestate", `a="\"`)
			c.Set("traceparent", parent)
			if out := c.Bytes(); cap(out) > len(out)+32 {
				t.Errorf("%s has a capacity of %d, want %d or little more", out, cap(out), len(out))
			}
		}
	}
}
