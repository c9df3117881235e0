package demo

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/transport/sse"
	"github.com/sockscope/sockscope/demo/use/market"
	"github.com/sockscope/sockscope/demo/wire"
)

// TestEventsAndSockets lets somebody on an event stream talk with somebody on a WebSocket.
func TestEventsAndSockets(t *testing.T) {
	t.Parallel()
	f := start(t, Config{BatchWindow: 100 * time.Millisecond})
	ben := f.dial("Ben")
	ben.join("lobby")
	ada := f.listen("Ada", "", url.Values{"room": {"lobby"}, "stream": {wire.StreamMarket}})
	users := ada.await(wire.TypeRoomUsers)
	if p := payloadOf[wire.RoomUsersPayload](t, users.env); !slices.Equal(p.Users, []string{"Ada", "Ben"}) {
		t.Errorf("Ada finds %+v", p)
	}
	if _, p := expect[wire.PresencePayload](ben, wire.TypeJoined); p != (wire.PresencePayload{Room: "lobby", User: "Ada"}) {
		t.Errorf("Ben is told %+v", p)
	}
	if batch := payloadOf[market.Batch](t, ada.await(wire.TypeTicks).env); len(batch.Ticks) == 0 {
		t.Error("a batch without ticks")
	}
	ada.post(wire.TypeUnsubscribe, wire.StreamPayload{Stream: wire.StreamMarket})
	ada.await(wire.TypeAck)

	status, id := ada.post(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "by post\nin two lines"})
	if status != http.StatusAccepted {
		t.Fatalf("POST /events: %d, want 202", status)
	}
	ack := ada.await(wire.TypeAck)
	for ack.env.MessageID != id { // of the joining, the subscribing
		ack = ada.await(wire.TypeAck)
	}
	if p := payloadOf[wire.AckPayload](t, ack.env); !p.Success || p.Seq != 1 {
		t.Errorf("ack %+v", p)
	}
	if ev := ada.await(wire.TypeMessage); ev.env.MessageID != id || ev.id == "" {
		t.Errorf("Ada got %s with the id %q", ev.env.MessageID, ev.id)
	}
	if env, p := expect[wire.MessagePayload](ben, wire.TypeMessage); env.MessageID != id || p.From != "Ada" || p.Text != "by post\nin two lines" {
		t.Errorf("Ben got %+v", p)
	}
	id = ben.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "by socket"})
	if ev := ada.await(wire.TypeMessage); ev.env.MessageID != id || ev.env.Seq != 2 {
		t.Errorf("Ada got %d %s", ev.env.Seq, ev.env.MessageID)
	}
	ben.send(wire.TypeNotify, wire.NotifyPayload{User: "Ada", Text: "wake up"})
	ada.await(wire.TypeNotification)
	if status := f.postEvent("Ada", ada.session, "{", nil); status != http.StatusAccepted {
		t.Errorf("what can't be read: %d, want 202 and an event", status)
	}
	if p := payloadOf[wire.ErrorPayload](t, ada.await(wire.TypeError).env); p.Code != wire.CodeBadJSON {
		t.Errorf("what can't be read: %+v", p)
	}
	ada.close()
	await[wire.PresencePayload](ben, wire.TypeLeft)
	f.awaitMetrics(map[string]float64{
		"sse_connections_total connected":            1,
		"sse_disconnections_total remote going_away": 1,
		"sse_errors_total decode":                    1,
		"sse_message_duration_seconds join":          1,
		"sse_message_duration_seconds subscribe":     1,
		"sse_message_duration_seconds unsubscribe":   1,
		"sse_message_duration_seconds message":       1,
	}, "sse_connections_total", "sse_active_connections", "sse_disconnections_total", "sse_errors_total", "sse_message_duration_seconds")
}

