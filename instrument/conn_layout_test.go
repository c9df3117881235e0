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
	if totals, _ := conn.FieldByName("totals"); totals.Offset%cacheLine != 0 {
		t.Errorf("totals begin at byte %d, want a multiple of %d", totals.Offset, cacheLine)
	}
}
