package story

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sockscope/sockscope/instrument/console"
	"github.com/sockscope/sockscope/internal/desk/tracing"
	"github.com/sockscope/sockscope/internal/logstore"
)

// Kind is what an event of a story is.
type Kind string

// The kinds of events.
const (
	KindHandshake Kind = "handshake"
	KindMessage   Kind = "message"
	KindClose     Kind = "close"
	KindSpan      Kind = "span" // any other
	KindRecord    Kind = "record"
	KindUnsampled Kind = "unsampled" // messages that have no span
)

// maxCaused is how many of the spans below a message's are told.
const maxCaused = 20

// connectionAttribute is the attribute by which a span belongs to a connection, connectionField that of a log record,
// and peerAttribute the end of that of the peer's spans, which has the protocol in front, as in
// websocket.handshake.trace_id.
const (
	connectionAttribute = "connection.id"
	connectionField     = "connection_id"
	peerAttribute       = ".handshake.trace_id"
)

// Event is one thing that happened to a connection.
type Event struct {
	Time     time.Time
	Kind     Kind
	Name     string // of the span, or the record's message
	Service  string
	Level    string // of a record
	Duration time.Duration
	Failed   bool
	Error    string // why it failed
	TraceID  string // empty for none
	SpanID   string // empty for none
	Links    []tracing.Link
	Fields   []tracing.Attribute

	// Of a message:
	Direction string // received or sent
	Number    int64  // counts the messages of a direction from 1; 0 if not known
	Type      string
	Size      string
	Caused    []Caused // spans below its own
	More      int      // of them, those that are left out
	Peer      bool     // the peer's span, not the service's
	OtherEnd  *Event   // the peer's span of the same message, nil if there is none

	Count int64 // of messages that have no span

	tells tells
}

// Caused is a span that was made while a message was handled.
type Caused struct {
	Name, Service, SpanID string
	Duration              time.Duration
	Failed                bool
}

// tells is what an event tells of the whole connection.
type tells int

const (
	tellsNothing   tells = iota
	tellsOpened          // when it opened
	tellsClosed          // how it ended
	tellsHandshake       // which span the handshake has
)

// Received tells whether the event is a message that the service received.
func (e Event) Received() bool {
	return e.Kind == KindMessage && e.Direction == "received" && !e.Peer
}

// field returns a field by the name that it has in log records. In spans it has the protocol in front, as in
// websocket.received.messages.
func (e Event) field(name string) string {
	dotted := "." + strings.ReplaceAll(name, "_", ".")
	for _, f := range e.Fields {
		if f.Key == name || strings.HasSuffix(f.Key, dotted) {
			return f.Value
		}
	}
	return ""
}

func (e Event) number(name string) int64 {
	n, err := strconv.ParseFloat(e.field(name), 64)
	if err != nil {
		return 0
	}
	return int64(n)
}

// lasted is how long the connection that the event closes was open, 0 if it does not say so.
func (e Event) lasted() time.Duration {
	d, err := strconv.ParseFloat(cmp.Or(e.field("duration_seconds"), e.field("duration")), 64)
	if err != nil || !(d > 0 && d < 1e9) {
		return 0
	}
	return seconds(d)
}

