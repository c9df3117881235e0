// Package story tells what happened to one connection, from the spans and log records that carry its id, and from the
// live consoles of the services.
package story

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sockscope/sockscope/instrument/console"
	"github.com/sockscope/sockscope/internal/desk/tracing"
	"github.com/sockscope/sockscope/internal/logstore"
	"github.com/sockscope/sockscope/internal/top"
)

const (
	tellTimeout = 12 * time.Second
	// kept is for how long the log store keeps records.
	kept = 7 * 24 * time.Hour
	// aroundRecords is how far from the records spans may lie: clocks of several machines, and a handshake, which
	// begins before its record.
	aroundRecords = time.Minute
	maxRecords    = 200 // that are asked for at once
	maxEvents     = 400 // in one part
	maxID         = 256 // bytes
)

// Teller asks Jaeger, the log store and the live consoles. It is safe for concurrent use.
type Teller struct {
	finder   *tracing.Finder
	logs     logstore.Store
	consoles func() ([]string, error)
	client   *http.Client // asks them
}

// NewTeller returns a teller. The log store is nil if there is none. Consoles returns addresses as in
// http://127.0.0.1:8080/debug/realtime/, and an error if it does not know all of them.
func NewTeller(finder *tracing.Finder, logs logstore.Store, consoles func() ([]string, error), client *http.Client) *Teller {
	return &Teller{finder, logs, consoles, client}
}

// CheckID returns an error if no connection can have the id.
func CheckID(id string) error {
	if id == "" || len(id) > maxID || !utf8.ValidString(id) {
		return errors.New("the id of a connection is a text of 1 to " + strconv.Itoa(maxID) + " bytes")
	}
	return nil
}

// Part says which part of a long story is wanted.
type Part struct {
	// Newest has the newest events come first. The default are the oldest.
	Newest bool
	// From is where the part begins: with the events from then on, or for Newest, with those before. The zero value is
	// the beginning, or for Newest the end.
	From time.Time
	// Beside is the number of the received message that was told last before this part; 0 if that is not known.
	Beside int64
}

// Story is a part of what happened to a connection, and what is known of the whole.
type Story struct {
	ID     string
	Part   Part
	Events []Event
	// Next is the part after this one. Its From is zero if this is the last.
	Next Part
	// Whole tells that this part is all there is.
	Whole bool

	Live           *console.Connection // nil if no console has it
	Service        string              // that has or had the connection
	Instance       string              // of the service, if a console has it
	Opened, Closed time.Time           // zero if not known
	Handshake      tracing.Link        // its span; empty if not known
	Close          tracing.Link        // its span; empty if not known
	Ending         Ending
	Totals         *Totals // nil if not known
	// Sampled is the number of received messages in this part that have a span, and Unsampled of those that have none.
	Sampled, Unsampled int64

	Problems []string // what did not answer, or not with everything
}

// Ending is how a connection ended.
type Ending struct {
	Initiator, Reason, Code, Error string
}

// Totals is what a connection carried.
type Totals struct {
	Received, ReceivedBytes, Sent, SentBytes int64
}

// Last tells whether no part comes after this one.
func (s Story) Last() bool { return s.Next.From.IsZero() }

// Back is the part with what this one left behind, in the other order. The first part has left nothing.
func (s Story) Back() Part {
	back := Part{Newest: !s.Part.Newest, From: s.Part.From}
	switch {
	case s.Part.Beside == 0:
	case back.Newest:
		back.Beside = s.Part.Beside + 1 // what is missing up to the first message of this part is told here
	default:
		back.Beside = s.Part.Beside - 1
	}
	return back
}

// Found tells whether anything is known of the connection.
func (s Story) Found() bool { return s.Live != nil || len(s.Events) > 0 || !s.Opened.IsZero() }

// Duration is how long the connection lasted, 0 if that is not known.
func (s Story) Duration() time.Duration {
	if s.Opened.IsZero() || s.Closed.IsZero() {
		return 0
	}
	return s.Closed.Sub(s.Opened)
}

// live asks the consoles.
func (t *Teller) live(ctx context.Context, id string) ([]console.Story, error) {
	consoles, unknown := t.consoles()
	live, err := top.Stories(ctx, top.Options{Consoles: consoles, Client: t.client}, id)
	return live, errors.Join(unknown, err)
}

