package document

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/wire"
)

const (
	// kept is how many of the newest changes a node keeps: an edit may be based on a version before them.
	kept = 1024
	// keeper is who saves the text among the edits. It is nobody's name: a name has no space before it.
	keeper = " documents"
	// againMark separates the id of an edit from how often it was saved in vain.
	againMark = "/"
)

// entry is what a message of the history says, as JSON: an edit of the text at a version or, where Text is set, the
// text at that version.
type entry struct {
	Version    uint64                   `json:"version"`
	Operations []wire.DocumentOperation `json:"operations,omitempty"`
	Text       *string                  `json:"text,omitempty"`
}

// change is an edit in the place that the history gives it.
type change struct {
	edit
	history.Message        // that it was saved in
	id              string // of its author's
	base            uint64 // the version of the change before
	length          int    // of the text after it
}

// replica is a document as a node reads it in the history. Nodes that have read up to the same version have the same.
type replica struct {
	version uint64 // the sequence number of the newest message
	savedID string // of that one
	floor   uint64 // what edits have to be based on: the version at which the text was saved last
	text    []uint16

	first   uint64 // the version before the first of the changes
	start   int    // the length of the text then
	changes []change
}

// outdatedError says that an edit is based on a version that is not kept.
type outdatedError struct{}

func (outdatedError) Error() string { return "the version is not kept any more" }

// take reads the next message and returns its change, or nil if it makes none. The result depends only on what all
// nodes have read before, so all of them agree.
func (r *replica) take(m history.Message) *change {
	before := r.version
	r.version, r.savedID = m.Seq, m.SavedID
	var e entry
	if json.Unmarshal([]byte(m.Text), &e) != nil {
		return nil
	}
	if e.Text != nil {
		if m.From == keeper && e.Version == before {
			r.floor = m.Seq
		}
		return nil
	}
	if e.Version < r.floor || e.Version > before || wire.CheckOperations(e.Operations) != nil {
		return nil
	}
	to, err := r.rebase(e.Version, e.Operations)
	if err != nil {
		return nil
	}
	text, err := r.after(to)
	if err != nil {
		return nil
	}
	id, _, _ := strings.Cut(m.ID, againMark)
	c := change{edit: to, Message: m, id: id, base: r.lastChange(), length: len(text)}
	r.text = text
	r.changes = append(r.changes, c)
	if n := len(r.changes) - kept; n > 0 {
		r.first, r.start = r.changes[n-1].Seq, r.changes[n-1].length
		r.changes = slices.Delete(r.changes, 0, n)
	}
	return &c
}

// rebase returns an edit of the text at a version as one of the text as it is.
func (r *replica) rebase(version uint64, operations []wire.DocumentOperation) (edit, error) {
	switch {
	case version < r.first:
		return nil, outdatedError{}
	case version > r.version:
		return nil, refuse("version %d has not been yet: the document is at %d", version, r.version)
	}
	e := editOf(operations)
	since := r.since(version)
	length := r.start
	if before := len(r.changes) - len(since); before > 0 {
		length = r.changes[before-1].length
	}
	if n := e.before(); n != length {
		return nil, refuse("the operations are of a text of %d units; at version %d it has %d", n, version, length)
	}
	for _, c := range since {
		var err error
		if _, e, err = transform(c.edit, e); err != nil {
			return nil, fmt.Errorf("transform an edit against change %d: %w", c.Seq, err)
		}
	}
	return e, nil
}

// since returns the changes after a version.
func (r *replica) since(version uint64) []change {
	i, _ := slices.BinarySearchFunc(r.changes, version+1, func(c change, v uint64) int {
		switch {
		case c.Seq < v:
			return -1
		case c.Seq > v:
			return 1
		}
		return 0
	})
	return r.changes[i:]
}

// after returns the text after an edit of it, unless it would be too long.
func (r *replica) after(e edit) ([]uint16, error) {
	text, err := e.apply(r.text)
	switch {
	case err != nil:
		return nil, refuse("%v", err)
	case len(text) > wire.MaxDocumentUnits && len(text) > len(r.text):
		return nil, refuse("a document has at most %d units", wire.MaxDocumentUnits)
	}
	return text, nil
}

// lastChange returns the version of the newest change.
func (r *replica) lastChange() uint64 {
	if n := len(r.changes); n > 0 {
		return r.changes[n-1].Seq
	}
	return r.first
}

// applied returns the change that a user's edit became, or nil if that is not kept.
func (r *replica) applied(user, id string) *change {
	for i := len(r.changes) - 1; i >= 0; i-- {
		if c := &r.changes[i]; c.id == id && c.From == user {
			return c
		}
	}
	return nil
}

// String returns the text.
func (r *replica) String() string { return string(utf16.Decode(r.text)) }

// begin returns a replica as of the newest of the messages in which the text was saved, and the messages after it. All
// messages are the newest of a document. It reports false if the text can't be told of them.
func begin(messages []history.Message) (r replica, rest []history.Message, ok bool) {
	for i := len(messages) - 1; i >= 0; i-- {
		m := messages[i]
		var e entry
		if m.From != keeper || json.Unmarshal([]byte(m.Text), &e) != nil || e.Text == nil || e.Version != m.Seq-1 {
			continue
		}
		text := utf16.Encode([]rune(*e.Text))
		return replica{
			version: m.Seq, savedID: m.SavedID, floor: m.Seq, text: text, first: m.Seq, start: len(text),
		}, messages[i+1:], true
	}
	return replica{}, messages, len(messages) == 0 || messages[0].Seq == 1
}

func refuse(format string, args ...any) error {
	return &wire.RefusalError{Code: wire.CodeBadPayload, Reason: fmt.Sprintf(format, args...)}
}
