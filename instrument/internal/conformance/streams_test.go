package conformance_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/memnet"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/sse"
)

// httpVersions are those that event streams are sent over.
func httpVersions() map[string]*http.Protocols {
	http1, http2 := new(http.Protocols), new(http.Protocols)
	http1.SetHTTP1(true)
	http2.SetUnencryptedHTTP2(true)
	return map[string]*http.Protocols{"HTTP/1.1": http1, "HTTP/2": http2}
}

// A reader is a peer that has asked for an event stream.
type reader struct {
	*http.Response
	cancel context.CancelFunc
	conn   net.Conn
}

func (r *reader) readAll() { _, _ = io.Copy(io.Discard, r.Body) }

func (r *reader) leave() { r.cancel() }

func (r *reader) reset() {
	_ = r.conn.(*net.TCPConn).SetLinger(0)
	_ = r.conn.Close()
}

// A streamEnd is one way in which an event stream ends.
type streamEnd struct {
	name    string
	server  func(*testing.T, *realtimetest.Recorder, *sse.Stream)
	request func(context.Context) (context.Context, context.CancelFunc) // nil leaves the request's context as it is
	peer    func(*reader)
	want    end
	timed   bool // it depends on who is in time, and is in a bubble
}

// streamEnds are in the order of the documentation.
func streamEnds() []streamEnd {
	waits := func(_ *testing.T, _ *realtimetest.Recorder, s *sse.Stream) { <-s.Context().Done() }
	sends := func(_ *testing.T, _ *realtimetest.Recorder, s *sse.Stream) {
		for s.Send(sse.Event{Data: make([]byte, 1<<20)}) == nil {
			continue
		}
	}
	left := end{Initiator: "remote", Reason: "going_away"}
	return []streamEnd{
		{name: "the peer leaves", server: waits, peer: (*reader).leave, want: left},
		{name: "the peer resets the connection", server: waits, peer: (*reader).reset, want: left},
		{name: "the peer leaves while we write", server: sends, peer: (*reader).leave, want: left},
		{name: "the peer resets the connection while we write", server: sends, peer: (*reader).reset, want: left},
		{
			name:   "the handler returns",
			server: func(*testing.T, *realtimetest.Recorder, *sse.Stream) {}, peer: (*reader).readAll,
			want: end{Initiator: "local", Reason: "normal"},
		},
		{
			name: "we close for a slow consumer",
			server: func(_ *testing.T, _ *realtimetest.Recorder, s *sse.Stream) {
				s.CloseFor(instrument.ReasonSlowConsumer)
			}, peer: (*reader).readAll, want: end{Initiator: "local", Reason: "slow_consumer"},
		},
		{
			name: "the observer drains",
			server: func(t *testing.T, r *realtimetest.Recorder, s *sse.Stream) {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
				defer cancel()
				if err := r.Observer.Drain(ctx); err != nil {
					t.Error(err)
				}
				<-s.Context().Done()
			}, peer: (*reader).readAll, want: end{Initiator: "local", Reason: "shutdown", Closing: true},
		},
		{
			name:   "the handler returns while the observer is draining",
			server: func(_ *testing.T, r *realtimetest.Recorder, _ *sse.Stream) { r.Observer.SetDraining(true) },
			peer:   (*reader).readAll, want: end{Initiator: "local", Reason: "shutdown", Closing: true},
		},
		{
			name: "the request's context is cancelled with a cause", server: waits,
			request: func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(ctx)
				timer := time.AfterFunc(soon, func() { cancel(errors.New("the server stops")) })
				return ctx, func() { timer.Stop() }
			}, peer: (*reader).readAll, want: end{Initiator: "local", Reason: "shutdown"}, timed: true,
		},
		{
			name: "the deadline of the request's context passes", server: waits,
			request: func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, soon) },
			peer:    (*reader).readAll, want: end{Initiator: "local", Reason: "normal"}, timed: true,
		},
		{
			name: "an event is not taken in time",
			server: func(t *testing.T, r *realtimetest.Recorder, s *sse.Stream) {
				s.SetWriteTimeout(soon)
				sends(t, r, s)
			}, peer: func(*reader) {}, want: end{Initiator: "network", Reason: "write_error", Error: "write"}, timed: true,
		},
		{
			name:   "the handler panics",
			server: func(*testing.T, *realtimetest.Recorder, *sse.Stream) { panic("boom") }, peer: (*reader).readAll,
			want: end{Initiator: "local", Reason: "internal", Error: "panic"},
		},
		{
			name:   "the handler panics with http.ErrAbortHandler",
			server: func(*testing.T, *realtimetest.Recorder, *sse.Stream) { panic(http.ErrAbortHandler) }, peer: (*reader).readAll,
			want: end{Initiator: "local", Reason: "abnormal"},
		},
	}
}

// TestFieldCases04And05StreamEnds has event streams end in every way, over both versions of HTTP.
func TestFieldCases04And05StreamEnds(t *testing.T) {
	for version, protocols := range httpVersions() {
		for _, tt := range streamEnds() {
			t.Run(version+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				if !tt.timed {
					tt.test(t, protocols, nil)
					return
				}
				synctest.Test(t, func(t *testing.T) { tt.test(t, protocols, memnet.Listen()) })
			})
		}
	}
}

// test has a stream end so, over the network in memory, or over loopback if that is nil.
func (tt *streamEnd) test(t *testing.T, protocols *http.Protocols, network *memnet.Listener) {
	recorder := realtimetest.New(t, instrument.WithProtocol(sse.Protocol))
	returned := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(returned)
		ctx, cancel := r.Context(), context.CancelFunc(func() {})
		if tt.request != nil {
			ctx, cancel = tt.request(ctx)
		}
		defer cancel()
		stream, err := sse.Accept(w, r.WithContext(ctx), recorder.Observer)
		if err != nil {
			t.Error(err)
			return
		}
		defer stream.Close()
		tt.server(t, recorder, stream)
	}))
	dial := new(net.Dialer).DialContext
	if network != nil {
		_ = s.Listener.Close()
		s.Listener, dial = network, network.DialContext
	}
	s.Config.Protocols = protocols
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	tt.peer(read(t, s, dial))
	select {
	case <-returned:
	case <-time.After(patience):
		t.Error("the handler does not return")
	}
	ended(t, recorder, "sse", tt.want, false)
}

// read asks for an event stream, and reads what it begins with. A peer that has only seen the header could leave while
// Accept still sends it.
func read(t *testing.T, s *httptest.Server, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *reader {
	t.Helper()
	r := &reader{}
	transport := &http.Transport{
		Protocols: s.Config.Protocols,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			r.conn = conn
			return conn, err
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	t.Cleanup(cancel)
	r.cancel = cancel
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Response, err = transport.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Body.Close() })
	if _, err := io.ReadFull(r.Body, make([]byte, len(":\n\n"))); err != nil {
		t.Fatal(err)
	}
	return r
}
