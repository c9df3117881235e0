package browser

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/history"
)

const traceURL = "http://trace.example/trace/"

// service is a demo that listens.
type service struct {
	address   string
	url       string
	authority *auth.Authority
	spans     *tracetest.SpanRecorder
	stop      func()
}

// openHistory opens a store for messages that outlasts a service.
func openHistory(t *testing.T) history.Store {
	t.Helper()
	store, err := history.OpenFile(filepath.Join(t.TempDir(), "history.db"), history.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// newAuthority returns one whose key is its own.
func newAuthority(t *testing.T, key string) *auth.Authority {
	t.Helper()
	authority, err := auth.New([]byte(key + ", which is long enough for a key of tests"))
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// serve runs a service. It adds to cfg the required fields that are not set; an empty address is any that is free.
func serve(t *testing.T, cfg demo.Config, address string, opts ...sdktrace.TracerProviderOption) *service {
	t.Helper()
	if cfg.History == nil {
		cfg.History = openHistory(t)
	}
	if cfg.Authority == nil {
		cfg.Authority = newAuthority(t, "a key")
	}
	spans := tracetest.NewSpanRecorder()
	cfg.SampleRatio, cfg.TraceURL = 1, traceURL
	cfg.TracerProvider = sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(spans))...)
	chat, err := demo.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	running, end := context.WithCancel(context.Background())
	var background sync.WaitGroup
	background.Go(func() {
		if err := chat.Run(running); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	server := &http.Server{Handler: chat.Handler(), ReadHeaderTimeout: patience}
	background.Go(func() { _ = server.Serve(listener) }) // ends by Close
	s := &service{address: listener.Addr().String(), authority: cfg.Authority, spans: spans}
	s.url = "http://" + s.address
	s.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := chat.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		_ = server.Close()
		end()
		background.Wait()
	})
	t.Cleanup(s.stop)
	return s
}

// wire is the way to a service, which can be cut and can go silent.
type wire struct {
	url string
	to  string

	mu    sync.Mutex
	state wireState
	conns map[net.Conn]struct{}
}

type wireState int

const (
	whole  wireState = iota
	cut              // connections break, and there are no new ones
	silent           // nothing gets through those that are open, and new ones are as before
)

// newWire returns a wire to an address.
func newWire(t *testing.T, to string) *wire {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{url: "http://" + listener.Addr().String(), to: to, conns: map[net.Conn]struct{}{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { w.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		w.set(cut)
		running.Wait()
	})
	return w
}

// set changes the state of the wire.
func (w *wire) set(state wireState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = state
	if state == cut {
		for conn := range w.conns {
			_ = conn.Close()
		}
	}
}

func (w *wire) carry(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer far.Close()
	w.mu.Lock()
	if w.state == cut {
		w.mu.Unlock()
		return
	}
	w.conns[near], w.conns[far] = struct{}{}, struct{}{}
	born := w.state
	w.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], filter{way[1], func() bool { return w.passes(born) }})
			_ = near.Close()
			_ = far.Close()
		})
	}
	both.Wait()
	w.mu.Lock()
	delete(w.conns, near)
	delete(w.conns, far)
	w.mu.Unlock()
}

// passes reports whether anything passes a connection that was opened in that state.
func (w *wire) passes(born wireState) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state != silent || born == silent
}

// filter drops what is read while nothing passes.
type filter struct {
	from   io.Reader
	passes func() bool
}

func (f filter) Read(p []byte) (int, error) {
	for {
		n, err := f.from.Read(p)
		if err != nil || f.passes() {
			return n, err
		}
	}
}
