package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument/client"
)

// market is a sequence of numbers whose state is the sum of those told so far, as a server and a client hold it.
type market struct {
	mu   sync.Mutex
	last uint64
	sum  uint64
}

func (m *market) add(number uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = number
	m.sum += number * number
}

func (m *market) state() (last, sum uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last, m.sum
}

// TestMangledFeed has a server that loses, repeats and reorders events, drops connections and serves snapshots that are
// late, ahead, old or missing, and a handler that is slow and fails at times. The application must see an unbroken
// sequence at every moment, and hold the server's state in the end.
func TestMangledFeed(t *testing.T) {
	occurred := map[string]float64{}
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for name, n := range mangle(t, &luck{random: rand.New(rand.NewPCG(seed, 1))}) {
					occurred[name] += n
				}
			})
		})
	}
	for _, name := range []string{
		"sequence_gaps_total book", "missing_messages_total book", "duplicates_total book", "out_of_order_total book",
		"superseded_total book",
		"reconciliations_total ok reconnect", "reconciliations_total ok gap", "reconciliations_total ok slow",
		"reconciliations_total error handler", "reconciliations_total error gap", "reconciliations_total behind gap",
		"reconciliations_total aborted gap", "disconnections_total network abnormal", "errors_total handler",
	} {
		if occurred[name] == 0 {
			t.Errorf("%s never occurred", name)
		}
	}
}

// luck is the random source of all goroutines of a test.
type luck struct {
	mu     sync.Mutex
	random *rand.Rand
	over   bool // from now on nothing bad happens
}

func (l *luck) bad(percent int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.random.IntN(100) < percent && !l.over
}

func (l *luck) upTo(d time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.random.Int64N(int64(d)))
}

func (l *luck) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

func mangle(t *testing.T, l *luck) map[string]float64 {
	var server, held market
	x, a := newExchange(t), new(consumer)
	st := client.Stream{Name: "book", Expect: 5 * time.Second}
	st.Snapshot = func(ctx context.Context, _ string) (client.Snapshot, error) {
		if l.bad(20) {
			return client.Snapshot{}, errors.New("no snapshot")
		}
		select {
		case <-time.After(l.upTo(2 * time.Second)):
		case <-ctx.Done():
			return client.Snapshot{}, ctx.Err()
		}
		last, sum := server.state()
		select {
		case <-time.After(l.upTo(200 * time.Millisecond)):
		case <-ctx.Done():
		}
		return client.Snapshot{Last: last, Value: sum}, nil
	}
	st.Restore = func(_ context.Context, _ string, s client.Snapshot) (bool, error) {
		if l.bad(10) {
			return false, errors.New("cannot restore")
		}
		held.mu.Lock()
		defer held.mu.Unlock()
		held.last, held.sum = s.Last, s.Value.(uint64)
		return false, nil
	}
	var received, handled atomic.Int64
	counting := func(events []client.Event, typ client.MessageType, payload []byte) ([]client.Event, error) {
		received.Add(1)
		return decode(events, typ, payload)
	}
	handle := func(_ context.Context, e client.Event) error {
		handled.Add(1)
		if l.bad(2) {
			return errors.New("failed")
		}
		if l.bad(5) {
			time.Sleep(l.upTo(time.Second))
		}
		last, _ := held.state()
		if e.First > last+1 {
			t.Errorf("event %d after %d", e.First, last)
		}
		for number := max(e.First, last+1); number <= max(e.First, e.Last); number++ {
			held.add(number)
		}
		return nil
	}
	c := run(t, x, a, client.Feed{Streams: []client.Stream{st}, Decode: counting, Handle: handle},
		client.WithQueue(8, 200*time.Millisecond), client.WithBuffer(64), client.WithBackoff(50*time.Millisecond, time.Second))

	ws := <-x.conns
	var late []string // events that are held back, to come out of order
	for i := range 2000 {
		if i == 1800 {
			l.end()
		}
		select {
		case ws = <-x.conns:
		default:
		}
		last, _ := server.state()
		message := fmt.Sprintf("book %d 0", last+1)
		server.add(last + 1)
		if i%5 == 0 { // a range
			message = fmt.Sprintf("book %d %d", last+1, last+3)
			server.add(last + 2)
			server.add(last + 3)
		}
		var messages []string
		switch {
		case l.bad(1): // lost
		case l.bad(2):
			_ = ws.CloseNow()
		case l.bad(3):
			messages = []string{message, message}
		case l.bad(4):
			late = append(late, message)
		default:
			messages = append([]string{message}, late...)
			late = nil
		}
		for _, m := range messages {
			_ = ws.Write(context.Background(), websocket.MessageText, []byte(m)) // the connection may have ended
		}
		time.Sleep(l.upTo(100 * time.Millisecond))
	}
	time.Sleep(2 * time.Second)
	synctest.Wait()
	compare(t, "state", client.Live, c.State())
	wantLast, wantSum := server.state()
	last, sum := held.state()
	compare(t, "what is held", []uint64{wantLast, wantSum}, []uint64{last, sum})
	got := counts(t, c)
	// A late event may fill a gap before a snapshot does: it is handled or not.
	most := float64(handled.Load()) + got["duplicates_total book"] + got["superseded_total book"] + got["out_of_order_total book"]
	least := most - got["out_of_order_total book"]
	if n := float64(received.Load()); n < least || n > most {
		t.Errorf("%v events were received, and from %v to %v handled or counted as left out", n, least, most)
	}
	return got
}
