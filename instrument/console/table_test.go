package console

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sockscope/sockscope/instrument"
)

// TestWorstIsTheHeadOfTheSortedList compares the heap with sorting everything.
func TestWorstIsTheHeadOfTheSortedList(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		all := make([]ranked, random.IntN(50))
		top := worst{limit: 1 + random.IntN(20)}
		for i := range all {
			all[i] = ranked{worse: float64(random.IntN(10)), stats: instrument.ConnStats{ID: fmt.Sprint(i)}}
			top.offer(all[i])
		}
		slices.SortFunc(all, func(a, b ranked) int {
			if before(a, b) {
				return -1
			}
			return 1
		})
		want := all[:min(len(all), top.limit)]
		if got := top.sorted(); !slices.EqualFunc(got, want, func(a, b ranked) bool { return a.stats.ID == b.stats.ID }) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

// TestSorts opens one connection for each way to sort, which then is the first.
func TestSorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		behind, silent, far, busy := s.open(t), s.open(t), s.open(t), s.open(t)
		others := []*instrument.Conn{behind, far, busy}
		look := func(by Sort) []Connection {
			found := s.console.tables.look(s.console.observed(), query{sort: by, limit: 2}, time.Now())
			if found.matching != found.survey.open || len(found.rows) != 2 {
				t.Fatalf("%s: %d rows of %d of %d", by, len(found.rows), found.matching, found.survey.open)
			}
			return found.rows
		}
		time.Sleep(10 * time.Second)
		for _, c := range others {
			c.Received(s.say, 10)
		}
		ping := far.BeginPing()
		time.Sleep(300 * time.Millisecond)
		ping.End(instrument.PingPong)
		behind.BeginDelivery()
		look(SortBusy) // marks
		time.Sleep(2 * time.Second)
		for range 50 {
			busy.Sent(s.say, 100)
		}
		newest := s.open(t)
		newest.Received(s.say, 1)

		for by, want := range map[Sort]*instrument.Conn{
			SortBehind: behind, SortSilent: silent, SortRTT: far, SortBusy: busy, SortNewest: newest,
		} {
			if got := look(by)[0]; got.ID != want.ID() {
				t.Errorf("%s: the first is %+v, want %s", by, got, want.ID())
			}
		}
		if row := look(SortBehind)[0]; row.State != StateBehind || row.Queued != 1 || row.QueueOldest != 2 {
			t.Errorf("the one behind is %+v", row)
		}
		if row := look(SortRTT)[0]; row.RTT != 0.3 {
			t.Errorf("round trip time is %v", row.RTT)
		}
	})
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		c := s.open(t)
		look := func() Connection {
			return s.console.tables.look(s.console.observed(), query{limit: 10}, time.Now()).rows[0]
		}
		if row := look(); row.SentPerSecond != nil {
			t.Errorf("the first look has a rate: %v", *row.SentPerSecond)
		}
		for range 30 {
			c.Sent(s.say, 10)
		}
		c.Received(s.say, 1)
		time.Sleep(2 * time.Second)
		row := look()
		if row.SentPerSecond == nil || *row.SentPerSecond != 15 || *row.ReceivedPerSecond != 0.5 {
			t.Errorf("rates are %v", row)
		}
		time.Sleep(time.Hour) // in which nobody looked
		if row := look(); row.SentPerSecond != nil {
			t.Errorf("a rate over an hour: %v", *row.SentPerSecond)
		}
	})
}

func TestStates(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, tt := range map[string]struct {
		stats instrument.ConnStats
		want  State
	}{
		"new":               {instrument.ConnStats{Opened: now}, StateOpen},
		"queue":             {instrument.ConnStats{Opened: now, Queued: 3, QueuedFor: 2 * time.Second}, StateBehind},
		"short queue":       {instrument.ConnStats{Opened: now, Queued: 3, QueuedFor: 20 * time.Millisecond}, StateOpen},
		"no pong":           {instrument.ConnStats{Opened: now, Unanswered: 11 * time.Second}, StateUnanswered},
		"silent":            {instrument.ConnStats{Opened: ago(time.Hour), LastPong: ago(time.Minute)}, StateSilent},
		"idle, not pinged":  {instrument.ConnStats{Opened: ago(time.Hour)}, StateOpen},
		"only sends":        {instrument.ConnStats{Opened: ago(time.Hour), LastSent: ago(time.Second), LastPong: ago(time.Second)}, StateOpen},
		"silent and behind": {instrument.ConnStats{Opened: ago(time.Hour), LastPong: now, QueuedFor: time.Minute, Queued: 1}, StateBehind},
	} {
		t.Run(name, func(t *testing.T) {
			if got := state(tt.stats, now); got != tt.want {
				t.Errorf("state is %s, want %s", got, tt.want)
			}
		})
	}
}

