package outbox

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// batches is a peer that writes down which frames came together. It takes a batch only when it is let.
type batches struct {
	typ instrument.MessageType
	got []string // the frames of a batch, with a space between them
	let chan struct{}
}

func (p *batches) write(b Batch) {
	<-p.let
	var texts []string
	b.WriteEach(func(f *wire.Frame) (instrument.MessageType, int, error) {
		texts = append(texts, string(f.Data[:min(len(f.Data), 3)]))
		return p.typ, len(f.Data), nil
	})
	p.got = append(p.got, strings.Join(texts, " "))
}

// numbers returns frames from one number to another, of which the text has at least that size.
func numbers(from, to, size int) (frames []*wire.Frame) {
	for n := from; n <= to; n++ {
		frames = append(frames, frame(fmt.Sprintf("%-*d", max(size, 1), n)))
	}
	return frames
}

// TestTogether puts frames while the first of them is being written: what waits then is written together, within
// bounds.
func TestTogether(t *testing.T) {
	list := func(from, to int) string {
		var texts []string
		for n := from; n <= to; n++ {
			texts = append(texts, fmt.Sprint(n))
		}
		return strings.Join(texts, " ")
	}
	for name, tc := range map[string]struct {
		capacity int
		puts     []*wire.Frame
		want     []string
	}{
		"nothing waits":           {256, nil, []string{"0"}},
		"some wait":               {256, numbers(1, 5, 0), []string{"0", list(1, 5)}},
		"more than one batch":     {256, numbers(1, 40, 0), []string{"0", list(1, 32), list(33, 40)}},
		"a quarter of the queue":  {16, numbers(1, 9, 0), []string{"0", list(1, 4), list(5, 8), "9"}},
		"a queue for a few":       {4, numbers(1, 3, 0), []string{"0", "1", "2", "3"}},
		"large ones":              {256, numbers(1, 5, mostBytes/2), []string{"0", "1   2  ", "3   4  ", "5  "}},
		"one of more than a size": {256, numbers(1, 2, 2*mostBytes), []string{"0", "1  ", "2  "}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := observe(t)
				p := &batches{typ: o.MessageType("message"), let: make(chan struct{})}
				out := New(Config{Capacity: tc.capacity, Write: p.write, Conn: o.open(t)})
				out.Put(frame("0"), nil)
				synctest.Wait() // until it is being written
				for _, f := range tc.puts {
					out.Put(f, nil)
				}
				close(p.let)
				if err := out.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(tc.want, p.got); diff != "" {
					t.Errorf("the peer got (-want +got):\n%s", diff)
				}
				o.check(t, outcome{Sent: len(tc.puts) + 1, Delivered: len(tc.puts) + 1})
			})
		})
	}
}

// TestCapacityOfTogether fills a queue while several frames are being written: those behind the first still take room,
// and no more of them than leave the policy something to drop.
func TestCapacityOfTogether(t *testing.T) {
	const capacity = 8
	for name, tc := range map[string]struct {
		policy  Policy
		queued  int // as it is observed: one that takes another's place is not remembered while that is
		want    []string
		dropped map[string]int
	}{
		"disconnect":  {Disconnect, capacity + 1, []string{"0", "1 2", "3 4", "5 6", "7 8", "9"}, map[string]int{"queue_full": 2}},
		"drop oldest": {DropOldest, capacity, []string{"0", "1 2", "5 6", "7 8", "9 10", "11"}, map[string]int{"queue_full": 2}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := observe(t)
				p := &batches{typ: o.MessageType("message"), let: make(chan struct{})}
				conn := o.open(t)
				out := New(Config{Capacity: capacity, Policy: tc.policy, Write: p.write, Conn: conn})
				for _, f := range numbers(0, 2, 0) {
					out.Put(f, nil)
					synctest.Wait()
				}
				p.let <- struct{}{}
				synctest.Wait() // 1 and 2 are being written
				for _, f := range numbers(3, 11, 0) {
					out.Put(f, nil)
				}
				if stats := conn.Stats(); stats.Queued != tc.queued {
					t.Errorf("%d frames are observed to wait or to be written, want %d", stats.Queued, tc.queued)
				}
				close(p.let)
				if err := out.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(tc.want, p.got); diff != "" {
					t.Errorf("the peer got (-want +got):\n%s", diff)
				}
				o.check(t, outcome{Sent: 10, Delivered: 10, Dropped: tc.dropped})
			})
		})
	}
}

// TestTogetherFails has a write of several frames fail after some of them: these were sent, and the rest is dropped
// with all that waits.
func TestTogetherFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observe(t)
		typ := o.MessageType("message")
		let := make(chan struct{})
		var failed []error
		out := New(Config{Conn: o.open(t), Failed: func(err error) { failed = append(failed, err) }, Write: func(b Batch) {
			<-let
			if len(b) == 1 {
				b.WriteEach(func(f *wire.Frame) (instrument.MessageType, int, error) { return typ, len(f.Data), nil })
				return
			}
			b[1].Err = fmt.Errorf("an hour old: %w", ErrExpired)
			for i := range b {
				b[i].Type = typ
			}
			b.Fail(2, errGone)
		}})
		for _, f := range numbers(0, 40, 0) {
			out.Put(f, nil)
			if string(f.Data) == "0" {
				synctest.Wait()
			}
		}
		close(let)
		if err := out.Close(t.Context()); !errors.Is(err, errGone) {
			t.Errorf("Close returned %v, want %v", err, errGone)
		}
		if len(failed) != 1 || !errors.Is(failed[0], errGone) {
			t.Errorf("Failed was called with %v, want %v", failed, errGone)
		}
		// 0 before, then 1 and 3; 2 is withheld; 4 to 40 are dropped.
		o.check(t, outcome{Sent: 3, Delivered: 3, Dropped: map[string]int{"expired": 1, "closed": 37}})
	})
}

// TestWritersGoOn has some of many peers keep their writers waiting: all others get their frames, and there are no more
// goroutines than peers that wait.
func TestWritersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const outboxes, stuck = 500, 20
		o := observe(t)
		typ := o.MessageType("message")
		var writers Writers
		let := make(chan struct{})
		outs := make([]*Outbox, outboxes)
		for n := range outs {
			outs[n] = New(Config{Conn: o.open(t), Writers: &writers, Write: func(b Batch) {
				if n < stuck {
					<-let
				}
				b.WriteEach(func(f *wire.Frame) (instrument.MessageType, int, error) { return typ, len(f.Data), nil })
			}})
		}
		f := frame("hello")
		for range 3 {
			for _, out := range outs {
				out.Put(f, nil)
			}
			synctest.Wait()
		}
		o.check(t, outcome{Sent: 3 * (outboxes - stuck), Delivered: 3 * (outboxes - stuck), Queued: 3 * stuck})
		// NumGoroutine is not exact.
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if n := bytes.Count(stacks, []byte("created by github.com/sockscope/sockscope/demo/outbox.(*Writers).start")); n != stuck {
			t.Errorf("%d goroutines write, want %d:\n%s", n, stuck, stacks)
		}
		close(let)
		for _, out := range outs {
			if err := out.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		o.check(t, outcome{Sent: 3 * outboxes, Delivered: 3 * outboxes})
	})
}
