package realtimetest_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// TestRecorder is what a user's test looks like: everything that one message leaves, with exact durations.
func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := realtimetest.New(t, instrument.WithMessageTypes("join"))
		_, handshake := r.Observer.BeginHandshake(t.Context(), instrument.Request{Host: "chat.example"})
		conn := handshake.Opened(http.StatusSwitchingProtocols)
		_, message := conn.BeginMessage(t.Context(), r.Observer.MessageType("join"), 100, nil)
		time.Sleep(30 * time.Millisecond)
		message.End(errors.New("room is full"))
		time.Sleep(time.Minute)

		r.Expect(map[string]float64{
			`websocket_active_connections{}`:                             1,
			`websocket_connections_total{status="connected"}`:            1,
			`websocket_connections_total{status="forbidden"}`:            0,
			`websocket_messages_total{direction="receive",type="join"}`:  1,
			`websocket_message_duration_seconds_count{type="join"}`:      1,
			`websocket_message_duration_seconds_sum{type="join"}`:        0.03,
			`websocket_idle_connections{idle="30s"}`:                     1,
			`websocket_errors_total{kind="handler"}`:                     1,
			`websocket_messages_total{direction="transmit",type="join"}`: 0,
		})
		var spans []string
		for _, s := range r.Spans() {
			spans = append(spans, s.Name())
		}
		if diff := cmp.Diff([]string{"websocket.handshake", "websocket.message join"}, spans); diff != "" {
			t.Errorf("spans, -want +got:\n%s", diff)
		}
		failed := r.Records("message failed")
		if len(failed) != 1 || failed[0]["error"] != "room is full" || failed[0]["connection_id"] != conn.ID() {
			t.Errorf("records %v, want one of the failure", failed)
		}
		if none := r.Records("handshake refused"); none != nil {
			t.Errorf("records %v, want none", none)
		}
	})
}

// TestEverySpan wants the spans of everything that a busy test does at once.
func TestEverySpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := realtimetest.New(t)
		for range 300 {
			_, handshake := r.Observer.BeginHandshake(t.Context(), instrument.Request{Host: "chat.example"})
			conn := handshake.Opened(http.StatusSwitchingProtocols)
			_, message := conn.BeginMessage(t.Context(), instrument.MessageType{}, 1, nil)
			message.End(nil)
			conn.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal})
		}
		if got := len(r.Spans()); got != 3*300 {
			t.Errorf("%d spans, want those of 300 handshakes, messages and closes", got)
		}
		if opened, want := len(r.Records("connection opened")), 100; opened != want {
			t.Errorf("%d records of connections that opened, want the %d of a second", opened, want)
		}
	})
}

// reports keeps what a test under test reports, whose end by Fatalf is a panic.
type reports struct {
	testing.TB
	told []string
}

func (r *reports) Errorf(format string, args ...any) {
	r.told = append(r.told, fmt.Sprintf(format, args...))
}

func (r *reports) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

// TestFails wants everything reported that is not as expected when the time is up.
func TestFails(t *testing.T) {
	tests := map[string]struct {
		expect func(*realtimetest.Recorder)
		want   []string
	}{
		"Expect": {
			func(r *realtimetest.Recorder) {
				r.Expect(map[string]float64{`websocket_active_connections{}`: 1, `websocket_draining{}`: 0, `nonsense{}`: 2})
			},
			[]string{`nonsense{} is 0, want 2`, `websocket_draining{} is 1, want 0`},
		},
		"ExpectOnly": {
			func(r *realtimetest.Recorder) {
				r.ExpectOnly(map[string]float64{`websocket_active_connections{}`: 1}, "websocket_messages_total", "websocket_connections")
			},
			[]string{
				`websocket_draining{} is 1, want 0`,
				`websocket_handshake_duration_seconds_count{status="connected"} is 1, want 0`,
				`websocket_message_size_bytes_count{direction="receive"} is 1, want 0`,
				`websocket_message_size_bytes_sum{direction="receive"} is 100, want 0`,
			},
		},
		"ExpectOnly, of what measures time": {
			func(r *realtimetest.Recorder) {
				r.ExpectOnly(map[string]float64{`websocket_last_message_timestamp_seconds{direction="receive"}`: 1}, "websocket_")
			},
			[]string{`websocket_last_message_timestamp_seconds{direction="receive"} is 9.466848e+08, want 1`},
		},
		"Record": {
			func(r *realtimetest.Recorder) { r.Record("connection closed") },
			[]string{`no log record "connection closed"; there are:`},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				under := &reports{TB: t}
				r := realtimetest.New(under)
				_, handshake := r.Observer.BeginHandshake(t.Context(), instrument.Request{Host: "chat.example"})
				conn := handshake.Opened(http.StatusSwitchingProtocols)
				conn.Received(instrument.MessageType{}, 100)
				r.Observer.SetDraining(true)
				func() {
					defer func() {
						if v := recover(); v != nil && v != under {
							panic(v)
						}
					}()
					tt.expect(r)
				}()
				for i, line := range under.told {
					under.told[i], _, _ = strings.Cut(line, "\n") // of a record the rest differs each time
				}
				if diff := cmp.Diff(tt.want, under.told); diff != "" {
					t.Errorf("reported, -want +got:\n%s", diff)
				}
			})
		})
	}
}

// TestWaits has everything come while it is waited for.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := realtimetest.New(t)
		_, handshake := r.Observer.BeginHandshake(t.Context(), instrument.Request{Host: "chat.example"})
		time.AfterFunc(time.Second, func() { handshake.Refused(instrument.StatusOverCapacity, http.StatusServiceUnavailable, nil) })
		r.ExpectOnly(map[string]float64{
			`websocket_connections_total{status="over_capacity"}`:                1,
			`websocket_handshake_duration_seconds_count{status="over_capacity"}`: 1,
			`websocket_handshake_duration_seconds_sum{status="over_capacity"}`:   1,
		})
		time.AfterFunc(time.Second, func() { r.Observer.SetDraining(true) })
		r.Expect(map[string]float64{`websocket_draining{}`: 1})
		if got := r.Record("handshake refused")["http_status"]; got != 503.0 {
			t.Errorf("refused with %v, want 503", got)
		}
	})
}

// TestMetrics reads a collector that is no Observer.
func TestMetrics(t *testing.T) {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "attempts_total"}, []string{"client", "result"})
	c.WithLabelValues("exchange", "connected").Add(2)
	c.WithLabelValues("exchange", "refused")
	want := map[string]float64{`attempts_total{result="connected"}`: 2}
	if diff := cmp.Diff(want, realtimetest.Metrics(t, c)); diff != "" {
		t.Errorf("metrics, -want +got:\n%s", diff)
	}
}
