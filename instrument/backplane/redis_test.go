package backplane_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/backplane"
)

// TestTwoNodes broadcasts on one node and delivers on the other, and compares all that either of them tells.
func TestTwoNodes(t *testing.T) {
	for name, protocol := range map[string]int{"RESP2": 2, "RESP3": 3} {
		t.Run(name, func(t *testing.T) {
			room := t.Name()
			a := newNodeWith(t, &redis.Options{Addr: shared.addr, Protocol: protocol})
			b := newNodeWith(t, &redis.Options{Addr: shared.addr, Protocol: protocol})
			a.start(t, room)
			b.start(t, room)

			before := time.Now().Truncate(time.Microsecond)
			ctx, broadcast := a.Observer.BeginBroadcast(t.Context())
			payload := []byte("\x00\xffhello\r\n")
			err := a.Publish(ctx, room, payload)
			broadcast.End(err)
			if err != nil {
				t.Fatal(err)
			}
			after := time.Now()

			for n, own := range map[*node]bool{a: true, b: false} {
				m := n.next(t)
				if m.Channel != room || !bytes.Equal(m.Payload, payload) || m.Own != own {
					t.Errorf("got %q on %q, own %t; want %q on %q, own %t", m.Payload, m.Channel, m.Own, payload, room, own)
				}
				if m.Published.Before(before) || m.Published.After(after) {
					t.Errorf("published at %v, want from %v to %v", m.Published, before, after)
				}
			}
			a.ExpectOnly(map[string]float64{
				`websocket_backplane_up{backplane="redis"}`:                                              1,
				`websocket_backplane_messages_total{backplane="redis",direction="transmit",result="ok"}`: 1,
				`websocket_broadcast_duration_seconds_count{}`:                                           1,
				`websocket_broadcast_recipients_count{}`:                                                 1,
			})
			b.ExpectOnly(map[string]float64{
				`websocket_backplane_up{backplane="redis"}`:                                             1,
				`websocket_backplane_messages_total{backplane="redis",direction="receive",result="ok"}`: 1,
				`websocket_backplane_lag_seconds_count{backplane="redis"}`:                              1,
				`websocket_broadcast_duration_seconds_count{}`:                                          1,
				`websocket_broadcast_recipients_count{}`:                                                1,
			})

			sent := span(a.Spans()[0])
			want := []spanFacts{{Name: "websocket.broadcast", Kind: "producer", Trace: sent.Trace, ID: sent.ID}}
			if diff := cmp.Diff(want, spans(a.Spans())); diff != "" {
				t.Errorf("spans of the publishing node, -want +got:\n%s", diff)
			}
			want = []spanFacts{{
				Name: "websocket.deliver", Kind: "consumer", Trace: sent.Trace, Parent: sent.ID, RemoteParent: true,
				ID: span(b.Spans()[0]).ID, Backplane: "redis",
			}}
			if diff := cmp.Diff(want, spans(b.Spans())); diff != "" {
				t.Errorf("spans of the receiving node, -want +got:\n%s", diff)
			}
		})
	}
}

// spanFacts is what is compared of a span.
type spanFacts struct {
	Name, Kind, Trace, ID, Parent string
	RemoteParent                  bool
	Backplane                     string
}

func spans(all []sdktrace.ReadOnlySpan) []spanFacts {
	var facts []spanFacts
	for _, s := range all {
		facts = append(facts, span(s))
	}
	return facts
}

func span(s sdktrace.ReadOnlySpan) spanFacts {
	f := spanFacts{
		Name: s.Name(), Kind: s.SpanKind().String(),
		Trace: s.SpanContext().TraceID().String(), ID: s.SpanContext().SpanID().String(),
	}
	if s.Parent().IsValid() {
		f.Parent, f.RemoteParent = s.Parent().SpanID().String(), s.Parent().IsRemote()
	}
	for _, a := range s.Attributes() {
		if a.Key == "websocket.backplane" {
			f.Backplane = a.Value.AsString()
		}
	}
	return f
}

// TestForeignMessages receives what publishers without this package have published.
func TestForeignMessages(t *testing.T) {
	n := newNode(t, shared, backplane.WithLimit(100))
	n.start(t, t.Name())
	for _, payload := range []string{
		`{"plain": true}`,
		"",
		"sockscope/1 ",
		"sockscope/1 yesterday\nhello",
		"sockscope/2 1767366245123456\nhello",
		strings.Repeat("x", 101),
		"sockscope/1 1767366245123456 not-a-traceparent\nhello",
		"sockscope/1 0\n",
	} {
		if err := n.client.Publish(t.Context(), t.Name(), payload).Err(); err != nil {
			t.Fatal(err)
		}
	}
	type message struct {
		Payload   string
		Published time.Time
	}
	want := []message{
		{Payload: `{"plain": true}`},
		{},
		{Payload: "hello", Published: time.UnixMicro(1767366245123456)},
		{},
	}
	var got []message
	for range want {
		m := n.next(t)
		got = append(got, message{string(m.Payload), m.Published})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages, -want +got:\n%s", diff)
	}
	n.ExpectOnly(map[string]float64{
		`websocket_backplane_up{backplane="redis"}`:                                                1,
		`websocket_backplane_messages_total{backplane="redis",direction="receive",result="ok"}`:    4,
		`websocket_backplane_messages_total{backplane="redis",direction="receive",result="error"}`: 4,
		`websocket_backplane_lag_seconds_count{backplane="redis"}`:                                 1,
		`websocket_broadcast_duration_seconds_count{}`:                                             4,
		`websocket_broadcast_recipients_count{}`:                                                   4,
		`websocket_errors_total{kind="backplane"}`:                                                 4,
	})
	malformed := `backplane: message on "TestForeignMessages": ` +
		`the envelope is malformed, or of a version that is not known here`
	tooBig := `backplane: message on "TestForeignMessages": message is too big: 101 bytes, limit 100`
	if diff := cmp.Diff([]string{malformed, malformed, malformed, tooBig}, n.errors()); diff != "" {
		t.Errorf("records, -want +got:\n%s", diff)
	}
}

