package console

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sockscope/sockscope/instrument"
)

const (
	defaultLimit = 50
	maxLimit     = 500
	// slowestWatched is the number of longest queues whose connections are remembered, for findings.
	slowestWatched = 10

	// silentAfter is the time without a message after which a connection whose pings are answered counts as silent.
	silentAfter = 5 * time.Minute
	// behindAfter is the age of the oldest queued message at which a connection counts as behind.
	behindAfter = time.Second
	// lateAfter is the age at which a ping counts as unanswered.
	lateAfter = 10 * time.Second
)

// Sort is the order of a table of connections.
type Sort string

// The ways to sort connections.
const (
	SortBehind Sort = "behind" // oldest queued message first
	SortSilent Sort = "silent" // longest time without a message first
	SortRTT    Sort = "rtt"    // unanswered pings first, then the longest round trips
	SortBusy   Sort = "busy"   // most messages per second first
	SortNewest Sort = "newest" // newest connections first
)

// Sorts lists the ways to sort, the default first.
func Sorts() []Sort { return []Sort{SortBehind, SortSilent, SortRTT, SortBusy, SortNewest} }

// State is the state of a connection in one word.
type State string

// The states, worst first.
const (
	StateBehind     State = "behind"     // its oldest queued message is older than a second
	StateUnanswered State = "unanswered" // a ping is older than ten seconds
	StateSilent     State = "silent"     // no message for five minutes, although pings are answered
	StateOpen       State = "open"       // none of the above
)

// Connections is the answer of api/v1/connections.
type Connections struct {
	Service  string    `json:"service"`
	Instance string    `json:"instance"`
	Time     time.Time `json:"time"`
	// Open is the number of all live connections, and Matching of those that match the query.
	Open     int `json:"open"`
	Matching int `json:"matching"`
	// Connections are the first of the matching connections, in the order of the query.
	Connections []Connection `json:"connections"`
}

// A Connection is one row of the table. Times are in seconds.
type Connection struct {
	ID        string    `json:"id"`
	Namespace string    `json:"namespace"`
	Protocol  string    `json:"protocol"`
	State     State     `json:"state"`
	Opened    time.Time `json:"opened"`
	Age       float64   `json:"age_seconds"`

	ReceivedMessages int64 `json:"received_messages"`
	ReceivedBytes    int64 `json:"received_bytes"`
	SentMessages     int64 `json:"sent_messages"`
	SentBytes        int64 `json:"sent_bytes"`
	// ReceivedPerSecond and SentPerSecond are the rates of messages since the last look. They are nil at the first
	// look.
	ReceivedPerSecond *float64 `json:"received_per_second,omitempty"`
	SentPerSecond     *float64 `json:"sent_per_second,omitempty"`
	// SinceReceived and SinceSent are the times since the newest message. They are nil if there was none.
	SinceReceived *float64 `json:"since_received_seconds,omitempty"`
	SinceSent     *float64 `json:"since_sent_seconds,omitempty"`

	Queued        int     `json:"queued"`
	QueueCapacity int     `json:"queue_capacity,omitempty"`
	QueueOldest   float64 `json:"queue_oldest_seconds"`
	RTT           float64 `json:"rtt_seconds,omitempty"`
	// Unanswered is the age of the oldest ping without an answer.
	Unanswered float64 `json:"ping_unanswered_seconds,omitempty"`
}

// query is a viewer's query of the table.
type query struct {
	sort      Sort
	limit     int
	search    string // part of an id
	namespace string
	protocol  string
}

// tables looks at all connections on behalf of the viewers.
type tables struct {
	mu    sync.Mutex
	marks [2]marks // the older and the newer ones, at least an interval apart
	kept  []look   // the latest look for each query of the last keepFor, newest first, and at most maxKept
}

const (
	keepFor = 30 * time.Second
	maxKept = 8
)

