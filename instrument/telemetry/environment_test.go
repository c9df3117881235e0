package telemetry

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/grpc/codes"
)

// TestFieldCase16StartTakesAnyEnvironment has operators set what they like: Start takes it, and says what it leaves out
// of account.
func TestFieldCase16StartTakesAnyEnvironment(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		want []string // parts of the warnings, one for each
	}{
		{name: "nothing set"},
		{name: "HTTP", env: map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}},
		{name: "JSON", env: map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}},
		{name: "console", env: map[string]string{"OTEL_TRACES_EXPORTER": "console", "OTEL_LOGS_EXPORTER": "console"}},
		{name: "a list", env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp, console", "OTEL_LOGS_EXPORTER": "console,otlp"}},
		{name: "values in any case", env: map[string]string{"OTEL_TRACES_EXPORTER": " None", "OTEL_LOGS_EXPORTER": "OTLP", "OTEL_SDK_DISABLED": "False"}},
		{name: "metrics", env: map[string]string{"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf"}},
		{name: "an address without a scheme", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}},
		{name: "an address of numbers", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4317"}},
		{name: "an address of a socket", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "unix:///run/otel.sock"}},
		{name: "a resolver of gRPC", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "dns:///collector:4317"}},
		{name: "empty", env: map[string]string{
			"OTEL_TRACES_EXPORTER": "", "OTEL_EXPORTER_OTLP_PROTOCOL": " ", "OTEL_BSP_MAX_QUEUE_SIZE": "", "OTEL_SDK_DISABLED": "",
		}},
		{
			name: "unknown exporters",
			env:  map[string]string{"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_LOGS_EXPORTER": "otlp,syslog"},
			want: []string{`OTEL_TRACES_EXPORTER is "zipkin": it may be otlp`, `OTEL_LOGS_EXPORTER is "otlp,syslog"`},
		},
		{
			name: "an unknown protocol",
			env:  map[string]string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "thrift", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
			want: []string{`OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is "thrift": it may be grpc or http/protobuf`},
		},
		{
			name: "no boolean",
			env:  map[string]string{"OTEL_SDK_DISABLED": "1"},
			want: []string{`OTEL_SDK_DISABLED is "1", which is taken as false: it may be true or false`},
		},
		{
			name: "endpoints, whose passwords stay secret",
			env: map[string]string{
				"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
				"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "ftp://me:hunter2@collector",
				"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT":   "http://",
			},
			want: []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not a URL such as http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is not a URL"},
		},
		{
			name: "an endpoint that gRPC can't have",
			env:  map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "%zz"},
			want: []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not a URL such as http://127.0.0.1:4317, nor an address"},
		},
		{
			name: "numbers that the SDK would panic or spin for",
			env: map[string]string{
				"OTEL_BSP_MAX_QUEUE_SIZE": "-1", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "-1", "OTEL_BSP_SCHEDULE_DELAY": "-1",
				"OTEL_BLRP_MAX_QUEUE_SIZE": "9223372036854775807", "OTEL_BLRP_EXPORT_TIMEOUT": "1s",
			},
			want: []string{"OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_MAX_QUEUE_SIZE", "OTEL_BLRP_EXPORT_TIMEOUT"},
		},
		{name: "times without a limit", env: map[string]string{
			"OTEL_EXPORTER_OTLP_TIMEOUT": "0", "OTEL_BSP_EXPORT_TIMEOUT": "0", "OTEL_BSP_SCHEDULE_DELAY": "0", "OTEL_BLRP_SCHEDULE_DELAY": "0",
		}},
		{
			name: "timeouts and compression",
			env:  map[string]string{"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "-1", "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION": "zstd"},
			want: []string{`OTEL_EXPORTER_OTLP_TRACES_TIMEOUT is "-1": it may be a number of milliseconds`, `OTEL_EXPORTER_OTLP_LOGS_COMPRESSION is "zstd": it may be gzip or none`},
		},
		{
			name: "certificates that are not there",
			env: map[string]string{
				"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": "/nowhere/ca.pem",
				"OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE": "/nowhere/client.pem",
			},
			want: []string{"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE names a file that can't be read", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE needs OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"},
		},
		{
			name: "certificates where there is no TLS",
			env:  map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_CERTIFICATE": certificate(t).file},
		},
		{
			name: "certificates where there is no TLS, HTTP",
			env: map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
				"OTEL_EXPORTER_OTLP_CERTIFICATE": certificate(t).file,
			},
		},
		{
			name: "what the SDK reads, and warns of itself",
			env: map[string]string{
				"OTEL_EXPORTER_OTLP_HEADERS": "broken,=x,a=%zz", "OTEL_TRACES_SAMPLER": "xray", "OTEL_TRACES_SAMPLER_ARG": "many",
				"OTEL_SPAN_LINK_COUNT_LIMIT": "many", "OTEL_SPAN_EVENT_COUNT_LIMIT": "-5", "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "-5",
			},
		},
		{
			name: "resource",
			env:  map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "service.namespace,service.name=chat"},
			want: []string{"OTEL_RESOURCE_ATTRIBUTES has parts that are not key=value"},
		},
		{
			name: "what is for spans, and there are none",
			env: map[string]string{
				"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "thrift",
				"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "ftp://x", "OTEL_BSP_MAX_QUEUE_SIZE": "many",
			},
		},
		{
			name: "what is for exports, and there are none",
			env: map[string]string{
				"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_PROTOCOL": "thrift", "OTEL_TRACES_EXPORTER": "zipkin",
				"OTEL_LOGS_EXPORTER": "syslog", "OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://x", "OTEL_BLRP_MAX_QUEUE_SIZE": "many",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			written := newLines()
			tel, err := Start(t.Context(), WithLogWriter(written))
			if err != nil {
				t.Fatalf("Start: %v", err)
			}
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown with nothing to deliver: %v", err)
			}
			warnings := written.all()
			warnings = warnings[:len(warnings)-1] // behind the last line feed
			if len(warnings) != len(tt.want) {
				t.Fatalf("warnings:\n%s\nwant %d", strings.Join(warnings, "\n"), len(tt.want))
			}
			for i, part := range tt.want {
				var line struct{ Level, Msg, Error string }
				if err := json.Unmarshal([]byte(warnings[i]), &line); err != nil {
					t.Fatal(err)
				}
				if line.Level != "warn" || line.Msg != "environment variable ignored" || !strings.Contains(line.Error, part) {
					t.Errorf("warning %s: does not say %s", warnings[i], part)
				}
				if strings.Contains(warnings[i], "hunter2") {
					t.Errorf("warning %s: tells the password", warnings[i])
				}
			}
		})
	}
}

