package telemetry

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// collecting is an exporter that remembers the names of the spans of each batch, and takes as long as it is told.
type collecting struct {
	mu      sync.Mutex
	batches [][]string
	stopped bool
	release chan struct{} // nil to take no time
}

func (c *collecting) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	var names []string
	for _, s := range spans {
		names = append(names, s.Name())
	}
	c.mu.Lock()
	c.batches = append(c.batches, names)
	c.mu.Unlock()
	if c.release != nil {
		<-c.release
	}
	return nil
}

func (c *collecting) Shutdown(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	return nil
}

// sizes returns how many spans were in each batch.
func (c *collecting) sizes() (sizes []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.batches {
		sizes = append(sizes, len(b))
	}
	return sizes
}

// gathering returns a function that ends n spans, which are numbered.
func gathering(t *testing.T, e *collecting, b batching) (*sdktrace.TracerProvider, func(n int)) {
	t.Helper()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(newGatherer(e, b, func() {})))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	tracer := provider.Tracer("")
	number := 0
	return provider, func(n int) {
		for range n {
			_, span := tracer.Start(context.Background(), strconv.Itoa(number))
			number++
			span.End()
		}
	}
}

func TestGathererExportsBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(collecting)
		_, end := gathering(t, c, batching{queue: 100, batch: 10, wait: time.Second})
		end(3)
		time.Sleep(time.Second / 2)
		end(2)
		synctest.Wait()
		if got := c.sizes(); len(got) != 0 {
			t.Errorf("batches of %v before it is time, want none", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		end(25)
		synctest.Wait()
		if got := c.sizes(); !slices.Equal(got, []int{5, 10, 10}) {
			t.Errorf("batches of %v, want 5, 10 and 10", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := c.sizes(); !slices.Equal(got, []int{5, 10, 10, 5}) {
			t.Errorf("batches of %v, want 5, 10, 10 and 5", got)
		}
		for i, name := range slices.Concat(c.batches...) {
			if name != strconv.Itoa(i) {
				t.Fatalf("span %s at place %d", name, i)
			}
		}
	})
}

// TestGathererIsBounded has an exporter that hangs: the spans that a queue holds are exported once it goes on, the
// others are lost, and there is room again.
func TestGathererIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collecting{release: make(chan struct{})}
		_, end := gathering(t, c, batching{queue: 35, batch: 10, wait: time.Second})
		end(1000)
		time.Sleep(time.Minute)
		synctest.Wait()
		close(c.release)
		synctest.Wait()
		if got := c.sizes(); !slices.Equal(got, []int{10, 10, 10, 5}) {
			t.Errorf("batches of %v, want 10, 10, 10 and 5", got)
		}
		end(10)
		synctest.Wait()
		if got := c.sizes(); !slices.Equal(got, []int{10, 10, 10, 5, 10}) {
			t.Errorf("batches of %v, want one more of 10", got)
		}
	})
}

func TestGathererFlushesAndStops(t *testing.T) {
	c := new(collecting)
	provider, end := gathering(t, c, batching{queue: 100, batch: 10, wait: time.Hour})
	end(2)
	if err := provider.ForceFlush(t.Context()); err != nil || !slices.Equal(c.sizes(), []int{2}) {
		t.Errorf("batches of %v after a flush (%v), want 2", c.sizes(), err)
	}
	end(3)
	if err := provider.Shutdown(t.Context()); err != nil || !slices.Equal(c.sizes(), []int{2, 3}) || !c.stopped {
		t.Errorf("batches of %v at the end (%v), want 2 and 3", c.sizes(), err)
	}
}

// TestGathererConcurrently ends spans and flushes on all processors: none is lost, and none comes twice.
func TestGathererConcurrently(t *testing.T) {
	c := new(collecting)
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(
		newGatherer(c, batching{queue: 1 << 20, batch: 64, wait: time.Millisecond}, func() {})))
	tracer := provider.Tracer("")
	const goroutines, each = 4, 5000
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range each {
				_, span := tracer.Start(context.Background(), "span")
				span.End()
			}
		})
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
	total := 0
	for _, n := range c.sizes() {
		total += n
	}
	if total != goroutines*each {
		t.Errorf("%d spans, want %d", total, goroutines*each)
	}
}