// look is the result of looking at all connections.
type look struct {
	query    query
	at       time.Time
	took     time.Duration
	rows     []Connection
	matching int
	survey   survey // whatever the query
}

// mark holds a connection's counters at an earlier look, for rates.
type mark struct {
	conn           *instrument.Conn
	received, sent int64
}

// marks are the marks of all connections.
type marks struct {
	all []mark
	at  time.Time
}

// survey is a summary of all connections, for findings.
type survey struct {
	open, silent, behind, unanswered int

	queued    int
	longest   []int // queues, longest first
	oldest    time.Duration
	oldestID  string
	queueFull int
}

// ranked is a candidate for the table. The worst come first.
type ranked struct {
	conn  *instrument.Conn
	stats instrument.ConnStats
	worse float64
	rate  [2]float64 // received and sent per second
}

// surveyFor is how long a survey is fresh enough for findings. Usually a table has just made one.
const surveyFor = 5 * time.Second

// recent returns a survey of the last seconds.
func (t *tables) recent(observers []*instrument.Observer, now time.Time) survey {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.kept) > 0 && t.kept[0].isFresh(now, max(surveyFor, rest(t.kept[0].took))) {
		return t.kept[0].survey
	}
	return t.renew(observers, query{}, now).survey
}

// table returns the result of the query, as it was a moment ago. See rest for how long a moment is. Viewers with
// different queries share the time that looks may take, but a query that nobody has made lately is answered at once.
func (t *tables) table(observers []*instrument.Observer, q query, now time.Time) look {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.kept {
		if l.query == q && l.isFresh(now, rest(l.took)*time.Duration(len(t.kept))) {
			return l
		}
	}
	return t.renew(observers, q, now)
}

// renew looks at all connections for the query, and keeps the result.
func (t *tables) renew(observers []*instrument.Observer, q query, now time.Time) look {
	found := t.look(observers, q, now)
	t.kept = slices.DeleteFunc(t.kept, func(l look) bool { return l.query == q || !l.isFresh(now, keepFor) })
	t.kept = slices.Insert(t.kept, 0, found)
	t.kept = slices.Delete(t.kept, min(len(t.kept), maxKept), len(t.kept))
	return found
}

// isFresh reports whether the look is no older than limit. A clock that went back makes it stale.
func (l look) isFresh(now time.Time, limit time.Duration) bool {
	age := now.Sub(l.at)
	return age >= 0 && age < limit
}

// rest returns how long to leave the connections alone after a look that took so long. So all looks take at most a
// hundredth of one processor, whatever the number of connections and viewers.
func rest(took time.Duration) time.Duration { return 100 * took }

// look looks at each connection once. It keeps only the rows that the query wants.
func (t *tables) look(observers []*instrument.Observer, q query, now time.Time) look {
	began := time.Now()
	found := look{query: q, at: now}
	// Rates over less than an interval would be noise, even if another viewer has just looked.
	last, renew := t.marks[1], now.Sub(t.marks[1].at) >= interval || now.Before(t.marks[1].at)
	if !renew {
		last = t.marks[0]
	}
	elapsed := now.Sub(last.at)
	var known map[*instrument.Conn]mark
	if q.sort == SortBusy {
		known = last.of(elapsed, func(*instrument.Conn) bool { return true })
	}
	var next []mark
	if renew {
		next = make([]mark, 0, len(t.marks[1].all))
	}
	top := &worst{limit: q.limit}
	for _, o := range observers {
		wanted := q.wants(o)
		for conn := range o.Conns() {
			r := ranked{conn: conn, stats: conn.Stats()}
			found.survey.add(r.stats, now)
			if renew {
				next = append(next, mark{conn, r.stats.ReceivedMessages, r.stats.SentMessages})
			}
			if !wanted || !strings.Contains(r.stats.ID, q.search) {
				continue
			}
			found.matching++
			if m, ok := known[conn]; ok {
				r.rate = m.rate(r.stats, elapsed)
			}
			r.worse = r.badness(q.sort, now)
			top.offer(r)
		}
	}
	chosen := top.sorted()
	if known == nil {
		shown := make(map[*instrument.Conn]bool, len(chosen))
		for _, r := range chosen {
			shown[r.conn] = true
		}
		known = last.of(elapsed, func(c *instrument.Conn) bool { return shown[c] })
	}
	found.rows = make([]Connection, 0, len(chosen))
	for _, r := range chosen {
		row := newConnection(r.conn, r.stats, now)
		if m, ok := known[r.conn]; ok {
			rate := m.rate(r.stats, elapsed)
			row.ReceivedPerSecond, row.SentPerSecond = &rate[0], &rate[1]
		}
		found.rows = append(found.rows, row)
	}
	if renew {
		t.marks = [2]marks{t.marks[1], {next, now}}
	}
	slices.SortFunc(found.survey.longest, func(a, b int) int { return b - a })
	found.took = time.Since(began)
	return found
}

