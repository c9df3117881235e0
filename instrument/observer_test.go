package instrument_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
)

var update = flag.Bool("update", false, "rewrite the files in testdata with what the tests get")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newObserver(t testing.TB, opts ...instrument.Option) *instrument.Observer {
	t.Helper()
	o, err := instrument.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func open(t testing.TB, o *instrument.Observer) *instrument.Conn {
	t.Helper()
	_, h := o.BeginHandshake(t.Context(), instrument.Request{Host: "chat.example"})
	c := h.Opened(101)
	if c == nil {
		t.Fatal("Opened returned nil")
	}
	return c
}

// exposition returns everything that a scrape of the collectors gets.
func exposition(t testing.TB, collectors ...prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	for _, c := range collectors {
		if err := registry.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("scrape answered %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// compareWithFile compares all of got with a file in testdata.
func compareWithFile(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("exposition differs from %s, -want +got:\n%s", path, diff)
	}
}

func TestFreshObserver(t *testing.T) {
	o := newObserver(t, instrument.WithNamespace("chat"), instrument.WithMessageTypes("message"),
		instrument.WithConnectionLimit(1000))
	compareWithFile(t, "fresh.txt", exposition(t, o))
}

// The documentation of these options says what each costs, at first and in use.
func TestSeriesOfOptions(t *testing.T) {
	for name, tt := range map[string]struct {
		option       instrument.Option
		use          func(*instrument.Observer, *instrument.Conn)
		fresh, inUse int
	}{
		"message type": {instrument.WithMessageTypes("chat"), func(o *instrument.Observer, c *instrument.Conn) {
			_, m := c.BeginMessage(c.Context(t.Context()), o.MessageType("chat"), 1, nil)
			m.End(nil)
			c.Sent(o.MessageType("chat"), 1)
		}, 0, 21},
		"backplane": {instrument.WithBackplanes("redis"), func(o *instrument.Observer, _ *instrument.Conn) {
			o.Backplane("redis").BeginDelivery(t.Context(), nil, time.Now())
		}, 7, 24},
	} {
		without, with := newObserver(t), newObserver(t, tt.option)
		if got := seriesOf(t, with) - seriesOf(t, without); got != tt.fresh {
			t.Errorf("%s: %d series, want %d", name, got, tt.fresh)
		}
		for _, o := range []*instrument.Observer{without, with} { // in both the sizes of messages appear
			c := open(t, o)
			_, m := c.BeginMessage(c.Context(t.Context()), instrument.MessageType{}, 1, nil)
			m.End(nil)
			c.Sent(instrument.MessageType{}, 1)
		}
		tt.use(with, open(t, with))
		open(t, without)
		if got := seriesOf(t, with) - seriesOf(t, without); got != tt.inUse {
			t.Errorf("%s: %d series in use, want %d", name, got, tt.inUse)
		}
	}
}

func seriesOf(t testing.TB, o *instrument.Observer) (n int) {
	t.Helper()
	for line := range strings.Lines(exposition(t, o)) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

// TestFirstBreakIsSeen wants a zero of every way in which a connection can break, or Prometheus would not see the
// first.
func TestFirstBreakIsSeen(t *testing.T) {
	fresh := exposition(t, newObserver(t))
	for i := instrument.InitiatorLocal; i <= instrument.InitiatorNetwork; i++ {
		for r := instrument.ReasonOther; r <= instrument.ReasonShutdown; r++ {
			series := fmt.Sprintf("websocket_disconnections_total{initiator=%q,namespace=\"default\",reason=%q} 0\n", i, r)
			want := instrument.Cause{Initiator: i, Reason: r}.IsFailure()
			if got := strings.Contains(fresh, series); got != want {
				t.Errorf("exported from the start: %v, want %v for %s", got, want, series)
			}
		}
	}
}

// TestEverythingMoves drives every metric and compares the whole exposition. The clock is the bubble's, so that
// durations and timestamps are exact.
func TestEverythingMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObserver(t, instrument.WithNamespace("chat"), instrument.WithMessageTypes("join", "message"),
			instrument.WithSampleRatio(0), instrument.WithTracerProvider(noop.NewTracerProvider()),
			instrument.WithBackplanes("redis"))
		join, message := o.MessageType("join"), o.MessageType("message")
		ctx := t.Context()

		_, refused := o.BeginHandshake(ctx, instrument.Request{Host: "chat.example"})
		time.Sleep(3 * time.Millisecond)
		refused.Refused(instrument.StatusUnauthorized, http.StatusUnauthorized, errors.New("no token"))
		_, full := o.BeginHandshake(ctx, instrument.Request{Host: "chat.example"})
		full.Refused(instrument.StatusOverCapacity, http.StatusServiceUnavailable, nil)

		_, h := o.BeginHandshake(ctx, instrument.Request{Host: "chat.example"})
		time.Sleep(20 * time.Millisecond)
		first, second := h.Opened(101), open(t, o)

		_, m := first.BeginMessage(ctx, join, 100, nil)
		time.Sleep(2 * time.Millisecond)
		m.End(nil)
		_, m = first.BeginMessage(ctx, message, 5000, nil)
		time.Sleep(time.Second)
		m.End(errors.New("database is away"))
		first.Received(o.MessageType("invented by a peer"), 10)
		first.Sent(message, 2000)
		second.Sent(message, 2000)
		second.Dropped(instrument.DropQueueFull, 3)
		ping := second.BeginPing()
		time.Sleep(30 * time.Millisecond)
		ping.End(instrument.PingPong)
		second.BeginPing().End(instrument.PingTimeout)
		second.Failed(ctx, instrument.ErrorTimeout, errors.New("no pong"))

		second.SetQueueCapacity(4)
		_, b := o.BeginBroadcast(ctx)
		written, lost := b.BeginDelivery(second), b.BeginDelivery(first)
		b.Dropped(lost, instrument.DropSlowConsumer)
		b.BeginDelivery(second)
		time.Sleep(time.Millisecond)
		b.End(nil)
		time.Sleep(4 * time.Millisecond)
		written.Sent(message, 300)

		redis := o.Backplane("redis")
		redis.SetUp(true)
		redis.Published(instrument.BackplaneOK)
		redis.Received(instrument.BackplaneError)
		_, fan := redis.BeginDelivery(ctx, nil, time.Now().Add(-2*time.Millisecond))
		fan.BeginDelivery(first).Sent(join, 100)
		fan.End(nil)
		redis.Failed(ctx, errors.New("connection refused"))
		o.Backplane("invented").SetUp(true)

		time.Sleep(time.Minute)
		second.BeginPing()
		time.Sleep(500 * time.Millisecond)
		first.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonGoingAway, Code: 1001})
		first.Closed(instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: instrument.ReasonNormal, Code: 1000})
		o.SetDraining(true)

		compareWithFile(t, "everything.txt", exposition(t, o))
	})
}

