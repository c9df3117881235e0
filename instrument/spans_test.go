package instrument_test

import (
	"cmp"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument"
)

const (
	senderTraceID = "0af7651916cd43dd8448eb211c80319c"
	senderSpanID  = "b7ad6b7169203331"
)

func sender(flags string) propagation.MapCarrier {
	return propagation.MapCarrier{"traceparent": "00-" + senderTraceID + "-" + senderSpanID + "-" + flags}
}

// span is what the tests compare of a finished span. Contexts are named, so that expectations can be written down.
type span struct {
	Name       string
	Kind       string
	Parent     string // "", "sender", "handshake" or "request"
	Links      []string
	Attributes map[string]any
	Status     string
	Events     int
	Took       time.Duration
}

type spans struct {
	*tracetest.SpanRecorder
	provider *sdktrace.TracerProvider
}

func recordSpans(opts ...sdktrace.TracerProviderOption) spans {
	r := tracetest.NewSpanRecorder()
	return spans{r, sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(r))...)}
}

func (s spans) option() instrument.Option { return instrument.WithTracerProvider(s.provider) }

// ended returns the finished spans in the order in which they finished.
func (s spans) ended(t *testing.T) []span {
	t.Helper()
	names := map[string]string{senderTraceID + senderSpanID: "sender", "": "", noSpan: ""}
	all := s.Ended()
	for _, e := range all {
		names[key(e.SpanContext())] = map[string]string{"websocket.handshake": "handshake", "request": "request"}[e.Name()]
	}
	got := make([]span, 0, len(all))
	for _, e := range all {
		g := span{
			Name: e.Name(), Kind: e.SpanKind().String(), Parent: names[key(e.Parent())],
			Attributes: map[string]any{}, Events: len(e.Events()), Took: e.EndTime().Sub(e.StartTime()),
		}
		if e.Status().Code != 0 {
			g.Status = cmp.Or(e.Status().Description, e.Status().Code.String())
		}
		for _, l := range e.Links() {
			g.Links = append(g.Links, names[key(l.SpanContext)])
		}
		for _, a := range e.Attributes() {
			g.Attributes[string(a.Key)] = a.Value.AsInterface()
		}
		got = append(got, g)
	}
	return got
}

// count returns how many spans of each name have finished.
func (s spans) count(t *testing.T) map[string]int {
	t.Helper()
	n := map[string]int{}
	for _, g := range s.ended(t) {
		n[g.Name]++
	}
	return n
}

var noSpan = key(trace.SpanContext{})

func key(sc trace.SpanContext) string { return sc.TraceID().String() + sc.SpanID().String() }

func handshakeSpan(id string, code int64, more map[string]any) map[string]any {
	attrs := map[string]any{
		"server.address": "chat.example", "network.protocol.name": "websocket", "websocket.namespace": "chat",
		"connection.id": id, "http.response.status_code": code,
	}
	for k, v := range more {
		attrs[k] = v
	}
	return attrs
}

func messageSpan(id string, more map[string]any) map[string]any {
	attrs := map[string]any{
		"websocket.message.type": "message", "websocket.message.size": int64(7), "websocket.message.number": int64(1),
		"connection.id": id,
	}
	for k, v := range more {
		attrs[k] = v
	}
	return attrs
}

