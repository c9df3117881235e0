package sse_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/sse"
)

// TestFieldCase04 has peers leave while the handler still decides about them: no failure on our side, over both
// versions of HTTP.
func TestFieldCase04(t *testing.T) {
	for version, p := range protocols() {
		t.Run(version, func(t *testing.T) {
			asked, accepted := make(chan struct{}), make(chan error, 1)
			s := serve(t, p, func(srv *server, w http.ResponseWriter, r *http.Request) {
				close(asked)
				<-r.Context().Done()
				_, err := sse.Accept(w, r, srv.Observer)
				accepted <- err
			})
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-asked; cancel() }()
			transport := &http.Transport{Protocols: p}
			defer transport.CloseIdleConnections()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := transport.RoundTrip(req); !errors.Is(err, context.Canceled) {
				t.Errorf("the peer got %v", err)
			}
			if err := <-accepted; err == nil {
				t.Error("a stream to nobody was accepted")
			}
			s.ExpectOnly(refused("bad_handshake", "handshake"))
			if record := s.Record("handshake refused"); record["http_status"] != nil || record["level"] != "INFO" {
				t.Errorf("record is %v, want no answer, and no warning", record)
			}
		})
	}
}

// TestFieldCase05 has this side end what the request's context comes from.
func TestFieldCase05(t *testing.T) {
	for name, tt := range map[string]struct {
		end    func(context.Context) (context.Context, context.CancelFunc)
		reason string
	}{
		"base context is cancelled with a cause": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			return ctx, func() { cancel(errors.New("terminated signal received")) }
		}, "shutdown"},
		"maximum lifetime": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			return ctx, func() { <-ctx.Done(); cancel() }
		}, "normal"},
	} {
		for version, p := range protocols() {
			bubble(t, version+"/"+name, func(t *testing.T) {
				s := serveInBubble(t, p, func(srv *server, w http.ResponseWriter, r *http.Request) {
					ctx, end := tt.end(r.Context())
					defer end()
					stream, err := sse.Accept(w, r.WithContext(ctx), srv.Observer)
					if err != nil {
						t.Error(err)
						return
					}
					defer stream.Close()
					end()
					<-stream.Context().Done()
				})
				connect(t, s, nil).read()
				s.ExpectOnly(ended("local", tt.reason))
			})
		}
	}
}

// TestFieldCase07 keeps the headers that the application has set, and lets the header leave through a middleware that
// waits for a body.
func TestFieldCase07(t *testing.T) {
	s := serve(t, protocols()["HTTP1"], func(srv *server, w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Type", "text/event-stream; charset=utf-8")
		header.Set("Cache-Control", "no-store, no-transform")
		header.Set("X-Accel-Buffering", "yes")
		zipped := &zipping{ResponseWriter: w}
		stream, err := sse.Accept(zipped, r, srv.Observer)
		if err != nil {
			t.Error(err)
			return
		}
		defer stream.Close()
		<-stream.Context().Done()
	})
	c := connect(t, s, http.Header{"Accept-Encoding": {"gzip"}}) // before there is any event
	want := map[string]string{
		"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "yes",
	}
	for name, value := range want {
		if got := c.Header.Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	body, err := gzip.NewReader(c.Body)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 3)
	if _, err := io.ReadFull(body, first); err != nil || string(first) != ":\n\n" {
		t.Errorf("the stream begins with %q, %v, want a comment", first, err)
	}
}

// zipping compresses, and sends nothing before it has seen a body.
type zipping struct {
	http.ResponseWriter
	body *gzip.Writer
}

func (z *zipping) WriteHeader(int) {}

func (z *zipping) Write(p []byte) (int, error) {
	if z.body == nil {
		z.Header().Set("Content-Encoding", "gzip")
		z.ResponseWriter.WriteHeader(http.StatusOK)
		z.body = gzip.NewWriter(z.ResponseWriter)
	}
	return z.body.Write(p)
}

func (z *zipping) Flush() {
	if z.body != nil {
		_ = z.body.Flush()
		_ = http.NewResponseController(z.ResponseWriter).Flush()
	}
}

// panicking is like echo's Response: it has a Flush that panics if what it wraps has none.
type panicking struct{ http.ResponseWriter }

