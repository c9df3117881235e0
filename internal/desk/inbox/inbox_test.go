package inbox

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func memory(t *testing.T) *Inbox {
	t.Helper()
	in, err := Open("", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func accepted(event Event, key string) Notification {
	return Notification{Source: PagerDuty, Receiver: "key 1", Accepted: true, Event: event, Key: key, Alert: "A", Summary: "s"}
}

// TestLifecycle walks one alert through what PagerDuty documents of triggers, acknowledgements and resolves.
func TestLifecycle(t *testing.T) {
	tests := []struct {
		name   string
		events []Event
		want   []Outcome
		state  State
	}{
		{"opens", []Event{Trigger}, []Outcome{Opened}, StateOpen},
		{"repeats", []Event{Trigger, Trigger}, []Outcome{Opened, Repeated}, StateOpen},
		{"resolves", []Event{Trigger, Resolve}, []Outcome{Opened, Resolved}, StateResolved},
		{"resolve without trigger", []Event{Resolve}, []Outcome{Dropped}, StateDropped},
		{"acknowledge without trigger", []Event{Acknowledge}, []Outcome{Dropped}, StateDropped},
		{"resolve twice", []Event{Trigger, Resolve, Resolve}, []Outcome{Opened, Resolved, Dropped}, StateResolved},
		{"opens anew", []Event{Trigger, Resolve, Trigger}, []Outcome{Opened, Resolved, Opened}, StateOpen},
		{"stays acknowledged", []Event{Trigger, Acknowledge, Trigger}, []Outcome{Opened, Acknowledged, Repeated}, StateAcknowledged},
		{"resolves acknowledged", []Event{Trigger, Acknowledge, Resolve}, []Outcome{Opened, Acknowledged, Resolved}, StateResolved},
		{"message", []Event{Message}, []Outcome{Shown}, StateMessage},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := memory(t)
			var got []Outcome
			for _, e := range test.events {
				got = append(got, in.Add(accepted(e, "k")).Outcome)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
			v := in.View()
			groups := slices.Concat(v.Open, v.Closed)
			if len(groups) != 1 || groups[0].State != test.state {
				t.Errorf("groups = %+v, want one that is %s", groups, test.state)
			}
		})
	}
}

func TestRoutingKeysDoNotShareAlerts(t *testing.T) {
	in := memory(t)
	in.Add(accepted(Trigger, "k"))
	other := accepted(Resolve, "k")
	other.Receiver = "key 2"
	if got := in.Add(other).Outcome; got != Dropped {
		t.Errorf("a resolve under another routing key is %s, want %s", got, Dropped)
	}
	if open := in.View().Open; len(open) != 1 {
		t.Errorf("%d alerts are open, want 1", len(open))
	}
}

func TestCountAndSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := memory(t)
		opened := in.Add(accepted(Trigger, "k"))
		time.Sleep(time.Minute)
		again := in.Add(accepted(Trigger, "k"))
		if again.Count != 2 || !again.Since.Equal(opened.Received) {
			t.Errorf("count %d since %v, want 2 since %v", again.Count, again.Since, opened.Received)
		}
		in.Add(accepted(Resolve, "k"))
		time.Sleep(time.Minute)
		if anew := in.Add(accepted(Trigger, "k")); anew.Count != 1 || !anew.Since.Equal(anew.Received) {
			t.Errorf("opened anew: count %d since %v, want 1 since %v", anew.Count, anew.Since, anew.Received)
		}
	})
}

// TestBounds floods the inbox in every way a sender can and looks whether an open alert survives it.
func TestBounds(t *testing.T) {
	in := memory(t)
	in.Add(accepted(Trigger, "important"))
	for i := range maxKept {
		key := fmt.Sprint("over", i)
		in.Add(accepted(Trigger, key))
		in.Add(accepted(Resolve, key))
	}
	for range 200 {
		in.Add(Notification{Source: Slack, Reason: "rubbish", Body: strings.Repeat("x", 2*MaxBody)})
		in.Add(accepted(Trigger, "again and again"))
	}
	if len(in.kept) > maxKept || in.bytes > maxBytes {
		t.Errorf("%d notifications of %d bytes, at most %d of %d are allowed", len(in.kept), in.bytes, maxKept, maxBytes)
	}
	v := in.View()
	if len(v.Rejected) != maxRejected {
		t.Errorf("%d rejected, want %d", len(v.Rejected), maxRejected)
	}
	var kept []string
	for _, g := range v.Open {
		kept = append(kept, g.Latest.Key)
		if len(g.Events) > maxPerGroup {
			t.Errorf("%s has %d notifications, at most %d are kept", g.Latest.Key, len(g.Events), maxPerGroup)
		}
	}
	if diff := cmp.Diff([]string{"again and again", "important"}, kept); diff != "" {
		t.Errorf("open alerts (-want +got):\n%s", diff)
	}
	total := 0
	for n := range in.all {
		total += n.size()
	}
	if total != in.bytes {
		t.Errorf("%d bytes are accounted for, %d are kept", in.bytes, total)
	}
}