// TestSpansOfConnection compares everything that the life of one connection leaves in the tracing backend.
func TestSpansOfConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordSpans()
		o := newObserver(t, s.option(), instrument.WithNamespace("chat"), instrument.WithMessageTypes("message"),
			instrument.WithSampleRatio(1))
		ctx, h := o.BeginHandshake(t.Context(), instrument.Request{Header: sender("01"), Host: "chat.example"})
		if !trace.SpanContextFromContext(ctx).IsValid() || o.HandshakeFromContext(ctx) != h {
			t.Error("the handshake's context carries no span, or not the handshake")
		}
		time.Sleep(10 * time.Millisecond)
		c := h.Opened(101)

		mctx, m := c.BeginMessage(ctx, o.MessageType("message"), 7, sender("01"))
		_, child := s.provider.Tracer("test").Start(mctx, "query")
		child.End()
		time.Sleep(20 * time.Millisecond)
		m.End(nil)
		_, m = c.BeginMessage(ctx, o.MessageType("message"), 7, nil)
		m.End(errors.New("room is full"))
		c.Sent(o.MessageType("message"), 50)
		time.Sleep(time.Second)
		c.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal, Code: 1000})

		got := s.ended(t)
		want := []span{
			{
				Name: "websocket.handshake", Kind: "server", Links: []string{"sender"}, Took: 10 * time.Millisecond,
				Attributes: handshakeSpan(c.ID(), 101, nil),
			},
			{Name: "query", Kind: "internal", Attributes: map[string]any{}}, // its parent is a message
			{
				Name: "websocket.message message", Kind: "consumer", Links: []string{"handshake", "sender"},
				Attributes: messageSpan(c.ID(), nil), Took: 20 * time.Millisecond,
			},
			{
				Name: "websocket.message message", Kind: "consumer", Links: []string{"handshake"}, Status: "room is full",
				Attributes: messageSpan(c.ID(), map[string]any{
					"error.type": "*errors.errorString", "websocket.message.number": int64(2),
				}),
			},
			{
				Name: "websocket.close", Kind: "internal", Links: []string{"handshake"},
				Attributes: map[string]any{
					"connection.id": c.ID(), "websocket.close.code": int64(1000), "websocket.close.reason": "normal",
					"websocket.close.initiator": "remote", "websocket.duration": 1.02,
					"websocket.received.messages": int64(2), "websocket.received.bytes": int64(14),
					"websocket.sent.messages": int64(1), "websocket.sent.bytes": int64(50),
				},
			},
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("spans, -want +got:\n%s", diff)
		}
		for _, e := range s.Ended() {
			if e.SpanContext().TraceID().String() == senderTraceID {
				t.Errorf("%s is part of the trace of a stranger", e.Name())
			}
		}
	})
}

func TestTrustedPeers(t *testing.T) {
	s := recordSpans()
	o := newObserver(t, s.option(), instrument.WithTrustedPeers(), instrument.WithSampleRatio(0))
	_, h := o.BeginHandshake(t.Context(), instrument.Request{Header: sender("01")})
	c := h.Opened(101)
	for _, carrier := range []propagation.TextMapCarrier{
		sender("01"), // sampled by its sender: obeyed although the ratio is 0
		sender("00"), // not sampled by its sender: obeyed
		propagation.MapCarrier{"traceparent": "00-malformed"},
		propagation.MapCarrier{},
		nil,
	} {
		_, m := c.BeginMessage(t.Context(), instrument.MessageType{}, 1, carrier)
		m.End(nil)
	}
	type relation struct{ Name, Parent string }
	var got []relation
	for _, g := range s.ended(t) {
		got = append(got, relation{g.Name, g.Parent})
	}
	want := []relation{{"websocket.handshake", "sender"}, {"websocket.message other", "sender"}}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("spans, -want +got:\n%s", diff)
	}
	if got := value(t, o, "sockscope_spans_suppressed_total", "cause", "ratio"); got != 3 {
		t.Errorf("suppressed by ratio = %v, want 3: those without a valid context of their sender", got)
	}
}

func TestTrustedFailureOfUnsampledSender(t *testing.T) {
	s := recordSpans()
	o := newObserver(t, s.option(), instrument.WithTrustedPeers())
	c := open(t, o)
	_, m := c.BeginMessage(t.Context(), instrument.MessageType{}, 1, sender("00"))
	m.End(errors.New("failed"))
	got := s.ended(t)
	if len(got) != 2 || got[1].Parent != "" || !gocmp.Equal(got[1].Links, []string{"handshake", "sender"}) {
		t.Errorf("got %+v, want a root that is linked to the handshake and the sender", got)
	}
}

func TestHandshakeUnderMiddleware(t *testing.T) {
	s := recordSpans()
	o := newObserver(t, s.option(), instrument.WithNamespace("chat"))
	ctx, request := s.provider.Tracer("test").Start(t.Context(), "request")
	_, h := o.BeginHandshake(ctx, instrument.Request{Header: sender("01"), Host: "chat.example"})
	h.Refused(instrument.StatusError, http.StatusInternalServerError, errors.New("no hijacker"))
	request.End()
	got := s.ended(t)
	if len(got) != 2 || got[0].Parent != "request" || got[0].Links != nil || got[0].Status != "no hijacker" {
		t.Fatalf("got %+v, want a child of the middleware's span with an error", got)
	}
	want := handshakeSpan(got[0].Attributes["connection.id"].(string), 500, map[string]any{"error.type": "error"})
	if diff := gocmp.Diff(want, got[0].Attributes); diff != "" {
		t.Errorf("attributes, -want +got:\n%s", diff)
	}
}

