package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument/client"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// TestStale lets a stream fall silent on a connection whose pings are answered.
func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		feed := client.Feed{Streams: []client.Stream{{Name: "book", Expect: 25 * time.Second}, {Name: "news"}}}
		c := run(t, x, a, feed, client.WithBackoff(time.Second, 8*time.Second))
		ws := <-x.conns
		synctest.Wait()
		for i := range 3 { // it is not silent for long enough
			time.Sleep(24 * time.Second)
			send(t, ws, fmt.Sprintf("book %d 0", i+1))
		}
		synctest.Wait()
		compare(t, "metrics", map[string]float64{}, counts(t, c))
		compare(t, "changes", []string{"book connecting", "news connecting", "connecting", "book live", "news live", "live"}, a.changed())

		time.Sleep(24 * time.Second)
		send(t, ws, "book 3 0", "news 0 0") // a duplicate is nothing new, and another stream does not count
		time.Sleep(2 * time.Second)
		synctest.Wait()
		compare(t, "metrics", map[string]float64{
			"disconnections_total local idle_timeout": 1, "duplicates_total book": 1, "stale book": 1,
		}, counts(t, c, "last_message_timestamp_seconds news"))
		compare(t, "changes", []string{
			"book stale", "stale", "book waiting", "waiting", "news waiting",
			"book connecting", "news connecting", "connecting", "book live", "news live", "live",
		}, a.changed())

		// It is silent on the next connections, too: they do not prove anything, and the waits grow.
		<-x.conns
		for range 3 {
			<-x.conns
		}
		var gaps []time.Duration
		asked := x.asked()
		for i := 1; i < len(asked); i++ {
			gaps = append(gaps, (asked[i].At - asked[i-1].At).Round(time.Millisecond))
		}
		compare(t, "between requests", []time.Duration{
			97500 * time.Millisecond, 26 * time.Second, 27 * time.Second, 29 * time.Second,
		}, gaps)
	})
}

// TestStaleInTheEnd has one connection after the other fall silent, and looks at how soon the next is made and whether
// the client gives up: that a connection has carried something is proof that it worked, that it existed is not.
func TestStaleInTheEnd(t *testing.T) {
	tests := map[string]struct {
		message string // with its number
		lasts   time.Duration
		waits   []time.Duration
		want    client.State
	}{
		"after hours":            {"book %d 0", 6 * time.Hour, []time.Duration{500, 500, 500}, client.Live},
		"after it was stable":    {"book %d 0", 10 * time.Second, []time.Duration{500, 500, 500}, client.Live},
		"before it was stable":   {"book %d 0", 9 * time.Second, []time.Duration{500, 1000}, client.Closed},
		"another one goes on":    {"news %d 0", 2 * time.Minute, []time.Duration{500, 500, 500}, client.Live},
		"it only repeats itself": {"book 1 0", 2 * time.Minute, []time.Duration{500, 1000}, client.Closed},
		"from the start":         {"ack", 2 * time.Minute, []time.Duration{500, 1000}, client.Closed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a := newExchange(t), new(consumer)
				var waits []time.Duration
				var waiting time.Time
				change := func(change client.Change) {
					switch {
					case change.Stream == "" && change.To == client.Waiting:
						waiting = time.Now()
					case change.Stream == "" && change.From == client.Waiting && change.To == client.Connecting:
						waits = append(waits, time.Since(waiting)/time.Millisecond)
					}
				}
				feed := client.Feed{Streams: []client.Stream{{Name: "book", Expect: 3 * time.Minute}, {Name: "news"}}}
				c := run(t, x, a, feed, client.WithBackoff(time.Second, 8*time.Second), client.WithMaxAttempts(3),
					client.WithStateChange(change))
				for range 4 {
					select {
					case ws := <-x.conns:
						opened := time.Now()
						for i := 1; ; i++ {
							send(t, ws, strings.ReplaceAll(test.message, "%d", fmt.Sprint(i)))
							left := test.lasts - time.Since(opened)
							if left <= 0 {
								break
							}
							time.Sleep(min(left, time.Minute))
						}
					case <-time.After(time.Hour): // it has given up
					}
				}
				synctest.Wait()
				compare(t, "waits in ms", test.waits, waits)
				compare(t, "state", test.want, c.State())
			})
		})
	}
}

func TestStaleEndsWithSomethingNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		c := run(t, x, a, client.Feed{Streams: []client.Stream{{Name: "book", Expect: 5 * time.Second}}})
		<-x.conns
		ws := <-x.conns
		synctest.Wait()
		compare(t, "stale", 1.0, counts(t, c)["stale book"])
		send(t, ws, "book 1 0")
		synctest.Wait()
		compare(t, "stale", 0.0, counts(t, c)["stale book"])
	})
}

// TestTolerate leaves the connection of a stale stream alone.
func TestTolerate(t *testing.T) {
	tests := map[string]struct {
		snapshot bool
		changes  []string
		counts   map[string]float64
	}{
		"without a snapshot": {
			changes: []string{"book live", "live"},
			counts:  map[string]float64{},
		},
		"with a snapshot": {
			snapshot: true,
			changes:  []string{"book reconciling", "reconciling", "book live", "live"},
			counts: map[string]float64{
				"reconciliations_total ok connect": 1, "reconciliations_total ok stale": 1, "reconciliation_duration_seconds_count": 2,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
				st := client.Stream{Name: "book", Expect: 5 * time.Second, Tolerate: true}
				if test.snapshot {
					st.Snapshot, st.Restore = s.fetch, a.restore
					s.give(0)
					s.give(0)
				}
				c := run(t, x, a, client.Feed{Streams: []client.Stream{st}})
				ws := <-x.conns
				synctest.Wait()
				compare(t, "state", client.Live, c.State())
				time.Sleep(time.Minute)
				synctest.Wait()
				a.changed()
				compare(t, "state", client.Stale, c.State())
				compare(t, "stale", 1.0, counts(t, c)["stale book"])

				send(t, ws, "book 1 1")
				synctest.Wait()
				compare(t, "changes", test.changes, a.changed())
				compare(t, "metrics", test.counts, counts(t, c))
				compare(t, "records", 1, len(a.logged("stream stale")))

				time.Sleep(time.Minute)
				synctest.Wait()
				compare(t, "state", client.Stale, c.State())
				compare(t, "requests", 1, len(x.asked()))
			})
		})
	}
}

// TestHeartbeat measures the round trip over a network that takes its time.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		c := run(t, x, a, client.Feed{}, client.WithHeartbeat(time.Second, time.Second))
		<-x.conns
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		compare(t, "pongs", 10.0, realtimetest.Metrics(t, c)["websocket_client_ping_rtt_seconds_count{}"])
	})
}

// TestSubscribe sends what has to be sent after each connect, and waits for the answer.
func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
		acknowledged := make(chan struct{}, 1)
		feed := book(a, s)
		feed.Subscribe = func(ctx context.Context, to client.Sender) error {
			if err := to.Send(ctx, websocket.MessageText, []byte("subscribe book")); err != nil {
				return err
			}
			select {
			case <-acknowledged:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		feed.Decode = func(events []client.Event, typ client.MessageType, payload []byte) ([]client.Event, error) {
			if string(payload) == "ack" {
				acknowledged <- struct{}{}
			}
			return decode(events, typ, payload)
		}
		c := run(t, x, a, feed)
		ws := <-x.conns
		s.give(7)
		send(t, ws, "book 7 7", "book 8 8")
		synctest.Wait()
		compare(t, "state before the answer", client.Connecting, c.State())
		send(t, ws, "ack")
		synctest.Wait()
		compare(t, "state after it", client.Live, c.State())
		compare(t, "what the application sees", []string{"book = 7", "book 8 8"}, a.noted())

		_ = ws.CloseNow()
		<-x.conns
		time.Sleep(10 * time.Second) // there is no answer
		<-x.conns
		synctest.Wait()
		compare(t, "received", []string{"subscribe book", "subscribe book", "subscribe book"}, x.received)
		compare(t, "metrics", map[string]float64{
			"disconnections_total network abnormal": 1, "disconnections_total local internal": 1,
			"reconciliations_total ok connect": 1, "reconciliation_duration_seconds_count": 1, "superseded_total book": 1,
		}, counts(t, c))
	})
}

func TestSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		x.refuse(drop)
		c := run(t, x, a, client.Feed{})
		synctest.Wait()
		if err := c.Send(t.Context(), websocket.MessageText, []byte("too early")); !errors.Is(err, client.ErrNotConnected) {
			t.Errorf("Send returned %v", err)
		}
		<-x.conns
		synctest.Wait()
		if err := c.Send(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		compare(t, "received", []string{"hello"}, x.received)
	})
}
