package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument/client"
)

// desk is an application that takes its time, and notes what it was given in which state.
type desk struct {
	consumer
	client    running
	restoring chan bool // each Restore waits for one of these, and fails for false
	takes     time.Duration
	fails     atomic.Bool // the next event
}

func (d *desk) restore(ctx context.Context, stream string, s client.Snapshot) (bool, error) {
	select {
	case ok := <-d.restoring:
		if !ok {
			return false, errors.New("cannot restore")
		}
	case <-ctx.Done():
	}
	return d.consumer.restore(ctx, stream, s)
}

func (d *desk) handle(_ context.Context, e client.Event) error {
	time.Sleep(d.takes)
	d.note("%s %d %s", e.Stream, e.First, d.client.StreamState(e.Stream))
	if d.fails.Swap(false) {
		return errors.New("failed")
	}
	return nil
}

// work runs a client that has a snapshot for each stream, as they are given, and events handled one per millisecond.
func work(t *testing.T, names string, opts ...client.Option) (*desk, *exchange, map[string]snapshots) {
	t.Helper()
	d, x, from := &desk{restoring: make(chan bool, 10), takes: time.Millisecond}, newExchange(t), map[string]snapshots{}
	feed := client.Feed{Handle: d.handle}
	for name := range strings.FieldsSeq(names) {
		from[name] = make(snapshots, 10)
		feed.Streams = append(feed.Streams, client.Stream{Name: name, Snapshot: from[name].fetch, Restore: d.restore})
	}
	d.client = run(t, x, &d.consumer, feed, opts...)
	return d, x, from
}

// until waits for a state of a stream.
func (d *desk) until(t *testing.T, stream string, want client.State) {
	t.Helper()
	for range 100_000 {
		synctest.Wait()
		if d.client.StreamState(stream) == want {
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
	t.Fatalf("%s is %v, and was never %v", stream, d.client.StreamState(stream), want)
}

// in returns the notes about events of the book, from first to last, that are handled in a state.
func in(state client.State, first, last int) (notes []string) {
	for i := first; i <= last; i++ {
		notes = append(notes, fmt.Sprintf("book %d %s", i, state))
	}
	return notes
}

// TestLiveWhenCaughtUp sends a lot while a snapshot is being restored. Nobody may act on any of that: the stream is
// live when it was handled, however much of it the queue has room for.
func TestLiveWhenCaughtUp(t *testing.T) {
	for name, opts := range map[string][]client.Option{
		"in the queue":              nil,
		"the queue is just full":    {client.WithQueue(500, 0)},
		"most waits at the server":  {client.WithQueue(10, time.Minute)},
		"all but one at the server": {client.WithQueue(1, time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, x, from := work(t, "book", opts...)
				ws := <-x.conns
				from["book"].give(1)
				synctest.Wait()
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					for i := 2; i <= 501; i++ {
						_ = ws.Write(context.Background(), websocket.MessageText, fmt.Appendf(nil, "book %d 0", i))
					}
				}()
				time.Sleep(time.Second)
				d.restoring <- true
				d.until(t, "book", client.Live)
				<-sent
				synctest.Wait()
				compare(t, "what the application sees", append([]string{"book = 1"}, in(client.Reconciling, 2, 501)...), d.noted())
				compare(t, "changes", []string{
					"book connecting", "connecting", "book reconciling", "reconciling", "book live", "live",
				}, d.changed())
				compare(t, "metrics", map[string]float64{
					"reconciliations_total ok connect": 1, "reconciliation_duration_seconds_count": 1,
				}, counts(t, d.client))
				send(t, ws, "book 502 0")
				time.Sleep(time.Second)
				compare(t, "what the application sees then", in(client.Live, 502, 502), d.noted())
			})
		})
	}
}

// TestNotLiveWithoutRoom has the queue overflow behind the snapshot: the next one makes good, and the stream is live.
func TestNotLiveWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, x, from := work(t, "book", client.WithQueue(2, 0))
		ws := <-x.conns
		from["book"].give(1)
		synctest.Wait()
		for i := 2; i <= 10; i++ {
			send(t, ws, fmt.Sprintf("book %d 0", i))
		}
		synctest.Wait()
		d.restoring <- true
		d.restoring <- true
		from["book"].give(10)
		d.until(t, "book", client.Live)
		compare(t, "what the application sees", []string{"book = 1", "book = 10"}, d.noted())
		compare(t, "metrics", map[string]float64{
			"reconciliations_total aborted connect": 1, "reconciliations_total ok slow": 1, "reconciliation_duration_seconds_count": 1,
			"superseded_total book": 9,
		}, counts(t, d.client))
	})
}

