package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/history"
	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
	"github.com/sockscope/sockscope/demo/wire"
)

// poll asks once for what was said in the lobby, on behalf of a user.
func (f *fixture) poll(ctx context.Context, user string, after uint64, wait time.Duration) (int, http.Header, wire.HistoryPayload, error) {
	var p wire.HistoryPayload
	query := url.Values{"room": {"lobby"}, "after": {strconv.FormatUint(after, 10)}, "wait": {wait.String()}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.http.URL+"/poll?"+query.Encode(), http.NoBody)
	if err != nil {
		return 0, nil, p, err
	}
	req.Header = bearer(f.token(user))
	resp, err := f.http.Client().Do(req)
	if err != nil {
		return 0, nil, p, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, resp.Header, p, nil
	}
	var env wire.Envelope
	err = json.NewDecoder(resp.Body).Decode(&env)
	return resp.StatusCode, resp.Header, p, errors.Join(err, json.Unmarshal(env.Payload, &p))
}

// awaitPolls waits until so many polls wait.
func (f *fixture) awaitPolls(n float64) {
	f.t.Helper()
	f.eventually(func() bool { return f.metrics("demo_polls_waiting")["demo_polls_waiting"] == n },
		func() string { return fmt.Sprintf("%v polls wait, want %v", f.metrics("demo_polls_waiting"), n) })
}

