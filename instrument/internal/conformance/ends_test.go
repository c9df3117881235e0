package conformance_test

import (
	"context"
	"crypto/rand"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// soon is for what is not to happen in time.
const soon = 100 * time.Millisecond

// An end is all that is exported about how a connection ends.
type end struct {
	Initiator, Reason string
	Code              int    // 0 if the record has none
	Error             string // the kind of the error that counts, if any does
	Ping              string // the result of a ping, if there was one
	Closing           bool   // the observer drains
}

// A webSocketEnd is one way in which a WebSocket ends.
type webSocketEnd struct {
	name   string
	server func(*testing.T, *realtimetest.Recorder, conn)
	peer   func(*peer)
	want   end
	only   string // the adapter that can
	except string // the adapter whose library tolerates it
	aware  bool   // only by an adapter that the application uses
}

// webSocketEnds are in the order of the documentation.
func webSocketEnds() []webSocketEnd {
	reads := func(_ *testing.T, _ *realtimetest.Recorder, c conn) { readUntilEnd(c) }
	writes := func(_ *testing.T, _ *realtimetest.Recorder, c conn) { writeUntilEnd(c, make([]byte, 100)) }
	sends := func(frames ...[]byte) func(*peer) {
		return func(p *peer) {
			p.send(slices.Concat(frames...)) // at once, because the server may close the connection after any of them
			p.readAll()
		}
	}
	closes := func(code int) func(*testing.T, *realtimetest.Recorder, conn) {
		return func(_ *testing.T, _ *realtimetest.Recorder, c conn) { c.close(code) }
	}
	violation := end{Initiator: "local", Reason: "protocol_error", Code: 1002, Error: "read"}
	broken := end{Initiator: "network", Reason: "abnormal", Code: 1006, Error: "read"}
	return []webSocketEnd{
		{name: "the peer closes, 1000", server: reads, peer: sends(closeFrame(1000, "bye")), want: end{Initiator: "remote", Reason: "normal", Code: 1000}},
		{name: "the peer closes, 1001", server: reads, peer: sends(closeFrame(1001, "")), want: end{Initiator: "remote", Reason: "going_away", Code: 1001}},
		{name: "the peer closes without a code", server: reads, peer: sends(frame(0x88)), want: end{Initiator: "remote", Reason: "normal", Code: 1005}},
		{name: "the peer closes, a code of its own", server: reads, peer: sends(closeFrame(4711, "")), want: end{Initiator: "remote", Reason: "other", Code: 4711}},
		{name: "the peer goes away without a close frame", server: reads, peer: (*peer).leave, want: broken},
		{name: "the peer resets the connection", server: reads, peer: (*peer).reset, want: broken},
		{
			name: "the peer resets the connection while we write", server: writes, peer: (*peer).reset,
			want: end{Initiator: "network", Reason: "write_error", Code: 1006, Error: "write"},
		},
		{
			name: "the peer resets the connection, then we close",
			server: func(t *testing.T, r *realtimetest.Recorder, c conn) {
				writeUntilEnd(c, make([]byte, 100))
				c.close(1000)
			},
			peer: (*peer).reset, want: end{Initiator: "network", Reason: "write_error", Code: 1006, Error: "write"},
		},
		{name: "the handler returns", server: func(*testing.T, *realtimetest.Recorder, conn) {}, peer: (*peer).readAll, want: end{Initiator: "local", Reason: "normal", Code: 1006}},
		{name: "we close, 1000", server: closes(1000), peer: (*peer).answerClose, want: end{Initiator: "local", Reason: "normal", Code: 1000}},
		{name: "we close, 1008", server: closes(1008), peer: (*peer).answerClose, want: end{Initiator: "local", Reason: "policy", Code: 1008}},
		{name: "we close, 1012", server: closes(1012), peer: (*peer).answerClose, want: end{Initiator: "local", Reason: "restart", Code: 1012}},
		{
			name: "we close for a slow consumer", aware: true,
			server: func(_ *testing.T, _ *realtimetest.Recorder, c conn) { c.closeFor(instrument.ReasonSlowConsumer, 1008) },
			peer:   (*peer).answerClose, want: end{Initiator: "local", Reason: "slow_consumer", Code: 1008},
		},
		{
			name: "the observer drains",
			server: func(t *testing.T, r *realtimetest.Recorder, c conn) {
				drained := make(chan error, 1)
				go func() {
					ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
					defer cancel()
					drained <- r.Observer.Drain(ctx)
				}()
				readUntilEnd(c)
				if err := <-drained; err != nil {
					t.Error(err)
				}
			},
			peer: (*peer).answerClose, want: end{Initiator: "local", Reason: "shutdown", Code: 1001, Closing: true},
		},
		{
			name:   "the handler returns while the observer is draining",
			server: func(_ *testing.T, r *realtimetest.Recorder, _ conn) { r.Observer.SetDraining(true) },
			peer:   (*peer).readAll, want: end{Initiator: "local", Reason: "shutdown", Code: 1006, Closing: true},
		},
		{
			name: "the context of a read is cancelled", only: "coder",
			server: func(_ *testing.T, _ *realtimetest.Recorder, c conn) {
				served := c.(*coderConn)
				var cancel context.CancelFunc
				served.reading, cancel = context.WithCancel(served.reading)
				time.AfterFunc(soon, cancel)
				readUntilEnd(c)
			},
			peer: (*peer).readAll, want: end{Initiator: "local", Reason: "shutdown", Code: 1006},
		},
		{
			name: "nothing is received in time",
			server: func(_ *testing.T, _ *realtimetest.Recorder, c conn) {
				for err := error(nil); err == nil; {
					c.limitReads(soon)
					err = c.read()
				}
			},
			peer: sends(frame(0x81, 'x')), want: end{Initiator: "local", Reason: "idle_timeout", Code: 1006},
		},
		{
			name: "the deadline of all reads passes",
			server: func(_ *testing.T, _ *realtimetest.Recorder, c conn) {
				c.limitReads(soon)
				readUntilEnd(c)
			},
			peer: sends(frame(0x81, 'x'), frame(0x81, 'x')), want: end{Initiator: "local", Reason: "normal", Code: 1006},
		},
		{
			name:   "a ping is not answered in time",
			server: func(_ *testing.T, _ *realtimetest.Recorder, c conn) { c.ping(soon) },
			peer:   (*peer).readAll,
			want:   end{Initiator: "network", Reason: "ping_timeout", Code: 1006, Error: "timeout", Ping: "timeout"},
		},
		{
			name: "a message is not taken in time",
			server: func(_ *testing.T, _ *realtimetest.Recorder, c conn) {
				c.limitWrites(3 * soon)
				incompressible := make([]byte, 1<<20)
				_, _ = rand.Read(incompressible)
				writeUntilEnd(c, incompressible)
			},
			peer: func(*peer) {}, want: end{Initiator: "network", Reason: "write_error", Code: 1006, Error: "write"},
		},
		{
			name:   "a message is too big",
			server: reads, peer: sends(frame(0x82, make([]byte, readLimit+1)...)),
			want: end{Initiator: "local", Reason: "message_too_big", Code: 1009, Error: "read"},
		},
		{
			name: "the peer sets a reserved bit on a continuation", except: "gorilla",
			server: reads, peer: sends(frame(0x01, 'x'), frame(0xC0, 'y'), closeFrame(1000, "")), want: violation,
		},
		{name: "the peer sets a reserved bit on a close frame", server: reads, peer: sends(append([]byte{0xC8}, closeFrame(1000, "")[1:]...)), want: violation},
		{
			name: "the peer sets a reserved bit on a ping, which the library tolerates, and closes", only: "gorilla",
			server: reads, peer: sends(frame(0xC9), closeFrame(1000, "")), want: end{Initiator: "remote", Reason: "normal", Code: 1000},
		},
		{
			name: "the peer sets a reserved bit on a ping, which the library tolerates, and is silent", only: "gorilla",
			server: func(_ *testing.T, _ *realtimetest.Recorder, c conn) {
				_ = c.read()
				c.limitReads(soon)
				_ = c.read()
			},
			peer: sends(frame(0xC9), frame(0x81, 'x')), want: end{Initiator: "local", Reason: "idle_timeout", Code: 1006},
		},
		{name: "the peer sends a reserved opcode", server: reads, peer: sends(frame(0x83, 'x')), want: violation},
		{name: "the peer gives a reason that is not UTF-8", server: reads, peer: sends(closeFrame(1000, "\xff")), want: violation},
		{name: "the peer sends a code that must not be sent", server: reads, peer: sends(closeFrame(1006, "")), want: violation},
		{
			name:   "the handler panics",
			server: func(*testing.T, *realtimetest.Recorder, conn) { panic("boom") },
			peer:   (*peer).answerClose, want: end{Initiator: "local", Reason: "internal", Code: 1011, Error: "panic"},
		},
		{
			name:   "the handler panics with http.ErrAbortHandler",
			server: func(*testing.T, *realtimetest.Recorder, conn) { panic(http.ErrAbortHandler) },
			peer:   (*peer).readAll, want: end{Initiator: "local", Reason: "abnormal", Code: 1006},
		},
	}
}

func readUntilEnd(c conn) {
	for c.read() == nil {
		continue
	}
}

func writeUntilEnd(c conn, p []byte) {
	for c.write(p) == nil {
		continue
	}
}

// serve starts a server that hands requests to handle, which tells by closing the channel that it has returned.
func serve(t *testing.T, handle http.HandlerFunc) (url string, returned <-chan struct{}) {
	t.Helper()
	done := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		handle(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, done
}

// TestFieldCases04And05Ends has every adapter end a connection in every way, between it and a bare peer.
func TestFieldCases04And05Ends(t *testing.T) {
	for name, serveBy := range webSockets() {
		for _, tt := range webSocketEnds() {
			if tt.only != "" && tt.only != name || tt.except == name || tt.aware && name == handler {
				continue
			}
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				recorder := realtimetest.New(t)
				url, returned := serve(t, func(w http.ResponseWriter, r *http.Request) {
					serveBy(w, r, recorder.Observer, func(c conn) { tt.server(t, recorder, c) })
				})
				p := ask(t, url, upgrade)
				p.upgraded()
				tt.peer(p)
				select {
				case <-returned:
				case <-time.After(patience):
					t.Error("the handler does not return")
				}
				ended(t, recorder, "websocket", tt.want, name == handler)
			})
		}
	}
}

