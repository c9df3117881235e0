package top

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/console"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// instance is a service with a live console.
type instance struct {
	*instrument.Observer
	url string
}

func newInstance(t *testing.T, name string) *instance {
	t.Helper()
	o, err := instrument.New(instrument.WithNamespace(name), instrument.WithoutTracing())
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/realtime/", console.Handler(o))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &instance{o, server.URL + "/debug/realtime/"}
}

func (i *instance) open(t *testing.T, messages int) *instrument.Conn {
	t.Helper()
	_, h := i.BeginHandshake(t.Context(), instrument.Request{})
	c := h.Opened(http.StatusSwitchingProtocols)
	for range messages {
		c.Received(instrument.MessageType{}, 1)
	}
	return c
}

func options(t *testing.T, consoles ...string) Options {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return Options{Consoles: consoles, Sort: console.SortBehind, Limit: 10, Client: &http.Client{Transport: transport, Timeout: 10 * time.Second}}
}

// TestLook takes two instances together, of which one has the worse connection, and a third that is away.
func TestLook(t *testing.T) {
	one, two := newInstance(t, "chat"), newInstance(t, "feed")
	away := httptest.NewServer(nil)
	away.Close()
	one.open(t, 3)
	two.open(t, 4)
	behind := two.open(t, 5)
	behind.BeginDelivery()
	time.Sleep(time.Millisecond) // or its message is no older than none
	view, err := Look(t.Context(), options(t, one.url, two.url, away.URL))
	if err != nil {
		t.Fatal(err)
	}
	if view.Open != 3 || len(view.Connections) != 3 || view.Connections[0].ID != behind.ID() || view.Connections[0].Namespace != "feed" {
		t.Errorf("the view is %+v", view)
	}
	if view.Instances[0].Error != "" || !strings.Contains(view.Instances[2].Error, "refused") {
		t.Errorf("the instances are %+v", view.Instances)
	}
	var text strings.Builder
	if err := Render(&text, view, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 open", "! Get \"" + away.URL, behind.ID(), "feed·websocket"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}

// TestStories asks for a connection of the second of two instances, while a third is away.
func TestStories(t *testing.T) {
	one, two := newInstance(t, "chat"), newInstance(t, "feed")
	away := httptest.NewServer(nil)
	away.Close()
	one.open(t, 1)
	conn := two.open(t, 4)
	stories, err := Stories(t.Context(), options(t, one.url, two.url, away.URL), conn.ID())
	if err == nil || !strings.Contains(err.Error(), away.URL) || strings.Contains(err.Error(), one.url) {
		t.Errorf("error is %v, want one about %s only", err, away.URL)
	}
	if len(stories) != 1 || stories[0].Connection == nil || stories[0].Connection.ReceivedMessages != 4 {
		t.Errorf("the stories are %+v", stories)
	}
	if stories, err = Stories(t.Context(), options(t, one.url), "../series?x=<b>#"); err != nil || len(stories) != 0 {
		t.Errorf("the stories of a hostile id are %+v, %v", stories, err)
	}
}

func TestLookFails(t *testing.T) {
	serve := func(h http.HandlerFunc) string {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
	for name, tt := range map[string]struct{ url, want string }{
		"not mounted":      {serve(http.NotFound), "has no live console: give the address at which it is mounted"},
		"refused":          {serve(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "not you", http.StatusForbidden) }), "403 Forbidden: not you"},
		"something else":   {serve(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }), "is not a live console"},
		"not even a URL":   {":", "is no address of a live console"},
		"without a scheme": {"localhost:8080", "is no address of a live console"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Look(t.Context(), options(t, tt.url)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestRender(t *testing.T) {
	number := func(v float64) *float64 { return &v }
	view := View{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Open: 2,
		Instances: []Instance{{Name: "host/1", Open: 2}},
		Now:       console.Sample{Seconds: 1, Endpoints: []console.Endpoint{{Opened: 2, Closed: map[string]float64{"normal": 1}, Received: 10, Sent: 1234, Dropped: map[string]float64{"queue_full": 3}}}},
		Findings:  []FoundAt{{"host/1", console.Finding{Text: "1 connection is \x1b[31mbehind\u202e."}}},
		Connections: []Row{
			{"host/1", console.Connection{
				ID: "aa", Namespace: "chat", Protocol: "websocket", State: console.StateBehind, Age: 3725, RTT: 0.0123,
				ReceivedPerSecond: number(0.5), SentPerSecond: number(12.34), ReceivedMessages: 100, SentMessages: 2000,
				Queued: 64, QueueCapacity: 64, QueueOldest: 2.34, SinceReceived: number(61), SinceSent: number(0.0004),
			}},
			{"host/1", console.Connection{ID: "bb", Namespace: "feed", Protocol: "sse", State: console.StateUnanswered, Age: 12, Unanswered: 11}},
		},
	}
	want := strings.TrimPrefix(`
03:04:05  2 open  +2 −1 connections/s  10 in 1.23e+03 out messages/s  3 dropped/s
* 1 connection is �[31mbehind�.

  CONNECTION        ENDPOINT       STATE     AGE   RTT  IN/S  OUT/S   IN   OUT  QUEUE  OLDEST  LAST IN  LAST OUT
          aa  chat·websocket      behind  1h2m5s  12ms   0.5   12.3  100  2000  64/64    2.3s     1m1s     400µs
          bb        feed·sse  unanswered     12s  >11s     –      –    0     0      0       –        –         –
`, "\n")
	var got strings.Builder
	if err := Render(&got, view, 0); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
	got.Reset()
	if err := Render(&got, view, 20); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(got.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 20 {
			t.Errorf("a line of %d characters: %q", n, line)
		}
	}
}
