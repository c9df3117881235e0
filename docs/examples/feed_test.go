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
)

// The exchange lowers its price behind the back of a client whose connection has been cut. The client finds out, and buys
// only what it is told of while it knows that nothing is missing.
func TestFeed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	e := openExchange(t)
	bot := start(ctx, t, build(t, "feed"), "-limit", "10000",
		"-feed", "ws"+strings.TrimPrefix(e.URL, "http")+"/feed", "-snapshot", e.URL+"/price")

	conn := <-e.connected
	if r := bot.next(t, "reconciled"); r.Trigger != "connect" {
		t.Errorf("reconciled for %q, want connect", r.Trigger)
	}
	publish(ctx, t, conn, e.move(10500))
	publish(ctx, t, conn, e.move(9900))
	if r := bot.next(t, "bought"); r.Seq != 3 {
		t.Errorf("bought price %d, want 3", r.Seq)
	}
	e.move(9500)
	if err := conn.CloseNow(); err != nil {
		t.Fatal(err)
	}

	conn = <-e.connected
	if r := bot.next(t, "reconciled"); r.Trigger != "reconnect" {
		t.Errorf("reconciled for %q, want reconnect", r.Trigger)
	}
	publish(ctx, t, conn, e.move(9700))
	if r := bot.next(t, "bought"); r.Seq != 5 {
		t.Errorf("bought price %d, want 5", r.Seq)
	}
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
	if closed := bot.rest(t)["connection closed"]; len(closed) != 1 || closed[0].Reason != "normal" {
		t.Errorf("the log does not tell that the connection was closed: %v", closed)
	}
}

// An exchange has a price, by request at /price and by WebSocket at /feed.
type exchange struct {
	*httptest.Server
	connected chan *websocket.Conn

	mu  sync.Mutex
	now price
}

type price struct {
	Seq   uint64    `json:"seq"`
	Cents int       `json:"cents"`
	Time  time.Time `json:"time"`
}

func openExchange(t *testing.T) *exchange {
	e := &exchange{connected: make(chan *websocket.Conn), now: price{Seq: 1, Cents: 10200, Time: time.Now()}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /price", func(w http.ResponseWriter, _ *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		_ = json.NewEncoder(w).Encode(e.now)
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
