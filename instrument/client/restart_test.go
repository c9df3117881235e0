package client_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument/client"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// numbers sends events with numbers from first to last, one every 300 ms.
func numbers(t *testing.T, ws *websocket.Conn, first, last int) {
	t.Helper()
	for i := first; i <= last; i++ {
		send(t, ws, fmt.Sprintf("book %d 0", i))
		time.Sleep(300 * time.Millisecond)
	}
	synctest.Wait()
}

// sendApart sends messages, each when everything is done about the one before.
func sendApart(t *testing.T, ws *websocket.Conn, messages ...string) {
	t.Helper()
	for _, m := range messages {
		synctest.Wait()
		send(t, ws, m)
	}
	synctest.Wait()
}

// seen returns the notes about events of the book, from first to last.
func seen(first, last int) (notes []string) {
	for i := first; i <= last; i++ {
		notes = append(notes, fmt.Sprintf("book %d 0", i))
	}
	return notes
}

// TestFieldCase12 restarts the numbers of a stream on one connection: 5001, 5002, 1, 2. Even if the decoder says
// nothing about it, the stream is not live while it drops all events.
func TestFieldCase12(t *testing.T) {
	const connect = "reconciliations_total ok connect"
	const took = "reconciliation_duration_seconds_count"
	tests := map[string]struct {
		stream client.Stream // Snapshot and Restore stand for those of the test
		given  []uint64      // snapshots
		play   func(t *testing.T, ws *websocket.Conn)
		notes  []string
		state  client.State
		counts map[string]float64
	}{
		"a snapshot among the events says so": {
			stream: client.Stream{Restore: wanted},
			play: func(t *testing.T, ws *websocket.Conn) {
				sendApart(t, ws, "book 5000 0 snapshot", "book 5001 0", "book 5002 0", "book 1 0 snapshot", "book 2 0")
			},
			notes:  []string{"book = 5000", "book 5001 0", "book 5002 0", "book = 1", "book 2 0"},
			state:  client.Live,
			counts: map[string]float64{connect: 1, "reconciliations_total ok restart": 1, took: 2},
		},
		"a snapshot among the events of a stream that fetches": {
			stream: client.Stream{Snapshot: fetched, Restore: wanted},
			given:  []uint64{5000},
			play: func(t *testing.T, ws *websocket.Conn) {
				sendApart(t, ws, "book 5001 0", "book 1 0 snapshot", "book 2 0")
			},
			notes:  []string{"book = 5000", "book 5001 0", "book = 1", "book 2 0"},
			state:  client.Live,
			counts: map[string]float64{connect: 1, "reconciliations_total ok restart": 1, took: 2},
		},
		"the decoder says so": {
			stream: client.Stream{Snapshot: fetched, Restore: wanted},
			given:  []uint64{5000, 2},
			play: func(t *testing.T, ws *websocket.Conn) {
				sendApart(t, ws, "book 5001 0", "book 1 0 restart", "book 2 0", "book 3 0")
			},
			notes:  []string{"book = 5000", "book 5001 0", "book = 2", "book 3 0"},
			state:  client.Live,
			counts: map[string]float64{connect: 1, "reconciliations_total ok restart": 1, took: 2, "superseded_total book": 2},
		},
		"the decoder says so, without snapshots": {
			play: func(t *testing.T, ws *websocket.Conn) {
				sendApart(t, ws, "book 5001 0", "book 1 0 restart", "book 2 0", "book 2 0")
			},
			notes:  []string{"book 5001 0", "book 1 0 restart", "book 2 0"},
			state:  client.Live,
			counts: map[string]float64{"duplicates_total book": 1},
		},
		"nobody says so": {
			stream: client.Stream{Snapshot: fetched, Restore: wanted},
			given:  []uint64{5000, 5},
			play: func(t *testing.T, ws *websocket.Conn) {
				numbers(t, ws, 5001, 5002)
				numbers(t, ws, 1, 6)
			},
			notes:  append([]string{"book = 5000"}, "book 5001 0", "book 5002 0", "book = 5", "book 6 0"),
			state:  client.Live,
			counts: map[string]float64{connect: 1, "reconciliations_total ok restart": 1, took: 2, "superseded_total book": 5},
		},
		"nobody says so, with a snapshot that is old": {
			stream: client.Stream{Snapshot: fetched, Restore: wanted},
			given:  []uint64{5000, 3, 5}, // 5 was received before it asks again
			play: func(t *testing.T, ws *websocket.Conn) {
				numbers(t, ws, 5001, 5002)
				numbers(t, ws, 1, 6)
			},
			notes: append([]string{"book = 5000"}, "book 5001 0", "book 5002 0", "book = 5", "book 6 0"),
			state: client.Live,
			counts: map[string]float64{
				connect: 1, "reconciliations_total behind restart": 1, "reconciliations_total ok restart": 1, took: 2,
				"superseded_total book": 5,
			},
		},
		"nobody says so, without snapshots": {
			play: func(t *testing.T, ws *websocket.Conn) {
				numbers(t, ws, 5001, 5002)
				numbers(t, ws, 1, 6)
			},
			notes:  seen(5001, 5002),
			state:  client.Stale,
			counts: map[string]float64{"duplicates_total book": 6, "stale book": 1},
		},
		"nobody says so, and they get there again": {
			play: func(t *testing.T, ws *websocket.Conn) {
				numbers(t, ws, 7, 9)
				numbers(t, ws, 1, 10)
			},
			notes:  seen(7, 10),
			state:  client.Live,
			counts: map[string]float64{"duplicates_total book": 9},
		},
		"a replay at once": {
			play: func(t *testing.T, ws *websocket.Conn) {
				sendApart(t, ws, "book 7 0", "book 8 0", "book 9 0", "book 6 0", "book 7 0", "book 8 0", "book 9 0")
			},
			notes:  seen(7, 9),
			state:  client.Live,
			counts: map[string]float64{"duplicates_total book": 4},
		},
		"the newest is repeated": {
			play: func(t *testing.T, ws *websocket.Conn) {
				sendApart(t, ws, "book 8 0")
				for range 10 {
					numbers(t, ws, 8, 8)
				}
			},
			notes:  seen(8, 8),
			state:  client.Live,
			counts: map[string]float64{"duplicates_total book": 10},
		},
		"the snapshot is far ahead": {
			stream: client.Stream{Snapshot: fetched, Restore: wanted},
			given:  []uint64{20},
			play:   func(t *testing.T, ws *websocket.Conn) { numbers(t, ws, 1, 21) },
			notes:  []string{"book = 20", "book 21 0"},
			state:  client.Live,
			counts: map[string]float64{connect: 1, took: 1, "superseded_total book": 20},
		},
		"invalid snapshot and restart": {
			stream: client.Stream{Restore: wanted},
			play: func(t *testing.T, ws *websocket.Conn) {
				sendApart(t, ws, "book 5 0 snapshot", "book 9 1 snapshot", "book 9 1 restart", "book 6 0")
			},
			notes:  []string{"book = 5", "book 6 0"},
			state:  client.Live,
			counts: map[string]float64{connect: 1, took: 1, "errors_total decode": 2},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
				st := test.stream
				st.Name = "book"
				if st.Restore != nil {
					st.Restore = a.restore
				}
				if st.Snapshot != nil {
					st.Snapshot = s.fetch
				}
				for _, last := range test.given {
					s.give(last)
				}
				c := run(t, x, a, client.Feed{Streams: []client.Stream{st}}, client.WithHeartbeat(0, 0))
				ws := <-x.conns
				synctest.Wait()
				test.play(t, ws)
				time.Sleep(time.Second)
				synctest.Wait()
				compare(t, "what the application sees", test.notes, a.noted())
				compare(t, "state", test.state, c.StreamState("book"))
				compare(t, "metrics", test.counts, counts(t, c))
				compare(t, "requests", 1, len(x.asked()))
			})
		})
	}
}

