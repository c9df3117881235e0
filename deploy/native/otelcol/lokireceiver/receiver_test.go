package lokireceiver

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPush(t *testing.T) {
	protobuf := string(compressed(t, sample()))
	tests := []struct {
		name, contentType, encoding, body string
		status                            int
		records                           []string
	}{
		{"protobuf", mediaTypeProtobuf, "", protobuf, 204, sampleRecords},
		{"protobuf said to be snappy", mediaTypeProtobuf, "snappy", protobuf, 204, sampleRecords},
		{"JSON", mediaTypeJSON, "", sampleJSON, 204, sampleRecords},
		{"JSON with charset", mediaTypeJSON + "; charset=utf-8", "", sampleJSON, 204, sampleRecords},
		{"JSON, gzip", mediaTypeJSON, "gzip", gzipped(t, sampleJSON), 204, sampleRecords},
		{"no records", mediaTypeJSON, "", `{"streams": [{"stream": {"a": "b"}, "values": []}]}`, 204, nil},
		{"no streams", mediaTypeJSON, "", `{"streams": []}`, 422, nil},
		{"malformed protobuf", mediaTypeProtobuf, "", "nonsense", 400, nil},
		{"malformed JSON", mediaTypeJSON, "", `{"streams": [`, 400, nil},
		{"malformed gzip", mediaTypeJSON, "gzip", sampleJSON, 400, nil},
		{"unknown encoding", mediaTypeJSON, "br", sampleJSON, 400, nil},
		{"large", mediaTypeJSON, "", strings.Repeat(" ", testLimit+1), 413, nil},
		{"large when decompressed", mediaTypeJSON, "gzip", gzipped(t, strings.Repeat(" ", testLimit+1)), 413, nil},
		{"other type", "text/plain", "", "x", 415, nil},
		{"no type", "", "", protobuf, 415, nil},
	}
	sink := new(consumertest.LogsSink)
	url := start(t, receivertest.NewNopSettings(NewFactory().Type()), sink)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sink.Reset()
			status, reason := send(t, url, test.contentType, test.encoding, test.body)
			if status != test.status {
				t.Fatalf("status %d (%s), want %d", status, reason, test.status)
			}
			if status != 204 && reason == "" {
				t.Error("refused without a reason")
			}
			if test.records == nil {
				if n := sink.LogRecordCount(); n != 0 {
					t.Errorf("%d records were passed on", n)
				}
				return
			}
			if len(sink.AllLogs()) != 1 {
				t.Fatalf("%d batches were passed on, want 1", len(sink.AllLogs()))
			}
			expectRecords(t, sink.AllLogs()[0], test.records)
		})
	}
}

func TestPushToOtherPlaces(t *testing.T) {
	url := start(t, receivertest.NewNopSettings(NewFactory().Type()), consumertest.NewNop())
	for _, test := range []struct {
		method, url string
		status      int
	}{
		{http.MethodGet, url, http.StatusMethodNotAllowed},
		{http.MethodPost, strings.TrimSuffix(url, "/push"), http.StatusNotFound},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, test.url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := do(t, request); status != test.status {
			t.Errorf("%s %s: status %d, want %d", test.method, test.url, status, test.status)
		}
	}
}

func TestPushRefusedByThePipeline(t *testing.T) {
	for _, test := range []struct {
		name   string
		err    error
		status int
	}{
		{"back-pressure", errors.New("queue is full"), 503},
		{"permanent", consumererror.NewPermanent(errors.New("can't be")), 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := start(t, receivertest.NewNopSettings(NewFactory().Type()), consumertest.NewErr(test.err))
			status, reason := send(t, url, mediaTypeJSON, "", sampleJSON)
			if status != test.status || !strings.Contains(reason, test.err.Error()) {
				t.Errorf("status %d (%s), want %d with the reason %q", status, reason, test.status, test.err)
			}
		})
	}
}

