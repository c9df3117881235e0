package client_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sockscope/sockscope/instrument/client"
)

// gate holds a handler up.
type gate struct {
	a    *consumer
	open chan struct{}
}

func (g gate) handle(ctx context.Context, e client.Event) error {
	select {
	case <-g.open:
	case <-ctx.Done():
	}
	return g.a.handle(ctx, e)
}

// TestBackpressure makes the server wait for a slow handler: nothing is lost, and nobody is blamed for the silence.
func TestBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
		feed := book(a, s)
		feed.Streams[0].Expect = 5 * time.Second
		g := gate{a, make(chan struct{})}
		feed.Handle = g.handle
		s.give(0)
		c := run(t, x, a, feed, client.WithQueue(2, time.Minute), client.WithHeartbeat(2*time.Second, time.Second))
		ws := <-x.conns
		synctest.Wait()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range 10 {
				send(t, ws, fmt.Sprintf("book %d 0", i+1))
			}
		}()
		time.Sleep(50 * time.Second)
		close(g.open)
		<-sent
		synctest.Wait()
		compare(t, "what the application sees", []string{
			"book = 0", "book 1 0", "book 2 0", "book 3 0", "book 4 0", "book 5 0", "book 6 0", "book 7 0", "book 8 0", "book 9 0", "book 10 0",
		}, a.noted())
		compare(t, "metrics", map[string]float64{"reconciliations_total ok connect": 1, "reconciliation_duration_seconds_count": 1}, counts(t, c))
		compare(t, "state", client.Live, c.State())
	})
}

// TestSkip has the client go on from a snapshot when the handler is too slow.
func TestSkip(t *testing.T) {
	for _, wait := range []time.Duration{0, 3 * time.Second} {
		t.Run(wait.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
				feed := book(a, s)
				g := gate{a, make(chan struct{})}
				feed.Handle = g.handle
				s.give(0)
				c := run(t, x, a, feed, client.WithQueue(2, wait))
				ws := <-x.conns
				synctest.Wait()
				for i := range 6 { // one is being handled, two are queued, three are too many
					send(t, ws, fmt.Sprintf("book %d 0", i+1))
					synctest.Wait()
				}
				time.Sleep(wait)
				synctest.Wait()
				compare(t, "state", client.Reconciling, c.State())
				s.give(6)
				close(g.open)
				time.Sleep(time.Second)
				send(t, ws, "book 7 0")
				synctest.Wait()
				compare(t, "what the application sees", []string{"book = 0", "book 1 0", "book = 6", "book 7 0"}, a.noted())
				compare(t, "metrics", map[string]float64{
					"reconciliations_total ok connect": 1, "reconciliations_total ok slow": 1, "reconciliation_duration_seconds_count": 2,
					"superseded_total book": 5,
				}, counts(t, c))
				compare(t, "state", client.Live, c.State())
				compare(t, "records", 1, len(a.logged("handler too slow")))
			})
		})
	}
}

// TestSkipWithoutSnapshot loses events, and says so.
func TestSkipWithoutSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		g := gate{a, make(chan struct{})}
		feed := client.Feed{Streams: []client.Stream{{Name: "book"}}, Handle: g.handle}
		c := run(t, x, a, feed, client.WithQueue(1, 0))
		ws := <-x.conns
		for _, m := range []string{"book 1 0", "book 2 0", "book 3 0", "book 4 6"} { // two are too many
			send(t, ws, m)
			synctest.Wait()
		}
		close(g.open)
		synctest.Wait()
		send(t, ws, "book 7 0")
		synctest.Wait()
		compare(t, "what the application sees", []string{"book 1 0", "book 2 0", "book 7 0"}, a.noted())
		compare(t, "metrics", map[string]float64{"sequence_gaps_total book": 1, "missing_messages_total book": 4}, counts(t, c))
		compare(t, "state", client.Live, c.State())
	})
}

