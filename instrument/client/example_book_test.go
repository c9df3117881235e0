package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument/client"
)

// orders is an order book: quantities by price, in the words of the exchange. The recipes for feeds share it.
type orders struct{ bids, asks map[string]string }

// level is a price and a quantity. Some exchanges tell more of it after that.
type level []string

// replace takes over a snapshot and says whether anything was different.
func (o *orders) replace(bids, asks []level) (drifted bool) {
	before := *o
	*o = orders{bids: map[string]string{}, asks: map[string]string{}}
	o.update(bids, asks)
	return before.bids != nil && fmt.Sprint(before) != fmt.Sprint(*o)
}

// update changes levels. A quantity of 0 removes one.
func (o *orders) update(bids, asks []level) {
	for side, levels := range map[*map[string]string][]level{&o.bids: bids, &o.asks: asks} {
		for _, l := range levels {
			(*side)[l[0]] = l[1]
			if quantity, err := strconv.ParseFloat(l[1], 64); err == nil && quantity == 0 {
				delete(*side, l[0])
			}
		}
	}
}

// ascending returns the prices of one side.
func ascending(side map[string]string) []string {
	prices := make([]string, 0, len(side))
	for price := range side {
		prices = append(prices, price)
	}
	slices.SortFunc(prices, func(a, b string) int {
		x, _ := strconv.ParseFloat(a, 64)
		y, _ := strconv.ParseFloat(b, 64)
		return int(max(-1, min(1, (x-y)*1e9)))
	})
	return prices
}

// String tells the best prices.
func (o *orders) String() string {
	bids, asks := ascending(o.bids), ascending(o.asks)
	if len(bids) == 0 || len(asks) == 0 {
		return "empty"
	}
	return bids[len(bids)-1] + " to " + asks[0]
}

// venue is an exchange on this machine that plays its part.
type venue struct {
	*httptest.Server
	socket  func(*stall)     // plays one connection
	rest    func(int) string // answers the n-th request to the REST interface
	live    chan bool        // the stream has become live
	handled chan bool        // the application has done something
	done    chan bool        // the play is over
	mu      sync.Mutex
	asked   int // requests to the REST interface
	opened  int // connections
}

// stall is one connection of a venue.
type stall struct {
	venue  *venue
	ws     *websocket.Conn
	number int    // from 1
	target string // path and query
}

func newVenue(socket func(*stall), rest func(int) string) *venue {
	v := &venue{socket: socket, rest: rest, live: make(chan bool, 10), handled: make(chan bool, 10), done: make(chan bool)}
	v.Server = httptest.NewServer(v)
	return v
}

func (v *venue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		v.asked++
		fmt.Fprint(w, v.rest(v.asked))
		return
	}
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	v.opened++
	s := &stall{venue: v, ws: ws, number: v.opened, target: r.URL.RequestURI()}
	go func() {
		v.socket(s)
		<-v.done
		_ = ws.CloseNow()
	}()
}

// say sends messages.
func (s *stall) say(messages ...string) {
	for _, m := range messages {
		_ = s.ws.Write(context.Background(), websocket.MessageText, []byte(m))
	}
}

// hear prints a message of the client.
func (s *stall) hear() {
	_, message, _ := s.ws.Read(context.Background())
	fmt.Printf("heard %s\n", message)
}

// await waits until the application has done n things.
func (s *stall) await(n int) {
	for range n {
		<-s.venue.handled
	}
}

// over ends the play.
func (s *stall) over() { close(s.venue.done) }

// watch runs a client until the play is over. It prints what the application is given, and the book after it.
func (v *venue) watch(feed client.Feed, book fmt.Stringer) {
	handle, restore := feed.Handle, feed.Streams[0].Restore
	feed.Handle = func(ctx context.Context, e client.Event) error {
		if err := handle(ctx, e); err != nil {
			fmt.Println("error:", err)
			return err
		}
		fmt.Printf("update %d to %d: %s\n", e.First, max(e.Last, e.First), book)
		return nil
	}
	feed.Streams[0].Restore = func(ctx context.Context, stream string, s client.Snapshot) (bool, error) {
		drifted, err := restore(ctx, stream, s)
		fmt.Printf("snapshot %d: %s\n", s.Last, book)
		v.handled <- true
		return drifted, err
	}
	v.run(feed, nil)
}

// run runs a client until the play is over.
func (v *venue) run(feed client.Feed, made func(*client.Client), opts ...client.Option) {
	defer v.Close()
	handle := feed.Handle
	feed.Handle = func(ctx context.Context, e client.Event) error {
		err := handle(ctx, e)
		if err == nil {
			v.handled <- true
		}
		return err
	}
	c, err := client.New(v.URL, feed, append(opts,
		client.WithBackoff(time.Millisecond, 10*time.Millisecond),
		client.WithStateChange(func(c client.Change) {
			if c.Stream != "" && c.To == client.Live {
				v.live <- true
			}
		}))...)
	if err != nil {
		fmt.Println(err)
		return
	}
	if made != nil {
		made(c)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	go func() {
		<-v.done
		cancel()
	}()
	if err := c.Run(ctx); ctx.Err() == nil {
		fmt.Println(err)
	}
}
