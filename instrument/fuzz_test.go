package instrument_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/instrument"
)

// FuzzEventOrder makes any calls in any order on a few handshakes and connections, from several goroutines, and wants
// the gauge to be right at any time: never below 0, and 0 when everything has ended.
func FuzzEventOrder(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13})
	f.Add([]byte{1, 1, 1, 0, 0, 16, 17, 33, 34, 255, 9, 9, 9})
	f.Add([]byte{1, 9, 9, 1, 9, 0, 25, 41, 17, 33})
	f.Fuzz(func(t *testing.T, calls []byte) {
		if len(calls) > 1000 {
			calls = calls[:1000]
		}
		const goroutines, handshakes = 3, 4
		o := newObserver(t, instrument.WithMessageTypes("message"))
		registry := registryOf(t, o)
		var hs [handshakes]*instrument.Handshake
		for i := range hs {
			_, hs[i] = o.BeginHandshake(t.Context(), instrument.Request{})
		}
		var mu sync.Mutex
		conns := make([]*instrument.Conn, 0, handshakes)
		pick := func(i int) *instrument.Conn {
			mu.Lock()
			defer mu.Unlock()
			if len(conns) == 0 {
				return nil
			}
			return conns[i%len(conns)]
		}

		var all sync.WaitGroup
		for g := range goroutines {
			all.Go(func() {
				for i := g; i < len(calls); i += goroutines {
					which := int(calls[i] >> 4)
					switch c := pick(which); calls[i] & 15 {
					case 0:
						hs[which%handshakes].Refused(instrument.Status(which), which, nil)
					case 1, 2:
						if c := hs[which%handshakes].Opened(101); c != nil {
							mu.Lock()
							conns = append(conns, c)
							mu.Unlock()
						}
					case 3, 4:
						_, m := c.BeginMessage(t.Context(), o.MessageType("message"), which, propagation.MapCarrier{})
						m.End(errors.New("failed"))
					case 5:
						c.Received(instrument.MessageType{}, which)
					case 6:
						c.Sent(o.MessageType("?"), which)
					case 7:
						c.Dropped(instrument.DropReason(which), which-1)
					case 8:
						c.BeginPing().End(instrument.PingResult(which))
					case 9, 10, 11:
						c.Closed(instrument.Cause{Initiator: instrument.Initiator(which), Reason: instrument.CloseReason(which)})
					case 12:
						c.Failed(t.Context(), instrument.ErrorKind(which), nil)
					case 13:
						o.SetDraining(which%2 == 0)
					case 14:
						_, b := o.BeginBroadcast(t.Context())
						d := b.BeginDelivery(c)
						c.BeginDelivery().Sent(o.MessageType("message"), which)
						b.Dropped(d, instrument.DropReason(which))
						b.End(nil)
						d.Sent(instrument.MessageType{}, which) // a second end
						c.BeginPing()
					default:
						if active := sum(t, registry, "websocket_active_connections"); active < 0 {
							t.Errorf("%v active connections", active)
						}
					}
				}
			})
		}
		all.Wait()

		opened, closed := float64(len(conns)), sum(t, registry, "websocket_disconnections_total")
		if active := sum(t, registry, "websocket_active_connections"); active != opened-closed {
			t.Errorf("%v active connections after %v were opened and %v closed", active, opened, closed)
		}
		for _, c := range conns {
			c.Closed(instrument.Cause{})
			c.Closed(instrument.Cause{})
		}
		if active := sum(t, registry, "websocket_active_connections"); active != 0 {
			t.Errorf("%v active connections after all have closed", active)
		}
		for _, name := range []string{"websocket_send_queue_messages", "websocket_idle_connections", "websocket_ping_unanswered_seconds"} {
			if v := sum(t, registry, name); v != 0 {
				t.Errorf("%s is %v after all have closed", name, v)
			}
		}
		if closed := sum(t, registry, "websocket_disconnections_total"); closed != opened {
			t.Errorf("%v disconnections of %v connections", closed, opened)
		}
	})
}

// FuzzTraceparent gives a message any trace context: it must not break anything, and a stranger's never becomes a
// parent.
func FuzzTraceparent(f *testing.F) {
	f.Add(sender("01")["traceparent"], "vendor=value")
	f.Add(sender("00")["traceparent"], "")
	f.Add("00-"+senderTraceID, "=,=,=")
	f.Add("\xff", "\x00")
	f.Fuzz(func(t *testing.T, traceparent, tracestate string) {
		carrier := propagation.MapCarrier{"traceparent": traceparent, "tracestate": tracestate}
		for _, opts := range [][]instrument.Option{nil, {instrument.WithTrustedPeers()}} {
			s := recordSpans()
			o := newObserver(t, append(opts, s.option(), instrument.WithSampleRatio(1))...)
			_, m := open(t, o).BeginMessage(t.Context(), instrument.MessageType{}, 1, carrier)
			m.End(nil)
			for _, span := range s.Ended() {
				if opts == nil && span.Parent().IsValid() {
					t.Errorf("%s has a stranger as parent", span.Name())
				}
			}
		}
	})
}

// sum adds up all series of a metric.
func sum(t testing.TB, g prometheus.Gatherer, name string) (total float64) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return total
}
