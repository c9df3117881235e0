package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// TestRetries sends messages again with the same id: each is saved and delivered once.
func TestRetries(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{MessagesPerSecond: 1e6}})
	const n = 8
	ada := make([]*client, n)
	for i := range ada {
		ada[i] = f.dial("Ada")
		ada[i].join("lobby")
	}
	ben := f.dial("Ben")
	ben.join("lobby")
	for _, c := range ada {
		c.heard() // that Ben has come
	}
	hello := wire.MessagePayload{Room: "lobby", Text: "hello"}

	id := uuid.NewString()
	ada[0].sendMessage(id, hello)
	_, first := expect[wire.AckPayload](ada[0], wire.TypeAck)
	for _, c := range []*client{ada[0], ada[1]} { // after the ack, and on another connection
		c.sendMessage(id, hello)
		env, again := await[wire.AckPayload](c, wire.TypeAck)
		if diff := cmp.Diff(first, again); diff != "" || env.MessageID != id {
			t.Errorf("the ack of a retry for %s (-first +retry):\n%s", env.MessageID, diff)
		}
	}
	ben.sendMessage(id, hello) // whose message it is not
	if _, other := await[wire.AckPayload](ben, wire.TypeAck); !other.Success || other.SavedID == first.SavedID || other.Seq != 2 {
		t.Errorf("another user's message with the same id: %+v", other)
	}

	id = uuid.NewString()
	acks := make([]wire.AckPayload, n)
	var sending sync.WaitGroup
	for i, c := range ada {
		sending.Go(func() {
			c.sendMessage(id, hello)
			for _, env := range c.heard() {
				if env.Type == wire.TypeAck && env.MessageID == id {
					acks[i] = payloadOf[wire.AckPayload](t, env)
				}
			}
		})
	}
	sending.Wait()
	for _, ack := range acks {
		if !ack.Success || ack != acks[0] || ack.Seq != 3 {
			t.Fatalf("acks of one message sent at once: %+v", acks)
		}
	}
	ada[2].send(wire.TypeMessage, hello)
	ada[2].heard() // all publishing is over when this is
	latest, err := f.chat.history.Latest(t.Context(), "lobby", 100)
	if err != nil || len(latest) != 4 {
		t.Errorf("%d messages saved (%v), want 4", len(latest), err)
	}
	var seqs []uint64
	for _, env := range ben.heard() {
		seqs = append(seqs, env.Seq)
	}
	if diff := cmp.Diff([]uint64{2, 3, 4}, seqs); diff != "" { // the first came before the ack
		t.Errorf("what Ben got (-want +got):\n%s", diff)
	}
}

// TestAckAfterSaving looks between the moment at which a message is saved and that at which the store says so: neither
// its sender nor anybody else may know of it.
func TestAckAfterSaving(t *testing.T) {
	t.Parallel()
	store := newFragile(t)
	saved, goOn := make(chan struct{}), make(chan struct{})
	store.saved = func() {
		saved <- struct{}{}
		<-goOn
	}
	f := start(t, Config{History: store})
	ada, ben := f.dial("Ada"), f.dial("Ben")
	ada.join("lobby")
	ben.join("lobby")
	ada.heard()
	acks := func() float64 { return f.metrics("websocket_messages_total")["messages_total transmit ack"] }
	f.eventually(func() bool { return acks() == 2 }, func() string { return "the acks of the joins are not counted" })
	id := ada.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "hello"})
	<-saved
	if got := ben.heard(); len(got) != 0 {
		t.Errorf("Ben got %v before it is known that it is saved", typesOf(got))
	}
	if n := acks(); n != 2 {
		t.Errorf("%v acks before it is known that it is saved", n-2)
	}
	close(goOn)
	if env, ack := expect[wire.AckPayload](ada, wire.TypeAck); !ack.Success || env.MessageID != id {
		t.Errorf("ack %+v of %s, want success for %s", ack, env.MessageID, id)
	}
	expect[wire.MessagePayload](ben, wire.TypeMessage)
}

