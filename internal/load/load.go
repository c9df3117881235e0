package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/internal/transport"
	"github.com/sockscope/sockscope/internal/upstream"
)

const (
	// patience is how long to wait without any answer, after the last message was due, before giving up.
	patience = 5 * time.Second
	// startDelay gives every sender time to be ready for its first message.
	startDelay = 50 * time.Millisecond
)

// Config describes the load.
type Config struct {
	// URLs are the addresses of the WebSockets over which the connections are spread, such as ws://127.0.0.1:8080/ws.
	// All must belong to one service. Required.
	URLs []string
	// Scenario is the scenario to run. Required.
	Scenario Scenario
	// Sources are the addresses of this machine from which the connections come. By default the system chooses.
	Sources []netip.Addr
	// Authority issues tokens, one user for each connection. By default the servers are asked, and the connections
	// share a hundred users.
	Authority *auth.Authority
	// Verify says to read the histories of the rooms at the end.
	Verify bool
	// GRPC are the addresses of the servers' gRPC, as host and port, in the order of the URLs. They are required if the
	// scenario uses it.
	GRPC []string

	servers  []upstream.Server
	patience time.Duration // for tests; default: patience
}

// complete checks the Config and completes the URLs, in which the path may be left out.
func (c Config) complete() (Config, error) {
	if len(c.URLs) == 0 {
		return c, errors.New("there is no URL: give one such as ws://127.0.0.1:8080/ws")
	}
	c.URLs = slices.Clone(c.URLs)
	c.servers = make([]upstream.Server, len(c.URLs))
	for i, address := range c.URLs {
		server, err := upstream.Parse(address)
		if err != nil {
			return c, err
		}
		if i < len(c.GRPC) {
			server = server.WithGRPC(c.GRPC[i])
		}
		c.URLs[i], c.servers[i] = server.Socket(), server
	}
	if c.Scenario.uses(transport.GRPC) && len(c.GRPC) != len(c.URLs) {
		return c, fmt.Errorf("there are %d URLs and %d addresses of gRPC: give one for each URL", len(c.URLs), len(c.GRPC))
	}
	return c, c.Scenario.check()
}

// run is the state of a run.
type run struct {
	cfg       Config
	ids       ids
	shared    *shared
	tally     *tally
	dialer    *dialer
	tokens    *tokens
	badTokens badTokens
	groups    []*group
	rooms     []*room
	market    room // as far as it has numbers

	live    context.Context // ends when the connections must end
	end     context.CancelFunc
	running sync.WaitGroup // all that goes on for peers
	waiting atomic.Int64   // peers that have not been ready yet
	ready   chan struct{}  // closed when there are none
	giveUp  context.CancelCauseFunc

	start   time.Time     // may be read once started is closed
	started chan struct{} // closed when the first message is about to be due
}

func newRun(cfg Config) (*run, error) {
	if cfg.patience == 0 {
		cfg.patience = patience
	}
	r := &run{
		cfg: cfg, tally: newTally(cfg.Scenario), dialer: newDialer(cfg), tokens: newTokens(cfg),
		ready: make(chan struct{}), started: make(chan struct{}),
	}
	var err error
	if r.ids, err = newIDs(); err != nil {
		return nil, err
	}
	if r.badTokens, err = newBadTokens(); err != nil {
		return nil, err
	}
	r.shared = newShared(r.ids)
	for i := range cfg.Scenario.rooms() {
		r.rooms = append(r.rooms, &room{name: r.ids.room(i + 1)})
	}
	first := 0
	for i, g := range cfg.Scenario.Groups {
		r.groups = append(r.groups, newGroup(r, i, g, first))
		first += g.Connections
	}
	r.waiting.Store(int64(first))
	if first == 0 {
		close(r.ready)
	}
	return r, nil
}

// Run makes the load and returns the result. If ctx ends early, the result covers the time until then. In every
// interval progress is called with the present state. The error says why the load could not be made: a server can't be
// reached, or refuses the first connections. Later faults of the server are in the result.
func Run(ctx context.Context, cfg Config, interval time.Duration, progress func(Progress)) (*Result, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	r, err := newRun(cfg)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	defer r.tokens.client.CloseIdleConnections()
	r.live, r.end = context.WithCancel(context.WithoutCancel(ctx))
	defer r.end()
	watching, watched := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { r.watch(watching, interval, progress) })
	defer watch.Wait()
	defer watched()

	err = r.open(ctx)
	if err == nil {
		r.work(ctx)
	}
	sending := time.Since(r.start)
	if err == nil {
		r.settle()
	}
	r.close()
	if err != nil {
		return nil, err
	}
	interrupted := ctx.Err() != nil
	var history *History
	if cfg.Verify && !interrupted {
		history, err = r.verify(ctx)
	}
	result := r.result(sending, interrupted)
	result.History, result.unverified = history, err
	return result, nil
}

// open opens all connections and waits until they are ready.
func (r *run) open(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.giveUp = cancel
	var opening sync.WaitGroup
	defer opening.Wait()
	for _, g := range r.groups {
		opening.Go(func() { g.open(ctx) })
	}
	select {
	case <-r.ready:
		debug.FreeOSMemory() // handshakes need far more than what stays
		return nil
	case <-ctx.Done():
	}
	err := context.Cause(ctx)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("stopped before all were connected: %w", err)
	}
	return fmt.Errorf("load: %w", err)
}

// hopeless ends a run that can't be made because a peer can't be connected.
func (r *run) hopeless(p *peer, err error) {
	r.giveUp(fmt.Errorf("%s, is the server running and its limit high enough? %w", p.describe(), err))
}

// work sends everything that is due, until the scenario has lasted its time or ctx ends.
func (r *run) work(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.start = time.Now().Add(startDelay)
	close(r.started)
	var drivers, disturbers sync.WaitGroup
	for _, g := range r.groups {
		drivers.Go(func() { g.drive(ctx) })
		disturbers.Go(func() { g.disturb(ctx) })
	}
	sleepUntil(ctx, r.start.Add(r.cfg.Scenario.Duration))
	drivers.Wait()
	cancel()
	disturbers.Wait()
}

// settle waits until all answers have come, or none has come for too long.
func (r *run) settle() {
	lastTick := r.market.last.Load()
	last, since := int64(-1), time.Now()
	for !r.settled(lastTick) && time.Since(since) < r.cfg.patience {
		if n := r.tally.answers(); n != last {
			last, since = n, time.Now()
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, room := range r.rooms { // messages that come while peers leave do not reach all of them
		room.end = room.last.Load()
	}
	for _, g := range r.groups {
		for _, p := range g.peers {
			p.checkFeed(lastTick)
		}
	}
}

func (r *run) settled(lastTick uint64) bool {
	if r.tally.unanswered.Load() > 0 {
		return false
	}
	for _, g := range r.groups {
		for _, p := range g.peers {
			if !p.upToDate(lastTick) {
				return false
			}
		}
	}
	return true
}

// close ends all connections in order.
func (r *run) close() {
	r.end()
	var closing sync.WaitGroup
	places := make(chan struct{}, dialing)
	for _, g := range r.groups {
		for _, p := range g.peers {
			places <- struct{}{}
			closing.Go(func() {
				p.close()
				<-places
			})
		}
	}
	closing.Wait()
	r.running.Wait()
}
