package instrument_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sockscope/sockscope/instrument"
)

// The benchmarks are pairs: "bare" calls resolved client_golang instruments of the same kind directly, as somebody
// would who writes the fastest code that yields the same metrics, "observed" goes through this package.

// bare is what a message costs without this package.
type bare struct {
	messages       prometheus.Counter
	size, duration prometheus.Observer
}

func newBare() bare {
	histogram := func(name string, buckets []float64) prometheus.Observer {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Buckets: buckets,
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"label"}).WithLabelValues("value")
	}
	return bare{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "messages_total"}, []string{"direction", "type"}).
			WithLabelValues("receive", "message"),
		size: histogram("size_bytes", []float64{64, 256, 1024, 4096, 16384, 65536, 262144, 1048576}),
		duration: histogram("duration_seconds", []float64{
			0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
		}),
	}
}

func observed(b *testing.B, opts ...instrument.Option) (*instrument.Conn, instrument.MessageType) {
	b.Helper()
	o := newObserver(b, append(opts, instrument.WithMessageTypes("message"))...)
	return open(b, o), o.MessageType("message")
}

// BenchmarkCounted is a message that is counted and not timed.
func BenchmarkCounted(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		m := newBare()
		b.ReportAllocs()
		for b.Loop() {
			m.messages.Inc()
			m.size.Observe(128)
		}
	})
	b.Run("observed", func(b *testing.B) {
		c, t := observed(b)
		b.ReportAllocs()
		for b.Loop() {
			c.Received(t, 128)
		}
	})
}

// BenchmarkTimed is a message whose handling is timed and which is not sampled.
func BenchmarkTimed(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		m := newBare()
		b.ReportAllocs()
		for b.Loop() {
			start := time.Now()
			m.messages.Inc()
			m.size.Observe(128)
			m.duration.Observe(time.Since(start).Seconds())
		}
	})
	b.Run("observed", func(b *testing.B) {
		c, t := observed(b, instrument.WithSampleRatio(0))
		ctx := c.Context(b.Context())
		b.ReportAllocs()
		for b.Loop() {
			_, m := c.BeginMessage(ctx, t, 128, nil)
			m.End(nil)
		}
	})
}

// BenchmarkSampled is the same for shares of messages with a span, which goes to the SDK and no further.
func BenchmarkSampled(b *testing.B) {
	for _, ratio := range []float64{0, 0.01, 1} {
		b.Run(fmt.Sprintf("ratio=%v", ratio), func(b *testing.B) {
			c, t := observed(b, instrument.WithSampleRatio(ratio), instrument.WithSpanLimit(1<<30),
				instrument.WithTracerProvider(sdktrace.NewTracerProvider()))
			ctx := c.Context(b.Context())
			b.ReportAllocs()
			for b.Loop() {
				_, m := c.BeginMessage(ctx, t, 128, nil)
				m.End(nil)
			}
		})
	}
}

// BenchmarkContended is BenchmarkCounted on all processors, each with a connection of its own and all with the same
// instruments.
func BenchmarkContended(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		m := newBare()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				m.messages.Inc()
				m.size.Observe(128)
			}
		})
	})
	b.Run("observed", func(b *testing.B) {
		o := newObserver(b, instrument.WithMessageTypes("message"))
		t := o.MessageType("message")
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			c := open(b, o)
			for pb.Next() {
				c.Received(t, 128)
			}
		})
	})
}

// BenchmarkContendedTimed is BenchmarkTimed on all processors likewise.
func BenchmarkContendedTimed(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		m := newBare()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				start := time.Now()
				m.messages.Inc()
				m.size.Observe(128)
				m.duration.Observe(time.Since(start).Seconds())
			}
		})
	})
	b.Run("observed", func(b *testing.B) {
		o := newObserver(b, instrument.WithMessageTypes("message"), instrument.WithSampleRatio(0))
		t := o.MessageType("message")
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			c := open(b, o)
			ctx := c.Context(b.Context())
			for pb.Next() {
				_, m := c.BeginMessage(ctx, t, 128, nil)
				m.End(nil)
			}
		})
	})
}

// BenchmarkBroadcast is a message to many connections, which are written to by as many goroutines as there are
// processors.
func BenchmarkBroadcast(b *testing.B) {
	const recipients = 1000
	o := newObserver(b, instrument.WithMessageTypes("message"), instrument.WithSampleRatio(0))
	t := o.MessageType("message")
	conns := make([]*instrument.Conn, recipients)
	for i := range conns {
		conns[i] = open(b, o)
	}
	queue := make(chan []instrument.Delivery, runtime.GOMAXPROCS(0))
	var written, writers sync.WaitGroup
	for range cap(queue) {
		writers.Go(func() {
			for some := range queue {
				for _, d := range some {
					d.Sent(t, 128)
				}
				written.Done()
			}
		})
	}
	deliveries := make([]instrument.Delivery, recipients)
	b.ReportAllocs()
	for b.Loop() {
		_, broadcast := o.BeginBroadcast(b.Context())
		for i, c := range conns {
			deliveries[i] = broadcast.BeginDelivery(c)
		}
		for some := range slices.Chunk(deliveries, recipients/cap(queue)) {
			written.Add(1)
			queue <- some
		}
		broadcast.End(nil)
		written.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*recipients), "ns/recipient")
	close(queue)
	writers.Wait()
}

// BenchmarkDropNewest is a message that a queue does not take, whose length must not matter.
func BenchmarkDropNewest(b *testing.B) {
	for _, queued := range []int{0, 1024, 8192} {
		b.Run(fmt.Sprintf("queued=%d", queued), func(b *testing.B) {
			c, _ := observed(b)
			for range queued {
				c.BeginDelivery()
			}
			b.ReportAllocs()
			for b.Loop() {
				c.BeginDelivery().Dropped(instrument.DropQueueFull)
			}
		})
	}
}

// BenchmarkOpenClose is the whole life of a connection that carries nothing.
func BenchmarkOpenClose(b *testing.B) {
	cause := instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal, Code: 1000}
	for _, traced := range []bool{false, true} {
		b.Run(fmt.Sprintf("traced=%v", traced), func(b *testing.B) {
			opts := []instrument.Option{instrument.WithSpanLimit(1 << 30)}
			if traced {
				opts = append(opts, instrument.WithTracerProvider(sdktrace.NewTracerProvider()))
			}
			o := newObserver(b, opts...)
			b.ReportAllocs()
			for b.Loop() {
				_, h := o.BeginHandshake(b.Context(), instrument.Request{Host: "chat.example"})
				h.Opened(101).Closed(cause)
			}
		})
	}
}

// BenchmarkScrape collects everything while connections are open. TestSeriesOfConnections counts the series.
func BenchmarkScrape(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		b.Run(fmt.Sprintf("connections=%d", n), func(b *testing.B) {
			o := newObserver(b)
			conns := make([]*instrument.Conn, n)
			for i := range conns {
				conns[i] = open(b, o)
			}
			registry := registryOf(b, o)
			for b.Loop() {
				if _, err := registry.Gather(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
