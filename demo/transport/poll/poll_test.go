package poll

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// door lets everybody in whom it does not refuse.
type door struct {
	admission.Gate
	who     auth.Identity
	refusal *admission.Refusal

	mu     sync.Mutex
	inside int
}

func (d *door) Enter(context.Context, *http.Request) (func(), auth.Identity, *admission.Refusal) {
	if d.refusal != nil {
		return nil, auth.Identity{}, d.refusal
	}
	d.count(1)
	return func() { d.count(-1) }, d.who, nil
}

func (d *door) count(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside += n
	return d.inside
}

// lobby is a room that keeps its newest messages.
type lobby struct {
	mu       sync.Mutex
	last     uint64
	kept     int
	failing  error
	watchers map[chan struct{}]struct{}
}

func (l *lobby) Said(_ context.Context, room string, after *uint64) (wire.HistoryPayload, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	piece := wire.HistoryPayload{Room: room, Messages: []wire.HistoryMessage{}}
	if l.failing != nil {
		return piece, true, l.failing
	}
	first := l.last - min(l.last, uint64(l.kept)) + 1
	if after != nil && (*after > l.last || *after+1 < first) {
		return piece, false, nil
	}
	if after != nil {
		first = *after + 1
	}
	for seq := first; seq <= l.last; seq++ {
		piece.Messages = append(piece.Messages, wire.HistoryMessage{Seq: seq, SavedID: strings.Repeat("i", int(seq))})
	}
	return piece, true, nil
}

func (l *lobby) Watch(context.Context, string) (<-chan struct{}, func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := make(chan struct{}, 1)
	if l.watchers == nil {
		l.watchers = make(map[chan struct{}]struct{})
	}
	l.watchers[w] = struct{}{}
	return w, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.watchers, w)
	}, nil
}

func (l *lobby) watched() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.watchers)
}

