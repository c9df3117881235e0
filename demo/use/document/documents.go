package document

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sockscope/sockscope/demo/cluster"
	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
)

const (
	// editors is how many may have a document open on one node: what each does is told to all.
	editors = 64
	// retryEvery is how often documents are read that could not be.
	retryEvery = time.Second
)

// Config is what Documents work with.
type Config struct {
	History  history.Store
	Rooms    *room.Rooms
	Topics   *room.Topics
	Cluster  *cluster.Cluster
	Observer *observe.Observer
	Logger   *slog.Logger
	// PerPeer is how many documents a peer may have open.
	PerPeer int
}

// Documents is the use.
type Documents struct {
	cfg   Config
	woken chan struct{} // has a value when there is something to read

	mu   sync.Mutex
	open map[string]*document // by name
}

// New returns documents that nobody has open. Run reads what other nodes save.
func New(cfg Config) *Documents {
	return &Documents{cfg: cfg, woken: make(chan struct{}, 1), open: make(map[string]*document)}
}

// Run reads what other nodes save, as soon as they tell, until ctx ends.
func (a *Documents) Run(ctx context.Context) {
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.woken:
		case <-tick.C: // for those that could not be read
		}
		for _, d := range a.behind() {
			d.order.Lock()
			if err := d.catchUp(ctx); err != nil {
				a.cfg.Logger.WarnContext(ctx, "document not read", "error", err)
			}
			d.order.Unlock()
			a.release(d)
		}
	}
}

// behind returns the documents of which there is something to read. Each lasts until release.
func (a *Documents) behind() []*document {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []*document
	for _, d := range a.open {
		if d.behind.Load() {
			d.users++
			all = append(all, d)
		}
	}
	return all
}

// acquire returns a document, which lasts until release.
func (a *Documents) acquire(name string) (*document, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.open[name]
	if d == nil {
		d = &document{all: a, name: name, room: wire.DocumentRoom(name)}
		a.open[name] = d
	}
	if d.users >= editors {
		return nil, &wire.RefusalError{Code: wire.CodeServerFull, Reason: fmt.Sprintf("%d editors have the document open already", editors)}
	}
	d.users++
	return d, nil
}

// release takes an acquire back.
func (a *Documents) release(d *document) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d.users--; d.users > 0 {
		return
	}
	delete(a.open, d.name)
	if d.joined {
		a.cfg.Rooms.Leave(d.room, d)
	}
}

// signal puts a value into a channel with room for one, unless there is one.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// Requests implements use.Use.
func (*Documents) Requests() []wire.Type {
	return []wire.Type{wire.TypeDocumentOpen, wire.TypeDocumentClose, wire.TypeDocumentEdit, wire.TypeDocumentCursor}
}

// Begin implements use.Use.
func (a *Documents) Begin(p use.Peer) use.Visit { return &visit{Documents: a, peer: p} }