// TestFieldCase16Protocols wants each signal at the endpoint that is for it, by the protocol that is said.
func TestFieldCase16Protocols(t *testing.T) {
	byGRPC, byHTTP := newCollector(t, protocolGRPC), newCollector(t, protocolHTTP)
	byGRPC.serve(nil)
	byHTTP.serve(nil)
	grpcURL, httpURL := "http://"+byGRPC.address, "http://"+byHTTP.address
	tests := []struct {
		name         string
		env          map[string]string
		traces, logs *collector
	}{
		{name: "default", env: map[string]string{"ENDPOINT": grpcURL}, traces: byGRPC, logs: byGRPC},
		{name: "HTTP", env: map[string]string{"PROTOCOL": "http/protobuf", "ENDPOINT": httpURL}, traces: byHTTP, logs: byHTTP},
		{name: "HTTP, with a slash", env: map[string]string{"PROTOCOL": "http/protobuf", "ENDPOINT": httpURL + "/"}, traces: byHTTP, logs: byHTTP},
		{name: "JSON", env: map[string]string{"PROTOCOL": "http/json", "ENDPOINT": httpURL}, traces: byHTTP, logs: byHTTP},
		{
			name: "one by HTTP",
			env: map[string]string{
				"ENDPOINT": grpcURL, "TRACES_PROTOCOL": "http/protobuf", "TRACES_ENDPOINT": httpURL + "/v1/traces",
			},
			traces: byHTTP, logs: byGRPC,
		},
		{
			name: "one by gRPC",
			env: map[string]string{
				"PROTOCOL": "http/protobuf", "ENDPOINT": httpURL, "TRACES_PROTOCOL": "grpc", "TRACES_ENDPOINT": grpcURL,
			},
			traces: byGRPC, logs: byHTTP,
		},
		{
			name:   "gRPC without a scheme",
			env:    map[string]string{"ENDPOINT": byGRPC.address, "INSECURE": "true"},
			traces: byGRPC, logs: byGRPC,
		},
		{
			name:   "a certificate where there is no TLS",
			env:    map[string]string{"ENDPOINT": grpcURL, "INSECURE": "false", "CERTIFICATE": certificate(t).file},
			traces: byGRPC, logs: byGRPC,
		},
		{
			name:   "a certificate where there is no TLS, HTTP",
			env:    map[string]string{"PROTOCOL": "http/protobuf", "ENDPOINT": httpURL, "CERTIFICATE": certificate(t).file},
			traces: byHTTP, logs: byHTTP,
		},
		{
			name:   "what is not understood is not set",
			env:    map[string]string{"ENDPOINT": grpcURL, "TRACES_ENDPOINT": "http://", "LOGS_PROTOCOL": "thrift", "TIMEOUT": "soon"},
			traces: byGRPC, logs: byGRPC,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, name := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_LOGS_EXPORTER"} {
				t.Setenv(name, "")
			}
			for name, value := range tt.env {
				t.Setenv("OTEL_EXPORTER_OTLP_"+name, value)
			}
			spans, records := len(tt.traces.spanNames()), len(tt.logs.records())
			sendBoth(t)
			if got := len(tt.traces.spanNames()) - spans; got != 1 {
				t.Errorf("%d spans by %s, want 1", got, tt.traces.protocol)
			}
			if got := len(tt.logs.records()) - records; got != 1 {
				t.Errorf("%d records by %s, want 1", got, tt.logs.protocol)
			}
		})
	}
}

