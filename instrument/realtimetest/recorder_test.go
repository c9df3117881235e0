package realtimetest_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// TestRecorder is what a user's test looks like: everything that one message leaves, with exact durations.
func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := realtimetest.New(t, instrument.WithMessageTypes("join"))
		_, handshake := r.Observer.Handshake(t.Context(), nil, "chat.example")
		conn := handshake.Opened(http.StatusSwitchingProtocols)
		_, message := conn.Receive(t.Context(), r.Observer.MessageType("join"), 100, nil)
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
		if len(failed) != 1 || failed[0]["error"] != "room is full" || failed[0]["session_id"] != conn.ID() {
			t.Errorf("records %v, want one of the failure", failed)
		}
		if none := r.Records("handshake refused"); none != nil {
			t.Errorf("records %v, want none", none)
		}
	})
}

// reports keeps what a test under test reports.
type reports struct {
	testing.TB
	errors int
}

func (r *reports) Errorf(string, ...any) { r.errors++ }

// TestExpectFails wants every series that differs reported, when the time is up.
func TestExpectFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		under := &reports{TB: t}
		r := realtimetest.New(under)
		r.Expect(map[string]float64{`websocket_active_connections{}`: 1, `websocket_draining{}`: 0, `nonsense{}`: 2})
		if under.errors != 2 {
			t.Errorf("%d series reported, want 2", under.errors)
		}
	})
}