func (p panicking) Flush() { p.ResponseWriter.(http.Flusher).Flush() }

type panickingUnwrapped struct{ panicking }

func (p panickingUnwrapped) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// TestFieldCase08 accepts streams where nothing can be flushed: the request is refused, counted and logged.
func TestFieldCase08(t *testing.T) {
	for name, tt := range map[string]struct {
		wrap   func(http.ResponseWriter) http.ResponseWriter
		panics bool
	}{
		"TimeoutHandler":        {func(w http.ResponseWriter) http.ResponseWriter { return w }, false},
		"Flush panics":          {func(w http.ResponseWriter) http.ResponseWriter { return panicking{w} }, true},
		"Flush panics, Unwraps": {func(w http.ResponseWriter) http.ResponseWriter { return panickingUnwrapped{panicking{w}} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, protocols()["HTTP1"], func(srv *server, w http.ResponseWriter, r *http.Request) {
				inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					panicked := true
					defer func() {
						if panicked != tt.panics {
							t.Errorf("panicked: %v, want %v", panicked, tt.panics)
						}
					}()
					if _, err := sse.Accept(tt.wrap(w), r, srv.Observer); err == nil {
						t.Error("accepted what cannot be flushed")
					}
					panicked = false
				})
				http.TimeoutHandler(inner, deadline, "late").ServeHTTP(w, r)
			})
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := transport.RoundTrip(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			if (err != nil) != tt.panics || err == nil && resp.StatusCode != http.StatusInternalServerError {
				t.Errorf("answered %v, %v", resp, err)
			}
			s.ExpectOnly(refused("error", "handshake"))
			if record := s.Record("handshake refused"); record["level"] != "WARN" || record["error"] == nil {
				t.Errorf("record is %v, want a warning with the error", record)
			}
		})
	}
}

// TestFieldCase09 serves a stream behind a middleware that hides deadlines, on a server with a WriteTimeout: that is
// said once, and the end is ours.
func TestFieldCase09(t *testing.T) {
	for version, p := range protocols() {
		bubble(t, version, func(t *testing.T) {
			s := serveInBubble(t, p, func(srv *server, w http.ResponseWriter, r *http.Request) {
				stream, err := sse.Accept(flushing{w}, r, srv.Observer)
				if err != nil {
					t.Error(err)
					return
				}
				defer stream.Close()
				tick := time.NewTicker(serverTimeout / 10)
				defer tick.Stop()
				for range tick.C {
					if err := stream.Comment(""); err != nil {
						return
					}
				}
			})
			connect(t, s, nil).read()
			s.ExpectOnly(ended("local", "internal"))
			record := s.Record("instrumentation misused")
			if problem, _ := record["problem"].(string); !strings.Contains(problem, "WriteTimeout") {
				t.Errorf("record is %v, want the cause", record)
			}
			if record := s.Record("connection closed"); record["error"] == nil {
				t.Errorf("record is %v, want the error", record)
			}
		})
	}
}

// TestFieldCase10 gets a stream as the answer to a POST.
func TestFieldCase10(t *testing.T) {
	s := serve(t, protocols()["HTTP1"], func(srv *server, w http.ResponseWriter, r *http.Request) {
		question, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		stream, err := sse.Accept(w, r, srv.Observer)
		if err != nil {
			t.Error(err)
			return
		}
		defer stream.Close()
		if err := stream.Send(sse.Event{Data: bytes.ToUpper(question)}); err != nil {
			t.Error(err)
		}
	})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if diff := cmp.Diff(":\n\ndata: HELLO\n\n", string(body)); diff != "" || err != nil {
		t.Errorf("answer, -want +got:\n%s, %v", diff, err)
	}
	s.ExpectOnly(ended("local", "normal"))
}

