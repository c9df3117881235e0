// Package bot is a market bot that trades on paper, on the demo's feed. It treats the feed as a trigger, never as the
// truth. It holds the state of the market's snapshot, updates it with later ticks, and acts only while it knows that no
// tick is missing. Package client takes care of that. See Bot.
//
// # Drift
//
// Numbers in order do not prove that the state is right. So the bot fetches a snapshot from time to time. When the feed
// has reached the same number, it compares: price and volume of every symbol must be equal. If they are not, the state
// has drifted. Then the bot stops acting, counts websocket_client_drift_total, and starts from a new snapshot.
package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/demo/use/market"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument/client"
	"github.com/sockscope/sockscope/internal/transport"
	"github.com/sockscope/sockscope/internal/upstream"
)

const (
	// user is the user as whom the bot connects.
	user = "bot"
	// queued is the number of records that may wait to be shown.
	queued = 256
)

// Config configures a Bot. Server and Tokens are required.
type Config struct {
	Server upstream.Server
	Tokens upstream.Tokens // asked before each connection, and when a token is about to end

	// Transport is that of the feed; default: WebSocket. Polls don't carry it. For gRPC the server needs the address of
	// it.
	Transport transport.Name

	// Expect is how long the market may be silent before it is stale; default 5s.
	Expect time.Duration
	// Audit is the time between two comparisons with the truth; default 10s.
	Audit time.Duration
	Rule  Rule

	Logger *slog.Logger // default: no logs
}

// A Bot follows the market and trades on paper while Run runs. All other methods may be called meanwhile. It is a
// prometheus.Collector with the metrics of its client, whose label client is "market".
type Bot struct {
	*client.Client
	cfg     Config
	http    *http.Client
	metrics *prometheus.Registry // of the client, for Status

	book   book
	trader *trader

	answer   atomic.Pointer[answer]
	expiring chan struct{}
	records  chan Record
	lost     atomic.Uint64 // records
}

// New makes a Bot. It starts nothing: Run does.
func New(cfg Config) (*Bot, error) {
	cfg.Expect, cfg.Audit = cmp.Or(cfg.Expect, 5*time.Second), cmp.Or(cfg.Audit, 10*time.Second)
	if cfg.Expect < 0 || cfg.Audit < 0 {
		return nil, fmt.Errorf("to expect something every %v and to compare every %v: give more than 0",
			cfg.Expect, cfg.Audit)
	}
	switch {
	case cfg.Server.Host() == "":
		return nil, errors.New("no server: give the one that upstream.Parse returns")
	case cfg.Transport == transport.Poll:
		return nil, errors.New("polls have the messages of rooms, not the market: take another transport")
	case cfg.Transport == transport.GRPC && cfg.Server.GRPC() == "":
		return nil, errors.New("there is no address of the server's gRPC")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	t, err := newTrader(cfg.Rule)
	if err != nil {
		return nil, err
	}
	b := &Bot{
		cfg: cfg, http: upstream.FreshClient(),
		metrics: prometheus.NewRegistry(), trader: t,
		expiring: make(chan struct{}, 1), records: make(chan Record, queued),
	}
	options := []client.Option{
		client.WithName(wire.StreamMarket),
		client.WithLogger(cfg.Logger),
		client.WithEndpoint(b.endpoint),
		client.WithStateChange(b.changed),
	}
	b.Client, err = client.New(cfg.Server.Socket(), b.feed(), append(options, b.connectBy()...)...)
	if err != nil {
		return nil, err
	}
	return b, b.metrics.Register(b.Client)
}

// connectBy returns the options by which the client connects. Over another transport than a WebSocket nobody answers
// its pings, so it relies on what the market has to say.
func (b *Bot) connectBy() []client.Option {
	if b.cfg.Transport.String() == transport.WebSocket.String() {
		return []client.Option{client.WithDialOptions(websocket.DialOptions{HTTPClient: b.http})}
	}
	tunnel := &transport.Tunnel{Over: b.cfg.Transport, Server: b.cfg.Server}
	return []client.Option{
		client.WithDialOptions(websocket.DialOptions{HTTPClient: &http.Client{Transport: tunnel}}), client.WithHeartbeat(0, 0),
	}
}

// Run follows the market until ctx ends. It calls show for one record after another, with a Status regularly and at the
// end. If show is slow, it misses records, which the next Status counts.
func (b *Bot) Run(ctx context.Context, every time.Duration, show func(Record)) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { b.audit(ctx) })
	running.Go(func() { b.renew(ctx) })
	ended := make(chan error, 1)
	running.Go(func() { ended <- b.Client.Run(ctx) })

	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case r := <-b.records:
			show(r)
		case <-ticker.C:
			show(b.statusRecord())
		case err := <-ended:
			for len(b.records) > 0 {
				show(<-b.records)
			}
			show(b.statusRecord())
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// tell queues a record to be shown.
func (b *Bot) tell(r Record) {
	r.Time = time.Now()
	select {
	case b.records <- r:
	default:
		b.lost.Add(1)
	}
}

// changed shows a change of the market's state. The client as a whole has the same state, because there is one stream.
func (b *Bot) changed(c client.Change) {
	if c.Stream == "" {
		return
	}
	change := Change{From: c.From.String(), To: c.To.String()}
	if c.Err != nil && !errors.Is(c.Err, context.Canceled) {
		change.Error = c.Err.Error()
	}
	b.tell(Record{Change: &change})
}

// restore starts from a snapshot.
func (b *Bot) restore(_ context.Context, _ string, s client.Snapshot) (drifted bool, err error) {
	truth := s.Value.(market.Snapshot)
	drifted = b.book.restore(truth)
	b.trader.restore(truth)
	return drifted, nil
}

// handle updates the held state, and acts on it if it is known to be complete.
func (b *Bot) handle(_ context.Context, e client.Event) error {
	batch := e.Value.(market.Batch)
	fresh, err := b.book.apply(batch.Ticks)
	if err != nil {
		return err // so the client starts from a new snapshot
	}
	b.trader.watch(fresh)
	if b.StreamState(wire.StreamMarket) != client.Live {
		return nil
	}
	for _, t := range b.trader.act(fresh) {
		b.tell(Record{Trade: &t})
	}
	return nil
}

// audit compares the held state with the truth from time to time.
func (b *Bot) audit(ctx context.Context) {
	ticker := time.NewTicker(b.cfg.Audit)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if b.StreamState(wire.StreamMarket) != client.Live {
			continue // it is going to be restored
		}
		truth, err := b.fetch(ctx)
		if err == nil {
			b.book.compareWith(truth)
		} else if ctx.Err() == nil {
			b.cfg.Logger.WarnContext(ctx, "market not compared", "error", err)
		}
	}
}
