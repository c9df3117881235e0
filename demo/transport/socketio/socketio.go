// Package socketio is the demo's Socket.IO: Engine.IO revision 4, over polling and WebSockets, and Socket.IO revision 5
// on top, as far as a service needs them that is observed. Every message of the demo's protocol is an event, whose name
// is the message's type. A client may go from polling to a WebSocket, be in several namespaces, get answers as
// acknowledgements and messages as binary, and come back after a break to where it was.
//
// A client in a namespace is a connection, with a session, that the namespace's observer observes. The connection below
// is the transport's own, see metrics.
package socketio

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/reply"
	"github.com/sockscope/sockscope/demo/session"
	"github.com/sockscope/sockscope/demo/transport/socketio/packet"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// Protocol is the name for instrument.WithProtocol. Metrics are then called socketio_connections_total and so on.
const Protocol = "socketio"

// MaxPayload is how much a client may post at once. A message of wire.MaxFrameBytes fits in base64.
const MaxPayload = 2 * wire.MaxFrameBytes

// upgradeTimeout is how long a client that polls gets to go over to a WebSocket.
const upgradeTimeout = 10 * time.Second

// Config is what a Handler works with.
type Config struct {
	Gate     admission.Gate
	Sessions session.Opener
	// Namespaces are those of Socket.IO, each with what observes its connections. There has to be the default one, "/",
	// which also observes requests that are refused before they name one.
	Namespaces map[string]*observe.Observer
	Registerer prometheus.Registerer // default: metrics are not registered

	Heartbeat      time.Duration // between pings of a session
	PongTimeout    time.Duration // what a pong may take
	ConnectTimeout time.Duration // until a client is in a namespace
	WriteTimeout   time.Duration // for one message, or until a poll takes what waits for it
}

// Handler serves clients of Socket.IO.
type Handler struct {
	cfg          Config
	metrics      *metrics
	writeBuffers sync.Pool // of the WebSockets that are writing

	mu      sync.Mutex
	clients map[string]*client // by the id of their session of Engine.IO
}

// New returns a handler for the path of Socket.IO, for GET and POST, with its metrics registered.
func New(cfg Config) (*Handler, error) {
	m, err := newMetrics(cfg.Registerer)
	return &Handler{cfg: cfg, metrics: m, clients: make(map[string]*client)}, err
}

// Drain ends the clients that are in no namespace. Those that are in one end with their sessions. Close the gate first.
func (h *Handler) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.clients {
		if len(c.members()) == 0 {
			c.close(local(instrument.ReasonShutdown, nil), "the server restarts")
		}
	}
}

// failure is how Engine.IO says what is wrong with a request.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	status  int
}

// The failures of Engine.IO. A session that is not here may be on another node. A load balancer can ask that for it
// when it gets 404, where the original server answers 400: to its client one is as good as the other.
var (
	errTransport = failure{0, "Transport unknown", http.StatusBadRequest}
	errSession   = failure{1, "Session ID unknown", http.StatusNotFound}
	errMethod    = failure{2, "Bad handshake method", http.StatusBadRequest}
	errRequest   = failure{3, "Bad request", http.StatusBadRequest}
	errVersion   = failure{5, "Unsupported protocol version", http.StatusBadRequest}
)

func (f failure) answer(w http.ResponseWriter) { reply.JSON(w, f.status, f) }

// ServeHTTP serves a request that opens a client's session, polls, posts or upgrades.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	over, id := query.Get("transport"), query.Get("sid")
	switch {
	case over != overPolling && over != overWebSocket:
		h.refuse(w, r, id, errTransport)
	case query.Get("EIO") != "4":
		h.refuse(w, r, id, errVersion)
	case (over == overWebSocket) != websocket.IsWebSocketUpgrade(r):
		h.refuse(w, r, id, errRequest)
	case id == "" && r.Method != http.MethodGet:
		h.refuse(w, r, id, errMethod)
	case id == "":
		h.open(w, r, over)
	default:
		h.serve(w, r, id, over)
	}
}

// refuse answers a request that is none of Engine.IO's, and counts it if it was to open a client.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, id string, f failure) {
	if id == "" {
		_, handshake := h.cfg.Namespaces["/"].BeginHandshake(r.Context(), instrument.HTTPRequest(r))
		handshake.Refused(instrument.StatusBadHandshake, f.status, errors.New(f.Message))
	}
	f.answer(w)
}

// serve serves a request that belongs to an open client.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, id, over string) {
	c := h.listed(id)
	switch {
	case c == nil:
		errSession.answer(w)
	case over == overWebSocket:
		c.upgrade(w, r)
	case r.Method == http.MethodPost:
		c.post(w, r)
	default:
		c.poll(w, r)
	}
}

// open lets a client in. Which namespaces it wants to be in, it says later.
func (h *Handler) open(w http.ResponseWriter, r *http.Request, over string) {
	release, who, refused := h.cfg.Gate.Enter(r.Context(), r)
	if refused != nil {
		_, handshake := h.cfg.Namespaces["/"].BeginHandshake(r.Context(), instrument.HTTPRequest(r))
		refused.Answer(w, handshake)
		return
	}
	c := &client{
		handler: h, id: uuid.NewString(), request: essence(r), who: who, release: release, over: over,
		mailbox: newMailbox(), gone: make(chan struct{}), peers: make(map[string]*peer),
	}
	if over == overPolling {
		h.list(c)
		_ = answer(w, []unit{c.welcome()}) // without it the client connects to no namespace
		return
	}
	if c.socket = c.accept(w, r); c.socket == nil {
		release()
		_, handshake := h.cfg.Namespaces["/"].BeginHandshake(r.Context(), instrument.HTTPRequest(r))
		handshake.Refused(instrument.StatusBadHandshake, http.StatusBadRequest, errors.New("not a WebSocket's handshake"))
		return
	}
	h.list(c)
	_ = c.write(c.socket, c.welcome()) // an error has ended the client
	go c.read(c.socket)
}

// essence returns what the gate and traces need of the request that opens a client.
func essence(r *http.Request) *http.Request {
	header := make(http.Header)
	for _, name := range []string{"Origin", "Traceparent", "Tracestate"} {
		if values := r.Header.Values(name); len(values) > 0 {
			header[name] = values
		}
	}
	return &http.Request{
		Method: r.Method, URL: &url.URL{Path: r.URL.Path}, Host: r.Host, RemoteAddr: r.RemoteAddr, Header: header,
	}
}

// leaveLobby ends the client if it is in no namespace.
func (c *client) leaveLobby() {
	if len(c.members()) == 0 {
		c.close(local(instrument.ReasonNormal, nil), "connect to a namespace")
	}
}

// welcome returns the packet that opens a client.
func (c *client) welcome() unit {
	upgrades := []string{}
	if c.over == overPolling {
		upgrades = append(upgrades, overWebSocket)
	}
	data, _ := json.Marshal(map[string]any{ // strings and numbers
		"sid": c.id, "upgrades": upgrades, "maxPayload": MaxPayload,
		"pingInterval": c.handler.cfg.Heartbeat.Milliseconds(), "pingTimeout": c.handler.cfg.PongTimeout.Milliseconds(),
	})
	return unit{data: append([]byte{packet.EngineOpen}, data...)}
}

func (h *Handler) list(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients[c.id] = c
	c.lobby = time.AfterFunc(h.cfg.ConnectTimeout, c.leaveLobby)
	h.metrics.clients.WithLabelValues(c.over).Inc()
}

func (h *Handler) unlist(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c.id)
}

func (h *Handler) listed(id string) *client {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clients[id]
}
