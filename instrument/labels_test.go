package instrument_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument"
)

// TestLabelValues compares the names of all values of the closed sets with the contract's.
func TestLabelValues(t *testing.T) {
	tests := map[string]struct {
		get  func(int) fmt.Stringer
		want []string
	}{
		"status": {get: func(i int) fmt.Stringer { return instrument.StatusConnected + instrument.Status(i) }, want: []string{
			"connected", "unauthorized", "forbidden", "rate_limited", "over_capacity", "bad_handshake", "draining", "error", "other",
		}},
		"initiator": {get: func(i int) fmt.Stringer { return instrument.InitiatorLocal + instrument.Initiator(i) }, want: []string{
			"local", "remote", "network", "other",
		}},
		"close reason": {get: func(i int) fmt.Stringer { return instrument.ReasonOther + instrument.CloseReason(i) }, want: []string{
			"other", "normal", "going_away", "protocol_error", "message_too_big", "policy", "internal", "restart",
			"try_again_later", "idle_timeout", "ping_timeout", "slow_consumer", "write_error", "abnormal", "token_expired",
			"shutdown", "other",
		}},
		"drop reason": {get: func(i int) fmt.Stringer { return instrument.DropQueueFull + instrument.DropReason(i) }, want: []string{
			"queue_full", "slow_consumer", "closed", "expired", "rate_limited", "superseded", "other",
		}},
		"error kind": {get: func(i int) fmt.Stringer { return instrument.ErrorHandshake + instrument.ErrorKind(i) }, want: []string{
			"handshake", "auth", "read", "write", "decode", "handler", "timeout", "backplane", "panic", "other",
		}},
		"ping result": {get: func(i int) fmt.Stringer { return instrument.PingPong + instrument.PingResult(i) }, want: []string{
			"pong", "timeout", "error", "other",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for i := range tt.want {
				got = append(got, tt.get(i).String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestOverflow gives values that are in no set: each is counted as `other`, once, and tells that it was.
func TestOverflow(t *testing.T) {
	o := newObserver(t, instrument.WithMessageTypes("message"))
	foreign := newObserver(t, instrument.WithMessageTypes("message")).MessageType("message")
	_, h := o.BeginHandshake(t.Context(), instrument.Request{})
	h.Refused(0, 500, nil)
	c := open(t, o)
	c.Received(o.MessageType("invented"), 1)
	c.Received(foreign, 1)
	c.Received(instrument.MessageType{}, 1) // means "other", is no mistake
	c.Dropped(99, 1)
	c.Dropped(0, 0)
	c.BeginPing().End(99)
	c.Failed(t.Context(), 99, nil)
	c.Closed(instrument.Cause{Initiator: 99, Reason: 99})
	open(t, o).Closed(instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: 99})
	open(t, o).Closed(instrument.Cause{Initiator: instrument.InitiatorLocal}) // the reason `other` is part of its set

	for label, want := range map[string]float64{
		"status": 1, "type": 2, "reason": 2, "result": 1, "kind": 1, "initiator": 1,
	} {
		if got := value(t, o, "sockscope_label_overflow_total", "label", label); got != want {
			t.Errorf("overflow of %s = %v, want %v", label, got, want)
		}
	}
	for _, series := range []struct {
		name, label string
		want        float64
	}{
		{"websocket_connections_total", "status", 1},
		{"websocket_messages_dropped_total", "reason", 1},
		{"websocket_pings_total", "result", 1},
		{"websocket_errors_total", "kind", 1},
		{"websocket_disconnections_total", "initiator", 1},
	} {
		if got := value(t, o, series.name, series.label, "other"); got != series.want {
			t.Errorf("%s{%s=other} = %v, want %v", series.name, series.label, got, series.want)
		}
	}
}

func TestReasonForCode(t *testing.T) {
	for code, want := range map[int]instrument.CloseReason{
		1000: instrument.ReasonNormal, 1001: instrument.ReasonGoingAway, 1002: instrument.ReasonProtocolError,
		1003: instrument.ReasonProtocolError, 1004: instrument.ReasonOther, 1005: instrument.ReasonNormal,
		1006: instrument.ReasonAbnormal, 1007: instrument.ReasonProtocolError, 1008: instrument.ReasonPolicy,
		1009: instrument.ReasonMessageTooBig, 1010: instrument.ReasonProtocolError, 1011: instrument.ReasonInternal,
		1012: instrument.ReasonRestart, 1013: instrument.ReasonTryAgainLater, 1014: instrument.ReasonInternal,
		1015: instrument.ReasonOther, 3000: instrument.ReasonOther, 4999: instrument.ReasonOther, -1: instrument.ReasonOther,
	} {
		if got := instrument.ReasonForCode(code); got != want {
			t.Errorf("ReasonForCode(%d) = %v, want %v", code, got, want)
		}
	}
}
