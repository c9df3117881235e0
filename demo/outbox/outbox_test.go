package outbox

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

var errGone = errors.New("the peer is gone")

// put is a frame with its key.
type put struct{ key, text string }

// texts makes frames without a key.
func texts(texts ...string) []put {
	puts := make([]put, len(texts))
	for i, text := range texts {
		puts[i] = put{"", text}
	}
	return puts
}

// TestPolicies puts frames while the first of them is being written, and then lets the peer read.
func TestPolicies(t *testing.T) {
	for name, tc := range map[string]struct {
		policy  Policy
		puts    []put // after the one that is being written
		read    []string
		full    int
		dropped map[string]int
	}{
		"as many as there is room for": {
			Disconnect, texts("1", "2", "3"), []string{"0", "1", "2", "3"}, 0, nil,
		},
		"disconnect takes nothing from then on": {
			Disconnect, texts("1", "2", "3", "4", "5"), []string{"0", "1", "2", "3"}, 1, map[string]int{"queue_full": 2},
		},
		"disconnect knows no keys": {
			Disconnect, []put{{"a", "1"}, {"a", "2"}, {"a", "3"}, {"a", "4"}}, []string{"0", "1", "2", "3"}, 1,
			map[string]int{"queue_full": 1},
		},
		"drop oldest": {
			DropOldest, texts("1", "2", "3", "4", "5"), []string{"0", "3", "4", "5"}, 0, map[string]int{"queue_full": 2},
		},
		"coalesce in place": {
			Coalesce, []put{{"a", "a1"}, {"b", "b1"}, {"a", "a2"}, {"a", "a3"}, {"c", "c1"}, {"b", "b2"}},
			[]string{"0", "a3", "b2", "c1"}, 0, map[string]int{"superseded": 3},
		},
		"coalesce nothing without a key": {
			Coalesce, []put{{"", "1"}, {"a", "a1"}, {"", "2"}}, []string{"0", "1", "a1", "2"}, 0, nil,
		},
		"coalesce disconnects when no key waits": {
			Coalesce, []put{{"", "1"}, {"a", "a1"}, {"b", "b1"}, {"c", "c1"}, {"a", "a2"}}, []string{"0", "1", "a1", "b1"}, 1,
			map[string]int{"queue_full": 2},
		},
		"coalesce disconnects for a frame without a key": {
			Coalesce, []put{{"a", "a1"}, {"b", "b1"}, {"c", "c1"}, {"", "1"}}, []string{"0", "a1", "b1", "c1"}, 1,
			map[string]int{"queue_full": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := observe(t)
				p := newPeer(o)
				full := 0
				conn := o.open(t)
				out := New(Config{Capacity: 3, Policy: tc.policy, Write: oneByOne(p.write), Full: func() { full++ }, Conn: conn})
				if capacity := conn.Stats().QueueCapacity; capacity != 3 {
					t.Errorf("the capacity is observed as %d, want 3", capacity)
				}
				out.Put(frame("0"), nil)
				synctest.Wait() // until it is being written
				refused := 0
				for _, put := range tc.puts {
					if !out.Put(keyed(put.key, put.text), nil) {
						refused++
					}
				}
				waiting := len(tc.read) - 1
				if out.Len() != waiting {
					t.Errorf("%d frames wait, want %d", out.Len(), waiting)
				}
				if taken := len(tc.puts) - refused; tc.full > 0 && taken != waiting {
					t.Errorf("%d frames were taken, want %d", taken, waiting)
				}
				close(p.let)
				if err := out.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(tc.read, p.got); diff != "" {
					t.Errorf("the peer got (-want +got):\n%s", diff)
				}
				if full != tc.full {
					t.Errorf("Full was called %d times, want %d", full, tc.full)
				}
				o.check(t, outcome{Sent: len(tc.read), Delivered: len(tc.read), Dropped: tc.dropped})
			})
		})
	}
}

