package telemetry

import (
	"context"
	"net"
	"sync"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// collector is an OTLP receiver that can be away or hang, at one address.
type collector struct {
	coltrace.UnimplementedTraceServiceServer

	t       *testing.T
	address string

	mu     sync.Mutex
	server *grpc.Server
	answer func(context.Context) error // nil: accepts
	spans  []*traces.ResourceSpans
	logs   []*logs.ResourceLogs
}

// newCollector returns a collector that does not listen yet.
func newCollector(t *testing.T) *collector {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{t: t, address: listener.Addr().String()}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+c.address)
	t.Setenv("OTEL_LOGS_EXPORTER", "none")
	t.Cleanup(c.stop)
	return c
}

// serve listens and answers each export as answer says; nil accepts.
func (c *collector) serve(answer func(context.Context) error) {
	c.t.Helper()
	c.stop()
	listener, err := net.Listen("tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	server := grpc.NewServer()
	coltrace.RegisterTraceServiceServer(server, c)
	collogs.RegisterLogsServiceServer(server, logsService{collector: c})
	c.mu.Lock()
	c.server, c.answer = server, answer
	c.mu.Unlock()
	go func() { _ = server.Serve(listener) }() // which returns when the server is stopped
}

func (c *collector) stop() {
	c.mu.Lock()
	server := c.server
	c.server = nil
	c.mu.Unlock()
	if server != nil {
		server.Stop()
	}
}

// hang never answers.
func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func (c *collector) Export(ctx context.Context, r *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	if err := c.take(ctx, func() { c.spans = append(c.spans, r.GetResourceSpans()...) }); err != nil {
		return nil, err
	}
	return &coltrace.ExportTraceServiceResponse{}, nil
}

type logsService struct {
	collogs.UnimplementedLogsServiceServer
	*collector
}

func (s logsService) Export(ctx context.Context, r *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	if err := s.take(ctx, func() { s.logs = append(s.logs, r.GetResourceLogs()...) }); err != nil {
		return nil, err
	}
	return &collogs.ExportLogsServiceResponse{}, nil
}

func (c *collector) take(ctx context.Context, keep func()) error {
	c.mu.Lock()
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		if err := answer(ctx); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	keep()
	return nil
}

// spanNames returns the names of all spans that were accepted.
func (c *collector) spanNames() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range c.spans {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				names = append(names, span.GetName())
			}
		}
	}
	return names
}

// records returns all log records that were accepted.
func (c *collector) records() (records []*logs.LogRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range c.logs {
		for _, scope := range resource.GetScopeLogs() {
			records = append(records, scope.GetLogRecords()...)
		}
	}
	return records
}

// plain returns attributes as a map of Go values.
func plain(attrs []*common.KeyValue) map[string]any {
	m := map[string]any{}
	for _, kv := range attrs {
		switch v := kv.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			m[kv.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			m[kv.GetKey()] = v.IntValue
		case *common.AnyValue_DoubleValue:
			m[kv.GetKey()] = v.DoubleValue
		case *common.AnyValue_BoolValue:
			m[kv.GetKey()] = v.BoolValue
		}
	}
	return m
}
