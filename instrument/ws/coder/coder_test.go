package coder_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is an endpoint on loopback whose handler gets each accepted connection.
type server struct {
	*httptest.Server
	observer *instrument.Observer
	records  *records
}

// deadline is when a test gives up; nothing in the tests waits for it to pass.
const deadline = 10 * time.Second

func serve(t *testing.T, handle func(context.Context, *instrument.Observer, *coder.Conn)) *server {
	t.Helper()
	records := new(records)
	o, err := instrument.New(instrument.WithNamespace("test"), instrument.WithLogger(slog.New(slog.NewJSONHandler(records, nil))),
		instrument.WithTracerProvider(noop.NewTracerProvider()))
	if err != nil {
		t.Fatal(err)
	}
	s := serveObserved(t, o, handle)
	s.records = records
	return s
}

func serveObserved(t *testing.T, o *instrument.Observer, handle func(context.Context, *instrument.Observer, *coder.Conn)) *server {
	t.Helper()
	s := &server{observer: o}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, o, nil)
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		handle(ctx, o, c)
	}))
	t.Cleanup(s.Close)
	return s
}

// client is a peer with its hands on the TCP connection.
type client struct {
	*websocket.Conn
	tcp net.Conn
}

func dial(t *testing.T, url string) client {
	t.Helper()
	var c client
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		c.tcp = conn
		return conn, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	c.Conn = ws
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

// reset ends the TCP connection by RST.
func (c client) reset(t *testing.T) {
	t.Helper()
	if err := c.tcp.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := c.tcp.Close(); err != nil {
		t.Fatal(err)
	}
}

// readToEnd reads until the connection ends.
func readToEnd(ctx context.Context, c interface {
	Read(context.Context) (websocket.MessageType, []byte, error)
}) error {
	for {
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
	}
}

// writeToEnd writes until a write fails.
func writeToEnd(ctx context.Context, c *coder.Conn) {
	payload := make([]byte, 1<<20)
	for {
		if err := c.Write(ctx, websocket.MessageBinary, payload); err != nil {
			return
		}
	}
}

// counts returns every counter and gauge that is not 0 and the counts of histograms, without what measures time.
func counts(t *testing.T, o *instrument.Observer) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(o); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "websocket_last_message_timestamp_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if l.GetName() != "namespace" {
					labels = append(labels, l.GetName()+"="+l.GetValue())
				}
			}
			name := strings.TrimPrefix(f.GetName(), "websocket_") + "{" + strings.Join(labels, ",") + "}"
			v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			if v != 0 {
				got[name] = v
			}
		}
	}
	return got
}

// eventually retries until the two are equal or time is up.
func eventually(t *testing.T, want map[string]float64, get func() map[string]float64) {
	t.Helper()
	var diff string
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if diff = cmp.Diff(want, get()); diff == "" {
			return
		}
	}
	t.Errorf("metrics, -want +got:\n%s", diff)
}

// records keeps what was logged.
type records struct {
	mu    sync.Mutex
	lines []map[string]any
}

func (r *records) Write(p []byte) (int, error) {
	line := map[string]any{}
	if err := json.Unmarshal(p, &line); err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	return len(p), nil
}

func (r *records) find(t *testing.T, msg string) map[string]any {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if line["msg"] == msg {
			return line
		}
	}
	t.Fatalf("no record %q in %v", msg, r.lines)
	return nil
}

