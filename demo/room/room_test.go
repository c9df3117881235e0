package room

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/wire"
)

// TestJoinAfter has members leave and come back while others publish at full speed: what they read from the history and
// what is delivered to them together has to be everything, once and in order.
func TestJoinAfter(t *testing.T) {
	t.Parallel()
	const publishers, each, travellers = 4, 60, 4
	h := newStore(t, history.Limits{})
	r := New(Config{History: h})
	stays := new(listener)
	join(t, r, "lobby", stays)
	var publishing, travelling sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() {
			for i := range each {
				deliver(t, r, h.say(t, "lobby", fmt.Sprint(p, "-", i)))
			}
		})
	}
	published := make(chan struct{})
	for range travellers {
		travelling.Go(func() {
			known := &traveller{t: t, rooms: r, history: h}
			for over := false; !over; {
				select {
				case <-published:
					over = true // and once more
				default:
				}
				known.visit()
			}
			if diff := cmp.Diff(upTo(publishers*each), known.seqs); diff != "" {
				t.Errorf("what a traveller knows (-want +got):\n%s", diff)
			}
		})
	}
	publishing.Wait()
	close(published)
	travelling.Wait()
	stays.wants(t, "what the one who stays got", upTo(publishers*each)...)
}

// traveller knows what was read and what was delivered.
type traveller struct {
	t       *testing.T
	rooms   *Rooms
	history history.Store
	seqs    []uint64
}

func (k *traveller) visit() {
	var l listener
	for deadline := time.Now().Add(patience); ; {
		after := uint64(len(k.seqs))
		_, joined, err := k.rooms.JoinAfter(k.t.Context(), "lobby", &l, after)
		if err != nil {
			k.t.Error(err)
			return
		}
		if joined {
			break
		}
		missed, err := k.history.After(k.t.Context(), "lobby", after, 3)
		if err != nil || time.Now().After(deadline) {
			k.t.Errorf("does not get into the room: %v", err)
			return
		}
		for _, m := range missed {
			k.seqs = append(k.seqs, m.Seq)
		}
	}
	time.Sleep(time.Millisecond)
	k.rooms.Leave("lobby", &l)
	k.seqs = append(k.seqs, l.seqs()...)
}

// TestJoinAfterWhatDidNotGetHere joins with messages from the history that were not delivered here yet.
func TestJoinAfterWhatDidNotGetHere(t *testing.T) {
	t.Parallel()
	h := newStore(t, history.Limits{})
	r := New(Config{History: h})
	ada, ben, eve := new(listener), new(listener), new(listener)
	join(t, r, "lobby", ada)
	said := h.sayMany(t, 3)
	type result struct {
		Seq    uint64
		Joined bool
	}
	ask := func(m Member, after uint64) result {
		seq, joined, err := r.JoinAfter(t.Context(), "lobby", m, after)
		if err != nil {
			t.Fatal(err)
		}
		return result{seq, joined}
	}
	if diff := cmp.Diff(result{3, false}, ask(ben, 2)); diff != "" {
		t.Errorf("who has not read the last (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(result{3, true}, ask(ben, 3)); diff != "" {
		t.Errorf("who has read all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(result{3, true}, ask(eve, 1<<60)); diff != "" {
		t.Errorf("who makes it up (-want +got):\n%s", diff)
	}
	for _, m := range said {
		deliver(t, r, m)
	}
	deliver(t, r, h.say(t, "lobby", "next"))
	ada.wants(t, "who was there", 1, 2, 3, 4)
	ben.wants(t, "who had read them", 4)
	eve.wants(t, "who made it up", 4)
}

func TestLimit(t *testing.T) {
	t.Parallel()
	r := New(Config{History: newStore(t, history.Limits{}), Limit: 2})
	ada, ben := new(listener), new(listener)
	join(t, r, "one", ada, ben)
	join(t, r, "two", ada)
	_, err := r.Join(t.Context(), "three", ada)
	var refused *wire.RefusalError
	if !errors.As(err, &refused) || refused.Code != wire.CodeServerFull {
		t.Fatalf("a room too many: %v, want %s", err, wire.CodeServerFull)
	}
	r.Leave("one", ada)
	r.Leave("nowhere", ada) // harmless
	if _, err := r.Join(t.Context(), "three", ada); err == nil {
		t.Error("a room too many while another still has a member")
	}
	r.Leave("one", ben)
	join(t, r, "three", ada) // the empty room made place
	r.Leave("two", ada)
	r.Leave("three", ada)
	if n := r.Len(); n != 0 {
		t.Errorf("%d rooms without members", n)
	}
}

// TestOpeningHangs has a history that does not answer for one room: all others go on.
func TestOpeningHangs(t *testing.T) {
	t.Parallel()
	h := newStore(t, history.Limits{})
	r := New(Config{History: h})
	ada, ben := new(listener), new(listener)
	asked, stuck := make(chan struct{}), make(chan error, 1)
	h.disturb(func(ctx context.Context, room string) error {
		if room != "stuck" {
			return nil
		}
		close(asked)
		<-ctx.Done()
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := r.Join(ctx, "stuck", ada)
		stuck <- err
	}()
	<-asked
	within(t, "another room", func() {
		join(t, r, "lobby", ben)
		deliver(t, r, h.say(t, "lobby", "hello"))
		r.Publish("lobby", &wire.Frame{Type: wire.TypeTyping}, nil, nil)
		r.Publish("stuck", &wire.Frame{Type: wire.TypeTyping}, nil, nil)
		if n := r.Len(); n != 2 {
			t.Errorf("%d rooms, want 2", n)
		}
	})
	if got := len(ben.frames()); got != 2 {
		t.Errorf("%d frames in another room, want 2", got)
	}
	cancel()
	if err := <-stuck; !errors.Is(err, context.Canceled) {
		t.Errorf("the room that hangs: %v, want that its context has ended", err)
	}
	if n := r.Len(); n != 1 {
		t.Errorf("%d rooms, want 1", n)
	}
}

// TestOpeningFails has somebody wait for a room that another is about to open, in vain: nobody gets in without knowing
// where the room is.
func TestOpeningFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is gone")
	type result struct {
		Seq uint64
		Err error
	}
	for name, tc := range map[string]struct {
		fail   func(first context.CancelFunc) error // opens the room
		second result
	}{
		"the history fails":  {func(context.CancelFunc) error { return broken }, result{0, broken}},
		"the first gives up": {func(first context.CancelFunc) error { first(); return context.Canceled }, result{5, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newStore(t, history.Limits{})
			h.sayMany(t, 5)
			r := New(Config{History: h})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			asked, goOn := make(chan struct{}), make(chan struct{})
			var once sync.Once
			h.disturb(func(context.Context, string) (err error) {
				once.Do(func() {
					close(asked)
					<-goOn
					err = tc.fail(cancel)
				})
				return err
			})
			enter := func(ctx context.Context, m Member) <-chan result {
				entered := make(chan result, 1)
				go func() {
					seq, err := r.Join(ctx, "lobby", m)
					entered <- result{seq, err}
				}()
				return entered
			}
			first := enter(ctx, new(listener))
			<-asked
			ada := new(listener)
			second := enter(t.Context(), ada)
			waits := func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return r.rooms["lobby"].users == 2
			}
			for deadline := time.Now().Add(patience); !waits(); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the second does not wait for the first")
				}
			}
			close(goOn)
			if got := <-first; got.Err == nil {
				t.Errorf("the first gets in: %+v", got)
			}
			if got := <-second; got.Seq != tc.second.Seq || !errors.Is(got.Err, tc.second.Err) {
				t.Errorf("the second: %+v, want %+v", got, tc.second)
			}

			// A member that comes later finds the room as it is.
			if tc.second.Err != nil && r.Len() != 0 {
				t.Errorf("%d rooms, want none", r.Len())
			}
			ben := new(listener)
			if seq, err := r.Join(t.Context(), "lobby", ben); seq != 5 || err != nil {
				t.Errorf("a third joins at %d (%v), want 5", seq, err)
			}
			deliver(t, r, h.say(t, "lobby", "next"))
			ben.wants(t, "what the third got", 6)
			if tc.second.Err == nil {
				ada.wants(t, "what the second got", 6)
			}
		})
	}
}

