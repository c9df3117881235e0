// Package inject breaks the demo on request. Each fault is a decorator of an interface that the service has anyway,
// which asks its switch where the fault would strike in earnest: the gate, a handler, a link, the order of deliveries,
// the store, a connection, the bus. A few act by themselves on a Target. The root of the demo puts the decorators where
// they belong; nothing else knows of faults.
package inject

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/fault"
	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/session"
)

// Faults are the ways in which a node can be broken on request.
type Faults struct {
	all []*fault.Switch
	api *fault.API

	// Faults of handshakes and tokens.
	handshakeErrors, connectionLimit, refusedTokens, tokenExpiry *fault.Switch
	// Faults of handling.
	slowHandling, handlerPanics *fault.Switch
	// Faults of sending and of the order.
	silence, droppedDeliveries, skippedSequence, repeatedSequence, reorderedSequence *fault.Switch
	// Faults between this server and its peers.
	halfOpen, slowConsumer, massDisconnect *fault.Switch
	// Faults of the store.
	hotRoom, storeErrors, slowStore *fault.Switch
	// Faults between the nodes.
	backplaneDown, backplaneLag, backplanePartition *fault.Switch
	// Faults of the process.
	goroutineLeak, connectionMemory, logStorm *fault.Switch
	// Faults of the end.
	badDrain *fault.Switch

	// stranger has signed none of the tokens that there are.
	stranger      *auth.Authority
	rooms, topics *disorder
	peers         peers
	backplane     backplaneConns
	burdened      sync.Mutex // held by who gives memory to sessions

	target  Target
	running sync.WaitGroup // what faults do by themselves
	mu      sync.Mutex
	healed  bool // for good
}

// Target is what faults act on by themselves.
type Target struct {
	Sessions *session.Sessions
	Rooms    *room.Rooms
	Topics   *room.Topics
	// Say has somebody say something.
	Say    func(ctx context.Context, m history.Message) error
	Logger *slog.Logger
}

// New returns the faults of a node, all of them off. By the client c, which may be nil, the nodes are told of each
// other's faults. Those of the backplane can't be turned on where c is no client whose connections can be got at.
func New(node string, c redis.UniversalClient) (*Faults, error) {
	key, err := auth.LoadKey("") // a random one
	if err != nil {
		return nil, err
	}
	stranger, err := auth.New(key)
	if err != nil {
		return nil, err
	}
	f := &Faults{stranger: stranger}
	f.list()
	for _, s := range []*fault.Switch{f.backplaneDown, f.backplaneLag, f.backplanePartition} {
		s.Unavailable = noBackplane(c)
	}
	f.api = fault.NewAPI(f.strike, f.all...)
	if c != nil {
		f.api.Join(c, node)
	}
	return f, nil
}

// Aim sets what the faults act on by themselves. It is called once, before any is turned on.
func (f *Faults) Aim(t Target) { f.target = t }

// API returns the handler by which callers turn faults on and off, at /fault.
func (f *Faults) API() http.Handler { return f.api.Handler() }

// Run obeys the other nodes until ctx ends.
func (f *Faults) Run(ctx context.Context) { f.api.Run(ctx) }

