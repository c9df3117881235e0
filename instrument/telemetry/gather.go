package telemetry

import (
	"context"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// gatherWait is how long a span waits for others, and gatherMost for how many at most.
const (
	gatherWait = 100 * time.Millisecond
	gatherMost = 512
)

// gatherer hands ended spans to the next processor in groups. The SDK's batch processor wakes a goroutine for every span
// that it is given, which takes a processor away from what the service does meanwhile. Spans keep their order, and none
// is lost here: whoever ends the span that fills a group hands it over, some microseconds' work.
type gatherer struct {
	next sdktrace.SpanProcessor
	most int // spans in a group

	mu      sync.Mutex
	group   []sdktrace.ReadOnlySpan
	timer   *time.Timer
	stopped bool

	handing sync.Mutex // one group at a time
	spare   []sdktrace.ReadOnlySpan
}

func newGatherer(next sdktrace.SpanProcessor, most int) *gatherer {
	g := &gatherer{next: next, most: most}
	g.timer = time.AfterFunc(time.Hour, g.hand)
	g.timer.Stop()
	return g
}

// OnStart implements sdktrace.SpanProcessor.
func (g *gatherer) OnStart(ctx context.Context, s sdktrace.ReadWriteSpan) { g.next.OnStart(ctx, s) }

// OnEnd implements sdktrace.SpanProcessor.
func (g *gatherer) OnEnd(s sdktrace.ReadOnlySpan) {
	if full := g.add(s); full {
		g.hand()
	}
}

// add reports whether the group must not grow further.
func (g *gatherer) add(s sdktrace.ReadOnlySpan) (full bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.group = append(g.group, s)
	switch len(g.group) {
	case 1:
		g.timer.Reset(gatherWait)
	case g.most / 2: // in time to have room for those that come meanwhile
		g.timer.Reset(0)
	}
	return len(g.group) >= g.most || g.stopped
}

// hand gives the next processor what was gathered.
func (g *gatherer) hand() {
	g.handing.Lock()
	defer g.handing.Unlock()
	g.mu.Lock()
	group := g.group
	g.group = g.spare
	g.mu.Unlock()
	for _, s := range group {
		g.next.OnEnd(s)
	}
	clear(group) // the next one has them
	g.spare = group[:0]
}

// ForceFlush implements sdktrace.SpanProcessor.
func (g *gatherer) ForceFlush(ctx context.Context) error {
	g.hand()
	return g.next.ForceFlush(ctx)
}

// Shutdown implements sdktrace.SpanProcessor.
func (g *gatherer) Shutdown(ctx context.Context) error {
	g.mu.Lock()
	g.stopped = true
	g.timer.Stop()
	g.mu.Unlock()
	g.hand()
	return g.next.Shutdown(ctx)
}
