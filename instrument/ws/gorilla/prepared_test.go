package gorilla

import (
	"testing"

	"github.com/gorilla/websocket"
)

// TestContents fails if the transport keeps a prepared message in another way than contents knows.
func TestContents(t *testing.T) {
	pm, err := websocket.NewPreparedMessage(websocket.BinaryMessage, []byte("to all"))
	if err != nil {
		t.Fatal(err)
	}
	if kind, data := contents(pm); kind != websocket.BinaryMessage || string(data) != "to all" {
		t.Errorf("contents: type %d, %q", kind, data)
	}
	if n := testing.AllocsPerRun(100, func() { contents(pm) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
