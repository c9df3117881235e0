package socketio

import (
	"context"
	"errors"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/transport/socketio/packet"
	"github.com/sockscope/sockscope/instrument"
)

const (
	// lingering is how long a client gets to take note of why it is disconnected.
	lingering = 5 * time.Second
	// closeWrite is what the last frame of a WebSocket may take.
	closeWrite = time.Second
)

var errNoPong = errors.New("socketio: the client has not answered a ping in time")

// client is one session of Engine.IO: requests that poll, a WebSocket, or first the one and then the other. It is in
// one namespace or several. It has a goroutine while it has a WebSocket.
type client struct {
	handler *Handler
	id      string
	request *http.Request // that opened it, as far as the gate and traces need it
	who     auth.Identity // if that brought a token
	release func()
	mailbox *mailbox
	gone    chan struct{} // closed at the end
	endings sync.WaitGroup

	polls, posts sync.Mutex // held by the request that does so: there may be one at a time

	// handling is held while a packet is handled.
	handling sync.Mutex
	partial  partial

	// sending is held while packets are sent that belong together.
	sending sync.Mutex
	socket  *websocket.Conn // nil while packets go to the mailbox

	mu      sync.Mutex
	peers   map[string]*peer
	conns   []*websocket.Conn // that may be open: one, and one that is being upgraded to
	cause   *instrument.Cause // of the end, as soon as that is known
	text    string            // the same for people
	ended   bool
	over    string      // the transport that it counts for
	trying  bool        // another one
	lobby   *time.Timer // ends a client that is in no namespace
	linger  *time.Timer
	pongDue *time.Timer // nil while none is awaited
	pings   []instrument.Ping
}

func local(reason instrument.CloseReason, err error) instrument.Cause {
	return instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: reason, Err: err}
}

func broken(err error) instrument.Cause {
	return instrument.Cause{Initiator: instrument.InitiatorNetwork, Reason: instrument.ReasonAbnormal, Err: err}
}

// send sends packets that belong together, and returns their size. An error has ended the client.
func (c *client) send(units ...unit) (size int, err error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	for _, u := range units {
		size += len(u.data)
	}
	if c.socket != nil {
		return size, c.write(c.socket, units...)
	}
	if err := c.mailbox.put(c.gone, c.handler.cfg.WriteTimeout, units...); err != nil {
		c.writeFailed(err)
		return size, err
	}
	return size, nil
}

// write writes packets to a WebSocket.
func (c *client) write(socket *websocket.Conn, units ...unit) error {
	_ = socket.SetWriteDeadline(time.Now().Add(c.handler.cfg.WriteTimeout)) // it never fails
	for _, u := range units {
		typ := websocket.TextMessage
		if u.binary {
			typ = websocket.BinaryMessage
		}
		if err := socket.WriteMessage(typ, u.data); err != nil {
			c.writeFailed(err)
			return err
		}
	}
	return nil
}

// writeFailed ends the client, which does not take what it is sent.
func (c *client) writeFailed(err error) {
	cause := broken(err)
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errNotFetched) {
		cause.Reason = instrument.ReasonWriteError
		for _, p := range c.members() {
			p.conn.Failed(context.Background(), instrument.ErrorWrite, err)
		}
	}
	c.end(cause)
}

// members returns the client's peers.
func (c *client) members() []*peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*peer, 0, len(c.peers))
	for _, p := range c.peers {
		all = append(all, p)
	}
	return all
}

// join lists a peer, unless the client has ended.
func (c *client) join(p *peer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.lobby.Stop()
	c.peers[p.namespace] = p
	return true
}

func (c *client) member(namespace string) *peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peers[namespace]
}

// leave takes a peer out of the client, which stays for its other namespaces.
func (c *client) leave(p *peer, cause instrument.Cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.peers[p.namespace] != p {
		return
	}
	delete(c.peers, p.namespace)
	if len(c.peers) == 0 {
		c.lobby.Reset(c.handler.cfg.ConnectTimeout)
	}
	c.endings.Go(func() { c.finish(p, cause) })
}

// finish ends a peer's session. No packet is handled meanwhile that could begin it.
func (c *client) finish(p *peer, cause instrument.Cause) {
	p.conn.Closed(cause)
	c.handling.Lock()
	c.handling.Unlock() //nolint:staticcheck // by now the session has begun
	p.session.End(p.conn.Context(context.Background()))
}

