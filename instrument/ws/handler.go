package ws

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/answer"
	"github.com/sockscope/sockscope/instrument/internal/handshake"
)

// Handler returns a handler that serves requests by next and observes the WebSockets that they become. With a nil
// Observer nothing is observed. The package documentation says what the Handler sees and what it costs.
//
// If the application has begun a handshake with Observer.BeginHandshake and the request's context carries it, the
// Handler continues that handshake.
func Handler(o *instrument.Observer, next http.Handler) http.Handler {
	if o == nil {
		return next
	}
	o.ExpectProtocol(handshake.WebSocket)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !asksForWebSocket(r) {
			next.ServeHTTP(w, r)
			return
		}
		ctx, h := o.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
		x, w := newExchange(ctx, w, o, h)
		defer func() {
			if v := recover(); v != nil {
				x.panicked(v)
				panic(v) //nolint:forbidigo // the handler's own panic goes on as if it had not been observed
			}
			x.returned()
		}()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// asksForWebSocket says whether a request asks for a WebSocket, over HTTP/1.1.
func asksForWebSocket(r *http.Request) bool {
	for _, value := range r.Header["Upgrade"] {
		for protocol := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(protocol), "websocket") {
				return true
			}
		}
	}
	return false
}

// An exchange is a request for a WebSocket while its handler runs.
type exchange struct {
	observer  *instrument.Observer
	handshake *instrument.Handshake
	ctx       context.Context //nolint:containedctx // it ends when the peer is gone
	writer    *answer.Writer
	conn      *conn // nil until it is hijacked
}

// newExchange returns an exchange that is answered by w, and the ResponseWriter for the handler.
func newExchange(
	ctx context.Context, w http.ResponseWriter, o *instrument.Observer, h *instrument.Handshake,
) (*exchange, http.ResponseWriter) {
	x := &exchange{observer: o, handshake: h, ctx: ctx}
	x.writer, w = answer.NewWriter(w, x)
	return x, w
}

// Answering implements answer.Witness.
func (x *exchange) Answering(int) bool { return false }

// Hijacked begins to follow the connection.
func (x *exchange) Hijacked(hijacked net.Conn, rw *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter) {
	x.conn = newConn(hijacked, x.observer, x.handshake, answer.Buffered(rw))
	if status := x.writer.Status(); status != 0 {
		x.conn.answeredWith(status, x.writer.Header())
	}
	return answer.HandOut(x.conn, hijacked, rw)
}

// returned ends a handshake that has not become a connection, unless somebody else has ended it.
func (x *exchange) returned() {
	status := x.writer.Status()
	switch {
	case x.conn != nil:
		x.conn.handlerReturned()
	case x.writer.Gone() != nil:
		handshake.Gone(x.writer.Gone()).End(x.handshake)
	case status != 0:
		handshake.Answered(x.observer, status, nil).End(x.handshake)
	case x.ctx.Err() != nil:
		handshake.Gone(errGone).End(x.handshake)
	default: // net/http is about to answer for the handler
		handshake.Answered(x.observer, http.StatusOK, nil).End(x.handshake)
	}
}

func (x *exchange) panicked(v any) {
	if x.conn != nil {
		x.conn.handlerPanicked(v)
		return
	}
	handshake.Panic(v).End(x.handshake)
}
