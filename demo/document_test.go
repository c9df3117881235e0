package demo

import (
	"testing"

	"github.com/sockscope/sockscope/demo/wire"
)

// openDocument opens a document and returns what there is of it.
func (c *client) openDocument(name string) wire.DocumentPayload {
	c.t.Helper()
	c.send(wire.TypeDocumentOpen, wire.DocumentOpenPayload{Document: name})
	_, doc := await[wire.DocumentPayload](c, wire.TypeDocument)
	if _, ack := await[wire.AckPayload](c, wire.TypeAck); !ack.Success || ack.Seq != doc.Version {
		c.t.Fatalf("opening version %d: %+v", doc.Version, ack)
	}
	return doc
}

// TestDocumentOnNodes has editors on two nodes edit a document at the same time: each is told both edits, in the order
// that both nodes have, and finds the same text when it comes back to the other node.
func TestDocumentOnNodes(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, newRedisServer(t), 2, Config{})
	ada, ben := nodes[0].dial("Ada"), nodes[1].dial("Ben")
	for _, c := range []*client{ada, ben} {
		if doc := c.openDocument("notes"); doc.Version != 0 || *doc.Text != "" {
			t.Errorf("a new document is %+v", doc)
		}
	}
	edits := map[*client]string{
		ada: ada.send(wire.TypeDocumentEdit, wire.DocumentEditPayload{Document: "notes", Operations: []wire.DocumentOperation{{Insert: "Ada"}}}),
		ben: ben.send(wire.TypeDocumentEdit, wire.DocumentEditPayload{Document: "notes", Operations: []wire.DocumentOperation{{Insert: "Ben"}}}),
	}
	var order []string
	for c := range edits {
		var ids []string
		for version := uint64(0); len(ids) < 2; {
			env, e := await[wire.DocumentEditPayload](c, wire.TypeDocumentEdit)
			if e.Base > version || e.Version <= version {
				t.Errorf("an edit from %d to %d at version %d", e.Base, e.Version, version)
			}
			version, ids = e.Version, append(ids, env.MessageID+" "+e.User+" "+e.SavedID)
		}
		if order != nil && (order[0] != ids[0] || order[1] != ids[1]) {
			t.Errorf("one node has the order %v, the other %v", order, ids)
		}
		order = ids
	}
	again := nodes[1].dial("Ada")
	doc := again.openDocument("notes")
	if *doc.Text != "AdaBen" && *doc.Text != "BenAda" {
		t.Errorf("the text is %q", *doc.Text)
	}
	if ack := again.request(wire.TypeDocumentEdit, wire.DocumentEditPayload{
		Document: "notes", Version: doc.Version, Operations: []wire.DocumentOperation{{Retain: 7}, {Insert: "!"}},
	}); ack.Error != wire.CodeBadPayload || ack.Reason != "the operations are of a text of 7 units; at version 2 it has 6" {
		t.Errorf("an edit of another text: %+v", ack)
	}
	again.send(wire.TypeDocumentCursor, wire.DocumentCursorPayload{Document: "notes", Version: doc.Version, Start: 2, End: 3})
	if _, p := await[wire.DocumentCursorPayload](ben, wire.TypeDocumentCursor); p.User != "Ada" || p.Session == "" || p.Start != 2 || p.End != 3 {
		t.Errorf("Ben sees the cursor %+v", p)
	}
	if _, p := await[wire.DocumentCursorPayload](ada, wire.TypeDocumentCursor); p.User != "Ada" || p.Start != 2 {
		t.Errorf("on the other node the cursor is %+v", p)
	}
	again.send(wire.TypeJoin, wire.JoinPayload{Room: wire.DocumentRoom("notes")})
	if _, ack := await[wire.AckPayload](again, wire.TypeAck); ack.Error != wire.CodeBadPayload {
		t.Errorf("joining the room of a document: %+v", ack)
	}
}

// TestDocumentOverTransports edits by server-sent events and by Socket.IO, and sends an edit twice.
func TestDocumentOverTransports(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ben, cleo := f.listen("Ben", "", nil), f.io(overPolling, "Cleo")
	ben.post(wire.TypeDocumentOpen, wire.DocumentOpenPayload{Document: "notes"})
	ben.await(wire.TypeDocument)
	if ack := cleo.ask(wire.TypeDocumentEdit, wire.DocumentEditPayload{
		Document: "notes", Operations: []wire.DocumentOperation{{Insert: "a"}},
	}); ack.Error != wire.CodeNotInRoom {
		t.Errorf("editing what is not open: %+v", ack)
	}
	if ack := cleo.ask(wire.TypeDocumentOpen, wire.DocumentOpenPayload{Document: "notes"}); !ack.Success {
		t.Errorf("opening: %+v", ack)
	}
	env, err := wire.New(wire.TypeDocumentEdit, "", wire.DocumentEditPayload{
		Document: "notes", Operations: []wire.DocumentOperation{{Insert: "👋"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	frame, err := env.Frame()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		f.postEvent("Ben", ben.session, string(frame.Data), nil)
	}
	e := ioPayload[wire.DocumentEditPayload](cleo, wire.TypeDocumentEdit)
	if e.Version != 1 || e.User != "Ben" || len(e.Operations) != 1 || e.Operations[0].Insert != "👋" {
		t.Errorf("Cleo gets %+v", e)
	}
	if ack := cleo.ask(wire.TypeDocumentEdit, wire.DocumentEditPayload{
		Document: "notes", Version: 0, Operations: []wire.DocumentOperation{{Insert: "c"}},
	}); !ack.Success || ack.Seq != 2 {
		t.Errorf("an edit of an older version: %+v, want it to be the second", ack)
	}
	for version := uint64(1); version <= 2; version++ {
		if e := payloadOf[wire.DocumentEditPayload](t, ben.await(wire.TypeDocumentEdit).env); e.Version != version {
			t.Errorf("Ben gets version %d, want %d", e.Version, version)
		}
	}
	ada := f.dial("Ada")
	if doc := ada.openDocument("notes"); *doc.Text != "👋c" || doc.Version != 2 {
		t.Errorf("the document is %q at version %d", *doc.Text, doc.Version)
	}
}
