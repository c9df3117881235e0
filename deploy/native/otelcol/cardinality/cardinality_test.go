package cardinality

import (
	"context"
	"fmt"
	"hash/maphash"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// from is the context of a request from an address.
func from(address string) context.Context {
	return client.NewContext(context.Background(), client.Info{Addr: &net.TCPAddr{IP: net.ParseIP(address), Port: 4711}})
}

// TestBudget has owners take what they can, and asks what is left for others.
func TestBudget(t *testing.T) {
	const places = 1000
	now := time.Now()
	b := newBudget(places)
	key := uint64(0)
	takeAll := func(by owners, size int) (taken int) {
		for range places {
			key++
			if b.admit(now, key, size, by) {
				taken += size
			}
		}
		return taken
	}
	const here, there = 1, 2
	if got := takeAll(owners{service: 10, process: 20, address: here}, 1); got != places/2 {
		t.Errorf("the first service takes %d places of %d", got, places)
	}
	if got := takeAll(owners{service: 10, process: 21, address: here}, 1); got != 0 {
		t.Errorf("by another process it takes %d more", got)
	}
	if got := takeAll(owners{service: 11, process: 20, address: here}, 1); got != 0 {
		t.Errorf("as another service, the process takes %d more", got)
	}
	if got := takeAll(owners{service: 12, process: 22, address: here}, 10); got != 250 {
		t.Errorf("a second service takes %d places, in tens", got)
	}
	for i := range uint64(100) {
		takeAll(owners{service: 100 + i, process: 1000 + i, address: here}, 1)
	}
	if free := places - b.used; free < places/5 {
		t.Errorf("one address leaves %d places", free)
	}
	if got := takeAll(owners{service: 13, process: 23, address: there}, 1); got < 50 {
		t.Errorf("another address takes %d places", got)
	}
	if got := takeAll(owners{}, 1000); got != 0 {
		t.Errorf("what needs more than there is takes %d places", got)
	}
	if !b.admit(now, 1, 1, owners{service: 10, process: 20, address: here}) {
		t.Error("who has a place loses it")
	}

	// A key that is seen keeps its place. Nothing is left of the others.
	for _, after := range []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour} {
		if !b.admit(now.Add(after), 1, 1, owners{service: 10, process: 20, address: here}) {
			t.Errorf("after %v a key that was seen has lost its place", after)
		}
	}
	if b.used != 1 || len(b.keys) != 1 || len(b.taken) != 3 {
		t.Errorf("after three hours %d places are used by %d keys of %d owners", b.used, len(b.keys), len(b.taken))
	}
	b.admit(now.Add(6*time.Hour), 2, 1, owners{})
	if b.used != 1 || len(b.keys) != 1 || len(b.taken) != 0 {
		t.Errorf("at the end %d places are used by %d keys of %d owners", b.used, len(b.keys), len(b.taken))
	}
}

// TestConfig has limits that are none.
func TestConfig(t *testing.T) {
	for _, cfg := range []*Config{{}, {MaxResources: 1}, {MaxSeries: 1}, {MaxResources: -1, MaxSeries: 1}} {
		if cfg.Validate() == nil {
			t.Errorf("%+v is valid", cfg)
		}
	}
	if err := componenttest.CheckConfigStruct(NewFactory().CreateDefaultConfig()); err != nil {
		t.Error(err)
	}
	if err := NewFactory().CreateDefaultConfig().(*Config).Validate(); err != nil {
		t.Error(err)
	}
}

// TestRename has more services than there may be in spans and log records.
func TestRename(t *testing.T) {
	telemetry := componenttest.NewTelemetry()
	set := processortest.NewNopSettings(NewFactory().Type())
	set.TelemetrySettings = telemetry.NewTelemetrySettings()
	cfg := &Config{MaxResources: 10, MaxSeries: 1}
	tracesTo, logsTo := new(consumertest.TracesSink), new(consumertest.LogsSink)
	traces, err := NewFactory().CreateTraces(t.Context(), set, cfg, tracesTo)
	if err != nil {
		t.Fatal(err)
	}
	logs, err := NewFactory().CreateLogs(t.Context(), set, cfg, logsTo)
	if err != nil {
		t.Fatal(err)
	}
	send := func(service, host string) (names []string) {
		t.Helper()
		tracesTo.Reset()
		logsTo.Reset()
		describe := func(r pcommon.Resource) {
			r.Attributes().PutStr("service.name", service)
			r.Attributes().PutStr("service.namespace", "tests")
			r.Attributes().PutStr("host.name", host)
		}
		td, ld := ptrace.NewTraces(), plog.NewLogs()
		spans := td.ResourceSpans().AppendEmpty()
		describe(spans.Resource())
		spans.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		records := ld.ResourceLogs().AppendEmpty()
		describe(records.Resource())
		records.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		if err := traces.ConsumeTraces(from("127.0.0.1"), td); err != nil {
			t.Fatal(err)
		}
		if err := logs.ConsumeLogs(from("127.0.0.1"), ld); err != nil {
			t.Fatal(err)
		}
		for _, r := range []pcommon.Resource{tracesTo.AllTraces()[0].ResourceSpans().At(0).Resource(), logsTo.AllLogs()[0].ResourceLogs().At(0).Resource()} {
			got := fmt.Sprint(r.Attributes().AsRaw())
			want := fmt.Sprintf("map[host.name:%s service.name:%s service.namespace:tests]", host, service)
			if strings.Contains(got, "original") {
				want = fmt.Sprintf("map[host.name:%s service.name:other service.name.original:%s service.namespace.original:tests]", host, service)
			}
			if got != want {
				t.Errorf("the resource is %s, want %s", got, want)
			}
			name, _ := r.Attributes().Get("service.name")
			names = append(names, name.Str())
		}
		return names
	}
	for i := range 20 {
		service := fmt.Sprint("made-up-", i)
		want := []string{service, service}
		if i >= 5 {
			want = []string{"other", "other"}
		}
		if got := send(service, "a"); !slices.Equal(got, want) {
			t.Errorf("service %d is %q, want %q", i, got, want)
		}
	}
	for service, host := range map[string]string{"made-up-0": "a", "good": "b"} {
		if got := send(service, host); !slices.Equal(got, []string{service, service}) {
			t.Errorf("%s on %s is %q", service, host, got)
		}
	}
	for _, signal := range []string{"logs", "traces"} {
		if got := overflow(t, telemetry, signal); got != 15 {
			t.Errorf("%d are counted in %s, want 15", got, signal)
		}
	}
}