func TestBytesAreBounded(t *testing.T) {
	in := memory(t)
	for i := range maxKept {
		n := accepted(Trigger, fmt.Sprint(i))
		n.Body = strings.Repeat("ä", MaxBody)
		in.Add(n)
	}
	if in.bytes > maxBytes || len(in.kept) < maxBytes/(2*MaxBody) {
		t.Errorf("%d notifications of %d bytes, want as many as fit into %d", len(in.kept), in.bytes, maxBytes)
	}
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := memory(t)
		beat := accepted(Trigger, "w")
		beat.Alert = HeartbeatAlert
		beat.Source = Webhook
		if got := in.View().Heartbeats; len(got) != 0 {
			t.Fatalf("heartbeats before the first one: %+v", got)
		}
		for range 30 {
			in.Add(beat)
			time.Sleep(time.Minute)
		}
		h := in.View().Heartbeats
		if len(h) != 1 || h[0].Late || h[0].Interval != time.Minute || h[0].Silence != time.Minute || h[0].Latest.Count != 30 {
			t.Fatalf("heartbeats = %+v, want one, on time, every minute, the 30th", h)
		}
		if open := in.View().Open; len(open) != 0 {
			t.Errorf("a heartbeat is listed as an open alert")
		}
		time.Sleep(61 * time.Second)
		if h := in.View().Heartbeats; !h[0].Late {
			t.Errorf("not late after a silence of %s", h[0].Silence)
		}
		in.Add(beat)
		if h := in.View().Heartbeats; h[0].Late || h[0].Interval != time.Minute {
			t.Errorf("after an outage: %+v, want on time and still every minute", h[0])
		}
		beat.Event = Resolve
		in.Add(beat)
		if h := in.View().Heartbeats; !h[0].Late {
			t.Error("a resolved heartbeat is not late")
		}
	})
}

// TestDeadMansSwitch lets a heartbeat stop and come back.
func TestDeadMansSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := memory(t)
		beat := accepted(Trigger, "w")
		beat.Alert, beat.Source = HeartbeatAlert, Webhook
		alarms := func() (open, closed []string) {
			in.CheckHeartbeats()
			v := in.View()
			for _, g := range v.Open {
				open = append(open, g.Latest.Alert+": "+g.Latest.Summary)
			}
			for _, g := range v.Closed {
				closed = append(closed, g.Latest.Alert+": "+g.Latest.Summary)
			}
			return open, closed
		}
		if open, _ := alarms(); len(open) > 0 {
			t.Errorf("alarms before the first beat: %v", open)
		}
		for range 3 {
			in.Add(beat)
			if open, closed := alarms(); len(open)+len(closed) > 0 {
				t.Errorf("alarms while it beats: %v, %v", open, closed)
			}
			time.Sleep(time.Minute)
		}
		time.Sleep(61 * time.Second)
		const late = "WatchdogSilent: No Watchdog for 2m1s: alerts may be reaching nobody"
		for range 2 { // once, however often it is looked
			if open, closed := alarms(); len(open) != 1 || open[0] != late || len(closed) > 0 {
				t.Errorf("open %v, closed %v; want %q open", open, closed, late)
			}
		}
		in.Add(beat)
		const back = "WatchdogSilent: Watchdog is back: alerts reach this inbox again"
		if open, closed := alarms(); len(open) > 0 || len(closed) != 1 || closed[0] != back {
			t.Errorf("open %v, closed %v; want %q closed", open, closed, back)
		}
	})
}

