//go:build unix

package console

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkViewer measures what a viewer costs a service with many connections: the share of one processor that the
// process uses while a page is open, beside the same without.
func BenchmarkViewer(b *testing.B) {
	const connections = 100_000
	s := newService(b)
	for i := range connections {
		c := s.open(b)
		c.SetQueueCapacity(64)
		if i%10 == 0 {
			c.BeginDelivery()
		}
	}
	server := httptest.NewServer(s.console)
	defer server.Close()
	for _, viewers := range []int{0, 1, 3} {
		b.Run(fmt.Sprintf("connections=%d/viewers=%d", connections, viewers), func(b *testing.B) {
			ctx, leave := context.WithCancel(b.Context())
			var watching sync.WaitGroup
			for range viewers {
				watching.Go(func() { view(ctx, b, server) })
			}
			const each = 3 * time.Second
			var used time.Duration
			for b.Loop() {
				before := cpu(b)
				time.Sleep(each)
				used += cpu(b) - before
			}
			leave()
			watching.Wait()
			b.ReportMetric(100*used.Seconds()/(each.Seconds()*float64(b.N)), "%cpu")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// view does what the page does.
func view(ctx context.Context, b *testing.B, server *httptest.Server) {
	ask := func(what string) io.ReadCloser {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/v1/"+what, nil)
		if err != nil {
			b.Error(err)
			return nil
		}
		answer, err := server.Client().Do(r)
		if err != nil {
			return nil // it leaves
		}
		return answer.Body
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		if events := ask("events"); events != nil {
			_, _ = io.Copy(io.Discard, events) // until it leaves
			_ = events.Close()
		}
	})
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		for _, what := range []string{"connections", "traces"} {
			if answer := ask(what); answer != nil {
				_, _ = io.Copy(io.Discard, answer)
				_ = answer.Close()
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	reading.Wait()
}

// cpu is how long the process has used processors.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRecord is what a log record costs that passes through the console.
func BenchmarkRecord(b *testing.B) {
	for name, h := range map[string]slog.Handler{
		"bare":    slog.NewJSONHandler(io.Discard, nil),
		"console": New(Config{}).LogHandler(slog.NewJSONHandler(io.Discard, nil)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			logger := slog.New(h).With("namespace", "chat")
			for b.Loop() {
				logger.LogAttrs(b.Context(), slog.LevelInfo, "connection closed",
					slog.String("initiator", "remote"), slog.String("reason", "normal"), slog.Int("code", 1000),
					slog.Float64("duration_seconds", 12.5), slog.Int64("sent_bytes", 1000))
			}
		})
	}
}