// TestBytes puts frames that are few but large: together they may wait only up to a number of bytes, alone in any size.
func TestBytes(t *testing.T) {
	const most = 3 * wire.MaxFrameBytes
	big, small := strings.Repeat("b", most-1), "s"
	for name, tc := range map[string]struct {
		policy  Policy
		puts    []put // after the one that is being written
		read    []string
		dropped map[string]int
	}{
		"as many as there is room for":   {Disconnect, texts(big, small), []string{"0", big, small}, nil},
		"one that is too large, alone":   {Disconnect, texts(big + big), []string{"0", big + big}, nil},
		"disconnect":                     {Disconnect, texts(small, big, small), []string{"0", small, big}, map[string]int{"queue_full": 1}},
		"drop as many as it takes":       {DropOldest, texts(small, small, big), []string{"0", small, big}, map[string]int{"queue_full": 1}},
		"drop all for one too large":     {DropOldest, texts(small, small, big+big), []string{"0", big + big}, map[string]int{"queue_full": 2}},
		"coalesce counts what it leaves": {Coalesce, []put{{"a", big}, {"a", small}, {"b", big}}, []string{"0", small, big}, map[string]int{"superseded": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := observe(t)
				p := newPeer(o)
				out := New(Config{Capacity: 3, Policy: tc.policy, Write: oneByOne(p.write), Conn: o.open(t)})
				out.Put(frame("0"), nil)
				synctest.Wait() // until it is being written
				for _, put := range tc.puts {
					out.Put(keyed(put.key, put.text), nil)
				}
				close(p.let)
				if err := out.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(tc.read, p.got); diff != "" {
					t.Errorf("the peer got (-want +got):\n%s", diff)
				}
				o.check(t, outcome{Sent: len(tc.read), Delivered: len(tc.read), Dropped: tc.dropped})
			})
		})
	}
}

// TestSupersedes has frames of which only the newest is of worth take each other's place, whatever the policy.
func TestSupersedes(t *testing.T) {
	for _, policy := range []Policy{Disconnect, DropOldest, Coalesce} {
		synctest.Test(t, func(t *testing.T) {
			o := observe(t)
			p := newPeer(o)
			out := New(Config{Capacity: 3, Policy: policy, Write: oneByOne(p.write), Conn: o.open(t)})
			out.Put(frame("0"), nil)
			synctest.Wait() // until it is being written
			for _, put := range []put{{"a", "a1"}, {"", "1"}, {"a", "a2"}, {"b", "b1"}, {"a", "a3"}, {"b", "b2"}} {
				f := keyed(put.key, put.text)
				f.Supersedes = put.key != ""
				out.Put(f, nil)
			}
			close(p.let)
			if err := out.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff([]string{"0", "a3", "1", "b2"}, p.got); diff != "" {
				t.Errorf("%v: the peer got (-want +got):\n%s", policy, diff)
			}
			o.check(t, outcome{Sent: 4, Delivered: 4, Dropped: map[string]int{"superseded": 3}})
		})
	}
}

// TestCloseFlushes closes twice at once while frames wait, and puts another.
func TestCloseFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observe(t)
		p := newPeer(o)
		out := New(Config{Write: oneByOne(p.write), Conn: o.open(t)})
		for i := range 3 {
			out.Put(numbered(i), nil)
		}
		closed := make(chan error, 2)
		for range cap(closed) {
			go func() { closed <- out.Close(t.Context()) }()
		}
		synctest.Wait()
		if out.Put(numbered(3), nil) {
			t.Error("a frame was taken after Close")
		}
		o.check(t, outcome{Queued: 3, Dropped: map[string]int{"closed": 1}})
		if len(closed) > 0 {
			t.Error("Close does not wait for what is queued")
		}
		close(p.let)
		for range cap(closed) {
			if err := <-closed; err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff([]string{"0", "1", "2"}, p.got); diff != "" {
			t.Errorf("the peer got (-want +got):\n%s", diff)
		}
		o.check(t, outcome{Sent: 3, Delivered: 3, Dropped: map[string]int{"closed": 1}})
	})
}

func TestCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observe(t)
		p := newPeer(o)
		out := New(Config{Write: oneByOne(p.write), Conn: o.open(t)})
		for i := range 3 {
			out.Put(numbered(i), nil)
			synctest.Wait() // the first is being written
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := out.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("closed after %v: %v", time.Since(start), err)
		}
		o.check(t, outcome{Queued: 1, Dropped: map[string]int{"closed": 2}})
		close(p.let) // the write under way goes on
		if err := out.Close(t.Context()); err != nil {
			t.Error(err)
		}
		o.check(t, outcome{Sent: 1, Delivered: 1, Dropped: map[string]int{"closed": 2}})
	})
}

