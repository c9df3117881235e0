package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument/client"
)

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func drop(w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
}

// TestAttempts has attempts refused and compares when the client comes back. Waits are half of their ceiling, which is
// 1 s first and 8 s at most.
func TestAttempts(t *testing.T) {
	tests := map[string]struct {
		answers []http.HandlerFunc
		at      []time.Duration
		results map[string]float64
	}{
		"network, again and again": {
			[]http.HandlerFunc{drop, drop, drop, drop, drop},
			[]time.Duration{0, 500, 1500, 3500, 7500, 11500},
			map[string]float64{"connect_attempts_total error": 5},
		},
		"503": {
			[]http.HandlerFunc{status(503)},
			[]time.Duration{0, 500},
			map[string]float64{"connect_attempts_total over_capacity": 1},
		},
		"503 with seconds": {
			[]http.HandlerFunc{status(503, "Retry-After", "20"), status(503)},
			[]time.Duration{0, 20500, 21500},
			map[string]float64{"connect_attempts_total over_capacity": 2},
		},
		"429 with a date": {
			[]http.HandlerFunc{status(429, "Retry-After", "Sun, 01 Mar 2026 12:00:30 GMT", "Date", "Sun, 01 Mar 2026 12:00:00 GMT")},
			[]time.Duration{0, 30500},
			map[string]float64{"connect_attempts_total rate_limited": 1},
		},
		"503 for a year": {
			[]http.HandlerFunc{status(503, "Retry-After", "31536000")},
			[]time.Duration{0, 600500},
			map[string]float64{"connect_attempts_total over_capacity": 1},
		},
		"401": {
			[]http.HandlerFunc{status(401), status(401)},
			[]time.Duration{0, 6000, 12000},
			map[string]float64{"connect_attempts_total unauthorized": 2, "errors_total auth": 2},
		},
		"403": {
			[]http.HandlerFunc{status(403)},
			[]time.Duration{0, 6000},
			map[string]float64{"connect_attempts_total forbidden": 1, "errors_total auth": 1},
		},
		"no WebSocket": {
			[]http.HandlerFunc{status(200), status(404)},
			[]time.Duration{0, 500, 1500},
			map[string]float64{"connect_attempts_total bad_handshake": 2},
		},
		"101 without a key": {
			[]http.HandlerFunc{status(101, "Connection", "Upgrade", "Upgrade", "websocket")},
			[]time.Duration{0, 3500}, // the transport looks for 3 s at what else there is
			map[string]float64{"connect_attempts_total bad_handshake": 1},
		},
		"no answer": {
			[]http.HandlerFunc{func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
			[]time.Duration{0, 10500},
			map[string]float64{"connect_attempts_total error": 1},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a := newExchange(t), new(consumer)
				x.refuse(test.answers...)
				c := run(t, x, a, client.Feed{}, client.WithBackoff(time.Second, 8*time.Second))
				<-x.conns
				synctest.Wait()
				var want []request
				for _, at := range test.at {
					want = append(want, request{At: at * time.Millisecond})
				}
				compare(t, "requests", want, x.asked())
				compare(t, "metrics", test.results, counts(t, c))
				compare(t, "state", client.Live, c.State())
				if got := a.logged("connect failed"); len(got) != len(test.answers) {
					t.Errorf("%d records, want %d: %v", len(got), len(test.answers), got)
				}
			})
		})
	}
}

// TestEndings has the server end connections and compares when the client comes back.
func TestEndings(t *testing.T) {
	closes := func(code websocket.StatusCode) func(*websocket.Conn) {
		return func(ws *websocket.Conn) { _ = ws.Close(code, "") }
	}
	tests := map[string]struct {
		lasts time.Duration
		end   func(*websocket.Conn)
		waits []time.Duration
	}{
		"normal":                     {0, closes(1000), []time.Duration{500, 1000, 2000, 4000, 4000}},
		"cut":                        {0, func(ws *websocket.Conn) { _ = ws.CloseNow() }, []time.Duration{500, 1000, 2000, 4000, 4000}},
		"cut after it was stable":    {10 * time.Second, func(ws *websocket.Conn) { _ = ws.CloseNow() }, []time.Duration{500, 500, 500}},
		"cut before it was stable":   {9 * time.Second, func(ws *websocket.Conn) { _ = ws.CloseNow() }, []time.Duration{500, 1000, 2000}},
		"restart":                    {0, closes(1012), []time.Duration{2500, 2500, 2500, 4000}},
		"restart of a stable one":    {time.Minute, closes(1012), []time.Duration{2500, 2500}},
		"try again later":            {0, closes(1013), []time.Duration{6000, 6000}},
		"overload of a stable one":   {time.Minute, closes(1013), []time.Duration{6000, 6000}},
		"application's own":          {0, closes(4000), []time.Duration{500, 1000}},
		"going away":                 {0, closes(1001), []time.Duration{2500, 2500, 2500, 4000}},
		"going away of a stable one": {time.Minute, closes(1001), []time.Duration{2500, 2500}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a := newExchange(t), new(consumer)
				run(t, x, a, client.Feed{}, client.WithBackoff(time.Second, 8*time.Second))
				var waits []time.Duration
				for range test.waits {
					ws := <-x.conns
					time.Sleep(test.lasts)
					synctest.Wait()
					ended := time.Now()
					test.end(ws)
					synctest.Wait()
					before := len(x.asked())
					for len(x.asked()) == before {
						time.Sleep(time.Millisecond)
						synctest.Wait()
					}
					waits = append(waits, time.Since(ended)/time.Millisecond)
				}
				compare(t, "waits in ms", test.waits, waits)
			})
		})
	}
}

func TestEndpointIsAskedForEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		x.refuse(status(401))
		calls := 0
		endpoint := func(context.Context) (client.Endpoint, error) {
			calls++
			if calls == 2 {
				return client.Endpoint{}, errors.New("no token")
			}
			return client.Endpoint{Header: http.Header{"Authorization": {fmt.Sprint("token ", calls)}}}, nil
		}
		c := run(t, x, a, client.Feed{}, client.WithEndpoint(endpoint), client.WithBackoff(time.Second, 8*time.Second))
		<-x.conns
		synctest.Wait()
		compare(t, "requests", []request{{0, "token 1"}, {7 * time.Second, "token 3"}}, x.asked())
		compare(t, "metrics", map[string]float64{
			"connect_attempts_total unauthorized": 1, "connect_attempts_total error": 1, "errors_total auth": 2,
		}, counts(t, c))
	})
}

// TestRunEnds has Run end by itself and looks at its error.
func TestRunEnds(t *testing.T) {
	revoked := errors.New("key was revoked")
	tests := map[string]struct {
		feed client.Feed
		opts []client.Option
		want []error
		text string
	}{
		"no more attempts": {
			opts: []client.Option{client.WithMaxAttempts(3)},
			want: []error{client.ErrGaveUp},
			text: "client test: client: no stable connection after the allowed number of attempts (3): " +
				"server refused the connection with 401 Unauthorized: check the credentials that WithEndpoint returns",
		},
		"permanent, from the endpoint": {
			opts: []client.Option{client.WithEndpoint(func(context.Context) (client.Endpoint, error) {
				return client.Endpoint{}, client.Permanent(revoked)
			})},
			want: []error{revoked},
			text: "client test: endpoint: key was revoked",
		},
		"panic in the endpoint": {
			opts: []client.Option{client.WithMaxAttempts(1), client.WithEndpoint(func(context.Context) (client.Endpoint, error) {
				panic("endpoint")
			})},
			want: []error{client.ErrGaveUp},
			text: "client test: client: no stable connection after the allowed number of attempts (1): endpoint: panic: endpoint",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a := newExchange(t), new(consumer)
				x.refuse(status(401), status(401), status(401))
				c, err := client.New("ws://exchange.example", client.Feed{Decode: decode, Handle: a.handle},
					append(test.opts, client.WithName("test"), client.WithDialOptions(x.dial))...)
				if err != nil {
					t.Fatal(err)
				}
				err = c.Run(t.Context())
				for _, want := range test.want {
					if !errors.Is(err, want) {
						t.Errorf("%v is not %v", err, want)
					}
				}
				if err == nil || err.Error() != test.text {
					t.Errorf("error %q, want %q", err, test.text)
				}
				compare(t, "state", client.Closed, c.State())
			})
		})
	}
}

func TestPermanentErrorWhileSubscribing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		unknown := errors.New("no such instrument")
		c, err := client.New("ws://exchange.example", client.Feed{
			Decode: decode, Handle: a.handle,
			Subscribe: func(context.Context, client.Sender) error { return client.Permanent(unknown) },
		}, client.WithDialOptions(x.dial))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); !errors.Is(err, unknown) {
			t.Errorf("Run returned %v", err)
		}
		compare(t, "metrics", map[string]float64{"disconnections_total local internal": 1}, counts(t, c))
	})
}

// TestNoSecretsInRecords looks for the token in the URL that every test uses.
func TestNoSecretsInRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		x.refuse(drop)
		run(t, x, a, client.Feed{}, client.WithBackoff(time.Second, 8*time.Second))
		<-x.conns
		synctest.Wait()
		compare(t, "records", []map[string]any{{
			"level": "WARN", "msg": "connect failed", "client": "test", "result": "error", "error": "handshake request: EOF",
		}}, a.logged("connect failed"))
	})
	_, err := client.New("ws://exchange example/feed?token=secret\n", client.Feed{})
	if want := "client: URL cannot be parsed: check it"; err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		c := run(t, x, a, client.Feed{})
		<-x.conns
		synctest.Wait()
		if err := c.Run(t.Context()); !errors.Is(err, client.ErrRunning) {
			t.Errorf("second Run returned %v", err)
		}
		if err := c.stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("another Run returned %v", err)
		}
		compare(t, "changes", []string{
			"connecting", "live", "closed", "connecting", "live", "closed",
		}, a.changed())
	})
}