// change does something to the room and tells those who watch it.
func (l *lobby) change(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do()
	for w := range l.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

const writeTimeout = 10 * time.Second

// recorder is a response whose deadline is recorded, too.
type recorder struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (r *recorder) SetWriteDeadline(at time.Time) error {
	r.deadline = at
	return nil
}

func newHandler(t *testing.T, gate admission.Gate, rooms Rooms) (*Handler, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	h, err := New(Config{
		Gate: gate, Rooms: rooms, Logger: slog.New(slog.DiscardHandler), Registerer: registry, WriteTimeout: writeTimeout,
		PerSecond: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h, registry
}

// counted returns how many polls each outcome has, of a histogram, and how many seconds they took in all.
func counted(t *testing.T, registry *prometheus.Registry, name string) (polls map[string]uint64, seconds float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	polls = map[string]uint64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if n := m.GetHistogram().GetSampleCount(); n > 0 {
				polls[m.GetLabel()[1].GetValue()] = n
			}
			seconds += m.GetHistogram().GetSampleSum()
		}
	}
	return polls, seconds
}

// TestWaiting has one poll wait in a room that has 5 messages and keeps 3, and looks when it is answered and how.
func TestWaiting(t *testing.T) {
	t.Parallel()
	type test struct {
		after   string
		happens func(*Handler, *lobby, context.CancelFunc) // 10 s after the poll began
		expires time.Duration                              // of the token, from the start; 0 for an hour

		status  int // 0 if there is no client any more
		seqs    []uint64
		took    time.Duration
		outcome outcome
	}
	for name, tc := range map[string]test{
		"missed messages": {after: "3", status: 200, seqs: []uint64{4, 5}, outcome: messages},
		"all missed":      {after: "2", status: 200, seqs: []uint64{3, 4, 5}, outcome: messages},
		"too far behind":  {after: "1", status: 410, outcome: behind},
		"ahead":           {after: "6", status: 410, outcome: behind},
		"nothing is said": {after: "5", status: 200, took: 30 * time.Second, outcome: nothing},
		"something is said": {after: "5", status: 200, seqs: []uint64{6}, took: 10 * time.Second, outcome: messages,
			happens: func(_ *Handler, l *lobby, _ context.CancelFunc) { l.change(func() { l.last++ }) }},
		"woken for nothing": {after: "5", status: 200, took: 30 * time.Second, outcome: nothing,
			happens: func(_ *Handler, l *lobby, _ context.CancelFunc) { l.change(func() {}) }},
		"room is forgotten": {after: "5", status: 410, took: 10 * time.Second, outcome: behind,
			happens: func(_ *Handler, l *lobby, _ context.CancelFunc) { l.change(func() { l.last = 1 }) }},
		"store fails": {after: "5", status: 503, took: 10 * time.Second, outcome: failed,
			happens: func(_ *Handler, l *lobby, _ context.CancelFunc) { l.change(func() { l.failing = errors.New("down") }) }},
		"server drains": {after: "5", status: 200, took: 10 * time.Second, outcome: drained,
			happens: func(h *Handler, _ *lobby, _ context.CancelFunc) { h.Drain(); h.Drain() }},
		"client goes": {after: "5", took: 10 * time.Second, outcome: gone,
			happens: func(_ *Handler, _ *lobby, leave context.CancelFunc) { leave() }},
		"token expires": {after: "5", expires: 5 * time.Second, status: 200, took: 5 * time.Second, outcome: nothing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if tc.expires == 0 {
					tc.expires = time.Hour
				}
				gate := &door{who: auth.Identity{User: "Ada", Expires: time.Now().Add(tc.expires)}}
				room := &lobby{last: 5, kept: 3}
				h, registry := newHandler(t, gate, room)
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				w := &recorder{ResponseRecorder: httptest.NewRecorder()}
				begin, took := time.Now(), time.Duration(0)
				done := make(chan struct{})
				go func() {
					defer close(done)
					h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/poll?room=lobby&wait=30s&after="+tc.after, http.NoBody))
					took = time.Since(begin)
				}()
				if tc.happens != nil {
					time.Sleep(10 * time.Second) // of the bubble's time
					if room.watched() != 1 || gate.count(0) != 1 {
						t.Errorf("%d watch the room and %d are inside, want 1 poll", room.watched(), gate.count(0))
					}
					tc.happens(h, room, leave)
				}
				<-done
				if took != tc.took {
					t.Errorf("answered after %v, want %v", took, tc.took)
				}
				if room.watched() != 0 || gate.count(0) != 0 {
					t.Errorf("%d still watch the room and %d are inside", room.watched(), gate.count(0))
				}
				if tc.status == http.StatusOK && w.deadline.Sub(begin) != tc.took+writeTimeout {
					t.Errorf("the answer is to be written within %v of the request, want %v", w.deadline.Sub(begin), tc.took+writeTimeout)
				}
				if tc.status != 0 {
					check(t, w.Result(), tc.status, tc.seqs)
				}
				if closes := w.Header().Get("Connection") == "close"; closes != (tc.outcome == drained) {
					t.Errorf("the answer closes its connection: %v", closes)
				}
				polls, waited := counted(t, registry, "demo_poll_wait_seconds")
				if diff := cmp.Diff(map[string]uint64{string(tc.outcome): 1}, polls); diff != "" {
					t.Errorf("polls that waited (-want +got):\n%s", diff)
				}
				if waited != tc.took.Seconds() {
					t.Errorf("the poll waited %v s, want %v", waited, tc.took)
				}
				polls, handled := counted(t, registry, "demo_poll_handling_seconds")
				if diff := cmp.Diff(map[string]uint64{string(tc.outcome): 1}, polls); diff != "" || handled != 0 {
					t.Errorf("handling took %v s without the wait (-want +got):\n%s", handled, diff)
				}
			})
		})
	}
}

// check compares an answer: its status and, if that is 200, the messages in its frame.
func check(t *testing.T, got *http.Response, status int, want []uint64) {
	t.Helper()
	defer got.Body.Close()
	if got.StatusCode != status {
		t.Errorf("status %d, want %d", got.StatusCode, status)
	}
	if (got.Header.Get("Retry-After") != "") != (status == http.StatusServiceUnavailable) {
		t.Errorf("status %d with Retry-After %q", status, got.Header.Get("Retry-After"))
	}
	if got.StatusCode != http.StatusOK {
		return
	}
	var env wire.Envelope
	var p wire.HistoryPayload
	if err := errors.Join(json.NewDecoder(got.Body).Decode(&env), json.Unmarshal(env.Payload, &p)); err != nil {
		t.Fatal(err)
	}
	var seqs []uint64
	for _, m := range p.Messages {
		seqs = append(seqs, m.Seq)
	}
	if diff := cmp.Diff(want, seqs); diff != "" || env.Type != wire.TypeHistory || p.Room != "lobby" || p.Messages == nil {
		t.Errorf("a %s of %q (-want +got):\n%s", env.Type, p.Room, diff)
	}
}

