package telemetry

import (
	"context"
	"errors"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// gatherer gathers ended spans into batches and passes each batch to the SDK's batch processor as if it were one span.
// Without that, the processor wakes a goroutine for every span, which costs the message that ends the span more than
// the span itself. Ending a span never waits: a span that does not fit into the queue is dropped.
type gatherer struct {
	next sdktrace.SpanProcessor
	drop func() // notes that a span was dropped
	batching

	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
	held  int // these, and those that are not exported yet
	timer *time.Timer
}

func newGatherer(e sdktrace.SpanExporter, b batching, drop func()) *gatherer {
	g := &gatherer{drop: drop, batching: b}
	g.next = sdktrace.NewBatchSpanProcessor(gathered{e, g},
		sdktrace.WithMaxQueueSize(b.queue),
		sdktrace.WithMaxExportBatchSize(1), // at once
		sdktrace.WithExportTimeout(0))      // the delivery has its own
	g.timer = time.AfterFunc(b.wait, g.hand)
	g.timer.Stop()
	return g
}

// OnStart implements sdktrace.SpanProcessor.
func (g *gatherer) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor.
func (g *gatherer) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held >= g.queue {
		g.drop()
		return
	}
	g.held++
	if g.spans == nil {
		g.spans = make([]sdktrace.ReadOnlySpan, 0, g.batch)
	}
	g.spans = append(g.spans, s)
	switch len(g.spans) {
	case g.batch:
		g.handLocked()
	case 1:
		g.timer.Reset(g.wait)
	}
}

// hand passes the gathered spans to the next processor.
func (g *gatherer) hand() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handLocked()
}

func (g *gatherer) handLocked() {
	g.timer.Stop()
	if len(g.spans) > 0 {
		g.next.OnEnd(batch{g.spans[0], g.spans})
		g.spans = nil
	}
}

// ForceFlush implements sdktrace.SpanProcessor.
func (g *gatherer) ForceFlush(ctx context.Context) error {
	g.hand()
	return g.next.ForceFlush(ctx)
}

// Shutdown implements sdktrace.SpanProcessor.
func (g *gatherer) Shutdown(ctx context.Context) error {
	g.hand()
	return g.next.Shutdown(ctx)
}

// batch passes through a queue of spans as if it were its first span.
type batch struct {
	sdktrace.ReadOnlySpan

	spans []sdktrace.ReadOnlySpan
}

// gathered exports the spans of batches.
type gathered struct {
	sdktrace.SpanExporter

	by *gatherer
}

func (e gathered) ExportSpans(ctx context.Context, batches []sdktrace.ReadOnlySpan) (err error) {
	for _, s := range batches {
		spans := s.(batch).spans
		err = errors.Join(err, e.SpanExporter.ExportSpans(ctx, spans))
		e.by.mu.Lock()
		e.by.held -= len(spans)
		e.by.mu.Unlock()
	}
	return err
}