// TestNotLiveAnyMore has something happen while the handler catches up with what came during the restore. That it has
// done so in the end makes nothing live.
func TestNotLiveAnyMore(t *testing.T) {
	tests := map[string]struct {
		happens func(t *testing.T, d *desk, ws *websocket.Conn)
		notes   []string
		counts  map[string]float64
	}{
		"connection lost": {
			happens: func(_ *testing.T, _ *desk, ws *websocket.Conn) { _ = ws.CloseNow() },
			notes:   append(in(client.Waiting, 4, 101), "book = 200"),
			counts: map[string]float64{
				"reconciliations_total aborted connect": 1, "reconciliations_total ok reconnect": 1,
				"reconciliation_duration_seconds_count": 1, "disconnections_total network abnormal": 1,
			},
		},
		"gap": {
			happens: func(t *testing.T, _ *desk, ws *websocket.Conn) { send(t, ws, "book 200 0") },
			notes:   append(in(client.Reconciling, 4, 101), "book = 200"),
			counts: map[string]float64{
				"reconciliations_total aborted connect": 1, "reconciliations_total ok gap": 1,
				"reconciliation_duration_seconds_count": 1, "sequence_gaps_total book": 1, "missing_messages_total book": 98,
				"superseded_total book": 1,
			},
		},
		"handler failed": {
			happens: func(_ *testing.T, d *desk, _ *websocket.Conn) { d.fails.Store(true) },
			notes:   append(in(client.Reconciling, 4, 4), "book = 200"),
			counts: map[string]float64{
				"reconciliations_total error connect": 1, "reconciliations_total ok connect": 1,
				"reconciliation_duration_seconds_count": 1, "errors_total handler": 1,
				"superseded_total book": 97,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// The waits are longer than what the handler needs.
				d, x, from := work(t, "book", client.WithBackoff(time.Second, 10*time.Second))
				ws := <-x.conns
				from["book"].give(1)
				synctest.Wait()
				for i := 2; i <= 101; i++ {
					send(t, ws, fmt.Sprintf("book %d 0", i))
				}
				synctest.Wait()
				d.restoring <- true
				time.Sleep(2500 * time.Microsecond)
				synctest.Wait()
				compare(t, "state while it catches up", client.Reconciling, d.client.State())
				compare(t, "what the application sees", append([]string{"book = 1"}, in(client.Reconciling, 2, 3)...), d.noted())
				test.happens(t, d, ws)
				from["book"].give(200)
				time.Sleep(time.Minute)
				synctest.Wait()
				compare(t, "state before the next restore", client.Reconciling, d.client.State())
				d.restoring <- true
				synctest.Wait()
				compare(t, "state after it", client.Live, d.client.State())
				compare(t, "what the application sees then", test.notes, d.noted())
				compare(t, "metrics", test.counts, counts(t, d.client))
			})
		})
	}
}

// TestNotLiveAfterReconnect has the handler reach the end of what came during a restore on a connection that has been
// replaced, right before it restores the snapshot of the next.
func TestNotLiveAfterReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, x, from := work(t, "book", client.WithBackoff(time.Millisecond, time.Millisecond))
		d.takes = time.Second
		ws := <-x.conns
		from["book"].give(1)
		synctest.Wait()
		send(t, ws, "book 2 0", "book 3 0")
		synctest.Wait()
		d.restoring <- true
		synctest.Wait()
		_ = ws.CloseNow()
		ws = <-x.conns
		from["book"].give(5)
		synctest.Wait()
		send(t, ws, "book 6 0")
		time.Sleep(time.Minute)
		synctest.Wait()
		compare(t, "state before the restore", client.Reconciling, d.client.State())
		d.restoring <- true
		time.Sleep(time.Millisecond)
		compare(t, "state before what came meanwhile", client.Reconciling, d.client.State())
		d.until(t, "book", client.Live)
		compare(t, "what the application sees", []string{
			"book = 1", "book 2 reconciling", "book 3 reconciling", "book = 5", "book 6 reconciling",
		}, d.noted())
	})
}