func TestSearchAndEndpoints(t *testing.T) {
	s := newService(t)
	one := s.open(t)
	s.open(t)
	feed, err := instrument.New(instrument.WithNamespace("feed"), instrument.WithProtocol("sse"))
	if err != nil {
		t.Fatal(err)
	}
	s.console.Observe(feed)
	s.console.Observe(feed) // counts once
	(&service{feed, s.console, instrument.MessageType{}}).open(t)
	for name, tt := range map[string]struct {
		query    query
		matching int
	}{
		"all":       {query{}, 3},
		"id":        {query{search: one.ID()[3:20]}, 1},
		"no such":   {query{search: "zz"}, 0},
		"namespace": {query{namespace: "feed"}, 1},
		"protocol":  {query{protocol: "websocket"}, 2},
		"neither":   {query{namespace: "feed", protocol: "websocket"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			tt.query.limit = 10
			found := s.console.tables.look(s.console.observed(), tt.query, time.Now())
			if found.matching != tt.matching || len(found.rows) != tt.matching || found.survey.open != 3 {
				t.Errorf("%d rows, %d matching of %d, want %d of 3", len(found.rows), found.matching, found.survey.open, tt.matching)
			}
		})
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("sort=busy&limit=3&q=ab")
	f.Add("limit=-1")
	f.Add("limit=99999999999999999999")
	s := newService(f)
	s.open(f)
	f.Fuzz(func(t *testing.T, text string) {
		values, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		q, err := parse(values.Get)
		if err != nil {
			return
		}
		if q.limit < 1 || q.limit > maxLimit {
			t.Fatalf("limit is %d", q.limit)
		}
		if rows := s.console.tables.look(s.console.observed(), q, time.Now()).rows; len(rows) > 1 {
			t.Fatalf("%d rows of one connection", len(rows))
		}
	})
}

func TestTablesShareLooks(t *testing.T) {
	s := newService(t)
	s.open(t)
	var (
		tables   tables
		all      = s.console.observed()
		start    = time.Now()
		behind   = query{sort: SortBehind, limit: 50}
		busy     = query{sort: SortBusy, limit: 50}
		lookedAt = func(q query, after time.Duration) time.Duration {
			return tables.table(all, q, start.Add(after)).at.Sub(start)
		}
		slow = func() {
			for i := range tables.kept {
				tables.kept[i].took = 50 * time.Millisecond // rests for 5 s
			}
		}
	)
	for _, step := range []struct {
		after  time.Duration
		query  query
		looked time.Duration
		why    string
	}{
		{0, behind, 0, "the first one looks"},
		{4 * time.Second, behind, 0, "it rests"},
		{4 * time.Second, busy, 4 * time.Second, "a new query is answered at once"},
		{6 * time.Second, behind, 0, "two queries rest twice as long"},
		{11 * time.Second, behind, 11 * time.Second, "it has rested"},
		{12 * time.Second, busy, 4 * time.Second, "the other one has its own time"},
		{10 * time.Second, behind, 10 * time.Second, "the clock went back"},
	} {
		if got := lookedAt(step.query, step.after); got != step.looked {
			t.Errorf("after %v, sorted by %s: from a look at %v, want %v: %s", step.after, step.query.sort, got, step.looked, step.why)
		}
		slow()
	}
	before := tables.kept[0].at
	tables.recent(all, before.Add(4*time.Second))
	if got := tables.kept[0].at; got != before || len(tables.kept) != 2 {
		t.Errorf("a survey looked again: %d looks are kept, the newest from %v later", len(tables.kept), got.Sub(before))
	}
	tables.recent(all, before.Add(time.Minute))
	if len(tables.kept) != 1 {
		t.Errorf("%d looks are kept after a minute in which nobody asked", len(tables.kept))
	}
	for i := range 2 * maxKept {
		lookedAt(query{sort: SortNewest, limit: i + 1}, 2*time.Minute)
	}
	if len(tables.kept) != maxKept {
		t.Errorf("%d looks are kept, want %d", len(tables.kept), maxKept)
	}
}

func BenchmarkLook(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		s := newService(b)
		for i := range n {
			c := s.open(b)
			c.SetQueueCapacity(64)
			if i%10 == 0 {
				c.BeginDelivery()
			}
		}
		for _, by := range Sorts() {
			b.Run(fmt.Sprintf("connections=%d/sort=%s", n, by), func(b *testing.B) {
				b.ReportAllocs()
				now := time.Now()
				for b.Loop() {
					now = now.Add(2 * time.Second)
					s.console.tables.look(s.console.observed(), query{sort: by, limit: 50}, now)
				}
			})
		}
	}
}
