package history_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/history"
)

// everyStore runs the test with each store.
func everyStore(t *testing.T, limits history.Limits, test func(*testing.T, history.Store)) {
	t.Helper()
	for name, open := range stores {
		t.Run(name, func(t *testing.T) { test(t, open(t, limits)) })
	}
}

func message(room, id, text string) history.Message {
	return history.Message{Room: room, ID: id, From: "ada", Text: text}
}

// say appends the texts; the ID of each is the text itself.
func say(t *testing.T, s history.Store, room string, texts ...string) []history.Message {
	t.Helper()
	var said []history.Message
	for _, text := range texts {
		m, again, err := s.Append(t.Context(), message(room, text, text))
		if err != nil || again {
			t.Fatalf("append %q: again %t, %v", text, again, err)
		}
		said = append(said, m)
	}
	return said
}

func after(t *testing.T, s history.Store, room string, seq uint64, limit int) []history.Message {
	t.Helper()
	messages, err := s.After(t.Context(), room, seq, limit)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

func equal(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestAppend(t *testing.T) {
	everyStore(t, history.Limits{}, func(t *testing.T, s history.Store) {
		m := history.Message{
			Room: "Зал-1.a_b", Seq: 99, ID: uuid.NewString(), SavedID: "mine",
			From: "Ada Lovelace", Text: "hello\n\x00 {\"ü\"} ☃",
			Time:        time.Date(2026, 1, 2, 15, 4, 5, 678, time.FixedZone("", 3600)),
			Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Tracestate: "a=b",
		}
		saved, again, err := s.Append(t.Context(), m)
		if err != nil || again {
			t.Fatalf("again %t, %v", again, err)
		}
		if id, err := uuid.Parse(saved.SavedID); err != nil || id.Version() != 7 {
			t.Errorf("SavedID is %s", saved.SavedID)
		}
		want := m
		want.Seq, want.SavedID, want.Time = 1, saved.SavedID, m.Time.UTC()
		equal(t, "what was saved", want, saved)
		equal(t, "what is read", []history.Message{want}, after(t, s, m.Room, 0, 10))

		now := time.Now()
		timed := say(t, s, m.Room, "now")[0]
		if d := timed.Time.Sub(now); d < 0 || d > deadline || timed.Time.Location() != time.UTC {
			t.Errorf("without a time a message got %v, want about %v", timed.Time, now)
		}
		equal(t, "its number", uint64(2), timed.Seq)
	})
}

func TestRetryIsSavedOnce(t *testing.T) {
	everyStore(t, history.Limits{}, func(t *testing.T, s history.Store) {
		first := say(t, s, "lobby", "one", "two")[0]
		got, again, err := s.Append(t.Context(), message("lobby", "one", "one, in other words"))
		if err != nil || !again {
			t.Errorf("a retry: again %t, %v", again, err)
		}
		equal(t, "a retry", first, got)

		// The same ID means something else in another room, and from somebody else.
		say(t, s, "cellar", "one")
		other := message("lobby", "one", "one")
		other.From = "ben"
		if got, again, err := s.Append(t.Context(), other); err != nil || again || got.Seq != 3 {
			t.Errorf("the same ID from somebody else: seq %d, again %t, %v", got.Seq, again, err)
		}
		// Where the name ends and the ID begins makes a difference, too.
		for i, m := range []history.Message{
			{Room: "ends", From: "ad", ID: "aone"},
			{Room: "ends", From: "ada", ID: "one"},
			{Room: "ends", From: "adao", ID: "ne"},
		} {
			if got, again, err := s.Append(t.Context(), m); err != nil || again || got.Seq != uint64(i+1) {
				t.Errorf("%v: seq %d, again %t, %v", m, got.Seq, again, err)
			}
		}
	})
}

func TestReading(t *testing.T) {
	everyStore(t, history.Limits{}, func(t *testing.T, s history.Store) {
		said := say(t, s, "lobby", "1", "2", "3", "4", "5")
		say(t, s, "lobby2", "not here")
		for _, tc := range []struct {
			after uint64
			limit int
			want  []history.Message
		}{
			{0, 10, said}, {0, 5, said}, {0, 2, said[:2]}, {2, 2, said[2:4]}, {4, 10, said[4:]}, {5, 10, nil}, {6, 10, nil},
			{math.MaxInt64, 1, nil}, {math.MaxUint64, 1, nil},
		} {
			equal(t, fmt.Sprintf("%d after %d", tc.limit, tc.after), tc.want, after(t, s, "lobby", tc.after, tc.limit))
		}
		for limit, want := range map[int][]history.Message{1: said[4:], 3: said[2:], 5: said, 10: said, math.MaxInt: said} {
			got, err := s.Latest(t.Context(), "lobby", limit)
			equal(t, fmt.Sprint("error of the latest ", limit), nil, err)
			equal(t, fmt.Sprint("the latest ", limit), want, got)
		}
		for room, want := range map[string]uint64{"lobby": 5, "lobby2": 1, "nowhere": 0} {
			got, err := s.LastSeq(t.Context(), room)
			equal(t, "error of the last of "+room, nil, err)
			equal(t, "the last of "+room, want, got)
		}
		equal(t, "how many a room has that is not there", 0, len(after(t, s, "nowhere", 0, 1)))
	})
}

func TestReads(t *testing.T) {
	everyStore(t, history.Limits{Reads: 3}, func(t *testing.T, s history.Store) {
		say(t, s, "lobby", "1", "2", "3", "4", "5")
		say(t, s, "cellar", "1")
		mark := func(user string, seq uint64) {
			t.Helper()
			if err := s.MarkRead(t.Context(), "lobby", user, seq); err != nil {
				t.Error(err)
			}
		}
		expect := func(want map[string]uint64) {
			t.Helper()
			got, err := s.Reads(t.Context(), "lobby")
			equal(t, "error", nil, err)
			equal(t, "marks", want, got)
		}
		expect(nil)
		mark("ada", 3)
		mark("ada", 2)
		mark("ada", 3)
		mark("ben", 0)
		expect(map[string]uint64{"ada": 3})
		mark("ada", 4)
		mark("ben", 1)
		mark("{cy}\n", 2)
		expect(map[string]uint64{"ada": 4, "ben": 1, "{cy}\n": 2})
		mark("di", 1) // ben is furthest behind, as is di, who comes later in the alphabet
		expect(map[string]uint64{"ada": 4, "di": 1, "{cy}\n": 2})
		mark("eve", 5)
		expect(map[string]uint64{"ada": 4, "eve": 5, "{cy}\n": 2})
		mark("fay", 1) // too far behind
		expect(map[string]uint64{"ada": 4, "eve": 5, "{cy}\n": 2})

		for _, seq := range []uint64{6, math.MaxInt64, math.MaxUint64} {
			if err := s.MarkRead(t.Context(), "lobby", "ada", seq); !errors.Is(err, history.ErrInvalid) {
				t.Errorf("a mark at %d of 5: %v", seq, err)
			}
		}
		if err := s.MarkRead(t.Context(), "nowhere", "ada", 1); !errors.Is(err, history.ErrInvalid) {
			t.Errorf("a mark where nothing was said: %v", err)
		}
		expect(map[string]uint64{"ada": 4, "eve": 5, "{cy}\n": 2})
	})
}

// TestMessageLimit also sees to it that an ID is known for as long as the message is kept, and no longer.
func TestMessageLimit(t *testing.T) {
	everyStore(t, history.Limits{Messages: 3}, func(t *testing.T, s history.Store) {
		said := say(t, s, "lobby", "1", "2", "3", "4", "5")
		equal(t, "what is kept", said[2:], after(t, s, "lobby", 0, 10))
		equal(t, "what follows the third", said[3:], after(t, s, "lobby", 3, 10))
		if m, again, err := s.Append(t.Context(), message("lobby", "3", "3")); err != nil || !again || m.Seq != 3 {
			t.Errorf("the oldest that is kept: seq %d, again %t, %v", m.Seq, again, err)
		}
		said = append(said, say(t, s, "lobby", "2")...)
		equal(t, "what is kept", said[3:], after(t, s, "lobby", 0, 10))
	})
}

func TestRoomLimit(t *testing.T) {
	everyStore(t, history.Limits{Rooms: 2}, func(t *testing.T, s history.Store) {
		said := say(t, s, "lobby", "1")
		say(t, s, "cellar", "1")
		_, _, err := s.Append(t.Context(), message("attic", "1", "1"))
		if !errors.Is(err, history.ErrFull) || !strings.Contains(err.Error(), "there are 2 rooms") {
			t.Errorf("a room too many: %v", err)
		}
		equal(t, "how many the refused room has", 0, len(after(t, s, "attic", 0, 1)))
		said = append(said, say(t, s, "lobby", "2")...)
		equal(t, "what another room has", said, after(t, s, "lobby", 0, 9))
	})
}

func TestQuietRoomsMakePlace(t *testing.T) {
	everyStore(t, history.Limits{Rooms: 2, Retention: 50 * time.Millisecond}, func(t *testing.T, s history.Store) {
		for i := range 10 {
			room := fmt.Sprint("room", i)
			eventually(t, func() string {
				m, again, err := s.Append(t.Context(), message(room, "same", "hello"))
				if err != nil && !errors.Is(err, history.ErrFull) {
					t.Fatal(err)
				}
				if err != nil {
					return err.Error()
				}
				return cmp.Diff([]any{uint64(1), false}, []any{m.Seq, again})
			})
			_ = s.MarkRead(t.Context(), room, "ada", 1) // fails if it is forgotten already
		}
		// A room that comes back begins anew, without the marks of old.
		eventually(t, func() string {
			m, _, err := s.Append(t.Context(), message("room0", "same", "hello again"))
			if err != nil {
				return err.Error()
			}
			reads, err := s.Reads(t.Context(), "room0")
			return cmp.Diff([]any{"hello again", uint64(1), 0, nil}, []any{m.Text, m.Seq, len(reads), err})
		})
	})
}

func TestRefusals(t *testing.T) {
	everyStore(t, history.Limits{}, func(t *testing.T, s history.Store) {
		said := say(t, s, "lobby", "1")
		ok := message("lobby", "2", "2")
		for name, change := range map[string]func(*history.Message){
			"no room":          func(m *history.Message) { m.Room = "" },
			"long room":        func(m *history.Message) { m.Room = strings.Repeat("r", 65) },
			"room with braces": func(m *history.Message) { m.Room = "}lobby{" },
			"room not UTF-8":   func(m *history.Message) { m.Room = "\xff" },
			"no ID":            func(m *history.Message) { m.ID = "" },
			"long ID":          func(m *history.Message) { m.ID = strings.Repeat("i", 129) },
			"no sender":        func(m *history.Message) { m.From = "" },
			"sender with NUL":  func(m *history.Message) { m.From = "a\x00b" },
			"text not UTF-8":   func(m *history.Message) { m.Text = "\xff" },
			"long text":        func(m *history.Message) { m.Text = strings.Repeat("x", 64<<10) },
			"long tracestate":  func(m *history.Message) { m.Tracestate = strings.Repeat("x", 64<<10) },
			"year":             func(m *history.Message) { m.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		} {
			m := ok
			change(&m)
			if _, _, err := s.Append(t.Context(), m); !errors.Is(err, history.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err1 := s.After(t.Context(), "a room", 0, 1)
		_, err2 := s.After(t.Context(), "lobby", 0, 0)
		_, err3 := s.Latest(t.Context(), "lobby", -1)
		_, err4 := s.LastSeq(t.Context(), "")
		_, err5 := s.Reads(t.Context(), "*")
		err6 := s.MarkRead(t.Context(), "lobby", "", 1)
		err7 := s.MarkRead(t.Context(), "lobby\n", "ada", 1)
		for i, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
			if !errors.Is(err, history.ErrInvalid) {
				t.Errorf("error %d: %v", i+1, err)
			}
		}
		said = append(said, say(t, s, "lobby", "2")...)
		equal(t, "what is kept", said, after(t, s, "lobby", 0, 10))
	})
}

// TestConcurrentAppends sends everything twice at once.
func TestConcurrentAppends(t *testing.T) {
	const senders, each = 8, 40
	everyStore(t, history.Limits{}, func(t *testing.T, s history.Store) {
		var mu sync.Mutex
		var saved [2][]history.Message
		var wg sync.WaitGroup
		for i := range 2 * senders {
			wg.Go(func() {
				for j := range each {
					m := history.Message{Room: "lobby", From: fmt.Sprint("user", i%senders), ID: fmt.Sprint(j)}
					got, again, err := s.Append(t.Context(), m)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if again {
						saved[1] = append(saved[1], got)
					} else {
						saved[0] = append(saved[0], got)
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		kept := after(t, s, "lobby", 0, 2*senders*each)
		for i, m := range kept {
			equal(t, "number", uint64(i+1), m.Seq)
		}
		for i := range saved {
			sortBySeq(saved[i])
			equal(t, fmt.Sprintf("what was returned with again %t", i == 1), kept, saved[i])
		}
	})
}

func TestEndedContext(t *testing.T) {
	everyStore(t, history.Limits{}, func(t *testing.T, s history.Store) {
		say(t, s, "lobby", "1")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err1 := s.Append(ctx, message("lobby", "2", "2"))
		_, err2 := s.After(ctx, "lobby", 0, 1)
		_, err3 := s.Latest(ctx, "lobby", 1)
		_, err4 := s.LastSeq(ctx, "lobby")
		_, err5 := s.Reads(ctx, "lobby")
		for i, err := range []error{err1, err2, err3, err4, err5, s.MarkRead(ctx, "lobby", "ada", 1), s.Ping(ctx)} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %d: %v", i+1, err)
			}
		}
		equal(t, "how many are kept", 1, len(after(t, s, "lobby", 0, 10)))
	})
}

func TestClose(t *testing.T) {
	everyStore(t, history.Limits{}, func(t *testing.T, s history.Store) {
		say(t, s, "lobby", "1")
		equal(t, "ping", nil, s.Ping(t.Context()))
		equal(t, "close", nil, s.Close())
		_, _, err1 := s.Append(t.Context(), message("lobby", "2", "2"))
		_, err2 := s.After(t.Context(), "lobby", 0, 1)
		_, err3 := s.Latest(t.Context(), "lobby", 1)
		_, err4 := s.LastSeq(t.Context(), "lobby")
		_, err5 := s.Reads(t.Context(), "lobby")
		errs := []error{err1, err2, err3, err4, err5, s.MarkRead(t.Context(), "lobby", "ada", 1), s.Ping(t.Context())}
		for i, err := range errs {
			if !errors.Is(err, history.ErrClosed) {
				t.Errorf("error %d: %v", i+1, err)
			}
		}
		equal(t, "close again", nil, s.Close())
	})
}

func TestLimitsAreChecked(t *testing.T) {
	for want, limits := range map[string]history.Limits{
		"history: limit Messages is -1: must be positive, or 0 for 10000":       {Messages: -1},
		"history: limit Rooms is -1: must be positive, or 0 for 10000":          {Rooms: -1},
		"history: limit Reads is -1: must be positive, or 0 for 1000":           {Reads: -1},
		"history: limit Retention is 1ns: must be 1ms or more, or 0 for 7 days": {Retention: 1},
	} {
		_, err1 := history.OpenFile(t.TempDir()+"/chat.db", limits)
		_, err2 := history.NewRedis(single.client(t), limits)
		_, err3 := history.OpenKafka(t.Context(), history.Topic{}, "", limits)
		for _, err := range []error{err1, err2, err3} {
			equal(t, "error", want, fmt.Sprint(err))
		}
	}
}
