package instrument_test

import (
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/instrument"
)

// TestBroadcastAcrossNodes follows one message from the node that publishes it to another: one trace, with a span per
// node and none per recipient.
func TestBroadcastAcrossNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordSpans()
		here := newObserver(t, s.option(), instrument.WithNamespace("chat"), instrument.WithSampleRatio(1), instrument.WithBackplanes("redis"))
		there := newObserver(t, s.option(), instrument.WithNamespace("chat"), instrument.WithSampleRatio(0), instrument.WithBackplanes("redis"))
		c, far := open(t, here), open(t, there)

		ctx, m := c.BeginMessage(t.Context(), instrument.MessageType{}, 7, nil)
		ctx, b := here.BeginBroadcast(ctx)
		envelope := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, envelope)
		here.Backplane("redis").Published(instrument.BackplaneOK)
		for range 100 {
			b.BeginDelivery(c).Sent(instrument.MessageType{}, 1)
		}
		b.Dropped(b.BeginDelivery(c), instrument.DropQueueFull)
		b.End(errors.New("some were too slow"))
		m.End(nil)
		time.Sleep(3 * time.Millisecond)
		_, fan := there.Backplane("redis").BeginDelivery(t.Context(), envelope, time.Now().Add(-3*time.Millisecond))
		fan.BeginDelivery(far).Dropped(instrument.DropClosed)
		fan.End(nil)

		var got []span
		trace := map[string]bool{}
		for i, g := range s.ended(t) {
			if g.Name == "websocket.broadcast" || g.Name == "websocket.deliver" {
				got = append(got, g)
				trace[s.Ended()[i].SpanContext().TraceID().String()] = true
			}
		}
		want := []span{
			{
				Name: "websocket.broadcast", Kind: "producer", Status: "some were too slow", Attributes: map[string]any{
					"websocket.namespace": "chat", "websocket.recipients": int64(100), "websocket.dropped": int64(1),
					"error.type": "*errors.errorString",
				},
			},
			{
				Name: "websocket.deliver", Kind: "consumer", Attributes: map[string]any{
					"websocket.namespace": "chat", "websocket.backplane": "redis",
					"websocket.recipients": int64(1), "websocket.dropped": int64(0),
				},
			},
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if len(trace) != 1 {
			t.Errorf("spans of %d traces, want one", len(trace))
		}
	})
}

// TestExemplarsOfBroadcast has the durations of a broadcast and of its way to another node point at their spans.
func TestExemplarsOfBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordSpans()
		o := newObserver(t, s.option(), instrument.WithSampleRatio(1), instrument.WithBackplanes("redis"))
		published := time.Now()
		ctx, b := o.BeginBroadcast(t.Context())
		envelope := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, envelope)
		time.Sleep(2 * time.Millisecond)
		b.End(nil)
		time.Sleep(3 * time.Millisecond)
		_, fan := o.Backplane("redis").BeginDelivery(t.Context(), envelope, published)
		time.Sleep(time.Second)
		fan.End(nil)
		_, unsampled := o.Backplane("redis").BeginDelivery(t.Context(), nil, time.Now().Add(-time.Minute))
		unsampled.End(nil)
		id := s.Ended()[0].SpanContext().TraceID().String()
		for name, want := range map[string]map[float64]string{
			"websocket_broadcast_duration_seconds": {0.002: id, 1: id},
			"websocket_backplane_lag_seconds":      {0.005: id},
		} {
			if diff := gocmp.Diff(want, exemplars(t, o, name)); diff != "" {
				t.Errorf("%s: exemplars, -want +got:\n%s", name, diff)
			}
		}
	})
}

// TestDeliverUnsampled has no span where the sender has none, and lag that the nodes' clocks make negative is none.
func TestDeliverUnsampled(t *testing.T) {
	s := recordSpans()
	o := newObserver(t, s.option(), instrument.WithSampleRatio(1), instrument.WithBackplanes("redis"))
	for _, carrier := range []propagation.TextMapCarrier{nil, sender("00"), propagation.MapCarrier{"traceparent": "00-bad"}} {
		ctx, b := o.Backplane("redis").BeginDelivery(t.Context(), carrier, time.Now().Add(time.Hour))
		b.End(nil)
		if ctx != t.Context() {
			t.Errorf("carrier %v: the context carries a span", carrier)
		}
	}
	_, b := o.Backplane("redis").BeginDelivery(t.Context(), nil, time.Time{})
	b.End(nil)
	if n := len(s.Ended()); n != 0 {
		t.Errorf("%d spans, want none", n)
	}
	families, err := registryOf(t, o).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "websocket_backplane_lag_seconds" {
			continue
		}
		if h := f.GetMetric()[0].GetHistogram(); h.GetSampleCount() != 3 || h.GetSampleSum() != 0 {
			t.Errorf("lag: %d observations with a sum of %v, want 3 of 0", h.GetSampleCount(), h.GetSampleSum())
		}
	}
}

