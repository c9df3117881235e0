package sieve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a store that takes items, by "service/item", and answers as rule says.
type fake struct {
	mu    sync.Mutex
	took  map[string]int
	asked int
	// rule returns an HTTP status for a request's items.
	rule func(items []string) int
}

func (s *fake) answer(items []string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	code := s.rule(items)
	if code == http.StatusOK {
		for _, item := range items {
			s.took[item]++
		}
	}
	return code
}

func (s *fake) set(rule func(items []string) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rule = rule
}

// has returns an error unless the store has exactly these items, each once.
func (s *fake) has(want ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := slices.Sorted(maps.Keys(s.took))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("the store has %v, want %v", got, want)
	}
	for item, times := range s.took {
		if times != 1 {
			return fmt.Errorf("the store has %s %d times", item, times)
		}
	}
	return nil
}

// hasSome returns an error unless the store has the item.
func (s *fake) hasSome(item string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.took[item] == 0 {
		return fmt.Errorf("the store lacks %s", item)
	}
	return nil
}

func newFake(rule func(items []string) int) *fake {
	return &fake{took: make(map[string]int), rule: rule}
}

func (s *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var items []string
	switch r.URL.Path {
	case "/v1/logs":
		request := plogotlp.NewExportRequest()
		err = errors.Join(err, request.UnmarshalProto(body))
		items = logItems(request.Logs())
	case "/v1/traces":
		request := ptraceotlp.NewExportRequest()
		err = errors.Join(err, request.UnmarshalProto(body))
		items = spanItems(request.Traces())
	case "/v1/metrics":
		request := pmetricotlp.NewExportRequest()
		err = errors.Join(err, request.UnmarshalProto(body))
		items = pointItems(request.Metrics())
	}
	if err != nil {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	w.WriteHeader(s.answer(items))
}

func logItems(ld plog.Logs) []string {
	var items []string
	for _, r := range ld.ResourceLogs().All() {
		for _, s := range r.ScopeLogs().All() {
			for _, l := range s.LogRecords().All() {
				items = append(items, senderOf(r.Resource())+"/"+l.Body().Str())
			}
		}
	}
	return items
}

func spanItems(td ptrace.Traces) []string {
	var items []string
	for _, r := range td.ResourceSpans().All() {
		for _, s := range r.ScopeSpans().All() {
			for _, span := range s.Spans().All() {
				items = append(items, senderOf(r.Resource())+"/"+span.Name())
			}
		}
	}
	return items
}

func pointItems(md pmetric.Metrics) []string {
	var items []string
	for _, r := range md.ResourceMetrics().All() {
		add := func(at pcommon.Timestamp) { items = append(items, fmt.Sprintf("%s/%d", senderOf(r.Resource()), at)) }
		for _, s := range r.ScopeMetrics().All() {
			for _, m := range s.Metrics().All() {
				switch m.Type() {
				case pmetric.MetricTypeGauge:
					each(m.Gauge().DataPoints().All(), add)
				case pmetric.MetricTypeSum:
					each(m.Sum().DataPoints().All(), add)
				case pmetric.MetricTypeHistogram:
					each(m.Histogram().DataPoints().All(), add)
				case pmetric.MetricTypeExponentialHistogram:
					each(m.ExponentialHistogram().DataPoints().All(), add)
				case pmetric.MetricTypeSummary:
					each(m.Summary().DataPoints().All(), add)
				}
			}
		}
	}
	return items
}

func each[P interface{ Timestamp() pcommon.Timestamp }](points iter.Seq2[int, P], add func(pcommon.Timestamp)) {
	for _, p := range points {
		add(p.Timestamp())
	}
}

// logsOf makes a batch of "service/item".
func logsOf(items ...string) plog.Logs {
	ld := plog.NewLogs()
	for _, item := range items {
		service, body, _ := strings.Cut(item, "/")
		r := ld.ResourceLogs().AppendEmpty()
		r.Resource().Attributes().PutStr("service.name", service)
		r.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr(body)
	}
	return ld
}

func tracesOf(items ...string) ptrace.Traces {
	td := ptrace.NewTraces()
	for _, item := range items {
		service, name, _ := strings.Cut(item, "/")
		r := td.ResourceSpans().AppendEmpty()
		r.Resource().Attributes().PutStr("service.name", service)
		r.ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName(name)
	}
	return td
}

// metricsOf has the points 1 to 10 of a service: two of each type.
func metricsOf(service string) pmetric.Metrics {
	md := pmetric.NewMetrics()
	r := md.ResourceMetrics().AppendEmpty()
	r.Resource().Attributes().PutStr("service.name", service)
	all := r.ScopeMetrics().AppendEmpty().Metrics()
	at := pcommon.Timestamp(0)
	next := func() pcommon.Timestamp { at++; return at }
	gauge, sum, histogram := all.AppendEmpty().SetEmptyGauge(), all.AppendEmpty().SetEmptySum(), all.AppendEmpty().SetEmptyHistogram()
	exponential, summary := all.AppendEmpty().SetEmptyExponentialHistogram(), all.AppendEmpty().SetEmptySummary()
	for range 2 {
		gauge.DataPoints().AppendEmpty().SetTimestamp(next())
		sum.DataPoints().AppendEmpty().SetTimestamp(next())
		histogram.DataPoints().AppendEmpty().SetTimestamp(next())
		exponential.DataPoints().AppendEmpty().SetTimestamp(next())
		summary.DataPoints().AppendEmpty().SetTimestamp(next())
	}
	return md
}

// rig is a factory's exporters with little patience, and what they count.
type rig struct {
	factory  exporter.Factory
	settings exporter.Settings
	config   component.Config
	metrics  *componenttest.Telemetry
}

func newRig(t *testing.T, endpoint string) *rig {
	t.Helper()
	telemetry := componenttest.NewTelemetry()
	t.Cleanup(func() { _ = telemetry.Shutdown(context.Background()) })
	r := &rig{metrics: telemetry}
	queue := configoptional.Some(exporterhelper.NewDefaultQueueConfig())
	queue.Get().NumConsumers = 2
	queue.Get().QueueSize = 100
	retry := configretry.BackOffConfig{Enabled: true, InitialInterval: time.Millisecond, Multiplier: 1, MaxInterval: 2 * time.Millisecond}
	if address, ok := strings.CutPrefix(endpoint, "grpc://"); ok {
		r.factory = newFactory(otlpexporter.NewFactory(), splitGRPC, 50*time.Millisecond)
		config := r.factory.CreateDefaultConfig().(*otlpexporter.Config)
		config.ClientConfig.Endpoint, config.ClientConfig.TLS.Insecure = address, true
		config.QueueConfig, config.RetryConfig = queue, retry
		r.config = config
	} else {
		r.factory = newFactory(otlphttpexporter.NewFactory(), splitHTTP, 50*time.Millisecond)
		config := r.factory.CreateDefaultConfig().(*otlphttpexporter.Config)
		config.ClientConfig.Endpoint, config.ClientConfig.Compression = endpoint, ""
		config.QueueConfig, config.RetryConfig = queue, retry
		r.config = config
	}
	r.settings = exportertest.NewNopSettings(r.factory.Type())
	r.settings.TelemetrySettings = telemetry.NewTelemetrySettings()
	return r
}

func (r *rig) start(t *testing.T, c component.Component, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func (r *rig) logs(t *testing.T) exporter.Logs {
	t.Helper()
	e, err := r.factory.CreateLogs(t.Context(), r.settings, r.config)
	r.start(t, e, err)
	return e
}

// givenUp returns an error unless this many items of a service are counted as given up.
func (r *rig) givenUp(service string, want int64) error {
	var got int64
	metric, err := r.metrics.GetMetric("sockscope_store_refused_items_total")
	if err == nil {
		for _, p := range metric.Data.(metricdata.Sum[int64]).DataPoints {
			if name, _ := p.Attributes.Value("service"); name.AsString() == service {
				got += p.Value
			}
		}
	}
	if got != want {
		return fmt.Errorf("%d items of %s are given up, want %d", got, service, want)
	}
	return nil
}

func consume[T any](t *testing.T, consume func(context.Context, T) error, data T) {
	t.Helper()
	if err := consume(t.Context(), data); err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// having answers with a status if an item contains a text, and otherwise takes them all.
func having(text string, status int) func([]string) int {
	return func(items []string) int {
		if slices.ContainsFunc(items, func(item string) bool { return strings.Contains(item, text) }) {
			return status
		}
		return http.StatusOK
	}
}

// Others' records arrive, and so does what the sender has beside the poison.
func TestInvalidRecordIsGivenUpAlone(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s := newFake(having("poison", status))
			server := httptest.NewServer(s)
			defer server.Close()
			r := newRig(t, server.URL)
			e := r.logs(t)
			consume(t, e.ConsumeLogs, logsOf("a/1", "bad/1", "b/1", "bad/poison", "bad/2", "bad/3", "c/1"))
			eventually(t, func() error { return s.has("a/1", "bad/1", "b/1", "bad/2", "bad/3", "c/1") })
			eventually(t, func() error { return r.givenUp("bad", 1) })
		})
	}
}

