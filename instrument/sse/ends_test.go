package sse_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/sse"
)

// TestEnds has streams end in every way, between real peers and over both versions of HTTP, and compares everything
// that was counted.
func TestEnds(t *testing.T) {
	type end struct {
		initiator, reason string
		errors            map[string]float64
	}
	untilGone := func(_ *server, _ *sse.Stream, r *http.Request) error {
		<-r.Context().Done()
		return nil
	}
	sendUntilError := func(_ *server, s *sse.Stream, _ *http.Request) error {
		big := sse.Event{Data: make([]byte, 1<<20)}
		for {
			if err := s.Send(big); err != nil {
				if again := s.Comment(""); !errors.Is(again, sse.ErrClosed) {
					return fmt.Errorf("Comment after %w: %v, want ErrClosed", err, again)
				}
				return nil
			}
		}
	}
	reads := func(_ *testing.T, _ *server, c client) { _ = c.read() }
	readsNoMore := func(t *testing.T, _ *server, c client) { c.opened(t) }
	leaves := func(t *testing.T, _ *server, c client) {
		c.opened(t)
		c.leave()
	}
	resets := func(t *testing.T, _ *server, c client) {
		c.opened(t)
		c.reset(t)
	}
	type test struct {
		server func(*server, *sse.Stream, *http.Request) error
		client func(*testing.T, *server, client)
		want   end
	}
	tests := map[string]test{
		"handler returns": {
			func(*server, *sse.Stream, *http.Request) error { return nil },
			reads, end{initiator: "local", reason: "normal"},
		},
		"peer leaves":               {untilGone, leaves, end{initiator: "remote", reason: "going_away"}},
		"peer resets":               {untilGone, resets, end{initiator: "remote", reason: "going_away"}},
		"peer leaves while we send": {sendUntilError, leaves, end{initiator: "remote", reason: "going_away"}},
		"peer resets while we send": {sendUntilError, resets, end{initiator: "remote", reason: "going_away"}},
		"we close a slow consumer": {
			func(_ *server, s *sse.Stream, _ *http.Request) error {
				s.CloseFor(instrument.ReasonSlowConsumer)
				if err := s.Send(sse.Event{Data: []byte("late")}); !errors.Is(err, sse.ErrClosed) {
					return fmt.Errorf("Send after CloseFor: %v, want ErrClosed", err)
				}
				return nil
			},
			reads, end{initiator: "local", reason: "slow_consumer"},
		},
		"we drain": {
			func(srv *server, _ *sse.Stream, _ *http.Request) error {
				srv.Observer.SetDraining(true)
				return nil
			},
			reads, end{initiator: "local", reason: "shutdown"},
		},
		"we drain and cut": {
			untilGone,
			func(t *testing.T, srv *server, c client) {
				c.opened(t)
				srv.Observer.SetDraining(true)
				srv.CloseClientConnections()
			}, end{initiator: "local", reason: "shutdown"},
		},
		"token expires": {
			func(_ *server, s *sse.Stream, _ *http.Request) error {
				s.CloseFor(instrument.ReasonTokenExpired)
				return nil
			},
			reads, end{initiator: "local", reason: "token_expired"},
		},
		"handler panics": {
			func(*server, *sse.Stream, *http.Request) error { panic("oops") },
			reads, end{initiator: "local", reason: "internal", errors: map[string]float64{"panic": 1}},
		},
		"handler panics through two": {
			func(_ *server, s *sse.Stream, _ *http.Request) error {
				defer s.Close()
				panic("oops")
			},
			reads, end{initiator: "local", reason: "internal", errors: map[string]float64{"panic": 1}},
		},
		"handler aborts": {
			func(*server, *sse.Stream, *http.Request) error { panic(http.ErrAbortHandler) },
			reads, end{initiator: "local", reason: "abnormal"},
		},
		"handler aborts while draining": {
			func(srv *server, _ *sse.Stream, _ *http.Request) error {
				srv.Observer.SetDraining(true)
				panic(http.ErrAbortHandler)
			},
			reads, end{initiator: "local", reason: "shutdown"},
		},
		"closed twice": {
			func(_ *server, s *sse.Stream, _ *http.Request) error {
				s.Close()
				s.CloseFor(instrument.ReasonPolicy)
				return nil
			},
			reads, end{initiator: "local", reason: "normal"},
		},
	}
	// In these it matters who is in time.
	timed := map[string]test{
		"peer does not read in time": {
			func(srv *server, s *sse.Stream, r *http.Request) error {
				s.SetWriteTimeout(time.Second)
				return sendUntilError(srv, s, r)
			},
			readsNoMore, end{initiator: "network", reason: "write_error", errors: map[string]float64{"write": 1}},
		},
		"we close a slow consumer within Send": {
			func(srv *server, s *sse.Stream, r *http.Request) error {
				s.SetWriteTimeout(0)
				timer := time.AfterFunc(100*time.Millisecond, func() { s.CloseFor(instrument.ReasonSlowConsumer) })
				defer timer.Stop()
				return sendUntilError(srv, s, r)
			},
			readsNoMore, end{initiator: "local", reason: "slow_consumer"},
		},
	}
	type serving func(*testing.T, *http.Protocols, func(*server, http.ResponseWriter, *http.Request)) *server
	run := func(t *testing.T, p *http.Protocols, tt test, serve serving) {
		t.Helper()
		done := make(chan error, 1)
		srv := serve(t, p, func(srv *server, w http.ResponseWriter, r *http.Request) {
			defer close(done)
			stream, err := sse.Accept(w, r, srv.Observer)
			if err != nil {
				done <- err
				return
			}
			defer stream.Close()
			if err := tt.server(srv, stream, r); err != nil {
				done <- err
			}
		})
		c := connect(t, srv, nil)
		tt.client(t, srv, c)
		if err := <-done; err != nil {
			t.Error(err)
		}
		srv.Observer.SetDraining(false)

		want := ended(tt.want.initiator, tt.want.reason)
		for kind, n := range tt.want.errors {
			want[`sse_errors_total{kind="`+kind+`"}`] = n
		}
		srv.ExpectOnly(want)

		closed := srv.Record("connection closed")
		type cause struct{ Initiator, Reason, Code any }
		if diff := cmp.Diff(cause{tt.want.initiator, tt.want.reason, nil},
			cause{closed["initiator"], closed["reason"], closed["code"]}); diff != "" {
			t.Errorf("record `connection closed`, -want +got:\n%s", diff)
		}
		if opened := srv.Record("connection opened"); opened["connection_id"] != closed["connection_id"] {
			t.Errorf("connections differ: %v and %v", opened, closed)
		}
	}
	for version, p := range protocols() {
		for name, tt := range tests {
			t.Run(version+"/"+name, func(t *testing.T) {
				t.Parallel()
				run(t, p, tt, serve)
			})
		}
		for name, tt := range timed {
			bubble(t, version+"/"+name, func(t *testing.T) { run(t, p, tt, serveInBubble) })
		}
	}
}

