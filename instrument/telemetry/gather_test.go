package telemetry

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// collecting is a processor that remembers when it got how many spans.
type collecting struct {
	mu      sync.Mutex
	at      []time.Time
	flushed int // spans there were at the last flush
	stopped bool
}

func (c *collecting) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

func (c *collecting) OnEnd(sdktrace.ReadOnlySpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = append(c.at, time.Now())
}

func (c *collecting) ForceFlush(context.Context) error {
	c.flushed = c.count()
	return nil
}

func (c *collecting) Shutdown(context.Context) error {
	c.flushed, c.stopped = c.count(), true
	return nil
}

func (c *collecting) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.at)
}

func gathering(t *testing.T) (*collecting, *sdktrace.TracerProvider, func(n int)) {
	t.Helper()
	next := new(collecting)
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(newGatherer(next, gatherMost)))
	tracer := provider.Tracer("")
	return next, provider, func(n int) {
		for range n {
			_, span := tracer.Start(context.Background(), "span", trace.WithSpanKind(trace.SpanKindConsumer))
			span.End()
		}
	}
}

func TestGathererHandsOverGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next, _, end := gathering(t)
		for range 3 {
			end(3)
			time.Sleep(gatherWait / 2)
			end(2)
			time.Sleep(2 * gatherWait)
		}
		next.mu.Lock()
		defer next.mu.Unlock()
		if times := slices.Compact(slices.Clone(next.at)); len(next.at) != 15 || len(times) != 3 {
			t.Errorf("%d spans at %d times, want 15 at 3", len(next.at), len(times))
		}
	})
}

func TestGathererIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next, _, end := gathering(t)
		end(gatherMost/2 - 1)
		synctest.Wait()
		if n := next.count(); n != 0 {
			t.Fatalf("%d spans went on at once, want none", n)
		}
		end(1)
		time.Sleep(0)
		synctest.Wait()
		if n := next.count(); n != gatherMost/2 {
			t.Fatalf("%d spans went on, want the group of %d", n, gatherMost/2)
		}
		end(10 * gatherMost)
		if n := next.count(); n < gatherMost/2+9*gatherMost {
			t.Errorf("%d spans went on, want all but one group", n)
		}
		time.Sleep(gatherWait)
		synctest.Wait()
		if n := next.count(); n != gatherMost/2+10*gatherMost {
			t.Errorf("%d spans arrived, want %d", n, gatherMost/2+10*gatherMost)
		}
	})
}

func TestGathererFlushesAndStops(t *testing.T) {
	next, provider, end := gathering(t)
	end(2)
	if err := provider.ForceFlush(t.Context()); err != nil || next.flushed != 2 {
		t.Errorf("%d spans were there to flush (%v), want 2", next.flushed, err)
	}
	end(3)
	if err := provider.Shutdown(t.Context()); err != nil || next.flushed != 5 || !next.stopped {
		t.Errorf("%d spans were there at the end (%v), want 5", next.flushed, err)
	}
}

// TestGathererConcurrently ends spans and flushes on all processors: none is lost, and none comes twice.
func TestGathererConcurrently(t *testing.T) {
	next, provider, end := gathering(t)
	const goroutines, each = 4, 5000
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() { end(each) })
	}
	all.Go(func() {
		for range 100 {
			if err := provider.ForceFlush(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if n := next.count(); n != goroutines*each {
		t.Errorf("%d spans, want %d", n, goroutines*each)
	}
}
