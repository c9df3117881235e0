package cardinality

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Config is the processor's configuration. Each pipeline has the limits for itself.
type Config struct {
	// MaxResources is how many services are told apart in log records and spans, and how many instances of services in
	// metrics. The default is 2,000.
	MaxResources int `mapstructure:"max_resources"`
	// MaxSeries is how many series there may be, each bucket of a histogram counted as one. The default is 200,000.
	MaxSeries int `mapstructure:"max_series"`
}

// Validate returns an error unless both limits are at least 1.
func (c *Config) Validate() error {
	if c.MaxResources < 1 || c.MaxSeries < 1 {
		return errors.New("max_resources and max_series must be at least 1")
	}
	return nil
}

// NewFactory returns the factory of the processor, for a Collector's list of components.
func NewFactory() processor.Factory {
	changes := processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: true})
	return processor.NewFactory(component.MustNewType("cardinality"),
		func() component.Config { return &Config{MaxResources: 2000, MaxSeries: 200_000} },
		processor.WithLogs(func(ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Logs) (processor.Logs, error) {
			l, err := newLimiter(set, cfg.(*Config), "logs")
			if err != nil {
				return nil, err
			}
			return processorhelper.NewLogs(ctx, set, cfg, next, l.logs, changes)
		}, component.StabilityLevelBeta),
		processor.WithMetrics(func(ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Metrics) (processor.Metrics, error) {
			l, err := newLimiter(set, cfg.(*Config), "metrics")
			if err != nil {
				return nil, err
			}
			return processorhelper.NewMetrics(ctx, set, cfg, next, l.metrics, changes)
		}, component.StabilityLevelBeta),
		processor.WithTraces(func(ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Traces) (processor.Traces, error) {
			l, err := newLimiter(set, cfg.(*Config), "traces")
			if err != nil {
				return nil, err
			}
			return processorhelper.NewTraces(ctx, set, cfg, next, l.traces, changes)
		}, component.StabilityLevelBeta),
	)
}

func newLimiter(set processor.Settings, cfg *Config, signal string) (*limiter, error) {
	overflow, err := set.MeterProvider.Meter("github.com/sockscope/sockscope/deploy/native/otelcol/cardinality").Int64Counter("sockscope_label_overflow_total",
		metric.WithDescription("Values outside of a label's closed set, exported as other."))
	if err != nil {
		return nil, fmt.Errorf("counter of what is renamed: %w", err)
	}
	labels := metric.WithAttributes(attribute.String("label", "service.name"), attribute.String("signal", signal))
	return &limiter{
		resources: newBudget(cfg.MaxResources),
		series:    newBudget(cfg.MaxSeries),
		seed:      maphash.MakeSeed(),
		count:     func(ctx context.Context, items int) { overflow.Add(ctx, int64(items), labels) },
		logger:    set.Logger,
	}, nil
}