func TestPublishTooBig(t *testing.T) {
	n := newNode(t, shared, backplane.WithLimit(100))
	n.start(t, t.Name())
	err := n.Publish(t.Context(), t.Name(), make([]byte, 100))
	if !errors.Is(err, backplane.ErrTooBig) {
		t.Errorf("got %v, want ErrTooBig", err)
	}
	n.publish(t, t.Name(), "small")
	n.expect(t, t.Name()+" small own")
	n.ExpectOnly(map[string]float64{
		`websocket_backplane_up{backplane="redis"}`:                                                 1,
		`websocket_backplane_messages_total{backplane="redis",direction="transmit",result="error"}`: 1,
		`websocket_backplane_messages_total{backplane="redis",direction="transmit",result="ok"}`:    1,
		`websocket_errors_total{kind="backplane"}`:                                                  1,
	})
}

// TestOwnMessages has two nodes publish the same at the same time: each sees one of its own and one of the other's.
func TestOwnMessages(t *testing.T) {
	a, b := newNode(t, shared), newNode(t, shared)
	a.start(t, t.Name())
	b.start(t, t.Name())
	const each = 500
	for i := range each {
		if i%2 == 0 {
			a.publish(t, t.Name(), "hello")
			b.publish(t, t.Name(), "hello")
		} else {
			b.publish(t, t.Name(), "hello")
			a.publish(t, t.Name(), "hello")
		}
		for _, n := range []*node{a, b} {
			if first, second := n.next(t).Own, n.next(t).Own; first == second {
				t.Fatalf("message %d: own are %t and %t, want one of them", i, first, second)
			}
		}
	}
}

// TestUnobserved does everything without an observer.
func TestUnobserved(t *testing.T) {
	observed := newNode(t, shared)
	bp, err := backplane.New(observed.client, nil, "redis")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Backplane: bp, Recorder: observed.Recorder, client: observed.client, received: observed.received}
	if err := n.Subscribe(t.Context(), t.Name()); err != nil {
		t.Fatal(err)
	}
	n.run(t, n.deliver)
	eventually(t, func() string {
		n.publish(t, t.Name(), "hello")
		if len(n.received) == 0 {
			return "nothing received"
		}
		return ""
	})
	n.expect(t, t.Name()+" hello own")
}

// TestZeroMessage delivers a message that a test of a handler may have made.
func TestZeroMessage(t *testing.T) {
	ctx, b := backplane.Message{Channel: "room"}.Deliver(t.Context())
	b.End(nil)
	if ctx != t.Context() || b != nil {
		t.Errorf("got %v, %v; want the context as it was and nothing to count", ctx, b)
	}
}

func TestNewErrors(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: shared.addr})
	defer client.Close()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"shard": shared.addr}})
	defer ring.Close()
	for want, mistake := range map[string]struct {
		client redis.UniversalClient
		opt    backplane.Option
	}{
		"": {client, nil},
		"backplane: client is nil: give the go-redis client that the service uses": {},
		"backplane: client is a redis.Ring, whose shards have channels of their own: give a redis.Client for one of them, " +
			"or use Redis Cluster": {client: ring},
		"backplane: ping interval 0s, timeout 1s: must be positive":                   {client, backplane.WithPing(0, time.Second)},
		"backplane: ping interval 1s, timeout -1s: must be positive":                  {client, backplane.WithPing(time.Second, -time.Second)},
		"backplane: publish timeout 0s: must be positive":                             {client, backplane.WithPublishTimeout(0)},
		"backplane: queue of 0 messages: must be positive":                            {client, backplane.WithQueue(0)},
		"backplane: limit of -1 bytes: must be positive":                              {client, backplane.WithLimit(-1)},
		"backplane: function for restored subscriptions is nil: leave the option out": {client, backplane.WithRestored(nil)},
		"backplane: function for dropped messages is nil: leave the option out":       {client, backplane.WithDropped(nil)},
	} {
		o, err := instrument.New(instrument.WithBackplanes("redis"))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, err := backplane.New(mistake.client, o, "redis", mistake.opt); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestUnregisteredName counts under "other" what the observer has no name for.
func TestUnregisteredName(t *testing.T) {
	n := newNode(t, shared)
	bp, err := backplane.New(n.client, n.Observer, "memcached")
	if err != nil {
		t.Fatal(err)
	}
	if err := bp.Publish(context.Background(), t.Name(), nil); err != nil {
		t.Fatal(err)
	}
	n.ExpectOnly(map[string]float64{
		`websocket_backplane_messages_total{backplane="other",direction="transmit",result="ok"}`: 1,
		`sockscope_label_overflow_total{label="backplane",transport="websocket"}`:                1,
	})
}
