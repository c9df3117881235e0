// Package probe is a synthetic client. Again and again it connects to a demo, joins a room, sends a message and checks
// that it arrives, like a user. So there is always a client that shows whether the service works, even at night without
// other users.
//
// # Metrics
//
//   - websocket_probes_total by target and result counts probes: success, or the phase that failed. Error budgets and burn
//     rates are made of it.
//   - websocket_probe_success by target is 1 if the last probe went through all of its phases within the timeout, else
//     0, and absent until there was one. Its average over a window is the availability; scrape at least as often as
//     there are probes, and each is seen.
//   - websocket_probe_duration_seconds by target and phase is a histogram of the phases that succeeded. Failures are
//     not in it, because a refusal is quick and would look like good latency: the two are different promises. What its
//     counts grow by are the successful probes one by one, also those between two scrapes.
//   - websocket_probe_certificate_expiry_timestamp_seconds by target is when the first of the certificates expires that
//     a wss target presented last, whether they were accepted or not. Of several chains the one that holds longest
//     counts.
//
// # Phases
//
//   - connect: two connections are opened at once, until both are welcomed (TCP, TLS, handshake, authentication)
//   - echo: a ping in a message, until the answer (the way there and back, and the handling)
//   - delivery: a message of one connection, until it has arrived at the other (storing, publishing, delivering)
//
// A client that polls can't send. If polls are probed, the first connection is a WebSocket, and the second one polls.
//
// Nothing is kept from one probe to the next, not even a connection, so each probe goes through name resolution and the
// load balancer. A probe closes its connections in order (1000), even after a failure if the target still answers, so
// that the service does not see broken connections.
package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/transport"
	"github.com/sockscope/sockscope/internal/upstream"
)

// Config configures a Prober. All fields except Transport and Logger are required.
type Config struct {
	Targets  []Target
	Interval time.Duration   // from the start of a probe to that of the next
	Timeout  time.Duration   // for a whole probe, at most as long as the interval
	Tokens   upstream.Tokens // asked before each probe
	// Transport is that of the connections; default: WebSocket. For gRPC the targets' servers need the address of it.
	Transport transport.Name
	Logger    *slog.Logger // default: no logs
}

// Target is a demo that is probed.
type Target struct {
	Name   string // the value of the label target
	Server upstream.Server
}

// ParseTarget reads the address of a WebSocket, or a name and an address, such as eu=wss://eu.example.com/ws. The
// default name is the host and port.
func ParseTarget(s string) (Target, error) {
	name, address, named := strings.Cut(s, "=")
	if !named {
		name, address = "", s
	}
	server, err := upstream.Parse(address)
	if err != nil {
		return Target{}, err
	}
	return Target{Name: cmp.Or(name, server.Host()), Server: server}, nil
}

// room returns the room for messages to the target. Probes from several places may share it. Each recognizes its own
// messages by their ids.
func (t Target) room() string {
	return "probe." + strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-", r) {
			return r
		}
		return '-'
	}, t.Name)
}

// A Prober probes its targets. It is a prometheus.Collector: register it in the program's registry.
type Prober struct {
	*metrics
	cfg    Config
	dialer transport.Dialer
}

// New makes a Prober. It starts nothing: Run does.
func New(cfg Config) (*Prober, error) {
	switch {
	case len(cfg.Targets) == 0:
		return nil, errors.New("there is no target to probe: give at least one")
	case cfg.Timeout <= 0 || cfg.Interval < cfg.Timeout:
		return nil, fmt.Errorf("a timeout of %v and an interval of %v: give a timeout above 0, and an interval that is "+
			"not shorter, so that probes don't overlap", cfg.Timeout, cfg.Interval)
	}
	seen := map[string]bool{}
	for _, t := range cfg.Targets {
		if seen[t.Name] {
			return nil, fmt.Errorf("two targets are called %q: give them different names, as in eu=%s",
				t.Name, t.Server.Socket())
		}
		seen[t.Name] = true
		if cfg.Transport == transport.GRPC && t.Server.GRPC() == "" {
			return nil, fmt.Errorf("there is no address of the gRPC of %q: give one for each target", t.Name)
		}
		if err := wire.CheckRoom(t.room()); err != nil {
			return nil, fmt.Errorf("target %q is no name for a room, give it another, as in eu=%s: %w",
				t.Name, t.Server.Socket(), err)
		}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Prober{metrics: newMetrics(cfg.Targets), cfg: cfg}, nil
}

// Run probes every target once per interval until ctx ends. The probes are spread evenly over the interval.
func (p *Prober) Run(ctx context.Context) {
	var running sync.WaitGroup
	for i, t := range p.cfg.Targets {
		offset := p.cfg.Interval * time.Duration(i) / time.Duration(len(p.cfg.Targets))
		running.Go(func() { p.watch(ctx, t, offset) })
	}
	running.Wait()
}

// watch probes one target.
func (p *Prober) watch(ctx context.Context, t Target, offset time.Duration) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(offset):
	}
	ticker := time.NewTicker(p.cfg.Interval)
	defer ticker.Stop()
	log := newReporter(p.cfg.Logger, t)
	for {
		r := p.probe(ctx, t)
		if ctx.Err() != nil {
			return // an interrupted probe says nothing about the target
		}
		p.record(t, r)
		log.report(ctx, r, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
