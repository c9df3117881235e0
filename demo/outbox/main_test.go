package outbox

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// patience bounds every wait of these tests.
const patience = 10 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// observed is an observer and what it exports.
type observed struct {
	*instrument.Observer
	registry *prometheus.Registry
}

func observe(t testing.TB) observed {
	t.Helper()
	observer, err := instrument.New(instrument.WithMessageTypes("message"))
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(observer)
	return observed{observer, registry}
}

// open returns an open connection, which lasts as long as the test.
func (o observed) open(t testing.TB) *instrument.Conn {
	t.Helper()
	_, handshake := o.BeginHandshake(context.Background(), instrument.Request{})
	conn := handshake.Opened(101)
	t.Cleanup(func() { conn.Closed(instrument.Cause{}) })
	return conn
}

// outcome is what the metrics tell of frames.
type outcome struct {
	Sent, Queued int
	Delivered    int // with the time that it took
	Dropped      map[string]int
}

func (o observed) outcome(t testing.TB) outcome {
	t.Helper()
	families, err := o.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := outcome{Dropped: map[string]int{}}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			switch family.GetName() {
			case "websocket_messages_total":
				if label(m, "direction") == "transmit" {
					got.Sent += int(m.GetCounter().GetValue())
				}
			case "websocket_send_queue_messages":
				got.Queued = int(m.GetGauge().GetValue())
			case "websocket_delivery_duration_seconds":
				got.Delivered = int(m.GetHistogram().GetSampleCount())
			case "websocket_messages_dropped_total":
				if n := int(m.GetCounter().GetValue()); n > 0 {
					got.Dropped[label(m, "reason")] = n
				}
			}
		}
	}
	return got
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// check compares what became of all frames with what should have.
func (o observed) check(t testing.TB, want outcome) {
	t.Helper()
	if want.Dropped == nil {
		want.Dropped = map[string]int{}
	}
	if diff := cmp.Diff(want, o.outcome(t)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

func frame(text string) *wire.Frame { return keyed("", text) }

func keyed(key, text string) *wire.Frame {
	return &wire.Frame{Type: wire.TypeMessage, Key: key, Data: []byte(text)}
}

func numbered(n int) *wire.Frame { return frame(strconv.Itoa(n)) }

// oneByOne returns what writes one frame after the other.
func oneByOne(write func(*wire.Frame) (instrument.MessageType, int, error)) func(Batch) {
	return func(b Batch) { b.WriteEach(write) }
}

// peer writes down what it is sent. It takes a frame only when it is let.
type peer struct {
	typ  instrument.MessageType
	got  []string // of the writer, until the outbox is closed
	let  chan error
	gone chan struct{} // a write that waits fails with errGone when it is closed
}

func newPeer(o observed) *peer {
	return &peer{typ: o.MessageType("message"), let: make(chan error), gone: make(chan struct{})}
}

func (p *peer) write(f *wire.Frame) (instrument.MessageType, int, error) {
	select {
	case err := <-p.let:
		if err != nil {
			return p.typ, 0, err
		}
	case <-p.gone:
		return p.typ, 0, errGone
	}
	p.got = append(p.got, string(f.Data))
	return p.typ, len(f.Data), nil
}
