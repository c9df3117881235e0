package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// member is a client that reads all the time.
type member struct {
	*client
	acks chan wire.Envelope
	done chan struct{} // closed when the connection has ended

	mu       sync.Mutex
	messages []delivered
	others   []wire.Envelope
}

// delivered is what a member got of a message.
type delivered struct {
	Seq     uint64
	SavedID string
	From    string
}

// enter connects a user who joins the lobby.
func (f *fixture) enter(user string) *member {
	f.t.Helper()
	m := &member{client: f.dial(user), acks: make(chan wire.Envelope, 100), done: make(chan struct{})}
	m.send(wire.TypeJoin, wire.JoinPayload{Room: "lobby"})
	if _, ack := await[wire.AckPayload](m.client, wire.TypeAck); !ack.Success {
		f.t.Fatalf("%s does not get in: %+v", user, ack)
	}
	go m.readAll()
	f.t.Cleanup(func() {
		_ = m.conn.CloseNow()
		<-m.done
	})
	return m
}

func (m *member) readAll() {
	defer close(m.done)
	for {
		_, data, err := m.conn.Read(m.t.Context())
		if err != nil {
			return
		}
		var env wire.Envelope
		if err := json.Unmarshal(data, &env); err != nil {
			m.t.Error(err)
			return
		}
		switch env.Type {
		case wire.TypeAck:
			m.acks <- env
		case wire.TypeMessage:
			var p wire.MessagePayload
			if err := json.Unmarshal(env.Payload, &p); err != nil {
				m.t.Error(err)
			}
			m.mu.Lock()
			m.messages = append(m.messages, delivered{env.Seq, p.SavedID, p.From})
			m.mu.Unlock()
		default:
			m.mu.Lock()
			m.others = append(m.others, env)
			m.mu.Unlock()
		}
	}
}

func (m *member) got() []delivered {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.messages)
}

// told counts what the member was told of somebody.
func (m *member) told(typ wire.Type, user string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, env := range m.others {
		var p struct{ User, From string }
		if env.Type == typ && json.Unmarshal(env.Payload, &p) == nil && (p.User == user || p.From == user) {
			n++
		}
	}
	return n
}

// say sends a message until it is acknowledged, with one id, as a client does to which every message matters.
func (m *member) say(text string) (ack wire.AckPayload, err error) {
	id := uuid.NewString()
	for deadline := time.Now().Add(3 * patience); time.Now().Before(deadline); {
		f, err := wire.NewFrame(wire.TypeMessage, id, wire.MessagePayload{Room: "lobby", Text: text})
		if err != nil {
			return ack, err
		}
		if err := m.conn.Write(m.t.Context(), 1, f.Data); err != nil {
			return ack, err
		}
		select {
		case env := <-m.acks:
			if err := json.Unmarshal(env.Payload, &ack); err != nil || env.MessageID != id {
				return ack, errors.Join(err, fmt.Errorf("ack of %s, want of %s", env.MessageID, id))
			}
		case <-m.done:
			return ack, io.ErrUnexpectedEOF
		case <-time.After(patience):
			return ack, errors.New("no ack")
		}
		switch {
		case ack.Success:
			return ack, nil
		case ack.Error != wire.CodeUnavailable:
			return ack, fmt.Errorf("refused: %s", ack.Error)
		}
	}
	return ack, errors.New("not acknowledged for too long")
}

func (n node) awaitTold(m *member, typ wire.Type, user string, times int) {
	n.t.Helper()
	n.eventually(func() bool { return m.told(typ, user) == times },
		func() string {
			return fmt.Sprintf("told %s of %s %d times, want %d", typ, user, m.told(typ, user), times)
		})
}