// TestPublish reaches the members of one room, except one.
func TestPublish(t *testing.T) {
	t.Parallel()
	r := New(Config{History: newStore(t, history.Limits{})})
	ada, ben, eve := new(listener), new(listener), new(listener)
	join(t, r, "lobby", ada, ben)
	join(t, r, "cellar", eve)
	f := &wire.Frame{Type: wire.TypeTyping}
	r.Publish("lobby", f, nil, ada)
	r.Publish("nowhere", f, nil, nil)
	for l, want := range map[*listener][]*wire.Frame{ada: nil, ben: {f}, eve: nil} {
		if got := l.frames(); len(got) != len(want) {
			t.Errorf("%d frames, want %d", len(got), len(want))
		}
	}
}

// TestFrame is what members get: the message, and the trace context of its sender where there is no other.
func TestFrame(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	said := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	f, err := Frame(t.Context(), history.Message{
		Room: "lobby", Seq: 7, ID: "6f1c", SavedID: "9a2d", From: "Ada", Text: "hello", Time: said, Traceparent: parent, Tracestate: "a=b",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"message","payload":{"room":"lobby","text":"hello","savedId":"9a2d","from":"Ada"},` +
		`"timestamp":"2026-01-02T15:04:05Z","messageId":"6f1c","traceparent":"` + parent + `","tracestate":"a=b","seq":7}`
	if diff := cmp.Diff(want, string(f.Data)); diff != "" || f.Seq != 7 || f.Type != wire.TypeMessage || f.Key != "" {
		t.Errorf("frame %d of type %s and key %q (-want +got):\n%s", f.Seq, f.Type, f.Key, diff)
	}
}

// TestTopics subscribes and unsubscribes from many sides while others publish.
func TestTopics(t *testing.T) {
	t.Parallel()
	var topics Topics
	stays, other := new(listener), new(listener)
	topics.Subscribe("market", stays)
	topics.Subscribe("market", stays) // once is enough
	topics.Subscribe("dashboard", other)
	var busy sync.WaitGroup
	const each = 200
	for range 4 {
		busy.Go(func() {
			guest := new(listener)
			for range each {
				topics.Subscribe("market", guest)
				topics.Publish("market", &wire.Frame{}, nil)
				topics.Unsubscribe("market", guest)
				topics.Publish("nothing", &wire.Frame{}, nil)
			}
			if n := len(guest.frames()); n < each {
				t.Errorf("%d frames at a topic subscribed to, want %d at least", n, each)
			}
		})
	}
	busy.Wait()
	topics.Unsubscribe("market", other) // harmless
	topics.Unsubscribe("nothing", other)
	if got, none := len(stays.frames()), len(other.frames()); got != 4*each || none != 0 {
		t.Errorf("%d and %d frames, want %d and none", got, none, 4*each)
	}
	topics.Unsubscribe("market", stays)
	topics.Unsubscribe("dashboard", other)
	if n := len(topics.topics); n != 0 {
		t.Errorf("%d topics without subscribers", n)
	}
}
