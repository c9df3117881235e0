package telemetry

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// protocols are those that a collector can speak.
func protocols() []string { return []string{protocolGRPC, protocolHTTP} }

// collector is an OTLP receiver that can be away or hang, at one address.
type collector struct {
	coltrace.UnimplementedTraceServiceServer

	t        *testing.T
	protocol string
	address  string
	tls      *tls.Config // nil: plaintext

	mu      sync.Mutex
	stop    func()
	answer  func(context.Context) error // nil: accepts
	spans   []*traces.ResourceSpans
	logs    []*logs.ResourceLogs
	headers []map[string][]string // of each export, with names in lower case
	sizes   []int                 // of accepted exports of log records
}

// newCollector returns a collector that does not listen yet, and to which the environment sends spans only.
func newCollector(t *testing.T, protocol string) *collector {
	t.Helper()
	c := &collector{t: t, protocol: protocol, address: freeAddress(t), stop: func() {}}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+c.address)
	t.Setenv("OTEL_LOGS_EXPORTER", "none")
	t.Cleanup(func() { c.stop() })
	return c
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// serve listens and answers each export as answer says; nil accepts.
func (c *collector) serve(answer func(context.Context) error) {
	c.t.Helper()
	c.stop()
	c.mu.Lock()
	c.answer = answer
	c.mu.Unlock()
	listener, err := net.Listen("tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.protocol == protocolHTTP {
		if c.tls != nil {
			listener = tls.NewListener(listener, c.tls)
		}
		server := &http.Server{Handler: http.HandlerFunc(c.serveHTTP)}
		go func() { _ = server.Serve(listener) }() // which returns when the server is closed
		c.stop = func() { _ = server.Close() }
		return
	}
	var opts []grpc.ServerOption
	if c.tls != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(c.tls)))
	}
	server := grpc.NewServer(opts...)
	coltrace.RegisterTraceServiceServer(server, c)
	collogs.RegisterLogsServiceServer(server, logsService{collector: c})
	go func() { _ = server.Serve(listener) }() // which returns when the server is stopped
	c.stop = server.Stop
}

// hang never answers.
func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// refuse answers each export with a code.
func refuse(code codes.Code, text string) func(context.Context) error {
	return func(context.Context) error { return status.Error(code, text) }
}

// outages are the ways in which a collector can be of no use.
func outages() map[string]func(*collector) {
	return map[string]func(*collector){
		"dead":        func(*collector) {},
		"hanging":     func(c *collector) { c.serve(hang) },
		"unavailable": func(c *collector) { c.serve(refuse(codes.Unavailable, "full")) },
	}
}

func (c *collector) Export(ctx context.Context, r *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if err := c.take(ctx, md, func() { c.spans = append(c.spans, r.GetResourceSpans()...) }); err != nil {
		return nil, err
	}
	return &coltrace.ExportTraceServiceResponse{}, nil
}

type logsService struct {
	collogs.UnimplementedLogsServiceServer
	*collector
}

func (s logsService) Export(ctx context.Context, r *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if err := s.take(ctx, md, func() { s.keepLogs(r) }); err != nil {
		return nil, err
	}
	return &collogs.ExportLogsServiceResponse{}, nil
}

func (c *collector) keepLogs(r *collogs.ExportLogsServiceRequest) {
	c.logs = append(c.logs, r.GetResourceLogs()...)
	c.sizes = append(c.sizes, proto.Size(r))
}

func (c *collector) serveHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	headers := map[string][]string{}
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = values
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(r.Body); err != nil {
			c.t.Errorf("unzip an export: %v", err)
			return
		}
	}
	raw, err := io.ReadAll(body) // only then does the server notice that the client has left
	if err != nil {
		return
	}
	var request proto.Message
	var keep func()
	switch r.URL.Path {
	case "/v1/traces":
		spans := &coltrace.ExportTraceServiceRequest{}
		request, keep = spans, func() { c.spans = append(c.spans, spans.GetResourceSpans()...) }
	case "/v1/logs":
		records := &collogs.ExportLogsServiceRequest{}
		request, keep = records, func() { c.keepLogs(records) }
	default:
		http.NotFound(w, r)
		return
	}
	if err := proto.Unmarshal(raw, request); err != nil {
		c.t.Errorf("decode an export: %v", err)
	}
	switch err := c.take(r.Context(), headers, keep); status.Code(err) {
	case codes.OK:
	case codes.Unavailable:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (c *collector) take(ctx context.Context, headers map[string][]string, keep func()) error {
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
	c.headers = append(c.headers, headers)
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