// sendBoth exports one span and one log record.
func sendBoth(t *testing.T) {
	t.Helper()
	tel := start(t, WithLogWriter(io.Discard))
	endSpan(tel, "x")
	tel.Logger().Info("x")
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestFieldCase16OTLPSettings has both signals use the variables that are for every exporter.
func TestFieldCase16OTLPSettings(t *testing.T) {
	for _, protocol := range protocols() {
		t.Run(protocol, func(t *testing.T) {
			cert := certificate(t)
			clients := x509.NewCertPool()
			clients.AddCert(cert.leaf)
			c := newCollector(t, protocol)
			c.tls = &tls.Config{
				Certificates: []tls.Certificate{cert.pair}, NextProtos: []string{"h2", "http/1.1"},
				ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
			}
			if protocol == protocolHTTP {
				c.tls.NextProtos = nil // the listener is not the server's own, so it has HTTP/1.1 only
			}
			c.serve(nil)
			t.Setenv("OTEL_LOGS_EXPORTER", "")
			for name, value := range map[string]string{
				"ENDPOINT": "https://" + c.address, "CERTIFICATE": cert.file, "CLIENT_CERTIFICATE": cert.file, "CLIENT_KEY": cert.key,
				"HEADERS": "api-key=a%20b, tenant = x", "COMPRESSION": "gzip",
			} {
				t.Setenv("OTEL_EXPORTER_OTLP_"+name, value)
			}
			sendBoth(t)
			if len(c.spanNames()) != 1 || len(c.records()) != 1 {
				t.Fatalf("%d spans and %d records, want 1 and 1", len(c.spanNames()), len(c.records()))
			}
			for _, h := range c.headers {
				got := map[string][]string{"api-key": h["api-key"], "tenant": h["tenant"]}
				if diff := cmp.Diff(map[string][]string{"api-key": {"a b"}, "tenant": {"x"}}, got); diff != "" {
					t.Errorf("headers (-want +got):\n%s", diff)
				}
				if protocol == protocolHTTP {
					if diff := cmp.Diff([]string{"gzip"}, h["content-encoding"]); diff != "" {
						t.Errorf("encoding (-want +got):\n%s", diff)
					}
				}
			}
		})
	}
}

// TestFieldCase16Timeouts has a collector that hangs be left after the timeout, and a batch be given up.
func TestFieldCase16Timeouts(t *testing.T) {
	for _, protocol := range protocols() {
		t.Run(protocol, func(t *testing.T) {
			c := newCollector(t, protocol)
			t.Setenv("OTEL_LOGS_EXPORTER", "")
			t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "50")
			t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
			t.Setenv("OTEL_BLRP_SCHEDULE_DELAY", "10")
			t.Setenv("OTEL_BSP_EXPORT_TIMEOUT", "300")
			t.Setenv("OTEL_BLRP_EXPORT_TIMEOUT", "300")
			c.serve(hang)
			written := newLines()
			tel := start(t, WithLogWriter(written))
			endSpan(tel, "lost")
			tel.Logger().Info("lost")
			written.find(t, `"msg":"span export failed"`)
			written.find(t, `"msg":"log export failed"`)
			eventually(t, "the record is given up", func() bool {
				return gatherLogMetrics(t, tel.Registry()) == logMetrics{failed: 1}
			})
		})
	}
}