func TestPushIsCounted(t *testing.T) {
	telemetry := componenttest.NewTelemetry()
	t.Cleanup(func() { _ = telemetry.Shutdown(context.WithoutCancel(t.Context())) })
	set := receivertest.NewNopSettings(NewFactory().Type())
	set.TelemetrySettings = telemetry.NewTelemetrySettings()

	failing := errors.New("queue is full")
	next, err := consumer.NewLogs(func(context.Context, plog.Logs) error { return failing })
	if err != nil {
		t.Fatal(err)
	}
	url := start(t, set, next)
	send(t, url, mediaTypeJSON, "", sampleJSON)
	failing = nil
	send(t, url, mediaTypeProtobuf, "", string(compressed(t, sample())))
	send(t, url, mediaTypeProtobuf, "", "nonsense")

	for name, want := range map[string]int64{
		"otelcol_receiver_accepted_log_records": int64(len(sampleRecords)),
		"otelcol_receiver_refused_log_records":  int64(len(sampleRecords)),
	} {
		if got := sum(t, telemetry, name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
}

func TestShutdownWaitsForPushes(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	next, err := consumer.NewLogs(func(context.Context, plog.Logs) error {
		close(arrived)
		<-release
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r := started(t, receivertest.NewNopSettings(NewFactory().Type()), next)
	answered := make(chan int)
	go func() {
		status, _ := send(t, pushURL(r), mediaTypeJSON, "", sampleJSON)
		answered <- status
	}()
	<-arrived
	stopped := make(chan error)
	go func() { stopped <- r.Shutdown(t.Context()) }()
	select {
	case err := <-stopped:
		t.Fatalf("it did not wait: %v", err)
	case <-waitUntilClosed(t, r):
	}
	close(release)
	if status := <-answered; status != 204 {
		t.Errorf("status %d, want 204", status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestShutdownIsBounded(t *testing.T) {
	arrived := make(chan struct{})
	next, err := consumer.NewLogs(func(ctx context.Context, _ plog.Logs) error {
		close(arrived)
		<-ctx.Done() // ends when the connection is cut
		return ctx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	r := started(t, receivertest.NewNopSettings(NewFactory().Type()), next)
	ended := make(chan error)
	go func() {
		response, err := http.Post(pushURL(r), mediaTypeJSON, strings.NewReader(sampleJSON))
		if err == nil {
			err = response.Body.Close()
		}
		ended <- err
	}()
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
	if err := <-ended; err == nil {
		t.Error("the push was answered")
	}
}

func TestStartNamesTheEndpointThatIsTaken(t *testing.T) {
	first := started(t, receivertest.NewNopSettings(NewFactory().Type()), consumertest.NewNop())
	defer shutdown(t, first)
	config := NewFactory().CreateDefaultConfig().(*Config)
	server := *config.Protocols.HTTP.GetOrInsertDefault()
	server.NetAddr.Endpoint = first.address.String()
	config.Protocols.HTTP = configoptional.Some(server)
	second, err := newReceiver(receivertest.NewNopSettings(NewFactory().Type()), config, consumertest.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(t.Context(), componenttest.NewNopHost()); err == nil || !strings.Contains(err.Error(), first.address.String()) {
		t.Errorf("%v, want an error that names %s", err, first.address)
	}
	if err := second.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// start runs a receiver for the time of the test and returns the URL to push to.
func start(t *testing.T, set receiver.Settings, next consumer.Logs) string {
	t.Helper()
	r := started(t, set, next)
	t.Cleanup(func() { shutdown(t, r) })
	return pushURL(r)
}

func started(t *testing.T, set receiver.Settings, next consumer.Logs) *lokiReceiver {
	t.Helper()
	config := NewFactory().CreateDefaultConfig().(*Config)
	server := config.Protocols.HTTP.GetOrInsertDefault()
	server.NetAddr.Endpoint = "127.0.0.1:0"
	server.MaxRequestBodySize = testLimit
	config.UseIncomingTimestamp = true
	created, err := NewFactory().CreateLogs(t.Context(), set, config, next)
	if err != nil {
		t.Fatal(err)
	}
	if err := created.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	return created.(*lokiReceiver)
}

func shutdown(t *testing.T, r component.Component) {
	t.Helper()
	if err := r.Shutdown(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func pushURL(r *lokiReceiver) string { return "http://" + r.address.String() + pushPath }

// waitUntilClosed returns a channel that is closed when the receiver takes no connections any more.
func waitUntilClosed(t *testing.T, r *lokiReceiver) <-chan struct{} {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for t.Context().Err() == nil {
			response, err := http.Get(pushURL(r))
			if err != nil {
				return
			}
			_ = response.Body.Close()
		}
	}()
	return closed
}

func send(t *testing.T, url, contentType, encoding, body string) (status int, reason string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	request.Header.Set("Content-Type", contentType)
	if encoding != "" {
		request.Header.Set("Content-Encoding", encoding)
	}
	return do(t, request)
}

func do(t *testing.T, request *http.Request) (status int, reason string) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, string(text)
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func sum(t *testing.T, telemetry *componenttest.Telemetry, name string) int64 {
	t.Helper()
	metric, err := telemetry.GetMetric(name)
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for _, point := range metric.Data.(metricdata.Sum[int64]).DataPoints {
		total += point.Value
	}
	return total
}
