package ws

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/answer"
)

// Handler returns a handler that serves requests by next and observes the WebSockets that they become. A nil Observer
// leaves them unobserved. See the package documentation for what it sees and what it costs.
//
// If a request's context carries a handshake that the application has begun with Observer.BeginHandshake, the Handler
// continues that one.
func Handler(o *instrument.Observer, next http.Handler) http.Handler {
	if o == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !asksForWebSocket(r) {
			next.ServeHTTP(w, r)
			return
		}
		ctx, handshake := o.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
		x := &exchange{observer: o, handshake: handshake, header: w.Header(), ctx: ctx}
		defer func() {
			if v := recover(); v != nil {
				x.panicked(v)
				panic(v) //nolint:forbidigo // the handler's own panic goes on as if it had not been observed
			}
			x.returned()
		}()
		_, w = answer.NewWriter(w, x)
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
	header    http.Header     // of the answer
	ctx       context.Context //nolint:containedctx // it tells if the peer has gone
	status    int             // of the answer, 0 if there is none yet
	conn      *conn           // nil until it is hijacked
}

// Answering notes the status.
func (x *exchange) Answering(status int) bool {
	x.status = status
	return false
}

// Hijacked follows the connection from here on.
func (x *exchange) Hijacked(hijacked net.Conn, rw *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter) {
	x.conn = newConn(hijacked, x.observer, x.handshake, answer.Buffered(rw))
	if x.status != 0 {
		x.conn.answeredWith(x.status, x.header)
	}
	return answer.HandOut(x.conn, hijacked, rw)
}

// returned ends a handshake that has not become a connection, unless somebody else has.
func (x *exchange) returned() {
	switch {
	case x.conn != nil:
		x.conn.handlerReturned()
	case x.status != 0:
		refusalFor(x.observer, x.status).end(x.handshake)
	case x.ctx.Err() != nil:
		refusal{status: instrument.StatusBadHandshake, err: errGone}.end(x.handshake)
	default: // net/http is about to answer for the handler
		refusalFor(x.observer, http.StatusOK).end(x.handshake)
	}
}

func (x *exchange) panicked(v any) {
	if x.conn != nil {
		x.conn.handlerPanicked(v)
		return
	}
	refusal{instrument.StatusError, x.status, fmt.Errorf("panic: %v", v)}.end(x.handshake)
}
