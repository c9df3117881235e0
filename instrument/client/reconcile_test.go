package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument/client"
)

func compare(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s, -want +got:\n%s", what, diff)
	}
}

// book is a feed with one stream that is reconciled.
func book(a *consumer, s snapshots) client.Feed {
	return client.Feed{Streams: []client.Stream{{Name: "book", Snapshot: s.fetch, Restore: a.restore}}}
}

// TestReconcile drives one stream through everything that can happen to its sequence, and compares everything that the
// application sees and everything that is counted.
func TestReconcile(t *testing.T) {
	type step struct {
		send     []string
		snapshot func() (client.Snapshot, error)
		wait     time.Duration
	}
	at := func(last uint64) func() (client.Snapshot, error) {
		return func() (client.Snapshot, error) { return client.Snapshot{Last: last}, nil }
	}
	differs := func(last uint64) func() (client.Snapshot, error) {
		return func() (client.Snapshot, error) { return client.Snapshot{Last: last, Value: "drifted"}, nil }
	}
	fails := func() (client.Snapshot, error) { return client.Snapshot{}, errors.New("503") }
	panics := func() (client.Snapshot, error) { panic("snapshot") }
	tests := map[string]struct {
		steps  []step
		notes  []string
		counts map[string]float64
		state  client.State
	}{
		"older events are left out, the rest is replayed": {
			steps:  []step{{send: []string{"book 10 10", "book 11 11", "book 12 12"}}, {snapshot: at(10)}, {send: []string{"book 13 13"}}},
			notes:  []string{"book = 10", "book 11 11", "book 12 12", "book 13 13"},
			counts: map[string]float64{"reconciliations_total ok connect": 1, "reconciliation_duration_seconds_count": 1, "superseded_total book": 1},
			state:  client.Live,
		},
		"snapshot ahead of the stream": {
			steps:  []step{{send: []string{"book 9 9"}}, {snapshot: at(11)}, {send: []string{"book 10 10", "book 11 11", "book 12 12"}}},
			notes:  []string{"book = 11", "book 12 12"},
			counts: map[string]float64{"reconciliations_total ok connect": 1, "reconciliation_duration_seconds_count": 1, "superseded_total book": 3},
			state:  client.Live,
		},
		"snapshot behind the stream": {
			steps: []step{{send: []string{"book 9 9"}}, {snapshot: at(7)}, {send: []string{"book 10 10"}}, {snapshot: at(8), wait: time.Second}},
			notes: []string{"book = 8", "book 9 9", "book 10 10"},
			counts: map[string]float64{
				"reconciliations_total behind connect": 1,
				"reconciliations_total ok connect":     1, "reconciliation_duration_seconds_count": 1,
			},
			state: client.Live,
		},
		"snapshot fails and panics before it comes": {
			steps: []step{{snapshot: fails}, {snapshot: panics, wait: time.Second}, {send: []string{"book 3 3"}}, {snapshot: at(2), wait: time.Second}},
			notes: []string{"book = 2", "book 3 3"},
			counts: map[string]float64{
				"errors_total panic":                  1,
				"reconciliations_total error connect": 2,
				"reconciliations_total ok connect":    1, "reconciliation_duration_seconds_count": 1,
			},
			state: client.Live,
		},
		"ranges that overlap the snapshot and each other": {
			steps: []step{
				{send: []string{"book 5 8", "book 9 12"}}, {snapshot: at(10)},
				{send: []string{"book 12 14", "book 15 15", "book 13 15"}},
			},
			notes: []string{"book = 10", "book 9 12", "book 12 14", "book 15 15"},
			counts: map[string]float64{
				"duplicates_total book":            1,
				"superseded_total book":            1,
				"reconciliations_total ok connect": 1, "reconciliation_duration_seconds_count": 1,
			},
			state: client.Live,
		},
		"gap": {
			steps: []step{
				{snapshot: at(1)}, {send: []string{"book 2 2", "book 5 5", "book 6 6"}}, {snapshot: differs(5), wait: time.Second},
				{send: []string{"book 7 7"}},
			},
			notes: []string{"book = 1", "book 2 2", "book = 5", "book 6 6", "book 7 7"},
			counts: map[string]float64{
				"sequence_gaps_total book": 1, "missing_messages_total book": 2, "drift_total book": 1,
				"superseded_total book":            1,
				"reconciliations_total ok connect": 1, "reconciliations_total ok gap": 1, "reconciliation_duration_seconds_count": 2,
			},
			state: client.Live,
		},
		"late events fill the gap": {
			steps: []step{
				{snapshot: at(1)}, {send: []string{"book 4 4", "book 2 2", "book 3 3"}}, {snapshot: at(1), wait: time.Second},
			},
			notes: []string{"book = 1", "book = 1", "book 2 2", "book 3 3", "book 4 4"},
			counts: map[string]float64{
				"sequence_gaps_total book": 1, "missing_messages_total book": 2, "out_of_order_total book": 2,
				"reconciliations_total ok connect": 1, "reconciliations_total ok gap": 1, "reconciliation_duration_seconds_count": 2,
			},
			state: client.Live,
		},
		"duplicates": {
			steps: []step{{snapshot: at(1)}, {send: []string{"book 2 2", "book 2 2", "book 3 3;book 2 3"}}},
			notes: []string{"book = 1", "book 2 2", "book 3 3"},
			counts: map[string]float64{
				"duplicates_total book":            2,
				"reconciliations_total ok connect": 1, "reconciliation_duration_seconds_count": 1,
			},
			state: client.Live,
		},
		"too many events before the snapshot": {
			steps: []step{
				{send: []string{"book 1 1;book 2 2;book 3 3;book 4 4"}}, {snapshot: at(0)}, {send: []string{"book 5 5"}},
				{wait: time.Second}, {send: []string{"book 6 6"}}, {snapshot: at(5)},
			},
			notes: []string{"book = 5", "book 6 6"},
			counts: map[string]float64{
				"reconciliations_total overflow connect": 1,
				"superseded_total book":                  5,
				"reconciliations_total ok connect":       1, "reconciliation_duration_seconds_count": 1,
			},
			state: client.Live,
		},
		"no numbers at all": {
			steps:  []step{{send: []string{"book 0 0"}}, {snapshot: at(0)}, {send: []string{"book 0 0"}}},
			notes:  []string{"book = 0", "book 0 0", "book 0 0"},
			counts: map[string]float64{"reconciliations_total ok connect": 1, "reconciliation_duration_seconds_count": 1},
			state:  client.Live,
		},
		"slow snapshot": {
			steps:  []step{{send: []string{"book 1 1"}}, {wait: 9 * time.Second}, {send: []string{"book 2 2"}}},
			counts: map[string]float64{},
			state:  client.Reconciling,
		},
		"snapshot that never comes": {
			steps:  []step{{send: []string{"book 1 1"}}, {wait: 11 * time.Second}},
			counts: map[string]float64{"reconciliations_total error connect": 1},
			state:  client.Reconciling,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
				c := run(t, x, a, book(a, s), client.WithBuffer(3))
				ws := <-x.conns
				for _, step := range test.steps {
					synctest.Wait()
					time.Sleep(step.wait)
					send(t, ws, step.send...)
					if step.snapshot != nil {
						s <- step.snapshot
					}
				}
				synctest.Wait()
				compare(t, "what the application sees", test.notes, a.noted())
				compare(t, "metrics", test.counts, counts(t, c))
				compare(t, "state", test.state, c.State())
				compare(t, "state of the stream", test.state, c.StreamState("book"))
			})
		})
	}
}

