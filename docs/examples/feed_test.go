package examples_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// The exchange lowers its price behind the back of a client whose connection has been cut. The client finds out, and
// buys only what it is told of while it knows that nothing is missing.
func TestFeed(t *testing.T) {
	t.Parallel()
	binary := build(t, "feed")
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	e := openExchange(t)
	bot := start(ctx, t, binary, "-limit", "10000",
		"-feed", "ws"+strings.TrimPrefix(e.URL, "http")+"/feed", "-snapshot", e.URL+"/price")

	conn := receive(ctx, t, e.connected)
	close(receive(ctx, t, e.asked))
	if r := bot.next(t, "reconciled"); r.Trigger != "connect" {
		t.Errorf("reconciled for %q, want connect", r.Trigger)
	}
	publish(ctx, t, conn, e.move(10500))
	publish(ctx, t, conn, e.move(9900))
	bot.next(t, "bought")
	e.move(9500)
	if err := conn.CloseNow(); err != nil {
		t.Fatal(err)
	}

	conn = receive(ctx, t, e.connected)
	answer := receive(ctx, t, e.asked)
	publish(ctx, t, conn, e.move(9600)) // not reconciled yet
	bot.exposes(ctx, t, `websocket_client_event_lag_seconds_count{client="exchange",stream="price"} 3`)
	close(answer)
	if r := bot.next(t, "reconciled"); r.Trigger != "reconnect" {
		t.Errorf("reconciled for %q, want reconnect", r.Trigger)
	}
	publish(ctx, t, conn, e.move(9700))
	bot.next(t, "bought")
	bot.exposes(ctx, t,
		`websocket_client_connected{client="exchange"} 1`,
		`websocket_client_connect_attempts_total{client="exchange",result="connected"} 2`,
		`websocket_client_disconnections_total{client="exchange",initiator="network",reason="abnormal"} 1`,
		`websocket_client_reconciliations_total{client="exchange",result="ok",trigger="connect"} 1`,
		`websocket_client_reconciliations_total{client="exchange",result="ok",trigger="reconnect"} 1`,
		`websocket_client_drift_total{client="exchange",stream="price"} 1`,
		`websocket_client_sequence_gaps_total{client="exchange",stream="price"} 0`)

	bot.terminate(t)
	if _, _, err := conn.Read(ctx); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("the connection ended with %v, want normal closure", err)
	}
	bot.wait(t)
	if closed := bot.logged("connection closed"); len(closed) != 1 || closed[0].Reason != "normal" {
		t.Errorf("the log does not tell that the connection was closed: %v", closed)
	}
	want := []record{{Msg: "bought", Seq: 3}, {Msg: "bought", Seq: 6}}
	if diff := cmp.Diff(want, bot.logged("bought")); diff != "" {
		t.Errorf("bought (-want +got):\n%s", diff)
	}
}

// An exchange has a price, by request at /price and by WebSocket at /feed.
type exchange struct {
	*httptest.Server
	connected chan *websocket.Conn
	asked     chan chan struct{} // the answer is the price of when it was asked for, and given when this is closed

	mu  sync.Mutex
	now price
}

type price struct {
	Seq   uint64    `json:"seq"`
	Cents int       `json:"cents"`
	Time  time.Time `json:"time"`
}

func openExchange(t *testing.T) *exchange {
	e := &exchange{
		connected: make(chan *websocket.Conn, 10),
		asked:     make(chan chan struct{}, 10),
		now:       price{Seq: 1, Cents: 10200, Time: time.Now()},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /price", func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		now := e.now
		e.mu.Unlock()
		answer := make(chan struct{})
		e.asked <- answer
		select {
		case <-answer:
			_ = json.NewEncoder(w).Encode(now)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("GET /feed", func(w http.ResponseWriter, r *http.Request) {
		if conn, err := websocket.Accept(w, r, nil); err == nil {
			e.connected <- conn
		}
	})
	e.Server = httptest.NewServer(mux)
	t.Cleanup(e.Close)
	return e
}

// receive returns what comes through a channel.
func receive[T any](ctx context.Context, t *testing.T, from <-chan T) (what T) {
	t.Helper()
	select {
	case what = <-from:
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	return what
}

// move changes the price and tells nobody.
func (e *exchange) move(cents int) price {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now = price{Seq: e.now.Seq + 1, Cents: cents, Time: time.Now()}
	return e.now
}

func publish(ctx context.Context, t *testing.T, conn *websocket.Conn, p price) {
	t.Helper()
	message, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	say(ctx, t, conn, string(message))
}