// TestKeptMessages has slow and failed messages get their spans afterwards, with the times at which it all happened.
func TestKeptMessages(t *testing.T) {
	tests := map[string]struct {
		took   time.Duration
		err    error
		kept   bool
		status string
	}{
		"fast":   {took: 99 * time.Millisecond},
		"slow":   {took: 100 * time.Millisecond, kept: true},
		"failed": {took: time.Millisecond, err: errors.New("no such room"), kept: true, status: "no such room"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := recordSpans()
				o := newObserver(t, s.option(), instrument.WithSampleRatio(0), instrument.WithMessageTypes("message"),
					instrument.WithSlowThreshold(100*time.Millisecond))
				c := open(t, o)
				time.Sleep(time.Hour)
				start := time.Now()
				ctx, m := c.BeginMessage(t.Context(), o.MessageType("message"), 7, sender("01"))
				if trace.SpanContextFromContext(ctx).IsValid() {
					t.Error("a message that is not sampled has a span")
				}
				time.Sleep(tt.took)
				m.End(tt.err)

				got := s.ended(t)[1:]
				suppressed := value(t, o, "sockscope_spans_suppressed_total", "cause", "ratio")
				if !tt.kept {
					if len(got) != 0 || suppressed != 1 {
						t.Errorf("got %+v and %v suppressed, want no span and 1", got, suppressed)
					}
					return
				}
				more := map[string]any{}
				if tt.err != nil {
					more["error.type"] = "*errors.errorString"
				}
				want := []span{{
					Name: "websocket.message message", Kind: "consumer", Links: []string{"handshake", "sender"},
					Attributes: messageSpan(c.ID(), more), Status: tt.status, Took: tt.took,
				}}
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("spans, -want +got:\n%s", diff)
				}
				if began := s.Ended()[1].StartTime(); !began.Equal(start) {
					t.Errorf("span began at %v, want %v", began, start)
				}
				if suppressed != 0 {
					t.Errorf("%v spans suppressed, want 0", suppressed)
				}
			})
		})
	}
}

func TestSpanLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordSpans()
		o := newObserver(t, s.option(), instrument.WithSampleRatio(1), instrument.WithSpanLimit(10))
		c := open(t, o)
		for range 3 {
			for i := range 50 {
				var err error
				if i%2 == 0 {
					err = errors.New("failed")
				}
				_, m := c.BeginMessage(t.Context(), instrument.MessageType{}, 1, nil)
				m.End(err)
			}
			time.Sleep(time.Second)
		}
		if got := len(s.Ended()) - 1; got != 30 {
			t.Errorf("%d spans of messages in 3 s, want 30", got)
		}
		if got := value(t, o, "sockscope_spans_suppressed_total", "cause", "rate_cap"); got != 120 {
			t.Errorf("suppressed by the cap = %v, want 120", got)
		}
	})
}

