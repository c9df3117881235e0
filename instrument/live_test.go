package instrument_test

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument"
)

// TestConnsAndStats compares everything that a console gets to know of a connection.
func TestConnsAndStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObserver(t, instrument.WithMessageTypes("message"))
		opened := time.Now()
		c, closed := open(t, o), open(t, o)
		closed.Closed(instrument.Cause{})
		message := o.MessageType("message")
		time.Sleep(time.Second)
		c.Received(message, 10)
		time.Sleep(time.Second)
		c.Sent(message, 20)
		c.SetQueueCapacity(8)
		c.BeginDelivery()
		c.BeginDelivery().Sent(message, 30)
		ping := c.BeginPing()
		time.Sleep(20 * time.Millisecond)
		ping.End(instrument.PingPong)
		c.BeginPing()
		time.Sleep(time.Second)

		var got []instrument.ConnStats
		for c := range o.Conns() {
			got = append(got, c.Stats())
		}
		want := []instrument.ConnStats{{
			ID: c.ID(), Opened: opened,
			ReceivedMessages: 1, ReceivedBytes: 10, SentMessages: 2, SentBytes: 50,
			LastReceived: opened.Add(time.Second), LastSent: opened.Add(2 * time.Second),
			Queued: 1, QueueCapacity: 8, QueuedFor: 1020 * time.Millisecond,
			LastPong: opened.Add(2020 * time.Millisecond), RTT: 20 * time.Millisecond, Unanswered: time.Second,
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		for range o.Conns() {
			break // callers may stop early
		}
	})
}

// TestQueueOverflows has more messages handed to a queue than it holds: those that it does not take leave the others in
// it.
func TestQueueOverflows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, newObserver(t))
		c.SetQueueCapacity(1)
		written, queued := c.BeginDelivery(), c.BeginDelivery()
		for range 3 {
			c.BeginDelivery().Dropped(instrument.DropQueueFull) // at the very same time
		}
		for want, d := range []instrument.Delivery{{}, queued, written} {
			d.Sent(instrument.MessageType{}, 1)
			if got := c.Stats().Queued; got != 2-want {
				t.Errorf("%d messages are queued after %d were written, want %d", got, want, 2-want)
			}
		}
	})
}

// TestIdle has connections fall silent one after the other.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObserver(t)
		busy := open(t, o)
		open(t, o)
		idle := func() [3]float64 {
			busy.Received(instrument.MessageType{}, 1)
			var got [3]float64
			for i, name := range []string{"30s", "1m", "5m"} {
				got[i] = value(t, o, "websocket_idle_connections", "idle", name)
			}
			return got
		}
		for _, tt := range []struct {
			after time.Duration
			want  [3]float64
		}{
			{30 * time.Second, [3]float64{}},
			{time.Second, [3]float64{1, 0, 0}},
			{30 * time.Second, [3]float64{1, 1, 0}},
			{4 * time.Minute, [3]float64{1, 1, 1}},
		} {
			time.Sleep(tt.after)
			if got := idle(); got != tt.want {
				t.Errorf("idle after %v more: %v, want %v", tt.after, got, tt.want)
			}
		}
	})
}

// TestSlow has messages wait for one connection longer than for another.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObserver(t)
		slow, quick := open(t, o), open(t, o)
		stuck := []instrument.Delivery{slow.BeginDelivery(), slow.BeginDelivery()}
		check := func(connections, messages float64) {
			t.Helper()
			got := [2]float64{value(t, o, "websocket_slow_connections", "", ""), value(t, o, "websocket_slow_connection_messages", "", "")}
			if want := [2]float64{connections, messages}; got != want {
				t.Errorf("slow connections and their messages: %v, want %v", got, want)
			}
		}
		time.Sleep(time.Second)
		check(0, 0)
		time.Sleep(time.Millisecond)
		quick.BeginDelivery()
		check(1, 2)
		stuck[0].Sent(instrument.MessageType{}, 1)
		check(1, 1)
		slow.Closed(instrument.Cause{})
		check(0, 0)
	})
}

// TestComeAndGo opens and closes a million connections from several goroutines while they are listed, and wants nothing
// left.
func TestComeAndGo(t *testing.T) {
	o := newObserver(t)
	each := 250_000
	if testing.Short() {
		each = 25_000
	}
	ctx := t.Context()
	before := heap()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			held := make([]*instrument.Conn, 100)
			for i := range each {
				held[i%100].Closed(instrument.Cause{Initiator: instrument.InitiatorLocal})
				_, h := o.BeginHandshake(ctx, instrument.Request{Host: "chat.example"})
				held[i%100] = h.Opened(101)
			}
			for _, c := range held {
				c.Closed(instrument.Cause{Initiator: instrument.InitiatorLocal})
			}
		})
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	for listing := true; listing; {
		select {
		case <-ended:
			listing = false
		case <-time.After(time.Millisecond):
		}
		n := 0
		for range o.Conns() {
			n++
		}
		if n > 800 || !listing && n != 0 {
			t.Fatalf("%d connections are listed (everything has ended: %v)", n, !listing)
		}
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("the heap has grown from %d to %d bytes", before, after)
	}
	runtime.KeepAlive(o)
}

// TestSeriesOfConnections has many connections export as many series as a few.
func TestSeriesOfConnections(t *testing.T) {
	series := func(connections int) int {
		o := newObserver(t, instrument.WithMessageTypes("message"), instrument.WithBackplanes("redis"))
		_, b := o.BeginBroadcast(t.Context())
		for i := range connections {
			c := open(t, o)
			_, m := c.BeginMessage(t.Context(), o.MessageType("message"), i, nil)
			m.End(nil)
			c.Received(o.MessageType(c.ID()), i)
			c.BeginDelivery().Sent(o.MessageType("message"), i)
			b.BeginDelivery(c)
			c.BeginPing().End(instrument.PingPong)
			c.BeginPing()
			if i%2 == 0 {
				c.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonForCode(3000 + i)})
			}
		}
		b.End(nil)
		return seriesOf(t, o)
	}
	if few, many := series(10), series(10_000); few != many {
		t.Errorf("%d series with 10 connections, %d with 10,000", few, many)
	}
}

// TestMemoryPerConnection holds a connection that has carried messages to a kilobyte.
func TestMemoryPerConnection(t *testing.T) {
	o := newObserver(t)
	const n = 10_000
	conns := make([]*instrument.Conn, n)
	before := heap()
	for i := range conns {
		conns[i] = open(t, o)
		conns[i].Received(instrument.MessageType{}, 1)
		conns[i].BeginDelivery().Sent(instrument.MessageType{}, 1)
		conns[i].BeginPing().End(instrument.PingPong)
	}
	if each := (heap() - before) / n; each > 1024 {
		t.Errorf("%d bytes per connection, want at most 1024", each)
	} else {
		t.Logf("%d bytes per connection", each)
	}
	runtime.KeepAlive(conns)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