// wanted and fetched stand for the functions that a test gives to a stream.
func wanted(context.Context, string, client.Snapshot) (bool, error)  { return false, nil }
func fetched(context.Context, string) (s client.Snapshot, err error) { return s, nil }

// TestFieldCase12NotFresh has the timestamp of a stream stand still while all that comes is dropped.
func TestFieldCase12NotFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const metric = `websocket_client_last_message_timestamp_seconds{stream="book"}`
		x, a := newExchange(t), new(consumer)
		c := run(t, x, a, client.Feed{Streams: []client.Stream{{Name: "book"}}})
		ws := <-x.conns
		numbers(t, ws, 5001, 5001)
		newest := realtimetest.Metrics(t, c)[metric]
		numbers(t, ws, 1, 9)
		compare(t, "newest", newest, realtimetest.Metrics(t, c)[metric])
		compare(t, "records", 1, len(a.logged("stream stale")))
	})
}

// TestFieldCase12Expect has the stale watch replace the connection of a stream that drops all that comes.
func TestFieldCase12Expect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		c := run(t, x, a, client.Feed{Streams: []client.Stream{{Name: "book", Expect: 5 * time.Second}}})
		ws := <-x.conns
		numbers(t, ws, 5001, 5001)
		for i := 1; len(x.asked()) == 1; i++ {
			if i == 100 {
				t.Fatal("the connection is still the same")
			}
			_ = ws.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, "book %d 0", i))
			time.Sleep(300 * time.Millisecond)
		}
		numbers(t, <-x.conns, 17, 18)
		compare(t, "state", client.Live, c.State())
		compare(t, "what the application sees", append(seen(5001, 5001), seen(17, 18)...), a.noted())
		compare(t, "ended", 1.0, counts(t, c)["disconnections_total local idle_timeout"])
	})
}

