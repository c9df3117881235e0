package instrument

import (
	"reflect"
	"testing"
)

// TestConnLayout keeps the totals of a connection on cache lines of their own: 384 bytes is a size of which Go's
// allocator puts each on a line's start.
func TestConnLayout(t *testing.T) {
	conn := reflect.TypeFor[Conn]()
	if conn.Size() != 384 {
		t.Errorf("a Conn takes %d bytes, want 384", conn.Size())
	}
	for _, name := range []string{"queue", "totals"} {
		if f, _ := conn.FieldByName(name); f.Offset%cacheLine != 0 {
			t.Errorf("%s begins at byte %d, want a multiple of %d", name, f.Offset, cacheLine)
		}
	}
}
