package client_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument/client"
)

// deadline is when a test gives up; nothing in the tests waits for it to pass.
const deadline = 20 * time.Second

// raw accepts without a library, for servers that do what no library does.
func raw(t *testing.T, w http.ResponseWriter, r *http.Request) (*net.TCPConn, *bufio.ReadWriter) {
	t.Helper()
	// Only the handshake's answer is the library's.
	var conn net.Conn
	var buffered *bufio.ReadWriter
	_, err := websocket.Accept(hijacked{ResponseWriter: w, conn: &conn, buffered: &buffered}, r, nil)
	if err != nil {
		t.Error(err)
	}
	return conn.(*net.TCPConn), buffered
}

type hijacked struct {
	http.ResponseWriter
	conn     *net.Conn
	buffered **bufio.ReadWriter
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(h.ResponseWriter).Hijack()
	*h.conn, *h.buffered = conn, buffered
	return kept{conn}, buffered, err
}

// kept is not closed by the library, which would when it collects the connection that nobody uses.
type kept struct{ net.Conn }

func (kept) Close() error { return nil }

// TestEnds has real connections end in every way, and compares what was counted once the client is connected again.
func TestEnds(t *testing.T) {
	closes := func(code websocket.StatusCode) func(*testing.T, http.ResponseWriter, *http.Request) {
		return func(t *testing.T, w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			_ = ws.Close(code, "as it likes")
		}
	}
	sends := func(frame []byte) func(*testing.T, http.ResponseWriter, *http.Request) {
		return func(t *testing.T, w http.ResponseWriter, r *http.Request) {
			conn, buffered := raw(t, w, r)
			defer conn.Close()
			_, _ = conn.Write(frame)
			_, _ = io.Copy(io.Discard, buffered)
		}
	}
	tests := map[string]struct {
		serve func(*testing.T, http.ResponseWriter, *http.Request)
		feed  client.Feed
		want  string
		code  float64
	}{
		"closes, normal":            {closes(1000), client.Feed{}, "remote normal", 1000},
		"closes, no code":           {closes(1005), client.Feed{}, "remote normal", 1005},
		"closes, going away":        {closes(1001), client.Feed{}, "remote going_away", 1001},
		"closes, protocol error":    {closes(1002), client.Feed{}, "remote protocol_error", 1002},
		"closes, policy":            {closes(1008), client.Feed{}, "remote policy", 1008},
		"closes, message too big":   {closes(1009), client.Feed{}, "remote message_too_big", 1009},
		"closes, internal":          {closes(1011), client.Feed{}, "remote internal", 1011},
		"closes, restart":           {closes(1012), client.Feed{}, "remote restart", 1012},
		"closes, try again later":   {closes(1013), client.Feed{}, "remote try_again_later", 1013},
		"closes, application's own": {closes(4001), client.Feed{}, "remote other", 4001},
		"sends no WebSocket":        {sends([]byte("HTTP/1.1 200 OK\r\n\r\n")), client.Feed{}, "local protocol_error", 1002},
		"sends an unknown frame":    {sends([]byte{0x83, 0x00}), client.Feed{}, "local protocol_error", 1002},
		"sends too much":            {sends(append([]byte{0x82, 127, 0, 0, 0, 0, 0, 0x20, 0, 0}, make([]byte, 1<<21)...)), client.Feed{}, "local message_too_big", 1009},
		"sends half a message": {func(t *testing.T, w http.ResponseWriter, r *http.Request) {
			conn, _ := raw(t, w, r)
			_, _ = conn.Write([]byte{0x82, 20, 1, 2})
			conn.Close()
		}, client.Feed{}, "network abnormal", 1006},
		"closes TCP": {func(t *testing.T, w http.ResponseWriter, r *http.Request) { conn, _ := raw(t, w, r); conn.Close() }, client.Feed{}, "network abnormal", 1006},
		"resets TCP": {
			func(t *testing.T, w http.ResponseWriter, r *http.Request) {
				conn, _ := raw(t, w, r)
				_ = conn.SetLinger(0)
				conn.Close()
			}, client.Feed{}, "network abnormal", 1006,
		},
		"goes silent": {
			func(t *testing.T, w http.ResponseWriter, r *http.Request) {
				conn, buffered := raw(t, w, r)
				defer conn.Close()
				_, _ = io.Copy(io.Discard, buffered) // reads the pings, until the client gives up
			}, client.Feed{}, "network ping_timeout", 1006,
		},
		"stops reading": {
			func(t *testing.T, w http.ResponseWriter, r *http.Request) {
				conn, _ := raw(t, w, r)
				defer conn.Close()
				<-r.Context().Done()
			}, client.Feed{Subscribe: func(_ context.Context, to client.Sender) error {
				go func() {
					for to.Send(context.Background(), websocket.MessageBinary, make([]byte, 1<<20)) == nil {
					}
				}()
				return nil
			}}, "network ping_timeout", 1006,
		},
		"carries nothing": {
			func(t *testing.T, w http.ResponseWriter, r *http.Request) {
				ws, err := websocket.Accept(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				defer ws.CloseNow()
				_, _, _ = ws.Read(context.Background()) // answers pings, and the close
			}, client.Feed{Streams: []client.Stream{{Name: "book", Expect: 50 * time.Millisecond}}}, "local idle_timeout", 1000,
		},
		"is not what was expected": {
			func(t *testing.T, w http.ResponseWriter, r *http.Request) {
				ws, err := websocket.Accept(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				defer ws.CloseNow()
				_, _, _ = ws.Read(context.Background())
			}, client.Feed{Subscribe: subscribesOnce(errors.New("no answer"))}, "local internal", 1000,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			again := make(chan *websocket.Conn, 1)
			serving, stop := context.WithCancel(context.Background())
			defer stop()
			var requests atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1) == 1 {
					test.serve(t, w, r.WithContext(serving))
					return
				}
				ws, err := websocket.Accept(w, r, nil)
				if err != nil {
					return
				}
				defer ws.CloseNow()
				select {
				case again <- ws:
				default:
				}
				for {
					if _, _, err := ws.Read(context.Background()); err != nil {
						return
					}
				}
			}))
			a := new(consumer)
			feed := test.feed
			feed.Decode, feed.Handle = decode, a.handle
			c, err := client.New(server.URL, feed, client.WithName("test"), client.WithLogger(slog.New(slog.NewJSONHandler(a, nil))),
				client.WithDialOptions(websocket.DialOptions{HTTPClient: server.Client()}),
				client.WithHeartbeat(100*time.Millisecond, 200*time.Millisecond), client.WithBackoff(time.Millisecond, 10*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- c.Run(ctx) }()
			select {
			case <-again:
			case <-time.After(deadline):
				t.Error("not connected again")
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Run returned %v", err)
			}
			stop()
			server.Close()
			lost := a.logged("connection lost")
			if len(lost) == 0 {
				t.Fatal("no record of the end")
			}
			got := map[string]any{"ended": lost[0]["initiator"].(string) + " " + lost[0]["reason"].(string), "code": lost[0]["code"]}
			if diff := cmp.Diff(map[string]any{"ended": test.want, "code": test.code}, got); diff != "" {
				t.Errorf("-want +got:\n%s\n%v", diff, lost[0])
			}
			if counts(t, c)["disconnections_total "+test.want] == 0 {
				t.Errorf("%s was not counted: %v", test.want, counts(t, c))
			}
		})
	}
}

// subscribesOnce fails the first time.
func subscribesOnce(err error) func(context.Context, client.Sender) error {
	var calls atomic.Int32
	return func(context.Context, client.Sender) error {
		if calls.Add(1) == 1 {
			return err
		}
		return nil
	}
}
