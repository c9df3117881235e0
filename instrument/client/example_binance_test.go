package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/sockscope/sockscope/instrument/client"
)

// binance consumes the differential depth stream of Binance's spot or futures markets. Connect it to
// wss://stream.binance.com:9443/ws/bnbbtc@depth or wss://fstream.binance.com/ws/btcusdt@depth, which need no
// subscribing.
//
// Sources: https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md and
// https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/How-to-manage-a-local-order-book-correctly
type binance struct {
	rest    string // https://api.binance.com/api/v3/depth?symbol=BNBBTC&limit=5000, or that of the futures
	futures bool
	book    orders
}

// binanceUpdate needs a field for each key of the messages that differs from another one only by case.
type binanceUpdate struct {
	Event    string  `json:"e"`
	Time     int64   `json:"E"`
	First    uint64  `json:"U"`
	Last     uint64  `json:"u"`
	Previous uint64  `json:"pu"` // futures
	Bids     []level `json:"b"`
	Asks     []level `json:"a"`
}

type binanceSnapshot struct {
	Last uint64  `json:"lastUpdateId"`
	Bids []level `json:"bids"`
	Asks []level `json:"asks"`
}

func (b *binance) feed() client.Feed {
	return client.Feed{
		Streams: []client.Stream{{Name: "book", Expect: 30 * time.Second, Snapshot: b.snapshot, Restore: b.restore}},
		Decode:  b.decode,
		Handle:  b.handle,
	}
}

func (b *binance) decode(events []client.Event, _ client.MessageType, payload []byte) ([]client.Event, error) {
	var u binanceUpdate
	if err := json.Unmarshal(payload, &u); err != nil {
		return nil, err
	}
	if u.Event != "depthUpdate" {
		return events, nil
	}
	if b.futures {
		// Numbers are left out between two updates: the next one begins where the previous one has ended.
		u.First = u.Previous + 1
	}
	return append(events, client.Event{Stream: "book", First: u.First, Last: u.Last, Time: time.UnixMilli(u.Time), Value: u}), nil
}

func (b *binance) snapshot(ctx context.Context, _ string) (client.Snapshot, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.rest, nil)
	if err != nil {
		return client.Snapshot{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return client.Snapshot{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return client.Snapshot{}, fmt.Errorf("snapshot: %s", response.Status)
	}
	var s binanceSnapshot
	if err := json.NewDecoder(response.Body).Decode(&s); err != nil {
		return client.Snapshot{}, fmt.Errorf("snapshot: %w", err)
	}
	return client.Snapshot{Last: s.Last, Value: s}, nil
}

func (b *binance) restore(_ context.Context, _ string, s client.Snapshot) (drifted bool, err error) {
	snapshot := s.Value.(binanceSnapshot)
	return b.book.replace(snapshot.Bids, snapshot.Asks), nil
}

func (b *binance) handle(_ context.Context, e client.Event) error {
	u := e.Value.(binanceUpdate)
	b.book.update(u.Bids, u.Asks)
	return nil
}

// The order book of a spot market, whose snapshots come from the REST interface. An update is lost on the way.
func Example_binanceSpot() {
	exchange := newVenue(func(s *stall) {
		s.say(
			`{"e":"depthUpdate","E":1672515782100,"s":"BNBBTC","U":157,"u":158,"b":[["0.0024","10"]],"a":[]}`,
			`{"e":"depthUpdate","E":1672515782200,"s":"BNBBTC","U":159,"u":162,"b":[["0.0025","4"]],"a":[]}`,
		)
		<-s.venue.live
		s.say(`{"e":"depthUpdate","E":1672515782300,"s":"BNBBTC","U":163,"u":163,"b":[["0.0025","0"]],"a":[]}`)
		s.await(3)
		s.say(`{"e":"depthUpdate","E":1672515782500,"s":"BNBBTC","U":166,"u":167,"b":[],"a":[["0.0026","7"]]}`) // without 164
		<-s.venue.live
		s.say(`{"e":"depthUpdate","E":1672515782600,"s":"BNBBTC","U":168,"u":168,"b":[],"a":[["0.0026","0"]]}`)
		s.await(2)
		s.over()
	}, func(request int) string {
		return []string{
			`{"lastUpdateId":160,"bids":[["0.0024","10"],["0.0023","5"]],"asks":[["0.0027","100"]]}`,
			`{"lastUpdateId":167,"bids":[["0.0023","5"]],"asks":[["0.0026","7"],["0.0027","100"]]}`,
		}[request-1]
	})
	b := &binance{rest: exchange.URL + "/api/v3/depth?symbol=BNBBTC&limit=5000"}
	exchange.watch(b.feed(), &b.book)
	// Output:
	// snapshot 160: 0.0024 to 0.0027
	// update 159 to 162: 0.0025 to 0.0027
	// update 163 to 163: 0.0024 to 0.0027
	// snapshot 167: 0.0023 to 0.0026
	// update 168 to 168: 0.0023 to 0.0027
}

// The order book of a futures market. Its numbers jump, and each update tells which one was before.
func Example_binanceFutures() {
	exchange := newVenue(func(s *stall) {
		s.say(
			`{"e":"depthUpdate","E":1672515782100,"T":1672515782099,"s":"BTCUSDT","U":157,"u":160,"pu":149,"b":[["24100","1"]],"a":[]}`,
			`{"e":"depthUpdate","E":1672515782200,"T":1672515782199,"s":"BTCUSDT","U":168,"u":171,"pu":160,"b":[["24101","1"]],"a":[]}`,
		)
		<-s.venue.live
		s.say(`{"e":"depthUpdate","E":1672515782400,"T":1672515782399,"s":"BTCUSDT","U":190,"u":195,"pu":180,"b":[["24101","0"]],"a":[]}`) // without 180
		<-s.venue.live
		s.say(`{"e":"depthUpdate","E":1672515782500,"T":1672515782499,"s":"BTCUSDT","U":201,"u":203,"pu":195,"b":[["24102","2"]],"a":[]}`)
		s.await(5)
		s.over()
	}, func(request int) string {
		return []string{
			`{"lastUpdateId":158,"bids":[["24100","3"]],"asks":[["24110","2"]]}`,
			`{"lastUpdateId":195,"bids":[["24100","2"]],"asks":[["24108","2"]]}`,
		}[request-1]
	})
	b := &binance{rest: exchange.URL + "/fapi/v1/depth?symbol=BTCUSDT&limit=1000", futures: true}
	exchange.watch(b.feed(), &b.book)
	// Output:
	// snapshot 158: 24100 to 24110
	// update 150 to 160: 24100 to 24110
	// update 161 to 171: 24101 to 24110
	// snapshot 195: 24100 to 24108
	// update 196 to 203: 24102 to 24108
}