// TestAbort drops what waits while a write blocks, which then succeeds or fails.
func TestAbort(t *testing.T) {
	for name, tc := range map[string]struct {
		fails bool
		want  outcome
	}{
		"write succeeds": {false, outcome{Sent: 1, Delivered: 1, Dropped: map[string]int{"expired": 2, "closed": 1}}},
		"write fails":    {true, outcome{Dropped: map[string]int{"expired": 3, "closed": 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := observe(t)
				p := newPeer(o)
				out := New(Config{Write: oneByOne(p.write), Conn: o.open(t)})
				for i := range 3 {
					out.Put(numbered(i), nil)
					synctest.Wait() // the first is being written
				}
				synctest.Wait()
				out.Abort(instrument.DropExpired)
				out.Abort(instrument.DropRateLimited) // too late to be the reason
				if out.Put(numbered(3), nil) {
					t.Error("a frame was taken after Abort")
				}
				o.check(t, outcome{Queued: 1, Dropped: map[string]int{"expired": 2, "closed": 1}})
				if tc.fails {
					close(p.gone)
				} else {
					close(p.let)
				}
				if err := out.Close(t.Context()); tc.fails != errors.Is(err, errGone) {
					t.Errorf("Close returned %v", err)
				}
				o.check(t, tc.want)
			})
		})
	}
}

func TestWriteFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observe(t)
		p := newPeer(o)
		var failed []error
		out := New(Config{Write: oneByOne(p.write), Failed: func(err error) { failed = append(failed, err) }, Conn: o.open(t)})
		for i := range 3 {
			out.Put(numbered(i), nil)
			synctest.Wait() // the first is being written
		}
		p.let <- nil
		p.let <- errGone
		synctest.Wait()
		if out.Put(numbered(3), nil) {
			t.Error("a frame was taken after a write has failed")
		}
		if err := out.Close(t.Context()); !errors.Is(err, errGone) {
			t.Errorf("Close returned %v, want %v", err, errGone)
		}
		if len(failed) != 1 || !errors.Is(failed[0], errGone) {
			t.Errorf("Failed was called with %v, want %v", failed, errGone)
		}
		o.check(t, outcome{Sent: 1, Delivered: 1, Dropped: map[string]int{"closed": 3}})
	})
}

// TestExpired leaves a frame out and goes on.
func TestExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observe(t)
		p := newPeer(o)
		out := New(Config{Write: oneByOne(p.write), Failed: func(err error) { t.Errorf("failed: %v", err) }, Conn: o.open(t)})
		for i := range 3 {
			out.Put(numbered(i), nil)
			synctest.Wait() // the first is being written
		}
		p.let <- nil
		p.let <- fmt.Errorf("an hour old: %w", ErrExpired)
		p.let <- nil
		if err := out.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"0", "2"}, p.got); diff != "" {
			t.Errorf("the peer got (-want +got):\n%s", diff)
		}
		o.check(t, outcome{Sent: 2, Delivered: 2, Dropped: map[string]int{"expired": 1}})
	})
}

// TestSlowConsumer gives up a peer that does not read, as a server would.
func TestSlowConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observe(t)
		p := newPeer(o)
		var out *Outbox
		out = New(Config{Capacity: 2, Write: oneByOne(p.write), Full: func() { go out.Abort(instrument.DropClosed) }, Conn: o.open(t)})
		for i := range 3 {
			out.Put(numbered(i), nil)
			synctest.Wait()
		}
		out.Put(numbered(3), nil)
		synctest.Wait()
		close(p.gone)
		synctest.Wait()
		o.check(t, outcome{Dropped: map[string]int{"queue_full": 1, "slow_consumer": 3}})
	})
}

// TestBroadcast counts only the outboxes that take a frame as recipients.
func TestBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observe(t)
		p := newPeer(o)
		open := New(Config{Write: oneByOne(p.write), Conn: o.open(t)})
		closed := New(Config{Write: oneByOne(p.write), Conn: o.open(t)})
		closed.Abort(instrument.DropClosed)
		_, b := o.BeginBroadcast(t.Context())
		open.Put(frame("1"), b)
		closed.Put(frame("1"), b)
		b.End(nil)
		close(p.let)
		synctest.Wait()
		o.check(t, outcome{Sent: 1, Delivered: 1, Dropped: map[string]int{"closed": 1}})
		families, err := o.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "websocket_broadcast_recipients" {
				if sum := family.GetMetric()[0].GetHistogram().GetSampleSum(); sum != 1 {
					t.Errorf("%v recipients, want 1", sum)
				}
			}
		}
	})
}

// TestUnobserved works without a connection to observe, and without anybody to tell.
func TestUnobserved(t *testing.T) {
	p := newPeer(observe(t))
	out := New(Config{Capacity: 1, Write: oneByOne(p.write)})
	for out.Put(frame("x"), nil) {
	}
	close(p.gone)
	if err := out.Close(t.Context()); !errors.Is(err, errGone) {
		t.Errorf("Close returned %v, want %v", err, errGone)
	}
}