// lateWriter is a ResponseWriter whose writes succeed, but only when the server has ended the stream for their
// deadline.
type lateWriter struct {
	http.ResponseWriter
	over <-chan struct{} // nil while writes are in time
}

func (w *lateWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *lateWriter) Write(p []byte) (int, error) {
	if w.over == nil {
		return w.ResponseWriter.Write(p)
	}
	<-w.over
	return len(p), nil
}

func (w *lateWriter) FlushError() error {
	if w.over == nil {
		return http.NewResponseController(w.ResponseWriter).Flush()
	}
	return nil
}

// TestLateWrite has a write succeed after its deadline, which has ended the stream over HTTP/2: the next event, or
// Close, finds that out, and it was not the peer.
func TestLateWrite(t *testing.T) {
	for name, next := range map[string]func(*sse.Stream) error{
		"the next event": func(s *sse.Stream) error { return s.Send(sse.Event{Data: []byte("next")}) },
		"Close": func(s *sse.Stream) error {
			s.Close()
			return sse.ErrClosed
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			returned := make(chan struct{})
			s := serve(t, protocols()["HTTP2"], func(srv *server, w http.ResponseWriter, r *http.Request) {
				defer close(returned)
				writer := &lateWriter{ResponseWriter: w}
				stream, err := sse.Accept(writer, r, srv.Observer)
				if err != nil {
					t.Error(err)
					return
				}
				defer stream.Close()
				stream.SetWriteTimeout(10 * time.Millisecond)
				writer.over = r.Context().Done()
				if err := stream.Send(sse.Event{Data: []byte("late")}); err != nil {
					t.Errorf("Send: %v", err)
				}
				if err := next(stream); err == nil {
					t.Error("the stream goes on")
				}
			})
			connect(t, s, nil)
			<-returned
			want := ended("network", "write_error")
			want[`sse_errors_total{kind="write"}`] = 1
			s.ExpectOnly(want)
		})
	}
}

