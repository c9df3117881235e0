package client_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument/client"
)

// TestFieldCase14Endpoint has a feed that takes each token once, in its URL: the client asks for another one before
// each attempt, and tells nobody.
func TestFieldCase14Endpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		x.refuse(status(401), drop)
		calls := 0
		endpoint := func(context.Context) (client.Endpoint, error) {
			switch calls++; calls {
			case 3:
				return client.Endpoint{}, &url.Error{Op: "Post", URL: "https://u:secret0@api.example/bullet/secret0?sign=secret0", Err: io.EOF}
			case 4:
				return client.Endpoint{URL: "wss:///secret0\n"}, nil
			case 6:
				return client.Endpoint{}, nil // that of New
			}
			return client.Endpoint{
				URL:    fmt.Sprintf("ws://feed%d.example/path/secret%d?token=secret%d", calls, calls, calls),
				Header: http.Header{"Authorization": {fmt.Sprint("secret", calls)}},
			}, nil
		}
		c := run(t, x, a, client.Feed{}, client.WithEndpoint(endpoint))
		_ = (<-x.conns).CloseNow()
		<-x.conns
		synctest.Wait()
		compare(t, "URLs", []string{
			"feed1.example/path/secret1?token=secret1", "feed2.example/path/secret2?token=secret2",
			"feed5.example/path/secret5?token=secret5", "exchange.example/feed?token=secret",
		}, x.urls)
		compare(t, "metrics", map[string]float64{
			"connect_attempts_total unauthorized": 1, "connect_attempts_total error": 3, "errors_total auth": 2,
			"disconnections_total network abnormal": 1,
		}, counts(t, c))
		var failed []string
		for _, r := range a.logged("connect failed") {
			failed = append(failed, r["error"].(string))
		}
		compare(t, "records", []string{
			"server refused the connection with 401 Unauthorized: check the credentials that WithEndpoint returns",
			"handshake request: EOF",
			`endpoint: Post "https://api.example": EOF`,
			"endpoint: client: URL cannot be parsed: check it",
		}, failed)
		all, err := json.Marshal(a.records)
		if err != nil || strings.Contains(string(all), "secret") {
			t.Errorf("records tell a secret: %s, %v", all, err)
		}
	})
}

// TestNoAddress has only WithEndpoint tell where to connect.
func TestNoAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		for address, want := range map[string]error{
			"":                             client.ErrGaveUp,
			"ws://exchange.example/resume": context.Canceled,
		} {
			c, err := client.New("", client.Feed{Decode: decode, Handle: a.handle}, client.WithDialOptions(x.dial),
				client.WithMaxAttempts(1), client.WithEndpoint(func(context.Context) (client.Endpoint, error) {
					return client.Endpoint{URL: address}, nil
				}))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- c.Run(ctx) }()
			synctest.Wait()
			cancel()
			if err := <-ended; !errors.Is(err, want) {
				t.Errorf("%q: Run returned %v, want %v", address, err, want)
			}
		}
	})
}

// FuzzErrorText looks for what is secret in a URL in the text of an error about it.
func FuzzErrorText(f *testing.F) {
	f.Add(false, "u:", "api.example", "/bullet", "?sign=")
	f.Add(true, "", "api.example:8443", "", "?a='\"b ")
	f.Add(true, "", "[::1]:80", "/a b/", "#")
	f.Fuzz(func(t *testing.T, secure bool, user, host, path, query string) {
		u := url.URL{Scheme: "ws", User: url.UserPassword(user, "SECRET"), Host: host, Path: path + "/SECRET", RawQuery: query + "SECRET"}
		if secure {
			u.Scheme = "https"
		}
		if _, err := url.Parse(u.String()); err != nil || strings.Contains(host, "SECRET") {
			return // no request was made for it
		}
		err := fmt.Errorf("connect: %w", &url.Error{Op: "Get", URL: u.String(), Err: io.EOF})
		if text := client.ErrorText(err); strings.Contains(text, "SECRET") {
			t.Errorf("%q becomes %q", err, text)
		}
	})
}

// TestFieldCase14Reconnect has the application ask for another connection.
func TestFieldCase14Reconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		x.refuse(status(503))
		c := run(t, x, a, client.Feed{Streams: []client.Stream{{Name: "book"}}}, client.WithBackoff(time.Second, time.Minute))
		c.Reconnect() // there is none
		ws := <-x.conns
		time.Sleep(time.Minute)
		asked := time.Since(x.started)
		c.Reconnect()
		c.Reconnect() // once is enough
		if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
			t.Logf("the server's reader had it first: %v", err)
		}
		<-x.conns
		synctest.Wait()
		requests := x.asked()
		compare(t, "requests", 3, len(requests))
		compare(t, "wait", 500*time.Millisecond, requests[2].At-asked)
		compare(t, "state", client.Live, c.State())
		compare(t, "metrics", map[string]float64{
			"connect_attempts_total over_capacity": 1, "disconnections_total local normal": 1,
		}, counts(t, c))
		compare(t, "records", "the application asked for another connection", a.logged("connection closed")[0]["error"])
	})
}