// TestEnds has connections end in every way, between real peers, and compares everything that was counted.
func TestEnds(t *testing.T) {
	type end struct {
		initiator, reason string
		code              int
		errors, pings     map[string]float64
	}
	readUntilEnd := func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
		defer c.CloseNow()
		_ = readToEnd(ctx, c)
	}
	peerReads := func(ctx context.Context, _ *testing.T, c client) { _ = readToEnd(ctx, c) }
	peerIsSilent := func(ctx context.Context, _ *testing.T, _ client) { <-ctx.Done() }
	peerCloses := func(code websocket.StatusCode) func(context.Context, *testing.T, client) {
		return func(_ context.Context, t *testing.T, c client) {
			if err := c.Close(code, "as it likes"); err != nil {
				t.Errorf("close by the peer: %v", err)
			}
		}
	}
	weClose := func(code websocket.StatusCode) func(context.Context, *instrument.Observer, *coder.Conn) {
		return func(_ context.Context, _ *instrument.Observer, c *coder.Conn) { _ = c.Close(code, "") }
	}
	tests := map[string]struct {
		server func(context.Context, *instrument.Observer, *coder.Conn)
		client func(context.Context, *testing.T, client)
		want   end
	}{
		"peer closes, normal":           {readUntilEnd, peerCloses(1000), end{initiator: "remote", reason: "normal", code: 1000}},
		"peer closes, no code":          {readUntilEnd, peerCloses(1005), end{initiator: "remote", reason: "normal", code: 1005}},
		"peer closes, going away":       {readUntilEnd, peerCloses(1001), end{initiator: "remote", reason: "going_away", code: 1001}},
		"peer closes, protocol error":   {readUntilEnd, peerCloses(1002), end{initiator: "remote", reason: "protocol_error", code: 1002}},
		"peer closes, unsupported data": {readUntilEnd, peerCloses(1003), end{initiator: "remote", reason: "protocol_error", code: 1003}},
		"peer closes, invalid payload":  {readUntilEnd, peerCloses(1007), end{initiator: "remote", reason: "protocol_error", code: 1007}},
		"peer closes, policy":           {readUntilEnd, peerCloses(1008), end{initiator: "remote", reason: "policy", code: 1008}},
		"peer closes, message too big":  {readUntilEnd, peerCloses(1009), end{initiator: "remote", reason: "message_too_big", code: 1009}},
		"peer closes, extension":        {readUntilEnd, peerCloses(1010), end{initiator: "remote", reason: "protocol_error", code: 1010}},
		"peer closes, internal":         {readUntilEnd, peerCloses(1011), end{initiator: "remote", reason: "internal", code: 1011}},
		"peer closes, restart":          {readUntilEnd, peerCloses(1012), end{initiator: "remote", reason: "restart", code: 1012}},
		"peer closes, try again later":  {readUntilEnd, peerCloses(1013), end{initiator: "remote", reason: "try_again_later", code: 1013}},
		"peer closes, bad gateway":      {readUntilEnd, peerCloses(1014), end{initiator: "remote", reason: "internal", code: 1014}},
		"peer closes, code of its own":  {readUntilEnd, peerCloses(4711), end{initiator: "remote", reason: "other", code: 4711}},
		"we close, normal":              {weClose(1000), peerReads, end{initiator: "local", reason: "normal", code: 1000}},
		"we close, going away":          {weClose(1001), peerReads, end{initiator: "local", reason: "going_away", code: 1001}},
		"we close, policy":              {weClose(1008), peerReads, end{initiator: "local", reason: "policy", code: 1008}},
		"we close, internal":            {weClose(1011), peerReads, end{initiator: "local", reason: "internal", code: 1011}},
		"we close, restart":             {weClose(1012), peerReads, end{initiator: "local", reason: "restart", code: 1012}},
		"we close, try again later":     {weClose(1013), peerReads, end{initiator: "local", reason: "try_again_later", code: 1013}},
		"we close, code of our own":     {weClose(4000), peerReads, end{initiator: "local", reason: "other", code: 4000}},
		"we close while we read": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = readToEnd(ctx, c)
				}()
				_ = c.Close(1000, "")
				<-done
			}, peerReads, end{initiator: "local", reason: "normal", code: 1000},
		},
		"we cut": {
			func(_ context.Context, _ *instrument.Observer, c *coder.Conn) { _ = c.CloseNow() },
			peerReads, end{initiator: "local", reason: "abnormal", code: 1006},
		},
		"we close for a slow consumer": {
			func(_ context.Context, _ *instrument.Observer, c *coder.Conn) {
				_ = c.CloseFor(instrument.ReasonSlowConsumer, websocket.StatusPolicyViolation, "too slow")
			}, peerReads, end{initiator: "local", reason: "slow_consumer", code: 1008},
		},
		"we drain": {
			func(_ context.Context, o *instrument.Observer, c *coder.Conn) {
				o.SetDraining(true)
				_ = c.CloseFor(instrument.ReasonShutdown, websocket.StatusGoingAway, "")
				o.SetDraining(false)
			}, peerReads, end{initiator: "local", reason: "shutdown", code: 1001},
		},
		"context cancelled": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(10*time.Millisecond, cancel)
				_ = readToEnd(ctx, c)
			}, peerReads, end{initiator: "local", reason: "abnormal", code: 1006},
		},
		"context cancelled before reading": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				ctx, cancel := context.WithCancel(ctx)
				cancel()
				_ = readToEnd(ctx, c)
			}, peerReads, end{initiator: "local", reason: "abnormal", code: 1006},
		},
		"context cancelled while draining": {
			func(ctx context.Context, o *instrument.Observer, c *coder.Conn) {
				ctx, cancel := context.WithCancel(ctx)
				o.SetDraining(true)
				time.AfterFunc(10*time.Millisecond, cancel)
				_ = readToEnd(ctx, c)
				o.SetDraining(false)
			}, peerReads, end{initiator: "local", reason: "shutdown", code: 1006},
		},
		"nothing received in time": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
				defer cancel()
				_ = readToEnd(ctx, c)
			}, peerReads, end{initiator: "local", reason: "idle_timeout", code: 1006},
		},
		"peer vanishes": {
			readUntilEnd,
			func(_ context.Context, _ *testing.T, c client) { _ = c.tcp.Close() },
			end{initiator: "network", reason: "abnormal", code: 1006, errors: map[string]float64{"read": 1}},
		},
		"peer resets": {
			readUntilEnd,
			func(_ context.Context, t *testing.T, c client) { c.reset(t) },
			end{initiator: "network", reason: "abnormal", code: 1006, errors: map[string]float64{"read": 1}},
		},
		"peer vanishes within a message": {
			readUntilEnd,
			func(_ context.Context, t *testing.T, c client) {
				if _, err := c.tcp.Write([]byte{0x81, 0xFE, 0x10}); err != nil {
					t.Error(err)
				}
				_ = c.tcp.Close()
			},
			end{initiator: "network", reason: "abnormal", code: 1006, errors: map[string]float64{"read": 1}},
		},
		"message too big": {
			readUntilEnd,
			func(ctx context.Context, _ *testing.T, c client) {
				_ = c.Write(ctx, websocket.MessageBinary, make([]byte, 40_000))
				_ = readToEnd(ctx, c)
			},
			end{initiator: "local", reason: "message_too_big", code: 1009, errors: map[string]float64{"read": 1}},
		},
		"protocol error, reserved bits": {
			readUntilEnd,
			func(ctx context.Context, _ *testing.T, c client) {
				_, _ = c.tcp.Write([]byte{0xF1, 0x80, 0, 0, 0, 0})
				_ = readToEnd(ctx, c)
			},
			end{initiator: "local", reason: "protocol_error", code: 1002, errors: map[string]float64{"read": 1}},
		},
		"protocol error, not masked": {
			readUntilEnd,
			func(ctx context.Context, _ *testing.T, c client) {
				_, _ = c.tcp.Write([]byte{0x81, 0x00})
				_ = readToEnd(ctx, c)
			},
			end{initiator: "local", reason: "protocol_error", code: 1002, errors: map[string]float64{"read": 1}},
		},
		"ping timeout, then cut": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				read := make(chan error, 1)
				go func() { read <- readToEnd(ctx, c) }()
				ping(ctx, c, 50*time.Millisecond)
				_ = c.CloseNow()
				<-read
			}, peerIsSilent,
			end{
				initiator: "network", reason: "ping_timeout", code: 1006,
				errors: map[string]float64{"timeout": 1}, pings: map[string]float64{"timeout": 1},
			},
		},
		"ping timeout, then the peer resets": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				defer c.CloseNow()
				ping(ctx, c, 50*time.Millisecond)
				_ = readToEnd(ctx, c)
			},
			func(_ context.Context, t *testing.T, c client) {
				time.Sleep(200 * time.Millisecond)
				c.reset(t)
			},
			end{
				initiator: "network", reason: "ping_timeout", code: 1006,
				errors: map[string]float64{"timeout": 1}, pings: map[string]float64{"timeout": 1},
			},
		},
		"ping timeout, then a pong": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				read := make(chan error, 1)
				ping(ctx, c, 50*time.Millisecond) // nobody reads yet, so no pong can be seen
				go func() { read <- readToEnd(ctx, c) }()
				ping(ctx, c, deadline)
				_ = c.Close(1000, "")
				<-read
			}, peerReads,
			end{
				initiator: "local", reason: "normal", code: 1000,
				errors: map[string]float64{"timeout": 1}, pings: map[string]float64{"timeout": 1, "pong": 1},
			},
		},
		"ping after the end": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				_ = readToEnd(ctx, c)
				ping(ctx, c, deadline)
			}, peerCloses(1000),
			end{initiator: "remote", reason: "normal", code: 1000, pings: map[string]float64{"error": 1}},
		},
		"ping given up": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				cancelled, cancel := context.WithCancel(ctx)
				time.AfterFunc(10*time.Millisecond, cancel)
				_ = c.Ping(cancelled)
				_ = readToEnd(ctx, c)
			},
			func(ctx context.Context, t *testing.T, c client) {
				time.Sleep(50 * time.Millisecond)
				peerCloses(1000)(ctx, t, c)
			},
			end{initiator: "remote", reason: "normal", code: 1000},
		},
		"write error": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				for c.Write(ctx, websocket.MessageText, []byte("hello")) == nil {
					time.Sleep(5 * time.Millisecond)
				}
				_ = c.CloseNow()
			},
			func(_ context.Context, t *testing.T, c client) { c.reset(t) },
			end{initiator: "network", reason: "write_error", code: 1006, errors: map[string]float64{"write": 1}},
		},
		"write timeout": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				read := make(chan error, 1)
				go func() { read <- readToEnd(ctx, c) }()
				timeout, cancel := context.WithTimeout(ctx, time.Second) // time enough to fill the buffers first
				defer cancel()
				writeToEnd(timeout, c)
				<-read
			}, peerIsSilent,
			end{initiator: "network", reason: "write_error", code: 1006, errors: map[string]float64{"write": 1}},
		},
		"write given up": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				read := make(chan error, 1)
				go func() { read <- readToEnd(ctx, c) }()
				cancelled, cancel := context.WithCancel(ctx)
				time.AfterFunc(100*time.Millisecond, cancel)
				writeToEnd(cancelled, c)
				<-read
			}, peerIsSilent,
			end{initiator: "local", reason: "abnormal", code: 1006},
		},
		"write after the end": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				_ = readToEnd(ctx, c)
				for range 20 {
					if err := c.Write(ctx, websocket.MessageText, []byte("late")); err == nil {
						time.Sleep(time.Millisecond)
					}
				}
				_ = c.Close(1000, "")
			},
			func(_ context.Context, t *testing.T, c client) { c.reset(t) },
			end{initiator: "network", reason: "abnormal", code: 1006, errors: map[string]float64{"read": 1}},
		},
		"closed behind our back": {
			func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
				_ = c.Unwrap().CloseNow()
				_ = readToEnd(ctx, c)
			}, peerReads,
			end{initiator: "local", reason: "abnormal", code: 1006},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := make(chan struct{})
			s := serve(t, func(ctx context.Context, o *instrument.Observer, c *coder.Conn) {
				defer close(done)
				tt.server(ctx, o, c)
			})
			ctx, cancel := context.WithCancel(t.Context())
			c := dial(t, s.URL)
			var peer sync.WaitGroup
			peer.Go(func() { tt.client(ctx, t, c) })
			<-done
			cancel()
			peer.Wait()

			want := map[string]float64{
				"connections_total{status=connected}":                                                     1,
				"handshake_duration_seconds{status=connected}":                                            1,
				"connection_duration_seconds{reason=" + tt.want.reason + "}":                              1,
				"disconnections_total{initiator=" + tt.want.initiator + ",reason=" + tt.want.reason + "}": 1,
			}
			for kind, n := range tt.want.errors {
				want["errors_total{kind="+kind+"}"] = n
			}
			for result, n := range tt.want.pings {
				want["pings_total{result="+result+"}"] = n
			}
			if n := tt.want.pings["pong"]; n > 0 {
				want["ping_rtt_seconds{}"] = n
			}
			eventually(t, want, func() map[string]float64 { return counts(t, s.observer) })

			closed := s.records.find(t, "connection closed")
			type cause struct{ Initiator, Reason, Code any }
			if diff := cmp.Diff(cause{tt.want.initiator, tt.want.reason, float64(tt.want.code)},
				cause{closed["initiator"], closed["reason"], closed["code"]}); diff != "" {
				t.Errorf("record `connection closed`, -want +got:\n%s", diff)
			}
			if opened := s.records.find(t, "connection opened"); opened["session_id"] != closed["session_id"] {
				t.Errorf("sessions differ: %v and %v", opened, closed)
			}
		})
	}
}