// slowToCut is a ResponseWriter that takes its time to have its deadline set, once begun is there.
type slowToCut struct {
	http.ResponseWriter
	begun chan struct{}
	at    atomic.Int32
}

func (w *slowToCut) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *slowToCut) SetWriteDeadline(t time.Time) error {
	if w.begun != nil {
		w.at.Add(1)
		defer w.at.Add(-1)
		close(w.begun)
		time.Sleep(50 * time.Millisecond)
	}
	return http.NewResponseController(w.ResponseWriter).SetWriteDeadline(t)
}

// TestReturnsAfterClosing has somebody else close a stream when its handler is about to return: net/http does not allow
// that a ResponseWriter is used afterwards.
func TestReturnsAfterClosing(t *testing.T) {
	s := serve(t, protocols()["HTTP1"], func(srv *server, w http.ResponseWriter, r *http.Request) {
		slow := &slowToCut{ResponseWriter: w}
		stream, err := sse.Accept(slow, r, srv.Observer)
		if err != nil {
			t.Error(err)
			return
		}
		slow.begun = make(chan struct{})
		go stream.CloseFor(instrument.ReasonSlowConsumer)
		<-slow.begun
		stream.Close()
		if slow.at.Load() > 0 {
			t.Error("the handler returns while the ResponseWriter is in use")
		}
	})
	connect(t, s, nil).read()
	s.ExpectOnly(ended("local", "slow_consumer"))
}

// TestIdle has a stream outlast the server's timeouts in silence, and then carry an event.
func TestIdle(t *testing.T) {
	for version, p := range protocols() {
		bubble(t, version, func(t *testing.T) {
			s := serveInBubble(t, p, func(srv *server, w http.ResponseWriter, r *http.Request) {
				stream, err := sse.Accept(w, r, srv.Observer)
				if err != nil {
					t.Error(err)
					return
				}
				defer stream.Close()
				stream.SetWriteTimeout(serverTimeout)
				for range 3 {
					if err := stream.Comment(""); err != nil {
						t.Errorf("heartbeat: %v", err)
					}
					select {
					case <-r.Context().Done():
						t.Error("the stream ended in silence")
					case <-time.After(2 * serverTimeout):
					}
				}
				if err := stream.Send(sse.Event{Data: []byte("still here")}); err != nil {
					t.Errorf("send: %v", err)
				}
			})
			want := []received{{Type: "message", Data: "still here"}}
			if diff := cmp.Diff(want, connect(t, s, nil).read()); diff != "" {
				t.Errorf("received, -want +got:\n%s", diff)
			}
			s.ExpectOnly(ended("local", "normal"))
		})
	}
}

// TestIdleConnections has a stream carry events, which is not idle, and then nothing.
func TestIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recorder := realtimetest.New(t, instrument.WithProtocol(sse.Protocol))
		stream, err := sse.Accept(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), recorder.Observer)
		if err != nil {
			t.Fatal(err)
		}
		stream.CountMessages(nil)
		for range 61 {
			if err := stream.Send(sse.Event{Data: []byte("tick")}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		recorder.Expect(map[string]float64{`sse_idle_connections{idle="30s"}`: 0})
		time.Sleep(61 * time.Second)
		recorder.Expect(map[string]float64{
			`sse_idle_connections{idle="30s"}`: 1, `sse_idle_connections{idle="1m"}`: 1, `sse_idle_connections{idle="5m"}`: 0,
		})
		stream.Close()
		recorder.Expect(map[string]float64{`sse_idle_connections{idle="30s"}`: 0, `sse_idle_connections{idle="1m"}`: 0})
	})
}
