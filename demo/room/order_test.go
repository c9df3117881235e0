package room

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/wire"
)

// TestOrderUnderConcurrentPublishers saves and delivers from many sides at once: every member has to see every message
// once and in order, while others come and go.
func TestOrderUnderConcurrentPublishers(t *testing.T) {
	t.Parallel()
	const publishers, each = 8, 40
	h := newStore(t, history.Limits{})
	r := New(Config{History: h})
	ada, ben := new(listener), new(listener)
	join(t, r, "lobby", ada, ben)
	var publishing sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() {
			guest := new(listener)
			for i := range each {
				join(t, r, "lobby", guest)
				m := h.say(t, "lobby", fmt.Sprint(p, "-", i))
				deliver(t, r, m)
				deliver(t, r, m) // as another node may tell it again
				r.Leave("lobby", guest)
			}
			if seqs := guest.seqs(); !ascending(seqs) {
				t.Errorf("a guest got %v", seqs)
			}
		})
	}
	publishing.Wait()
	ada.wants(t, "what Ada got", upTo(publishers*each)...)
	ben.wants(t, "what Ben got", upTo(publishers*each)...)
}

// TestDuplicatesAndGaps tells a room of messages in every order that nodes may tell them in.
func TestDuplicatesAndGaps(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		told []uint64
		want [][]uint64 // after each that is told
	}{
		"in order":       {[]uint64{1, 2, 3}, [][]uint64{{1}, {2}, {3}}},
		"twice":          {[]uint64{1, 1, 2, 1, 2}, [][]uint64{{1}, nil, {2}, nil, nil}},
		"one is missing": {[]uint64{1, 3, 2}, [][]uint64{{1}, {2, 3}, nil}},
		"backwards":      {[]uint64{3, 2, 1}, [][]uint64{{1, 2, 3}, nil, nil}},
		"only the last":  {[]uint64{250}, [][]uint64{upTo(250)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newStore(t, history.Limits{})
			r := New(Config{History: h})
			ada := new(listener)
			join(t, r, "lobby", ada)
			said := h.sayMany(t, 250)
			for i, seq := range tc.told {
				deliver(t, r, said[seq])
				ada.wants(t, fmt.Sprintf("told %v", tc.told[:i+1]), tc.want[i]...)
			}
		})
	}
}

// TestMessageBeforeWhatIsKept is told of a message so late that neither it nor those before it are kept any more.
func TestMessageBeforeWhatIsKept(t *testing.T) {
	t.Parallel()
	h := newStore(t, history.Limits{Messages: 5})
	r := New(Config{History: h})
	ada := new(listener)
	join(t, r, "lobby", ada)
	var said []history.Message
	for i := range 40 {
		said = append(said, h.say(t, "lobby", fmt.Sprint(i)))
	}
	deliver(t, r, said[9])
	deliver(t, r, said[39])
	got := ada.seqs()
	if !ascending(got) || len(got) < 6 || got[0] != 10 || got[len(got)-1] != 40 {
		t.Errorf("got %v, want 10, and the last that are kept, each once", got)
	}
}

// TestLongAbsence has missed more than is fetched: members see the gap before the rest.
func TestLongAbsence(t *testing.T) {
	t.Parallel()
	h := newStore(t, history.Limits{})
	r := New(Config{History: h})
	ada := new(listener)
	join(t, r, "lobby", ada)
	h.sayMany(t, mostMissing+200)
	if err := r.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	ada.wants(t, "what Ada got", upTo(mostMissing + 200)[200:]...)
}

