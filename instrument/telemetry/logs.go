package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"
)

// maxBatchBytes bounds one export of log records. The encoded export is a few times as large, and receivers refuse
// exports of more than some megabytes.
const maxBatchBytes = 512 << 10

// logExporter passes records to an exporter of OpenTelemetry's SDK. It also replaces the SDK's batch processor, which
// does not say how many records it drops.
type logExporter struct {
	bridge   slog.Handler
	queue    *queue[*sdklog.Record]
	exporter sdklog.Exporter
	batching batching
	delivery delivery
	counts   *logCounts
	abandon  context.CancelFunc
	done     chan struct{}
}

var _ sdklog.Processor = (*logExporter)(nil)

// newLogExporter starts a goroutine, which shutdown ends. It sets the delivery's context.
func newLogExporter(exporter sdklog.Exporter, b batching, d delivery, res *resource.Resource, counts *logCounts) *logExporter {
	e := &logExporter{
		queue:    newQueue[*sdklog.Record](counts, b.queue),
		exporter: exporter,
		batching: b,
		delivery: d,
		counts:   counts,
		done:     make(chan struct{}),
	}
	e.delivery.ctx, e.abandon = context.WithCancel(context.Background())
	provider := sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(e))
	e.bridge = otelslog.NewHandler("github.com/sockscope/sockscope/instrument/telemetry", otelslog.WithLoggerProvider(provider))
	go e.run()
	return e
}

// export queues the record for the export. It never waits. The bridge copies the ids of trace and span from ctx to
// OTLP's own fields.
func (e *logExporter) export(ctx context.Context, r record) {
	inContext := trace.SpanContextFromContext(ctx).IsValid()
	out := slog.NewRecord(r.time, r.level, r.message, 0)
	for _, f := range r.fields {
		if !inContext || f.Key != "trace_id" && f.Key != "span_id" {
			out.AddAttrs(f)
		}
	}
	_ = e.bridge.Handle(ctx, out) // always nil
}

// run exports queued records in batches until the queue is closed and empty, or the time is up.
func (e *logExporter) run() {
	defer close(e.done)
	for i := range e.queue.items {
		batch := e.gather(i)
		result := e.delivery.deliver(func(ctx context.Context) error { return e.exporter.Export(ctx, batch) })
		e.counts.settle(len(batch), result)
	}
}

// gather waits a while for records to send together with the first one. With the last one the batch may exceed its
// bytes.
func (e *logExporter) gather(first item[*sdklog.Record]) []sdklog.Record {
	batch, bytes := []sdklog.Record{*e.queue.take(first)}, first.bytes
	wait := time.NewTimer(e.batching.wait)
	defer wait.Stop()
	for len(batch) < e.batching.batch && bytes < maxBatchBytes {
		select {
		case i, open := <-e.queue.items:
			if !open {
				return batch
			}
			batch, bytes = append(batch, *e.queue.take(i)), bytes+i.bytes
		case <-wait.C:
			return batch
		}
	}
	return batch
}

// shutdown delivers queued records. If ctx ends first, the rest is dropped: after abandon nothing holds up the
// exporter.
func (e *logExporter) shutdown(ctx context.Context) error {
	defer e.abandon()
	e.queue.close()
	var err error
	select {
	case <-e.done:
	case <-ctx.Done():
		left := e.counts.undelivered.Load()
		e.abandon()
		<-e.done
		err = fmt.Errorf("%d log records dropped: %w", left, ctx.Err())
	}
	return errors.Join(err, e.exporter.Shutdown(ctx))
}

// OnEmit is part of [sdklog.Processor]. It never waits.
func (e *logExporter) OnEmit(_ context.Context, r *sdklog.Record) error {
	size := len(r.Body().AsString())
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		size += len(kv.Key) + len(kv.Value.String())
		return true
	})
	kept := r.Clone()
	e.queue.put(&kept, size)
	return nil
}

// Enabled is part of [sdklog.Processor].
func (e *logExporter) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

// Shutdown is part of [sdklog.Processor].
func (e *logExporter) Shutdown(ctx context.Context) error { return e.shutdown(ctx) }

// ForceFlush is part of [sdklog.Processor]. It does nothing, because a batch waits only for a short time.
func (e *logExporter) ForceFlush(context.Context) error { return nil }