// talk has each of the members say so many messages at once.
func talk(t *testing.T, members []*member, each int) {
	t.Helper()
	var saying sync.WaitGroup
	for _, m := range members {
		saying.Go(func() {
			for range each {
				if _, err := m.say("hello"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	saying.Wait()
}

// TestNodes lets people on three nodes meet.
func TestNodes(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, newRedisServer(t), 3, Config{Limits: Limits{MessagesPerSecond: 1e6}})
	names := []string{"Ada", "Ben", "Eve"}
	members := make([]*member, len(nodes))
	for i, n := range nodes {
		n.eventually(func() bool { _, known := n.chat.cluster.Users("lobby", 0); return known == i },
			func() string { return "a node does not learn who is there" })
		members[i] = n.enter(names[i])
		for j, before := range members[:i] {
			nodes[j].awaitTold(before, wire.TypeJoined, names[i], 1)
		}
	}
	const each = 40
	talk(t, members, each)
	for i, n := range nodes {
		n.eventually(func() bool { return len(members[i].got()) >= len(nodes)*each },
			func() string { return fmt.Sprintf("%d messages", len(members[i].got())) })
	}
	for i, m := range members {
		assertHistory(t, nodes[0].chat.history, names[i], m)
	}

	ada, ben, eve := members[0], members[1], members[2]
	ada.send(wire.TypeTyping, wire.TypingPayload{Room: "lobby", Typing: true})
	ada.send(wire.TypeRead, wire.ReadPayload{Room: "lobby", Seq: 3})
	ada.send(wire.TypeNotify, wire.NotifyPayload{User: "Eve", Text: "wake up"})
	for i, m := range []*member{ben, eve} {
		nodes[1+i].awaitTold(m, wire.TypeTyping, "Ada", 1)
		nodes[1+i].awaitTold(m, wire.TypeRead, "Ada", 1)
	}
	nodes[2].awaitTold(eve, wire.TypeNotification, "Ada", 1)
	nodes[0].awaitTold(ada, wire.TypeRead, "Ada", 1)
	if ada.told(wire.TypeTyping, "Ada")+ben.told(wire.TypeNotification, "Ada") != 0 {
		t.Error("somebody was told what is not for them")
	}

	// A retry on another node is one: it is saved and delivered once.
	id := uuid.NewString()
	again := nodes[1].dial("Ada")
	again.join("lobby")
	var acks []wire.AckPayload
	for _, c := range []*client{ada.client, again} {
		c.sendMessage(id, wire.MessagePayload{Room: "lobby", Text: "once"})
		if c == again {
			_, ack := await[wire.AckPayload](again, wire.TypeAck)
			acks = append(acks, ack)
			continue
		}
		for ack := range ada.acks {
			if ack.MessageID == id {
				acks = append(acks, payloadOf[wire.AckPayload](t, ack))
				break
			}
		}
	}
	if acks[0] != acks[1] {
		t.Errorf("acks of one message on two nodes: %+v", acks)
	}
	if _, err := eve.say("the last"); err != nil {
		t.Error(err)
	}
	want := len(nodes)*each + 2
	nodes[1].eventually(func() bool { return len(ben.got()) >= want }, func() string { return "messages are missing" })
	assertHistory(t, nodes[0].chat.history, "Ben", ben)

	// The same user elsewhere is no news; the last connection's end is.
	if n := eve.told(wire.TypeJoined, "Ada"); n != 0 {
		t.Errorf("told %d times that Ada has come, who was there before", n)
	}
	_ = ada.conn.CloseNow()
	nodes[0].eventually(func() bool { return nodes[0].chat.sessions.Len() == 0 }, func() string { return "Ada's connection stays" })
	_ = again.conn.CloseNow()
	nodes[2].awaitTold(eve, wire.TypeLeft, "Ada", 1)
}

// assertHistory compares what a member got with what was saved.
func assertHistory(t *testing.T, store history.Store, who string, m *member) {
	t.Helper()
	var saved []delivered
	for after := uint64(0); ; after = saved[len(saved)-1].Seq {
		page, err := store.After(t.Context(), "lobby", after, wire.MaxHistory)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, m := range page {
			saved = append(saved, delivered{m.Seq, m.SavedID, m.From})
		}
	}
	if diff := cmp.Diff(saved, m.got()); diff != "" {
		t.Errorf("what %s got (-saved +got):\n%s", who, diff)
	}
}

// TestNodeDies pulls a node's cable: the others take its users for gone after a while, and for there when it is back.
func TestNodeDies(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, newRedisServer(t), 2, Config{NodeTimeout: 900 * time.Millisecond})
	ada, ben := nodes[0].enter("Ada"), nodes[1].enter("Ben")
	nodes[0].awaitTold(ada, wire.TypeJoined, "Ben", 1)
	nodes[1].cable.pull()
	nodes[0].awaitTold(ada, wire.TypeLeft, "Ben", 1)
	if _, err := ada.say("is anybody there?"); err != nil {
		t.Error(err)
	}
	if n := len(ben.got()); n != 0 {
		t.Errorf("Ben got %d messages through a cable that is pulled", n)
	}
	if nodes[1].isReady() {
		t.Error("a node without the others says that it is ready")
	}
	nodes[1].cable.plug()
	nodes[0].awaitTold(ada, wire.TypeJoined, "Ben", 2)
	nodes[1].eventually(func() bool { return len(ben.got()) == 1 }, func() string { return "Ben does not get what he has missed" })
	assertHistory(t, nodes[0].chat.history, "Ben", ben)
}

// TestNodeDiesBeforeItTells has a node die between saving a message and telling the others, whose members get it once
// the node is given up.
func TestNodeDiesBeforeItTells(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, newRedisServer(t), 2, Config{NodeTimeout: 900 * time.Millisecond})
	nodes[0].enter("Ada")
	ben := nodes[1].enter("Ben")
	nodes[1].eventually(func() bool { _, known := nodes[1].chat.cluster.Users("lobby", 0); return known == 2 },
		func() string { return "a node does not learn who is there" })
	if _, _, err := nodes[0].chat.history.Append(t.Context(), history.Message{Room: "lobby", ID: "last", From: "Ada", Text: "farewell"}); err != nil {
		t.Fatal(err)
	}
	nodes[0].cable.pull()
	nodes[1].awaitTold(ben, wire.TypeLeft, "Ada", 1)
	nodes[1].eventually(func() bool { return len(ben.got()) == 1 }, func() string { return "Ben does not get what was saved" })
	assertHistory(t, nodes[1].chat.history, "Ben", ben)
}

// TestRedisForgets has Redis lose all it has: who is in a room gets what is said from then on, though it counts from 1
// again, on every node.
func TestRedisForgets(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, newRedisServer(t), 2, Config{})
	ada, ben := nodes[0].enter("Ada"), nodes[1].enter("Ben")
	say := func(n int) {
		t.Helper()
		for range n {
			if _, err := ada.say("hello"); err != nil {
				t.Fatal(err)
			}
		}
	}
	seqs := func(m *member) (seqs []uint64) {
		for _, d := range m.got() {
			seqs = append(seqs, d.Seq)
		}
		return seqs
	}
	want := []uint64{1, 2, 3}
	wanted := func() {
		t.Helper()
		for i, m := range []*member{ada, ben} {
			nodes[i].eventually(func() bool { return slices.Equal(seqs(m), want) },
				func() string { return fmt.Sprintf("%v are delivered, want %v", seqs(m), want) })
		}
	}
	say(3)
	wanted()
	if err := nodes[0].chat.cfg.Redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	say(2)
	want = append(want, 1, 2)
	wanted()
}

// TestTooMuchAtOnce has a node fall so far behind that it drops what others say, the last of it and the reminders
// included: its members get it all the same.
func TestTooMuchAtOnce(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, newRedisServer(t), 2, Config{Limits: Limits{SendQueue: 10_000}})
	ada := nodes[1].enter("Ada")
	goOn := make(chan struct{})
	busy := make(chan struct{})
	blocker := blocking{in: busy, goOn: goOn}
	nodes[1].chat.topics.Subscribe(room.UserTopic("nobody"), blocker)
	defer nodes[1].chat.topics.Unsubscribe(room.UserTopic("nobody"), blocker)
	eve := nodes[0].dial("Eve")
	if ack := eve.request(wire.TypeNotify, wire.NotifyPayload{User: "nobody", Text: "hold on"}); !ack.Success {
		t.Fatalf("notify: %+v", ack)
	}
	<-busy // with the node's only goroutine that listens to the others
	var saying sync.WaitGroup
	const sayers, each = 50, 30 // more than wait for a node
	for i := range sayers {
		saying.Go(func() {
			for j := range each {
				err := nodes[0].chat.chat.Say(t.Context(), history.Message{
					Room: "lobby", ID: fmt.Sprint(i, "-", j), From: "Ben", Text: "hello",
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	saying.Wait()
	sent := func() float64 {
		return nodes[0].metrics("websocket_backplane_messages_total")["backplane_messages_total redis transmit ok"]
	}
	said := sent()
	nodes[0].eventually(func() bool { return sent() > said }, func() string { return "no reminder" })
	nodes[1].eventually(func() bool {
		return nodes[1].metrics("websocket_backplane_messages_total")["backplane_messages_total redis receive dropped"] > sayers*each/5
	}, func() string { return "little is dropped" })
	close(goOn)
	nodes[1].eventually(func() bool { return len(ada.got()) >= sayers*each },
		func() string { return fmt.Sprintf("%d messages of %d", len(ada.got()), sayers*each) })
	assertHistory(t, nodes[0].chat.history, "Ada", ada)
}

// blocking is a member that holds up its callers.
type blocking struct{ in, goOn chan struct{} }

func (b blocking) Deliver(*wire.Frame, *instrument.Broadcast) {
	close(b.in)
	<-b.goOn
}

// TestRedisRestarts kills Redis while people on three nodes talk, and starts it again: what was acknowledged is there,
// and everybody gets all of it, once and in order.
func TestRedisRestarts(t *testing.T) {
	t.Parallel()
	redis := newRedisServer(t)
	nodes := startNodes(t, redis, 3, Config{Limits: Limits{MessagesPerSecond: 1e6, SendQueue: 10_000}})
	members := make([]*member, len(nodes))
	for i, n := range nodes {
		members[i] = n.enter(fmt.Sprint("user-", i))
	}
	var mu sync.Mutex
	acked := make([]map[string]uint64, len(members)) // sequence numbers by saved id
	count := func(i int) int {
		mu.Lock()
		defer mu.Unlock()
		return len(acked[i])
	}
	stop := make(chan struct{})
	var saying sync.WaitGroup
	for i, m := range members {
		acked[i] = map[string]uint64{}
		saying.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
				ack, err := m.say("hello")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked[i][ack.SavedID] = ack.Seq
				mu.Unlock()
			}
		})
	}
	talk := func() {
		for i, n := range nodes {
			goal := count(i) + 30
			n.eventually(func() bool { return count(i) >= goal }, func() string { return "nobody gets on" })
		}
	}
	talk()
	redis.kill()
	time.Sleep(100 * time.Millisecond) // some are waiting for it now
	redis.start()
	for _, n := range nodes {
		n.eventually(func() bool { return len(n.gaps()) == 1 }, func() string { return "the backplane is not restored:\n" + n.logs.String() })
	}
	talk()
	close(stop)
	saying.Wait()

	store := nodes[0].chat.history
	last, err := store.LastSeq(t.Context(), "lobby")
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range nodes {
		n.eventually(func() bool { got := members[i].got(); return len(got) > 0 && got[len(got)-1].Seq == last },
			func() string { return fmt.Sprintf("%d messages of %d", len(members[i].got()), last) })
		assertHistory(t, store, fmt.Sprint("user-", i), members[i])
		if gap := n.gaps()[0]; gap <= 0 || gap > 30 {
			t.Errorf("a gap of %v s is reported", gap)
		}
		got := map[string]uint64{}
		for _, d := range members[i].got() {
			got[d.SavedID] = d.Seq
		}
		for _, own := range acked {
			for id, seq := range own {
				if got[id] != seq {
					t.Errorf("%s was acknowledged with %d, and user-%d got it with %d", id, seq, i, got[id])
				}
			}
		}
	}
}

// gaps returns the gaps that the node logged when its rooms had caught up.
func (n node) gaps() []float64 {
	var gaps []float64
	for line := range strings.Lines(n.logs.String()) {
		var record struct {
			Msg string
			Gap float64 `json:"gap_seconds"`
		}
		if json.Unmarshal([]byte(line), &record) == nil && record.Msg == "rooms caught up" {
			gaps = append(gaps, record.Gap)
		}
	}
	return gaps
}
