package wire

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxDocumentUnits is how long a document may be, in UTF-16 code units: those that strings of JavaScript count.
const MaxDocumentUnits = 8 << 10

// documentRooms begins the names of rooms that hold the edits of documents. Nobody talks there.
const documentRooms = "document."

// DocumentRoom returns the room that holds the edits of a document. A token that opens it opens the document.
func DocumentRoom(document string) string { return documentRooms + document }

// DocumentOpenPayload asks for a document, and for all edits from now on. With After, the version that the client has,
// and SavedID, which came with that version, it gets the edits since, if they are kept, instead of the text.
type DocumentOpenPayload struct {
	Document string  `json:"document"`
	After    *uint64 `json:"after,omitempty"`
	SavedID  string  `json:"savedId,omitempty"`
}

// DocumentClosePayload names a document. The server sends it to whom a newer token no longer opens the document.
type DocumentClosePayload struct {
	Document string `json:"document"`
}

// DocumentPayload is a document as it is. Without a text it is that of the version that the client has said it has.
type DocumentPayload struct {
	Document string  `json:"document"`
	Version  uint64  `json:"version"`
	SavedID  string  `json:"savedId,omitempty"`
	Text     *string `json:"text,omitempty"`
}

// DocumentEditPayload is an edit. A client sends the operations, and as Version that of the text they are of. The
// server sends all editors, the author included, the operations as they are of the text at Base, and as Version that of
// the text after them.
type DocumentEditPayload struct {
	Document   string              `json:"document"`
	Version    uint64              `json:"version"`
	Operations []DocumentOperation `json:"operations"`
	Base       uint64              `json:"base,omitempty"`
	SavedID    string              `json:"savedId,omitempty"`
	User       string              `json:"user,omitempty"`
}

// DocumentOperation retains or deletes units of a text, or inserts some: one of the three.
type DocumentOperation struct {
	Retain int    `json:"retain,omitempty"`
	Insert string `json:"insert,omitempty"`
	Delete int    `json:"delete,omitempty"`
}

// DocumentCursorPayload is where an editor's cursor is in the text at a version, or what is selected there. The server
// sets Session, User and Gone.
type DocumentCursorPayload struct {
	Document string `json:"document"`
	Version  uint64 `json:"version"`
	Start    int    `json:"start"`
	End      int    `json:"end"`
	Session  string `json:"session,omitempty"`
	User     string `json:"user,omitempty"`
	Gone     bool   `json:"gone,omitempty"`
}

// DocumentOpen returns the payload of a document_open.
func (e *Envelope) DocumentOpen() (DocumentOpenPayload, error) {
	var p DocumentOpenPayload
	err := e.payload(&p, func() error { return checkDocument(p.Document) })
	return p, err
}

// DocumentClose returns the payload of a document_close.
func (e *Envelope) DocumentClose() (DocumentClosePayload, error) {
	var p DocumentClosePayload
	err := e.payload(&p, func() error { return checkDocument(p.Document) })
	return p, err
}

// DocumentEdit returns the payload of a document_edit as a client may send it.
func (e *Envelope) DocumentEdit() (DocumentEditPayload, error) {
	var p DocumentEditPayload
	err := e.payload(&p, func() error {
		if p.Base != 0 || p.SavedID != "" || p.User != "" {
			return problem(CodeBadPayload, "base, savedId and user are set by the server")
		}
		if !slices.ContainsFunc(p.Operations, func(o DocumentOperation) bool { return o.Retain == 0 }) {
			return problem(CodeBadPayload, "the operations change nothing")
		}
		if err := CheckOperations(p.Operations); err != nil {
			return err
		}
		return checkDocument(p.Document)
	})
	return p, err
}

// DocumentCursor returns the payload of a document_cursor as a client may send it.
func (e *Envelope) DocumentCursor() (DocumentCursorPayload, error) {
	var p DocumentCursorPayload
	err := e.payload(&p, func() error {
		switch {
		case p.Session != "" || p.User != "" || p.Gone:
			return problem(CodeBadPayload, "session, user and gone are set by the server")
		case p.Start < 0 || p.End < p.Start || p.End > 2*MaxDocumentUnits:
			return problem(CodeBadPayload, "start has to be 0 or more, and end not before it")
		}
		return checkDocument(p.Document)
	})
	return p, err
}

// CheckOperations reports what is wrong with the operations of an edit, whatever the text.
func CheckOperations(operations []DocumentOperation) error {
	for _, o := range operations {
		kinds := 0
		for _, is := range []bool{o.Retain != 0, o.Insert != "", o.Delete != 0} {
			if is {
				kinds++
			}
		}
		switch {
		case kinds != 1:
			return problem(CodeBadPayload, "an operation has retain, insert or delete, and only one of them")
		case o.Retain < 0 || o.Delete < 0 || o.Retain > 2*MaxDocumentUnits || o.Delete > 2*MaxDocumentUnits:
			return problem(CodeBadPayload, "retain and delete have to be 1 to %d units", 2*MaxDocumentUnits)
		case strings.ContainsRune(o.Insert, utf8.RuneError): // which half of a character becomes in JSON
			return problem(CodeBadPayload, "insert has to be text without halves of characters, and without U+FFFD")
		}
	}
	return nil
}

func checkDocument(name string) error {
	switch {
	case name == "":
		return problem(CodeBadPayload, "document is missing")
	case CheckRoomName(DocumentRoom(name)) != nil:
		return problem(CodeBadPayload, "a document's name has letters, digits, dots, dashes and underscores, and at most %d bytes",
			MaxRoomBytes-len(documentRooms))
	}
	return nil
}
