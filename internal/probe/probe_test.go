package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/demotest"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/transport"
	"github.com/sockscope/sockscope/internal/upstream"
)

// TestGoodServer probes a demo: all phases succeed, with exemplars that lead to the demo's traces, and for the demo
// these are connections like others that end in order.
func TestGoodServer(t *testing.T) {
	server, counted := startDemo(t, nil)
	r := run(t, nil, 2*time.Second, 2*time.Second, "demo="+socket(server))
	r.awaitProbes("demo", 2)
	if got := values(t, r.registry)["websocket_probe_success demo"]; got != 1 {
		t.Errorf("success is %v, want 1: %v", got, r.log.list())
	}
	for _, phase := range []phase{echo, delivery} {
		if !r.hasTrace(phase) {
			t.Errorf("no exemplar leads from %s to a trace", phase)
		}
	}
	if problems, err := testutil.GatherAndLint(r.registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	if log := r.log.list(); len(log) > 0 {
		t.Errorf("records: %v, want none", log)
	}
	r.stop()
	expectOrder(t, counted, 0)
}

// TestTransports probes a demo over each transport.
func TestTransports(t *testing.T) {
	handler, address := demotest.RunGRPC(t, demo.Config{})
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	target, err := ParseTarget("demo=" + socket(server))
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := upstream.TokensFrom("")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Targets: []Target{target}, Interval: patience, Timeout: patience, Tokens: tokens}
	for _, over := range transport.Names() {
		if cfg.Transport = over; over == transport.GRPC {
			if _, err := New(cfg); err == nil {
				t.Error("gRPC is probed without an address")
			}
			cfg.Targets[0].Server = target.Server.WithGRPC(address)
		}
		p, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		r := p.probe(t.Context(), cfg.Targets[0])
		if r.err != nil || len(r.passed) != 3 || r.passed[2].took <= 0 {
			t.Errorf("%s: after %v: %v", over, r.passed, r.err)
		}
	}
}

// expectOrder expects a demo to have no more than the given connections left, and the others to have ended in order.
func expectOrder(t *testing.T, demo prometheus.Gatherer, left float64) {
	t.Helper()
	const active = "websocket_active_connections chat"
	eventually(t, func() bool { return values(t, demo)[active] == left }, func() string {
		return fmt.Sprintf("%v connections are left, want %v", values(t, demo)[active], left)
	})
	for name, n := range values(t, demo) {
		const ended, inOrder = "websocket_disconnections_total ", "remote chat normal"
		if strings.HasPrefix(name, ended) && (n > 0) != (name == ended+inOrder) {
			t.Errorf("the demo counts %s = %v", name, n)
		}
	}
}

// awaitProbes waits for that many successful ones.
func (r *running) awaitProbes(target string, n float64) {
	r.t.Helper()
	name := "websocket_probe_duration_seconds delivery " + target
	eventually(r.t, func() bool { return values(r.t, r.registry)[name] >= n }, func() string {
		return "no probe succeeds: " + strings.Join(slices.Sorted(maps.Keys(values(r.t, r.registry))), ", ")
	})
}

// hasTrace says whether a bucket of the phase has a trace for an exemplar.
func (r *running) hasTrace(p phase) bool {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, b := range m.GetHistogram().GetBucket() {
				if e := b.GetExemplar(); e != nil && m.GetLabel()[0].GetValue() == string(p) && len(e.GetLabel()[0].GetValue()) == 32 {
					return true
				}
			}
		}
	}
	return false
}