func TestLint(t *testing.T) {
	o := newObserver(t, instrument.WithConnectionLimit(1))
	c := open(t, o)
	c.Received(instrument.MessageType{}, 1)
	c.Sent(instrument.MessageType{}, 1)
	c.Closed(instrument.Cause{})
	problems, err := testutil.CollectAndLint(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestManyObserversAndRegistries(t *testing.T) {
	chat := newObserver(t, instrument.WithNamespace("chat"))
	feed := newObserver(t, instrument.WithNamespace("feed"))
	open(t, chat)
	both := exposition(t, chat, feed)
	for _, want := range []string{
		`websocket_active_connections{namespace="chat"} 1`,
		`websocket_active_connections{namespace="feed"} 0`,
	} {
		if !strings.Contains(both, want+"\n") {
			t.Errorf("two observers in one registry: no %s", want)
		}
	}
	if diff := cmp.Diff(exposition(t, chat), exposition(t, chat)); diff != "" {
		t.Errorf("the same observer in two registries differs:\n%s", diff)
	}
}

func TestWrongOptions(t *testing.T) {
	tests := map[string]struct {
		option instrument.Option
		want   string
	}{
		"empty namespace":       {instrument.WithNamespace(""), "namespace"},
		"long namespace":        {instrument.WithNamespace(strings.Repeat("n", 65)), "64 bytes"},
		"empty message type":    {instrument.WithMessageTypes("ok", ""), "message type"},
		"message type not text": {instrument.WithMessageTypes("\xff"), "UTF-8"},
		"nil tracer provider":   {instrument.WithTracerProvider(nil), "tracer provider is nil"},
		"nil logger":            {instrument.WithLogger(nil), "logger is nil"},
		"negative ratio":        {instrument.WithSampleRatio(-0.1), "from 0 to 1"},
		"ratio above one":       {instrument.WithSampleRatio(1.1), "from 0 to 1"},
		"negative span limit":   {instrument.WithSpanLimit(-1), "span limit"},
		"no slow threshold":     {instrument.WithSlowThreshold(0), "must be positive"},
		"no connection limit":   {instrument.WithConnectionLimit(0), "connection limit"},
		"empty protocol":        {instrument.WithProtocol(""), "protocol"},
		"protocol no prefix":    {instrument.WithProtocol("9p"), "protocol"},
		"protocol with dash":    {instrument.WithProtocol("socket-io"), "protocol"},
		"prefix with colon":     {instrument.WithMetricPrefix("a:b"), "metric prefix"},
		"nil trust":             {instrument.WithTrust(nil), "trust function is nil"},
		"nil propagator":        {instrument.WithPropagator(nil), "propagator is nil"},
		"nil classifier":        {instrument.WithErrorClassifier(nil), "error classifier is nil"},
		"level of no record":    {instrument.WithLogLevel("connection lost", slog.LevelInfo), "no such record"},
		"no buckets":            {instrument.WithDurationBuckets(), "at least one bound"},
		"falling buckets":       {instrument.WithDurationBuckets(1, 0.5), "larger by a fifth"},
		"crowded buckets":       {instrument.WithSizeBuckets(100, 105), "larger by a fifth"},
		"bucket out of range":   {instrument.WithDurationBuckets(0), "must be from"},
		"bucket not a number":   {instrument.WithSizeBuckets(math.NaN()), "must be from"},
		"empty backplane":       {instrument.WithBackplanes(""), "backplane"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o, err := instrument.New(tt.option)
			if err == nil || o != nil {
				t.Fatalf("New = %v, %v, want an error", o, err)
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "instrument: ") {
				t.Errorf("error is %q, want it to name %q", err, tt.want)
			}
		})
	}
}

// TestContradictingOptions trusts all peers and those that a function chooses, in both orders.
func TestContradictingOptions(t *testing.T) {
	some := instrument.WithTrust(func(context.Context, instrument.Request) bool { return false })
	for _, options := range [][]instrument.Option{
		{some, instrument.WithTrustedPeers()}, {instrument.WithTrustedPeers(), some},
	} {
		if _, err := instrument.New(options...); err == nil || !strings.Contains(err.Error(), "contradict") {
			t.Errorf("New = %v, want it to refuse the contradiction", err)
		}
	}
}

// TestOptionCombinations opens, uses and scrapes an observer for every combination of options.
func TestOptionCombinations(t *testing.T) {
	options := []instrument.Option{
		instrument.WithNamespace("chat"),
		instrument.WithMessageTypes("a", "b", "a", "other"),
		instrument.WithTracerProvider(noop.NewTracerProvider()),
		instrument.WithLogger(slog.New(slog.DiscardHandler)),
		instrument.WithSampleRatio(1),
		instrument.WithSpanLimit(0),
		instrument.WithSlowThreshold(time.Nanosecond),
		instrument.WithTrustedPeers(),
		instrument.WithConnectionLimit(5),
		instrument.WithProtocol("sse"),
		instrument.WithBackplanes("redis", "redis"),
		nil,
	}
	for set := range 1 << len(options) {
		var chosen []instrument.Option
		for i, o := range options {
			if set&(1<<i) != 0 {
				chosen = append(chosen, o)
			}
		}
		o := newObserver(t, chosen...)
		c := open(t, o)
		_, m := c.BeginMessage(t.Context(), o.MessageType("a"), 1, propagation.MapCarrier{})
		m.End(errors.New("failed"))
		c.Closed(instrument.Cause{})
		if n, err := testutil.GatherAndCount(registryOf(t, o)); err != nil || n == 0 {
			t.Fatalf("options %b: gathered %d metrics, error %v", set, n, err)
		}
	}
}

func registryOf(t testing.TB, o *instrument.Observer) *prometheus.Registry {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(o); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestNothing uses nil and zero values, which observe nothing and must not get in the way.
func TestNothing(t *testing.T) {
	for name, o := range map[string]*instrument.Observer{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			ctx, h := o.BeginHandshake(t.Context(), instrument.Request{Header: propagation.MapCarrier{}, Host: "chat.example"})
			if ctx != t.Context() || h != nil {
				t.Error("Handshake of an observer that observes nothing must return its context and nil")
			}
			h.Refused(instrument.StatusError, http.StatusInternalServerError, nil)
			c := h.Opened(101)
			o.SetDraining(true)
			if o.Draining() {
				t.Error("Draining = true")
			}
			if got := o.MessageType("any").String(); got != "other" {
				t.Errorf("MessageType = %q, want other", got)
			}
			for range o.Conns() {
				t.Error("an observer that observes nothing has connections")
			}
			ctx, b := o.BeginBroadcast(t.Context())
			if ctx != t.Context() {
				t.Error("Broadcast of an observer that observes nothing must return its context")
			}
			useBroadcast(t, b, c)
			useBackplane(t, o.Backplane("redis"))
			useEverything(t, c)
			if got := testutil.CollectAndCount(o); got != 0 {
				t.Errorf("collected %d metrics, want none", got)
			}
		})
	}
	t.Run("without an observer", func(t *testing.T) {
		useBroadcast(t, new(instrument.Broadcast), new(instrument.Conn))
		useBroadcast(t, new(instrument.Broadcast), open(t, newObserver(t)))
		useBackplane(t, new(instrument.Backplane))
		useEverything(t, new(instrument.Conn))
		h := new(instrument.Handshake)
		h.Refused(instrument.StatusError, http.StatusInternalServerError, nil)
		if h.Opened(101) != nil {
			t.Error("a handshake that observes nothing was opened")
		}
		new(instrument.Message).End(errors.New("failed"))
		instrument.Ping{}.End(instrument.PingPong)
		instrument.Ping{}.Forget()
		instrument.Delivery{}.Sent(instrument.MessageType{}, 1)
		instrument.Delivery{}.Dropped(instrument.DropClosed)
		if got := (instrument.MessageType{}).String(); got != "other" {
			t.Errorf("MessageType = %q, want other", got)
		}
	})
	if h := newObserver(t).HandshakeFromContext(t.Context()); h != nil {
		t.Errorf("HandshakeFromContext = %v, want nil", h)
	}
}

