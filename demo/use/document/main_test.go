package document

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/cluster"
	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errLost = errors.New("the answer is lost")

// log is a history in memory, of one document.
type log struct {
	history.Store
	before func()      // is called before a message is appended
	loses  func() bool // whether the answer to that is lost

	mu       sync.Mutex
	messages []history.Message
}

func (l *log) Append(_ context.Context, m history.Message) (history.Message, bool, error) {
	if before := l.before; before != nil {
		l.before = nil
		before()
		l.before = before
	}
	saved, again := l.append(m)
	if l.loses != nil && l.loses() {
		return history.Message{}, false, errLost
	}
	return saved, again, nil
}

func (l *log) append(m history.Message) (history.Message, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, saved := range l.messages {
		if saved.ID == m.ID && saved.From == m.From {
			return saved, true
		}
	}
	m.Seq = uint64(len(l.messages) + 1)
	m.SavedID, m.Time = uuid.NewString(), time.Now()
	l.messages = append(l.messages, m)
	return m, false
}

func (l *log) After(_ context.Context, _ string, after uint64, limit int) ([]history.Message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := l.messages[min(after, uint64(len(l.messages))):]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

func (l *log) Latest(_ context.Context, _ string, limit int) ([]history.Message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.messages[max(0, len(l.messages)-limit):]), nil
}

// node is one node of the service.
func node(t *testing.T, store history.Store) *Documents {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	o, err := observe.New(observe.Config{Logger: logger, ConnectionLimit: 100})
	if err != nil {
		t.Fatal(err)
	}
	rooms, topics := room.New(room.Config{History: store, Observer: o.Observer}), new(room.Topics)
	c, err := cluster.New(cluster.Config{
		Node: "test", NodeTimeout: 15 * time.Second, Rooms: rooms, Topics: topics, Observer: o, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{History: store, Rooms: rooms, Topics: topics, Cluster: c, Observer: o, Logger: logger, PerPeer: 2})
}

// peer is somebody who is connected to a node.
type peer struct {
	name  string
	visit use.Visit
	got   []*wire.Frame // that were not read yet
}

func connect(a *Documents, name string) *peer {
	p := &peer{name: name}
	p.visit = a.Begin(p)
	return p
}

func (p *peer) Deliver(f *wire.Frame, _ *instrument.Broadcast) { p.got = append(p.got, f) }
func (p *peer) Identity() auth.Identity                        { return auth.Identity{User: p.name} }
func (p *peer) Observed() *instrument.Conn                     { return nil }

// ask sends a request. A refusal is answered by an ack, as by a session.
func (p *peer) ask(t *testing.T, typ wire.Type, id string, payload any) error {
	t.Helper()
	env, err := wire.New(typ, id, payload)
	if err != nil {
		t.Fatal(err)
	}
	f, err := env.Frame()
	if err != nil {
		t.Fatal(err)
	}
	if env, err = wire.Decode(f.Data); err != nil {
		t.Fatal(err)
	}
	err = p.visit.Handle(t.Context(), &env)
	var refused *wire.RefusalError
	if errors.As(err, &refused) {
		use.Answer(t.Context(), p, wire.TypeAck, id, wire.AckPayload{Error: refused.Code, Reason: refused.Reason})
	}
	return err
}

// read returns the next frame, nil if there is none.
func (p *peer) read(t *testing.T) *wire.Envelope {
	t.Helper()
	if len(p.got) == 0 {
		return nil
	}
	var env wire.Envelope
	if err := json.Unmarshal(p.got[0].Data, &env); err != nil {
		t.Fatal(err)
	}
	p.got = p.got[1:]
	return &env
}

func payload[P any](t *testing.T, env *wire.Envelope) (p P) {
	t.Helper()
	if err := json.Unmarshal(env.Payload, &p); err != nil {
		t.Fatal(err)
	}
	return p
}