// TestEventsResume listens while others talk at full speed, and is cut off again and again: with the id of the last
// event it gets all, once and in order.
func TestEventsResume(t *testing.T) {
	t.Parallel()
	const talkers, each = 3, 60
	f := start(t, Config{Limits: Limits{MessagesPerSecond: 1e6, SendQueue: 10_000}})
	var talking sync.WaitGroup
	defer talking.Wait()
	for i := range talkers {
		m := f.enter(fmt.Sprint("Ben-", i))
		talking.Go(func() {
			for range each {
				if _, err := m.say("hello"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	query := url.Values{"room": {"lobby", "cellar"}}
	var got []uint64
	id := ""
	for visits := 0; len(got) < talkers*each; visits++ {
		ada := f.listen("Ada", id, query)
		for n := 0; n < 20 && len(got) < talkers*each; {
			ev, err := ada.next()
			if err != nil {
				t.Fatalf("after %d messages: %v", len(got), err)
			}
			switch ev.env.Type {
			case wire.TypeRoomUsers: // the first time it begins where the room was; it may have heard more by now
				p := payloadOf[wire.RoomUsersPayload](t, ev.env)
				for before := p.Seq; visits == 0 && p.Room == "lobby" && before > 0; before-- {
					got = slices.Insert(got, 0, before)
				}
			case wire.TypeMessage:
				got = append(got, ev.env.Seq)
				n++
			case wire.TypeHistory:
				for _, m := range payloadOf[wire.HistoryPayload](t, ev.env).Messages {
					got = append(got, m.Seq)
					n++
				}
			}
		}
		id = ada.lastID
		ada.close()
	}
	var want []uint64
	for seq := uint64(1); seq <= talkers*each; seq++ {
		want = append(want, seq)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what Ada got (-want +got):\n%s", diff)
	}
}

// interrupted is a store where something happens each time that somebody asks how far users have read.
type interrupted struct {
	history.Store
	reads func()
}

func (s *interrupted) Reads(ctx context.Context, room string) (map[string]uint64, error) {
	s.reads()
	return s.Store.Reads(ctx, room)
}

// TestEventsBreakWhileTheyJoin has something be said while a stream joins, which breaks as soon as it has: what it has
// got it does not get again. The room is joined for the first time, and once more.
func TestEventsBreakWhileTheyJoin(t *testing.T) {
	t.Parallel()
	store := &interrupted{Store: complete(t, Config{}).History, reads: func() {}}
	f := start(t, Config{History: store})
	say(t, store, 3)
	lobby := url.Values{"room": {"lobby"}}
	said := 0
	store.reads = func() {
		said++
		if err := f.chat.chat.Say(context.Background(), history.Message{
			Room: "lobby", ID: fmt.Sprint("between-", said), From: "Eve", Text: "hello", Time: time.Now().UTC(),
		}); err != nil {
			t.Error(err)
		}
	}
	var got []uint64
	id := ""
	for range 3 {
		ada := f.listen("Ada", id, lobby)
		for joined := false; !joined; {
			ev, err := ada.next()
			if err != nil {
				t.Fatal(err)
			}
			switch ev.env.Type {
			case wire.TypeMessage:
				got = append(got, ev.env.Seq)
			case wire.TypeHistory:
				for _, m := range payloadOf[wire.HistoryPayload](t, ev.env).Messages {
					got = append(got, m.Seq)
				}
			case wire.TypeRoomUsers:
				joined = true
			}
		}
		id = ada.lastID
		ada.close()
	}
	if diff := cmp.Diff([]uint64{4, 5, 6}, got); diff != "" {
		t.Errorf("what Ada got (-want +got):\n%s", diff)
	}
}

// TestEventsIDsMadeUp comes back with ids that no stream has sent: it is as if it came for the first time.
func TestEventsIDsMadeUp(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	say(t, f.chat.history, 5)
	check := func(room string) string { return strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(room))), 36) }
	lobby, other := check("lobby"), check("cellar")
	for name, id := range map[string]string{
		"nonsense":     "nonsense",
		"other rooms":  other + "-2",
		"no number":    lobby + "-?",
		"too large":    lobby + "-zzzzzzzzzzzzzzzzzzzz",
		"more numbers": lobby + "-1.2",
		"negative":     lobby + "--1",
		"in future":    lobby + "-zzzz",
	} {
		ada := f.listen("Ada", id, url.Values{"room": {"lobby"}})
		for users := false; !users; {
			ev, err := ada.next()
			if err != nil {
				t.Fatal(err)
			}
			if ev.env.Type == wire.TypeHistory {
				t.Errorf("%s: history is sent", name)
			}
			users = ev.env.Type == wire.TypeRoomUsers
		}
		ada.close()
	}
	ada := f.listen("Ada", lobby+"-3", url.Values{"room": {"lobby"}})
	if p := payloadOf[wire.HistoryPayload](t, ada.await(wire.TypeHistory).env); pieceOf(p) != (piece{4, 5, false}) {
		t.Errorf("a good id: %+v", pieceOf(p))
	}
}

// TestEventsRefused is what is wrong with requests, each with its status.
func TestEventsRefused(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{Connections: 1, RoomsPerConnection: 2}})
	rooms := url.Values{"room": {"one", "two", "three", "four", "five"}}
	ada := f.listen("Ada", "", rooms)
	var codes []wire.Code
	for len(codes) < 3 {
		codes = append(codes, payloadOf[wire.AckPayload](t, ada.await(wire.TypeAck).env).Error)
	}
	if diff := cmp.Diff([]wire.Code{"", "", wire.CodeTooManyRooms}, codes); diff != "" {
		t.Errorf("acks of rooms (-want +got):\n%s", diff)
	}
	ping, err := wire.NewFrame(wire.TypePing, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		user, session, body string
		header              http.Header
		want                int
	}{
		"right":           {"Ada", ada.session, string(ping.Data), nil, http.StatusAccepted},
		"no token":        {"", ada.session, string(ping.Data), nil, http.StatusUnauthorized},
		"bad token":       {"", ada.session, string(ping.Data), bearer("x"), http.StatusUnauthorized},
		"no session":      {"Ada", "", string(ping.Data), nil, http.StatusNotFound},
		"unknown session": {"Ada", "made up", string(ping.Data), nil, http.StatusNotFound},
		"another's":       {"Ben", ada.session, string(ping.Data), nil, http.StatusNotFound},
		"too large":       {"Ada", ada.session, strings.Repeat(" ", wire.MaxFrameBytes+1), nil, http.StatusRequestEntityTooLarge},
		"bad origin":      {"Ada", ada.session, string(ping.Data), http.Header{"Origin": {"https://elsewhere.example"}}, http.StatusForbidden},
	} {
		if got := f.postEvent(tc.user, tc.session, tc.body, tc.header); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
	ada.await(wire.TypePong)
	full := f.getEvents("Ben", nil, nil)
	if full.StatusCode != http.StatusServiceUnavailable || full.Header.Get("Retry-After") == "" {
		t.Errorf("a stream too many: %s, want 503 and when to try again", full.Status)
	}
	if resp := f.getEvents("Ben", nil, http.Header{"Accept": {"text/html"}}); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a stream too many: %s", resp.Status)
	}
	ada.close()
	f.eventually(func() bool { return f.chat.sessions.Len() == 0 }, func() string { return "the stream stays" })
	if got := f.postEvent("Ada", ada.session, string(ping.Data), nil); got != http.StatusNotFound {
		t.Errorf("for a stream that has ended: %d, want 404", got)
	}
	f.awaitMetrics(map[string]float64{
		"sse_connections_total connected":            1,
		"sse_connections_total over_capacity":        2,
		"sse_disconnections_total remote going_away": 1,
		"sse_errors_total read":                      1,
		"sse_errors_total auth":                      4,
	}, "sse_connections_total", "sse_disconnections_total", "sse_active_connections", "sse_errors_total", "websocket_connections_total")
}

