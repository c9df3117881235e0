package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument/client"
)

// kraken consumes the channel book of Kraken, at wss://ws.kraken.com/v2. Its updates have no numbers but a checksum of
// the book after them.
//
// Sources: https://docs.kraken.com/api/docs/websocket-v2/book and
// https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2.md
type kraken struct {
	symbol string // such as BTC/USD
	book   orders
}

const krakenDepth = 10 // levels of each side

type krakenMessage struct {
	Success *bool // of an answer
	Error   string
	Channel string // of anything else
	Type    string // snapshot or update
	Data    json.RawMessage
}

// krakenBook has the numbers as they were sent: the checksum is one of digits.
type krakenBook struct {
	Bids, Asks []struct{ Price, Qty json.Number }
	Checksum   uint32
	Timestamp  time.Time // of an update
}

func (k *kraken) feed() client.Feed {
	return client.Feed{
		Streams:   []client.Stream{{Name: "book", Expect: time.Minute, Restore: k.restore, Resubscribe: k.resubscribe}},
		Subscribe: func(ctx context.Context, to client.Sender) error { return k.send(ctx, to, "subscribe") },
		Decode:    k.decode,
		Handle:    k.handle,
	}
}

func (k *kraken) send(ctx context.Context, to client.Sender, method string) error {
	return to.Send(ctx, websocket.MessageText,
		fmt.Appendf(nil, `{"method":%q,"params":{"channel":"book","symbol":[%q],"depth":%d}}`, method, k.symbol, krakenDepth))
}

func (k *kraken) resubscribe(ctx context.Context, _ string, to client.Sender) error {
	return errors.Join(k.send(ctx, to, "unsubscribe"), k.send(ctx, to, "subscribe"))
}

func (k *kraken) decode(events []client.Event, _ client.MessageType, payload []byte) ([]client.Event, error) {
	var m krakenMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		return nil, err
	}
	switch {
	case m.Success != nil && !*m.Success:
		return nil, errors.New(m.Error)
	case m.Channel != "book": // an answer, the status or a heartbeat
		return events, nil
	}
	var books []krakenBook
	if err := json.Unmarshal(m.Data, &books); err != nil {
		return nil, err
	}
	for _, b := range books {
		events = append(events, client.Event{Stream: "book", Snapshot: m.Type == "snapshot", Time: b.Timestamp, Value: b})
	}
	return events, nil
}

func (b krakenBook) levels() (bids, asks []level) {
	for _, l := range b.Bids {
		bids = append(bids, level{l.Price.String(), l.Qty.String()})
	}
	for _, l := range b.Asks {
		asks = append(asks, level{l.Price.String(), l.Qty.String()})
	}
	return bids, asks
}

func (k *kraken) restore(_ context.Context, _ string, s client.Snapshot) (drifted bool, err error) {
	b := s.Value.(krakenBook)
	bids, asks := b.levels()
	return k.book.replace(bids, asks), k.check(b.Checksum)
}

// handle refuses a book whose checksum is another one: then the client asks for a snapshot.
func (k *kraken) handle(_ context.Context, e client.Event) error {
	b := e.Value.(krakenBook)
	bids, asks := b.levels()
	k.book.update(bids, asks)
	// Levels that have fallen out of the depth are not told of any more.
	if prices := ascending(k.book.asks); len(prices) > krakenDepth {
		for _, price := range prices[krakenDepth:] {
			delete(k.book.asks, price)
		}
	}
	if prices := ascending(k.book.bids); len(prices) > krakenDepth {
		for _, price := range prices[:len(prices)-krakenDepth] {
			delete(k.book.bids, price)
		}
	}
	return k.check(b.Checksum)
}

func (k *kraken) check(want uint32) error {
	if got := k.checksum(); got != want {
		return fmt.Errorf("checksum of the book is %d, not %d", got, want)
	}
	return nil
}

