package demo

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sockscope/sockscope/demo/wire"
)

func TestHotRoom(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	c := f.dial("Ada")
	c.join("lobby")
	f.turnOn("hot_room", 200, "1m")
	for want := uint64(1); want <= 100; want++ {
		if env, p := expect[wire.MessagePayload](c, wire.TypeMessage); env.Seq != want || p.From != "fault" {
			t.Fatalf("got number %d from %s, want %d", env.Seq, p.From, want)
		}
	}
	f.turnOff("hot_room")
	id := c.send(wire.TypePing, nil)
	for {
		if env, err := c.read(); err != nil {
			t.Fatal(err)
		} else if env.MessageID == id {
			break
		}
	}
	recipients := f.metrics("websocket_broadcast_recipients")["broadcast_recipients"]
	last, err := f.chat.history.LastSeq(t.Context(), "lobby")
	if err != nil || recipients < 100 {
		t.Errorf("%v messages were published, and the history has %d (%v)", recipients, last, err)
	}
}

// TestGoroutineLeak and TestConnectionMemory are not parallel to others, whose goroutines and memory would count.
func TestGoroutineLeak(t *testing.T) {
	f := start(t, Config{})
	f.registry.MustRegister(collectors.NewGoCollector())
	goroutines := func() float64 { return f.metrics("go_goroutines")["go_goroutines"] }
	before := goroutines()
	f.turnOn("goroutine_leak", 1000, "1m")
	seen := func() string { return fmt.Sprintf("%v goroutines after %v", goroutines(), before) }
	f.eventually(func() bool { return goroutines() > before+500 }, seen)
	f.turnOff("goroutine_leak")
	f.eventually(func() bool { return goroutines() < before+50 }, seen)
}

func TestConnectionMemory(t *testing.T) {
	f := start(t, Config{})
	f.registry.MustRegister(collectors.NewGoCollector())
	heap := func() float64 {
		runtime.GC()
		return f.metrics("go_memstats_heap_alloc_bytes")["go_memstats_heap_alloc_bytes"] / (1 << 20)
	}
	for i := range 10 {
		f.dial(fmt.Sprint("early-", i))
	}
	before := heap()
	seen := func() string { return fmt.Sprintf("%v MiB after %v", heap(), before) }
	f.turnOn("connection_memory", 1024, "1m")
	for i := range 10 {
		f.dial(fmt.Sprint("late-", i))
	}
	f.eventually(func() bool { return heap() > before+19 }, seen)
	f.turnOn("connection_memory", 512, "1m") // instead, not as well
	f.eventually(func() bool { return heap() < before+15 }, seen)
	if now := heap(); now < before+9 {
		t.Errorf("%v MiB after %v: the second fault has nobody hold anything", now, before)
	}
	f.turnOff("connection_memory")
	f.eventually(func() bool { return heap() < before+5 }, seen)
}

func TestLogStorm(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	records := func() int { return strings.Count(f.logs.String(), `"msg":"log storm"`) }
	f.turnOn("log_storm", 1000, "1m")
	f.eventually(func() bool { return records() > 200 }, func() string { return fmt.Sprint("no storm: ", records()) })
	f.turnOff("log_storm")
	f.shutdown() // waits for what faults have started
	before := records()
	f.do("GET", "/healthz", "")
	if after := records(); after != before {
		t.Errorf("%d records more after healing", after-before)
	}
}

// TestHotRoomWithoutStore has two faults on at once, of which one keeps the other from doing harm.
func TestHotRoomWithoutStore(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{Store: 50 * time.Millisecond}})
	c := f.dial("Ada")
	c.join("lobby")
	f.turnOn("store_errors", 1, "1m")
	f.turnOn("hot_room", 100, "1m")
	f.eventually(func() bool { return strings.Contains(f.logs.String(), "message of the hot room failed") },
		func() string { return "it is not logged that nothing is saved:\n" + f.logs.String() })
	c.alive() // and has got nothing
	f.turnOff("hot_room")
}
