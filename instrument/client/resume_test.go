package client_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument/client"
)

// TestFieldCase14Resume has a feed replay what was missed: what is replayed twice is handled once, and what is not
// replayed is counted.
func TestFieldCase14Resume(t *testing.T) {
	tests := map[string]struct {
		replayed []string
		notes    []string
		state    client.State
		counts   map[string]float64
	}{
		"exactly": {
			[]string{"4 0", "5 0"}, []string{"book 1 0", "book 2 0", "book 3 0", "book 4 0", "book 5 0"}, client.Live,
			map[string]float64{},
		},
		"overlap": {
			[]string{"2 0", "3 0", "4 0"}, []string{"book 1 0", "book 2 0", "book 3 0", "book 4 0"}, client.Live,
			map[string]float64{"duplicates_total book": 2},
		},
		"hole": {
			[]string{"6 0", "7 0"}, []string{"book 1 0", "book 2 0", "book 3 0", "book 6 0", "book 7 0"}, client.Live,
			map[string]float64{"sequence_gaps_total book": 1, "missing_messages_total book": 2},
		},
		"nothing new": {
			[]string{"1 0", "2 0", "3 0"}, []string{"book 1 0", "book 2 0", "book 3 0"}, client.Live,
			map[string]float64{"duplicates_total book": 3},
		},
		"the server has begun anew": {
			[]string{"1 0", "1 0", "1 0", "2 0", "2 0"}, []string{"book 1 0", "book 2 0", "book 3 0"}, client.Stale,
			map[string]float64{"duplicates_total book": 5, "stale book": 1},
		},
		"the server has begun anew, and says so": {
			[]string{"1 0 restart", "2 0"}, []string{"book 1 0", "book 2 0", "book 3 0", "book 1 0 restart", "book 2 0"}, client.Live,
			map[string]float64{},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a := newExchange(t), new(consumer)
				var c running
				ready := make(chan struct{})
				feed := client.Feed{
					Streams: []client.Stream{{Name: "book", Resume: true}},
					Subscribe: func(ctx context.Context, to client.Sender) error {
						<-ready
						return to.Send(ctx, websocket.MessageText, fmt.Appendf(nil, "after %d", c.LastNumber("book")))
					},
				}
				c = run(t, x, a, feed)
				close(ready)
				ws := <-x.conns
				sendApart(t, ws, "book 1 0", "book 2 0", "book 3 0")
				_ = ws.CloseNow()
				ws = <-x.conns
				for _, m := range test.replayed {
					sendApart(t, ws, "book "+m)
					time.Sleep(300 * time.Millisecond)
				}
				synctest.Wait()
				compare(t, "what the application sees", test.notes, a.noted())
				compare(t, "asked", []string{"after 0", "after 3"}, x.received)
				compare(t, "state", test.state, c.StreamState("book"))
				want := test.counts
				want["disconnections_total network abnormal"] = 1
				compare(t, "metrics", want, counts(t, c))
			})
		})
	}
}

// TestResumeQueued has the connection break while the handler is busy: what it was given it handles, and nothing twice.
func TestResumeQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		g := gate{a, make(chan struct{})}
		c := run(t, x, a, client.Feed{Streams: []client.Stream{{Name: "book", Resume: true}}, Handle: g.handle})
		ws := <-x.conns
		sendApart(t, ws, "book 1 0", "book 2 0", "book 3 0")
		_ = ws.CloseNow()
		ws = <-x.conns
		compare(t, "number", uint64(3), c.LastNumber("book"))
		sendApart(t, ws, "book 1 0", "book 2 0", "book 3 0", "book 4 0")
		close(g.open)
		synctest.Wait()
		compare(t, "what the application sees", seen(1, 4), a.noted())
	})
}

// TestResumeOnlyWithinRun forgets the numbers of an earlier Run, whose queue is gone.
func TestResumeOnlyWithinRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		c := run(t, x, a, client.Feed{Streams: []client.Stream{{Name: "book", Resume: true}}})
		sendApart(t, <-x.conns, "book 1 0", "book 2 0")
		_ = c.stop()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		ws := <-x.conns
		compare(t, "number", uint64(0), c.LastNumber("book"))
		sendApart(t, ws, "book 2 0")
		compare(t, "number", uint64(2), c.LastNumber("book"))
		compare(t, "number of no stream", uint64(0), c.LastNumber("invented"))
		cancel()
		<-ended
		compare(t, "what the application sees", []string{"book 1 0", "book 2 0", "book 2 0"}, a.noted())
	})
}