func TestInvalidSpanAndPointAreGivenUpAlone(t *testing.T) {
	s := newFake(having("/7", http.StatusBadRequest))
	server := httptest.NewServer(s)
	defer server.Close()
	r := newRig(t, server.URL)
	spans, err := r.factory.CreateTraces(t.Context(), r.settings, r.config)
	r.start(t, spans, err)
	points, err := r.factory.CreateMetrics(t.Context(), r.settings, r.config)
	r.start(t, points, err)
	consume(t, spans.ConsumeTraces, tracesOf("spans/6", "spans/7", "spans/8", "others/8"))
	consume(t, points.ConsumeMetrics, metricsOf("points"))
	eventually(t, func() error {
		return s.has("spans/6", "spans/8", "others/8", "points/1", "points/2", "points/3", "points/4", "points/5", "points/6", "points/8", "points/9", "points/10")
	})
	eventually(t, func() error { return r.givenUp("spans", 1) })
	eventually(t, func() error { return r.givenUp("points", 1) })
}

// Many batches of a sender that has used up a limit delay nobody, and are given up. Their sender is not waited for
// again.
func TestSenderOverItsLimit(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInternalServerError} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s := newFake(having("limited/", status))
			server := httptest.NewServer(s)
			defer server.Close()
			r := newRig(t, server.URL)
			e := r.logs(t)
			var want []string
			const batches = 30
			for i := range batches {
				consume(t, e.ConsumeLogs, logsOf(fmt.Sprint("limited/", i)))
				consume(t, e.ConsumeLogs, logsOf(fmt.Sprint("limited/beside-", i), fmt.Sprint("beside/", i)))
				want = append(want, fmt.Sprint("beside/", i))
			}
			eventually(t, func() error { return s.has(want...) })
			// They are given up while others' are taken.
			for i := 0; r.givenUp("limited", 2*batches) != nil; i++ {
				other := fmt.Sprint("other/", i)
				want = append(want, other)
				consume(t, e.ConsumeLogs, logsOf(other))
				eventually(t, func() error { return s.has(want...) })
			}
		})
	}
}

