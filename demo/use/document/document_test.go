package document

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/wire"
)

// notes opens a document and returns what there is of it.
func (p *peer) notes(t *testing.T) wire.DocumentPayload {
	t.Helper()
	if err := p.ask(t, wire.TypeDocumentOpen, uuid.NewString(), wire.DocumentOpenPayload{Document: "notes"}); err != nil {
		t.Fatal(err)
	}
	return p.last(t)
}

// last returns the newest document that the peer was sent.
func (p *peer) last(t *testing.T) (doc wire.DocumentPayload) {
	t.Helper()
	for env := p.read(t); env != nil; env = p.read(t) {
		if env.Type == wire.TypeDocument {
			doc = payload[wire.DocumentPayload](t, env)
		}
	}
	return doc
}

// put inserts text at the beginning of a text of so many units.
func (p *peer) put(t *testing.T, version uint64, units int, text string) error {
	t.Helper()
	operations := []wire.DocumentOperation{{Insert: text}, {Retain: units}}
	if units == 0 {
		operations = operations[:1]
	}
	return p.ask(t, wire.TypeDocumentEdit, uuid.NewString(), wire.DocumentEditPayload{
		Document: "notes", Version: version, Operations: operations,
	})
}

func TestEditsAreRefused(t *testing.T) {
	a := node(t, new(log))
	ada, ben := connect(a, "Ada"), connect(a, "Ben")
	if code := codeOf(ada.put(t, 0, 0, "x")); code != wire.CodeNotInRoom {
		t.Errorf("of a document that is not open: %q", code)
	}
	ada.notes(t)
	if code := codeOf(ada.put(t, 7, 0, "x")); code != wire.CodeBadPayload {
		t.Errorf("of a version that is yet to come: %q", code)
	}
	if code := codeOf(ada.put(t, 0, 1, "x")); code != wire.CodeBadPayload {
		t.Errorf("of a longer text: %q", code)
	}
	if err := ada.put(t, 0, 0, strings.Repeat("👋", 1000)); err != nil {
		t.Fatal(err)
	}
	if code := codeOf(ada.put(t, 1, 1999, "x")); code != wire.CodeBadPayload {
		t.Errorf("of a shorter text: %q", code)
	}
	for _, cut := range []wire.DocumentOperation{{Insert: "x"}, {Delete: 1}} {
		operations := []wire.DocumentOperation{{Retain: 1}, cut, {Retain: 1999 - cut.Delete}}
		if code := codeOf(ada.ask(t, wire.TypeDocumentEdit, uuid.NewString(), wire.DocumentEditPayload{
			Document: "notes", Version: 1, Operations: operations,
		})); code != wire.CodeBadPayload {
			t.Errorf("that cuts a character in half by %+v: %q", cut, code)
		}
	}
	for i := range uint64(3) {
		if err := ada.put(t, 1+i, int(2000+2000*i), strings.Repeat("x", 2000)); err != nil {
			t.Fatal(err)
		}
	}
	if code := codeOf(ada.put(t, 4, 8000, strings.Repeat("x", 193))); code != wire.CodeBadPayload {
		t.Errorf("that makes the text too long: %q", code)
	}
	if err := ada.put(t, 4, 8000, strings.Repeat("x", 192)); err != nil {
		t.Errorf("of as much as there is place for: %v", err)
	}
	if err := ben.ask(t, wire.TypeDocumentOpen, uuid.NewString(), wire.DocumentOpenPayload{Document: "private"}); err != nil {
		t.Error(err)
	}
	for i, want := range []wire.Code{"", wire.CodeTooManyRooms} {
		if code := codeOf(ben.ask(t, wire.TypeDocumentOpen, uuid.NewString(), wire.DocumentOpenPayload{
			Document: fmt.Sprint("notes-", i),
		})); code != want {
			t.Errorf("opening document %d: %q, want %q", i+2, code, want)
		}
	}
}

// TestOutdated edits a version of before all that are kept: it is refused, and the whole document comes.
func TestOutdated(t *testing.T) {
	a := node(t, new(log))
	ada := connect(a, "Ada")
	ada.notes(t)
	for i := range kept + 10 {
		if err := ada.put(t, a.open["notes"].version, i, "x"); err != nil {
			t.Fatal(err)
		}
	}
	ada.last(t)
	if code := codeOf(ada.put(t, 1, 1, "y")); code != wire.CodeOutdated {
		t.Errorf("an edit of a version that is not kept: %q", code)
	}
	if doc := ada.last(t); doc.Text == nil || len(*doc.Text) != kept+10 {
		t.Errorf("with it comes %+v", doc)
	}
	ben := connect(node(t, a.cfg.History), "Ben")
	if doc := ben.notes(t); len(*doc.Text) != kept+10 {
		t.Errorf("another node has %d units, want %d", len(*doc.Text), kept+10)
	}
}

// TestTextIsSaved has another node save the text while an edit is saved, which is void and saved again then.
func TestTextIsSaved(t *testing.T) {
	store := new(log)
	a, b := node(t, store), node(t, store)
	ada, ben := connect(a, "Ada"), connect(b, "Ben")
	ada.notes(t)
	ben.notes(t)
	for i := range textEvery - 1 {
		if err := ada.put(t, uint64(i), i, "x"); err != nil {
			t.Fatal(err)
		}
	}
	d := b.open["notes"]
	d.order.Lock()
	if err := d.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.order.Unlock()
	inserts := 0
	store.before = func() { // before each attempt to save Ada's edit
		if inserts++; inserts <= 2 {
			if err := ben.put(t, textEvery-1, textEvery-1, fmt.Sprint(inserts)); err != nil {
				t.Error(err)
			}
		}
	}
	if err := ada.put(t, textEvery-1, textEvery-1, "y"); err != nil {
		t.Fatal(err)
	}
	store.before = nil
	r, rest, ok := begin(store.messages)
	if !ok || r.version != textEvery+1 || inserts != 2 {
		t.Errorf("the text is saved in message %d, after %d attempts, want %d and 2", r.version, inserts, textEvery+1)
	}
	if r.take(rest[0]) != nil {
		t.Error("an edit that is not based on the text that was saved before it is not void")
	}
	cleo := connect(node(t, store), "Cleo")
	doc := cleo.notes(t)
	for _, want := range []string{"1", "2", "y", strings.Repeat("x", textEvery-1)} {
		if strings.Count(*doc.Text, want) != 1 {
			t.Errorf("%q is not in %q once", want, *doc.Text)
		}
	}
}

// TestHistoryForgets has the history lose all: editors get what there is.
func TestHistoryForgets(t *testing.T) {
	store := new(log)
	a := node(t, store)
	ada, ben := connect(a, "Ada"), connect(a, "Ben")
	ada.notes(t)
	ben.notes(t)
	if err := ada.put(t, 0, 0, "what was"); err != nil {
		t.Fatal(err)
	}
	store.messages = nil
	if code := codeOf(ben.put(t, 1, 8, "more of ")); code != wire.CodeBadPayload {
		t.Errorf("an edit of what is forgotten: %q", code)
	}
	if doc := ada.last(t); doc.Text == nil || *doc.Text != "" {
		t.Errorf("Ada gets %+v, want all that there is", doc)
	}
	ada.visit.End()
	ben.visit.End()
	if len(a.open) != 0 || a.cfg.Rooms.Len() != 0 {
		t.Errorf("%d documents and %d rooms are left", len(a.open), a.cfg.Rooms.Len())
	}
}