// TestStoreInTrouble answers every request that needs the store, and in time.
func TestStoreInTrouble(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(context.Context) error{
		"fails": func(context.Context) error { return errors.New("the disk is gone") },
		"hangs": hang,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newFragile(t)
			f := start(t, Config{History: store, Limits: Limits{Store: 100 * time.Millisecond}})
			ada, ben := f.dial("Ada"), f.dial("Ben")
			ada.join("lobby")
			ben.join("lobby")
			ada.heard()
			id := uuid.NewString()
			hello := wire.MessagePayload{Room: "lobby", Text: "hello"}

			store.suffer(trouble)
			ada.sendMessage(id, hello)
			want := wire.AckPayload{Error: wire.CodeUnavailable, Reason: "the message store does not answer: send again with the same messageId"}
			env, ack := expect[wire.AckPayload](ada, wire.TypeAck)
			if diff := cmp.Diff(want, ack); diff != "" || env.MessageID != id {
				t.Errorf("ack of %s (-want +got):\n%s", env.MessageID, diff)
			}
			for _, req := range []struct {
				typ     wire.Type
				payload any
			}{
				{wire.TypeJoin, wire.JoinPayload{Room: "cellar"}},
				{wire.TypeHistory, wire.HistoryRequest{Room: "lobby"}},
				{wire.TypeRead, wire.ReadPayload{Room: "lobby", Seq: 1}},
			} {
				if ack := ada.request(req.typ, req.payload); ack.Success || ack.Error != wire.CodeUnavailable {
					t.Errorf("%s: %+v, want %s", req.typ, ack, wire.CodeUnavailable)
				}
			}
			if got := ben.heard(); len(got) != 0 {
				t.Errorf("Ben got %v", typesOf(got))
			}
			f.awaitMetrics(map[string]float64{"errors_total handler": 4}, "websocket_errors_total")

			store.suffer(nil)
			for ack.Error == wire.CodeUnavailable { // the time that the store gets may be too short even now
				ada.sendMessage(id, hello)
				_, ack = expect[wire.AckPayload](ada, wire.TypeAck)
			}
			if !ack.Success || ack.Seq != 1 {
				t.Errorf("the retry when all is well: %+v", ack)
			}
			if env, _ := expect[wire.MessagePayload](ben, wire.TypeMessage); env.MessageID != id {
				t.Errorf("Ben got %s, want %s", env.MessageID, id)
			}
			if n := f.chat.rooms.Len(); n != 1 {
				t.Errorf("%d rooms, want 1: the one that was not opened is gone", n)
			}
		})
	}
}