// of returns the marks of the wanted connections, or none if the marks are too old for rates.
func (m marks) of(elapsed time.Duration, wanted func(*instrument.Conn) bool) map[*instrument.Conn]mark {
	some := make(map[*instrument.Conn]mark)
	if elapsed <= 0 || elapsed > 30*time.Second {
		return some
	}
	for _, mark := range m.all {
		if wanted(mark.conn) {
			some[mark.conn] = mark
		}
	}
	return some
}

// rate returns the messages per second since the mark, received and sent.
func (m mark) rate(now instrument.ConnStats, elapsed time.Duration) [2]float64 {
	return [2]float64{
		float64(now.ReceivedMessages-m.received) / elapsed.Seconds(),
		float64(now.SentMessages-m.sent) / elapsed.Seconds(),
	}
}

func (q query) wants(o *instrument.Observer) bool {
	return (q.namespace == "" || q.namespace == o.Namespace()) && (q.protocol == "" || q.protocol == o.Protocol())
}

// badness returns how far up the connection belongs.
func (r *ranked) badness(by Sort, now time.Time) float64 {
	switch by {
	case SortSilent:
		return now.Sub(lastMessage(r.stats)).Seconds()
	case SortRTT:
		return max(r.stats.RTT, r.stats.Unanswered).Seconds()
	case SortBusy:
		return r.rate[0] + r.rate[1]
	case SortNewest:
		return -now.Sub(r.stats.Opened).Seconds()
	default:
		return r.stats.QueuedFor.Seconds() + float64(r.stats.Queued)*1e-9 // of two with the same age, the longer queue
	}
}

// lastMessage returns when the newest message was seen, or the connection was opened if there was none.
func lastMessage(s instrument.ConnStats) time.Time {
	last := s.Opened
	for _, t := range []time.Time{s.LastReceived, s.LastSent} {
		if t.After(last) {
			last = t
		}
	}
	return last
}

func newConnection(conn *instrument.Conn, s instrument.ConnStats, now time.Time) Connection {
	since := func(t time.Time) *float64 {
		if t.IsZero() {
			return nil
		}
		d := max(now.Sub(t).Seconds(), 0)
		return &d
	}
	o := conn.Observer()
	return Connection{
		ID: s.ID, Namespace: o.Namespace(), Protocol: o.Protocol(), State: state(s, now),
		Opened: s.Opened, Age: max(now.Sub(s.Opened).Seconds(), 0),
		ReceivedMessages: s.ReceivedMessages, ReceivedBytes: s.ReceivedBytes,
		SentMessages: s.SentMessages, SentBytes: s.SentBytes,
		SinceReceived: since(s.LastReceived), SinceSent: since(s.LastSent),
		Queued: s.Queued, QueueCapacity: s.QueueCapacity, QueueOldest: s.QueuedFor.Seconds(),
		RTT: s.RTT.Seconds(), Unanswered: s.Unanswered.Seconds(),
	}
}