// TestOrder puts frames faster than they are read, from several goroutines: of each the frames arrive in order,
// whatever the policy leaves out, and each frame has one end.
func TestOrder(t *testing.T) {
	const putters, each = 4, 2000
	for name, policy := range map[string]Policy{"disconnect": Disconnect, "drop oldest": DropOldest, "coalesce": Coalesce} {
		t.Run(name, func(t *testing.T) {
			o := observe(t)
			typ := o.MessageType("message")
			var writers atomic.Int32
			last := [putters]int{}
			out := New(Config{Capacity: 16, Policy: policy, Conn: o.open(t), Write: oneByOne(func(f *wire.Frame) (instrument.MessageType, int, error) {
				if writers.Add(1) > 1 {
					t.Error("two frames are written at the same time")
				}
				defer writers.Add(-1)
				n, err := strconv.Atoi(string(f.Data))
				if err != nil {
					t.Error(err)
				}
				if by, i := n%putters, n/putters; i <= last[by] {
					t.Errorf("putter %d: %d comes after %d", by, i, last[by])
				} else {
					last[by] = i
				}
				return typ, len(f.Data), nil
			})})
			var group sync.WaitGroup
			for by := range putters {
				group.Go(func() {
					for i := 1; i <= each; i++ {
						out.Put(keyed(strconv.Itoa(by), strconv.Itoa(i*putters+by)), nil)
						if i%64 == 0 {
							runtime.Gosched() // lets the writer end now and then
						}
					}
				})
			}
			group.Wait()
			if err := out.Close(t.Context()); err != nil {
				t.Error(err)
			}
			checkBalance(t, o, putters*each)
		})
	}
}

// TestEveryFrameEndsOnce lets frames, failures, closes and aborts meet by chance.
func TestEveryFrameEndsOnce(t *testing.T) {
	const outboxes, putters, each = 150, 4, 40
	o := observe(t)
	typ := o.MessageType("message")
	var writers Writers
	for n := range outboxes {
		written := 0
		out := New(Config{Capacity: 8, Policy: Policy(n % 3), Conn: o.open(t), Writers: &writers, Write: oneByOne(func(f *wire.Frame) (instrument.MessageType, int, error) {
			if written++; n%4 == 1 && written > 20 {
				return typ, 0, errGone
			}
			return typ, len(f.Data), nil
		})})
		var group sync.WaitGroup
		for by := range putters {
			group.Go(func() {
				for i := range each {
					out.Put(keyed(strconv.Itoa(i%4), strconv.Itoa(i)), nil)
					if by == 0 && i == each/2 && n%4 == 2 {
						out.Abort(instrument.DropClosed)
					}
					if by == 1 && i == each/2 && n%4 == 3 {
						_ = out.Close(t.Context()) // may find a write that has failed
					}
				}
			})
		}
		group.Wait()
		_ = out.Close(t.Context())
		if out.Len() != 0 {
			t.Fatalf("outbox %d: %d frames wait after Close", n, out.Len())
		}
	}
	checkBalance(t, o, outboxes*putters*each)
}

// checkBalance proves that none of n frames is left, lost or counted twice.
func checkBalance(t *testing.T, o observed, n int) {
	t.Helper()
	got := o.outcome(t)
	ends := got.Sent
	for _, dropped := range got.Dropped {
		ends += dropped
	}
	if ends != n || got.Queued != 0 || got.Delivered != got.Sent {
		t.Errorf("%d frames ended and %d are queued, want %d and 0: %+v", ends, got.Queued, n, got)
	}
}

// TestIdle holds many outboxes that have been used: nothing of them may be left but themselves.
func TestIdle(t *testing.T) {
	const outboxes, bound = 20_000, 256
	typ := observe(t).MessageType("message")
	goroutines := runtime.NumGoroutine()
	cfg := Config{Writers: new(Writers), Write: oneByOne(func(*wire.Frame) (instrument.MessageType, int, error) { return typ, 1, nil })}
	idle := make([]*Outbox, outboxes)
	f := frame("x")
	before := heap()
	for i := range idle {
		idle[i] = New(cfg)
		for range 5 {
			idle[i].Put(f, nil)
		}
	}
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left of %d idle outboxes", runtime.NumGoroutine()-goroutines, outboxes)
		}
	}
	each := (int64(heap()) - int64(before)) / outboxes
	t.Logf("%d bytes per idle outbox", each)
	if each > bound {
		t.Errorf("%d bytes per idle outbox, want %d at most", each, bound)
	}
	runtime.KeepAlive(idle)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