// TestStoreRecovers fails for a moment only: the sender notices nothing.
func TestStoreRecovers(t *testing.T) {
	t.Parallel()
	store := newFragile(t)
	f := start(t, Config{History: store})
	ada := f.dial("Ada")
	ada.join("lobby")
	failures := 0
	store.suffer(func(context.Context) error { // asked by one at a time here
		if failures++; failures <= 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if ack := ada.request(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "hello"}); !ack.Success {
		t.Errorf("ack %+v", ack)
	}
}

// say saves n messages of the lobby without delivering them.
func say(t *testing.T, store history.Store, n int) {
	t.Helper()
	for i := 1; i <= n; i++ {
		_, _, err := store.Append(t.Context(), history.Message{Room: "lobby", ID: fmt.Sprint(i), From: "Eve", Text: fmt.Sprint("message ", i)})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// piece is what matters of an answer to a request for history.
type piece struct {
	First, Last uint64
	More        bool
}

func pieceOf(p wire.HistoryPayload) piece {
	if len(p.Messages) == 0 {
		return piece{More: p.More}
	}
	return piece{p.Messages[0].Seq, p.Messages[len(p.Messages)-1].Seq, p.More}
}

func TestHistoryPages(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	say(t, f.chat.history, 230)
	ada := f.dial("Ada")
	ada.join("lobby")
	after := func(seq uint64) *uint64 { return &seq }
	for name, tc := range map[string]struct {
		req  wire.HistoryRequest
		want piece
	}{
		"newest":          {wire.HistoryRequest{}, piece{131, 230, false}},
		"newest ten":      {wire.HistoryRequest{Limit: 10}, piece{221, 230, false}},
		"first page":      {wire.HistoryRequest{After: after(0)}, piece{1, 100, true}},
		"second page":     {wire.HistoryRequest{After: after(100)}, piece{101, 200, true}},
		"last page":       {wire.HistoryRequest{After: after(200)}, piece{201, 230, false}},
		"exactly the end": {wire.HistoryRequest{After: after(220), Limit: 10}, piece{221, 230, false}},
		"one before":      {wire.HistoryRequest{After: after(219), Limit: 10}, piece{220, 229, true}},
		"nothing more":    {wire.HistoryRequest{After: after(230)}, piece{}},
		"beyond":          {wire.HistoryRequest{After: after(1 << 63)}, piece{}},
	} {
		tc.req.Room = "lobby"
		id := ada.send(wire.TypeHistory, tc.req)
		env, p := expect[wire.HistoryPayload](ada, wire.TypeHistory)
		if diff := cmp.Diff(tc.want, pieceOf(p)); diff != "" || env.MessageID != id {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if _, ack := expect[wire.AckPayload](ada, wire.TypeAck); !ack.Success {
			t.Errorf("%s: %+v", name, ack)
		}
	}
	for name, tc := range map[string]struct {
		req  wire.HistoryRequest
		want wire.Code
	}{
		"too many": {wire.HistoryRequest{Room: "lobby", Limit: wire.MaxHistory + 1}, wire.CodeBadPayload},
		"outside":  {wire.HistoryRequest{Room: "cellar"}, wire.CodeNotInRoom},
	} {
		if ack := ada.request(wire.TypeHistory, tc.req); ack.Error != tc.want {
			t.Errorf("%s: %+v, want %s", name, ack, tc.want)
		}
	}
}

// TestComingBack joins with what the client knows: it gets the rest before anything else.
func TestComingBack(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	say(t, f.chat.history, 230)
	after := uint64(5)
	ada := f.dial("Ada")
	id := ada.send(wire.TypeJoin, wire.JoinPayload{Room: "lobby", After: &after})
	for _, want := range []piece{{6, 105, true}, {106, 205, true}, {206, 230, false}} {
		if _, p := expect[wire.HistoryPayload](ada, wire.TypeHistory); pieceOf(p) != want {
			t.Errorf("got %+v, want %+v", pieceOf(p), want)
		}
	}
	if _, users := expect[wire.RoomUsersPayload](ada, wire.TypeRoomUsers); users.Seq != 230 {
		t.Errorf("the room is at %d, want 230", users.Seq)
	}
	if env, ack := expect[wire.AckPayload](ada, wire.TypeAck); !ack.Success || ack.Seq != 230 || env.MessageID != id {
		t.Errorf("ack %+v for %s", ack, env.MessageID)
	}
	ben := f.dial("Ben")
	after = 230
	ben.send(wire.TypeJoin, wire.JoinPayload{Room: "lobby", After: &after})
	expect[wire.RoomUsersPayload](ben, wire.TypeRoomUsers) // and no history before
}

// TestComingBackTwice joins again with what the client knows, in the room already because it has not got the first
// answer: it gets the rest all the same.
func TestComingBackTwice(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	say(t, f.chat.history, 130)
	ada := f.dial("Ada")
	ada.join("lobby")
	for after, want := range map[uint64][]piece{
		5:   {{6, 105, true}, {106, 130, false}},
		129: {{130, 130, false}},
		130: nil,
		131: nil,
	} {
		ada.send(wire.TypeJoin, wire.JoinPayload{Room: "lobby", After: &after})
		for _, want := range want {
			if _, p := expect[wire.HistoryPayload](ada, wire.TypeHistory); pieceOf(p) != want {
				t.Errorf("after %d: got %+v, want %+v", after, pieceOf(p), want)
			}
		}
		if _, users := expect[wire.RoomUsersPayload](ada, wire.TypeRoomUsers); users.Seq != 130 {
			t.Errorf("after %d: the room is at %d, want 130", after, users.Seq)
		}
		if _, ack := expect[wire.AckPayload](ada, wire.TypeAck); !ack.Success || ack.Seq != 130 {
			t.Errorf("after %d: ack %+v", after, ack)
		}
	}
	ada.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "hello"})
	await[wire.MessagePayload](ada, wire.TypeMessage)
	if got := ada.heard(); len(got) != 0 {
		t.Errorf("a message comes with %v", typesOf(got))
	}
	ada.send(wire.TypeLeave, wire.RoomPayload{Room: "lobby"})
	expect[wire.AckPayload](ada, wire.TypeAck)
	if n := f.chat.rooms.Len(); n != 0 {
		t.Errorf("%d rooms stay", n)
	}
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	say(t, f.chat.history, 3)
	ada, ben := f.dial("Ada"), f.dial("Ben")
	ada.join("lobby")
	ben.join("lobby")
	ada.heard()
	for _, seq := range []uint64{2, 1} { // the second does not put it back
		if ack := ada.request(wire.TypeRead, wire.ReadPayload{Room: "lobby", Seq: seq}); !ack.Success {
			t.Errorf("ack %+v", ack)
		}
		for _, c := range []*client{ada, ben} {
			want := wire.ReadPayload{Room: "lobby", Seq: seq, User: "Ada"}
			if _, p := expect[wire.ReadPayload](c, wire.TypeRead); p != want {
				t.Errorf("told %+v, want %+v", p, want)
			}
		}
	}
	for name, tc := range map[string]struct {
		p    wire.ReadPayload
		want wire.Code
	}{
		"not said yet":    {wire.ReadPayload{Room: "lobby", Seq: 4}, wire.CodeBadPayload},
		"in another name": {wire.ReadPayload{Room: "lobby", Seq: 3, User: "Ben"}, wire.CodeBadPayload},
		"outside":         {wire.ReadPayload{Room: "cellar", Seq: 1}, wire.CodeNotInRoom},
	} {
		if ack := ada.request(wire.TypeRead, tc.p); ack.Error != tc.want {
			t.Errorf("%s: %+v, want %s", name, ack, tc.want)
		}
	}
	eve := f.dial("Eve")
	eve.send(wire.TypeJoin, wire.JoinPayload{Room: "lobby"})
	_, users := expect[wire.RoomUsersPayload](eve, wire.TypeRoomUsers)
	want := wire.RoomUsersPayload{
		Room: "lobby", Users: []string{"Ada", "Ben", "Eve"}, Count: 3, Seq: 3, Read: map[string]uint64{"Ada": 2},
	}
	if diff := cmp.Diff(want, users); diff != "" {
		t.Errorf("what Eve is told (-want +got):\n%s", diff)
	}
}

// TestReceiptsOfMany joins a room that more have read than are told of: those who are furthest are.
func TestReceiptsOfMany(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	const listed = 100
	const readers = listed + 20
	say(t, f.chat.history, readers)
	want := map[string]uint64{}
	for seq := uint64(1); seq <= readers; seq++ {
		user := fmt.Sprint("user-", seq*37%readers) // whose order is not that of the marks
		if err := f.chat.history.MarkRead(t.Context(), "lobby", user, seq); err != nil {
			t.Fatal(err)
		}
		if seq > readers-listed {
			want[user] = seq
		}
	}
	ada := f.dial("Ada")
	ada.send(wire.TypeJoin, wire.JoinPayload{Room: "lobby"})
	_, users := expect[wire.RoomUsersPayload](ada, wire.TypeRoomUsers)
	if diff := cmp.Diff(want, users.Read); diff != "" {
		t.Errorf("how far users have read (-want +got):\n%s", diff)
	}
}

func TestTyping(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada, ben := f.dial("Ada"), f.dial("Ben")
	ada.join("lobby")
	ben.join("lobby")
	ada.heard()
	ada.send(wire.TypeTyping, wire.TypingPayload{Room: "lobby", Typing: true})
	if got := ada.heard(); len(got) != 0 {
		t.Errorf("who types is told %v", typesOf(got))
	}
	want := wire.TypingPayload{Room: "lobby", Typing: true, User: "Ada"}
	if _, p := expect[wire.TypingPayload](ben, wire.TypeTyping); p != want {
		t.Errorf("told %+v, want %+v", p, want)
	}
	if ack := ada.request(wire.TypeTyping, wire.TypingPayload{Room: "cellar"}); ack.Error != wire.CodeNotInRoom {
		t.Errorf("typing outside: %+v", ack)
	}
}

// TestCrowd fills a room with as many users as are told what each of them does, and with one more: then what is read is
// kept and acknowledged, but nobody is told, and nobody is told who types either.
func TestCrowd(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	say(t, f.chat.history, 2)
	ada, ben := f.dial("Ada"), f.dial("Ben")
	ada.join("lobby")
	ben.join("lobby")
	const crowd = 64
	fill := func(users int) {
		for i := range users - 2 {
			if err := f.chat.cluster.Enter("lobby", fmt.Sprint("silent-", i)); err != nil {
				t.Fatal(err)
			}
		}
		ada.heard()
		ben.heard()
	}
	act := func(seq uint64) {
		ada.send(wire.TypeTyping, wire.TypingPayload{Room: "lobby", Typing: true})
		ada.send(wire.TypeRead, wire.ReadPayload{Room: "lobby", Seq: seq})
		if _, ack := expect[wire.AckPayload](ada, wire.TypeAck); !ack.Success {
			t.Errorf("read: %+v", ack)
		}
		ada.heard()
	}
	fill(crowd)
	act(1)
	if diff := cmp.Diff([]wire.Type{wire.TypeTyping, wire.TypeRead}, typesOf(ben.heard())); diff != "" {
		t.Errorf("what a full room is told (-want +got):\n%s", diff)
	}
	fill(crowd + 1)
	act(2)
	if got := ben.heard(); len(got) != 0 {
		t.Errorf("a crowd is told %v", typesOf(got))
	}
	if reads, err := f.chat.history.Reads(t.Context(), "lobby"); err != nil || reads["Ada"] != 2 {
		t.Errorf("Ada has read %v (%v), want 2", reads, err)
	}
}

// silent is a member that hears nothing.
type silent struct{ _ byte }

func (*silent) Deliver(*wire.Frame, *instrument.Broadcast) {}

// TestCrowdOfConnections fills a room with as many connections as are told what each of them does, and with one more,
// of few users.
func TestCrowdOfConnections(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	say(t, f.chat.history, 2)
	ada, ben := f.dial("Ada"), f.dial("Ben")
	ada.join("lobby")
	ben.join("lobby")
	expect[wire.PresencePayload](ada, wire.TypeJoined)
	const crowd = 64
	fill := func(connections int) {
		for f.chat.rooms.Members("lobby") < connections {
			if _, err := f.chat.rooms.Join(t.Context(), "lobby", new(silent)); err != nil {
				t.Fatal(err)
			}
		}
	}
	act := func(seq uint64) {
		ada.send(wire.TypeTyping, wire.TypingPayload{Room: "lobby", Typing: true})
		if ack := ada.request(wire.TypeRead, wire.ReadPayload{Room: "lobby", Seq: seq}); !ack.Success {
			t.Errorf("read: %+v", ack)
		}
		eve := f.dial("Eve")
		eve.join("lobby")
		if ack := eve.request(wire.TypeLeave, wire.RoomPayload{Room: "lobby"}); !ack.Success {
			t.Errorf("leave: %+v", ack)
		}
		ada.heard()
	}
	fill(crowd - 1) // and Eve
	act(1)
	if diff := cmp.Diff([]wire.Type{wire.TypeTyping, wire.TypeRead, wire.TypeJoined, wire.TypeLeft}, typesOf(ben.heard())); diff != "" {
		t.Errorf("what a full room is told (-want +got):\n%s", diff)
	}
	fill(crowd + 1)
	act(2)
	if got := ben.heard(); len(got) != 0 {
		t.Errorf("a crowd is told %v", typesOf(got))
	}
}

// TestOrderInARoom has many talk at once: each member gets all of it in the same order, without a gap.
func TestOrderInARoom(t *testing.T) {
	t.Parallel()
	const talkers, each = 6, 30
	f := start(t, Config{Limits: Limits{MessagesPerSecond: 1e6, SendQueue: 10_000}})
	clients := make([]*client, talkers)
	for i := range clients {
		clients[i] = f.dial(fmt.Sprint("Ada-", i))
		clients[i].join("lobby")
	}
	orders := make([]string, talkers)
	var talking sync.WaitGroup
	for i, c := range clients {
		talking.Go(func() {
			for range each {
				c.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "hello"})
			}
		})
		talking.Go(func() {
			var order strings.Builder
			for seq := uint64(1); seq <= talkers*each; seq++ {
				env, p := await[wire.MessagePayload](c, wire.TypeMessage)
				if env.Seq != seq {
					t.Errorf("%d comes where %d should", env.Seq, seq)
					return
				}
				order.WriteString(p.SavedID)
			}
			orders[i] = order.String()
		})
	}
	talking.Wait()
	for _, order := range orders[1:] {
		if order != orders[0] {
			t.Error("two members saw different orders")
		}
	}
}