// TestLiveByTheLastRestore has a snapshot restored before the handler has caught up with what came during the restore
// of another one, which was of no use because of a gap, and with events that find no room meanwhile.
func TestLiveByTheLastRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, x, from := work(t, "book", client.WithQueue(3, time.Minute))
		ws := <-x.conns
		from["book"].give(1)
		synctest.Wait()
		send(t, ws, "book 2 0", "book 9 0")
		from["book"].give(9)
		time.Sleep(time.Second)
		send(t, ws, "book 10 0", "book 11 0")
		synctest.Wait()
		d.restoring <- true
		time.Sleep(time.Second)
		synctest.Wait()
		compare(t, "state after the first", client.Reconciling, d.client.State())
		d.restoring <- true
		time.Sleep(time.Second)
		synctest.Wait()
		compare(t, "state after the second", client.Live, d.client.State())
		compare(t, "what the application sees", []string{
			"book = 1", "book 2 reconciling", "book = 9", "book 10 reconciling", "book 11 reconciling",
		}, d.noted())
	})
}

// TestStreamsCatchUpApart restores two streams, one after the other, with events of both in between.
func TestStreamsCatchUpApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, x, from := work(t, "btc eth")
		ws := <-x.conns
		from["btc"].give(1)
		synctest.Wait()
		from["eth"].give(1)
		synctest.Wait()
		send(t, ws, "btc 2 0", "eth 2 0", "btc 3 0")
		synctest.Wait()
		d.restoring <- true // btc, with all of the rest before it
		synctest.Wait()
		d.restoring <- true
		synctest.Wait()
		send(t, ws, "eth 3 0")
		time.Sleep(time.Second)
		synctest.Wait()
		compare(t, "what the application sees", []string{
			"btc = 1", "eth = 1", "btc 2 reconciling", "eth 2 reconciling", "btc 3 reconciling", "eth 3 live",
		}, d.noted())
		compare(t, "state", client.Live, d.client.State())
	})
}

// TestHandlerCallsTheClient while it catches up, with a queue that is full.
func TestHandlerCallsTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
		feed := book(a, s)
		restored := make(chan struct{})
		feed.Streams[0].Restore = func(context.Context, string, client.Snapshot) (bool, error) {
			<-restored
			return false, nil
		}
		var c running
		feed.Handle = func(ctx context.Context, e client.Event) error {
			time.Sleep(time.Millisecond)
			return errors.Join(c.Send(ctx, websocket.MessageText, []byte(e.Value.(string))), c.Reconcile("book"), a.handle(ctx, e))
		}
		c = run(t, x, a, feed, client.WithQueue(1, time.Minute))
		ws := <-x.conns
		s.give(1)
		synctest.Wait()
		go func() {
			for i := 2; i <= 5; i++ {
				_ = ws.Write(context.Background(), websocket.MessageText, fmt.Appendf(nil, "book %d 0", i))
			}
		}()
		time.Sleep(time.Second)
		close(restored)
		time.Sleep(time.Second)
		synctest.Wait()
		compare(t, "state", client.Live, c.State())
		compare(t, "what the application sees", []string{"book 2 0", "book 3 0", "book 4 0", "book 5 0"}, a.noted())
		compare(t, "metrics", map[string]float64{"reconciliations_total ok connect": 1, "reconciliation_duration_seconds_count": 1}, counts(t, c))
	})
}

// TestReceived tells a handler how long it took until it was given an event, the time it was held back included.
func TestReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
		feed := book(a, s)
		feed.Handle = func(_ context.Context, e client.Event) error {
			a.note("%s after %v", e.Value, time.Since(e.Received))
			time.Sleep(time.Second)
			return nil
		}
		run(t, x, a, feed)
		ws := <-x.conns
		send(t, ws, "book 2 0")
		time.Sleep(5 * time.Second)
		s.give(1)
		time.Sleep(time.Minute)
		send(t, ws, "book 3 0;book 4 0")
		time.Sleep(time.Minute)
		compare(t, "what the application sees", []string{
			"book = 1", "book 2 0 after 5s", "book 3 0 after 0s", "book 4 0 after 1s",
		}, a.noted())
	})
}
