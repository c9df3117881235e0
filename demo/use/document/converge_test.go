package document

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"unicode/utf16"

	"github.com/sockscope/sockscope/demo/wire"
)

// TestConvergence has editors on two nodes edit one document, in any sequence: what they send and get is late, is lost
// with their connections, which come back on any node, and overtakes what others send; nodes save at the same time, and
// answers of the history are lost. In the end all have the same text, which is what the history comes to.
func TestConvergence(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			converge(t, seed, 1000, func(string) client { return new(model) })
		})
	}
}

// TestPagesConverge does the same with the page's editors, who undo as well.
func TestPagesConverge(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { converge(t, seed, 800, newPages(t).new) })
	}
}

// scene is a document, the nodes that have it, and its editors.
type scene struct {
	t       *testing.T
	rnd     *rand.Rand
	log     *log
	nodes   []*Documents
	editors []*editing
	calm    bool // nothing is lost any more
}

// editing is an editor and its connection.
type editing struct {
	*scene
	name string
	client
	peer *peer // nil while there is no connection
	sent []func(*peer)
}

func converge(t *testing.T, seed uint64, steps int, newClient func(name string) client) {
	t.Helper()
	s := &scene{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), log: new(log)}
	s.log.loses = func() bool { return !s.calm && s.rnd.IntN(30) == 0 }
	s.nodes = []*Documents{node(t, s.log), node(t, s.log)}
	for i := range 4 {
		name := fmt.Sprint("editor ", i)
		s.editors = append(s.editors, &editing{scene: s, name: name, client: newClient(name)})
	}
	for _, e := range s.editors {
		e.connect()
	}
	s.settle()
	s.log.before = func() { // another node saves something in between
		if !s.calm && s.rnd.IntN(3) == 0 {
			s.save()
		}
	}
	for range steps {
		s.editors[s.rnd.IntN(len(s.editors))].act()
		if s.rnd.IntN(3) == 0 {
			s.read(s.nodes[s.rnd.IntN(len(s.nodes))])
		}
	}
	s.calm = true
	for range 3 { // the last edit may have been lost on its way
		for _, e := range s.editors {
			e.connect()
		}
		s.settle()
	}
	s.check()
}

// save has a node that is not in the middle of that save what an editor has sent.
func (s *scene) save() {
	for _, e := range s.editors {
		if e.peer == nil || len(e.sent) == 0 {
			continue
		}
		d := e.peer.visit.(*visit).has["notes"]
		if d == nil || !d.order.TryLock() {
			continue
		}
		d.order.Unlock()
		e.deliver()
		return
	}
}