// restless is a history whose room goes on while somebody reads what was said in it.
type restless struct {
	history.Store
	goOn func(context.Context)
}

func (h *restless) After(ctx context.Context, room string, after uint64, limit int) ([]history.Message, error) {
	messages, err := h.Store.After(ctx, room, after, limit)
	if h.goOn != nil {
		h.goOn(ctx)
	}
	return messages, err
}

// TestJoinsWhatNeverRests comes back to a room in which something is said whenever it has got all that it has missed:
// it gets everything, in order.
func TestJoinsWhatNeverRests(t *testing.T) {
	t.Parallel()
	h := &restless{Store: complete(t, Config{}).History}
	f := start(t, Config{History: h})
	say(t, h, 1)
	const most = 30 // more than the server has patience for
	var n atomic.Int64
	var saying sync.WaitGroup
	defer saying.Wait()
	h.goOn = func(ctx context.Context) {
		i := n.Add(1)
		if i > most {
			return
		}
		delivered := make(chan struct{})
		saying.Go(func() {
			defer close(delivered)
			err := f.chat.chat.Say(t.Context(), history.Message{Room: "lobby", ID: fmt.Sprint("more ", i), From: "Eve", Text: "more"})
			if err != nil {
				t.Error(err)
			}
		})
		select {
		case <-delivered:
		case <-time.After(100 * time.Millisecond): // it waits for who reads
		}
	}
	f.enter("Ben")
	ada := f.dial("Ada")
	ada.send(wire.TypeJoin, wire.JoinPayload{Room: "lobby", After: new(uint64)})
	var got []uint64
	for joined := false; !joined || len(got) < int(min(n.Load(), most))+1; {
		env, err := ada.read()
		if err != nil {
			t.Fatalf("after %v: %v", got, err)
		}
		switch env.Type {
		case wire.TypeHistory:
			for _, m := range payloadOf[wire.HistoryPayload](t, env).Messages {
				got = append(got, m.Seq)
			}
		case wire.TypeMessage:
			got = append(got, env.Seq)
		case wire.TypeAck:
			joined = true
		}
	}
	for i, seq := range got {
		if seq != uint64(i+1) {
			t.Fatalf("got %v, want all in order", got)
		}
	}
}