// TestDrain ends streams that wait for events by Observer.Drain.
func TestDrain(t *testing.T) {
	for version, p := range protocols() {
		for name, told := range map[string]bool{"hint": false, "hint of the application": true} {
			t.Run(version+"/"+name, func(t *testing.T) {
				s := serve(t, p, func(srv *server, w http.ResponseWriter, r *http.Request) {
					stream, err := sse.Accept(w, r, srv.Observer)
					if err != nil {
						t.Error(err)
						return
					}
					defer stream.Close()
					if told {
						if err := stream.Send(sse.Event{Retry: time.Minute}); err != nil {
							t.Error(err)
						}
					}
					<-stream.Context().Done()
					if err := stream.Send(sse.Event{Data: []byte("late")}); !errors.Is(err, sse.ErrClosed) {
						t.Errorf("send after the end: %v, want ErrClosed", err)
					}
				})
				c := connect(t, s, nil)
				if told {
					if _, err := io.ReadFull(c.Body, make([]byte, len(":\n\nretry: 60000\n\n"))); err != nil {
						t.Error(err)
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				if err := s.Observer.Drain(ctx); err != nil {
					t.Error(err)
				}
				rest, err := io.ReadAll(c.Body)
				if err != nil || strings.Contains(string(rest), "retry: ") == told {
					t.Errorf("the peer got %q, %v, want a hint: %v", rest, err, !told)
				}
				want := ended("local", "shutdown")
				want[`sse_draining{}`] = 1
				s.ExpectOnly(want)
			})
		}
	}
}

// TestDrainWhileWriting drains a stream in the middle of an event: the peer gets all of it.
func TestDrainWhileWriting(t *testing.T) {
	for version, p := range protocols() {
		bubble(t, version, func(t *testing.T) {
			event := bytes.Repeat([]byte("x"), 8<<20) // more than the peer takes before it reads
			s := serveInBubble(t, p, func(srv *server, w http.ResponseWriter, r *http.Request) {
				stream, err := sse.Accept(w, r, srv.Observer)
				if err != nil {
					t.Error(err)
					return
				}
				defer stream.Close()
				if err := stream.Send(sse.Event{Data: event}); err != nil {
					t.Errorf("send: %v", err)
				}
			})
			c := connect(t, s, nil)
			c.opened(t)
			synctest.Wait() // until the event waits for the peer
			if err := s.Observer.Drain(t.Context()); err != nil {
				t.Error(err)
			}
			synctest.Wait() // until whatever is cut off at once is
			if rest, err := io.ReadAll(c.Body); err != nil || !bytes.Contains(rest, event) {
				t.Errorf("the peer got %d bytes, %v, want the event of %d", len(rest), err, len(event))
			}
			want := ended("local", "shutdown")
			want[`sse_draining{}`] = 1
			s.ExpectOnly(want)
		})
	}
}

// TestDrainOfADeafPeer drains a stream without a write timeout, whose peer reads nothing anymore: the retry hint must
// not hold up the shutdown.
func TestDrainOfADeafPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, err := instrument.New(instrument.WithProtocol(sse.Protocol))
		if err != nil {
			t.Fatal(err)
		}
		peer := &deafPeer{header: http.Header{}, changed: make(chan struct{})}
		stream, err := sse.Accept(peer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), o)
		if err != nil {
			t.Fatal(err)
		}
		stream.SetWriteTimeout(0)
		peer.deaf.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := o.Drain(ctx); err != nil {
			t.Error(err)
		}
		stream.Close()
	})
}

// A deafPeer is the ResponseWriter of a peer that stops reading: a Write lasts until its deadline.
type deafPeer struct {
	header http.Header
	deaf   atomic.Bool

	mu       sync.Mutex
	deadline time.Time
	changed  chan struct{} // closed when the deadline changes
}

func (p *deafPeer) Header() http.Header { return p.header }
func (p *deafPeer) WriteHeader(int)     {}
func (p *deafPeer) Flush()              {}

func (p *deafPeer) SetReadDeadline(time.Time) error { return nil }

func (p *deafPeer) SetWriteDeadline(deadline time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = deadline
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

func (p *deafPeer) Write(b []byte) (int, error) {
	if !p.deaf.Load() {
		return len(b), nil
	}
	for {
		p.mu.Lock()
		deadline, changed := p.deadline, p.changed
		p.mu.Unlock()
		var passed <-chan time.Time
		if !deadline.IsZero() {
			passed = time.After(time.Until(deadline))
		}
		select {
		case <-passed:
			return 0, os.ErrDeadlineExceeded
		case <-changed:
		}
	}
}