func TestCatchUp(t *testing.T) {
	t.Parallel()
	h := newStore(t, history.Limits{})
	r := New(Config{History: h})
	in := map[string]*listener{"lobby": {}, "cellar": {}, "attic": {}}
	for room, l := range in {
		join(t, r, room, l)
		h.say(t, room, "one")
		h.say(t, room, "two")
	}
	reach := func(room string, seq uint64) {
		t.Helper()
		if err := r.Reach(t.Context(), room, seq); err != nil {
			t.Fatal(err)
		}
	}
	catchUp := func() {
		t.Helper()
		if err := r.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	reach("lobby", 2)
	reach("lobby", 1)
	reach("nowhere", 2)
	in["lobby"].wants(t, "the lobby", 1, 2)
	in["cellar"].wants(t, "the cellar")
	h.say(t, "lobby", "three")
	catchUp()
	in["lobby"].wants(t, "the lobby", 3)
	in["cellar"].wants(t, "the cellar", 1, 2)
	in["attic"].wants(t, "the attic", 1, 2)
	catchUp()
	in["lobby"].wants(t, "the lobby")
	if diff := cmp.Diff(3, r.Len()); diff != "" {
		t.Errorf("rooms (-want +got):\n%s", diff)
	}
}

// TestFailingHistory fails while a message is missing: nothing is delivered out of order, and Retry makes it good.
func TestFailingHistory(t *testing.T) {
	t.Parallel()
	h := newStore(t, history.Limits{})
	r := New(Config{History: h})
	ada, eve := new(listener), new(listener)
	join(t, r, "lobby", ada)
	join(t, r, "cellar", eve)
	said := h.sayMany(t, 3)
	broken := errors.New("the disk is gone")
	h.disturb(func(context.Context, string) error { return broken })

	if err := r.Deliver(t.Context(), said[3], nil); !errors.Is(err, broken) {
		t.Errorf("deliver: %v, want why the history fails", err)
	}
	ada.wants(t, "before the history is back")
	if err := r.Retry(t.Context()); !errors.Is(err, broken) {
		t.Errorf("retry: %v, want why the history fails", err)
	}
	deliver(t, r, said[1]) // before which nothing is missing
	ada.wants(t, "what needs no history", 1)

	h.say(t, "cellar", "one")
	if err := r.CatchUp(t.Context()); !errors.Is(err, broken) {
		t.Errorf("catch up: %v, want why the history fails", err)
	}
	h.disturb(nil)
	if err := r.Retry(t.Context()); err != nil {
		t.Error(err)
	}
	ada.wants(t, "what was missing", 2, 3)
	eve.wants(t, "what was missing of the other room", 1)

	h.disturb(func(context.Context, string) error { return broken })
	if err := r.Retry(t.Context()); err != nil {
		t.Errorf("nothing is to be made good any more: %v", err)
	}
	if _, err := r.Join(t.Context(), "attic", ada); !errors.Is(err, broken) {
		t.Errorf("a room that is new: %v, want why the history fails", err)
	}
	if n := r.Len(); n != 2 {
		t.Errorf("%d rooms, want 2: the one that could not be opened is gone", n)
	}
}

// TestDoubt has more rooms in doubt than Retry catches up with at once.
func TestDoubt(t *testing.T) {
	t.Parallel()
	h := newStore(t, history.Limits{})
	r := New(Config{History: h})
	ada := new(listener)
	for i := range mostRetried + 100 {
		join(t, r, fmt.Sprint("room-", i), ada)
	}
	h.say(t, "room-7", "nobody was told")
	asked := make(map[string]int)
	h.disturb(func(_ context.Context, room string) error {
		asked[room]++
		return nil
	})
	retry := func(want int) {
		t.Helper()
		before := len(asked)
		if err := r.Retry(t.Context()); err != nil {
			t.Error(err)
		}
		if got := len(asked) - before; got != want {
			t.Errorf("the history was asked for %d rooms, want %d", got, want)
		}
	}
	retry(0)
	r.Doubt()
	retry(mostRetried)
	retry(100)
	ada.wants(t, "what nobody was told", 1)
	clear(asked)
	retry(0)
}

// swapped delivers the first two frames in the wrong order.
type swapped struct{ held *wire.Frame }

func (s *swapped) Next(_ string, f *wire.Frame) []*wire.Frame {
	if f.Seq == 1 {
		s.held = f
		return nil
	}
	return []*wire.Frame{f, s.held}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	h := newStore(t, history.Limits{})
	r := New(Config{History: h, Order: new(swapped)})
	ada := new(listener)
	join(t, r, "lobby", ada)
	deliver(t, r, h.say(t, "lobby", "one"))
	deliver(t, r, h.say(t, "lobby", "two"))
	ada.wants(t, "what is delivered", 2, 1)
}
