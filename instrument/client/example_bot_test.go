package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/instrument/client"
)

// price is what the exchange publishes, over its WebSocket as well as by its REST interface.
type price struct {
	Seq   uint64    `json:"seq"`
	Cents int       `json:"cents"`
	Time  time.Time `json:"time"`
}

// bot buys below a limit, once per price, and only when it knows that the price is right.
type bot struct {
	client   *client.Client
	exchange string
	limit    int
	held     price
}

const (
	stream = "BTC-USD"
	tooOld = 5 * time.Second // to buy at: others have had that price before
)

func (b *bot) feed() client.Feed {
	return client.Feed{
		Streams: []client.Stream{{
			Name:     stream,
			Expect:   10 * time.Second,
			Snapshot: b.snapshot,
			Restore:  b.restore,
		}},
		Subscribe: b.subscribe,
		Decode:    decodePrice,
		Handle:    b.handle,
	}
}

func (b *bot) subscribe(ctx context.Context, to client.Sender) error {
	return to.Send(ctx, websocket.MessageText, []byte(`{"subscribe":"BTC-USD"}`))
}

func decodePrice(events []client.Event, _ client.MessageType, payload []byte) ([]client.Event, error) {
	var p price
	if err := json.Unmarshal(payload, &p); err != nil {
		return nil, fmt.Errorf("price: %w", err)
	}
	return append(events, client.Event{Stream: stream, First: p.Seq, Time: p.Time, Value: p}), nil
}

func (b *bot) snapshot(ctx context.Context, _ string) (client.Snapshot, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.exchange+"/price", nil)
	if err != nil {
		return client.Snapshot{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return client.Snapshot{}, err
	}
	defer response.Body.Close()
	var p price
	if err := json.NewDecoder(response.Body).Decode(&p); err != nil {
		return client.Snapshot{}, fmt.Errorf("price: %w", err)
	}
	return client.Snapshot{Last: p.Seq, Value: p}, nil
}

func (b *bot) restore(_ context.Context, _ string, s client.Snapshot) (drifted bool, err error) {
	p := s.Value.(price)
	drifted = b.held.Seq != 0 && b.held.Cents != p.Cents
	b.held = p
	fmt.Printf("reconciled at %d: %d, drifted: %t\n", p.Seq, p.Cents, drifted)
	return drifted, nil
}

func (b *bot) handle(_ context.Context, e client.Event) error {
	b.held = e.Value.(price)
	switch {
	case b.held.Cents >= b.limit:
		fmt.Printf("%d: %d\n", b.held.Seq, b.held.Cents)
	case b.client.StreamState(stream) != client.Live || time.Since(e.Received) > tooOld:
		fmt.Printf("%d: %d, but not sure\n", b.held.Seq, b.held.Cents)
	default:
		fmt.Printf("%d: %d, bought\n", b.held.Seq, b.held.Cents)
	}
	return nil
}

// A trading bot that acts only on reconciled state. Its exchange loses messages and restarts.
func Example() {
	exchange := newStage()
	defer exchange.Close()
	b := &bot{exchange: exchange.URL, limit: 10000}
	feed := b.feed()
	feed.Handle = func(ctx context.Context, e client.Event) error {
		defer func() { exchange.handled <- true }() // the play goes on when the bot has done its part
		return b.handle(ctx, e)
	}
	live := make(chan bool, 10)
	c, err := client.New(exchange.URL, feed,
		client.WithName("exchange"),
		client.WithBackoff(time.Millisecond, 10*time.Millisecond),
		client.WithStateChange(func(change client.Change) {
			if change.Stream == "" && change.To == client.Live {
				live <- true
			}
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	b.client = c
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()

	conn := <-exchange.subscribed
	<-live
	exchange.publish(conn, 10500)
	<-exchange.handled
	exchange.publish(conn, 9900)
	<-exchange.handled
	exchange.move(12000)         // the bot is not told of this …
	exchange.publish(conn, 9500) // … but sees that it has missed something, and does not trust this price before it has asked
	<-live
	exchange.publish(conn, 9400)
	<-exchange.handled
	exchange.move(11000)
	_ = conn.Close(websocket.StatusServiceRestart, "")
	conn = <-exchange.subscribed
	<-live
	exchange.publish(conn, 9300)
	<-exchange.handled

	cancel()
	fmt.Println(<-ended)
	for _, metric := range []string{"sequence_gaps_total", "missing_messages_total", "drift_total"} {
		fmt.Println(metric, valueOf(registry, "websocket_client_"+metric))
	}
	// Output:
	// reconciled at 1: 10000, drifted: false
	// 2: 10500
	// 3: 9900, bought
	// reconciled at 5: 9500, drifted: true
	// 6: 9400, bought
	// reconciled at 7: 11000, drifted: true
	// 8: 9300, bought
	// client exchange: context canceled
	// sequence_gaps_total 1
	// missing_messages_total 1
	// drift_total 2
}

// valueOf returns the value of a metric of the stream.
func valueOf(g prometheus.Gatherer, name string) float64 {
	families, err := g.Gather()
	if err != nil {
		fmt.Println(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetValue() == stream {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	return -1
}

// stage is an exchange that plays its part.
type stage struct {
	*httptest.Server
	subscribed chan *websocket.Conn
	handled    chan bool

	mu  sync.Mutex
	now price
}

func newStage() *stage {
	s := &stage{subscribed: make(chan *websocket.Conn), handled: make(chan bool), now: price{Seq: 1, Cents: 10000}}
	s.Server = httptest.NewServer(s)
	return s
}

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/price" {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(s.now)
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	if _, _, err := conn.Read(context.Background()); err != nil { // the subscription
		return
	}
	s.subscribed <- conn
	_, _, _ = conn.Read(context.Background()) // until it ends
}

// move changes the price and tells nobody.
func (s *stage) move(cents int) price {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = price{Seq: s.now.Seq + 1, Cents: cents, Time: time.Now()}
	return s.now
}

func (s *stage) publish(conn *websocket.Conn, cents int) {
	message, err := json.Marshal(s.move(cents))
	if err == nil {
		err = conn.Write(context.Background(), websocket.MessageText, message)
	}
	if err != nil {
		fmt.Println(err)
	}
}
