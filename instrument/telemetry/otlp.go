package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// connectTimeout is for one attempt to connect.
const connectTimeout = 5 * time.Second

// otlp holds the settings of one signal's export by OTLP. The exporters get all of them as options, because each reads
// the variables in its own way. Only the headers they read themselves.
type otlp struct {
	protocol string // protocolGRPC or protocolHTTP
	endpoint string // gRPC's target, or the URL for HTTP
	insecure bool   // without TLS
	tls      *tls.Config
	gzip     bool
	timeout  time.Duration
}

// dialOption makes gRPC retry a lost connection within seconds. gRPC's own default goes up to two minutes.
func (o otlp) dialOption() grpc.DialOption {
	return grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: firstBackoff, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxBackoff},
		MinConnectTimeout: connectTimeout,
	})
}

// credentials override a certificate in the environment, which does not apply without TLS.
func (o otlp) credentials() credentials.TransportCredentials {
	if o.insecure {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(o.tls)
}

// client returns an HTTP client whose connections end when they are not used for a minute.
func (o otlp) client() *http.Client {
	return &http.Client{Transport: statusTransport{&http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		TLSClientConfig:   o.tls,
		ForceAttemptHTTP2: true,
		MaxIdleConns:      1,
		IdleConnTimeout:   time.Minute,
	}}}
}

func (o otlp) newSpanExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if o.protocol == protocolHTTP {
		client := o.client()
		opts := []otlptracehttp.Option{
			otlptracehttp.WithEndpointURL(o.endpoint),
			otlptracehttp.WithEncoding(otlptracehttp.EncodingProtobuf),
			otlptracehttp.WithTLSClientConfig(nil), // the client has it
			otlptracehttp.WithHTTPClient(client),
			otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}),
		}
		if o.gzip {
			opts = append(opts, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
		}
		exporter, err := otlptracehttp.New(ctx, opts...)
		if err != nil {
			return nil, fmt.Errorf("exporter of spans: %w", err)
		}
		return httpSpanExporter{exporter, client}, nil
	}
	opts := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(o.endpoint),
		otlptracegrpc.WithTLSCredentials(o.credentials()),
		otlptracegrpc.WithDialOption(o.dialOption()),
		otlptracegrpc.WithTimeout(o.timeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: false}),
	}
	if o.gzip {
		opts = append(opts, otlptracegrpc.WithCompressor("gzip"))
	}
	exporter, err := otlptracegrpc.New(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("exporter of spans: %w", err)
	}
	return grpcSpanExporter{exporter}, nil
}

func (o otlp) newLogExporter(ctx context.Context) (sdklog.Exporter, error) {
	if o.protocol == protocolHTTP {
		client := o.client()
		opts := []otlploghttp.Option{
			otlploghttp.WithEndpointURL(o.endpoint),
			otlploghttp.WithTLSClientConfig(nil), // the client has it
			otlploghttp.WithHTTPClient(client),
			otlploghttp.WithRetry(otlploghttp.RetryConfig{Enabled: false}),
		}
		if o.gzip {
			opts = append(opts, otlploghttp.WithCompression(otlploghttp.GzipCompression))
		}
		exporter, err := otlploghttp.New(ctx, opts...)
		if err != nil {
			return nil, fmt.Errorf("exporter of log records: %w", err)
		}
		return httpLogExporter{exporter, client}, nil
	}
	opts := []otlploggrpc.Option{
		otlploggrpc.WithEndpoint(o.endpoint),
		otlploggrpc.WithTLSCredentials(o.credentials()),
		otlploggrpc.WithDialOption(o.dialOption()),
		otlploggrpc.WithTimeout(o.timeout),
		otlploggrpc.WithRetry(otlploggrpc.RetryConfig{Enabled: false}),
	}
	if o.gzip {
		opts = append(opts, otlploggrpc.WithCompressor("gzip"))
	}
	exporter, err := otlploggrpc.New(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("exporter of log records: %w", err)
	}
	return grpcLogExporter{exporter}, nil
}

// These exporters mark errors that are not worth repeating, which is the only difference between the protocols.
type (
	grpcSpanExporter struct{ sdktrace.SpanExporter }
	grpcLogExporter  struct{ sdklog.Exporter }
	httpSpanExporter struct {
		sdktrace.SpanExporter
		client *http.Client
	}
	httpLogExporter struct {
		sdklog.Exporter
		client *http.Client
	}
)

func (e grpcSpanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	return refusedByGRPC(e.SpanExporter.ExportSpans(ctx, spans))
}

func (e grpcLogExporter) Export(ctx context.Context, records []sdklog.Record) error {
	return refusedByGRPC(e.Exporter.Export(ctx, records))
}

// Shutdown closes the connection even if the time is up.
func (e grpcLogExporter) Shutdown(ctx context.Context) error {
	return e.Exporter.Shutdown(context.WithoutCancel(ctx))
}

func (e httpSpanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	return refusedByHTTP(ctx, func(ctx context.Context) error { return e.SpanExporter.ExportSpans(ctx, spans) })
}

func (e httpSpanExporter) Shutdown(ctx context.Context) error {
	defer e.client.CloseIdleConnections()
	return e.SpanExporter.Shutdown(ctx)
}

func (e httpLogExporter) Export(ctx context.Context, records []sdklog.Record) error {
	return refusedByHTTP(ctx, func(ctx context.Context) error { return e.Exporter.Export(ctx, records) })
}

func (e httpLogExporter) Shutdown(ctx context.Context) error {
	defer e.client.CloseIdleConnections()
	return e.Exporter.Shutdown(ctx)
}

// refusedByGRPC marks err as refused, unless OTLP's specification says to repeat the export after it.
func refusedByGRPC(err error) error {
	if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	switch status.Code(err) {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss, codes.ResourceExhausted:
		return err
	default:
		return refused{err}
	}
}

// refusedByHTTP marks the error of an export as refused, unless there was no answer or OTLP's specification says to
// repeat the export after it. The exporters' errors don't have the status, so the transport notes it.
func refusedByHTTP(ctx context.Context, export func(context.Context) error) error {
	var code int
	err := export(context.WithValue(ctx, statusKey{}, &code))
	if err == nil {
		return nil
	}
	switch code {
	case 0, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return err
	default:
		return refused{err}
	}
}

// statusKey is the key under which a request's context has the *int for the status of the answer.
type statusKey struct{}

// statusTransport notes the status of answers.
type statusTransport struct{ *http.Transport }

func (t statusTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(r)
	if code, ok := r.Context().Value(statusKey{}).(*int); ok && err == nil {
		*code = resp.StatusCode
	}
	return resp, err
}
