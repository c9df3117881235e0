package instrument_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/sockscope/sockscope/instrument"
)

// TestMemoryPerType holds a message type that has carried nothing to what WithMessageTypes says, on few and on many
// processors.
func TestMemoryPerType(t *testing.T) {
	const n = 500
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("type", i)
	}
	for _, processors := range []int{2, 16} {
		t.Run(fmt.Sprint(processors), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			before := heap()
			o := newObserver(t, instrument.WithMessageTypes(names...))
			exposition(t, o)
			if each := (heap() - before) / n; each > 2048 {
				t.Errorf("%d bytes per message type, want at most 2048", each)
			} else {
				t.Logf("%d bytes per message type", each)
			}
			c := open(t, o)
			before = heap()
			for _, name := range names {
				_, m := c.BeginMessage(c.Context(t.Context()), o.MessageType(name), 1, nil)
				m.End(nil)
			}
			t.Logf("%d bytes more for one in use by one shard", (heap()-before)/n)
			exposition(t, o)
			t.Logf("%d bytes more after a scrape", (heap()-before)/n)
			runtime.KeepAlive(o)
		})
	}
}