// A batch that a store answers with 500, while it takes those of other services, is halved, too.
func TestFaultOfTheStoreForOneItem(t *testing.T) {
	s := newFake(having("poison", http.StatusInternalServerError))
	server := httptest.NewServer(s)
	defer server.Close()
	r := newRig(t, server.URL)
	e := r.logs(t)
	consume(t, e.ConsumeLogs, logsOf("bad/1", "bad/poison", "bad/2"))
	want := []string{"bad/1", "bad/2"}
	for i := 0; r.givenUp("bad", 1) != nil; i++ {
		other := fmt.Sprint("other/", i)
		want = append(want, other)
		consume(t, e.ConsumeLogs, logsOf(other))
		eventually(t, func() error { return s.hasSome(other) })
	}
	eventually(t, func() error { return s.has(want...) })
}

// A limit for a short time costs nothing.
func TestSenderWithinItsLimitAgain(t *testing.T) {
	s := newFake(having("limited/", http.StatusTooManyRequests))
	server := httptest.NewServer(s)
	defer server.Close()
	r := newRig(t, server.URL)
	e := r.logs(t)
	consume(t, e.ConsumeLogs, logsOf("limited/1", "other/1"))
	eventually(t, func() error { return s.has("other/1") })
	s.set(having("nothing", 0))
	eventually(t, func() error { return s.has("limited/1", "other/1") })
	if err := r.givenUp("limited", 0); err != nil {
		t.Error(err)
	}
}