// TestFieldCase14Silence takes anything that is received as a sign of life, instead of pongs.
func TestFieldCase14Silence(t *testing.T) {
	signs := map[string]func(*testing.T, *websocket.Conn){
		"messages": func(t *testing.T, ws *websocket.Conn) { send(t, ws, "ack") },
		"pings": func(t *testing.T, ws *websocket.Conn) {
			if err := ws.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		},
	}
	for name, sign := range signs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a := newExchange(t), new(consumer)
				c := run(t, x, a, client.Feed{}, client.WithHeartbeat(0, 5*time.Second))
				ws := <-x.conns
				for range 10 {
					time.Sleep(4 * time.Second)
					sign(t, ws)
				}
				synctest.Wait()
				compare(t, "requests", 1, len(x.asked()))
				silent := time.Now()
				<-x.conns
				if after := time.Since(silent).Truncate(time.Second); after != 5*time.Second {
					t.Errorf("the connection was given up after %v", after)
				}
				compare(t, "metrics", map[string]float64{"disconnections_total local idle_timeout": 1}, counts(t, c))
			})
		})
	}
}

// TestNoPings leaves a silent connection alone.
func TestNoPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		c := run(t, x, a, client.Feed{}, client.WithHeartbeat(0, 0))
		<-x.conns
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		compare(t, "requests", 1, len(x.asked()))
		compare(t, "state", client.Live, c.State())
	})
}

// TestBusyIsNotSilent has the client be too busy to read: that is no silence of the server.
func TestBusyIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := new(consumer)
		feed := client.Feed{Decode: func(events []client.Event, typ client.MessageType, payload []byte) ([]client.Event, error) {
			time.Sleep(20 * time.Second)
			return decode(events, typ, payload)
		}}
		for _, pings := range []time.Duration{0, 3 * time.Second} {
			x := newExchange(t)
			c := run(t, x, a, feed, client.WithHeartbeat(pings, 5*time.Second))
			ws := <-x.conns
			go func() {
				for range 5 {
					_ = ws.Write(context.Background(), websocket.MessageText, []byte("ack"))
				}
			}()
			time.Sleep(80 * time.Second)
			synctest.Wait()
			compare(t, "requests", 1, len(x.asked()))
			compare(t, "state", client.Live, c.State())
			_ = c.stop()
		}
	})
}

// TestBusyBeforeThePong has the client become too busy to see whether a ping is answered that it has sent.
func TestBusyBeforeThePong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a, busy := newExchange(t), new(consumer), 20*time.Second
		x.refuse(func(w http.ResponseWriter, r *http.Request) {
			var conn net.Conn
			var buffered *bufio.ReadWriter
			if _, err := websocket.Accept(hijacked{w, &conn, &buffered}, r, nil); err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			time.Sleep(2 * time.Second)
			_, _ = buffered.Peek(1) // the ping
			for range 2 {
				_, _ = conn.Write([]byte{0x81, 3, 'a', 'c', 'k'})
			}
			_, _ = io.Copy(io.Discard, buffered)
		})
		feed := client.Feed{Decode: func(events []client.Event, _ client.MessageType, _ []byte) ([]client.Event, error) {
			time.Sleep(busy)
			busy = 0
			return events, nil
		}}
		c := run(t, x, a, feed, client.WithHeartbeat(3*time.Second, 5*time.Second))
		time.Sleep(25 * time.Second) // the next ping is on its way
		compare(t, "requests", 1, len(x.asked()))
		compare(t, "state", client.Live, c.State())
	})
}

// TestFieldCase14NoPong has a server that never answers pings while data flows, and then falls silent.
func TestFieldCase14NoPong(t *testing.T) {
	const events = 100 // in twice the timeout
	var requests, handled atomic.Int32
	again, enough := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 2 {
			close(again)
		}
		conn, buffered := raw(t, w, r)
		defer conn.Close()
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_, _ = io.Copy(io.Discard, buffered)
		}()
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for range events {
			<-ticker.C
			_, _ = conn.Write([]byte{0x81, 8, 'b', 'o', 'o', 'k', ' ', '0', ' ', '0'})
		}
		<-gone
	}))
	a := new(consumer)
	feed := client.Feed{Decode: decode, Handle: func(context.Context, client.Event) error {
		if handled.Add(1) == events {
			close(enough)
		}
		return nil
	}}
	c, err := client.New(server.URL, feed, client.WithName("test"), client.WithLogger(slog.New(slog.NewJSONHandler(a, nil))),
		client.WithDialOptions(websocket.DialOptions{HTTPClient: server.Client()}),
		client.WithHeartbeat(0, 500*time.Millisecond), client.WithBackoff(time.Millisecond, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	for what, done := range map[string]chan struct{}{"events": enough, "another connection": again} {
		select {
		case <-done:
		case <-ctx.Done():
			t.Errorf("%s: %v", what, ctx.Err())
		}
	}
	cancel()
	<-ended
	server.Close()
	if counts(t, c)["disconnections_total local idle_timeout"] == 0 {
		t.Error("no connection ended by silence")
	}
	compare(t, "ended by pings", 0.0, counts(t, c)["disconnections_total network ping_timeout"])
}
