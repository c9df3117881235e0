package instrument

import (
	"bufio"
	"context"
	"iter"
	"mime"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/sockscope/sockscope/instrument/internal/answer"
)

// UntilConnected returns a handler that serves requests by next within a middleware that measures them, such as those
// of promhttp and otelhttp. The middleware sees plain requests and refused upgrades from beginning to end. Of a request
// that becomes a connection it sees only the handshake and the status of the answer. The answer decides whether a
// request becomes a connection, not the request's header. Without UntilConnected, a connection would count as a request
// that takes hours.
//
//	http.Handle("/", instrument.UntilConnected(func(next http.Handler) http.Handler {
//		return promhttp.InstrumentHandlerDuration(seconds, next)
//	}, mux))
//
// A request becomes a connection if it is answered with 101, if its connection is hijacked and then answered with 101,
// if it is answered with a stream of server-sent events, or if it is a CONNECT and is answered with success.
//
// The handler runs in the goroutine that serves the request, and panics there. The middleware runs in a goroutine of
// its own and takes turns with the handler, which costs about four microseconds and 1 KB per request. The middleware
// must not cancel the request's context when it returns. It must not change what is written, because it does not see
// what is written to a connection.
func UntilConnected(middleware func(http.Handler) http.Handler, next http.Handler) http.Handler {
	within := middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m, ok := r.Context().Value(measuredKey{}).(*measured); ok {
			m.handOver(w, r)
			return
		}
		next.ServeHTTP(w, r) // in a request that the middleware has made up
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := &measured{next: next, connect: r.Method == http.MethodConnect, w: w}
		_, outer := answer.NewWriter(w, (*outermost)(m))
		r = r.WithContext(context.WithValue(r.Context(), measuredKey{}, m))
		resume, stop := iter.Pull2(func(yield func(http.ResponseWriter, *http.Request) bool) {
			m.yield = yield
			within.ServeHTTP(outer, r)
		})
		defer stop()
		m.resume = resume
		w, r, ok := m.turn()
		for ok {
			w, r, ok = m.serve(w, r)
		}
	})
}

type measuredKey struct{}

// A measured request is served by two coroutines. The middleware runs until it calls its handler. Then the handler runs
// until it returns or the request becomes a connection. Then the middleware runs to its end.
type measured struct {
	next    http.Handler
	connect bool // the method
	w       http.ResponseWriter
	inner   *answer.Writer // what the handler writes to
	yield   func(http.ResponseWriter, *http.Request) bool

	panicked any // by the handler

	mu       sync.Mutex // a connection may be answered in another goroutine
	resume   func() (http.ResponseWriter, *http.Request, bool)
	over     bool // for the middleware
	hijacked bool
}

// handOver is the handler that the middleware calls.
func (m *measured) handOver(w http.ResponseWriter, r *http.Request) {
	m.yield(w, r)
	if v := m.panicked; v != nil {
		m.panicked = nil
		panic(v) //nolint:forbidigo // the middleware sees the handler's panic
	}
}

// turn lets the middleware run until it calls its handler, and returns the arguments of that call. It returns false if
// the middleware has returned.
func (m *measured) turn() (http.ResponseWriter, *http.Request, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return nil, nil, false
	}
	w, r, ok := m.resume()
	m.over = !ok
	return w, r, ok
}

// serve calls the handler, and then lets the middleware run. A panic of the handler continues from here, with its
// stack, unless the middleware recovers from it.
func (m *measured) serve(w http.ResponseWriter, r *http.Request) (_ http.ResponseWriter, _ *http.Request, again bool) {
	var inner http.ResponseWriter
	m.inner, inner = answer.NewWriter(w, m)
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil {
			return // the handler ends its goroutine
		}
		if m.isOver() {
			panic(v) //nolint:forbidigo // the handler's own
		}
		m.panicked = v
		w, r, again = m.turn()
	}()
	m.next.ServeHTTP(inner, r)
	returned = true
	return m.turn()
}

func (m *measured) isOver() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.over
}

// answered tells the middleware the status and lets it run to its end while the handler goes on.
func (m *measured) answered(status int, connected bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return
	}
	if status != 0 {
		m.inner.ResponseWriter.WriteHeader(status)
	}
	if !connected {
		return
	}
	m.over = true
	for again := true; again; { // a middleware that serves a connection twice has no second
		_, _, again = m.resume()
	}
}

// Answering is called when the handler sets the status.
func (m *measured) Answering(status int) bool {
	streams := status == http.StatusOK && isEventStream(m.inner.Header().Get("Content-Type"))
	tunnels := m.connect && status >= http.StatusOK && status < http.StatusMultipleChoices
	if !streams && !tunnels {
		return false
	}
	m.answered(status, true)
	m.inner.ResponseWriter = m.w // the middleware has nothing to see anymore
	return true
}

func isEventStream(contentType string) bool {
	t, _, _ := mime.ParseMediaType(contentType)
	return t == "text/event-stream"
}

// Hijacked is called when the handler hijacks the connection. If the request has not been answered yet, the answer is
// looked for in the bytes that are written.
func (m *measured) Hijacked(conn net.Conn, rw *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter) {
	if m.inner.Status() == http.StatusSwitchingProtocols {
		m.answered(0, true)
		return conn, rw
	}
	return answer.HandOut(&unanswered{Conn: conn, measured: m}, conn, rw)
}

// outermost is the ResponseWriter of the middleware itself. It writes nothing to a hijacked connection.
type outermost measured

func (m *outermost) Answering(int) bool { return m.hijacked }

func (m *outermost) Hijacked(conn net.Conn, rw *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter) {
	m.hijacked = true
	return conn, rw
}

// unanswered is a hijacked connection until the answer has been written on it.
type unanswered struct {
	net.Conn
	measured *measured
	answered atomic.Bool
	writing  sync.Mutex
	head     answer.Head
}

// NetConn returns the connection underneath.
func (c *unanswered) NetConn() net.Conn { return c.Conn }

// CloseWrite shuts down the writing side, see net.TCPConn.
func (c *unanswered) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite() //nolint:forcetypeassert // only handed out where it has
}

// SyscallConn returns the raw connection, see syscall.Conn.
func (c *unanswered) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn() //nolint:forcetypeassert // only handed out where it has
}

// Write writes to the peer, see net.Conn.
func (c *unanswered) Write(p []byte) (int, error) {
	if c.answered.Load() {
		return c.Conn.Write(p)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.Conn.Write(p)
	if c.answered.Load() {
		return n, err
	}
	if _, whole := c.head.Read(p[:n]); whole {
		c.answered.Store(true)
		c.measured.answered(c.head.Status, c.head.Status == http.StatusSwitchingProtocols)
		c.measured, c.head = nil, answer.Head{} // the connection may outlive the request by hours
	}
	return n, err
}
