package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sockscope/sockscope/demo/fault"
	"github.com/sockscope/sockscope/demo/wire"
)

func (f *fixture) turnOff(fault string) {
	f.t.Helper()
	if code, body := f.do(http.MethodDelete, "/fault/"+fault, ""); code != http.StatusOK {
		f.t.Fatalf("turn off %s: %d %s", fault, code, body)
	}
}

// faults returns how all faults are.
func (f *fixture) faults() []fault.State {
	f.t.Helper()
	var list struct{ Faults []fault.State }
	code, body := f.do(http.MethodGet, "/fault", "")
	if err := json.Unmarshal([]byte(body), &list); err != nil || code != http.StatusOK {
		f.t.Fatalf("list: %d %s (%v)", code, body, err)
	}
	return list.Faults
}

func (f *fixture) fault(name string) fault.State {
	f.t.Helper()
	for _, s := range f.faults() {
		if s.Name == name {
			return s
		}
	}
	f.t.Fatalf("there is no fault %s", name)
	return fault.State{}
}

// awaitSeries waits until these series have these values, whatever others have.
func (f *fixture) awaitSeries(want map[string]float64) {
	f.t.Helper()
	var diff string
	f.eventually(func() bool {
		got := map[string]float64{}
		for series := range want {
			name, _, _ := strings.Cut(series, " ")
			got[series] = f.metrics("websocket_" + name)[series]
		}
		diff = cmp.Diff(want, got)
		return diff == ""
	}, func() string { return "metrics (-want +got):\n" + diff })
}

// say sends a message to the lobby and returns what it was given for it.
func (c *client) say(text string) wire.AckPayload {
	c.t.Helper()
	c.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: text})
	_, ack := expect[wire.AckPayload](c, wire.TypeAck)
	return ack
}

// numbers reads that many messages and returns their sequence numbers. Nothing else may come between.
func (c *client) numbers(n int) []uint64 {
	c.t.Helper()
	var seqs []uint64
	for range n {
		env, _ := expect[wire.MessagePayload](c, wire.TypeMessage)
		seqs = append(seqs, env.Seq)
	}
	return seqs
}

// alive asks the server for an answer, which has to be the next that comes.
func (c *client) alive() {
	c.t.Helper()
	c.send(wire.TypePing, nil)
	expect[struct{}](c, wire.TypePong)
}

// twoInTheLobby returns two clients, the second of which hears only messages of the lobby.
func (f *fixture) twoInTheLobby() (ada, ben *client) {
	f.t.Helper()
	ada, ben = f.dial("Ada"), f.dial("Ben")
	ben.join("lobby")
	ada.join("lobby")
	expect[wire.PresencePayload](ben, wire.TypeJoined)
	return ada, ben
}

func TestSlowHandling(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	c := f.dial("Ada")
	c.join("lobby")
	f.turnOn("slow_handling", 300, "1m")
	begin := time.Now()
	c.send(wire.TypePing, nil)
	expect[struct{}](c, wire.TypePong)
	if took := time.Since(begin); took < 300*time.Millisecond {
		t.Errorf("answered after %v, want 300ms or more", took)
	}
	f.turnOff("slow_handling")
	for range 40 { // would take 12 s
		c.send(wire.TypePing, nil)
		expect[struct{}](c, wire.TypePong)
	}
	if took := time.Since(begin); took > 12*time.Second {
		t.Errorf("still slow after healing: %v", took)
	}
	f.awaitMetrics(map[string]float64{"message_duration_seconds join": 1, "message_duration_seconds ping": 41},
		"websocket_message_duration_seconds", "websocket_disconnections_total", "websocket_errors_total")
}

func TestMassDisconnect(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	const n = 10
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = f.dial(fmt.Sprintf("Ada-%d", i))
		clients[i].join("lobby")
		for _, before := range clients[:i] {
			expect[wire.PresencePayload](before, wire.TypeJoined)
		}
	}
	f.turnOn("mass_disconnect", 0.3, "1s")
	f.awaitMetrics(map[string]float64{"active_connections": n - 3, "disconnections_total network abnormal": 3, "errors_total read": 3},
		"websocket_active_connections", "websocket_disconnections_total", "websocket_errors_total")
	f.turnOn("mass_disconnect", 1, "1s")
	f.awaitMetrics(map[string]float64{"disconnections_total network abnormal": n, "errors_total read": n},
		"websocket_active_connections", "websocket_disconnections_total", "websocket_errors_total")
	for _, c := range clients {
		if err := c.ended(); websocket.CloseStatus(err) != -1 || !errors.Is(err, io.EOF) {
			t.Errorf("ended by %v, want an end without a close frame", err)
		}
	}
	f.eventually(func() bool { return !f.fault("mass_disconnect").On }, func() string { return "does not heal" })
	f.dial("Ada").join("lobby")
}

