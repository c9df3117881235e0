package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument/client"
)

// bybit consumes an order book of Bybit, such as orderbook.50.BTCUSDT at wss://stream.bybit.com/v5/public/linear. Not
// for depth 1, where each message is a snapshot and none is needed before.
//
// Source: https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
type bybit struct {
	topic string
	book  orders
}

type bybitMessage struct {
	Success *bool  // of an answer
	RetMsg  string `json:"ret_msg"`
	Topic   string
	Type    string // snapshot or delta
	Data    struct {
		Bids   []level `json:"b"`
		Asks   []level `json:"a"`
		Number uint64  `json:"u"`
	}
	Matched int64 `json:"cts"`
}

func (b *bybit) feed() client.Feed {
	return client.Feed{
		Streams:   []client.Stream{{Name: "book", Expect: 30 * time.Second, Restore: b.restore, Resubscribe: b.resubscribe}},
		Subscribe: func(ctx context.Context, to client.Sender) error { return b.send(ctx, to, "subscribe") },
		Decode:    b.decode,
		Handle:    b.handle,
	}
}

func (b *bybit) send(ctx context.Context, to client.Sender, op string) error {
	return to.Send(ctx, websocket.MessageText, fmt.Appendf(nil, `{"op":%q,"args":[%q]}`, op, b.topic))
}

func (b *bybit) resubscribe(ctx context.Context, _ string, to client.Sender) error {
	return errors.Join(b.send(ctx, to, "unsubscribe"), b.send(ctx, to, "subscribe"))
}

// decode needs no rule for a restart of the exchange: the snapshot that it sends then, with number 1, is like any
// other.
func (b *bybit) decode(events []client.Event, _ client.MessageType, payload []byte) ([]client.Event, error) {
	var m bybitMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		return nil, err
	}
	switch {
	case m.Success != nil && !*m.Success:
		return nil, errors.New(m.RetMsg)
	case m.Topic != b.topic:
		return events, nil
	}
	return append(events, client.Event{
		Stream: "book", First: m.Data.Number, Snapshot: m.Type == "snapshot", Time: time.UnixMilli(m.Matched), Value: m,
	}), nil
}

func (b *bybit) restore(_ context.Context, _ string, s client.Snapshot) (drifted bool, err error) {
	m := s.Value.(bybitMessage)
	return b.book.replace(m.Data.Bids, m.Data.Asks), nil
}

func (b *bybit) handle(_ context.Context, e client.Event) error {
	m := e.Value.(bybitMessage)
	b.book.update(m.Data.Bids, m.Data.Asks)
	return nil
}

// An order book that is sent again, and numbered anew, when the exchange has restarted. The connection stays.
func Example_bybit() {
	message := func(typ string, number int, bid string) string {
		return strings.NewReplacer("TYPE", typ, "NUMBER", fmt.Sprint(number), "BID", bid).Replace(
			`{"topic":"orderbook.50.BTCUSDT","type":"TYPE","ts":1672304484978,"data":{"s":"BTCUSDT","b":[BID],"a":[["16611.00","0.2"]],` +
				`"u":NUMBER,"seq":7961638724},"cts":1672304484976}`)
	}
	exchange := newVenue(func(s *stall) {
		s.hear()
		s.say(`{"success":true,"ret_msg":"","conn_id":"c0e","req_id":"","op":"subscribe"}`)
		s.say(message("snapshot", 5000, `["16493.50","0.006"]`))
		<-s.venue.live
		s.say(message("delta", 5001, `["16493.50","0"],["16494.00","1"]`), message("delta", 5002, `["16494.50","2"]`))
		s.await(3)
		s.say(message("snapshot", 1, `["16490.00","1"]`)) // it has restarted
		<-s.venue.live
		s.say(message("delta", 2, `["16491.00","1"]`))
		s.await(2)
		s.over()
	}, nil)
	b := &bybit{topic: "orderbook.50.BTCUSDT"}
	exchange.watch(b.feed(), &b.book)
	// Output:
	// heard {"op":"subscribe","args":["orderbook.50.BTCUSDT"]}
	// snapshot 5000: 16493.50 to 16611.00
	// update 5001 to 5001: 16494.00 to 16611.00
	// update 5002 to 5002: 16494.50 to 16611.00
	// snapshot 1: 16490.00 to 16611.00
	// update 2 to 2: 16491.00 to 16611.00
}