// Tell tells a part of a connection's story. It always returns what it has found. Problems say what is missing.
func (t *Teller) Tell(ctx context.Context, id string, part Part) Story {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	s := Story{ID: id, Part: part}
	now := time.Now()

	// Find the connection's time range first, so that the queries cover no more than that.
	var ends []logstore.Record
	var live []console.Story
	var logsErr, liveErr error
	var wg sync.WaitGroup
	wg.Go(func() { ends, logsErr = t.ends(ctx, id, now) })
	wg.Go(func() { live, liveErr = t.live(ctx, id) })
	wg.Wait()
	for _, l := range live {
		s.take(l)
	}
	for _, r := range ends {
		s.learn(newRecord(r))
	}
	start, end := s.life(ends, now)
	from, to := start, end
	if !part.From.IsZero() {
		if part.Newest {
			to = latest(earliest(part.From, end), start)
		} else {
			from = latest(earliest(part.From, end), start)
		}
	}

	var records []logstore.Record
	var window tracing.Window
	var spansErr error
	wg.Go(func() { window, spansErr = t.finder.OfConnection(ctx, id, from, to, part.Newest) })
	if logsErr == nil {
		records, logsErr = t.logs.Records(ctx, logstore.Query{ConnectionID: id, Start: from, End: to, Limit: maxRecords, Newest: part.Newest})
	}
	wg.Wait()
	for _, p := range []struct {
		what string
		err  error
	}{{"Log records", logsErr}, {"Spans", spansErr}, {"Live connections", liveErr}} {
		if p.err != nil {
			s.Problems = append(s.Problems, p.what+" are missing: "+p.err.Error())
		}
	}
	if window.Problem != "" {
		s.Problems = append(s.Problems, "Spans may be missing: "+window.Problem)
	}
	if window.Incomplete {
		s.Problems = append(s.Problems, "Spans are missing: there are more at the same time than Jaeger returns at once")
	}

	s.Events = events(id, records, window.Traces, live)
	for _, e := range s.Events {
		s.learn(e)
	}
	if spansErr != nil {
		window.Start, window.End = from, to
	}
	if s.Handshake.TraceID != "" {
		other, err := t.finder.OfPeer(ctx, s.Handshake, from, to, part.Newest)
		if err != nil {
			s.Problems = append(s.Problems, "Spans of the client are missing: "+err.Error())
		} else {
			s.Events = join(s.Events, peerEvents(other.Traces))
			window.Start, window.End = latest(window.Start, other.Start), earliest(window.End, other.End)
		}
	}
	if s.Service == "" && len(live) > 0 {
		s.Service = live[0].Service
	}
	s.cut(from, to, records, window)
	s.Whole = s.Last() && part.From.IsZero()
	s.count()
	if part.Newest {
		slices.Reverse(s.Events)
	}
	return s
}

// ends returns the first and the last records of a connection.
func (t *Teller) ends(ctx context.Context, id string, now time.Time) ([]logstore.Record, error) {
	if t.logs == nil {
		return nil, errors.New("no address of a log store is set")
	}
	q := logstore.Query{ConnectionID: id, Start: now.Add(-kept), End: now.Add(aroundRecords), Limit: 5}
	first, err := t.logs.Records(ctx, q)
	if err != nil {
		return nil, err
	}
	q.Newest = true
	last, err := t.logs.Records(ctx, q)
	return append(first, last...), err
}

// life is the range of time in which there may be anything of the connection.
func (s *Story) life(ends []logstore.Record, now time.Time) (start, end time.Time) {
	start, end = now.Add(-kept), now.Add(aroundRecords)
	if !s.Opened.IsZero() {
		start = s.Opened.Add(-aroundRecords)
	}
	if !s.Closed.IsZero() {
		end = s.Closed.Add(aroundRecords)
	}
	for _, r := range ends {
		if r.Time.Before(start) {
			start = r.Time.Add(-aroundRecords)
		}
		if r.Time.After(end) {
			end = r.Time.Add(aroundRecords)
		}
	}
	return latest(start, now.Add(-kept)), end
}

// take notes what a live console knows of the connection now.
func (s *Story) take(l console.Story) {
	if l.Connection == nil {
		return
	}
	c := *l.Connection
	s.Live, s.Instance, s.Opened = &c, l.Instance, c.Opened.UTC()
	s.Totals = &Totals{c.ReceivedMessages, c.ReceivedBytes, c.SentMessages, c.SentBytes}
}

