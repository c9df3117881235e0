package demo

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/sockscope/sockscope/demo/wire"
)

// TestGRPCLimits reaches the limits of connections and messages.
func TestGRPCLimits(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Limits: Limits{Connections: 3, ConnectionsPerAddress: 2, MessagesPerSecond: 0.01, MessageBurst: 2}})
	c := f.caller("Ada")
	first, second := c.chat(t.Context()), c.chat(t.Context())
	first.await("welcome")
	second.await("welcome")
	if err, want := c.subscribe(0).ended(), (failed{codes.ResourceExhausted, "RATE_LIMITED", "RetryInfo"}); failureOf(err) != want {
		t.Errorf("a stream too many: %v, want %+v", err, want)
	}
	second.leave()
	f.eventually(func() bool { return f.chat.door.Open() == 1 }, func() string { return "a stream keeps its place" })
	for range 2 {
		if _, err := c.SendMessage(t.Context(), message("lobby", "hello")); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.SendMessage(t.Context(), message("lobby", "hello"))
	if want := (failed{codes.ResourceExhausted, "RATE_LIMITED", "RetryInfo"}); failureOf(err) != want {
		t.Errorf("a message too many: %v, want %+v", err, want)
	}
	for range 5 { // two are let through, and three are too many
		first.say("hello")
	}
	if err, want := first.ended(), (failed{codes.ResourceExhausted, "POLICY", "RetryInfo"}); failureOf(err) != want {
		t.Errorf("a client that goes on regardless: %v, want %+v", err, want)
	}
	f.awaitMetrics(map[string]float64{
		"grpc_stream_disconnections_total local policy": 1, "grpc_stream_disconnections_total remote going_away": 1,
	}, "grpc_stream_disconnections_total")
}

// TestGRPCFull has as many connections as there may be.
func TestGRPCFull(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Limits: Limits{Connections: 1}})
	c := f.caller("Ada")
	c.chat(t.Context()).await("welcome")
	_, err := c.SendMessage(t.Context(), message("lobby", "hello"))
	if want := (failed{codes.Unavailable, "OVER_CAPACITY", "RetryInfo"}); failureOf(err) != want {
		t.Errorf("%v, want %+v", err, want)
	}
	if _, err := healthv1.NewHealthClient(c.conn).Check(t.Context(), new(healthv1.HealthCheckRequest)); err != nil {
		t.Errorf("health of a full server: %v", err)
	}
}

// TestGRPCSlowConsumer has a client that reads nothing: it is disconnected, and the others are not held up.
func TestGRPCSlowConsumer(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Limits: Limits{SendQueue: 8, MessagesPerSecond: 1e6, MessageBurst: 1e6}})
	slow := f.chatter("slow", smallWindow()...)
	slow.join()
	c, text := f.caller("quick"), strings.Repeat("x", wire.MaxTextBytes)
	f.eventually(func() bool {
		if _, err := c.SendMessage(t.Context(), message("lobby", text)); err != nil {
			t.Fatal(err)
		}
		return f.metrics("grpc_stream_disconnections_total")["grpc_stream_disconnections_total local slow_consumer"] == 1
	}, func() string { return "a client that reads nothing is not disconnected" })
	f.eventually(func() bool { return f.chat.sessions.Len() == 0 }, func() string { return "its session stays" })
	if err, want := slow.ended(), (failed{codes.ResourceExhausted, "SLOW_CONSUMER", "RetryInfo"}); failureOf(err) != want {
		t.Errorf("ended by %v, want %+v", err, want)
	}
}

// TestGRPCWriteTimeout has a client that reads nothing while little is said: it is disconnected all the same.
func TestGRPCWriteTimeout(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Limits: Limits{SendQueue: 10_000, MessagesPerSecond: 1e6, MessageBurst: 1e6, Write: 200 * time.Millisecond}})
	slow := f.chatter("slow", smallWindow()...)
	slow.join()
	c, text := f.caller("quick"), strings.Repeat("x", wire.MaxTextBytes)
	f.eventually(func() bool {
		if _, err := c.SendMessage(t.Context(), message("lobby", text)); err != nil {
			t.Fatal(err)
		}
		return f.metrics("grpc_stream_disconnections_total")["grpc_stream_disconnections_total local write_error"] == 1
	}, func() string { return "a client that reads nothing is not disconnected" })
	f.eventually(func() bool { return f.chat.sessions.Len() == 0 }, func() string { return "its session stays" })
}

// TestGRPCKeepalive has a client vanish without a word.
func TestGRPCKeepalive(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Heartbeat: time.Second})
	c := f.chatter("Ada")
	c.join()
	f.turnOn("half_open", 1, "1m")
	if err := c.ended(); status.Code(err) != codes.Unavailable {
		t.Errorf("ended by %v, want to be cut off", err)
	}
	f.awaitMetrics(map[string]float64{
		"grpc_stream_disconnections_total network ping_timeout": 1, "grpc_disconnections_total network ping_timeout": 1,
	}, "grpc_stream_disconnections_total", "grpc_disconnections_total", "grpc_stream_active_connections")
	f.turnOff("half_open")
	f.chatter("Ada").ping()
}

// TestGRPCFaults has the faults strike that act on links, handlers and connections.
func TestGRPCFaults(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true})
	c, calls := f.chatter("Ada"), f.caller("Ben")
	c.join()

	f.turnOn("handler_panics", 1, "1m")
	internal := failed{codes.Internal, "INTERNAL", ""}
	if _, err := calls.SendMessage(t.Context(), message("lobby", "hello")); failureOf(err) != internal {
		t.Errorf("a call whose handler panics: %v", err)
	}
	c.say("hello")
	if err := c.ended(); failureOf(err) != internal {
		t.Errorf("a stream whose handler panics: %v", err)
	}
	f.awaitMetrics(map[string]float64{
		"grpc_stream_errors_total panic": 1, "grpc_stream_disconnections_total local internal": 1, "grpc_errors_total handler": 1,
	}, "grpc_stream_errors_total", "grpc_stream_disconnections_total", "grpc_errors_total")
	f.turnOff("handler_panics")

	f.turnOn("handshake_errors", 1, "1m")
	if _, err := calls.SendMessage(t.Context(), message("lobby", "hello")); failureOf(err) != (failed{codes.Internal, "ERROR", ""}) {
		t.Errorf("a call that fails at the gate: %v", err)
	}
	f.turnOff("handshake_errors")

	c = f.chatter("Ada")
	c.join()
	f.turnOn("silence", 1, "1m")
	if _, err := calls.SendMessage(t.Context(), message("lobby", "unheard")); err != nil {
		t.Error(err)
	}
	f.awaitMetrics(map[string]float64{"grpc_stream_messages_dropped_total expired": 1}, "grpc_stream_messages_dropped_total")
	f.turnOff("silence")
	c.ping()

	f.turnOn("mass_disconnect", 1, "1m")
	if err := c.ended(); status.Code(err) != codes.Unavailable {
		t.Errorf("ended by %v, want to be cut off", err)
	}
	f.awaitMetrics(map[string]float64{
		"grpc_stream_disconnections_total local internal": 1, "grpc_stream_disconnections_total network abnormal": 1,
	}, "grpc_stream_disconnections_total")
}
