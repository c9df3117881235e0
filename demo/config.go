package demo

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/outbox"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/use/game"
	"github.com/sockscope/sockscope/demo/use/market"
	"github.com/sockscope/sockscope/instrument/console"
)

// Config says how a Server behaves. The zero value of a field means its default, see Defaults.
type Config struct {
	Logger         *slog.Logger          // default: no logs
	TracerProvider trace.TracerProvider  // default: the global one
	Registerer     prometheus.Registerer // default: metrics are not registered
	Metrics        http.Handler          // serves /metrics; default: not served

	SampleRatio float64 // share of messages that get a span; default: none
	SpanLimit   int     // spans per second, of messages, handshakes and closes each

	// History keeps the messages. It stays the caller's to close. Required.
	History history.Store
	// Redis connects the nodes of the service. Default: there is one node.
	Redis redis.UniversalClient
	Node  string // this node's name; default: a random one
	// NodeTimeout is after what time without a sign of life a node is given up, and its users are gone from the rooms.
	// All nodes should have the same.
	NodeTimeout time.Duration

	Authority *auth.Authority // verifies tokens. Required.
	Origins   auth.Origins    // of pages that may connect; default: only those of the server's own host
	DevTokens Access          // who is issued tokens, at /auth/token; default: callers on this machine

	// GRPC has the server speak gRPC as well, see Server.ServeGRPC.
	GRPC bool

	Limits    Limits
	Heartbeat time.Duration // between pings, and what a pong may take

	// CompressAbove is the size from which on frames to clients that can take them are compressed, each once for all of
	// its recipients. That takes 1.2 MB while it lasts, and reading what a client has compressed 45 KB. Default: none
	// is.
	CompressAbove int
	// BatchWindow is how long prices are gathered before they are sent to who has subscribed.
	BatchWindow time.Duration
	GameRate    int // ticks of the game in a second, 20 to 60
	// DrainSpread is over how long a drain closes connections, so that clients don't come back all at once; default:
	// they are closed at once.
	DrainSpread time.Duration

	TraceURL string // what a trace id is appended to for a link; default: no link
	// PageSpansURL is where the page sends its spans by OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces. That
	// server must allow the page's origin. Default: the page sends none.
	PageSpansURL string
	FaultAPI     Access // who may switch faults, at /fault; default: callers on this machine

	Console       *console.Console // shows the live connections, at /debug/realtime/; default: not served
	ConsoleAccess Access           // who may see it; default: callers on this machine
}

// Limits bound what peers can make grow. The zero value of a field means its default, see Defaults.
type Limits struct {
	Connections           int     // open at once
	ConnectionsPerAddress int     // of one client address
	Polls                 int     // under way at once, those that wait included
	PollsPerAddress       int     // of one client address
	PollsPerSecond        float64 // of one user, in the long run; twice as many at once
	MessagesPerSecond     float64 // of one connection, in the long run
	MessageBurst          int     // of one connection, at once
	Rooms                 int     // at once
	RoomsPerConnection    int
	Players               int           // of the game, at once
	SendQueue             int           // frames that wait for one connection
	SendPolicy            outbox.Policy // what happens when as many wait
	Handshake             time.Duration // from the upgrade until a token has come
	Idle                  time.Duration // without a message from the client; default: not limited
	Write                 time.Duration // for one frame
	Store                 time.Duration // for what the store is asked, retries included

	// TrustedProxies are those whose X-Forwarded-For says where a client is.
	TrustedProxies []netip.Prefix
}

// Defaults returns the defaults of a Config, as far as they are numbers. A field that is 0 there means no limit, or
// that the feature is off. A Config needs its required fields besides.
func Defaults() Config {
	return Config{
		SpanLimit:   50,
		NodeTimeout: 15 * time.Second,
		Heartbeat:   30 * time.Second,
		BatchWindow: market.DefaultWindow,
		GameRate:    game.DefaultRate,
		Limits: Limits{
			Connections:           60_000,
			ConnectionsPerAddress: math.MaxInt,
			Polls:                 10_000,
			PollsPerAddress:       math.MaxInt,
			PollsPerSecond:        50,
			MessagesPerSecond:     50,
			MessageBurst:          200,
			Rooms:                 room.DefaultLimit,
			RoomsPerConnection:    16,
			Players:               game.DefaultPlayers,
			SendQueue:             outbox.DefaultCapacity,
			Handshake:             5 * time.Second,
			Write:                 10 * time.Second,
			Store:                 5 * time.Second,
		},
	}
}

func (c Config) withDefaults() (Config, error) {
	if c.History == nil {
		return c, fmt.Errorf("demo: History is missing: see history.OpenFile, history.NewRedis and history.OpenKafka")
	}
	if c.Authority == nil {
		return c, fmt.Errorf("demo: Authority is missing: see auth.New")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if !(c.SampleRatio >= 0 && c.SampleRatio <= 1) {
		return c, fmt.Errorf("demo: SampleRatio is %v: give 0 to 1", c.SampleRatio)
	}
	d, l := Defaults(), &c.Limits
	err := errors.Join(
		fallBack("SpanLimit", &c.SpanLimit, d.SpanLimit),
		fallBack("NodeTimeout", &c.NodeTimeout, d.NodeTimeout),
		fallBack("Heartbeat", &c.Heartbeat, d.Heartbeat),
		fallBack("CompressAbove", &c.CompressAbove, d.CompressAbove),
		fallBack("BatchWindow", &c.BatchWindow, d.BatchWindow),
		fallBack("GameRate", &c.GameRate, d.GameRate),
		fallBack("DrainSpread", &c.DrainSpread, d.DrainSpread),
		fallBack("Limits.Connections", &l.Connections, d.Limits.Connections),
		fallBack("Limits.ConnectionsPerAddress", &l.ConnectionsPerAddress, d.Limits.ConnectionsPerAddress),
		fallBack("Limits.Polls", &l.Polls, d.Limits.Polls),
		fallBack("Limits.PollsPerAddress", &l.PollsPerAddress, d.Limits.PollsPerAddress),
		fallBack("Limits.PollsPerSecond", &l.PollsPerSecond, d.Limits.PollsPerSecond),
		fallBack("Limits.MessagesPerSecond", &l.MessagesPerSecond, d.Limits.MessagesPerSecond),
		fallBack("Limits.MessageBurst", &l.MessageBurst, d.Limits.MessageBurst),
		fallBack("Limits.Rooms", &l.Rooms, d.Limits.Rooms),
		fallBack("Limits.RoomsPerConnection", &l.RoomsPerConnection, d.Limits.RoomsPerConnection),
		fallBack("Limits.Players", &l.Players, d.Limits.Players),
		fallBack("Limits.SendQueue", &l.SendQueue, d.Limits.SendQueue),
		fallBack("Limits.Handshake", &l.Handshake, d.Limits.Handshake),
		fallBack("Limits.Idle", &l.Idle, d.Limits.Idle),
		fallBack("Limits.Write", &l.Write, d.Limits.Write),
		fallBack("Limits.Store", &l.Store, d.Limits.Store),
	)
	return c, err
}

func fallBack[N int | float64 | time.Duration](name string, value *N, fallback N) error {
	if !(*value >= 0) { //nolint:staticcheck // written so that NaN is refused as well
		return fmt.Errorf("demo: %s is %v: give more than 0, or 0 for %v", name, *value, fallback)
	}
	if *value == 0 {
		*value = fallback
	}
	return nil
}