// TestHandlerFails has the functions of the application fail and panic: the stream is reconciled, and nothing ends.
func TestHandlerFails(t *testing.T) {
	failing := func(what any) func() error {
		return func() error {
			if err, ok := what.(error); ok {
				return err
			}
			panic(what)
		}
	}
	for name, fail := range map[string]func() error{"error": failing(errors.New("disk full")), "panic": failing("index out of range")} {
		kind := map[string]string{"error": "handler", "panic": "panic"}[name]
		t.Run(name+" in Handle", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
				feed := book(a, s)
				feed.Handle = func(ctx context.Context, e client.Event) error {
					if e.First == 2 {
						return fail()
					}
					return a.handle(ctx, e)
				}
				s.give(0)
				c := run(t, x, a, feed)
				ws := <-x.conns
				synctest.Wait()
				send(t, ws, "book 1 0;book 2 0;book 3 0;book 4 0")
				synctest.Wait()
				s.give(3)
				time.Sleep(time.Second)
				send(t, ws, "book 5 0")
				synctest.Wait()
				notes := a.noted()
				// Events from before the failure was known are in the snapshot, or are requested again.
				if len(notes) < 2 || notes[0] != "book = 0" || notes[1] != "book 1 0" {
					t.Errorf("the application has seen %v", notes)
				}
				for c.State() != client.Live {
					s.give(5)
					time.Sleep(time.Minute)
					synctest.Wait()
				}
				got := counts(t, c)
				compare(t, "errors", 1.0, got["errors_total "+kind])
				compare(t, "reconciled", 1.0, got["reconciliations_total ok handler"])
				compare(t, "records", 1, len(a.logged("event failed")))
			})
		})
		t.Run(name+" in Handle without snapshot", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a := newExchange(t), new(consumer)
				feed := client.Feed{Streams: []client.Stream{{Name: "book"}}, Handle: func(ctx context.Context, e client.Event) error {
					if e.First == 2 {
						return fail()
					}
					return a.handle(ctx, e)
				}}
				c := run(t, x, a, feed)
				ws := <-x.conns
				send(t, ws, "book 1 0;book 2 0;book 3 0")
				synctest.Wait()
				compare(t, "what the application sees", []string{"book 1 0", "book 3 0"}, a.noted())
				compare(t, "metrics", map[string]float64{"errors_total " + kind: 1}, counts(t, c))
				compare(t, "state", client.Live, c.State())
			})
		})
		t.Run(name+" in Restore", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
				feed := book(a, s)
				calls := 0
				feed.Streams[0].Restore = func(ctx context.Context, stream string, snapshot client.Snapshot) (bool, error) {
					if calls++; calls == 1 {
						return false, fail()
					}
					return a.restore(ctx, stream, snapshot)
				}
				s.give(1)
				s.give(2)
				c := run(t, x, a, feed)
				ws := <-x.conns
				time.Sleep(time.Second)
				send(t, ws, "book 3 0")
				synctest.Wait()
				compare(t, "what the application sees", []string{"book = 2", "book 3 0"}, a.noted())
				compare(t, "metrics", map[string]float64{
					"errors_total " + kind: 1, "reconciliations_total error connect": 1,
					"reconciliations_total ok connect": 1, "reconciliation_duration_seconds_count": 1,
				}, counts(t, c))
				compare(t, "state", client.Live, c.State())
			})
		})
	}
}

// TestBadMessages are left out; those that come after them are not.
func TestBadMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		c := run(t, x, a, client.Feed{Streams: []client.Stream{{Name: "book"}}})
		ws := <-x.conns
		send(t, ws, "nonsense", "panic", "ack", "book 1 1", "invented 1 1", "invented 9 9")
		synctest.Wait()
		compare(t, "what the application sees", []string{"book 1 1", "invented 1 1", "invented 9 9"}, a.noted())
		compare(t, "metrics", map[string]float64{
			"errors_total decode": 1, "errors_total panic": 1, "sockscope_label_overflow_total stream websocket_client": 2,
		}, counts(t, c, "last_message_timestamp_seconds other"))
		compare(t, "records", 2, len(a.logged("message not understood")))
	})
}

func TestStateCallbackPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		c := run(t, x, a, client.Feed{}, client.WithStateChange(func(client.Change) { panic("callback") }))
		<-x.conns
		synctest.Wait()
		compare(t, "state", client.Live, c.State())
		compare(t, "metrics", map[string]float64{"errors_total panic": 2}, counts(t, c))
	})
}