// TestPostsByFewerRooms posts by a token that opens fewer rooms than the one that the stream was opened with: it is
// good for those, and for a renewal.
func TestPostsByFewerRooms(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada := f.listen("Ada", "", url.Values{"room": {"lobby", "cellar"}})
	for range 2 {
		ada.await(wire.TypeAck)
	}
	fewer, err := f.tokens.Issue("Ada", []string{"lobby"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		typ     wire.Type
		payload any
		want    int
	}{
		"message to its room": {wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "hello"}, http.StatusAccepted},
		"message":             {wire.TypeMessage, wire.MessagePayload{Room: "cellar", Text: "hello"}, http.StatusForbidden},
		"history":             {wire.TypeHistory, wire.HistoryRequest{Room: "cellar"}, http.StatusForbidden},
		"join":                {wire.TypeJoin, wire.JoinPayload{Room: "attic"}, http.StatusForbidden},
		"leave":               {wire.TypeLeave, wire.RoomPayload{Room: "cellar"}, http.StatusForbidden},
		"read":                {wire.TypeRead, wire.ReadPayload{Room: "cellar", Seq: 1}, http.StatusForbidden},
		"typing":              {wire.TypeTyping, wire.TypingPayload{Room: "cellar"}, http.StatusForbidden},
		"no room":             {wire.TypePing, nil, http.StatusAccepted},
		"no name of one":      {wire.TypeJoin, wire.JoinPayload{Room: "?"}, http.StatusForbidden},
		"nothing of a kind":   {wire.TypeJoin, []string{"cellar"}, http.StatusAccepted}, // and refused by an event
	} {
		frame, err := wire.NewFrame(tc.typ, "", tc.payload)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.postEvent("", ada.session, string(frame.Data), bearer(fewer)); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
	f.awaitMetrics(map[string]float64{"sse_errors_total auth": 7}, "sse_errors_total")
	renewal, err := wire.NewFrame(wire.TypeAuth, "", wire.AuthPayload{Token: fewer})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.postEvent("", ada.session, string(renewal.Data), bearer(fewer)); got != http.StatusAccepted {
		t.Errorf("renewal: %d, want 202", got)
	}
	if left := payloadOf[wire.PresencePayload](t, ada.await(wire.TypeLeft).env); left.Room != "cellar" {
		t.Errorf("after the renewal: left %+v", left)
	}
}

// TestEventsExpire ends a stream with its token, unless a newer one is posted.
func TestEventsExpire(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	open := func() *eventStream {
		token, err := f.tokens.Issue("Ada", nil, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		resp := f.getEvents("", nil, bearer(token))
		e := f.events("Ada", resp)
		e.await(wire.TypeTokenExpiring)
		return e
	}
	lets, renews := open(), open()
	if status, _ := renews.post(wire.TypeAuth, wire.AuthPayload{Token: f.token("Ada")}); status != http.StatusAccepted {
		t.Errorf("renewal: %d", status)
	}
	renews.await(wire.TypeAck)
	for err := error(nil); err == nil; {
		_, err = lets.next()
	}
	f.awaitMetrics(map[string]float64{"sse_disconnections_total local token_expired": 1, "sse_active_connections": 1},
		"sse_disconnections_total", "sse_active_connections")
	renews.post(wire.TypePing, nil)
	renews.await(wire.TypePong)
}

// TestPostOutlivesItsClient posts and hangs up while the store still thinks: what was saved is delivered.
func TestPostOutlivesItsClient(t *testing.T) {
	t.Parallel()
	store := newFragile(t)
	saved, goOn := make(chan struct{}), make(chan struct{})
	store.saved = func() {
		close(saved)
		<-goOn
	}
	f := start(t, Config{History: store})
	ben := f.dial("Ben")
	ben.join("lobby")
	ada := f.listen("Ada", "", url.Values{"room": {"lobby"}})
	ada.await(wire.TypeAck)
	ben.heard()
	say(t, store.Store, 1) // which has yet to be read from the store before the next is delivered
	message, err := wire.NewFrame(wire.TypeMessage, "", wire.MessagePayload{Room: "lobby", Text: "and away"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.http.URL+"/events", strings.NewReader(string(message.Data)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.token("Ada"))
	req.Header.Set(sse.SessionHeader, ada.session)
	posted := make(chan error, 1)
	go func() {
		resp, err := f.http.Client().Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		posted <- err
	}()
	<-saved
	hangUp()
	if err := <-posted; !errors.Is(err, context.Canceled) {
		t.Errorf("the client does not hang up: %v", err)
	}
	close(goOn)
	for _, want := range []string{"message 1", "and away"} {
		if _, p := expect[wire.MessagePayload](ben, wire.TypeMessage); p.Text != want {
			t.Errorf("Ben got %q, want %q", p.Text, want)
		}
	}
}

// TestEventsDrain ends streams in order.
func TestEventsDrain(t *testing.T) {
	t.Parallel()
	f := start(t, Config{DrainSpread: 200 * time.Millisecond})
	ada := f.listen("Ada", "", url.Values{"room": {"lobby"}})
	ada.await(wire.TypeAck)
	f.shutdown()
	p := payloadOf[wire.GoingAwayPayload](t, ada.await(wire.TypeGoingAway).env)
	if p.ReconnectAfterMS < 0 || p.ReconnectAfterMS > 200 || p.Reason == "" {
		t.Errorf("told %+v", p)
	}
	if ev, err := ada.next(); err == nil {
		t.Errorf("%s after the end", ev.name)
	}
	if resp := f.getEvents("Ada", nil, nil); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a stream while draining: %s, want 503", resp.Status)
	}
	f.awaitMetrics(map[string]float64{
		"sse_connections_total connected": 1, "sse_connections_total draining": 1, "sse_disconnections_total local shutdown": 1, "sse_draining": 1,
	}, "sse_connections_total", "sse_disconnections_total", "sse_active_connections", "sse_draining")
}

// TestEventsDrainDeadline has a client that reads nothing: the drain waits no longer for it than it may.
func TestEventsDrainDeadline(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{SendQueue: 10_000, MessagesPerSecond: 1e6, Write: time.Minute}})
	ada := f.listen("Ada", "", url.Values{"room": {"lobby"}})
	ada.await(wire.TypeAck)
	ben := f.enter("Ben")
	text := strings.Repeat("x", wire.MaxTextBytes)
	f.clog("sse_send_queue_messages", func() {
		if _, err := ben.say(text); err != nil {
			t.Fatal(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := f.chat.Shutdown(ctx)
	if took := time.Since(begin); took > patience {
		t.Errorf("the drain took %v, its deadline was 300ms", took)
	}
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "cut off 1 connection") {
		t.Errorf("shutdown: %v, want one connection cut off", err)
	}
	f.awaitMetrics(map[string]float64{"sse_disconnections_total local shutdown": 1, "disconnections_total local shutdown": 1},
		"sse_disconnections_total", "sse_active_connections", "websocket_disconnections_total", "websocket_active_connections")
}

// TestPostsAtOnce posts as soon as the welcome has named the session, while the server is still at its opening, which
// waits for the user's topic: the message waits as well, and is handled.
func TestPostsAtOnce(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	topic, b := room.UserTopic("Ada"), blocking{in: make(chan struct{}), goOn: make(chan struct{})}
	f.chat.topics.Subscribe(topic, b)
	published := make(chan struct{})
	go func() {
		defer close(published)
		f.chat.topics.Publish(topic, nil, nil)
	}()
	<-b.in
	ada := f.listen("Ada", "", nil)
	answered := make(chan int)
	go func() {
		status, _ := ada.post(wire.TypePing, nil)
		answered <- status
	}()
	close(b.goOn)
	<-published
	f.chat.topics.Unsubscribe(topic, b)
	if status := <-answered; status != http.StatusAccepted {
		t.Fatalf("POST /events: %d, want 202", status)
	}
	ada.await(wire.TypePong)
}

// TestSlowListener closes a stream whose client does not read while others talk.
func TestSlowListener(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{SendQueue: 4, MessagesPerSecond: 1e6}})
	ada := f.listen("Ada", "", url.Values{"room": {"lobby"}})
	ada.await(wire.TypeAck)
	ben := f.dial("Ben")
	ben.join("lobby")
	text := strings.Repeat("x", wire.MaxTextBytes)
	f.eventually(func() bool {
		for range 50 {
			ben.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: text})
			await[wire.MessagePayload](ben, wire.TypeMessage)
		}
		return f.metrics("sse_disconnections_total")["sse_disconnections_total local slow_consumer"] == 1
	}, func() string { return "the slow listener stays" })
	f.eventually(func() bool { return f.chat.sessions.Len() == 1 }, func() string { return "the slow listener stays" })
	if err := ben.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}