// TestOtherTransport has another transport's name in everything.
func TestOtherTransport(t *testing.T) {
	s := recordSpans()
	o := newObserver(t, s.option(), instrument.WithProtocol("sse"), instrument.WithSampleRatio(1))
	_, h := o.BeginHandshake(t.Context(), instrument.Request{})
	c := h.Opened(200)
	_, m := c.BeginMessage(t.Context(), instrument.MessageType{}, 1, nil)
	m.End(nil)
	c.Closed(instrument.Cause{})
	var got []string
	for _, g := range s.ended(t) {
		got = append(got, g.Name)
	}
	if diff := gocmp.Diff([]string{"sse.handshake", "sse.message other", "sse.close"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := value(t, o, "sse_connections_total", "status", "connected"); got != 1 {
		t.Errorf("sse_connections_total = %v, want 1", got)
	}
	both := exposition(t, o, newObserver(t)) // the same namespace, another transport
	if len(both) == 0 {
		t.Error("nothing is exported")
	}
}

// TestBroadcastDropsOnce drops a delivery twice, and one that was sent.
func TestBroadcastDropsOnce(t *testing.T) {
	s := recordSpans()
	o := newObserver(t, s.option(), instrument.WithSampleRatio(1))
	c := open(t, o)
	_, b := o.BeginBroadcast(t.Context())
	sent, full := b.BeginDelivery(c), b.BeginDelivery(c)
	sent.Sent(instrument.MessageType{}, 1)
	for range 2 {
		b.Dropped(sent, instrument.DropQueueFull)
		b.Dropped(full, instrument.DropQueueFull)
	}
	b.End(nil)
	if got := value(t, o, "websocket_messages_dropped_total", "reason", "queue_full"); got != 1 {
		t.Errorf("%v messages dropped, want 1", got)
	}
	for _, g := range s.ended(t) {
		if g.Name == "websocket.broadcast" && (g.Attributes["websocket.recipients"] != int64(1) || g.Attributes["websocket.dropped"] != int64(1)) {
			t.Errorf("span has %v, want one recipient and one dropped", g.Attributes)
		}
	}
}

// TestBackplaneHasItsOwnFormat has peers send another format of trace context than the nodes of the service.
func TestBackplaneHasItsOwnFormat(t *testing.T) {
	s := recordSpans()
	o := newObserver(t, s.option(), instrument.WithPropagator(single{}), instrument.WithBackplanes("redis"))
	_, b := o.Backplane("redis").BeginDelivery(t.Context(), sender("01"), time.Now())
	b.End(nil)
	ended := s.Ended()
	if len(ended) != 1 || ended[0].SpanContext().TraceID().String() != senderTraceID {
		t.Errorf("spans are %v, want one in the trace of the other node", ended)
	}
}

// TestLastRecipient observes once when the message of a broadcast was written to the last recipient, however its
// deliveries end.
func TestLastRecipient(t *testing.T) {
	const ms = time.Millisecond
	sent := func(d instrument.Delivery) { d.Sent(instrument.MessageType{}, 1) }
	type recipients struct {
		b       *instrument.Broadcast
		c, slow *instrument.Conn // slow has a message in its queue that has waited for two seconds
	}
	for name, tt := range map[string]struct {
		deliver func(r recipients)
		want    []float64 // seconds
	}{
		"to nobody": {func(r recipients) { r.b.End(nil) }, nil},
		"written one after the other": {func(r recipients) {
			first, second := r.b.BeginDelivery(r.c), r.b.BeginDelivery(r.c)
			r.b.End(nil)
			time.Sleep(ms)
			sent(second)
			time.Sleep(29 * ms)
			sent(first)
		}, []float64{0.030}},
		"written before it ends": {func(r recipients) {
			time.Sleep(2 * ms)
			sent(r.b.BeginDelivery(r.c))
			time.Sleep(10 * ms)
			r.b.End(nil)
		}, []float64{0.002}},
		"a drop comes last": {func(r recipients) {
			first, second := r.b.BeginDelivery(r.c), r.b.BeginDelivery(r.c)
			r.b.End(nil)
			time.Sleep(ms)
			sent(first)
			time.Sleep(time.Second)
			second.Dropped(instrument.DropClosed)
			second.Dropped(instrument.DropClosed)
		}, []float64{0.001}},
		"a queue is full": {func(r recipients) {
			first, refused := r.b.BeginDelivery(r.c), r.b.BeginDelivery(r.c)
			r.b.Dropped(refused, instrument.DropQueueFull)
			r.b.End(nil)
			time.Sleep(3 * ms)
			sent(first)
		}, []float64{0.003}},
		"all dropped": {func(r recipients) {
			first := r.b.BeginDelivery(r.c)
			r.b.End(nil)
			first.Dropped(instrument.DropClosed)
		}, nil},
		"one still waits": {func(r recipients) {
			first, _ := r.b.BeginDelivery(r.c), r.b.BeginDelivery(r.c)
			r.b.End(nil)
			sent(first)
		}, nil},
		"an unobserved recipient": {func(r recipients) {
			unobserved, first := r.b.BeginDelivery(nil), r.b.BeginDelivery(r.c)
			r.b.End(nil)
			time.Sleep(4 * ms)
			sent(first)
			sent(unobserved)
		}, []float64{0.004}},
		"a connection that was slow before": {func(r recipients) {
			slow, first := r.b.BeginDelivery(r.slow), r.b.BeginDelivery(r.c)
			r.b.End(nil)
			time.Sleep(5 * ms)
			sent(first)
			time.Sleep(time.Second)
			sent(slow)
		}, []float64{0.005}},
		"a slow connection is written to first": {func(r recipients) {
			slow, first := r.b.BeginDelivery(r.slow), r.b.BeginDelivery(r.c)
			sent(slow)
			r.b.End(nil)
			time.Sleep(6 * ms)
			sent(first)
		}, []float64{0.006}},
		"most connections are slow": {func(r recipients) {
			slow, slower, first := r.b.BeginDelivery(r.slow), r.b.BeginDelivery(r.slow), r.b.BeginDelivery(r.c)
			r.b.End(nil)
			sent(first)
			sent(slow)
			time.Sleep(time.Second)
			sent(slower)
		}, []float64{1}},
		"most connections are slow, and are written to first": {func(r recipients) {
			slow, slower, first := r.b.BeginDelivery(r.slow), r.b.BeginDelivery(r.slow), r.b.BeginDelivery(r.c)
			r.b.End(nil)
			sent(slow)
			sent(slower)
			time.Sleep(7 * ms)
			sent(first)
		}, []float64{0.007}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newObserver(t)
				r := recipients{c: open(t, o), slow: open(t, o)}
				r.slow.BeginDelivery()
				time.Sleep(2 * time.Second)
				_, r.b = o.BeginBroadcast(t.Context())
				tt.deliver(r)
				checkLast(t, o, tt.want)
			})
		})
	}
}

