package demo

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/use/market"
	"github.com/sockscope/sockscope/demo/wire"
)

// TestNotifications reach one user on all connections, whatever rooms these are in, and nobody else.
func TestNotifications(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada, ben, again, eve := f.dial("Ada"), f.dial("Ben"), f.dial("Ben"), f.dial("Eve")
	again.join("lobby")
	eve.join("lobby")
	again.heard()
	id := ada.send(wire.TypeNotify, wire.NotifyPayload{User: "Ben", Text: "wake up"})
	if env, ack := expect[wire.AckPayload](ada, wire.TypeAck); !ack.Success || env.MessageID != id {
		t.Errorf("ack %+v for %s", ack, env.MessageID)
	}
	for _, c := range []*client{ben, again} {
		env, p := expect[wire.NotificationPayload](c, wire.TypeNotification)
		if want := (wire.NotificationPayload{From: "Ada", Text: "wake up"}); p != want || env.MessageID != id {
			t.Errorf("notified of %+v, want %+v", p, want)
		}
	}
	if ack := ada.request(wire.TypeNotify, wire.NotifyPayload{User: "nobody", Text: "wake up"}); !ack.Success {
		t.Errorf("to somebody who is not there: %+v", ack)
	}
	if ack := ada.request(wire.TypeNotify, wire.NotifyPayload{User: " ", Text: "wake up"}); ack.Error != wire.CodeBadPayload {
		t.Errorf("to no name: %+v", ack)
	}
	for _, c := range []*client{ada, eve} {
		if got := c.heard(); len(got) != 0 {
			t.Errorf("somebody else is told %v", typesOf(got))
		}
	}
}

// TestMarket subscribes to prices: batches continue each other and agree with the snapshot.
func TestMarket(t *testing.T) {
	t.Parallel()
	f := start(t, Config{BatchWindow: 200 * time.Millisecond})
	ada, ben := f.dial("Ada"), f.dial("Ben")
	for _, c := range []*client{ada, ben} {
		if ack := c.request(wire.TypeSubscribe, wire.StreamPayload{Stream: wire.StreamMarket}); !ack.Success {
			t.Fatalf("subscribe: %+v", ack)
		}
	}
	code, body := f.do(http.MethodGet, "/api/market", "")
	var snapshot market.Snapshot
	if err := json.Unmarshal([]byte(body), &snapshot); err != nil || code != http.StatusOK {
		t.Fatalf("snapshot: %d %v", code, err)
	}
	var last market.Batch
	prices := map[string]int64{} // at the snapshot
	for n := 0; n < 3 || last.LastSeq < snapshot.Seq; n++ {
		_, batch := expect[market.Batch](ada, wire.TypeTicks)
		if n > 0 && batch.FirstSeq != last.LastSeq+1+batch.Skipped {
			t.Errorf("a batch from %d after one to %d, %d skipped", batch.FirstSeq, last.LastSeq, batch.Skipped)
		}
		if want := (batch.LastSeq - batch.FirstSeq + 1) * uint64(len(snapshot.Quotes)); uint64(len(batch.Ticks)) != want {
			t.Errorf("%d ticks from %d to %d, want %d", len(batch.Ticks), batch.FirstSeq, batch.LastSeq, want)
		}
		for _, tick := range batch.Ticks {
			if tick.Seq == snapshot.Seq {
				prices[tick.Symbol] = tick.Price
			}
		}
		last = batch
	}
	want := map[string]int64{}
	for symbol, quote := range snapshot.Quotes {
		want[symbol] = quote.Price
	}
	if len(prices) > 0 { // else the snapshot was of before the first batch
		if diff := cmp.Diff(want, prices); diff != "" {
			t.Errorf("prices at %d (-snapshot +feed):\n%s", snapshot.Seq, diff)
		}
	}
	_, body = f.do(http.MethodGet, "/api/market", "")
	if err := json.Unmarshal([]byte(body), &snapshot); err != nil || snapshot.Seq < last.LastSeq {
		t.Errorf("the snapshot is at %d after a batch to %d: %v", snapshot.Seq, last.LastSeq, err)
	}

	id := ada.send(wire.TypeUnsubscribe, wire.StreamPayload{Stream: wire.StreamMarket})
	if env, ack := await[wire.AckPayload](ada, wire.TypeAck); !ack.Success || env.MessageID != id {
		t.Errorf("unsubscribe: %+v", ack)
	}
	ben.heard()
	expect[market.Batch](ben, wire.TypeTicks)
	if got := ada.heard(); len(got) != 0 {
		t.Errorf("got %v after having unsubscribed", typesOf(got))
	}
	if ack := ada.request(wire.TypeSubscribe, wire.StreamPayload{Stream: "weather"}); ack.Error != wire.CodeBadPayload {
		t.Errorf("a stream that is not there: %+v", ack)
	}
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Node: "here"})
	ada, ben := f.dial("Ada"), f.dial("Ben")
	ben.join("lobby")
	ada.request(wire.TypeSubscribe, wire.StreamPayload{Stream: wire.StreamDashboard})
	_, p := expect[wire.DashboardPayload](ada, wire.TypeDashboard)
	if p.ReceivedPerSecond == 0 { // all was said in the second before
		ben.heard()
		_, p = expect[wire.DashboardPayload](ada, wire.TypeDashboard)
	}
	if p.ReceivedPerSecond <= 0 || p.SentPerSecond <= 0 {
		t.Errorf("%v received and %v sent a second", p.ReceivedPerSecond, p.SentPerSecond)
	}
	p.ReceivedPerSecond, p.SentPerSecond = 0, 0
	if want := (wire.DashboardPayload{Node: "here", Connections: 2, Rooms: 1}); p != want {
		t.Errorf("told %+v, want %+v", p, want)
	}
}
