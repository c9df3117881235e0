package demo

import (
	"fmt"
	"log/slog"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/cluster"
	"github.com/sockscope/sockscope/demo/fault/inject"
	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/page"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/session"
	"github.com/sockscope/sockscope/demo/transport/grpc"
	"github.com/sockscope/sockscope/demo/transport/poll"
	"github.com/sockscope/sockscope/demo/transport/socketio"
	"github.com/sockscope/sockscope/demo/transport/sse"
	"github.com/sockscope/sockscope/demo/transport/websocket"
	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/use/chat"
	"github.com/sockscope/sockscope/demo/use/document"
	"github.com/sockscope/sockscope/demo/use/game"
	"github.com/sockscope/sockscope/demo/use/market"
	"github.com/sockscope/sockscope/demo/use/notify"
	"github.com/sockscope/sockscope/demo/use/stream"
	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/backplane"
	instrumentsse "github.com/sockscope/sockscope/instrument/sse"
)

// New returns a server, with its metrics registered.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.Node == "" {
		cfg.Node = uuid.NewString()[:8]
	}
	s, err := build(cfg)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return s, nil
}

// build wires the parts of the service, from what knows nobody to what knows all others. This is the only place that
// knows of faults.
func build(cfg Config) (*Server, error) {
	faults, err := inject.New(cfg.Node, cfg.Redis)
	if err != nil {
		return nil, err
	}
	logger, limits := observe.Logger(cfg.Logger), cfg.Limits

	// Who observes: one for each transport. That of WebSockets observes what belongs to none as well.
	var shared []instrument.Option
	if cfg.Redis != nil {
		shared = append(shared, instrument.WithBackplanes(cluster.Backplane))
	}
	sockets, err := newObserver(cfg, shared...)
	if err != nil {
		return nil, err
	}
	events, err := newObserver(cfg, instrument.WithProtocol(instrumentsse.Protocol))
	if err != nil {
		return nil, err
	}

	// What all share: messages, rooms, topics, and the other nodes.
	store := history.WithTimeout(faults.Store(cfg.History), limits.Store)
	rooms := room.New(room.Config{
		History: store, Observer: sockets.Observer, Limit: limits.Rooms, Order: faults.RoomOrder(room.InOrder{}),
	})
	topics := new(room.Topics)
	connect, hangUp := busOf(cfg.Redis, sockets, faults)
	nodes, err := cluster.New(cluster.Config{
		Node: cfg.Node, NodeTimeout: cfg.NodeTimeout, Rooms: rooms, Topics: topics, Observer: sockets, Logger: logger,
		Connect: connect,
	})
	if err != nil {
		return nil, err
	}

	// The uses.
	talk := chat.New(chat.Config{
		History: store, Rooms: rooms, Cluster: nodes, RoomsPerPeer: limits.RoomsPerConnection, SaveTimeout: limits.Store,
	})
	streams := stream.New(stream.Config{
		Topics: topics, Observer: sockets, Logger: logger, Order: faults.TopicOrder(room.InOrder{}),
	})
	prices, err := market.New(market.Config{})
	if err != nil {
		return nil, err
	}
	arena, err := game.New(game.Config{
		Observer: sockets, Registerer: cfg.Registerer, Rate: cfg.GameRate, Players: limits.Players,
	})
	if err != nil {
		return nil, err
	}
	texts := document.New(document.Config{
		History: store, Rooms: rooms, Topics: topics, Cluster: nodes, Observer: sockets, Logger: logger,
		PerPeer: limits.RoomsPerConnection,
	})
	uses := []use.Use{talk, streams, notify.New(topics, nodes), arena, texts}

	// The gate, and the sessions of clients that are let in.
	door := admission.New(admission.Config{
		Verifier: faults.Verifier(cfg.Authority), Origins: cfg.Origins, Connections: limits.Connections,
		ConnectionsPerAddress: limits.ConnectionsPerAddress, TrustedProxies: limits.TrustedProxies,
	})
	gate := faults.Gate(door, door.Open)
	sessions := session.New(session.Config{
		Node: cfg.Node, Logger: logger, Verify: door.Verify, Uses: uses, Around: faults.Handler,
		Heartbeat: cfg.Heartbeat, LoginTimeout: limits.Handshake, IdleTimeout: limits.Idle,
		MessagesPerSecond: limits.MessagesPerSecond, MessageBurst: limits.MessageBurst,
		SendQueue: limits.SendQueue, SendPolicy: limits.SendPolicy, DrainSpread: cfg.DrainSpread,
	})
	opener := faults.Opener(sessions)
	faults.Aim(inject.Target{Sessions: sessions, Rooms: rooms, Topics: topics, Say: talk.Say, Logger: logger})

	// How they come: the transports, and the page that uses them.
	ws := websocket.New(websocket.Config{
		Gate: gate, Sessions: opener, Observer: sockets,
		PongTimeout: cfg.Heartbeat, WriteTimeout: limits.Write, CompressAbove: cfg.CompressAbove,
	})
	es := sse.New(sse.Config{
		Gate: gate, Sessions: opener, Observer: events,
		WriteTimeout: limits.Write, RoomsPerSession: limits.RoomsPerConnection,
	})
	io, spaces, err := newSocketIO(cfg, gate, opener)
	if err != nil {
		return nil, err
	}
	pollDoor := admission.New(admission.Config{
		Verifier: faults.Verifier(cfg.Authority), Origins: cfg.Origins, Connections: limits.Polls,
		ConnectionsPerAddress: limits.PollsPerAddress, TrustedProxies: limits.TrustedProxies,
	})
	polls, err := poll.New(poll.Config{
		Gate: pollDoor, Rooms: talk, Logger: logger, Registerer: cfg.Registerer, WriteTimeout: limits.Write,
		PerSecond: limits.PollsPerSecond,
	})
	if err != nil {
		return nil, fmt.Errorf("polls: %w", err)
	}
	pages, err := page.Handler(page.Config{TraceURL: cfg.TraceURL, SpansURL: cfg.PageSpansURL})
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, faults: faults, history: store, rooms: rooms, topics: topics, cluster: nodes, hangUp: hangUp,
		chat: talk, streams: streams, market: prices, game: arena, documents: texts, door: door, sessions: sessions,
		observers: append(spaces, sockets, events),
		sockets:   faults.Upgrades(ws), events: faults.Streams(es), posts: es, polls: polls, pollDoor: pollDoor, page: pages,
		socketIO: io, socketIOWire: faults.Streams(faults.Upgrades(io)),
	}
	if cfg.GRPC {
		if err := s.addGRPC(gate, opener, logger); err != nil {
			return nil, fmt.Errorf("gRPC: %w", err)
		}
	}
	return s, nil
}