// checksum is made of the digits of the ten best prices and quantities of each side, without zeros before them.
func (k *kraken) checksum() uint32 {
	digits := func(number string) string { return strings.TrimLeft(strings.ReplaceAll(number, ".", ""), "0") }
	var b strings.Builder
	asks, bids := ascending(k.book.asks), ascending(k.book.bids)
	slices.Reverse(bids)
	for _, price := range asks[:min(len(asks), 10)] {
		b.WriteString(digits(price) + digits(k.book.asks[price]))
	}
	for _, price := range bids[:min(len(bids), 10)] {
		b.WriteString(digits(price) + digits(k.book.bids[price]))
	}
	return crc32.ChecksumIEEE([]byte(b.String()))
}

// TestKrakenChecksum compares with the example in Kraken's guide.
func TestKrakenChecksum(t *testing.T) {
	k := kraken{book: orders{
		asks: map[string]string{
			"45285.2": "0.00100000", "45286.4": "1.54571953", "45286.6": "1.54571109", "45289.6": "1.54560911",
			"45290.2": "0.15890660", "45291.8": "1.54553491", "45294.7": "0.04454749", "45296.1": "0.35380000",
			"45297.5": "0.09945542", "45299.5": "0.18772827",
		},
		bids: map[string]string{
			"45283.5": "0.10000000", "45283.4": "1.54582015", "45282.1": "0.10000000", "45281.0": "0.10000000",
			"45280.3": "1.54592586", "45279.0": "0.07990000", "45277.6": "0.03310103", "45277.5": "0.30000000",
			"45277.3": "1.54602737", "45276.6": "0.15445238",
		},
	}}
	compare(t, "checksum", uint32(3310070434), k.checksum())
}

// An order book without numbers. An update is lost, which the checksum of the next one reveals.
func Example_kraken() {
	message := func(typ, bids string, checksum uint32) string {
		return fmt.Sprintf(`{"channel":"book","type":%q,"data":[{"symbol":"BTC/USD","bids":[%s],"asks":[{"price":45285.2,"qty":0.00100000}],`+
			`"checksum":%d,"timestamp":"2023-10-06T17:35:55.440295Z"}]}`, typ, bids, checksum)
	}
	const first, second, lost, third = `{"price":45283.5,"qty":0.10000000}`, `{"price":45284.0,"qty":0.50000000}`,
		`{"price":45284.5,"qty":0.20000000}`, `{"price":45283.0,"qty":1.00000000}`
	exchange := newVenue(func(s *stall) {
		s.say(`{"channel":"status","type":"update","data":[{"system":"online","api_version":"v2"}]}`)
		s.hear()
		s.say(`{"method":"subscribe","success":true,"result":{"channel":"book","symbol":"BTC/USD","depth":10,"snapshot":true}}`)
		s.say(message("snapshot", first, 2383917627))
		<-s.venue.live
		s.say(message("update", second, 367982388), `{"channel":"heartbeat"}`)
		s.await(2)
		s.say(message("update", third, 289752841)) // the lost one was before it
		s.hear()                                   // unsubscribe
		s.hear()                                   // subscribe
		s.say(message("snapshot", first+","+second+","+lost+","+third, 289752841))
		<-s.venue.live
		s.say(message("update", `{"price":45285.0,"qty":3.00000000}`, 3453618099))
		s.await(2)
		s.over()
	}, nil)
	k := &kraken{symbol: "BTC/USD"}
	exchange.watch(k.feed(), &k.book)
	// Output:
	// heard {"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":10}}
	// snapshot 0: 45283.5 to 45285.2
	// update 0 to 0: 45284.0 to 45285.2
	// error: checksum of the book is 78153484, not 289752841
	// heard {"method":"unsubscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":10}}
	// heard {"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":10}}
	// snapshot 0: 45284.5 to 45285.2
	// update 0 to 0: 45285.0 to 45285.2
}