// A store that takes nothing is waited for, whatever it answers.
func TestStoreThatTakesNothing(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInternalServerError, http.StatusUnauthorized, http.StatusNotFound} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s := newFake(having("/", status))
			server := httptest.NewServer(s)
			defer server.Close()
			r := newRig(t, server.URL)
			e := r.logs(t)
			var want []string
			for i := range 5 {
				items := []string{fmt.Sprint("a/", i), fmt.Sprint("b/", i)}
				consume(t, e.ConsumeLogs, logsOf(items...))
				want = append(want, items...)
			}
			eventually(t, func() error { // for longer than patience
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.asked < 100 {
					return fmt.Errorf("the store was asked %d times", s.asked)
				}
				return nil
			})
			s.set(having("nothing", 0))
			eventually(t, func() error { return s.has(want...) })
			for _, service := range []string{"a", "b"} {
				if err := r.givenUp(service, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A store that is not there is waited for; there is nothing to send by halves meanwhile.
func TestStoreThatIsAway(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	r := newRig(t, "http://"+listener.Addr().String())
	e := r.logs(t)
	consume(t, e.ConsumeLogs, logsOf("a/1", "b/1"))
	listener, err = net.Listen("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := newFake(having("nothing", 0))
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener)
	defer server.Close()
	eventually(t, func() error { return s.has("a/1", "b/1") })
}

// spanStore takes spans by gRPC.
type spanStore struct {
	ptraceotlp.UnimplementedGRPCServer
	*fake
}

func (s *spanStore) Export(_ context.Context, request ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	switch code := s.answer(spanItems(request.Traces())); code {
	case http.StatusOK:
		return ptraceotlp.NewExportResponse(), nil
	case http.StatusBadRequest:
		return ptraceotlp.NewExportResponse(), status.Error(codes.InvalidArgument, "invalid")
	default:
		return ptraceotlp.NewExportResponse(), status.Error(codes.Unavailable, "key is too long")
	}
}

func TestGRPC(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newFake(func(items []string) int {
		return max(having("poison", http.StatusBadRequest)(items), having("limited/", http.StatusServiceUnavailable)(items))
	})
	server := grpc.NewServer()
	ptraceotlp.RegisterGRPCServer(server, &spanStore{fake: s})
	go server.Serve(listener)
	defer server.Stop()
	r := newRig(t, "grpc://"+listener.Addr().String())
	e, err := r.factory.CreateTraces(t.Context(), r.settings, r.config)
	r.start(t, e, err)
	consume(t, e.ConsumeTraces, tracesOf("a/1", "limited/1", "bad/poison", "bad/1", "b/1"))
	for i := 0; errors.Join(r.givenUp("limited", 1), r.givenUp("bad", 1)) != nil; i++ {
		other := fmt.Sprint("other/", i)
		consume(t, e.ConsumeTraces, tracesOf(other))
		eventually(t, func() error { return s.hasSome(other) })
	}
	for _, item := range []string{"a/1", "bad/1", "b/1"} {
		eventually(t, func() error { return s.hasSome(item) })
	}
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		err  error
		want verdict
	}{
		{nil, taken},
		{errors.New("connection refused"), away},
		{fmt.Errorf("export: %w", status.Error(codes.DeadlineExceeded, "")), away},
		{status.Error(codes.Unavailable, `connection error: desc = "transport: Error while dialing"`), away},
		{status.Error(codes.Unavailable, "key is too long"), busy},
		{status.Error(codes.ResourceExhausted, "limit"), busy},
		{consumererror.NewPermanent(status.Error(codes.ResourceExhausted, "message too large")), invalid},
		{consumererror.NewPermanent(status.Error(codes.Unknown, "responded with HTTP Status Code 500")), broken},
		{consumererror.NewPermanent(status.Error(codes.Unknown, "responded with HTTP Status Code 413")), invalid},
		{consumererror.NewPermanent(status.Error(codes.PermissionDenied, "")), broken},
		{consumererror.NewPermanent(status.Error(codes.InvalidArgument, "")), invalid},
	} {
		if got := judge(test.err); got != test.want {
			t.Errorf("%v: verdict is %d, want %d", test.err, got, test.want)
		}
	}
}

// The number of tries, of senders that are known and of those that are counted by name is bounded.
func TestBounds(t *testing.T) {
	counted := make(map[string]int)
	sent := 0
	s := newSieve(logs(), func(context.Context, plog.Logs) error {
		sent++
		return consumererror.NewPermanent(status.Error(codes.InvalidArgument, ""))
	}, new(store), time.Minute)
	s.logger, s.count = zap.NewNop(), func(service string, items int) { counted[service] += items }
	var all []string
	for i := range 3 * tries {
		all = append(all, fmt.Sprint("bad/", i))
	}
	if err := s.pushAside(t.Context(), logsOf(all...)); err != nil {
		t.Fatal(err)
	}
	if sent > 2*tries+1 || counted["bad"] != 3*tries {
		t.Errorf("%d requests, %d items are given up", sent, counted["bad"])
	}
	for i := range maxSenders + 10 {
		if err := s.pushAside(t.Context(), logsOf(fmt.Sprintf("sender-%d/1", i), fmt.Sprintf("sender-%d/2", i))); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.senders) > maxSenders || len(counted) != maxCounted+1 || counted["other"] == 0 {
		t.Errorf("%d senders are known, %d are counted", len(s.senders), len(counted))
	}
}
