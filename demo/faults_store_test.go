package demo

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/wire"
)

func TestStoreErrors(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{Store: 200 * time.Millisecond}})
	ada, ben := f.twoInTheLobby()
	f.turnOn("store_errors", 1, "1m")
	if ack := ada.say("lost"); ack.Success || ack.Error != wire.CodeUnavailable {
		t.Errorf("ack %+v, want a refusal", ack)
	}
	f.turnOff("store_errors")
	if ack := ada.say("saved"); !ack.Success || ack.Seq != 1 {
		t.Errorf("ack %+v after healing, want number 1", ack)
	}
	if diff := cmp.Diff([]uint64{1}, ben.numbers(1)); diff != "" {
		t.Errorf("Ben gets (-want +got):\n%s", diff)
	}
	f.awaitMetrics(map[string]float64{"errors_total handler": 1, "message_duration_seconds join": 2, "message_duration_seconds message": 2},
		"websocket_errors_total", "websocket_message_duration_seconds", "websocket_disconnections_total")
}

// TestSomeStoreErrors loses nothing, because saving is tried again.
func TestSomeStoreErrors(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada, ben := f.twoInTheLobby()
	f.turnOn("store_errors", 0.5, "1m")
	var want []uint64
	for i := range uint64(10) {
		if ack := ada.say("hello"); !ack.Success || ack.Seq != i+1 {
			t.Errorf("ack %+v, want number %d", ack, i+1)
		}
		expect[wire.MessagePayload](ada, wire.TypeMessage)
		want = append(want, i+1)
	}
	if diff := cmp.Diff(want, ben.numbers(10)); diff != "" {
		t.Errorf("Ben gets (-want +got):\n%s", diff)
	}
	f.awaitMetrics(map[string]float64{}, "websocket_errors_total")
}

func TestSlowStore(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada, ben := f.twoInTheLobby()
	f.turnOn("slow_store", 300, "1m")
	begin := time.Now()
	ada.say("slowly")
	if took := time.Since(begin); took < 300*time.Millisecond {
		t.Errorf("saved within %v, want 300ms or more", took)
	}
	expect[wire.MessagePayload](ada, wire.TypeMessage)

	f.turnOn("slow_store", 10_000, "1m")
	ada.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "on its way when the fault heals"})
	f.awaitSeries(map[string]float64{"messages_total receive message": 2, "message_duration_seconds message": 1})
	f.turnOff("slow_store")
	if _, ack := expect[wire.AckPayload](ada, wire.TypeAck); !ack.Success { // in less than the 5 s that it may take
		t.Errorf("ack %+v after healing", ack)
	}
	ben.numbers(2)
	f.awaitMetrics(map[string]float64{}, "websocket_errors_total")
}

func TestStoreTooSlow(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{Store: 100 * time.Millisecond}})
	ada, _ := f.twoInTheLobby()
	f.turnOn("slow_store", 5000, "1m")
	if ack := ada.say("too slowly"); ack.Success || ack.Error != wire.CodeUnavailable {
		t.Errorf("ack %+v, want a refusal", ack)
	}
	if code, _ := f.do("GET", "/readyz", ""); code != 503 {
		t.Errorf("/readyz: %d, want 503", code)
	}
}
