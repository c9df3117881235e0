package history_test

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sockscope/sockscope/demo/history"
)

// BenchmarkAppend has many senders at once, bare and with a span that records.
func BenchmarkAppend(b *testing.B) {
	for _, name := range []string{"file", "redis", "kafka"} {
		for _, observed := range []string{"bare", "observed"} {
			b.Run(name+"/"+observed, func(b *testing.B) {
				s := stores[name](b, history.Limits{})
				ctx := b.Context()
				if observed == "observed" {
					spanned, span := sdktrace.NewTracerProvider().Tracer("bench").Start(ctx, "parent")
					defer span.End()
					ctx = spanned
				}
				var n atomic.Int64
				text := strings.Repeat("x", 100)
				b.SetParallelism(32)
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						m := message("room"+strconv.FormatInt(n.Load()%10, 10), strconv.FormatInt(n.Add(1), 10), text)
						if _, _, err := s.Append(ctx, m); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

func BenchmarkLatest(b *testing.B) {
	for _, name := range []string{"file", "redis", "kafka"} {
		b.Run(name, func(b *testing.B) {
			s := stores[name](b, history.Limits{})
			for i := range 100 {
				if _, _, err := s.Append(b.Context(), message("lobby", strconv.Itoa(i), "hello")); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if got, err := s.Latest(b.Context(), "lobby", 50); err != nil || len(got) != 50 {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}
