package demo

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/use/market"
	"github.com/sockscope/sockscope/demo/wire"
)

func TestDroppedDeliveries(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada, ben := f.twoInTheLobby()
	f.turnOn("dropped_deliveries", 1, "1m")
	ada.say("unheard")
	ada.send(wire.TypeNotify, wire.NotifyPayload{User: "Ben", Text: "unheard"})
	expect[wire.AckPayload](ada, wire.TypeAck)
	ben.alive()
	f.turnOff("dropped_deliveries")
	ada.say("heard")
	if diff := cmp.Diff([]uint64{2}, ben.numbers(1)); diff != "" {
		t.Errorf("Ben gets (-want +got):\n%s", diff)
	}
	f.awaitSeries(map[string]float64{"messages_dropped_total expired": 3, "messages_total transmit message": 2})
}

func TestSequence(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		faults []string
		say    int // while the faults are on
		after  int // when they have healed
		want   []uint64
	}{
		"skipped":                 {[]string{"skipped_sequence"}, 2, 1, []uint64{3}},
		"repeated":                {[]string{"repeated_sequence"}, 2, 1, []uint64{1, 1, 2, 2, 3}},
		"reordered":               {[]string{"reordered_sequence"}, 4, 1, []uint64{2, 1, 4, 3, 5}},
		"reordered, none follows": {[]string{"reordered_sequence"}, 1, 0, []uint64{1}},
		"reordered and repeated":  {[]string{"reordered_sequence", "repeated_sequence"}, 2, 1, []uint64{2, 2, 1, 1, 3}},
		"all":                     {[]string{"skipped_sequence", "reordered_sequence", "repeated_sequence"}, 3, 1, []uint64{4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, Config{})
			speaker, ben := f.dial("speaker"), f.dial("Ben")
			ben.join("lobby")
			speaker.join("lobby")
			expect[wire.PresencePayload](ben, wire.TypeJoined)
			go func() { _ = speaker.ended() }()
			said := 0.0
			say := func(n int) {
				said += float64(n)
				for range n {
					speaker.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "hello"})
				}
				f.awaitSeries(map[string]float64{"message_duration_seconds message": said})
			}
			for _, fault := range tc.faults {
				f.turnOn(fault, 1, "1m")
			}
			say(tc.say)
			if tc.after > 0 {
				for _, fault := range tc.faults {
					f.turnOff(fault)
				}
			}
			say(tc.after)
			if diff := cmp.Diff(tc.want, ben.numbers(len(tc.want))); diff != "" {
				t.Errorf("Ben gets (-want +got):\n%s", diff)
			}
			ben.alive() // and nothing else
			f.awaitSeries(map[string]float64{
				"messages_total receive message":  float64(tc.say + tc.after),
				"messages_total transmit message": float64(2 * len(tc.want)),
			})
		})
	}
}

func TestSequenceOfTheMarket(t *testing.T) {
	t.Parallel()
	f := start(t, Config{BatchWindow: 100 * time.Millisecond})
	c := f.dial("bot")
	c.send(wire.TypeSubscribe, wire.StreamPayload{Stream: wire.StreamMarket})
	batch := func() market.Batch {
		for {
			env, err := c.read()
			if err != nil {
				t.Fatal(err)
			}
			var b market.Batch
			if env.Type == wire.TypeTicks {
				if err := json.Unmarshal(env.Payload, &b); err != nil {
					t.Fatal(err)
				}
				return b
			}
		}
	}
	batch()
	f.turnOn("repeated_sequence", 1, "1m")
	last := batch()
	f.eventually(func() bool {
		b := batch()
		repeated := b.FirstSeq == last.FirstSeq
		last = b
		return repeated
	}, func() string { return "no batch comes twice" })

	published := func() float64 { return f.metrics("websocket_broadcast_duration_seconds")["broadcast_duration_seconds"] }
	f.turnOn("skipped_sequence", 1, "1m")
	before := published()
	// The dashboard is published as well, each second.
	f.eventually(func() bool { return published() > before+4 }, func() string { return "nothing is published" })
	f.turnOff("skipped_sequence")
	f.eventually(func() bool {
		b := batch()
		gap := b.FirstSeq > last.LastSeq+1
		last = b
		return gap
	}, func() string { return "no batch is missing" })

	f.turnOff("repeated_sequence")
	f.turnOn("reordered_sequence", 1, "1m")
	f.eventually(func() bool {
		b := batch()
		backwards := b.LastSeq < last.FirstSeq
		last = b
		return backwards
	}, func() string { return "no batch comes after its successor" })

	f.turnOff("reordered_sequence")
	// The batches that were on their way come, and from then on all is in order.
	inOrder := 0
	f.eventually(func() bool {
		b := batch()
		if inOrder++; b.FirstSeq != last.LastSeq+1 {
			inOrder = 0
		}
		last = b
		return inOrder == 5
	}, func() string { return "the order does not heal" })
}