func state(s instrument.ConnStats, now time.Time) State {
	switch {
	case s.QueuedFor >= behindAfter:
		return StateBehind
	case s.Unanswered >= lateAfter:
		return StateUnanswered
	case now.Sub(lastMessage(s)) >= silentAfter && now.Sub(s.LastPong) < silentAfter:
		return StateSilent
	default:
		return StateOpen
	}
}

func (s *survey) add(c instrument.ConnStats, now time.Time) {
	s.open++
	switch state(c, now) {
	case StateBehind:
		s.behind++
	case StateUnanswered:
		s.unanswered++
	case StateSilent:
		s.silent++
	}
	if c.Queued == 0 {
		return
	}
	s.queued += c.Queued
	if c.QueuedFor > s.oldest {
		s.oldest, s.oldestID = c.QueuedFor, c.ID
	}
	if c.QueueCapacity > 0 && c.Queued >= c.QueueCapacity {
		s.queueFull++
	}
	if len(s.longest) < slowestWatched {
		s.longest = append(s.longest, c.Queued)
		return
	}
	if i := shortest(s.longest); c.Queued > s.longest[i] {
		s.longest[i] = c.Queued
	}
}

func shortest(queues []int) int {
	least := 0
	for i, n := range queues {
		if n < queues[least] {
			least = i
		}
	}
	return least
}

// worst keeps the first rows of a table of any length. It is a heap whose root is the last of them.
type worst struct {
	limit int
	rows  []ranked
}

func (w *worst) Len() int           { return len(w.rows) }
func (w *worst) Less(i, j int) bool { return before(w.rows[j], w.rows[i]) }
func (w *worst) Swap(i, j int)      { w.rows[i], w.rows[j] = w.rows[j], w.rows[i] }
func (w *worst) Push(x any)         { w.rows = append(w.rows, x.(ranked)) } //nolint:forcetypeassert // heap.Push is ours
func (w *worst) Pop() any {
	last := w.rows[len(w.rows)-1]
	w.rows = w.rows[:len(w.rows)-1]
	return last
}

// before says whether a is above b in the table. Ids decide between equals, so that rows don't jump.
func before(a, b ranked) bool {
	return cmp.Or(cmp.Compare(b.worse, a.worse), cmp.Compare(a.stats.ID, b.stats.ID)) < 0
}

func (w *worst) offer(r ranked) {
	switch {
	case len(w.rows) < w.limit:
		heap.Push(w, r)
	case w.limit > 0 && before(r, w.rows[0]):
		w.rows[0] = r
		heap.Fix(w, 0)
	}
}

func (w *worst) sorted() []ranked {
	slices.SortFunc(w.rows, func(a, b ranked) int {
		if before(a, b) {
			return -1
		}
		return 1
	})
	return w.rows
}

// connection returns the live connection with that id.
func connection(observers []*instrument.Observer, id string) *instrument.Conn {
	for _, o := range observers {
		for conn := range o.Conns() {
			if conn.ID() == id {
				return conn
			}
		}
	}
	return nil
}

// parse reads a query from the values of a URL.
func parse(get func(string) string) (query, error) {
	q := query{
		sort: cmp.Or(Sort(get("sort")), SortBehind), limit: defaultLimit,
		search: strings.ToLower(strings.TrimSpace(get("q"))), namespace: get("namespace"), protocol: get("protocol"),
	}
	if !slices.Contains(Sorts(), q.sort) {
		return q, fmt.Errorf("sort is %.20q: give one of %v", string(q.sort), Sorts())
	}
	if s := get("limit"); s != "" {
		if _, err := fmt.Sscanf(s, "%d", &q.limit); err != nil || q.limit < 1 || q.limit > maxLimit {
			return q, fmt.Errorf("limit is %.20q: give a number from 1 to %d", s, maxLimit)
		}
	}
	return q, nil
}