// TestFieldCase12Reconcile has the application ask for a snapshot whose number is lower, because it knows better.
func TestFieldCase12Reconcile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
		s.give(5000)
		c := run(t, x, a, book(a, s))
		ws := <-x.conns
		synctest.Wait()
		s <- func() (client.Snapshot, error) { return client.Snapshot{Last: 3, Restart: true}, nil }
		if err := c.Reconcile("book"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		send(t, ws, "book 4 0")
		synctest.Wait()
		compare(t, "what the application sees", []string{"book = 5000", "book = 3", "book 4 0"}, a.noted())
		compare(t, "number", uint64(4), c.LastNumber("book"))
		compare(t, "state", client.Live, c.State())
	})
}

// TestFieldCase13Snapshot has a snapshot with an invalid number, which is fetched again.
func TestFieldCase13Snapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
		s.give(1 << 63)
		s.give(5)
		c := run(t, x, a, book(a, s))
		<-x.conns
		time.Sleep(time.Second)
		synctest.Wait()
		compare(t, "what the application sees", []string{"book = 5"}, a.noted())
		compare(t, "state", client.Live, c.State())
		compare(t, "metrics", map[string]float64{
			"reconciliations_total error connect": 1, "reconciliations_total ok connect": 1, "reconciliation_duration_seconds_count": 1,
		}, counts(t, c))
	})
}

// asking is a stream whose snapshots come among its events, and the requests for them.
func asking(a *consumer, err error) client.Stream {
	return client.Stream{Name: "book", Restore: a.restore, Resubscribe: func(ctx context.Context, stream string, to client.Sender) error {
		return errors.Join(to.Send(ctx, websocket.MessageText, []byte("again "+stream)), err)
	}}
}