// TestLastRecipientOfAnotherNode counts from when the other node published the message, and has recipients of an
// observer that began later.
func TestLastRecipientOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObserver(t, instrument.WithBackplanes("redis"))
		time.Sleep(time.Minute)
		other := newObserver(t, instrument.WithNamespace("feed"))
		published := time.Now()
		time.Sleep(40 * time.Millisecond)
		_, fan := o.Backplane("redis").BeginDelivery(t.Context(), nil, published)
		d := fan.BeginDelivery(open(t, other))
		fan.End(nil)
		time.Sleep(5 * time.Millisecond)
		d.Sent(instrument.MessageType{}, 1)
		checkLast(t, o, []float64{0.045})
		checkLast(t, other, nil)
	})
}

// TestLastRecipientOnce has deliveries end while others begin.
func TestLastRecipientOnce(t *testing.T) {
	o := newObserver(t)
	conns := []*instrument.Conn{open(t, o), open(t, o), open(t, o), open(t, o)}
	const broadcasts = 500
	for range broadcasts {
		_, b := o.BeginBroadcast(t.Context())
		var writing sync.WaitGroup
		for i, c := range conns {
			d := b.BeginDelivery(c)
			writing.Go(func() {
				if i == 0 {
					d.Dropped(instrument.DropExpired)
				} else {
					d.Sent(instrument.MessageType{}, 1)
				}
			})
		}
		b.End(nil)
		writing.Wait()
	}
	if h := lastRecipient(t, o); h.GetSampleCount() != broadcasts {
		t.Errorf("%d observations of %d broadcasts", h.GetSampleCount(), broadcasts)
	}
}

// checkLast compares what was observed of last recipients, in seconds.
func checkLast(t *testing.T, o *instrument.Observer, want []float64) {
	t.Helper()
	h, sum := lastRecipient(t, o), 0.0
	for _, w := range want {
		sum += w
	}
	if h.GetSampleCount() != uint64(len(want)) || math.Abs(h.GetSampleSum()-sum) > 1e-9 {
		t.Errorf("%d observations of %v s in all, want %v", h.GetSampleCount(), h.GetSampleSum(), want)
	}
}

func lastRecipient(t *testing.T, o *instrument.Observer) *dto.Histogram {
	t.Helper()
	families, err := registryOf(t, o).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "websocket_broadcast_delivery_duration_seconds" {
			return f.GetMetric()[0].GetHistogram()
		}
	}
	return nil
}