// TestConnectionSpanLimit has more connections come and go than there may be spans of them: the first have both of
// theirs, of the others only those for whom something went wrong, within a limit of their own.
func TestConnectionSpanLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordSpans()
		o := newObserver(t, s.option(), instrument.WithSpanLimit(10))
		normal := instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal, Code: 1000}
		broken := instrument.Cause{Initiator: instrument.InitiatorNetwork, Reason: instrument.ReasonAbnormal, Code: 1006}
		want := map[string]int{}
		for range 3 {
			conns := make([]*instrument.Conn, 50)
			for i := range conns {
				conns[i] = open(t, o)
			}
			for range 5 {
				_, h := o.BeginHandshake(t.Context(), instrument.Request{})
				h.Refused(instrument.StatusUnauthorized, http.StatusUnauthorized, nil)
			}
			for _, c := range conns[:30] {
				c.Closed(normal)
			}
			for _, c := range conns[30:] {
				c.Closed(broken)
			}
			for range 20 { // whom strangers that are refused must not cost anything
				_, m := conns[49].BeginMessage(t.Context(), instrument.MessageType{}, 1, nil)
				m.End(errors.New("failed"))
			}
			want["websocket.handshake"] += 10 + 5
			want["websocket.close"] += 10 + 5
			want["websocket.message other"] += 10
			time.Sleep(time.Second)
		}
		if diff := gocmp.Diff(want, s.count(t)); diff != "" {
			t.Errorf("spans, -want +got:\n%s", diff)
		}
		if got := value(t, o, "sockscope_spans_suppressed_total", "cause", "rate_cap"); got != 3*(40+20+15+10) {
			t.Errorf("suppressed by the cap = %v, want %d", got, 3*(40+20+15+10))
		}

		for _, g := range s.ended(t) {
			linked := gocmp.Equal(g.Links, []string{"handshake"})
			if g.Name == "websocket.close" && linked != (g.Attributes["websocket.close.reason"] == "normal") {
				t.Errorf("close by %v is linked to %v", g.Attributes["websocket.close.reason"], g.Links)
			}
		}
	})
}

// TestManyCloseAtOnce has connections close at once that have opened one after the other.
func TestManyCloseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordSpans()
		o := newObserver(t, s.option(), instrument.WithSpanLimit(10))
		var conns []*instrument.Conn
		for range 50 {
			conns = append(conns, open(t, o))
			time.Sleep(time.Second)
		}
		for _, c := range conns {
			c.Closed(instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: instrument.ReasonShutdown, Code: 1001})
		}
		if diff := gocmp.Diff(map[string]int{"websocket.handshake": 50, "websocket.close": 10}, s.count(t)); diff != "" {
			t.Errorf("spans, -want +got:\n%s", diff)
		}
	})
}

// TestKeptHandshake has a refusal get its span afterwards, which is the same as one that was started in time.
func TestKeptHandshake(t *testing.T) {
	for name, opts := range map[string][]instrument.Option{"strangers": nil, "trusted peers": {instrument.WithTrustedPeers()}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := recordSpans()
				o := newObserver(t, append(opts, s.option(), instrument.WithSpanLimit(1))...)
				refuse := func() {
					_, h := o.BeginHandshake(t.Context(), instrument.Request{Header: sender("01"), Host: "chat.example"})
					time.Sleep(10 * time.Millisecond)
					h.Refused(instrument.StatusError, http.StatusInternalServerError, errors.New("database is away"))
				}
				refuse()
				start := time.Now()
				refuse()
				refuse()
				got := s.ended(t)
				if len(got) != 2 {
					t.Fatalf("%d spans, want one that was started in time and one that was made afterwards", len(got))
				}
				for _, g := range got {
					delete(g.Attributes, "connection.id")
				}
				if diff := gocmp.Diff(got[0], got[1]); diff != "" {
					t.Errorf("-started in time +made afterwards:\n%s", diff)
				}
				if began := s.Ended()[1].StartTime(); !began.Equal(start) || got[1].Took != 10*time.Millisecond {
					t.Errorf("span began at %v and took %v, want %v and 10ms", began, got[1].Took, start)
				}
			})
		})
	}
}

// TestMessageOfUntracedConnection has no link to a handshake that has no span.
func TestMessageOfUntracedConnection(t *testing.T) {
	s := recordSpans()
	o := newObserver(t, s.option(), instrument.WithSpanLimit(1), instrument.WithSampleRatio(1))
	open(t, o)
	ctx, h := o.BeginHandshake(t.Context(), instrument.Request{})
	if trace.SpanContextFromContext(ctx).IsValid() || o.HandshakeFromContext(ctx) != h {
		t.Error("the handshake's context carries a span, or not the handshake")
	}
	_, m := h.Opened(101).BeginMessage(t.Context(), instrument.MessageType{}, 1, nil)
	m.End(nil)
	if got := s.ended(t); len(got) != 2 || got[1].Name != "websocket.message other" || got[1].Links != nil {
		t.Errorf("got %+v, want a handshake and a message without a link", got)
	}
}