func TestFieldCase16SDKDisabled(t *testing.T) {
	for _, tt := range []struct {
		value    string
		disabled bool
	}{{"true", true}, {"TRUE", true}, {" True ", true}, {"false", false}, {"1", false}, {"yes", false}, {"", false}} {
		t.Run(tt.value, func(t *testing.T) {
			c := newCollector(t, protocolGRPC)
			c.serve(nil)
			t.Setenv("OTEL_LOGS_EXPORTER", "")
			t.Setenv("OTEL_SDK_DISABLED", tt.value)
			written := newLines()
			tel := start(t, WithLogWriter(written))
			_, span := tel.TracerProvider().Tracer("test").Start(t.Context(), "x")
			span.End()
			if span.SpanContext().IsValid() == tt.disabled {
				t.Errorf("spans are recorded: %t", !tt.disabled)
			}
			tel.Logger().Info("written all the same")
			written.find(t, `"msg":"written all the same"`)
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := logMetrics{sent: 1}
			if tt.disabled {
				want = logMetrics{}
			}
			if got := gatherLogMetrics(t, tel.Registry()); got != want {
				t.Errorf("metrics %+v, want %+v", got, want)
			}
		})
	}
}

// TestFieldCase16Console has spans on stderr, alone and beside a collector.
func TestFieldCase16Console(t *testing.T) {
	for value, collected := range map[string]int{"console": 0, "otlp,console": 1} {
		t.Run(value, func(t *testing.T) {
			c := newCollector(t, protocolGRPC)
			c.serve(nil)
			t.Setenv("OTEL_TRACES_EXPORTER", value)
			t.Setenv("OTEL_LOGS_EXPORTER", "console")
			stderr := captureStderr(t)
			written := newLines()
			tel := start(t, WithLogWriter(written))
			endSpan(tel, "websocket.handshake")
			tel.Logger().Info("hello")
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := stderr(); !strings.Contains(got, `"Name":"websocket.handshake"`) {
				t.Errorf("stderr %q: want the span", got)
			}
			if lines := written.all(); len(lines) != 2 || !strings.Contains(lines[0], "hello") {
				t.Errorf("written %q: want the record once", lines)
			}
			if len(c.spanNames()) != collected || len(c.records()) != 0 {
				t.Errorf("collected %d spans and %d records, want %d and 0", len(c.spanNames()), len(c.records()), collected)
			}
		})
	}
}

