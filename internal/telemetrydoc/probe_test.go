package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/internal/probe"
	"github.com/sockscope/sockscope/internal/upstream"
)

// probeTimeout is how long a probe takes that waits in vain, and the next one comes right after it.
const probeTimeout = 2 * time.Second

// driveProbe has a probe try a demo that delivers nothing, and then does.
func driveProbe() (e *exports, err error) {
	dir, err := os.MkdirTemp("", "telemetrydoc-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	store, err := history.OpenFile(filepath.Join(dir, "history.db"), history.Limits{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	service, err := newDemo(store)
	if err != nil {
		return nil, err
	}
	server := httptest.NewServer(service.Handler())
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { _ = service.Run(ctx) }) // an error shows in what the probe says

	e = &exports{records: newRecords()}
	prober, err := newProber(server.URL, e.records)
	if err != nil {
		return nil, err
	}
	if err := dropDeliveries(ctx, http.MethodPut, server.URL); err != nil {
		return nil, err
	}
	running.Go(func() { prober.Run(ctx) })
	err = errors.Join(
		e.records.await(ctx, "probe failed"),
		dropDeliveries(ctx, http.MethodDelete, server.URL),
		e.records.await(ctx, "probe succeeds again"),
	)
	if err != nil {
		return nil, err
	}
	if e.families, err = gather(prober); err != nil {
		return nil, err
	}
	certificate, err := driveStranger(ctx)
	e.families = append(certificate, e.families...) // in their order
	return e, err
}

// driveStranger has a probe meet a server whose certificate nobody knows, and returns the metric about that.
func driveStranger(ctx context.Context) ([]*dto.MetricFamily, error) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	records := newRecords()
	prober, err := newProber(server.URL, records)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { prober.Run(ctx) })
	if err := records.await(ctx, "probe failed"); err != nil {
		return nil, err
	}
	families, err := gather(prober)
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return !strings.Contains(f.GetName(), "_certificate_") }), err
}

func gather(c prometheus.Collector) ([]*dto.MetricFamily, error) {
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		return nil, err
	}
	return registry.Gather()
}

// newDemo makes a demo that samples every message.
func newDemo(store history.Store) (*demo.Server, error) {
	key, err := auth.LoadKey("")
	if err != nil {
		return nil, err
	}
	authority, err := auth.New(key)
	if err != nil {
		return nil, err
	}
	return demo.New(demo.Config{
		Authority: authority, History: store, TracerProvider: sdktrace.NewTracerProvider(), SampleRatio: 1,
	})
}

func newProber(url string, records *records) (*probe.Prober, error) {
	target, err := probe.ParseTarget("{target}=" + strings.Replace(url, "http", "ws", 1))
	if err != nil {
		return nil, err
	}
	tokens, err := upstream.TokensFrom("")
	if err != nil {
		return nil, err
	}
	return probe.New(probe.Config{
		Targets: []probe.Target{target}, Interval: probeTimeout, Timeout: probeTimeout, Tokens: tokens,
		Logger: slog.New(slog.NewJSONHandler(records, nil)),
	})
}

// dropDeliveries switches that fault of the demo.
func dropDeliveries(ctx context.Context, method, url string) error {
	const body = `{"strength": 1, "duration": "10m"}`
	req, err := http.NewRequestWithContext(ctx, method, url+"/fault/dropped_deliveries", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("switch a fault: %s", resp.Status)
	}
	return nil
}