// TestTracerProviderHasTheLastWord drops all spans in the SDK: what was not sampled there must not become an exemplar.
func TestTracerProviderHasTheLastWord(t *testing.T) {
	s := recordSpans(sdktrace.WithSampler(sdktrace.NeverSample()))
	o := newObserver(t, s.option(), instrument.WithSampleRatio(1))
	c := open(t, o)
	_, m := c.BeginMessage(t.Context(), instrument.MessageType{}, 1, nil)
	m.End(nil)
	if got := exemplars(t, o, "websocket_message_duration_seconds"); len(got) != 0 || len(s.Ended()) != 0 {
		t.Errorf("exemplars %v, %d spans, want none", got, len(s.Ended()))
	}
}

func TestExemplars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordSpans()
		o := newObserver(t, s.option(), instrument.WithSampleRatio(1), instrument.WithSlowThreshold(200*time.Millisecond))
		c := open(t, o)
		handle := func(took time.Duration) (traceID string) {
			ctx, m := c.BeginMessage(t.Context(), instrument.MessageType{}, 1, nil)
			time.Sleep(took)
			m.End(nil)
			return trace.SpanContextFromContext(ctx).TraceID().String()
		}
		want := map[float64]string{}
		want[0.001] = handle(time.Millisecond)
		handle(time.Millisecond) // within 100 ms of the one before
		want[0.3] = handle(300 * time.Millisecond)
		want[0.05] = handle(50 * time.Millisecond)
		if diff := gocmp.Diff(want, exemplars(t, o, "websocket_message_duration_seconds")); diff != "" {
			t.Errorf("exemplars, -want +got:\n%s", diff)
		}
		c.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal})
		for _, name := range []string{"websocket_handshake_duration_seconds", "websocket_connection_duration_seconds"} {
			if got := exemplars(t, o, name); len(got) != 1 {
				t.Errorf("%s has exemplars %v, want one", name, got)
			}
		}
	})
}

// exemplars returns the trace id of each exemplar in the classic buckets of a histogram, by its value, and checks that
// native histograms have the same ones.
func exemplars(t *testing.T, o *instrument.Observer, name string) map[float64]string {
	t.Helper()
	families, err := registryOf(t, o).Gather()
	if err != nil {
		t.Fatal(err)
	}
	classic, native := map[float64]string{}, map[float64]string{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, b := range m.GetHistogram().GetBucket() {
				if e := b.GetExemplar(); e != nil {
					classic[e.GetValue()] = traceID(t, e.GetLabel())
				}
			}
			for _, e := range m.GetHistogram().GetExemplars() {
				native[e.GetValue()] = traceID(t, e.GetLabel())
			}
		}
	}
	if diff := gocmp.Diff(classic, native); diff != "" {
		t.Errorf("%s: exemplars of classic and native buckets differ:\n%s", name, diff)
	}
	return classic
}

func traceID[L interface {
	GetName() string
	GetValue() string
}](t *testing.T, labels []L) string {
	t.Helper()
	byName := map[string]string{}
	for _, l := range labels {
		byName[l.GetName()] = l.GetValue()
	}
	if len(byName) != 2 || len(byName["span_id"]) != 16 {
		t.Errorf("exemplar has labels %v, want trace_id and span_id", byName)
	}
	return byName["trace_id"]
}

// value returns the value of a counter or gauge that has one label beside the namespace.
func value(t testing.TB, o *instrument.Observer, name, label, labelValue string) float64 {
	t.Helper()
	families, err := registryOf(t, o).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != name {
				continue
			}
			found := label == ""
			for _, l := range m.GetLabel() {
				found = found || l.GetName() == label && l.GetValue() == labelValue
			}
			if found {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no series %s{%s=%q}", name, label, labelValue)
	return 0
}

func TestUnsampledMessageReturnsItsContext(t *testing.T) {
	o := newObserver(t, instrument.WithSampleRatio(0))
	c := open(t, o)
	ctx := c.Context(t.Context())
	got, m := c.BeginMessage(ctx, instrument.MessageType{}, 1, nil)
	m.End(nil)
	if got != ctx {
		t.Error("the context of a message that is not sampled is not the one given")
	}
	if n := testutil.CollectAndCount(o, "websocket_message_duration_seconds"); n != 1 {
		t.Errorf("%d series of the message duration, want 1", n)
	}
}