// TestSnapshotMustNotGoBack refuses a snapshot that lies before what has been handled, with nothing held back to bridge
// it.
func TestSnapshotMustNotGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
		s.give(5)
		c := run(t, x, a, book(a, s))
		ws := <-x.conns
		synctest.Wait()
		send(t, ws, "book 6 6")
		synctest.Wait()
		if err := c.Reconcile("book"); err != nil {
			t.Fatal(err)
		}
		s.give(3)
		time.Sleep(time.Second)
		compare(t, "state", client.Reconciling, c.State())
		s.give(6)
		time.Sleep(time.Second)
		synctest.Wait()
		compare(t, "what the application sees", []string{"book = 5", "book 6 6", "book = 6"}, a.noted())
		compare(t, "metrics", map[string]float64{
			"reconciliations_total ok connect": 1, "reconciliations_total behind manual": 1,
			"reconciliations_total ok manual": 1, "reconciliation_duration_seconds_count": 2,
		}, counts(t, c))
		compare(t, "state", client.Live, c.State())
	})
}

// TestGapWhileRestoring has a stream that is being restored become unreliable again: that the first snapshot has been
// restored in the end does not make it live.
func TestGapWhileRestoring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
		feed := book(a, s)
		restored := make(chan struct{})
		feed.Streams[0].Restore = func(ctx context.Context, stream string, snapshot client.Snapshot) (bool, error) {
			<-restored
			return a.restore(ctx, stream, snapshot)
		}
		c := run(t, x, a, feed)
		ws := <-x.conns
		s.give(5)
		synctest.Wait()
		send(t, ws, "book 6 6", "book 9 9")
		s.give(9)
		time.Sleep(time.Second)
		restored <- struct{}{}
		synctest.Wait()
		compare(t, "state after the first", client.Reconciling, c.State())
		restored <- struct{}{}
		synctest.Wait()
		compare(t, "state after the second", client.Live, c.State())
		compare(t, "what the application sees", []string{"book = 5", "book 6 6", "book = 9"}, a.noted())
		compare(t, "metrics", map[string]float64{
			"sequence_gaps_total book": 1, "missing_messages_total book": 2,
			"superseded_total book":                 1,
			"reconciliations_total aborted connect": 1, "reconciliations_total ok gap": 1, "reconciliation_duration_seconds_count": 1,
		}, counts(t, c))
	})
}