// TestMixedClients has clients of every transport in one room while others talk over WebSockets and server-sent events:
// each sees everything that was acknowledged, once and in order.
func TestMixedClients(t *testing.T) {
	t.Parallel()
	const talkers, each = 2, 60
	const total = talkers*each + 3*each
	f := start(t, Config{GRPC: true, Limits: Limits{
		MessagesPerSecond: 1e6, MessageBurst: 1e6, PollsPerSecond: 1e6, SendQueue: 10_000,
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	socket := f.enter("Ben")
	stream := f.listen("Ada", "", url.Values{"room": {"lobby"}})
	stream.await(wire.TypeRoomUsers)
	chat, calls := f.chatter("Dan"), f.caller("Cat")
	chat.join()
	subscription := calls.subscribe(0)
	subscription.await("ack")

	var running sync.WaitGroup
	byPoll := make([][]string, 3)
	for i, wait := range []time.Duration{0, time.Second, time.Minute} { // polling, and long polling
		running.Go(func() {
			for after := uint64(0); after < total; {
				status, _, p, err := f.poll(ctx, "Eve", after, wait)
				if err != nil || status != http.StatusOK {
					t.Errorf("a poll that waits %v after %d: %d %v", wait, after, status, err)
					return
				}
				for _, m := range p.Messages {
					byPoll[i] = append(byPoll[i], fmt.Sprint(m.Seq, m.SavedID))
					after = m.Seq
				}
			}
		})
	}
	acked := make([]string, total)
	var mu sync.Mutex
	ack := func(p wire.AckPayload) {
		mu.Lock()
		defer mu.Unlock()
		acked[p.Seq-1] = fmt.Sprint(p.Seq, p.SavedID)
	}
	for i := range talkers {
		m := f.enter(fmt.Sprint("talker ", i))
		running.Go(func() {
			for range each {
				p, err := m.say("by socket")
				if err != nil {
					t.Error(err)
					return
				}
				ack(p)
			}
		})
	}
	running.Go(func() {
		for range each {
			if status, _ := stream.post(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "by post"}); status != http.StatusAccepted {
				t.Errorf("POST /events: %d", status)
				return
			}
		}
	})
	running.Go(func() {
		for range each {
			id := uuid.NewString()
			answer, err := calls.SendMessage(ctx, &chatv1.SendMessageRequest{MessageId: id, Room: "lobby", Text: "by call"})
			if err != nil {
				t.Error(err)
				return
			}
			ack(wire.AckPayload{Seq: answer.GetSeq(), SavedID: answer.GetSavedId()})
		}
	})
	running.Go(func() {
		for range each {
			chat.say("by chat")
		}
	})
	byChat, bySubscription := make(chan []string, 1), make(chan []string, 1)
	go func() { byChat <- chat.messages(total, ack) }()
	go func() { bySubscription <- subscription.messages(total, ack) }()
	var byStream []string
	for len(byStream) < total {
		ev, err := stream.next()
		if err != nil {
			t.Fatal(err)
		}
		switch ev.env.Type {
		case wire.TypeAck:
			if p := payloadOf[wire.AckPayload](t, ev.env); p.SavedID != "" {
				ack(p)
			}
		case wire.TypeMessage:
			byStream = append(byStream, fmt.Sprint(ev.env.Seq, payloadOf[wire.MessagePayload](t, ev.env).SavedID))
		}
	}
	running.Wait()
	f.eventually(func() bool { return len(socket.got()) >= total }, func() string { return "the WebSocket gets too few" })
	var bySocket []string
	for _, d := range socket.got() {
		bySocket = append(bySocket, fmt.Sprint(d.Seq, d.SavedID))
	}
	gotByChat, gotBySubscription := <-byChat, <-bySubscription
	mu.Lock()
	defer mu.Unlock()
	for who, got := range map[string][]string{
		"Chat": gotByChat, "SubscribeMessages": gotBySubscription, "WebSocket": bySocket, "server-sent events": byStream,
		"polling": byPoll[0], "long polling, 1s": byPoll[1], "long polling, 1m": byPoll[2],
	} {
		if diff := cmp.Diff(acked, got); diff != "" {
			t.Errorf("%s (-acknowledged +seen):\n%s", who, diff)
		}
	}
	open := map[string]float64{
		"active_connections": 1 + talkers, "sse_active_connections": 1, "grpc_stream_active_connections": 2, "grpc_active_connections": 2,
	}
	if diff := cmp.Diff(open, f.metrics("websocket_active_connections", "sse_active_connections",
		"grpc_stream_active_connections", "grpc_active_connections")); diff != "" {
		t.Errorf("open connections (-want +got):\n%s", diff)
	}
}

// TestPollsEnd has polls wait: their number is bounded, one whose client goes frees its place, and a drain answers the
// others at once.
func TestPollsEnd(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{Polls: 2, PollsPerAddress: 5}})
	type answer struct {
		status int
		header http.Header
		err    error
	}
	begin := func(ctx context.Context) <-chan answer {
		answers := make(chan answer, 1)
		go func() {
			status, header, _, err := f.poll(ctx, "Ada", 0, time.Minute)
			answers <- answer{status, header, err}
		}()
		return answers
	}
	stays := begin(t.Context())
	ctx, leave := context.WithCancel(t.Context())
	goes := begin(ctx)
	f.awaitPolls(2)
	for range 2 {
		status, header, _, err := f.poll(t.Context(), "Ben", 0, 0)
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || err != nil {
			t.Errorf("a poll too many: %d %v, want 503 and when to try again", status, err)
		}
	}
	leave()
	if got := <-goes; !errors.Is(got.err, context.Canceled) {
		t.Errorf("the one that goes: %+v", got)
	}
	f.awaitPolls(1)
	f.eventually(func() bool {
		status, _, _, err := f.poll(t.Context(), "Ben", 0, 0)
		return err == nil && status == http.StatusOK
	}, func() string { return "the place of the one that went stays taken" })
	if n := f.chat.rooms.Len(); n != 1 {
		t.Errorf("%d rooms, want the one that is waited for", n)
	}

	began := time.Now()
	f.shutdown()
	if took := time.Since(began); took > patience/2 {
		t.Errorf("the drain took %v", took)
	}
	if got := <-stays; got.status != http.StatusOK || got.err != nil {
		t.Errorf("the one that stays: %+v, want 200", got)
	}
	if status, _, _, err := f.poll(t.Context(), "Ben", 0, time.Minute); status != http.StatusServiceUnavailable || err != nil {
		t.Errorf("a poll while draining: %d %v, want 503", status, err)
	}
	if n := f.chat.rooms.Len(); n != 0 {
		t.Errorf("%d rooms are left", n)
	}
	waited := f.metrics("demo_poll_wait_seconds")
	if diff := cmp.Diff(map[string]float64{"demo_poll_wait_seconds drained": 1, "demo_poll_wait_seconds gone": 1}, waited); diff != "" {
		t.Errorf("polls that waited (-want +got):\n%s", diff)
	}
}

// TestPollsTooFarBehind asks a room that keeps few messages.
func TestPollsTooFarBehind(t *testing.T) {
	t.Parallel()
	store, err := history.OpenFile(filepath.Join(t.TempDir(), "history.db"), history.Limits{Messages: 5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f := start(t, Config{History: store})
	say(t, store, 40)
	oldest, err := store.After(t.Context(), "lobby", 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	first := oldest[0].Seq
	for after, want := range map[uint64]int{
		0: http.StatusGone, first - 2: http.StatusGone, first - 1: http.StatusOK, 40: http.StatusOK, 41: http.StatusGone,
	} {
		if status, _, p, err := f.poll(t.Context(), "Ada", after, 0); status != want || err != nil || status == http.StatusOK && len(p.Messages) != int(40-after) {
			t.Errorf("after %d: %d, %d messages, %v; want %d", after, status, len(p.Messages), err, want)
		}
	}
}
