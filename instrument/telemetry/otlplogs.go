package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/grpc"
)

// maxBatchRecords bounds one export of log records.
const maxBatchRecords = 512

// otlpLogExporter exports records through otelslog by OTLP over gRPC. It is the SDK's processor too, in place of the
// SDK's own batch processor, which does not tell how many records it drops.
type otlpLogExporter struct {
	bridge   slog.Handler
	queue    *queue[sdklog.Record]
	exporter sdklog.Exporter
	delivery delivery
	counts   *logCounts
	abandon  context.CancelFunc
	done     chan struct{}
}

var _ sdklog.Processor = (*otlpLogExporter)(nil)

func newOTLPLogExporter(ctx context.Context, endpoint string, res *resource.Resource, counts *logCounts, failing *warning) (*otlpLogExporter, error) {
	opts := []otlploggrpc.Option{
		otlploggrpc.WithRetry(otlploggrpc.RetryConfig{Enabled: false}),
		otlploggrpc.WithDialOption(grpc.WithConnectParams(connectParams)),
	}
	if endpoint != "" {
		opts = append(opts, otlploggrpc.WithEndpointURL(endpoint))
	}
	exporter, err := otlploggrpc.New(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("exporter of log records: %w", err)
	}
	deliveryCtx, abandon := context.WithCancel(context.Background())
	e := &otlpLogExporter{
		queue:    newQueue[sdklog.Record](counts),
		exporter: exporter,
		delivery: delivery{deliveryCtx, failing},
		counts:   counts,
		abandon:  abandon,
		done:     make(chan struct{}),
	}
	provider := sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(e))
	e.bridge = otelslog.NewHandler("github.com/sockscope/sockscope/instrument/telemetry", otelslog.WithLoggerProvider(provider))
	go e.run()
	return e, nil
}

// export has the record sent. The bridge takes the ids of trace and span from ctx, to where OTLP has a place for them.
func (e *otlpLogExporter) export(ctx context.Context, r record) {
	out := slog.NewRecord(r.time, r.level, r.message, 0)
	for _, f := range r.fields {
		if f.Key != "trace_id" && f.Key != "span_id" {
			out.AddAttrs(f)
		}
	}
	_ = e.bridge.Handle(ctx, out) // always nil
}

// run exports what is queued, in batches, until the queue is closed and empty, or time is up.
func (e *otlpLogExporter) run() {
	defer close(e.done)
	for i := range e.queue.items {
		batch := e.gather(e.queue.take(i))
		result := e.delivery.deliver(func(ctx context.Context) error {
			return refusedByGRPC(e.exporter.Export(ctx, batch))
		})
		e.counts.settle(len(batch), result)
	}
}

// gather waits a while for records that can travel with the first one.
func (e *otlpLogExporter) gather(first sdklog.Record) []sdklog.Record {
	batch := []sdklog.Record{first}
	wait := time.NewTimer(batchWait)
	defer wait.Stop()
	for len(batch) < maxBatchRecords {
		select {
		case i, open := <-e.queue.items:
			if !open {
				return batch
			}
			batch = append(batch, e.queue.take(i))
		case <-wait.C:
			return batch
		}
	}
	return batch
}

func (e *otlpLogExporter) shutdown(ctx context.Context) error {
	e.queue.close()
	err := drain(ctx, e.done, e.abandon, e.counts)
	return errors.Join(err, e.exporter.Shutdown(context.WithoutCancel(ctx))) // which only closes the connection
}

// OnEmit is part of [sdklog.Processor]. It never waits.
func (e *otlpLogExporter) OnEmit(_ context.Context, r *sdklog.Record) error {
	size := len(r.Body().AsString())
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		size += len(kv.Key) + len(kv.Value.String())
		return true
	})
	e.queue.put(r.Clone(), size)
	return nil
}

// Enabled is part of [sdklog.Processor].
func (e *otlpLogExporter) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

// Shutdown is part of [sdklog.Processor].
func (e *otlpLogExporter) Shutdown(ctx context.Context) error { return e.shutdown(ctx) }

// ForceFlush is part of [sdklog.Processor]. There is nothing to hurry: a batch waits a second at most.
func (e *otlpLogExporter) ForceFlush(context.Context) error { return nil }