func overflow(t *testing.T, telemetry *componenttest.Telemetry, signal string) int64 {
	t.Helper()
	found, err := telemetry.GetMetric("sockscope_label_overflow_total")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range found.Data.(metricdata.Sum[int64]).DataPoints {
		if s, _ := p.Attributes.Value("signal"); s.AsString() == signal {
			return p.Value
		}
	}
	return 0
}

// points sends metrics with one point of each type, and returns why they are refused, "" if they aren't, and the
// resource.
func points(ctx context.Context, t *testing.T, l *limiter, service, instance string, attributes map[string]any) ([]string, map[string]any) {
	t.Helper()
	md := pmetric.NewMetrics()
	r := md.ResourceMetrics().AppendEmpty()
	r.Resource().Attributes().PutStr("service.name", service)
	r.Resource().Attributes().PutStr("service.instance.id", instance)
	r.Resource().Attributes().PutStr("run", fmt.Sprint(attributes["run"]))
	all := r.ScopeMetrics().AppendEmpty().Metrics()
	var of []pcommon.Map
	add := func(name string) pmetric.Metric {
		m := all.AppendEmpty()
		m.SetName(name)
		return m
	}
	of = append(of, add("gauge").SetEmptyGauge().DataPoints().AppendEmpty().Attributes(), add("sum").SetEmptySum().DataPoints().AppendEmpty().Attributes())
	h := add("histogram").SetEmptyHistogram().DataPoints().AppendEmpty()
	h.BucketCounts().FromRaw([]uint64{1, 2, 3})
	of = append(of, h.Attributes(), add("exponential").SetEmptyExponentialHistogram().DataPoints().AppendEmpty().Attributes())
	s := add("summary").SetEmptySummary().DataPoints().AppendEmpty()
	s.QuantileValues().AppendEmpty()
	of = append(of, s.Attributes())
	for _, m := range of {
		if err := m.FromRaw(attributes); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.metrics(ctx, md); err != nil {
		t.Fatal(err)
	}
	var why []string
	for _, m := range of {
		reason, _ := m.AsRaw()[refused].(string)
		why = append(why, reason)
	}
	return why, r.Resource().Attributes().AsRaw()
}

func testLimiter(t *testing.T, resources, series int) *limiter {
	t.Helper()
	l, err := newLimiter(processortest.NewNopSettings(NewFactory().Type()), &Config{MaxResources: resources, MaxSeries: series}, "metrics")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestSeries has a label that is a new one with each request.
func TestSeries(t *testing.T) {
	const perRequest = 1 + 1 + 5 + 1 + 3
	l := testLimiter(t, 100, 20*perRequest)
	good := func() {
		t.Helper()
		why, _ := points(from("127.0.0.1"), t, l, "good", "1", map[string]any{"a": "x", "b": int64(2), "c": 0.5, "d": true})
		if got := strings.Join(why, ""); got != "" {
			t.Errorf("the good service's points are refused for %s", got)
		}
	}
	good()
	var last []string
	for i := range 100 {
		last, _ = points(from("127.0.0.1"), t, l, "bad", "1", map[string]any{"user": int64(i)})
		good()
	}
	if got := strings.Join(last, ""); got != strings.Repeat(tooManySeries, len(last)) {
		t.Errorf("at last they are %q", last)
	}
	if got := len(l.series.keys); got > 20*len(last) {
		t.Errorf("%d series are known", got)
	}
	// Those that were known still pass, and so does another's new one.
	first, _ := points(from("127.0.0.1"), t, l, "bad", "1", map[string]any{"user": int64(0)})
	another, _ := points(from("127.0.0.1"), t, l, "another", "1", map[string]any{"user": int64(0)})
	if got := strings.Join(append(first, another...), ""); got != "" {
		t.Errorf("they are refused for %s", got)
	}
	// A point that is refused already takes no place, and keeps its reason.
	before := l.series.used
	why, _ := points(from("127.0.0.1"), t, l, "another", "1", map[string]any{refused: "scale"})
	if got := strings.Join(why, " "); got != "scale scale scale scale scale" || l.series.used != before {
		t.Errorf("they are refused for %s, and %d places become %d", got, before, l.series.used)
	}
}

// TestTargetInfo has a resource whose other attributes change.
func TestTargetInfo(t *testing.T) {
	l := testLimiter(t, 100, 100)
	for i := range 200 {
		why, resource := points(from("127.0.0.1"), t, l, "restless", "1", map[string]any{"run": int64(i), refused: "name"})
		want := "map[run:" + fmt.Sprint(i) + " service.instance.id:1 service.name:restless]"
		if i >= 50 {
			want = "map[service.instance.id:1 service.name:restless]"
		}
		if got := fmt.Sprint(resource); got != want || why[0] != "name" {
			t.Fatalf("resource %d is %s, want %s", i, got, want)
		}
	}
}

// TestInstances has a new instance with each request, of a service that is sent here and of one that is scraped.
func TestInstances(t *testing.T) {
	for name, ctx := range map[string]context.Context{"sent": from("127.0.0.1"), "scraped": context.Background()} {
		t.Run(name, func(t *testing.T) {
			l := testLimiter(t, 100, 100_000)
			for i := range 200 {
				why, resource := points(ctx, t, l, "restless", fmt.Sprint(i), map[string]any{"run": "1"})
				wantWhy, want := "", "map[run:1 service.instance.id:"+fmt.Sprint(i)+" service.name:restless]"
				if i >= 50 {
					wantWhy, want = tooManyServices, "map[service.instance.id:other service.name:other]"
				}
				if got := fmt.Sprint(resource); got != want || why[0] != wantWhy {
					t.Fatalf("instance %d is %s, refused for %q; want %s, %q", i, got, why[0], want, wantWhy)
				}
			}
			ctx := ctx
			if name == "sent" {
				ctx = from("127.0.0.2")
			}
			if why, _ := points(ctx, t, l, "good", "1", nil); why[0] != "" {
				t.Errorf("another service's points are refused for %s", why[0])
			}
		})
	}
}

// TestHash has attributes that are the same series, and some that are not.
func TestHash(t *testing.T) {
	l := &limiter{seed: maphash.MakeSeed()}
	hash := func(pairs ...any) uint64 {
		m := pcommon.NewMap()
		for i := 0; i < len(pairs); i += 2 {
			if err := m.PutEmpty(pairs[i].(string)).FromRaw(pairs[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		return l.hashOfMap(m)
	}
	if hash("a", "x", "b", "y") != hash("b", "y", "a", "x") {
		t.Error("the order matters")
	}
	metric := func(name, unit string, of func(pmetric.Metric)) uint64 {
		m := pmetric.NewMetric()
		m.SetName(name)
		m.SetUnit(unit)
		of(m)
		return l.hashOfMetric(m)
	}
	gauge := func(m pmetric.Metric) { m.SetEmptyGauge() }
	seen := make(map[uint64]int)
	for i, h := range []uint64{
		metric("a", "", gauge), metric("b", "", gauge), metric("a", "b", gauge), metric("a", "", func(m pmetric.Metric) { m.SetEmptySum() }),
		metric("a", "", func(m pmetric.Metric) { m.SetEmptySum().SetIsMonotonic(true) }),
		hash(), hash("a", "x"), hash("a", "y"), hash("x", "a"), hash("a", "x", "b", "y"), hash("a", "y", "b", "x"),
		hash("a", int64(1)), hash("a", 1.0), hash("a", true), hash("a", []any{"x"}),
	} {
		if j, ok := seen[h]; ok {
			t.Errorf("sets %d and %d have one hash", i, j)
		}
		seen[h] = i
	}
}

func BenchmarkPoint(b *testing.B) {
	l, err := newLimiter(processortest.NewNopSettings(NewFactory().Type()), NewFactory().CreateDefaultConfig().(*Config), "metrics")
	if err != nil {
		b.Fatal(err)
	}
	const perRequest = 200
	md := pmetric.NewMetrics()
	r := md.ResourceMetrics().AppendEmpty()
	r.Resource().Attributes().PutStr("service.name", "bench")
	m := r.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("value")
	gauge := m.SetEmptyGauge()
	for i := range perRequest {
		attributes := gauge.DataPoints().AppendEmpty().Attributes()
		attributes.PutStr("namespace", "chat")
		attributes.PutStr("type", fmt.Sprint("type-", i))
		attributes.PutStr("direction", "receive")
		attributes.PutStr("status", "ok")
	}
	ctx := from("127.0.0.1")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.metrics(ctx, md); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/perRequest, "ns/point")
}
