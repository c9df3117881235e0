package client_test

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sockscope/sockscope/instrument/client"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

var update = flag.Bool("update", false, "rewrite the files in testdata with what the tests get")

// exposition returns everything that a scrape of the collectors gets.
func exposition(t *testing.T, collectors ...prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	for _, c := range collectors {
		if err := registry.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("scrape answered %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// compareWithFile compares all of got with a file in testdata.
func compareWithFile(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("exposition differs from %s, -want +got:\n%s", path, diff)
	}
}

func fresh(t *testing.T, name string) *client.Client {
	t.Helper()
	a := new(consumer)
	c, err := client.New("wss://exchange.example/feed", client.Feed{
		Streams: []client.Stream{{Name: "book", Expect: time.Second}, {Name: "trades"}},
		Decode:  decode,
		Handle:  a.handle,
	}, client.WithName(name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFreshClient(t *testing.T) {
	c := fresh(t, "exchange")
	compareWithFile(t, "fresh.txt", exposition(t, c))
	problems, err := testutil.CollectAndLint(c)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

// TestEverythingMoves drives every metric and compares the whole exposition. The clock is the bubble's, so durations
// and timestamps are exact.
func TestEverythingMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
		x.refuse(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(20 * time.Millisecond)
			w.WriteHeader(http.StatusUnauthorized)
		}, status(503, "Retry-After", "3"))
		feed := book(a, s)
		feed.Streams[0].Expect, feed.Streams[0].Tolerate = 30*time.Second, true
		feed.Streams = append(feed.Streams, client.Stream{Name: "trades"})
		feed.Decode = func(events []client.Event, typ client.MessageType, payload []byte) ([]client.Event, error) {
			events, err := decode(events, typ, payload)
			for i := range events {
				events[i].Time = time.Now().Add(-40 * time.Millisecond)
				if events[i].Stream == "trades" {
					events[i].Time = time.Now().Add(time.Hour) // a clock that is ahead
				}
			}
			return events, err
		}
		c := run(t, x, a, feed, client.WithBackoff(time.Second, 8*time.Second), client.WithHeartbeat(10*time.Second, time.Second))
		ws := <-x.conns // after 6 s and 4 s
		time.Sleep(200 * time.Millisecond)
		send(t, ws, "book 1 1")
		s.give(0)
		synctest.Wait()
		send(t, ws, "book 2 2", "book 2 2", "trades 5 5", "trades 9 9", "trades 7 7", "nonsense", "unheard 1 1")
		synctest.Wait()
		send(t, ws, "book 5 5")
		s <- func() (client.Snapshot, error) { return client.Snapshot{Last: 5, Value: "drifted"}, nil }
		time.Sleep(time.Second) // the second reconciliation waits
		synctest.Wait()
		if err := c.Reconcile("book"); err != nil {
			t.Error(err)
		}
		s.give(5)
		time.Sleep(time.Minute)
		synctest.Wait()
		compareWithFile(t, "everything.txt", exposition(t, c))
	})
}

// TestOutageGrows sees the time without a connection grow at each scrape.
func TestOutageGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const metric = "websocket_client_disconnected_seconds_total{}"
		x, a := newExchange(t), new(consumer)
		x.refuse(status(503, "Retry-After", "100"))
		c := run(t, x, a, client.Feed{}, client.WithBackoff(time.Second, 8*time.Second))
		time.Sleep(30 * time.Second)
		compare(t, "while waiting", 30.0, realtimetest.Metrics(t, c)[metric])
		time.Sleep(30 * time.Second)
		compare(t, "while waiting", 60.0, realtimetest.Metrics(t, c)[metric])
		ws := <-x.conns
		time.Sleep(time.Hour)
		compare(t, "while connected", 100.5, realtimetest.Metrics(t, c)[metric])
		_ = ws.CloseNow()
		<-x.conns
		synctest.Wait()
		compare(t, "connected again", 101.0, realtimetest.Metrics(t, c)[metric])
		_ = c.stop()
		time.Sleep(time.Hour)
		compare(t, "while closed", 101.0, realtimetest.Metrics(t, c)[metric])
	})
}

// TestStopInEveryState has ctx end in every state, at once and without leaving anything behind.
func TestStopInEveryState(t *testing.T) {
	hangs := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	tests := map[string]struct {
		answer http.HandlerFunc
		alter  func(*client.Feed)
		opts   []client.Option
		send   []string
		state  client.State
	}{
		"waiting":    {answer: status(503), state: client.Waiting},
		"connecting": {answer: hangs, state: client.Connecting},
		"fetching a token": {
			opts: []client.Option{client.WithEndpoint(func(ctx context.Context) (client.Endpoint, error) {
				<-ctx.Done()
				return client.Endpoint{}, ctx.Err()
			})}, state: client.Connecting,
		},
		"subscribing": {
			alter: func(f *client.Feed) {
				f.Subscribe = func(ctx context.Context, _ client.Sender) error {
					<-ctx.Done()
					return ctx.Err()
				}
			}, state: client.Connecting,
		},
		"reconciling": {state: client.Reconciling},
		"restoring": {
			alter: func(f *client.Feed) {
				f.Streams[0].Snapshot = func(context.Context, string) (client.Snapshot, error) { return client.Snapshot{}, nil }
				f.Streams[0].Restore = func(ctx context.Context, _ string, _ client.Snapshot) (bool, error) {
					<-ctx.Done()
					return false, nil
				}
			}, state: client.Reconciling,
		},
		"stale": {
			alter: func(f *client.Feed) {
				f.Streams = []client.Stream{{Name: "book", Expect: time.Nanosecond, Tolerate: true}}
			}, state: client.Stale,
		},
		"live": {alter: func(f *client.Feed) { f.Streams = nil }, state: client.Live},
		"waiting for the handler": {
			alter: func(f *client.Feed) {
				f.Streams = nil
				f.Handle = func(ctx context.Context, _ client.Event) error {
					<-ctx.Done()
					return ctx.Err()
				}
			}, opts: []client.Option{client.WithQueue(1, time.Hour)}, send: []string{"a 1 1", "b 1 1", "c 1 1"}, state: client.Live,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a, s := newExchange(t), new(consumer), make(snapshots, 10)
				if test.answer != nil {
					x.refuse(test.answer)
				}
				feed := book(a, s)
				if test.alter != nil {
					test.alter(&feed)
				}
				c := run(t, x, a, feed, test.opts...)
				time.Sleep(time.Millisecond)
				synctest.Wait()
				if len(test.send) > 0 {
					send(t, <-x.conns, test.send...)
					synctest.Wait()
				}
				compare(t, "state", test.state, c.State())
				start := time.Now()
				err := c.stop()
				if err == nil || err.Error() != "client test: context canceled" {
					t.Errorf("Run returned %v", err)
				}
				compare(t, "time to stop", time.Duration(0), time.Since(start))
				compare(t, "state", client.Closed, c.State())
				for name, v := range counts(t, c) {
					if strings.HasPrefix(name, "disconnections_total") && name != "disconnections_total local normal" {
						t.Errorf("%s: %v", name, v)
					}
				}
			})
		})
	}
}
