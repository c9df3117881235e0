package client_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sockscope/sockscope/instrument/client"
)

// FuzzEvents has a server send any numbers, snapshots and restarts. The application must see an unbroken sequence from
// each snapshot on, and when the server has come to its senses the stream must be live.
func FuzzEvents(f *testing.F) {
	f.Add(true, []byte{0x45, 5, 0x06, 6, 0x07, 7, 0x41, 1, 0x02, 2})
	f.Add(false, []byte{0x05, 5, 0x86, 1, 0x07, 9, 0x08, 2, 0x09, 3})
	f.Fuzz(func(t *testing.T, among bool, events []byte) {
		if len(events) > 60 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			x, a := newExchange(t), new(consumer)
			var server, held atomic.Uint64
			st := client.Stream{Name: "book", Restore: func(_ context.Context, _ string, s client.Snapshot) (bool, error) {
				held.Store(s.Last)
				return false, nil
			}}
			if among {
				st.Resubscribe = func(context.Context, string, client.Sender) error { return nil }
			} else {
				st.Snapshot = func(context.Context, string) (client.Snapshot, error) {
					return client.Snapshot{Last: server.Load(), Restart: true}, nil
				}
			}
			handle := func(_ context.Context, e client.Event) error {
				switch at := held.Load(); {
				case e.First == 0 && e.Last == 0:
				case at != 0 && e.First > at+1, e.Last != 0 && e.Last < at:
					t.Errorf("%v after %d", e.Value, at)
				default:
					held.Store(max(e.Last, e.First-1, at))
					if e.Last == 0 {
						held.Store(e.First)
					}
				}
				return nil
			}
			c := run(t, x, a, client.Feed{Streams: []client.Stream{st}, Handle: handle}, client.WithHeartbeat(0, 0))
			ws := <-x.conns
			for i := 0; i+1 < len(events); i += 2 {
				first, flags := int(events[i]%32), events[i]/32
				last := first + int(events[i+1]%8) - 3
				message := fmt.Sprintf("book %d %d", first, max(last, 0))
				switch {
				case flags&2 != 0:
					message += " snapshot"
				case flags&4 != 0:
					message += " restart"
				}
				server.Store(uint64(max(first, last, 1)))
				send(t, ws, message)
				time.Sleep(time.Duration(events[i+1]) * 10 * time.Millisecond)
			}
			server.Store(1000)
			send(t, ws, "book 1000 0 snapshot", "book 1001 0")
			time.Sleep(time.Minute)
			synctest.Wait()
			if c.State() != client.Live || held.Load() != 1001 {
				t.Errorf("%v at %d", c.State(), held.Load())
			}
		})
	})
}