// learn notes what an event tells of the whole.
func (s *Story) learn(e Event) {
	link := tracing.Link{TraceID: e.TraceID, SpanID: e.SpanID}
	switch e.tells {
	case tellsOpened:
		if s.Opened.IsZero() && (e.Kind == KindRecord || !e.Failed && e.number("http.response.status_code") < http.StatusBadRequest) {
			s.Opened = e.Time
		}
		if e.TraceID != "" {
			s.Handshake = link
		}
		s.Service = cmp.Or(s.Service, e.Service)
	case tellsClosed:
		if s.Closed.IsZero() {
			s.Closed = e.Time
		}
		if lasted := e.lasted(); s.Opened.IsZero() && lasted > 0 {
			s.Opened = e.Time.Add(-lasted)
		}
		if e.TraceID != "" {
			s.Close = link
		}
		s.Service = cmp.Or(s.Service, e.Service)
		ending := Ending{e.field("initiator"), e.field("reason"), e.field("code"), e.field("error")}
		s.Ending.Initiator = cmp.Or(s.Ending.Initiator, ending.Initiator)
		s.Ending.Reason = cmp.Or(s.Ending.Reason, ending.Reason)
		s.Ending.Code = cmp.Or(s.Ending.Code, ending.Code)
		s.Ending.Error = cmp.Or(s.Ending.Error, ending.Error)
		if s.Live == nil && s.Totals == nil {
			s.Totals = &Totals{e.number("received_messages"), e.number("received_bytes"), e.number("sent_messages"), e.number("sent_bytes")}
		}
	case tellsHandshake:
		// A message's span links to it, whether it was stored or not.
		if s.Handshake.TraceID == "" && len(e.Links) > 0 {
			s.Handshake = e.Links[0]
		}
	}
}

// cut leaves the events up to where the first of the sources had no more to give, and sets where the next part begins.
func (s *Story) cut(from, to time.Time, records []logstore.Record, window tracing.Window) {
	// In both orders, the events of the part are those from `from` on and before `to`.
	outside := func(e Event) bool { return e.Time.Before(from) || !e.Time.Before(to) }
	s.Events = slices.DeleteFunc(s.Events, outside)
	s.Next = Part{Newest: s.Part.Newest, Beside: s.Part.Beside}
	if s.Part.Newest {
		least := from
		if len(records) == maxRecords {
			least = latest(least, records[0].Time.Add(1))
		}
		least = latest(least, window.Start)
		if n := len(s.Events) - maxEvents; n > 0 {
			least = latest(least, s.Events[n-1].Time.Add(1))
		}
		least = earliest(least, to.Add(-1))
		if least.After(from) {
			s.Next.From = least
		}
		from = least
	} else {
		most := to
		if len(records) == maxRecords {
			most = earliest(most, records[maxRecords-1].Time)
		}
		most = earliest(most, window.End)
		if len(s.Events) > maxEvents {
			most = earliest(most, s.Events[maxEvents].Time)
		}
		most = latest(most, from.Add(1))
		if most.Before(to) {
			s.Next.From = most
		}
		to = most
	}
	s.Events = slices.DeleteFunc(s.Events, outside)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// count puts an event in place of received messages that have no span: between those that have one, and where the life
// begins and ends or another part is next.
func (s *Story) count() {
	before, after := int64(-1), int64(-1) // numbers of the messages beside this part
	if s.Part.Newest {
		if s.Part.Beside > 0 {
			after = s.Part.Beside
		} else if s.Part.From.IsZero() && s.Totals != nil {
			after = s.Totals.Received + 1
		}
		if s.Last() {
			before = 0
		}
	} else {
		if s.Part.Beside > 0 {
			before = s.Part.Beside
		} else if s.Part.From.IsZero() {
			before = 0
		}
		if s.Last() && s.Totals != nil {
			after = s.Totals.Received + 1
		}
	}
	var service string // a client that has spans of the connection counts, too
	var numbers []int64
	counts := func(e Event) bool { return e.Number > 0 && e.Received() && e.Service == service }
	for _, e := range s.Events {
		if service == "" && e.Received() {
			service = e.Service
		}
		if counts(e) {
			numbers = append(numbers, e.Number)
		}
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	s.Sampled = int64(len(numbers))
	missing := map[int64]int64{} // by the number of the message that comes next
	last := before
	for _, n := range numbers {
		if last >= 0 && n > last+1 {
			missing[n] = n - last - 1
		}
		last = n
	}
	var told []Event
	rest := int64(0)
	if last >= 0 && after >= 0 {
		rest = max(after-last-1, 0)
	}
	switch {
	case len(numbers) == 0:
	case s.Part.Newest:
		s.Next.Beside = numbers[0]
	default:
		s.Next.Beside = last
	}
	for _, e := range s.Events {
		n := int64(0)
		switch {
		case counts(e) && missing[e.Number] > 0:
			n = missing[e.Number]
			delete(missing, e.Number)
		case e.tells == tellsClosed:
			n, rest = rest, 0
		}
		told = s.unsampled(told, e.Time, n)
		told = append(told, e)
	}
	if rest > 0 && len(told) > 0 {
		told = s.unsampled(told, told[len(told)-1].Time, rest)
	}
	s.Events = told
}

func (s *Story) unsampled(told []Event, at time.Time, n int64) []Event {
	if n == 0 {
		return told
	}
	s.Unsampled += n
	return append(told, Event{Time: at, Kind: KindUnsampled, Count: n})
}