// events makes one list of what all sources know, oldest first, each once.
func events(id string, records []logstore.Record, traces []tracing.Trace, live []console.Story) []Event {
	type recordKey struct {
		nanos   int64
		message string
	}
	var list []Event
	spans := map[string]bool{}
	told := map[recordKey]bool{}
	for _, t := range traces {
		for _, s := range t.Spans {
			if s.Attribute(connectionAttribute) == id && !spans[s.ID] {
				spans[s.ID] = true
				list = append(list, newSpan(s, t))
			}
		}
	}
	for _, r := range records {
		told[recordKey{r.Time.UnixNano(), r.Message}] = true
		list = append(list, newRecord(r))
	}
	for _, l := range live {
		for _, s := range l.Spans {
			if !spans[s.ID] {
				spans[s.ID] = true
				list = append(list, newSpan(fromConsole(s, l.Service), tracing.Trace{}))
			}
		}
		for _, r := range l.Records {
			if key := (recordKey{r.Time.UnixNano(), r.Message}); !told[key] {
				told[key] = true
				list = append(list, newRecord(recordFromConsole(r, l.Service)))
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return list
}

func newRecord(r logstore.Record) Event {
	e := Event{
		Time: r.Time, Kind: KindRecord, Name: r.Message, Service: r.Service, Level: r.Level,
		TraceID: r.TraceID, SpanID: r.SpanID,
	}
	for _, f := range r.Fields {
		if f.Key != connectionField {
			e.Fields = append(e.Fields, tracing.Attribute(f))
		}
	}
	e.Error = e.field("error")
	switch r.Message {
	case "connection opened":
		e.tells = tellsOpened
	case "connection closed":
		e.tells = tellsClosed
	}
	return e
}

func newSpan(s tracing.Span, in tracing.Trace) Event {
	e := Event{
		Time: s.Start, Kind: KindSpan, Name: s.Name, Service: s.Service, Duration: s.Duration(),
		Failed: s.Failed(), Error: s.Message, TraceID: s.TraceID, SpanID: s.ID, Links: s.Links,
	}
	for _, a := range s.Attributes {
		if a.Key != connectionAttribute {
			e.Fields = append(e.Fields, a)
		}
	}
	operation, _, _ := strings.Cut(s.Name, " ")
	switch {
	case strings.HasSuffix(operation, ".handshake"):
		e.Kind, e.tells = KindHandshake, tellsOpened
	case strings.HasSuffix(operation, ".message"):
		e.Kind, e.tells = KindMessage, tellsHandshake
		e.Direction = "received"
		if s.Kind == "producer" || s.Kind == "client" {
			e.Direction = "sent"
		}
		e.Number, e.Type, e.Size = e.number("message_number"), e.field("message_type"), e.field("message_size")
		e.addCaused(in)
	case strings.HasSuffix(operation, ".close"):
		e.Kind, e.tells = KindClose, tellsClosed
	}
	return e
}

// peerEvents lists the peer's spans of messages. A message that the peer receives is one that the service has sent.
func peerEvents(traces []tracing.Trace) []Event {
	var list []Event
	for _, t := range traces {
		for _, s := range t.Spans {
			if !slices.ContainsFunc(s.Attributes, func(a tracing.Attribute) bool { return strings.HasSuffix(a.Key, peerAttribute) }) {
				continue
			}
			e := newSpan(s, t)
			e.Peer, e.tells = true, tellsNothing
			e.Number = e.number("message_number")
			if e.Kind != KindMessage { // the span in which the peer has sent it
				e.Kind, e.Direction, e.Type = KindMessage, "sent", e.Name
			}
			list = append(list, e)
		}
	}
	return list
}

// join puts the peer's events among the service's: to the service's event of the same message, if there is one.
func join(events, peer []Event) []Event {
	type key struct {
		received bool // by the service
		number   int64
	}
	at := map[key]int{}
	for i, e := range events {
		if e.Kind == KindMessage && e.Number > 0 {
			at[key{e.Received(), e.Number}] = i
		}
	}
	for _, p := range peer {
		i, known := at[key{p.Direction == "sent", p.Number}]
		if !known || p.Number == 0 || events[i].OtherEnd != nil {
			events = append(events, p)
			continue
		}
		events[i].OtherEnd = &p
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return events
}

// addCaused notes the spans below the event's own.
func (e *Event) addCaused(in tracing.Trace) {
	below := map[string]bool{e.SpanID: true}
	spans := slices.Clone(in.Spans)
	slices.SortStableFunc(spans, func(a, b tracing.Span) int { return a.Start.Compare(b.Start) })
	// A child's clock may be ahead of its parent's, so a pass over all of them may find more below than the one before.
	// Deeper than that is left out.
	for range 4 {
		for _, s := range spans {
			if s.Parent != "" && below[s.Parent] {
				below[s.ID] = true
			}
		}
	}
	for _, s := range spans {
		switch {
		case s.ID == e.SpanID || !below[s.ID]:
		case len(e.Caused) >= maxCaused:
			e.More++
		default:
			e.Caused = append(e.Caused, Caused{s.Name, s.Service, s.ID, s.Duration(), s.Failed()})
		}
	}
	e.More += in.More
}

func fromConsole(s console.Span, service string) tracing.Span {
	span := tracing.Span{
		TraceID: s.TraceID, ID: s.ID, Parent: s.ParentID, Name: s.Name, Service: service, Start: s.Start.UTC(),
		End: s.Start.UTC().Add(seconds(s.Seconds)), Message: s.Error, Attributes: fields(s.Attributes),
	}
	if s.Failed {
		span.Status = "error"
	}
	for _, id := range s.Links {
		span.Links = append(span.Links, tracing.Link{TraceID: id})
	}
	return span
}

func recordFromConsole(r console.Record, service string) logstore.Record {
	record := logstore.Record{Time: r.Time.UTC(), Level: strings.ToLower(r.Level), Service: service, Message: r.Message}
	for _, f := range fields(r.Attributes) {
		switch f.Key {
		case "trace_id":
			record.TraceID = f.Value
		case "span_id":
			record.SpanID = f.Value
		default:
			record.Fields = append(record.Fields, logstore.Field(f))
		}
	}
	return record
}

// fields puts attributes of a console into words, by name.
func fields(attributes map[string]any) []tracing.Attribute {
	var list []tracing.Attribute
	for key, value := range attributes {
		text, isText := value.(string)
		if !isText {
			encoded, err := json.Marshal(value)
			if err != nil {
				continue
			}
			text = string(encoded)
		}
		list = append(list, tracing.Attribute{Key: key, Value: text})
	}
	slices.SortFunc(list, func(a, b tracing.Attribute) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