// captureStderr returns a function that returns what was written to stderr.
func captureStderr(t *testing.T) func() string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = file
	t.Cleanup(func() {
		os.Stderr = stderr
		_ = file.Close()
	})
	return func() string {
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// TestFieldCase16SDKVariables looks for the variables that the package comment says the SDK reads.
func TestFieldCase16SDKVariables(t *testing.T) {
	attrs := []attribute.KeyValue{attribute.String("a", "value"), attribute.String("b", "value")}
	tests := []struct {
		name  string
		env   map[string]string
		check func(t *testing.T, c *collector)
	}{
		{
			name: "sampler",
			env:  map[string]string{"OTEL_TRACES_SAMPLER": "always_off"},
			check: func(t *testing.T, c *collector) {
				if names := c.spanNames(); len(names) != 0 {
					t.Errorf("spans %v, want none", names)
				}
			},
		},
		{
			name: "ratio",
			env:  map[string]string{"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"},
			check: func(t *testing.T, c *collector) {
				if names := c.spanNames(); len(names) != 0 {
					t.Errorf("spans %v, want none", names)
				}
			},
		},
		{
			name: "span limits",
			env:  map[string]string{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "1", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3"},
			check: func(t *testing.T, c *collector) {
				got := plain(c.spans[0].GetScopeSpans()[0].GetSpans()[0].GetAttributes())
				if diff := cmp.Diff(map[string]any{"a": "val"}, got); diff != "" {
					t.Errorf("attributes (-want +got):\n%s", diff)
				}
			},
		},
		{
			name: "limits of any attributes",
			env:  map[string]string{"OTEL_ATTRIBUTE_COUNT_LIMIT": "1", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3"},
			check: func(t *testing.T, c *collector) {
				got := plain(c.spans[0].GetScopeSpans()[0].GetSpans()[0].GetAttributes())
				if diff := cmp.Diff(map[string]any{"a": "val"}, got); diff != "" {
					t.Errorf("attributes (-want +got):\n%s", diff)
				}
			},
		},
		{
			name: "log record limits",
			env:  map[string]string{"OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "1", "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3"},
			check: func(t *testing.T, c *collector) {
				got := plain(c.records()[0].GetAttributes())
				if diff := cmp.Diff(map[string]any{"a": "val"}, got); diff != "" {
					t.Errorf("attributes (-want +got):\n%s", diff)
				}
			},
		},
		{
			name: "batches",
			env: map[string]string{
				"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "1",
				"OTEL_BSP_SCHEDULE_DELAY": "60000", "OTEL_BLRP_SCHEDULE_DELAY": "60000",
			},
			check: func(t *testing.T, c *collector) {
				if len(c.headers) != 4 {
					t.Errorf("%d exports of 2 spans and 2 records, want 4", len(c.headers))
				}
			},
		},
		{
			name: "resource",
			env:  map[string]string{"OTEL_SERVICE_NAME": "chat", "OTEL_RESOURCE_ATTRIBUTES": "service.name=x, team=a%2Cb ,broken"},
			check: func(t *testing.T, c *collector) {
				for _, resource := range []map[string]any{plain(c.spans[0].GetResource().GetAttributes()), plain(c.logs[0].GetResource().GetAttributes())} {
					if resource["service.name"] != "chat" || resource["team"] != "a,b" {
						t.Errorf("resource %v", resource)
					}
				}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCollector(t, protocolGRPC)
			c.serve(nil)
			t.Setenv("OTEL_LOGS_EXPORTER", "")
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			tel := start(t, WithLogWriter(io.Discard))
			for range 2 {
				endSpan(tel, "x", attrs...)
				tel.Logger().Info("x", "a", "value", "b", "value")
			}
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			tt.check(t, c)
		})
	}
}

func TestFieldCase16QueueSizes(t *testing.T) {
	c := newLogCollector(t, protocolGRPC)
	t.Setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "5")
	c.serve(refuse(codes.Unavailable, "full"))
	tel := start(t, WithLogWriter(io.Discard))
	for range 100 {
		tel.Logger().Info("x")
	}
	if got := gatherLogMetrics(t, tel.Registry()); got.queued < 5 || got.queued > 10 { // with a batch that is under way
		t.Errorf("metrics %+v: want 5 records queued", got)
	}
	_ = tel.Shutdown(quick(t))
}

func TestStartWithNil(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	tel := start(t, nil, WithLogWriter(io.Discard), WithLogWriter(nil), WithLogLevel(nil), WithRegistry(nil), WithLogExporter(nil))
	tel.Logger().Info("hello")
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	var none *Telemetry
	if err := none.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

type testCertificate struct {
	pair      tls.Certificate
	leaf      *x509.Certificate
	file, key string
}

// certificate makes a certificate for this machine, of its own authority, for servers and clients.
func certificate(t *testing.T) testCertificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	c := testCertificate{
		pair: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, leaf: leaf,
		file: filepath.Join(t.TempDir(), "cert.pem"), key: filepath.Join(t.TempDir(), "key.pem"),
	}
	for path, block := range map[string]*pem.Block{
		c.file: {Type: "CERTIFICATE", Bytes: der}, c.key: {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}
