package desk

import (
	"testing"
	"time"

	"github.com/sockscope/sockscope/instrument/console"
	"github.com/sockscope/sockscope/internal/desk/story"
	"github.com/sockscope/sockscope/internal/desk/tracing"
	"github.com/sockscope/sockscope/internal/top"
)

// goldenConnections has hostile texts wherever a service could put one.
func goldenConnections() connectionsData {
	number := func(v float64) *float64 { return &v }
	return connectionsData{
		Sort: console.SortBusy, Sorts: console.Sorts(), Search: hostile, Consoles: 2, Problem: hostile, Found: goldenFindings(),
		View: top.View{
			Open:      2,
			Instances: []top.Instance{{Console: "http://127.0.0.1:8080/debug/realtime/", Name: hostile, Open: 2}, {Console: hostile, Error: hostile}},
			Connections: []top.Row{
				{Instance: hostile, Connection: console.Connection{
					ID: "a/../b?c#" + hostile, Namespace: hostile, Protocol: "websocket", State: console.StateBehind, Age: 3725, RTT: 0.0123,
					ReceivedPerSecond: number(0.5), SentPerSecond: number(12.34), ReceivedMessages: 100, ReceivedBytes: 2048, SentMessages: 2000, SentBytes: 5 << 30,
					Queued: 64, QueueCapacity: 64, QueueOldest: 2.34, SinceReceived: number(61), SinceSent: number(0.0004),
				}},
				{Connection: console.Connection{ID: "bb", State: console.StateOpen, Age: 12, Unanswered: 11}},
			},
		},
	}
}

// goldenFindings are of two instances, of which the one can't be trusted.
func goldenFindings() []finding {
	return together([]top.FoundAt{
		{Instance: hostile, Finding: console.Finding{Name: hostile, Severity: hostile, Text: hostile, Search: hostile}},
		{Instance: "b", Finding: console.Finding{Name: "connections_behind", Severity: "warning", Text: "2 connections are behind.", Sort: console.SortBehind, Search: hostile}},
		{Instance: "b", Finding: console.Finding{Name: "slow_handling", Severity: "warning", Text: "Handling is slow."}},
		{Instance: "c", Finding: console.Finding{Name: "slow_handling", Severity: "warning", Text: "Handling is slow."}},
		{Instance: "d", Finding: console.Finding{Name: "slow_handling", Severity: "warning", Text: "Handling is slower."}},
	})
}

// goldenStory has an event of each kind. All text from outside is hostile.
func goldenStory() story.Story {
	const trace, span = "724e3b184d68acf94e746096135d877c", "b7ad6b7169203331"
	link := tracing.Link{TraceID: "02620e98b440366a1cf7026b2d76d885", SpanID: "00f067aa0ba902b7"}
	at := func(seconds int) time.Time { return before(time.Minute).Add(time.Duration(seconds) * time.Second) }
	return story.Story{
		ID: hostile, Part: story.Part{Newest: true}, Next: story.Part{Newest: true, From: at(0), Beside: 5}, Service: hostile,
		Opened: at(0), Closed: at(50), Handshake: link, Close: tracing.Link{TraceID: trace, SpanID: span},
		Ending: story.Ending{Initiator: "remote", Reason: hostile, Code: "1006", Error: hostile},
		Totals: &story.Totals{Received: 1, ReceivedBytes: 12, Sent: 3, SentBytes: 4096}, Sampled: 1, Unsampled: 4,
		Events: []story.Event{
			{Time: at(50), Kind: story.KindClose, Name: "websocket.close", Service: "demo", TraceID: trace, SpanID: span, Links: []tracing.Link{link}},
			{Time: at(40), Kind: story.KindUnsampled, Count: 4},
			{Time: at(30), Kind: story.KindRecord, Name: hostile, Service: hostile, Level: "warn", Error: hostile, TraceID: trace,
				Fields: []tracing.Attribute{{Key: hostile, Value: hostile}, {Key: "connection_id", Value: hostile}}},
			{Time: at(20), Kind: story.KindMessage, Name: "websocket.message " + hostile, Direction: "received", Number: 5, Type: hostile, Size: "12",
				Service: "demo", Failed: true, Error: hostile, Duration: 48 * time.Millisecond, TraceID: trace, SpanID: span,
				Caused: []story.Caused{{Name: hostile, Service: hostile, SpanID: span, Failed: true}}, More: 2},
			{Time: at(10), Kind: story.KindSpan, Name: "stats", Service: "client"},
			{Time: at(0), Kind: story.KindHandshake, Name: "websocket.handshake", Service: "demo", TraceID: link.TraceID, SpanID: link.SpanID},
		},
	}
}

func goldenLiveStory() story.Story {
	since := 1.5
	return story.Story{
		ID: "5f0c2d1e", Whole: true, Instance: hostile, Service: "demo", Opened: before(time.Hour),
		Live:   &console.Connection{State: console.StateBehind, Queued: 3, QueueCapacity: 8, QueueOldest: 1.5, RTT: 0.02, SinceReceived: &since},
		Totals: &story.Totals{}, Handshake: tracing.Link{TraceID: "02620e98b440366a1cf7026b2d76d885"},
	}
}

func TestJumps(t *testing.T) {
	long := connectionData{story.Story{ID: "a/b", Opened: before(100 * time.Minute)}}
	long.Part.From = before(75 * time.Minute)
	list := long.Jumps(now)
	if len(list) != jumps || !list[0].Time.Equal(long.Opened) || !list[9].Time.Equal(before(10*time.Minute)) || list[2].Path != "/connection/a%2Fb?beside=0&from=1795344000000000000" {
		t.Errorf("jumps %+v", list)
	}
	for i, j := range list {
		if j.Here != (i == 2) {
			t.Errorf("jump %d is here: %v", i, j.Here)
		}
	}
	long.Closed = before(90 * time.Minute)
	if at := long.Jumps(now)[1].Time; !at.Equal(before(99 * time.Minute)) {
		t.Errorf("the second jump of a connection that has closed leads to %v", at)
	}
	long.Whole = true
	if list := long.Jumps(now); list != nil {
		t.Errorf("a short story has the jumps %+v", list)
	}
	if list := (connectionData{}).Jumps(now); list != nil {
		t.Errorf("a life of no known length has the jumps %+v", list)
	}
}