// read has a node read what the other has saved.
func (s *scene) read(a *Documents) {
	s.t.Helper()
	if d := a.open["notes"]; d != nil && d.loaded {
		d.order.Lock()
		defer d.order.Unlock()
		if err := d.catchUp(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// settle has everything arrive that is on its way.
func (s *scene) settle() {
	s.t.Helper()
	for busy := true; busy; {
		busy = false
		for _, e := range s.editors {
			for len(e.sent) > 0 {
				e.deliver()
				busy = true
			}
			for len(e.peer.got) > 0 {
				e.take()
				busy = true
			}
		}
		for _, a := range s.nodes {
			s.read(a)
		}
		for _, e := range s.editors {
			busy = busy || len(e.peer.got) > 0
		}
	}
}

// act does something that may happen to an editor.
func (e *editing) act() {
	switch n := e.rnd.IntN(100); {
	case e.peer == nil:
		if n < 30 {
			e.connect()
		} else {
			e.write() // without a connection
		}
	case n < 3:
		e.peer.visit.End()
		e.peer, e.sent = nil, nil
	case n < 35:
		e.write()
	case n < 40:
		e.undo(n == 39)
		e.push()
	case n < 70 && len(e.sent) > 0:
		e.deliver()
	case n < 72 && len(e.peer.got) > 0 && e.peer.got[0].Type == wire.TypeDocumentEdit:
		e.peer.got = e.peer.got[1:] // is lost
	default:
		for range 1 + e.rnd.IntN(4) {
			if len(e.peer.got) > 0 {
				e.take()
			}
		}
	}
}

// connect opens the document on any node, on a new connection.
func (e *editing) connect() {
	if e.peer != nil {
		e.peer.visit.End()
	}
	e.peer, e.sent = connect(e.nodes[e.rnd.IntN(len(e.nodes))], e.name), nil
	e.reopen()
}

func (e *editing) reopen() {
	p := e.has()
	p.Document = "notes"
	e.sent = append(e.sent, func(to *peer) { _ = to.ask(e.t, wire.TypeDocumentOpen, openID, p) })
}

// openID is that of all requests to open.
const openID = "6f1c2a80-5d1e-4b6c-9a43-0f2f6a1b7c55"

// push puts what the client sends on its way.
func (e *editing) push() {
	for _, s := range e.sends() {
		if e.peer == nil {
			continue
		}
		e.sent = append(e.sent, func(to *peer) {
			err := to.ask(e.t, wire.TypeDocumentEdit, s.ID, wire.DocumentEditPayload{
				Document: "notes", Version: s.Version, Operations: s.Operations,
			})
			if code := codeOf(err); code != "" && code != wire.CodeUnavailable && code != wire.CodeNotInRoom && code != wire.CodeOutdated {
				e.t.Fatalf("%s: %v at version %d", e.name, err, s.Version)
			}
		})
	}
}

// deliver has the server handle what was sent first.
func (e *editing) deliver() {
	first := e.sent[0]
	e.sent = e.sent[1:]
	first(e.peer)
}

// take has the client take the next frame.
func (e *editing) take() {
	e.t.Helper()
	env := e.peer.read(e.t)
	switch env.Type {
	case wire.TypeDocument:
		e.open(payload[wire.DocumentPayload](e.t, env))
	case wire.TypeDocumentEdit:
		if !e.receive(env.MessageID, payload[wire.DocumentEditPayload](e.t, env)) {
			e.reopen()
		}
	case wire.TypeAck:
		switch ack := payload[wire.AckPayload](e.t, env); {
		case ack.Error == wire.CodeNotInRoom || ack.Error == wire.CodeUnavailable && env.MessageID == openID:
			e.reopen()
		case ack.Success && env.MessageID == openID, ack.Error == wire.CodeUnavailable:
			e.resume()
		}
	}
	e.push()
}

// write edits the text as the client has it, in one place.
func (e *editing) write() {
	units := utf16.Encode([]rune(e.text()))
	at := e.rnd.IntN(len(units) + 1)
	for at > 0 && at < len(units) && utf16.IsSurrogate(rune(units[at])) {
		at++
	}
	end := min(at+e.rnd.IntN(6)*e.rnd.IntN(2), len(units))
	for end > at && end < len(units) && utf16.IsSurrogate(rune(units[end])) {
		end++
	}
	var inserted string
	if len(units) < 200 || e.rnd.IntN(3) == 0 {
		inserted = []string{"a", "bc", "\n", "ü", "👋", "👋🏽", "d\"e<"}[e.rnd.IntN(7)]
	}
	change := edit(nil).retain(at).insert(utf16.Encode([]rune(inserted))).delete(end - at).retain(len(units) - end)
	if changes(change) {
		e.edit(change)
		e.push()
	}
}

// check compares all that there is of the document.
func (s *scene) check() {
	s.t.Helper()
	r, rest, ok := begin(s.log.messages)
	if !ok || r.version == 0 && len(s.log.messages) > 2*textEvery {
		s.t.Errorf("of %d messages none has the text", len(s.log.messages))
	}
	void := 0
	for _, m := range rest {
		r.take(m)
	}
	all := replica{}
	for _, m := range s.log.messages {
		if all.take(m) == nil && m.From != keeper {
			void++
		}
	}
	want := r.String()
	if got := all.String(); got != want {
		s.t.Errorf("all edits come to %q, those since the text was saved to %q", got, want)
	}
	for _, e := range s.editors {
		if got := e.text(); got != want {
			s.t.Errorf("%s has %q, want %q", e.name, got, want)
		}
	}
	s.t.Logf("%d messages, %d void, %d units", len(s.log.messages), void, len(r.text))
}

func codeOf(err error) wire.Code {
	var refused *wire.RefusalError
	if err == nil || !errors.As(err, &refused) {
		return ""
	}
	return refused.Code
}