func ping(ctx context.Context, c *coder.Conn, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_ = c.Ping(ctx)
}

// TestEcho carries messages and compares the counts that the application's calls make.
func TestEcho(t *testing.T) {
	s := serve(t, func(ctx context.Context, o *instrument.Observer, c *coder.Conn) {
		defer c.CloseNow()
		ctx = c.Session().Context(ctx)
		for {
			typ, p, err := c.Read(ctx)
			if err != nil {
				return
			}
			handling, m := c.Session().Receive(ctx, o.MessageType("other"), len(p), nil)
			err = c.Write(handling, typ, p)
			if err == nil {
				c.Session().Sent(o.MessageType("other"), len(p))
			}
			m.End(err)
		}
	})
	c := dial(t, s.URL)
	for range 10 {
		if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.Read(t.Context()); err != nil || string(p) != "hello" {
			t.Fatalf("read %q, %v", p, err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"connections_total{status=connected}":                  1,
		"handshake_duration_seconds{status=connected}":         1,
		"connection_duration_seconds{reason=normal}":           1,
		"disconnections_total{initiator=remote,reason=normal}": 1,
		"messages_total{direction=receive,type=other}":         10,
		"messages_total{direction=transmit,type=other}":        10,
		"message_size_bytes{direction=receive}":                10,
		"message_size_bytes{direction=transmit}":               10,
		"message_duration_seconds{type=other}":                 10,
	}
	eventually(t, want, func() map[string]float64 {
		got := counts(t, s.observer)
		for k := range got { // sampled or not is left to chance here
			if strings.HasPrefix(k, "instrument_spans_suppressed_total") {
				delete(got, k)
			}
		}
		return got
	})
}

// TestRefused has handshakes refused and compares what the peer gets, what is counted and what is logged.
func TestRefused(t *testing.T) {
	upgrade := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}
	tests := map[string]struct {
		method         string
		header         http.Header // replaces those of upgrade
		status, reason string
		code           int
		kind           string
	}{
		"foreign origin":  {http.MethodGet, http.Header{"Origin": {"https://evil.example"}}, "forbidden", "not authorized", 403, "auth"},
		"no upgrade":      {http.MethodGet, http.Header{"Upgrade": nil}, "bad_handshake", "does not contain websocket", 426, "handshake"},
		"not a GET":       {http.MethodPost, nil, "bad_handshake", "not GET", 405, "handshake"},
		"unknown version": {http.MethodGet, http.Header{"Sec-Websocket-Version": {"7"}}, "bad_handshake", "version", 400, "handshake"},
		"no key":          {http.MethodGet, http.Header{"Sec-Websocket-Key": nil}, "bad_handshake", "Key", 400, "handshake"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newRefusing(t, func(w http.ResponseWriter) http.ResponseWriter { return w })
			req, err := http.NewRequestWithContext(t.Context(), tt.method, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = upgrade.Clone()
			for k, v := range tt.header {
				req.Header[k] = v
			}
			s.refused(t, req, tt.status, tt.code, tt.kind, tt.reason)
		})
	}
	wrappers := map[string]func(http.ResponseWriter) http.ResponseWriter{
		"no hijacker": func(w http.ResponseWriter) http.ResponseWriter { return struct{ http.ResponseWriter }{w} },
	}
	for name, wrap := range wrappers {
		t.Run(name, func(t *testing.T) {
			s := newRefusing(t, wrap)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = upgrade.Clone()
			s.refused(t, req, "error", http.StatusNotImplemented, "handshake", "http.Hijacker")
		})
	}
}

func newRefusing(t *testing.T, wrap func(http.ResponseWriter) http.ResponseWriter) *server {
	t.Helper()
	s := &server{records: new(records)}
	var err error
	s.observer, err = instrument.New(instrument.WithLogger(slog.New(slog.NewJSONHandler(s.records, nil))))
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := coder.Accept(wrap(w), r, s.observer, nil); err == nil {
			t.Error("a handshake that must be refused was accepted")
			_ = c.CloseNow()
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) refused(t *testing.T, req *http.Request, status string, code int, kind, reason string) {
	t.Helper()
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != code {
		t.Errorf("answered %d, want %d", resp.StatusCode, code)
	}
	eventually(t, map[string]float64{
		"connections_total{status=" + status + "}":          1,
		"handshake_duration_seconds{status=" + status + "}": 1,
		"errors_total{kind=" + kind + "}":                   1,
	}, func() map[string]float64 { return counts(t, s.observer) })
	got := s.records.find(t, "handshake refused")
	if text, _ := got["error"].(string); got["status"] != status || got["http_status"] != float64(code) || !strings.Contains(text, reason) {
		t.Errorf("record is %v, want status %s, http_status %d, error with %q", got, status, code, reason)
	}
}

// TestRefusedByHijack has the connection refuse to be taken over after 101 was announced.
func TestRefusedByHijack(t *testing.T) {
	o, err := instrument.New()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}
	if _, err := coder.Accept(noHijack{httptest.NewRecorder()}, r, o, nil); !errors.Is(err, http.ErrHijacked) {
		t.Fatalf("Accept: %v, want http.ErrHijacked", err)
	}
	if diff := cmp.Diff(map[string]float64{
		"connections_total{status=error}":          1,
		"handshake_duration_seconds{status=error}": 1,
		"errors_total{kind=handshake}":             1,
	}, counts(t, o)); diff != "" {
		t.Errorf("metrics, -want +got:\n%s", diff)
	}
}

// TestNoAllocations compares an echo through the adapter with one through the transport alone.
func TestNoAllocations(t *testing.T) {
	echo := func(t *testing.T, observer *instrument.Observer) float64 {
		s := serveObserved(t, observer, func(_ context.Context, o *instrument.Observer, c *coder.Conn) {
			defer c.CloseNow()
			for {
				typ, p, err := c.Read(context.Background())
				if err != nil {
					return
				}
				if o == nil {
					err = c.Unwrap().Write(context.Background(), typ, p)
				} else {
					handling, m := c.Session().Receive(context.Background(), instrument.MessageType{}, len(p), nil)
					err = c.Write(handling, typ, p)
					c.Session().Sent(instrument.MessageType{}, len(p))
					m.End(err)
				}
				if err != nil {
					return
				}
			}
		})
		c, ctx, payload := dial(t, s.URL), context.Background(), make([]byte, 128)
		return testing.AllocsPerRun(1000, func() {
			if err := c.Write(ctx, websocket.MessageBinary, payload); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Read(ctx); err != nil {
				t.Fatal(err)
			}
		})
	}
	o, err := instrument.New(instrument.WithSampleRatio(0))
	if err != nil {
		t.Fatal(err)
	}
	if bare, observed := echo(t, nil), echo(t, o); observed > bare {
		t.Errorf("%v allocations per echo, want the transport's %v", observed, bare)
	}
}

// TestCancelledReadCloses wants a connection that is counted as closed to be closed, even when the transport had no
// chance to notice that the context was cancelled.
func TestCancelledReadCloses(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	s := serve(t, func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		_ = readToEnd(cancelled, c)
		<-hold
	})
	c := dial(t, s.URL)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := readToEnd(ctx, c); ctx.Err() != nil {
		t.Errorf("the connection is still open: %v", err)
	}
}