// TestMassDisconnectOfStreams breaks event streams: over HTTP, a client that is lost looks like one that leaves.
func TestMassDisconnectOfStreams(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada := f.listen("Ada", "", nil)
	f.turnOn("mass_disconnect", 1, "1s")
	if ev, err := ada.next(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream goes on with %s (%v), want its end", ev.name, err)
	}
	f.awaitMetrics(map[string]float64{"sse_disconnections_total remote going_away": 1},
		"sse_active_connections", "sse_disconnections_total", "sse_errors_total")
}

func TestSilence(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Heartbeat: 300 * time.Millisecond})
	c := f.dial("Ada")
	c.join("lobby")
	f.turnOn("silence", 1, "1m")
	c.send(wire.TypePing, nil)
	heard := make(chan wire.Envelope, 1)
	go func() {
		env, err := c.read()
		if err != nil {
			t.Errorf("the connection did not survive the silence: %v", err)
		}
		heard <- env
	}()
	f.awaitMetrics(map[string]float64{"messages_dropped_total expired": 1, "active_connections": 1},
		"websocket_messages_dropped_total", "websocket_active_connections", "websocket_disconnections_total", "websocket_errors_total")
	pongs := func() float64 { return f.metrics("websocket_pings_total")["pings_total pong"] }
	before := pongs()
	f.eventually(func() bool { return pongs() >= before+3 }, func() string { return "pings are not answered in the silence" })

	f.turnOff("silence")
	// The first that is heard is the answer to what was asked after healing.
	id := c.send(wire.TypePing, nil)
	if env := <-heard; env.MessageID != id {
		t.Errorf("heard %s %s, want the answer to %s", env.Type, env.MessageID, id)
	}
}

func TestFaultAPIAccess(t *testing.T) {
	t.Parallel()
	asked := func(f *fixture) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.http.URL+"/fault", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "elsewhere.example"
		resp, err := f.http.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if code := asked(start(t, Config{})); code != http.StatusForbidden {
		t.Errorf("by another name: %d, want 403", code)
	}
	if code := asked(start(t, Config{FaultAPI: Open})); code != http.StatusOK {
		t.Errorf("by another name, open: %d, want 200", code)
	}
	if code := asked(start(t, Config{FaultAPI: Off})); code != http.StatusNotFound {
		t.Errorf("off: %d, want 404", code)
	}
}

func TestHandlerPanics(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	struck, other := f.dial("struck"), f.dial("other")
	f.turnOn("handler_panics", 1, "1m")
	struck.send(wire.TypePing, nil)
	if err := struck.ended(); websocket.CloseStatus(err) != websocket.StatusInternalError {
		t.Errorf("ended by %v, want 1011", err)
	}
	f.turnOff("handler_panics")
	other.alive()
	f.awaitMetrics(map[string]float64{
		"active_connections": 1, "disconnections_total local internal": 1, "errors_total panic": 1, "message_duration_seconds ping": 2,
	}, "websocket_active_connections", "websocket_disconnections_total", "websocket_errors_total", "websocket_message_duration_seconds")
	if logs := f.logs.String(); !strings.Contains(logs, "the fault handler_panics: ping") {
		t.Errorf("the panic is not logged:\n%s", logs)
	}
}

// TestHandlerPanicsOnAStream has it panic on a message that comes by POST.
func TestHandlerPanicsOnAStream(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	struck, other := f.listen("Ada", "", nil), f.listen("Ben", "", nil)
	f.turnOn("handler_panics", 1, "1m")
	if status, _ := struck.post(wire.TypePing, nil); status != http.StatusInternalServerError {
		t.Errorf("status %d, want 500", status)
	}
	if ev, err := struck.next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the panic comes %s (%v), want the end", ev.name, err)
	}
	f.turnOff("handler_panics")
	if status, id := other.post(wire.TypePing, nil); status != http.StatusAccepted || other.await(wire.TypePong).env.MessageID != id {
		t.Errorf("another stream's message: %d", status)
	}
	f.awaitMetrics(map[string]float64{"sse_active_connections": 1, "sse_disconnections_total local internal": 1, "sse_errors_total panic": 1},
		"sse_active_connections", "sse_disconnections_total", "sse_errors_total")
}

