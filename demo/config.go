// Package demo is a realtime service as people run them: chat rooms with presence, history and receipts, a market feed,
// notifications and a dashboard, over WebSockets and server-sent events, on one node or several. Everything that is
// observable of it is so through package instrument; it is that package's largest example.
package demo

import (
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
	"github.com/sockscope/sockscope/instrument/console"
)

// Config says how a Server behaves. The zero value of a field means its default.
type Config struct {
	Logger         *slog.Logger          // default: no logs
	TracerProvider trace.TracerProvider  // default: the global one
	Registerer     prometheus.Registerer // default: metrics are not registered
	Metrics        http.Handler          // serves /metrics; default: not served

	SampleRatio float64 // share of messages that get a span; default: none
	SpanLimit   int     // spans per second, of messages, handshakes and closes each; default 50

	// History keeps the messages. It stays the caller's to close. Required.
	History history.Store
	// Redis connects the nodes of the service. Default: there is one node.
	Redis redis.UniversalClient
	Node  string // this node's name; default: a random one
	// NodeTimeout is after what time without a sign of life a node is given up, and its users are gone from the rooms;
	// default 15s. All nodes should have the same.
	NodeTimeout time.Duration

	Authority *auth.Authority // verifies tokens. Required.
	Origins   auth.Origins    // of pages that may connect; default: only those of the server's own host
	DevTokens Access          // who is issued tokens, at /auth/token; default: callers on this machine

	Limits    Limits
	Heartbeat time.Duration // between pings, and what a pong may take; default 30s

	// CompressAbove is the size from which on frames to clients that can take them are compressed, each once for all of
	// its recipients. That takes 1.2 MB while it lasts, and reading what a client has compressed 45 KB. Default: none is.
	CompressAbove int
	// BatchWindow is how long prices are gathered before they are sent to who has subscribed; default 1s.
	BatchWindow time.Duration
	// DrainSpread is over how long a drain closes connections, so that clients don't come back all at once; default:
	// they are closed at once.
	DrainSpread time.Duration

	TraceURL string // what a trace id is appended to for a link; default: no link
	FaultAPI Access // who may switch faults, at /fault; default: callers on this machine

	Console       *console.Console // shows the live connections, at /debug/realtime/; default: not served
	ConsoleAccess Access           // who may see it; default: callers on this machine
}

// Limits bound what peers can make grow. The zero value of a field means its default.
type Limits struct {
	Connections           int           // open at once; default 60,000
	ConnectionsPerAddress int           // of one client address; default: as many as in all
	MessagesPerSecond     float64       // of one connection, in the long run; default 50
	MessageBurst          int           // of one connection, at once; default 200
	Rooms                 int           // at once; default 10,000
	RoomsPerConnection    int           // default 16
	SendQueue             int           // frames that wait for one connection; default 256
	SendPolicy            outbox.Policy // what happens when as many wait; default: the connection is closed
	Handshake             time.Duration // from the upgrade until a token has come; default 5s
	Idle                  time.Duration // without a message from the client; default: not limited
	Write                 time.Duration // for one frame; default 10s
	Store                 time.Duration // for what the store is asked, retries included; default 5s

	// TrustedProxies are those whose X-Forwarded-For says where a client is.
	TrustedProxies []netip.Prefix
}

func (c Config) withDefaults() (Config, error) {
	if c.History == nil {
		return c, fmt.Errorf("demo: History is missing: see history.OpenFile and history.NewRedis")
	}
	if c.Authority == nil {
		return c, fmt.Errorf("demo: Authority is missing: see auth.New")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	l := &c.Limits
	for _, f := range []struct {
		name     string
		value    *int
		fallback int
	}{
		{"SpanLimit", &c.SpanLimit, 50},
		{"CompressAbove", &c.CompressAbove, 0},
		{"Limits.Connections", &l.Connections, 60_000},
		{"Limits.ConnectionsPerAddress", &l.ConnectionsPerAddress, math.MaxInt},
		{"Limits.MessageBurst", &l.MessageBurst, 200},
		{"Limits.Rooms", &l.Rooms, 10_000},
		{"Limits.RoomsPerConnection", &l.RoomsPerConnection, 16},
		{"Limits.SendQueue", &l.SendQueue, 256},
	} {
		if err := fallBack(f.name, f.value, f.fallback); err != nil {
			return c, err
		}
	}
	if err := fallBack("Limits.MessagesPerSecond", &l.MessagesPerSecond, 50); err != nil {
		return c, err
	}
	for _, f := range []struct {
		name     string
		value    *time.Duration
		fallback time.Duration
	}{
		{"Heartbeat", &c.Heartbeat, 30 * time.Second},
		{"NodeTimeout", &c.NodeTimeout, 15 * time.Second},
		{"BatchWindow", &c.BatchWindow, time.Second},
		{"DrainSpread", &c.DrainSpread, 0},
		{"Limits.Handshake", &l.Handshake, 5 * time.Second},
		{"Limits.Idle", &l.Idle, 0},
		{"Limits.Write", &l.Write, 10 * time.Second},
		{"Limits.Store", &l.Store, 5 * time.Second},
	} {
		if err := fallBack(f.name, f.value, f.fallback); err != nil {
			return c, err
		}
	}
	if !(c.SampleRatio >= 0 && c.SampleRatio <= 1) {
		return c, fmt.Errorf("demo: SampleRatio is %v: give 0 to 1", c.SampleRatio)
	}
	return c, nil
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