// useBroadcast is for so many recipients that the clock would be read for one of them.
func useBroadcast(t *testing.T, b *instrument.Broadcast, c *instrument.Conn) {
	t.Helper()
	for range 100 {
		b.BeginDelivery(c).Sent(instrument.MessageType{}, 1)
	}
	b.Dropped(b.BeginDelivery(c), instrument.DropQueueFull)
	b.End(errors.New("failed"))
	if want := map[bool]int64{true: 100}[c.Observer() != nil]; c.Stats().SentMessages != want || c.Stats().Queued != 0 {
		t.Errorf("statistics are %+v, want %d messages sent and none queued", c.Stats(), want)
	}
}

func useBackplane(t *testing.T, b *instrument.Backplane) {
	t.Helper()
	b.SetUp(true)
	b.Published(instrument.BackplaneOK)
	b.Received(instrument.BackplaneOK)
	b.Failed(t.Context(), errors.New("failed"))
	ctx, fan := b.BeginDelivery(t.Context(), sender("01"), time.Now())
	if ctx != t.Context() || fan != nil {
		t.Error("Deliver of a backplane that observes nothing must return its context and nil")
	}
}

func useEverything(t *testing.T, c *instrument.Conn) {
	t.Helper()
	ctx, m := c.BeginMessage(t.Context(), instrument.MessageType{}, 1, nil)
	if ctx != t.Context() || c.Context(ctx) != ctx || c.ID() != "" {
		t.Error("a connection that observes nothing must leave contexts alone and have no id")
	}
	m.End(errors.New("failed"))
	c.Received(instrument.MessageType{}, 1)
	c.Sent(instrument.MessageType{}, 1)
	c.Dropped(instrument.DropClosed, 1)
	c.BeginPing().End(instrument.PingPong)
	c.BeginPing().Forget()
	c.SetQueueCapacity(1)
	c.BeginDelivery().Sent(instrument.MessageType{}, 1)
	c.BeginDelivery().Dropped(instrument.DropClosed)
	if c.Observer() != nil || c.Stats() != (instrument.ConnStats{}) {
		t.Error("a connection that observes nothing has an observer or statistics")
	}
	c.Failed(ctx, instrument.ErrorRead, nil)
	c.Closed(instrument.Cause{})
	c.Closed(instrument.Cause{})
}