// ended compares all that was exported about one connection, but for its messages if they were counted.
func ended(t *testing.T, r *realtimetest.Recorder, protocol string, want end, counted bool) {
	t.Helper()
	counts := map[string]float64{
		protocol + `_connections_total{status="connected"}`:                                                 1,
		protocol + `_handshake_duration_seconds_count{status="connected"}`:                                  1,
		protocol + `_connection_duration_seconds_count{reason="` + want.Reason + `"}`:                       1,
		protocol + `_disconnections_total{initiator="` + want.Initiator + `",reason="` + want.Reason + `"}`: 1,
	}
	if want.Error != "" {
		counts[protocol+`_errors_total{kind="`+want.Error+`"}`] = 1
	}
	if want.Ping != "" {
		counts[protocol+`_pings_total{result="`+want.Ping+`"}`] = 1
	}
	if want.Closing {
		counts[protocol+`_draining{}`] = 1
	}
	r.Record("connection closed")
	for series, n := range r.Metrics() {
		if counted && strings.HasPrefix(series, protocol+"_message") {
			counts[series] = n
		}
	}
	r.ExpectOnly(counts)

	record := r.Record("connection closed")
	code, _ := record["code"].(float64)
	got := end{Initiator: str(record["initiator"]), Reason: str(record["reason"]), Code: int(code)}
	told := end{Initiator: want.Initiator, Reason: want.Reason, Code: want.Code}
	if diff := cmp.Diff(told, got); diff != "" {
		t.Errorf("record `connection closed`, -want +got:\n%s", diff)
	}
	if record["level"] != "INFO" {
		t.Errorf("record `connection closed` has the level %v, want INFO", record["level"])
	}
	errors := r.Records("connection error")
	if (len(errors) > 0) != (want.Error != "") || len(errors) > 1 || len(errors) == 1 && errors[0]["kind"] != want.Error {
		t.Errorf("records `connection error`: %v, want the kind %q", errors, want.Error)
	}
	closeSpan(t, r, protocol, told)
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

// closeSpan compares the span of the close.
func closeSpan(t *testing.T, r *realtimetest.Recorder, protocol string, want end) {
	t.Helper()
	for _, span := range r.Spans() {
		if span.Name() != protocol+".close" {
			continue
		}
		var got end
		for _, a := range span.Attributes() {
			switch strings.TrimPrefix(string(a.Key), protocol+".close.") {
			case "initiator":
				got.Initiator = a.Value.AsString()
			case "reason":
				got.Reason = a.Value.AsString()
			case "code":
				got.Code = int(a.Value.AsInt64())
			}
		}
		if code := span.Status().Code; code != codes.Unset {
			t.Errorf("span of the close has the status %v, want none", code)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("span of the close, -want +got:\n%s", diff)
		}
		return
	}
	t.Error("no span of the close")
}
