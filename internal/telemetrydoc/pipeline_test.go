package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sockscope/sockscope/instrument/telemetry"
)

// drivePipeline exports to a backend that takes nothing.
func drivePipeline() (*exports, error) {
	backend := httptest.NewServer(http.NotFoundHandler())
	defer backend.Close()
	if err := exportTo(backend.URL); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e := &exports{records: newRecords()}
	tel, err := telemetry.Start(ctx, telemetry.WithLogWriter(e.records))
	if err != nil {
		return nil, err
	}
	defer func() {
		cancel()
		_ = tel.Shutdown(ctx) // its error says that nothing was taken
	}()
	if e.families, err = tel.Registry().Gather(); err != nil {
		return nil, err
	}
	e.families = slices.DeleteFunc(e.families, func(f *dto.MetricFamily) bool {
		return strings.HasPrefix(f.GetName(), "go_") || strings.HasPrefix(f.GetName(), "process_")
	})

	spanned, span := tel.TracerProvider().Tracer("").Start(ctx, "{span}")
	tel.Logger().InfoContext(spanned, "{message}", "{field}", 1)
	span.End()
	if err := tel.Registry().Register(prometheus.CollectorFunc(broken)); err != nil {
		return nil, err
	}
	tel.MetricsHandler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return e, errors.Join(
		e.records.await(ctx, "environment variable ignored"),
		e.records.await(ctx, "metrics gathering failed"),
		e.records.await(ctx, "log export failed"),
		e.records.await(ctx, "span export failed"),
	)
}

// exportTo has telemetry export to a URL, whatever the environment said, and adds a mistake.
func exportTo(url string) error {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OTEL_") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	return errors.Join(os.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url), os.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "many"))
}

// broken is a collector that has nothing but an error.
func broken(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "An error.", nil, nil), errors.New("out of order"))
}