func TestHandshakeEndsOnce(t *testing.T) {
	o := newObserver(t)
	_, h := o.BeginHandshake(t.Context(), instrument.Request{})
	h.Refused(instrument.StatusDraining, http.StatusServiceUnavailable, nil)
	if c := h.Opened(101); c != nil {
		t.Error("a refused handshake was opened")
	}
	_, h = o.BeginHandshake(t.Context(), instrument.Request{})
	c := h.Opened(101)
	if again := h.Opened(101); again != nil {
		t.Error("a handshake was opened twice")
	}
	h.Refused(instrument.StatusError, http.StatusInternalServerError, nil)
	c.Closed(instrument.Cause{})
	want := `
# HELP websocket_active_connections Connections open now.
# TYPE websocket_active_connections gauge
websocket_active_connections{namespace="default"} 0
# HELP websocket_connections_total Handshakes, by how they ended.
# TYPE websocket_connections_total counter
websocket_connections_total{namespace="default",status="bad_handshake"} 0
websocket_connections_total{namespace="default",status="connected"} 1
websocket_connections_total{namespace="default",status="draining"} 1
websocket_connections_total{namespace="default",status="error"} 0
websocket_connections_total{namespace="default",status="forbidden"} 0
websocket_connections_total{namespace="default",status="over_capacity"} 0
websocket_connections_total{namespace="default",status="rate_limited"} 0
websocket_connections_total{namespace="default",status="unauthorized"} 0
`
	if err := testutil.CollectAndCompare(o, strings.NewReader(want),
		"websocket_active_connections", "websocket_connections_total"); err != nil {
		t.Error(err)
	}
}

func TestConnContext(t *testing.T) {
	o := newObserver(t)
	c := open(t, o)
	request := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
	}))
	if sc := trace.SpanContextFromContext(c.Context(request)); sc.IsValid() {
		t.Error("the connection's context carries the request's span")
	}
	if other := open(t, o); len(c.ID()) != 32 || c.ID() == other.ID() {
		t.Errorf("ids %q and %q, want different ones of 32 digits", c.ID(), other.ID())
	}
	if context.Cause(c.Context(request)) != nil {
		t.Error("the connection's context has ended")
	}
}
