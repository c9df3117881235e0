package telemetry

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// registerRuntime adds the metrics of Go's runtime and of the process, unless the registry has them.
func registerRuntime(r *prometheus.Registry) error {
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		var already prometheus.AlreadyRegisteredError
		if err := r.Register(c); err != nil && !errors.As(err, &already) {
			return fmt.Errorf("register the runtime's metrics: %w", err)
		}
	}
	return nil
}

// newMetricsHandler returns a handler that serves the metrics of r as OpenMetrics (with exemplars), protobuf (with
// native histograms) or text, as the scraper asks. If a collector fails, only its own metrics are missing.
func newMetricsHandler(r *prometheus.Registry, errorLog *slog.Logger) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		ErrorHandling:     promhttp.ContinueOnError,
		ErrorLog:          metricsErrors{newWarning(errorLog, "metrics gathering failed")},
		Registry:          r,
	})
}

// metricsErrors is a promhttp.Logger.
type metricsErrors struct{ failing *warning }

func (m metricsErrors) Println(v ...any) { m.failing.warn(errors.New(fmt.Sprint(v...))) }

// results counts spans or records by the result of their export. The package comment explains the results.
type results struct {
	sent, dropped, failed prometheus.Counter
}

func newResults(r *prometheus.Registry, name, help string) (results, error) {
	all := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"result"})
	return results{
		sent:    all.WithLabelValues("sent"),
		dropped: all.WithLabelValues("dropped"),
		failed:  all.WithLabelValues("failed"),
	}, r.Register(all)
}

func (r results) settle(n int, o outcome) {
	switch o {
	case delivered:
		r.sent.Add(float64(n))
	case rejected:
		r.failed.Add(float64(n))
	case abandoned:
		r.dropped.Add(float64(n))
	}
}

func newSpanCounts(r *prometheus.Registry) (results, error) {
	c, err := newResults(r, "sockscope_spans_total", "Spans to be exported, by what became of them.")
	if err != nil {
		return c, fmt.Errorf("register the metrics of span export: %w", err)
	}
	return c, nil
}

// logCounts counts log records by the result of their export, and those without a result yet.
type logCounts struct {
	results

	undelivered atomic.Int64
}

func newLogCounts(r *prometheus.Registry) (*logCounts, error) {
	records, err := newResults(r, "sockscope_log_records_total", "Log records to be exported, by what became of them.")
	c := &logCounts{results: records}
	queued := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sockscope_log_queue_records",
		Help: "Log records accepted for export and not yet delivered.",
	}, func() float64 { return float64(c.undelivered.Load()) })
	if err := errors.Join(err, r.Register(queued)); err != nil {
		return nil, fmt.Errorf("register the metrics of log export (a registry serves one Start): %w", err)
	}
	return c, nil
}

// settle counts n accepted records by their result.
func (c *logCounts) settle(n int, o outcome) {
	c.results.settle(n, o)
	c.undelivered.Add(-int64(n))
}
