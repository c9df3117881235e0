package carrier_test

import (
	"encoding/json"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/instrument/carrier"
)

// The benchmarks compare with package encoding/json, which is what one would use without this one.

// BenchmarkExtract gets the trace context out of a message. "not asked" is a message that is not sampled.
func BenchmarkExtract(b *testing.B) {
	for name, payload := range map[string][]byte{"present": []byte(tracedChat), "absent": []byte(plainChat)} {
		b.Run(name+"/encoding-json", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var got struct{ Traceparent, Tracestate string }
				if err := json.Unmarshal(payload, &got); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/JSON", func(b *testing.B) {
			var c carrier.JSON
			b.ReportAllocs()
			for b.Loop() {
				c.Reset(payload)
				get(&c)
			}
		})
		b.Run(name+"/not asked", func(b *testing.B) {
			var c carrier.JSON
			b.ReportAllocs()
			for b.Loop() {
				c.Reset(payload)
			}
		})
	}
	b.Run("present/JSONRPC", func(b *testing.B) {
		payload := []byte(tracedCall)
		var c carrier.JSONRPC
		b.ReportAllocs()
		for b.Loop() {
			c.Reset(payload)
			get(&c)
		}
	})
	b.Run("present/Envelope", func(b *testing.B) {
		data := []byte("sockscope/1 1767366245123456 " + parent + " " + state + "\n" + plainChat)
		var c carrier.Envelope
		b.ReportAllocs()
		for b.Loop() {
			c.Parse(data)
			get(&c)
		}
	})
}

func get(c propagation.TextMapCarrier) {
	c.Get("traceparent")
	c.Get("tracestate")
}

func set(c propagation.TextMapCarrier) {
	c.Set("tracestate", state)
	c.Set("traceparent", other)
}

// BenchmarkInject puts trace context into a message that is encoded already.
func BenchmarkInject(b *testing.B) {
	for name, payload := range map[string][]byte{"replaced": []byte(tracedChat), "inserted": []byte(plainChat)} {
		b.Run(name+"/encoding-json", func(b *testing.B) {
			traceparent, _ := json.Marshal(other)
			tracestate, _ := json.Marshal(state)
			b.ReportAllocs()
			for b.Loop() {
				var members map[string]json.RawMessage
				if err := json.Unmarshal(payload, &members); err != nil {
					b.Fatal(err)
				}
				members["traceparent"], members["tracestate"] = traceparent, tracestate
				if _, err := json.Marshal(members); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/JSON", func(b *testing.B) {
			var c carrier.JSON
			b.ReportAllocs()
			for b.Loop() {
				c.Reset(payload)
				set(&c)
				c.Bytes()
			}
		})
	}
	b.Run("replaced/JSONRPC", func(b *testing.B) {
		payload := []byte(tracedCall)
		var c carrier.JSONRPC
		b.ReportAllocs()
		for b.Loop() {
			c.Reset(payload)
			set(&c)
			c.Bytes()
		}
	})
	b.Run("inserted/Envelope", func(b *testing.B) {
		payload, now := []byte(plainChat), time.Now()
		var buffer []byte
		b.ReportAllocs()
		for b.Loop() {
			c := carrier.Envelope{Published: now}
			set(&c)
			buffer = c.Append(buffer[:0], payload)
		}
	})
}