// TestSnapshotsAmongTheEvents drives a stream whose snapshots come among its events.
func TestSnapshotsAmongTheEvents(t *testing.T) {
	const connect, took = "reconciliations_total ok connect", "reconciliation_duration_seconds_count"
	type step struct {
		send []string
		wait time.Duration
	}
	tests := map[string]struct {
		fails  error
		steps  []step
		notes  []string
		asked  []string
		state  client.State
		counts map[string]float64
	}{
		"events before it are left out": {
			steps:  []step{{send: []string{"book 3 0", "book 4 0", "book 4 0 snapshot", "book 5 0"}}},
			notes:  []string{"book = 4", "book 5 0"},
			state:  client.Live,
			counts: map[string]float64{connect: 1, took: 1, "superseded_total book": 2},
		},
		"no numbers at all": {
			steps:  []step{{send: []string{"book 0 0", "book 0 0 snapshot", "book 0 0", "book 0 0 snapshot", "book 0 0"}}},
			notes:  []string{"book = 0", "book 0 0", "book = 0", "book 0 0"},
			state:  client.Live,
			counts: map[string]float64{connect: 1, "reconciliations_total ok restart": 1, took: 2, "superseded_total book": 1},
		},
		"every event is one": {
			steps: []step{{send: []string{
				"book 7 0 snapshot", "book 8 0 snapshot", "book 8 0 snapshot", "book 9 0 snapshot", "book 20 0 snapshot",
			}}},
			notes:  []string{"book = 7", "book = 8", "book = 8", "book = 9", "book = 20"},
			state:  client.Live,
			counts: map[string]float64{connect: 1, "reconciliations_total ok restart": 1, took: 2},
		},
		"gap": {
			steps: []step{
				{send: []string{"book 4 0 snapshot", "book 5 0", "book 7 0", "book 8 0"}, wait: time.Second},
				{send: []string{"book 9 0", "book 9 0 snapshot", "book 10 0"}},
			},
			notes: []string{"book = 4", "book 5 0", "book = 9", "book 10 0"},
			asked: []string{"again book"},
			state: client.Live,
			counts: map[string]float64{
				connect: 1, "reconciliations_total ok gap": 1, took: 2, "superseded_total book": 3,
				"sequence_gaps_total book": 1, "missing_messages_total book": 1,
			},
		},
		"it does not come": {
			steps:  []step{{wait: 12 * time.Second}, {send: []string{"book 4 0 snapshot"}}},
			notes:  []string{"book = 4"},
			asked:  []string{"again book"},
			state:  client.Live,
			counts: map[string]float64{connect: 1, "reconciliations_total error connect": 1, took: 1},
		},
		"it cannot be asked for": {
			fails:  errors.New("refused"),
			steps:  []step{{wait: 11 * time.Second}},
			asked:  []string{"again book", "again book", "again book"},
			state:  client.Reconciling,
			counts: map[string]float64{"reconciliations_total error connect": 4}, // after 10 s, then 125, 250 and 500 ms
		},
		"numbers begin anew and nobody says so": {
			steps: []step{
				{send: []string{"book 4 0 snapshot", "book 1 0", "book 1 0"}, wait: 2 * time.Second},
				{send: []string{"book 2 0"}, wait: time.Second},
				{send: []string{"book 3 0 snapshot", "book 4 0"}},
			},
			notes: []string{"book = 4", "book = 3", "book 4 0"},
			asked: []string{"again book"},
			state: client.Live,
			counts: map[string]float64{
				connect: 1, "reconciliations_total ok restart": 1, took: 2, "superseded_total book": 3,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a := newExchange(t), new(consumer)
				c := run(t, x, a, client.Feed{Streams: []client.Stream{asking(a, test.fails)}})
				ws := <-x.conns
				synctest.Wait()
				for _, step := range test.steps {
					sendApart(t, ws, step.send...)
					time.Sleep(step.wait)
					synctest.Wait()
				}
				compare(t, "what the application sees", test.notes, a.noted())
				compare(t, "state", test.state, c.StreamState("book"))
				compare(t, "metrics", test.counts, counts(t, c))
				compare(t, "asked", test.asked, x.received)
			})
		})
	}
}

// TestSnapshotBeforeTheAnswer has the first snapshot come before Subscribe has returned.
func TestSnapshotBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		answered := make(chan struct{})
		c := run(t, x, a, client.Feed{
			Streams:   []client.Stream{asking(a, nil)},
			Subscribe: func(context.Context, client.Sender) error { <-answered; return nil },
		})
		ws := <-x.conns
		send(t, ws, "book 4 0 snapshot", "book 5 0", "book 6 0")
		time.Sleep(time.Second)
		synctest.Wait()
		compare(t, "state before the answer", client.Connecting, c.State())
		compare(t, "what the application sees", 0, len(a.noted()))
		close(answered)
		synctest.Wait()
		compare(t, "what the application sees", []string{"book = 4", "book 5 0", "book 6 0"}, a.noted())
		compare(t, "state", client.Live, c.State())
		compare(t, "asked", 0, len(x.received))
	})
}