// TestOneEntryPerAlert tells an alert by three channels, of which one covers another alert as well.
func TestOneEntryPerAlert(t *testing.T) {
	slow, stall := Subject{"WebSocketLatencyHigh", "demo/chat"}, Subject{"WebSocketSilentStall", "demo/chat"}
	page := func(event Event, firing, resolved []Subject) Notification {
		n := accepted(event, "incident")
		n.Summary, n.Firing, n.Resolved = "page", firing, resolved
		return n
	}
	message := func(event Event, s Subject) Notification {
		n := Notification{Source: Slack, Receiver: "T/B", Accepted: true, Event: event, Key: s.Alert, Alert: s.Alert, Summary: "message"}
		if event == Resolve {
			n.Resolved = []Subject{s}
		} else {
			n.Firing = []Subject{s}
		}
		return n
	}
	both := []Subject{slow, stall}
	tests := []struct {
		name  string
		sent  []Notification
		slow  string // the state of the entry, and of its channels
		stall string
	}{
		{"one channel", []Notification{page(Trigger, both[:1], nil)}, "open pagerduty=open message 1", ""},
		{"two channels", []Notification{page(Trigger, both[:1], nil), message(Trigger, slow)}, "open pagerduty=open slack=open message 2", ""},
		{"joins the incident", []Notification{page(Trigger, both[:1], nil), message(Trigger, stall), page(Trigger, both, nil)},
			"open pagerduty=open message 2", "open slack=open pagerduty=open message 2"},
		{"ends, the incident does not", []Notification{page(Trigger, both, nil), page(Trigger, both[:1], both[1:])},
			"open pagerduty=open message 2", "resolved pagerduty=resolved message 2"},
		{"incident ends", []Notification{page(Trigger, both, nil), page(Resolve, nil, both[:1])},
			"resolved pagerduty=resolved message 2", "resolved pagerduty=resolved message 2"},
		{"message is still open", []Notification{page(Trigger, both[:1], nil), message(Trigger, slow), page(Resolve, nil, both[:1])},
			"open pagerduty=resolved slack=open message 3", ""},
		{"acknowledged without naming it", []Notification{page(Trigger, both[:1], nil), page(Acknowledge, nil, nil), message(Trigger, slow)},
			"acknowledged pagerduty=acknowledged slack=open message 3", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := memory(t)
			for _, n := range test.sent {
				in.Add(n)
			}
			got := map[string]string{}
			v := in.View()
			for _, g := range slices.Concat(v.Open, v.Closed) {
				text := string(g.State)
				for _, c := range g.Channels {
					text += fmt.Sprintf(" %s=%s", c.Source, c.State)
				}
				got[g.Subject.Alert] = fmt.Sprintf("%s message %d", text, g.Count)
			}
			want := map[string]string{slow.Alert: test.slow}
			if test.stall != "" {
				want[stall.Alert] = test.stall
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseSubject(t *testing.T) {
	for text, want := range map[string]Subject{
		"WebSocketLatencyHigh of demo/chat": {"WebSocketLatencyHigh", "demo/chat"},
		"A of b of c":                       {"A", "b of c"},
		"A of ":                             {},
		"the end of the line":               {},
		"":                                  {},
	} {
		got, ok := ParseSubject(text)
		if got != want || ok != (want != Subject{}) {
			t.Errorf("ParseSubject(%q) = %+v, %v; want %+v", text, got, ok, want)
		}
	}
}

func TestNotification(t *testing.T) {
	in := memory(t)
	n := accepted(Trigger, "k")
	n.Body = "what came"
	n = in.Add(n)
	got, err := in.Notification(n.ID)
	if err != nil || got.Body != "what came" {
		t.Errorf("Notification = %+v, %v; want it with its body", got, err)
	}
	if list := in.Notifications(); list[0].Body != "" {
		t.Error("the list has bodies")
	}
	if _, err := in.Notification("unknown"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error = %v, want %v", err, fs.ErrNotExist)
	}
}

func TestMissingValues(t *testing.T) {
	got := MissingValues(map[string]any{
		"b": []any{"fine", map[string]any{"text": "p99 of <no value>"}},
		"a": "<no value>",
		"c": 5.0,
	})
	want := []string{
		"a contains <no value>: its template names a label or annotation that the alert does not have",
		"b[1].text contains <no value>: its template names a label or annotation that the alert does not have",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadable(t *testing.T) {
	got := Readable([]byte(`{"routing_key":"0123456789abcdef0123456789abcdef","a":1}`))
	want := "{\n  \"routing_key\": \"…\",\n  \"a\": 1\n}"
	if got != want {
		t.Errorf("Readable = %s, want %s", got, want)
	}
	if got := Readable([]byte("\xff not JSON")); got != "\uFFFD not JSON" {
		t.Errorf("Readable = %q", got)
	}
	if got := Readable([]byte(strings.Repeat("a", 1<<20))); len(got) != MaxBody {
		t.Errorf("Readable kept %d bytes, want %d", len(got), MaxBody)
	}
}
