package sieve

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/pipeline"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// NewHTTPFactory returns the factory of the otlp_http exporter, for a Collector's list of components.
func NewHTTPFactory() exporter.Factory {
	return newFactory(otlphttpexporter.NewFactory(), splitHTTP, patience)
}

// NewGRPCFactory returns the factory of the otlp_grpc exporter, for a Collector's list of components.
func NewGRPCFactory() exporter.Factory {
	return newFactory(otlpexporter.NewFactory(), splitGRPC, patience)
}

func splitHTTP(cfg component.Config) (component.Config, delivery) {
	bare := *cfg.(*otlphttpexporter.Config)
	how := delivery{
		to:    strings.Join([]string{bare.ClientConfig.Endpoint, bare.LogsEndpoint, bare.MetricsEndpoint, bare.TracesEndpoint}, " "),
		queue: bare.QueueConfig, retry: bare.RetryConfig,
	}
	bare.QueueConfig, bare.RetryConfig.Enabled = configoptional.None[exporterhelper.QueueBatchConfig](), false
	return &bare, how
}

func splitGRPC(cfg component.Config) (component.Config, delivery) {
	bare := *cfg.(*otlpexporter.Config)
	how := delivery{to: bare.ClientConfig.Endpoint, queue: bare.QueueConfig, retry: bare.RetryConfig}
	bare.QueueConfig, bare.RetryConfig.Enabled = configoptional.None[exporterhelper.QueueBatchConfig](), false
	return &bare, how
}

// delivery is what an exporter's settings say of its store and its queue.
type delivery struct {
	to    string // the same for exporters of the same store
	queue configoptional.Optional[exporterhelper.QueueBatchConfig]
	retry configretry.BackOffConfig
}

// stores has what is known of each store, by signal and address.
type stores struct {
	mu  sync.Mutex
	all map[string]*store
}

func (s *stores) of(signal pipeline.Signal, to string) *store {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := signal.String() + " " + to
	if s.all[key] == nil {
		s.all[key] = new(store)
	}
	return s.all[key]
}

// newFactory has exporters of another factory send, without queues. split takes a configuration apart for that.
func newFactory(of exporter.Factory, split func(component.Config) (component.Config, delivery), patience time.Duration) exporter.Factory {
	known := &stores{all: make(map[string]*store)}
	return exporter.NewFactory(of.Type(), of.CreateDefaultConfig,
		exporter.WithLogs(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Logs, error) {
			bare, how := split(cfg)
			to, err := of.CreateLogs(ctx, quiet(set), bare)
			if err != nil {
				return nil, err
			}
			return build(ctx, set, cfg, how, newSieve(logs(), to.ConsumeLogs, known.of(pipeline.SignalLogs, how.to), patience), to, exporterhelper.NewLogs, exporter.Logs.ConsumeLogs)
		}, of.LogsStability()),
		exporter.WithMetrics(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
			bare, how := split(cfg)
			to, err := of.CreateMetrics(ctx, quiet(set), bare)
			if err != nil {
				return nil, err
			}
			return build(ctx, set, cfg, how, newSieve(metrics(), to.ConsumeMetrics, known.of(pipeline.SignalMetrics, how.to), patience), to, exporterhelper.NewMetrics, exporter.Metrics.ConsumeMetrics)
		}, of.MetricsStability()),
		exporter.WithTraces(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Traces, error) {
			bare, how := split(cfg)
			to, err := of.CreateTraces(ctx, quiet(set), bare)
			if err != nil {
				return nil, err
			}
			return build(ctx, set, cfg, how, newSieve(traces(), to.ConsumeTraces, known.of(pipeline.SignalTraces, how.to), patience), to, exporterhelper.NewTraces, exporter.Traces.ConsumeTraces)
		}, of.TracesStability()),
	)
}

// build makes the exporter, with to behind it and the one of what is set aside beside it.
func build[T comparable, F ~func(context.Context, T) error, E component.Component](
	ctx context.Context, set exporter.Settings, cfg component.Config, how delivery, s *sieve[T], to component.Component,
	create func(context.Context, exporter.Settings, component.Config, F, ...exporterhelper.Option) (E, error), consume func(E, context.Context, T) error,
) (E, error) {
	var none E
	givenUp, err := set.MeterProvider.Meter("github.com/sockscope/sockscope/deploy/native/otelcol/sieve").Int64Counter("sockscope_store_refused_items_total",
		metric.WithDescription("Spans, log records and data points that were given up because their store refuses them while it takes others'."))
	if err != nil {
		return none, fmt.Errorf("counter of what is given up: %w", err)
	}
	exporterName := attribute.String("exporter", set.ID.String())
	s.logger = set.Logger
	s.count = func(service string, items int) {
		givenUp.Add(context.Background(), int64(items), metric.WithAttributes(exporterName, attribute.String("service", service)))
	}

	// The aside queue has one consumer, so that it takes little of the store's time. It does not merge its batches
	// again.
	asideSet, asideQueue := set, how.queue
	asideSet.ID = component.NewIDWithName(set.ID.Type(), set.ID.Name()+"_aside")
	if how.queue.HasValue() {
		queue := *how.queue.Get()
		queue.NumConsumers, queue.Batch = 1, configoptional.None[exporterhelper.BatchConfig]()
		asideQueue = configoptional.Some(queue)
	}
	common := []exporterhelper.Option{
		exporterhelper.WithCapabilities(consumer.Capabilities{MutatesData: false}),
		exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{Timeout: 0}), // the exporter behind has its own
		exporterhelper.WithRetry(how.retry),
	}
	aside, err := create(ctx, asideSet, cfg, s.pushAside, append(common, exporterhelper.WithQueue(asideQueue))...)
	if err != nil {
		return none, fmt.Errorf("exporter of what is set aside: %w", err)
	}
	s.aside = func(ctx context.Context, data T) error { return consume(aside, ctx, data) }
	return create(ctx, set, cfg, s.push, append(common,
		exporterhelper.WithQueue(how.queue),
		exporterhelper.WithStart(func(ctx context.Context, host component.Host) error {
			if err := to.Start(ctx, host); err != nil {
				return err
			}
			return aside.Start(ctx, host)
		}),
		exporterhelper.WithShutdown(func(ctx context.Context) error {
			if err := aside.Shutdown(ctx); err != nil {
				return err
			}
			return to.Shutdown(ctx)
		}),
	)...)
}

// quiet returns settings for an exporter whose every attempt would otherwise be counted and logged as a delivery of its
// own.
func quiet(set exporter.Settings) exporter.Settings {
	set.MeterProvider, set.TracerProvider = noopmetric.NewMeterProvider(), nooptrace.NewTracerProvider()
	set.Logger = set.Logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core { return withoutErrors{core} }))
	return set
}

// withoutErrors is a core that leaves out what the exporter says of each failed attempt. Its warnings stay.
type withoutErrors struct{ zapcore.Core }

func (c withoutErrors) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if entry.Level == zapcore.ErrorLevel {
		return checked
	}
	return c.Core.Check(entry, checked)
}

func (c withoutErrors) With(fields []zapcore.Field) zapcore.Core {
	return withoutErrors{c.Core.With(fields)}
}