// TestSnapshotOfALostConnection has the connection end before Subscribe has returned: the snapshot is of no use on the
// next one.
func TestSnapshotOfALostConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		answered := make(chan struct{})
		c := run(t, x, a, client.Feed{
			Streams: []client.Stream{asking(a, nil)},
			Subscribe: func(ctx context.Context, _ client.Sender) error {
				select {
				case <-answered:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			},
		})
		ws := <-x.conns
		sendApart(t, ws, "book 4 0 snapshot", "book 5 0")
		_ = ws.CloseNow()
		ws = <-x.conns
		close(answered)
		sendApart(t, ws, "book 5 0")
		compare(t, "state", client.Reconciling, c.State())
		sendApart(t, ws, "book 2 0 snapshot")
		compare(t, "state", client.Live, c.State())
		compare(t, "what the application sees", []string{"book = 2"}, a.noted())
	})
}

// TestSnapshotForASlowHandler has a snapshot come among the events while the handler is too slow for what was before.
func TestSnapshotForASlowHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		g := gate{a, make(chan struct{})}
		c := run(t, x, a, client.Feed{Streams: []client.Stream{asking(a, nil)}, Handle: g.handle}, client.WithQueue(2, 0))
		ws := <-x.conns
		for _, m := range []string{"1 0 snapshot", "2 0", "3 0", "4 0", "5 0", "6 0 snapshot", "7 0"} {
			send(t, ws, "book "+m)
			synctest.Wait()
		}
		compare(t, "state", client.Reconciling, c.State())
		close(g.open)
		synctest.Wait()
		compare(t, "what the application sees", []string{"book = 1", "book 2 0", "book = 6", "book 7 0"}, a.noted())
		compare(t, "state", client.Live, c.State())
		compare(t, "asked", 0, len(x.received))
		compare(t, "superseded", 3.0, counts(t, c)["superseded_total book"])
	})
}

// TestTooMuchForASlowHandler has more come after such a snapshot than is held back: another one is asked for.
func TestTooMuchForASlowHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		g := gate{a, make(chan struct{})}
		c := run(t, x, a, client.Feed{Streams: []client.Stream{asking(a, nil)}, Handle: g.handle},
			client.WithQueue(2, 0), client.WithBuffer(2))
		ws := <-x.conns
		sendApart(t, ws, "book 1 0 snapshot", "book 2 0", "book 3 0", "book 4 0", "book 5 0")
		sendApart(t, ws, "book 6 0 snapshot", "book 7 0", "book 8 0", "book 9 0", "book 10 0")
		time.Sleep(time.Second)
		compare(t, "asked", 0, len(x.received))
		close(g.open)
		time.Sleep(time.Second)
		synctest.Wait()
		compare(t, "asked", []string{"again book"}, x.received)
		sendApart(t, ws, "book 10 0 snapshot", "book 11 0")
		compare(t, "what the application sees", []string{"book = 1", "book 2 0", "book = 10", "book 11 0"}, a.noted())
		compare(t, "state", client.Live, c.State())
		compare(t, "superseded", 7.0, counts(t, c)["superseded_total book"])
	})
}

// TestWithoutResubscribe replaces the connection when another snapshot is needed.
func TestWithoutResubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		c := run(t, x, a, client.Feed{Streams: []client.Stream{{Name: "book", Restore: a.restore}}})
		sendApart(t, <-x.conns, "book 4 0 snapshot", "book 6 0")
		ws := <-x.conns
		send(t, ws, "book 9 0 snapshot", "book 10 0")
		synctest.Wait()
		compare(t, "what the application sees", []string{"book = 4", "book = 9", "book 10 0"}, a.noted())
		got := counts(t, c)
		maps.DeleteFunc(got, func(_ string, n float64) bool { return n == 0 })
		compare(t, "metrics", map[string]float64{
			"disconnections_total local other": 1, "sequence_gaps_total book": 1, "missing_messages_total book": 1,
			"reconciliations_total ok connect": 1, "reconciliations_total aborted gap": 1,
			"reconciliations_total ok reconnect": 1, "reconciliation_duration_seconds_count": 2, "superseded_total book": 1,
		}, got)
	})
}

