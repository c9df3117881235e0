package document

import (
	"context"
	"fmt"

	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
)

// visit is a peer that edits documents.
type visit struct {
	*Documents
	peer use.Peer
	has  map[string]*document // open, by name
}

// Handle implements use.Visit.
func (v *visit) Handle(ctx context.Context, env *wire.Envelope) error {
	switch env.Type {
	case wire.TypeDocumentOpen:
		return v.enter(ctx, env)
	case wire.TypeDocumentClose:
		return v.close(ctx, env)
	case wire.TypeDocumentEdit:
		return v.edit(ctx, env)
	default: // see Requests
		return v.cursor(ctx, env)
	}
}

// Renewed implements use.Visit: it closes the documents that the peer's newer token doesn't open any more.
func (v *visit) Renewed() {
	for name, d := range v.has {
		if !v.peer.Identity().MayEnter(d.room) {
			v.leave(d)
			use.Send(v.peer, wire.TypeDocumentClose, wire.DocumentClosePayload{Document: name})
		}
	}
}

// End implements use.Visit.
func (v *visit) End() {
	for _, d := range v.has {
		v.leave(d)
	}
}

// enter opens a document, or sends it once more to who has it open.
func (v *visit) enter(ctx context.Context, env *wire.Envelope) error {
	p, err := env.DocumentOpen()
	if err != nil {
		return err
	}
	d := v.has[p.Document]
	switch {
	case !v.peer.Identity().MayEnter(wire.DocumentRoom(p.Document)):
		return &wire.RefusalError{Code: wire.CodeForbidden, Reason: "your token does not open this document"}
	case d == nil && len(v.has) >= v.cfg.PerPeer:
		return &wire.RefusalError{Code: wire.CodeTooManyRooms,
			Reason: fmt.Sprintf("a connection may have %d documents open; close one first", v.cfg.PerPeer)}
	case d == nil:
		if d, err = v.acquire(p.Document); err != nil {
			return err
		}
	}
	d.order.Lock()
	defer d.order.Unlock()
	if err := d.open(ctx); err != nil {
		if v.has[p.Document] == nil {
			v.release(d)
		}
		return err
	}
	if v.has == nil {
		v.has = make(map[string]*document, 1)
	}
	v.has[p.Document] = d
	v.cfg.Topics.Subscribe(d.topic(), v.peer)
	d.welcome(ctx, v.peer, p)
	use.Succeed(ctx, v.peer, env.MessageID, wire.AckPayload{Seq: d.version, SavedID: d.savedID})
	return nil
}

func (v *visit) close(ctx context.Context, env *wire.Envelope) error {
	p, err := env.DocumentClose()
	if err != nil {
		return err
	}
	d, err := v.opened(p.Document)
	if err != nil {
		return err
	}
	v.leave(d)
	use.Succeed(ctx, v.peer, env.MessageID, wire.AckPayload{})
	return nil
}

// leave closes a document. The editors on this node are told at once that the peer's cursor is gone; those on others
// find that it does not move any more.
func (v *visit) leave(d *document) {
	delete(v.has, d.name)
	v.cfg.Topics.Unsubscribe(d.topic(), v.peer)
	f, err := wire.NewFrame(wire.TypeDocumentCursor, "", wire.DocumentCursorPayload{
		Document: d.name, Session: v.peer.Observed().ID(), User: v.peer.Identity().User, Gone: true,
	})
	if err == nil { // payloads of the protocol can be encoded
		v.cfg.Topics.Publish(d.topic(), f, nil)
	}
	v.release(d)
}

func (v *visit) opened(name string) (*document, error) {
	if d := v.has[name]; d != nil {
		return d, nil
	}
	return nil, &wire.RefusalError{Code: wire.CodeNotInRoom, Reason: "open the document first"}
}

// edit saves an edit and tells all editors.
func (v *visit) edit(ctx context.Context, env *wire.Envelope) error {
	p, err := env.DocumentEdit()
	if err != nil {
		return err
	}
	d, err := v.opened(p.Document)
	if err != nil {
		return err
	}
	d.order.Lock()
	defer d.order.Unlock()
	c, err := d.submit(ctx, v.peer.Identity().User, env.MessageID, p)
	if isOutdated(err) {
		use.Answer(ctx, v.peer, wire.TypeDocument, "", d.whole())
		return &wire.RefusalError{Code: wire.CodeOutdated, Reason: "the version is not kept any more: begin anew with the text"}
	}
	if err != nil {
		return err
	}
	use.Succeed(ctx, v.peer, env.MessageID, wire.AckPayload{SavedID: c.SavedID, Seq: c.Seq})
	d.saveText(ctx)
	return nil
}

// cursor tells the editors of a document, on all nodes, where the peer's cursor is.
func (v *visit) cursor(ctx context.Context, env *wire.Envelope) error {
	p, err := env.DocumentCursor()
	if err != nil {
		return err
	}
	d, err := v.opened(p.Document)
	if err != nil {
		return err
	}
	p.Session, p.User = v.peer.Observed().ID(), v.peer.Identity().User
	return v.cfg.Cluster.Publish(ctx, d.room, wire.TypeDocumentCursor, p, nil)
}
