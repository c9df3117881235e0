package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument/client"
)

// okx consumes the channel books of OKX, at wss://ws.okx.com:8443/ws/v5/public. Snapshots are among the updates.
//
// Source: https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
type okx struct {
	instrument string // such as BTC-USDT
	book       orders
}

type okxMessage struct {
	Event  string // of an answer
	Msg    string
	Action string // of a push: snapshot or update
	Arg    struct{ Channel string }
	Data   []struct {
		Bids, Asks       []level
		Ts               string
		SeqID, PrevSeqID int64
	}
}

type okxBook struct{ bids, asks []level }

func (o *okx) feed() client.Feed {
	return client.Feed{
		Streams:   []client.Stream{{Name: "book", Expect: 90 * time.Second, Restore: o.restore, Resubscribe: o.resubscribe}},
		Subscribe: func(ctx context.Context, to client.Sender) error { return o.send(ctx, to, "subscribe") },
		Decode:    o.decode,
		Handle:    o.handle,
	}
}

func (o *okx) send(ctx context.Context, to client.Sender, op string) error {
	return to.Send(ctx, websocket.MessageText, fmt.Appendf(nil, `{"op":%q,"args":[{"channel":"books","instId":%q}]}`, op, o.instrument))
}

// resubscribe asks for another snapshot.
func (o *okx) resubscribe(ctx context.Context, _ string, to client.Sender) error {
	return errors.Join(o.send(ctx, to, "unsubscribe"), o.send(ctx, to, "subscribe"))
}

// decode makes an event of each update. The numbers of an update are those after prevSeqId, which may be none: that is
// how the exchange says that nothing has happened. They begin with 0, or with -1 before a snapshot; those of a client
// begin with 1, so each is higher by one.
func (o *okx) decode(events []client.Event, _ client.MessageType, payload []byte) ([]client.Event, error) {
	if string(payload) == "pong" { // the answer to "ping", which a silent client must send every 30 seconds
		return events, nil
	}
	var m okxMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		return nil, err
	}
	if m.Event == "error" {
		return nil, errors.New(m.Msg)
	}
	for _, d := range m.Data {
		e := client.Event{
			Stream: "book", Last: uint64(d.SeqID + 1), Snapshot: m.Action == "snapshot",
			Value: okxBook{d.Bids, d.Asks},
		}
		if ms, err := strconv.ParseInt(d.Ts, 10, 64); err == nil {
			e.Time = time.UnixMilli(ms)
		}
		switch {
		case e.Snapshot:
		case d.SeqID < d.PrevSeqID: // after maintenance
			e.First, e.Restart = e.Last, true
		default:
			e.First = uint64(d.PrevSeqID + 2)
		}
		events = append(events, e)
	}
	return events, nil
}

func (o *okx) restore(_ context.Context, _ string, s client.Snapshot) (drifted bool, err error) {
	b := s.Value.(okxBook)
	return o.book.replace(b.bids, b.asks), nil
}

func (o *okx) handle(_ context.Context, e client.Event) error {
	b := e.Value.(okxBook)
	o.book.update(b.bids, b.asks)
	return nil
}

// An order book whose snapshots are among the updates, which tell the number of the update before. Nothing happens for
// a while, an update is lost, and then the exchange begins to count anew.
func Example_okx() {
	push := func(action, bid string, previous, number int) string {
		return fmt.Sprintf(`{"arg":{"channel":"books","instId":"BTC-USDT"},"action":%q,"data":[{"bids":[%s],"asks":[["8477","7","0","1"]],`+
			`"ts":"1597026383085","checksum":0,"prevSeqId":%d,"seqId":%d}]}`, action, bid, previous, number)
	}
	exchange := newVenue(func(s *stall) {
		again := func() {
			s.hear() // unsubscribe
			s.hear() // subscribe
		}
		s.hear()
		s.say(`{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}`)
		s.say(push("snapshot", `["8476","256","0","12"]`, -1, 10))
		<-s.venue.live
		s.say(push("update", `["8476.5","3","0","1"]`, 10, 15), push("update", "", 15, 15)) // and a heartbeat
		s.await(3)
		s.say(push("update", `["8476.5","0","0","0"]`, 20, 22)) // without 20
		again()
		s.say(push("snapshot", `["8474","1","0","1"]`, -1, 23))
		<-s.venue.live
		s.say(push("update", `["8475","1","0","1"]`, 23, 4)) // counts anew
		again()
		s.say(push("snapshot", `["8475","1","0","1"]`, -1, 5), push("update", `["8476","1","0","1"]`, 5, 8))
		s.await(3)
		s.over()
	}, nil)
	o := &okx{instrument: "BTC-USDT"}
	exchange.watch(o.feed(), &o.book)
	// Output:
	// heard {"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}
	// snapshot 11: 8476 to 8477
	// update 12 to 16: 8476.5 to 8477
	// update 17 to 17: 8476.5 to 8477
	// heard {"op":"unsubscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}
	// heard {"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}
	// snapshot 24: 8474 to 8477
	// heard {"op":"unsubscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}
	// heard {"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}
	// snapshot 6: 8475 to 8477
	// update 7 to 9: 8476 to 8477
}