// TestFailures probes what does not work, beside what does: each is told apart by phase and cause, and none is in the
// way of another.
func TestFailures(t *testing.T) {
	good, _ := startDemo(t, nil)
	full, counted := startDemo(t, func(c *demo.Config) { c.Limits.Rooms = 1 })
	crowded, crowd := startDemo(t, func(c *demo.Config) { c.Limits.ConnectionsPerAddress = 1 })
	stored := holdRoom(t, socket(full))
	defer stored()
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	deadSocket := "ws://" + dead.Addr().String() + "/ws"
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	hanging := hangingServer(t)
	targets := map[string]struct{ address, phase, cause string }{
		"dead":           {deadSocket, "connect", "connection refused"},
		"hanging":        {"ws://" + hanging + "/ws", "connect", "timeout of 2s"},
		"no-upgrade":     {socket(handlerServer(t, http.NotFound)), "connect", "404 page not found"},
		"mute":           {socket(handlerServer(t, speak(nil))), "connect", "no welcome: not done within"},
		"garbage":        {socket(handlerServer(t, speak(func(wire.Envelope) []string { return []string{"{"} }))), "connect", "not an envelope"},
		"deaf":           {socket(handlerServer(t, speak(only()))), "echo", "timeout of 2s"},
		"refusing":       {socket(handlerServer(t, speak(refuseAll))), "echo", "rate_limited: slowly"},
		"closing":        {socket(handlerServer(t, closing)), "echo", "1012 again soon"},
		"joinless":       {socket(handlerServer(t, speak(only(wire.TypePing)))), "delivery", "join the room: not done within"},
		"never-delivers": {socket(handlerServer(t, speak(only(wire.TypePing, wire.TypeJoin, wire.TypeMessage)))), "delivery", "does not arrive"},
		"crowded":        {socket(crowded), "connect", "close one first"},
		"full":           {socket(full), "delivery", "join the room: the server refused: server_full"},
	}
	args := []string{"good=" + socket(good)}
	for name, target := range targets {
		args = append(args, name+"="+target.address)
	}
	r := run(t, nil, 2*time.Second, 2*time.Second, args...)
	for name, want := range targets {
		phase, cause := r.awaitFailure(name)
		if phase != want.phase || !strings.Contains(cause, want.cause) {
			t.Errorf("%s failed in %s because of %q, want %s because of %q", name, phase, cause, want.phase, want.cause)
		}
	}
	r.awaitProbes("good", 1)
	got := map[string]float64{}
	for name, n := range values(t, r.registry) {
		if target, ok := strings.CutPrefix(name, "websocket_probe_success "); ok {
			got[target] = n
		} else if outcome, ok := strings.CutPrefix(name, "websocket_probes_total "); ok {
			result, target, _ := strings.Cut(outcome, " ")
			expected := "success"
			if target != "good" {
				expected = targets[target].phase
			}
			if (n > 0) != (result == expected) {
				t.Errorf("%v probes of %s have the result %s, want only %s", n, target, result, expected)
			}
		} else if n > 0 && strings.Contains(name, " delivery ") && !strings.HasSuffix(name, " good") {
			t.Errorf("%s is %v although none succeeded", name, n)
		}
	}
	want := map[string]float64{"good": 1}
	for name := range targets {
		want[name] = 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("success (-want +got):\n%s", diff)
	}
	r.stop()
	expectOrder(t, counted, 1) // that of who holds the room
	expectOrder(t, crowd, 0)   // the connection that was let in is not left alone
}

// TestBadToken is refused by the demo, and by the one who should make tokens.
func TestBadToken(t *testing.T) {
	server, _ := startDemo(t, nil)
	for name, tc := range map[string]struct {
		tokens upstream.Tokens
		cause  string
	}{
		"bad":  {func(context.Context, upstream.Server, string) (string, error) { return "bad", nil }, "401"},
		"none": {func(context.Context, upstream.Server, string) (string, error) { return "", errors.New("no token") }, "no token"},
	} {
		r := run(t, tc.tokens, time.Second, time.Second, name+"="+socket(server))
		if phase, cause := r.awaitFailure(name); phase != "connect" || !strings.Contains(cause, tc.cause) {
			t.Errorf("%s: failed in %s because of %q, want connect because of %q", name, phase, cause, tc.cause)
		}
	}
}