// close ends the client in order, after what is waiting for it. The text is for people.
func (c *client) close(cause instrument.Cause, text string) {
	c.mu.Lock()
	if c.cause != nil || c.ended {
		c.mu.Unlock()
		return
	}
	c.cause, c.text = &cause, text
	c.linger = time.AfterFunc(lingering, func() { c.end(cause) })
	polls, conns := c.over == overPolling, c.conns
	c.mu.Unlock()
	if polls { // or is about to go over to a WebSocket, which is told then
		c.mailbox.setHurry(true)
		return
	}
	for _, conn := range conns {
		c.sayGoodbye(conn)
	}
}

// sayGoodbye closes the WebSocket of a client that is about to end.
func (c *client) sayGoodbye(conn *websocket.Conn) {
	c.mu.Lock()
	message := websocket.FormatCloseMessage(closeCode(c.cause.Reason), c.text)
	c.mu.Unlock()
	_ = conn.WriteControl(websocket.CloseMessage, message, time.Now().Add(closeWrite)) // an error means that it has ended
}

// closeCode returns what a WebSocket is closed with. It is for people: a client of Socket.IO does not look.
func closeCode(reason instrument.CloseReason) int {
	switch reason {
	case instrument.ReasonNormal:
		return websocket.CloseNormalClosure
	case instrument.ReasonShutdown:
		return websocket.CloseServiceRestart
	case instrument.ReasonIdleTimeout:
		return websocket.CloseGoingAway
	case instrument.ReasonInternal:
		return websocket.CloseInternalServerErr
	case instrument.ReasonProtocolError:
		return websocket.CloseProtocolError
	case instrument.ReasonMessageTooBig:
		return websocket.CloseMessageTooBig
	default:
		return websocket.ClosePolicyViolation
	}
}

// closing returns why the client is about to end, if it is.
func (c *client) closing() (instrument.Cause, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		return instrument.Cause{}, false
	}
	return *c.cause, true
}

// end takes the client away. It ends for the first cause that was known.
func (c *client) end(cause instrument.Cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	if c.cause == nil {
		c.cause = &cause
	}
	cause = *c.cause
	close(c.gone)
	c.lobby.Stop()
	if c.linger != nil {
		c.linger.Stop()
	}
	result := instrument.PingError
	if cause.Reason == instrument.ReasonPingTimeout {
		result = instrument.PingTimeout
	}
	c.endPings(result)
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.handler.metrics.clients.WithLabelValues(c.over).Dec()
	for _, p := range c.peers {
		c.endings.Go(func() { c.finish(p, cause) })
	}
	go c.vanish()
}

// vanish takes the ended client out of everything.
func (c *client) vanish() {
	c.endings.Wait()
	c.handler.unlist(c)
	c.release()
}

// ping asks whether the client is there. It ends soon after if it is not.
func (c *client) ping() {
	c.mu.Lock()
	if c.ended || c.pongDue != nil {
		c.mu.Unlock()
		return // the deadline of the one before is passing
	}
	for _, p := range c.peers {
		c.pings = append(c.pings, p.conn.BeginPing())
	}
	c.pongDue = time.AfterFunc(c.handler.cfg.PongTimeout, c.missPong)
	c.mu.Unlock()
	_, _ = c.send(unit{data: []byte{packet.EnginePing}}) // an error has ended the client
}

// missPong ends the client, unless nobody has read whether the pong is there, because a message is being handled.
func (c *client) missPong() {
	if !c.handling.TryLock() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.pongDue != nil {
			c.pongDue.Reset(c.handler.cfg.PongTimeout)
		}
		return
	}
	c.handling.Unlock()
	for _, p := range c.members() {
		p.conn.Failed(context.Background(), instrument.ErrorTimeout, errNoPong)
	}
	c.end(instrument.Cause{Initiator: instrument.InitiatorNetwork, Reason: instrument.ReasonPingTimeout, Err: errNoPong})
}

func (c *client) pong() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endPings(instrument.PingPong)
}

// endPings ends the pings that are under way. The lock is held.
func (c *client) endPings(result instrument.PingResult) {
	if c.pongDue != nil {
		c.pongDue.Stop()
		c.pongDue = nil
	}
	for _, p := range c.pings {
		p.End(result)
	}
	c.pings = nil
}