// TestGapsDoNotStorm has every event leave a gap, and counts how often a snapshot is asked for.
func TestGapsDoNotStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		var last atomic.Uint64
		asked := 0
		feed := client.Feed{Streams: []client.Stream{{
			Name: "book", Restore: a.restore,
			Snapshot: func(context.Context, string) (client.Snapshot, error) {
				asked++
				return client.Snapshot{Last: last.Load()}, nil
			},
		}}}
		c := run(t, x, a, feed, client.WithBackoff(time.Second, 10*time.Second))
		ws := <-x.conns
		for range 600 { // for a minute
			number := last.Add(2)
			send(t, ws, fmt.Sprintf("book %d 0", number))
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if asked < 8 || asked > 16 {
			t.Errorf("asked for %d snapshots in a minute, waits being half of 1, 2, 4, 8 and 10 s", asked)
		}
		if got := counts(t, c)["sequence_gaps_total book"]; got < 500 {
			t.Errorf("%v gaps", got)
		}
		if got := len(a.logged("reconciled")); got > 16 {
			t.Errorf("%d records", got)
		}
	})
}

func TestReconcileUnknownStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
		feed := book(a, s)
		feed.Streams = append(feed.Streams, client.Stream{Name: "trades"})
		c := run(t, x, a, feed)
		<-x.conns
		for _, name := range []string{"trades", "nothing"} {
			if err := c.Reconcile(name); !errors.Is(err, client.ErrUnknownStream) {
				t.Errorf("%s: %v", name, err)
			}
		}
		synctest.Wait()
		compare(t, "states", []client.State{client.Reconciling, client.Live, client.Live},
			[]client.State{c.State(), c.StreamState("trades"), c.StreamState("nothing")})
	})
}

// TestStreamsAreReconciledApart has a gap in one stream leave another one alone.
func TestStreamsAreReconciledApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		btc, eth := make(snapshots, 10), make(snapshots, 10)
		c := run(t, x, a, client.Feed{Streams: []client.Stream{
			{Name: "btc", Snapshot: btc.fetch, Restore: a.restore}, {Name: "eth", Snapshot: eth.fetch, Restore: a.restore},
		}})
		ws := <-x.conns
		btc.give(1)
		eth.give(1)
		synctest.Wait()
		a.noted()
		a.changed()
		send(t, ws, "btc 3 3", "eth 2 2", "btc 4 4", "eth 3 3")
		synctest.Wait()
		compare(t, "what the application sees", []string{"eth 2 2", "eth 3 3"}, a.noted())
		btc.give(3)
		time.Sleep(time.Second)
		synctest.Wait()
		compare(t, "what the application sees", []string{"btc = 3", "btc 4 4"}, a.noted())
		compare(t, "changes", []string{"btc reconciling", "reconciling", "btc live", "live"}, a.changed())
		compare(t, "state", client.Live, c.State())
	})
}
