package telemetry

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sockscope/sockscope/instrument"
)

// discarding is an exporter that costs nothing, so that only the way of the spans to it is measured.
type discarding struct{}

func (discarding) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }

func (discarding) Shutdown(context.Context) error { return nil }

// BenchmarkEchoP99 is how long an echo of 128 bytes over loopback takes in one of a hundred cases, where a connection
// sends as fast as it can and one message in a hundred has a span. The first has no span, the second spans that nobody
// gets; then come the SDK's batch processor, and the same behind a gatherer as Start has it.
func BenchmarkEchoP99(b *testing.B) {
	for _, bm := range []struct {
		name      string
		ratio     float64
		processor func() sdktrace.SpanProcessor
	}{
		{"no spans", 0, nil},
		{"no processor", 0.01, nil},
		{"batcher", 0.01, func() sdktrace.SpanProcessor { return sdktrace.NewBatchSpanProcessor(discarding{}) }},
		{"gathered", 0.01, func() sdktrace.SpanProcessor {
			return newGatherer(discarding{}, batching{queue: maxQueueSpans, batch: maxBatch, wait: batchWait}, func() {})
		}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			var opts []sdktrace.TracerProviderOption
			if bm.processor != nil {
				opts = append(opts, sdktrace.WithSpanProcessor(bm.processor()))
			}
			provider := sdktrace.NewTracerProvider(opts...)
			defer func() { _ = provider.Shutdown(context.Background()) }()
			observer, err := instrument.New(instrument.WithTracerProvider(provider), instrument.WithSampleRatio(bm.ratio),
				instrument.WithSpanLimit(1<<30))
			if err != nil {
				b.Fatal(err)
			}
			echoP99(b, observer)
		})
	}
}

func echoP99(b *testing.B, o *instrument.Observer) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { echo(conn, o) })
		}
	})
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	message := make([]byte, 128)
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err = conn.Write(message); err == nil {
			_, err = io.ReadFull(conn, message)
		}
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	b.StopTimer()
	conn.Close()
	listener.Close()
	serving.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "echoes/s")
	b.ReportMetric(float64(took[len(took)*99/100]), "ns/op")
}

// echo answers every message with itself.
func echo(conn net.Conn, o *instrument.Observer) {
	defer conn.Close()
	ctx, h := o.BeginHandshake(context.Background(), instrument.Request{})
	observed := h.Opened(0)
	ctx = observed.Context(ctx)
	message := make([]byte, 128)
	for {
		if _, err := io.ReadFull(conn, message); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			observed.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal, Err: err})
			return
		}
		_ = observed.Handle(ctx, instrument.MessageType{}, len(message), nil, func(context.Context) error {
			_, err := conn.Write(message)
			return err
		})
	}
}
