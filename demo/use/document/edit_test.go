package document

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/sockscope/sockscope/demo/wire"
)

func TestApply(t *testing.T) {
	units := utf16.Encode([]rune("a👋b"))
	for operations, want := range map[string]string{
		`[{"retain":4},{"insert":"c"}]`:                           "a👋bc",
		`[{"delete":1},{"insert":"ü"},{"retain":3}]`:              "ü👋b",
		`[{"retain":1},{"delete":2},{"insert":"👍"},{"retain":1}]`: "a👍b",
		`[{"retain":3},{"insert":"c"}]`:                           "the operations are of a text of 3 units, which has 4",
		`[{"retain":2},{"insert":"c"},{"retain":2}]`:              "the operations cut the character at unit 1 in half",
		`[{"retain":2},{"delete":2}]`:                             "the operations cut the character at unit 1 in half",
	} {
		var all []wire.DocumentOperation
		if err := json.Unmarshal([]byte(operations), &all); err != nil {
			t.Fatal(err)
		}
		after, err := editOf(all).apply(units)
		got := string(utf16.Decode(after))
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s comes to %q, want %q", operations, got, want)
		}
	}
}

// FuzzTransform has two edits of one text come to the same in either order.
func FuzzTransform(f *testing.F) {
	f.Add("hello", []byte{1, 2, 3}, []byte{4, 5, 6})
	f.Add("", []byte{2}, []byte{2})
	f.Add("a👋b", []byte{0, 9, 2, 0}, []byte{1, 1, 2, 7, 0})
	f.Fuzz(func(t *testing.T, text string, first, second []byte) {
		units := utf16.Encode([]rune(strings.ToValidUTF8(text, "")))
		a, b := scripted(units, first), scripted(units, second)
		afterB, afterA, err := transform(a, b)
		if err != nil {
			t.Fatal(err)
		}
		var ends [2][]uint16
		for i, way := range [][2]edit{{a, afterA}, {b, afterB}} {
			between, err := way[0].apply(units)
			if err != nil {
				t.Fatal(err)
			}
			if ends[i], err = way[1].apply(between); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(ends[0], ends[1]) {
			t.Errorf("%v and %v of %q come to %q and %q", a, b, text, string(utf16.Decode(ends[0])), string(utf16.Decode(ends[1])))
		}
		if _, _, err := transform(a, b.retain(1)); err == nil {
			t.Error("edits of different texts are transformed")
		}
	})
}

// scripted returns an edit of a text that bytes describe.
func scripted(units []uint16, script []byte) (e edit) {
	at := 0
	step := func(n int) int { // a number of units that cuts nothing in half
		end := min(at+n, len(units))
		if end > at && end < len(units) && utf16.DecodeRune(rune(units[end-1]), rune(units[end])) != '\uFFFD' {
			end++
		}
		n, at = end-at, end
		return n
	}
	for _, b := range script[:min(len(script), 100)] {
		switch n := int(b / 3); b % 3 {
		case 0:
			e = e.retain(step(n))
		case 1:
			e = e.delete(step(n))
		default:
			e = e.insert(utf16.Encode([]rune{'a' + rune(n%26)}))
		}
	}
	return e.retain(len(units) - at)
}
