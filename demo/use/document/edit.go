package document

import (
	"fmt"
	"slices"
	"unicode/utf16"

	"github.com/sockscope/sockscope/demo/wire"
)

// operation is one step through a text: it retains or deletes units, or inserts some.
type operation struct {
	retain, delete int
	insert         []uint16
}

// edit is the way through all of a text. Neighbours are of different kinds, and an insertion is before a deletion, so
// that equal changes are equal edits.
type edit []operation

// editOf returns the edit of operations that were checked.
func editOf(operations []wire.DocumentOperation) edit {
	var e edit
	for _, o := range operations {
		e = e.retain(o.Retain).insert(utf16.Encode([]rune(o.Insert))).delete(o.Delete)
	}
	return e
}

// operations returns the edit as it is sent.
func (e edit) operations() []wire.DocumentOperation {
	all := make([]wire.DocumentOperation, len(e))
	for i, o := range e {
		all[i] = wire.DocumentOperation{Retain: o.retain, Insert: string(utf16.Decode(o.insert)), Delete: o.delete}
	}
	return all
}

func (e edit) retain(n int) edit {
	switch last := len(e) - 1; {
	case n == 0:
		return e
	case last >= 0 && e[last].retain > 0:
		e[last].retain += n
		return e
	}
	return append(e, operation{retain: n})
}

func (e edit) delete(n int) edit {
	switch last := len(e) - 1; {
	case n == 0:
		return e
	case last >= 0 && e[last].delete > 0:
		e[last].delete += n
		return e
	}
	return append(e, operation{delete: n})
}

func (e edit) insert(text []uint16) edit {
	if len(text) == 0 {
		return e
	}
	at := len(e)
	if at > 0 && e[at-1].delete > 0 {
		at--
	}
	if at > 0 && e[at-1].insert != nil {
		e[at-1].insert = slices.Concat(e[at-1].insert, text)
		return e
	}
	return slices.Insert(e, at, operation{insert: text})
}

// before returns how long the text is that the edit is of.
func (e edit) before() (n int) {
	for _, o := range e {
		n += o.retain + o.delete
	}
	return n
}

// apply returns the text after the edit. The edit has to be of a text of that length, and must not cut a character of
// two units in half.
func (e edit) apply(text []uint16) ([]uint16, error) {
	if n := e.before(); n != len(text) {
		return nil, fmt.Errorf("the operations are of a text of %d units, which has %d", n, len(text))
	}
	after := make([]uint16, 0, len(text))
	at := 0
	for _, o := range e {
		if at > 0 && at < len(text) && utf16.DecodeRune(rune(text[at-1]), rune(text[at])) != '\uFFFD' {
			return nil, fmt.Errorf("the operations cut the character at unit %d in half", at-1)
		}
		after = append(append(after, o.insert...), text[at:at+o.retain]...)
		at += o.retain + o.delete
	}
	return after, nil
}

// transform returns two edits of one text as they are after the other: a and then the second result come to the same
// text as b and then the first. Where both insert, a is first.
func transform(a, b edit) (afterB, afterA edit, err error) {
	if a.before() != b.before() {
		return nil, nil, fmt.Errorf("edits of texts of %d and %d units have nothing in common", a.before(), b.before())
	}
	x, y := walk{rest: a}, walk{rest: b}
	for {
		if inserted := x.insertion(); inserted != nil {
			afterB, afterA = afterB.insert(inserted), afterA.retain(len(inserted))
			continue
		}
		if inserted := y.insertion(); inserted != nil {
			afterB, afterA = afterB.retain(len(inserted)), afterA.insert(inserted)
			continue
		}
		n := min(x.ahead(), y.ahead())
		if n == 0 {
			return afterB, afterA, nil
		}
		switch gone, goneToo := x.pass(n), y.pass(n); {
		case gone && goneToo:
		case gone:
			afterB = afterB.delete(n)
		case goneToo:
			afterA = afterA.delete(n)
		default:
			afterB, afterA = afterB.retain(n), afterA.retain(n)
		}
	}
}

// walk is how far one has come through an edit.
type walk struct {
	rest   edit
	passed int // units of the first operation
}

// insertion takes the insertion that is next, nil if there is none.
func (w *walk) insertion() []uint16 {
	if len(w.rest) == 0 || w.rest[0].insert == nil {
		return nil
	}
	inserted := w.rest[0].insert
	w.rest = w.rest[1:]
	return inserted
}

// ahead returns how many units are next that are all retained or all deleted.
func (w *walk) ahead() int {
	if len(w.rest) == 0 {
		return 0
	}
	return w.rest[0].retain + w.rest[0].delete - w.passed
}

// pass goes on by so many units, and reports whether they are deleted.
func (w *walk) pass(n int) (deleted bool) {
	o := w.rest[0]
	if w.passed += n; w.passed == o.retain+o.delete {
		w.rest, w.passed = w.rest[1:], 0
	}
	return o.delete > 0
}
