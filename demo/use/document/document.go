package document

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

const (
	// piece is how many messages are read at a time.
	piece = 100
	// mostMissed is how many edits a client that comes back is sent at most, before it is sent the text instead.
	mostMissed = 100
)

// document is one document that somebody on this node has open. It is a member of its room, where it learns that there
// is something to read.
type document struct {
	all  *Documents
	name string
	room string

	users int // editors, and those that are about to be; of Documents' lock

	order  sync.Mutex // held while the history is read, so that all editors see the same order; of all that follows
	joined bool       // the room
	loaded bool
	replica

	known  atomic.Uint64 // the version of the replica
	behind atomic.Bool   // there is something to read
}

// topic is what the editors of a document on this node are subscribed to. No user's and no stream's is the same.
func (d *document) topic() string { return "document " + d.name }

// Deliver implements room.Member: a message only says that there is something to read. Cursors are for the editors.
func (d *document) Deliver(f *wire.Frame, b *instrument.Broadcast) {
	if f.Type != wire.TypeMessage {
		d.all.cfg.Topics.Publish(d.topic(), f, b)
		return
	}
	if f.Seq != d.known.Load() {
		d.behind.Store(true)
		signal(d.all.woken)
	}
}

// open has the document be in its room and up to date. The order is locked.
func (d *document) open(ctx context.Context) error {
	if !d.joined {
		if _, err := d.all.cfg.Rooms.Join(ctx, d.room, d); err != nil {
			return unavailable(err)
		}
		d.joined = true
	}
	return d.catchUp(ctx)
}

// catchUp reads what the history has and the replica has not, and tells the editors. The order is locked.
func (d *document) catchUp(ctx context.Context) error {
	d.behind.Store(false)
	err := d.read(ctx)
	if err != nil {
		d.behind.Store(true)
		return unavailable(err)
	}
	return nil
}

func (d *document) read(ctx context.Context) error {
	if !d.loaded {
		return d.load(ctx)
	}
	for {
		after, last := d.version, d.version > 0
		if last {
			after-- // to see whether the history still has the last one
		}
		messages, err := d.all.cfg.History.After(ctx, d.room, after, piece+1)
		if err != nil {
			return err
		}
		if last {
			if len(messages) == 0 || messages[0].Seq != d.version || messages[0].SavedID != d.savedID {
				return d.forget(ctx)
			}
			messages = messages[1:]
		}
		for _, m := range messages {
			if m.Seq != d.version+1 {
				return d.forget(ctx)
			}
			d.tell(ctx, d.take(m))
			d.known.Store(d.version)
		}
		if len(messages) < piece {
			return nil
		}
	}
}

// load reads the document from where its text was saved last.
func (d *document) load(ctx context.Context) error {
	for limit := piece * 2; ; limit *= 4 {
		messages, err := d.all.cfg.History.Latest(ctx, d.room, limit)
		if err != nil {
			return err
		}
		r, rest, ok := begin(messages)
		switch {
		case ok:
			for _, m := range rest {
				r.take(m)
			}
			d.replica, d.loaded = r, true
			d.known.Store(d.version)
			return nil
		case len(messages) < limit:
			return fmt.Errorf("the history of document %s no longer has its text", d.name)
		}
	}
}

// forget begins anew with a history that has forgotten the document, or has lost its newest edits, and sends all
// editors what there is.
func (d *document) forget(ctx context.Context) error {
	d.loaded = false
	if err := d.load(ctx); err != nil {
		return err
	}
	f, err := wire.NewFrame(wire.TypeDocument, "", d.whole())
	if err != nil {
		return err
	}
	d.publish(ctx, f)
	return nil
}

// whole returns all of the document.
func (d *document) whole() wire.DocumentPayload {
	text := d.String()
	return wire.DocumentPayload{Document: d.name, Version: d.version, SavedID: d.savedID, Text: &text}
}

// tell sends the editors a change, nil if there is none.
func (d *document) tell(ctx context.Context, c *change) {
	if c == nil {
		return
	}
	f, err := d.frame(c)
	if err != nil {
		d.all.cfg.Logger.ErrorContext(ctx, "edit not published", "error", err)
		return
	}
	d.publish(ctx, f)
}

// frame returns what editors get of a change, with the trace context of its author.
func (d *document) frame(c *change) (*wire.Frame, error) {
	env, err := wire.New(wire.TypeDocumentEdit, c.id, wire.DocumentEditPayload{
		Document: d.name, Version: c.Seq, Operations: c.operations(), Base: c.base, SavedID: c.SavedID, User: c.From,
	})
	if err != nil {
		return nil, err
	}
	env.Timestamp, env.Traceparent, env.Tracestate = c.Time, c.Traceparent, c.Tracestate
	return env.Frame()
}

func (d *document) publish(ctx context.Context, f *wire.Frame) {
	_, b := d.all.cfg.Observer.BeginBroadcast(ctx)
	d.all.cfg.Topics.Publish(d.topic(), f, b)
	b.End(nil)
}

// welcome sends an editor the document, or what it has missed of it if it has said what it has. The order is locked.
func (d *document) welcome(ctx context.Context, p use.Peer, has wire.DocumentOpenPayload) {
	missed, ok := d.missed(has)
	if !ok {
		use.Answer(ctx, p, wire.TypeDocument, "", d.whole())
		return
	}
	use.Answer(ctx, p, wire.TypeDocument, "", wire.DocumentPayload{Document: d.name, Version: *has.After, SavedID: has.SavedID})
	for i := range missed {
		f, err := d.frame(&missed[i])
		if err != nil {
			p.Observed().Failed(ctx, instrument.ErrorHandler, err)
			return
		}
		p.Deliver(f, nil)
	}
}

// missed returns the changes since what a client has, and whether that is known and not too long ago.
func (d *document) missed(has wire.DocumentOpenPayload) ([]change, bool) {
	if has.After == nil || *has.After < d.first || *has.After > d.version {
		return nil, false
	}
	missed := d.since(*has.After)
	known := *has.After == d.version && has.SavedID == d.savedID
	if i := len(d.changes) - len(missed); i > 0 && d.changes[i-1].Seq == *has.After {
		known = has.SavedID == d.changes[i-1].SavedID
	}
	return missed, known && len(missed) <= mostMissed
}

// unavailable is what a client is told when the store fails. A refusal stays what it is.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	var refused *wire.RefusalError
	if errors.As(err, &refused) {
		return refused
	}
	reason := "the store does not answer: send again with the same messageId"
	if errors.Is(err, history.ErrFull) {
		return &wire.RefusalError{Code: wire.CodeServerFull, Reason: "the store has no place for another document", Cause: err}
	}
	return &wire.RefusalError{Code: wire.CodeUnavailable, Reason: reason, Cause: err}
}