// list makes the switches, in the order in which they are listed.
func (f *Faults) list() {
	add := func(name, unit string, least, most float64, description string) *fault.Switch {
		s := &fault.Switch{Name: name, Unit: unit, Min: least, Max: most, Description: description}
		f.all = append(f.all, s)
		return s
	}
	share := func(name, description string) *fault.Switch { return add(name, "share", 0.01, 1, description) }
	on := func(name, description string) *fault.Switch { return add(name, "on", 1, 1, description) }

	f.handshakeErrors = share("handshake_errors", "that share of the handshakes is answered 500")
	f.connectionLimit = add("connection_limit", "connections", 1, 100_000,
		"no more connections than that may be open; those that are open stay")
	f.refusedTokens = share("refused_tokens", "that share of the tokens is refused, as if signed with another key")
	f.tokenExpiry = add("token_expiry", "s", 1, 1800,
		"all tokens that are held, or presented until then, expire so long after the fault has begun")

	f.slowHandling = add("slow_handling", "ms", 1, 10_000, "handling every message takes that much longer")
	f.handlerPanics = share("handler_panics", "the handler panics on that share of the messages")

	f.silence = on("silence", "connections stay open and pings are answered, but no message is sent")
	f.droppedDeliveries = share("dropped_deliveries",
		"that share of the messages, prices and notifications is dropped on its way to each recipient")
	f.skippedSequence = share("skipped_sequence",
		"that share of a room's messages, and of the market's batches, is delivered to nobody")
	f.repeatedSequence = share("repeated_sequence",
		"that share of a room's messages, and of the market's batches, is delivered twice")
	f.reorderedSequence = share("reordered_sequence",
		"that share of a room's messages, and of the market's batches, is delivered after the next one, or 1 s late")

	f.halfOpen = on("half_open", "nothing arrives from peers on WebSockets and gRPC, not even pongs, though they stay connected")
	f.slowConsumer = share("slow_consumer",
		"every write to that share of the WebSockets and gRPC connections takes 1 s, as if their peers hardly read")
	f.massDisconnect = share("mass_disconnect",
		"that share of the connections breaks without a close frame, at once and every 5 s")

	f.hotRoom = add("hot_room", "messages/s", 1, 2000, "a user called fault says that much in the room lobby")
	f.storeErrors = share("store_errors", "that share of the attempts to save a message fails")
	f.slowStore = add("slow_store", "ms", 1, 10_000, "everything that is asked of the message store takes that much longer")

	f.backplaneDown = on("backplane_down", "connections to the other nodes break and new ones are refused")
	f.backplaneLag = add("backplane_lag", "ms", 1, 10_000, "what other nodes say is heard that much after it was said")
	f.backplanePartition = on("backplane_partition",
		"this node neither hears the others nor is heard, though its connections seem open")

	f.goroutineLeak = add("goroutine_leak", "goroutines/s", 1, 1000,
		"so many goroutines begin and never end, up to 50000")
	f.connectionMemory = add("connection_memory", "KiB", 1, 1024,
		"every connection holds that much memory, up to 1 GiB in all")
	f.logStorm = add("log_storm", "records/s", 1, 10_000, "the service logs so many warnings")

	f.badDrain = on("bad_drain", "a drain cuts connections off, without a word and with what waits for them")
}

// strike starts what a fault does by itself, which ends with ctx.
func (f *Faults) strike(ctx context.Context, s *fault.Switch) error {
	var act func(ctx context.Context, strength float64)
	switch s {
	case f.tokenExpiry:
		act = f.moveExpiry
	case f.reorderedSequence:
		act = f.deliverLate
	case f.massDisconnect:
		act = f.keepCutting
	case f.hotRoom:
		act = f.flood
	case f.backplaneDown:
		act = func(context.Context, float64) { f.backplane.cut() }
	case f.goroutineLeak:
		act = f.leak
	case f.connectionMemory:
		act = f.burden
	case f.logStorm:
		act = f.storm
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.healed {
		return errors.New("the server is draining, which no fault may keep it from: try another")
	}
	if act != nil {
		f.running.Go(func() { act(ctx, s.Strength()) })
	}
	return nil
}

// Drain heals all faults, for good, and ends the sessions: in order, unless bad_drain has them cut off.
func (f *Faults) Drain(s *session.Sessions) {
	f.mu.Lock()
	f.healed = true
	bad := f.badDrain.On()
	for _, s := range f.all {
		s.TurnOff()
	}
	f.mu.Unlock()
	if bad {
		s.Cut()
		return
	}
	s.Drain()
}

// Wait returns when nothing is left of what the faults did by themselves. Call it after Drain.
func (f *Faults) Wait() { f.running.Wait() }

func milliseconds(s *fault.Switch) time.Duration {
	return time.Duration(s.Strength() * float64(time.Millisecond))
}