// TestPlain asks without waiting, with and without the tag of an earlier answer.
func TestPlain(t *testing.T) {
	t.Parallel()
	room := &lobby{last: 5, kept: 3}
	h, registry := newHandler(t, &door{who: auth.Identity{User: "Ada", Expires: time.Now().Add(time.Hour)}}, room)
	server := httptest.NewServer(h)
	defer server.Close()
	get := func(query, tag string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/poll?room=lobby"+query, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if tag != "" {
			req.Header.Set("If-None-Match", tag)
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	all := get("", "")
	newest := all.Header.Get("ETag")
	check(t, all, 200, []uint64{3, 4, 5})
	none := get("&after=5", "")
	empty := none.Header.Get("ETag")
	check(t, none, 200, nil)
	for tag, status := range map[string]int{
		newest: 304, strings.TrimPrefix(newest, "W/"): 304, `"x", ` + newest: 304, "*": 304, empty: 200, `"x"`: 200,
	} {
		if got := get("", tag); got.StatusCode != status || got.Header.Get("ETag") != newest {
			t.Errorf("the newest, unless %s: %d with the tag %s, want %d with %s", tag, got.StatusCode, got.Header.Get("ETag"), status, newest)
		}
	}
	check(t, get("&after=5", empty), 304, nil)
	room.change(func() { room.last++ })
	check(t, get("&after=5", empty), 200, []uint64{6})
	check(t, get("", newest), 200, []uint64{4, 5, 6})
	check(t, get("&after=1", ""), 410, nil)

	polls, _ := counted(t, registry, "demo_poll_handling_seconds")
	if diff := cmp.Diff(map[string]uint64{"messages": 5, "nothing": 6, "behind": 1}, polls); diff != "" {
		t.Errorf("polls (-want +got):\n%s", diff)
	}
	if polls, _ := counted(t, registry, "demo_poll_wait_seconds"); len(polls) != 0 {
		t.Errorf("plain polls count as waiting: %v", polls)
	}
}

// TestRefused is everything that is wrong with a poll, each with its status.
func TestRefused(t *testing.T) {
	t.Parallel()
	ada := auth.Identity{User: "Ada", Expires: time.Now().Add(time.Hour)}
	for name, tc := range map[string]struct {
		gate  *door
		query string
		want  int
	}{
		"draining":          {&door{refusal: admission.Refuse(instrument.StatusDraining, 503, "draining")}, "room=lobby", 503},
		"full":              {&door{refusal: admission.Full()}, "room=lobby", 503},
		"no token":          {&door{}, "room=lobby", 401},
		"no token, no room": {&door{}, "", 401},
		"another's room":    {&door{who: ada}, "room=private.ben", 403},
		"no room":           {&door{who: ada}, "", 400},
		"too long a wait":   {&door{who: ada}, "room=lobby&after=1&wait=1h", 400},
	} {
		h, registry := newHandler(t, tc.gate, &lobby{last: 1, kept: 1})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/poll?"+tc.query, http.NoBody))
		check(t, w.Result(), tc.want, nil)
		if polls, _ := counted(t, registry, "demo_poll_handling_seconds"); polls["refused"] != 1 || len(polls) != 1 {
			t.Errorf("%s: counted as %v", name, polls)
		}
		if n := tc.gate.count(0); n != 0 {
			t.Errorf("%s: %d are still inside", name, n)
		}
	}
}

// TestTooOften asks more often than a user may: that is refused before the store is asked, and another user is not.
func TestTooOften(t *testing.T) {
	t.Parallel()
	gate := &door{who: auth.Identity{User: "Ada", Expires: time.Now().Add(time.Hour)}}
	room := &lobby{last: 1, kept: 1}
	h, err := New(Config{Gate: gate, Rooms: room, Logger: slog.New(slog.DiscardHandler), PerSecond: 0.001})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(want int) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/poll?room=lobby", http.NoBody))
		got := w.Result()
		if got.StatusCode != want || (got.Header.Get("Retry-After") != "") != (want == 429) {
			t.Errorf("%s, again after %q, want %d", got.Status, got.Header.Get("Retry-After"), want)
		}
	}
	ask(200)
	ask(429)
	gate.who.User = "Ben"
	ask(200)
	if n := gate.count(0); n != 0 {
		t.Errorf("%d are still inside", n)
	}
}