// TestPanicsHaveTheirTrace finds the record of a panic by the trace of the message, on each transport.
func TestPanicsHaveTheirTrace(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	f := start(t, Config{SampleRatio: 1, TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))})
	socket, stream := f.dial("Ada"), f.listen("Ben", "", nil)
	f.turnOn("handler_panics", 1, "1m")
	for name, send := range map[string]func(){
		"websocket.message ping": func() { socket.send(wire.TypePing, nil) },
		"sse.message ping":       func() { stream.post(wire.TypePing, nil) },
	} {
		send()
		var trace, span string
		f.eventually(func() bool {
			for _, s := range spans.Ended() {
				if s.Name() == name {
					trace, span = s.SpanContext().TraceID().String(), s.SpanContext().SpanID().String()
				}
			}
			return span != ""
		}, func() string { return name + " has no span" })
		var panics []map[string]any
		for line := range strings.Lines(f.logs.String()) {
			var record map[string]any
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Fatal(err)
			}
			if record["msg"] == "panic" && record["trace_id"] == trace {
				panics = append(panics, record)
			}
		}
		if len(panics) != 1 || panics[0]["span_id"] != span || panics[0]["connection_id"] == nil {
			t.Errorf("%s: the records are %v, want one of the span %s and its connection", name, panics, span)
		}
	}
}

// TestFaultsHealByThemselves has all of them on at once.
func TestFaultsHealByThemselves(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	states := func() map[string]bool {
		on := map[string]bool{}
		for _, s := range f.faults() {
			if s.On {
				on[s.Name] = true
			}
		}
		return on
	}
	all := f.faults()
	want := map[string]bool{}
	for _, s := range all {
		if s.Unavailable == "" {
			f.turnOn(s.Name, s.Min, "300ms")
			want[s.Name] = true
			continue
		}
		code, body := f.do(http.MethodPut, "/fault/"+s.Name, `{"strength":1,"duration":"1s"}`)
		if code != http.StatusBadRequest || !strings.Contains(body, "--redis") {
			t.Errorf("turn on %s, which needs other nodes: %d %s", s.Name, code, body)
		}
	}
	if len(want) != len(all)-3 {
		t.Errorf("turned on %v, want all but those of the backplane", want)
	}
	f.eventually(func() bool { return len(states()) == 0 }, func() string { return "faults do not heal" })
	ada, ben := f.twoInTheLobby()
	last, err := f.chat.history.LastSeq(t.Context(), "lobby") // hot_room has been there
	if err != nil {
		t.Fatal(err)
	}
	if ack := ada.say("hello"); ack.Seq != last+1 {
		t.Errorf("ack %+v, want seq %d", ack, last+1)
	}
	if diff := cmp.Diff([]uint64{last + 1}, ben.numbers(1)); diff != "" {
		t.Errorf("after all have healed Ben gets (-want +got):\n%s", diff)
	}
}

// TestNoFaultsInADrain turns on what has a goroutine of its own.
func TestNoFaultsInADrain(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	f.turnOn("goroutine_leak", 1000, "30m")
	f.turnOn("bad_drain", 1, "30m")
	f.shutdown()
	for _, s := range f.faults() {
		if s.On {
			t.Errorf("%s is still on", s.Name)
		}
	}
	code, body := f.do(http.MethodPut, "/fault/mass_disconnect", `{"strength":1,"duration":"1s"}`)
	if code != http.StatusServiceUnavailable || !strings.Contains(body, "draining") || f.fault("mass_disconnect").On {
		t.Errorf("turned on after the drain: %d %s", code, body)
	}
}

func TestBadDrain(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	c := f.dial("Ada")
	f.turnOn("bad_drain", 1, "1m")
	f.shutdown()
	if env, err := c.read(); websocket.CloseStatus(err) != -1 || !errors.Is(err, io.EOF) {
		t.Errorf("ended by %v after %q, want an end without a word", err, env.Type)
	}
	f.awaitMetrics(map[string]float64{"disconnections_total local shutdown": 1, "draining": 1},
		"websocket_disconnections_total", "websocket_active_connections", "websocket_draining", "websocket_messages_dropped_total")
}