// addGRPC adds the transport gRPC, whose clients pass the same gate and have the same sessions.
func (s *Server) addGRPC(gate admission.Gate, opener session.Opener, logger *slog.Logger) error {
	cfg, limits := s.cfg, s.cfg.Limits
	streams, err := newObserver(cfg, grpc.StreamOptions()...)
	if err != nil {
		return err
	}
	connections, err := newObserver(cfg, grpc.ConnectionOptions()...)
	if err != nil {
		return err
	}
	s.observers = append(s.observers, streams, connections)
	s.rpcs, err = grpc.New(grpc.Config{
		Gate: gate, Sessions: opener, Post: s.faults.Post(s.chat.Post), Ready: s.ready,
		Streams: streams, Connections: connections, TracerProvider: cfg.TracerProvider,
		SampleRatio: cfg.SampleRatio, SpanLimit: cfg.SpanLimit, Logger: logger,
		ConnectionLimit: limits.Connections, HandshakeTimeout: limits.Handshake, Heartbeat: cfg.Heartbeat,
		WriteTimeout: limits.Write, RoomsPerSession: limits.RoomsPerConnection,
		MessagesPerSecond: limits.MessagesPerSecond, MessageBurst: limits.MessageBurst,
	})
	return err
}

// feed is what telemetry calls the second namespace of Socket.IO.
const feed = "feed"

// newSocketIO returns the handler of Socket.IO, and what observes each of its namespaces.
func newSocketIO(cfg Config, gate admission.Gate, sessions session.Opener) (*socketio.Handler, []*observe.Observer, error) {
	chats, err := newObserver(cfg, instrument.WithProtocol(socketio.Protocol))
	if err != nil {
		return nil, nil, err
	}
	feeds, err := newObserver(cfg, instrument.WithProtocol(socketio.Protocol), instrument.WithNamespace(feed))
	if err != nil {
		return nil, nil, err
	}
	h, err := socketio.New(socketio.Config{
		Gate: gate, Sessions: sessions, Namespaces: map[string]*observe.Observer{"/": chats, "/" + feed: feeds},
		Registerer: cfg.Registerer, Heartbeat: cfg.Heartbeat, PongTimeout: cfg.Heartbeat,
		ConnectTimeout: cfg.Limits.Handshake, WriteTimeout: cfg.Limits.Write,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("socket.io: %w", err)
	}
	return h, []*observe.Observer{chats, feeds}, nil
}

// newObserver returns the observer of a transport, which more options tell from others.
func newObserver(cfg Config, more ...instrument.Option) (*observe.Observer, error) {
	o, err := observe.New(observe.Config{
		Logger: cfg.Logger, TracerProvider: cfg.TracerProvider, Registerer: cfg.Registerer,
		SampleRatio: cfg.SampleRatio, SpanLimit: cfg.SpanLimit, ConnectionLimit: cfg.Limits.Connections,
	}, more...)
	if err != nil {
		return nil, fmt.Errorf("observe: %w", err)
	}
	if cfg.Console != nil {
		cfg.Console.Observe(o.Observer)
	}
	return o, nil
}

// busOf returns how the nodes are connected by Redis, if there is one, and what closes the connections.
func busOf(client redis.UniversalClient, o *observe.Observer, faults *inject.Faults) (
	connect func(...backplane.Option) (cluster.Bus, error), hangUp func() error,
) {
	if client == nil {
		return nil, func() error { return nil }
	}
	client, hangUp = faults.BusClient(client)
	return func(opts ...backplane.Option) (cluster.Bus, error) {
		b, err := backplane.New(client, o.Observer, cluster.Backplane, opts...)
		return faults.Bus(b), err
	}, hangUp
}