// TestFieldCase13Refused has a server send invalid ranges. They are refused, and a stream that has nothing else is not
// live.
func TestFieldCase13Refused(t *testing.T) {
	for name, test := range map[string]struct {
		snapshots bool
		state     client.State
		counts    map[string]float64
	}{
		"without snapshots": {false, client.Stale, map[string]float64{"errors_total decode": 5, "stale book": 1}},
		"with snapshots": {true, client.Reconciling, map[string]float64{
			"errors_total decode": 5, "reconciliations_total ok connect": 1, "reconciliation_duration_seconds_count": 1,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
				feed := client.Feed{Streams: []client.Stream{{Name: "book"}}}
				if test.snapshots {
					feed = book(a, s)
					s.give(5)
				}
				c := run(t, x, a, feed)
				ws := <-x.conns
				synctest.Wait()
				send(t, ws, "book 6 0", "book 9 7")
				synctest.Wait()
				compare(t, "state after the first", client.Live, c.State())
				for _, m := range []string{"book 0 8", "book 9223372036854775808 0", "book 7 18446744073709551615", "book 1 18446744073709551615"} {
					send(t, ws, m)
					time.Sleep(400 * time.Millisecond)
				}
				synctest.Wait()
				notes := a.noted()
				compare(t, "what the application sees", "book 6 0", notes[len(notes)-1])
				compare(t, "state", test.state, c.State())
				compare(t, "metrics", test.counts, counts(t, c))
				record := a.logged("message not understood")[0]
				compare(t, "record", "sequence numbers are invalid: Decode must make others of them, see Sequence.Observe: 9 to 7", record["error"])
				compare(t, "record", "book", record["stream"])
				send(t, ws, "book 7 0")
				s.give(7)
				time.Sleep(time.Second)
				synctest.Wait()
				compare(t, "state in the end", client.Live, c.State())
			})
		})
	}
}

// TestNotUnderstood has nothing come that Decode understands: what is held may be old, so no stream is live until there
// is something again, whatever stream it is of.
func TestNotUnderstood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
		feed := book(a, s)
		feed.Streams = append(feed.Streams, client.Stream{Name: "news"})
		s.give(5)
		s.give(6)
		c := run(t, x, a, feed)
		ws := <-x.conns
		synctest.Wait()
		for range 4 {
			send(t, ws, "nonsense", "ack")
			time.Sleep(400 * time.Millisecond)
		}
		synctest.Wait()
		states := func() []client.State {
			return []client.State{c.StreamState("book"), c.StreamState("news"), c.StreamState("of no name"), c.State()}
		}
		compare(t, "states", []client.State{client.Stale, client.Stale, client.Stale, client.Stale}, states())
		compare(t, "records", 3, len(a.logged("stream stale")))
		send(t, ws, "news 1 0")
		time.Sleep(time.Second)
		synctest.Wait()
		compare(t, "states", []client.State{client.Live, client.Live, client.Live, client.Live}, states())
		compare(t, "what the application sees", []string{"book = 5", "news 1 0", "book = 6"}, a.noted())
		compare(t, "reconciled", 1.0, counts(t, c)["reconciliations_total ok stale"])
		compare(t, "stale", 0.0, counts(t, c)["stale news"])
	})
}

// TestHandlerDropsAll has a handler hang, and a stream without snapshots lose all that comes: it is not live.
func TestHandlerDropsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		g := gate{a, make(chan struct{})}
		c := run(t, x, a, client.Feed{Streams: []client.Stream{{Name: "book"}}, Handle: g.handle}, client.WithQueue(1, 0))
		ws := <-x.conns
		numbers(t, ws, 1, 3)
		compare(t, "state", client.Live, c.State())
		numbers(t, ws, 4, 7)
		compare(t, "state", client.Stale, c.State())
		close(g.open)
		synctest.Wait()
		numbers(t, ws, 8, 8)
		compare(t, "state", client.Live, c.State())
		compare(t, "missing", 5.0, counts(t, c)["missing_messages_total book"])
	})
}
