package outbox

import (
	"sync"
	"testing"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// pair runs a benchmark without and with observation.
func pair(b *testing.B, bench func(b *testing.B, o observed, open func() *instrument.Conn)) {
	o := observe(b)
	b.Run("bare", func(b *testing.B) { bench(b, o, func() *instrument.Conn { return nil }) })
	b.Run("observed", func(b *testing.B) { bench(b, o, func() *instrument.Conn { return o.open(b) }) })
}

// BenchmarkPut puts frames that each find the outbox empty and are written at once.
func BenchmarkPut(b *testing.B) {
	pair(b, func(b *testing.B, o observed, open func() *instrument.Conn) {
		typ := o.MessageType("message")
		written := make(chan struct{})
		out := New(Config{Conn: open(), Write: oneByOne(func(f *wire.Frame) (instrument.MessageType, int, error) {
			written <- struct{}{}
			return typ, len(f.Data), nil
		})})
		f := frame("hello")
		b.ReportAllocs()
		for b.Loop() {
			out.Put(f, nil)
			<-written
		}
		if err := out.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkFanOut puts one frame into 10,000 outboxes and waits until all have written it.
func BenchmarkFanOut(b *testing.B) {
	pair(b, func(b *testing.B, o observed, open func() *instrument.Conn) {
		typ := o.MessageType("message")
		var written sync.WaitGroup
		outs := make([]*Outbox, 10_000)
		var writers Writers
		for i := range outs {
			outs[i] = New(Config{Conn: open(), Writers: &writers, Write: oneByOne(func(f *wire.Frame) (instrument.MessageType, int, error) {
				written.Done()
				return typ, len(f.Data), nil
			})})
		}
		f := frame("hello")
		b.ReportAllocs()
		for b.Loop() {
			_, broadcast := o.BeginBroadcast(b.Context())
			written.Add(len(outs))
			for _, out := range outs {
				out.Put(f, broadcast)
			}
			broadcast.End(nil)
			written.Wait()
		}
		for _, out := range outs {
			if err := out.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