// TestBrokenOff ends a probe before it has come to anything, which says nothing about the target.
func TestBrokenOff(t *testing.T) {
	begun := make(chan bool)
	r := run(t, func(ctx context.Context, _ upstream.Server, _ string) (string, error) {
		close(begun)
		<-ctx.Done()
		return "", ctx.Err()
	}, patience, patience, "it=ws://127.0.0.1:1/ws")
	<-begun
	r.stop()
	if _, told := values(t, r.registry)["websocket_probe_success it"]; told || len(r.log.list()) > 0 {
		t.Errorf("success is told: %t, records: %v, want neither", told, r.log.list())
	}
}

// TestRecovers probes a server that is away at first and comes back.
func TestRecovers(t *testing.T) {
	var up atomic.Bool
	handler, _ := runDemo(t, nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !up.Load() {
			http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	r := run(t, nil, time.Second, time.Second, "it="+socket(server))
	if _, cause := r.awaitFailure("it"); !strings.Contains(cause, "503") {
		t.Errorf("cause is %q, want what the server says", cause)
	}
	up.Store(true)
	r.awaitProbes("it", 1)
	eventually(t, func() bool {
		log := r.log.list()
		return log[len(log)-1]["msg"] == "probe succeeds again"
	}, func() string { return "no record about the recovery" })
	if got := values(t, r.registry)["websocket_probe_success it"]; got != 1 {
		t.Errorf("success is %v, want 1", got)
	}
}

// holdRoom occupies the one room that a demo has, until it is called back.
func holdRoom(t *testing.T, address string) (release func()) {
	t.Helper()
	server, err := upstream.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := upstream.TokensFrom("")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	token, err := tokens(ctx, server, "ann")
	if err != nil {
		t.Fatal(err)
	}
	p, err := new(Prober).dial(ctx, transport.WebSocket, Target{Server: server}, token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.request(ctx, wire.TypeJoin, wire.JoinPayload{Room: "lobby"}); err != nil {
		t.Fatal(err)
	}
	return func() { closeAll(p) }
}

// hangingServer accepts connections and says nothing, ever.
func hangingServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-accepted
		for _, conn := range conns {
			conn.Close()
		}
	})
	return l.Addr().String()
}

// replies are the frames that a server sends after it has got one, or after the handshake.
type replies func(got wire.Envelope) []string

// only answers requests of these types alone, after a welcome.
func only(types ...wire.Type) replies {
	return func(got wire.Envelope) []string {
		switch {
		case got.Type == "":
			return []string{`{"type":"welcome","payload":{}}`}
		case !slices.Contains(types, got.Type):
			return nil
		case got.Type == wire.TypePing:
			return []string{`{"type":"pong","messageId":"` + got.MessageID + `"}`}
		}
		return []string{
			`{"type":"ack","messageId":"` + got.MessageID + `","payload":{"success":true}}`,
			`{"type":"message","messageId":"00000000-0000-4000-8000-000000000000","payload":{}}`, // another probe's
		}
	}
}

func refuseAll(got wire.Envelope) []string {
	if got.Type == "" {
		return only()(got)
	}
	return []string{`{"type":"error","messageId":"` + got.MessageID + `","payload":{"code":"rate_limited","reason":"slowly"}}`}
}

// closing welcomes its peer and closes the connection.
func closing(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	_ = conn.Write(r.Context(), websocket.MessageText, []byte(only()(wire.Envelope{})[0]))
	_, _, _ = conn.Read(r.Context())
	_ = conn.Close(websocket.StatusServiceRestart, "again soon")
}

// speak serves a WebSocket by replies; nil says nothing. It answers close frames.
func speak(reply replies) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		var got wire.Envelope
		for {
			if reply != nil {
				for _, frame := range reply(got) {
					if conn.Write(r.Context(), websocket.MessageText, []byte(frame)) != nil {
						return
					}
				}
			}
			_, data, err := conn.Read(r.Context())
			if err != nil || json.Unmarshal(data, &got) != nil {
				return
			}
		}
	}
}
