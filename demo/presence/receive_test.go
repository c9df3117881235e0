package presence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func encode(tb testing.TB, m message) []byte {
	tb.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestReceiveRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		data, want string // want is part of the error
	}{
		"empty":                   {``, "malformed message: EOF"},
		"not JSON":                {`hello`, "malformed message"},
		"array":                   {`[]`, "malformed message"},
		"cut off":                 {`{"v":1,"kind":"hello"`, "malformed message: unexpected EOF"},
		"junk after":              {`{"v":1,"kind":"hello","node":"a","rev":1}]`, "something follows the JSON object"},
		"not UTF-8":               {"{\"v\":1,\"kind\":\"hello\",\"node\":\"\xff\",\"rev\":1}", "not UTF-8"},
		"too long":                {`{"v":1,"node":"` + strings.Repeat("a", maxMessage) + `"}`, "longer than 65536"},
		"unknown field":           {`{"v":1,"kind":"hello","node":"a","rev":1,"secret":1}`, "unknown field"},
		"negative revision":       {`{"v":1,"kind":"hello","node":"a","rev":-1}`, "malformed message"},
		"no node":                 {`{"v":1,"kind":"hello","rev":1}`, "node has to have"},
		"long node":               {`{"v":1,"kind":"hello","rev":1,"node":"` + strings.Repeat("a", maxNode+1) + `"}`, "node has to have"},
		"no kind":                 {`{"v":1,"node":"a","rev":1}`, "unknown kind"},
		"unknown kind":            {`{"v":1,"kind":"takeover","node":"a","rev":1}`, "unknown kind"},
		"heartbeat with users":    {`{"v":1,"kind":"heartbeat","node":"a","rev":1,"entered":{"r":["u"]}}`, "heartbeat with users"},
		"asks nobody":             {`{"v":1,"kind":"ask","node":"a","rev":1}`, "of has to have"},
		"empty update":            {`{"v":1,"kind":"update","node":"a","rev":1}`, "changes nothing"},
		"update to revision 0":    {`{"v":1,"kind":"update","node":"a","rev":0,"entered":{"r":["u"]}}`, "changes nothing"},
		"room without users":      {`{"v":1,"kind":"update","node":"a","rev":1,"entered":{"r":[]}}`, "room without users"},
		"room without name":       {`{"v":1,"kind":"update","node":"a","rev":1,"entered":{"":["u"]}}`, "name of a room or user"},
		"user without name":       {`{"v":1,"kind":"update","node":"a","rev":1,"left":{"r":[""]}}`, "name of a room or user"},
		"long name":               {`{"v":1,"kind":"update","node":"a","rev":1,"left":{"r":["` + strings.Repeat("a", maxName+1) + `"]}}`, "name of a room or user"},
		"snapshot of no parts":    {`{"v":1,"kind":"snapshot","node":"a","rev":1}`, "impossible parts"},
		"part that is not there":  {`{"v":1,"kind":"snapshot","node":"a","rev":1,"part":1,"parts":1}`, "impossible parts"},
		"negative part":           {`{"v":1,"kind":"snapshot","node":"a","rev":1,"part":-1,"parts":1}`, "impossible parts"},
		"empty part":              {`{"v":1,"kind":"snapshot","node":"a","rev":1,"part":1,"parts":2}`, "impossible parts"},
		"snapshot of who is gone": {`{"v":1,"kind":"snapshot","node":"a","rev":1,"parts":1,"left":{"r":["u"]}}`, "impossible parts"},
	} {
		t.Run(name, func(t *testing.T) {
			n := new(bus).add(t, Config{})
			err := n.Receive([]byte(tc.data))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "presence: ") {
				t.Errorf("%v, want an error with %q", err, tc.want)
			}
			if err != nil && len(err.Error()) > 300 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			if len(n.peers) != 0 {
				t.Error("the sender is a node now")
			}
			n.want(t, map[string][]string{})
		})
	}
}

func TestReceiveAnotherVersion(t *testing.T) {
	n := new(bus).add(t, Config{})
	for _, data := range []string{
		`{"v":2,"kind":"hello","node":"a","rev":1}`,
		`{"v":2,"kind":"gossip","peer":"a","clock":[1,2]}`,
		`{"v":0,"kind":"hello","node":"a","rev":1}`,
		`{}`,
	} {
		if err := n.Receive([]byte(data)); !errors.Is(err, ErrVersion) {
			t.Errorf("%s: %v, want ErrVersion", data, err)
		}
	}
}

func TestReceiveLimits(t *testing.T) {
	n := new(bus).add(t, Config{MaxNodes: 2, MaxMembers: 3})
	update := func(node string, rev uint64, users ...string) message {
		return message{Version: version, Kind: kindUpdate, Node: node, Rev: rev, Entered: map[string][]string{"lobby": users}}
	}
	part := func(rev uint64, i int, users ...string) message {
		m := update("b", rev, users...)
		m.Kind, m.Part, m.Parts = kindSnapshot, i, 2
		return m
	}
	for i, step := range []struct {
		message message
		limit   string
	}{
		{update("a", 1, "Ada", "Ann"), ""},
		{update("a", 2, "Abe", "Amy"), "MaxMembers"},
		{update("b", 1, "Ben"), ""},
		{update("c", 1, "Cyd"), "MaxNodes"},
		{part(7, 0, "Bea", "Bob"), ""},
		{part(7, 1, "Bud", "Boo"), "MaxMembers"},
		{part(7, 1, "Bud"), ""}, // starts anew
		{part(8, 0, "Bea", "Bob"), ""},
		{part(8, 0, "Bea", "Bob"), ""},
		{part(8, 1, "Bud"), ""},
	} {
		err := n.Receive(encode(t, step.message))
		if (err != nil) != (step.limit != "") || err != nil && (!errors.Is(err, ErrFull) || !strings.Contains(err.Error(), step.limit)) {
			t.Errorf("step %d: %v, want ErrFull for %q", i, err, step.limit)
		}
	}
	n.want(t, map[string][]string{"lobby": {"Ada", "Ann", "Bea", "Bob", "Bud"}})
	for i := range 10 {
		bye := message{Version: version, Kind: kindBye, Node: fmt.Sprint(i)}
		if err := n.Receive(encode(t, bye)); err != nil {
			t.Error(err)
		}
	}
	if len(n.gone) != 2 {
		t.Errorf("%d goodbyes are remembered, want 2", len(n.gone))
	}
}

// TestReceiveOldAndRepeated gives one node another's messages by hand.
func TestReceiveOldAndRepeated(t *testing.T) {
	list := func(users ...string) map[string][]string { return map[string][]string{"lobby": users} }
	first := message{Version: version, Kind: kindUpdate, Node: "a", Rev: 1, Entered: list("Ada")}
	second := message{Version: version, Kind: kindUpdate, Node: "a", Rev: 2, Entered: list("Ben"), Left: list("Ada")}
	old := message{Version: version, Kind: kindSnapshot, Node: "a", Rev: 1, Parts: 1, Entered: list("Ada")}
	newer := message{Version: version, Kind: kindSnapshot, Node: "a", Rev: 5, Parts: 1, Entered: list("Eve", "Ben")}
	empty := message{Version: version, Kind: kindSnapshot, Node: "a", Rev: 6, Parts: 1}
	for name, tc := range map[string]struct {
		messages []message
		want     []Change
	}{
		"repeated": {[]message{first, first, second, first, second}, []Change{
			{"lobby", "Ada", true}, {"lobby", "Ben", true}, {"lobby", "Ada", false},
		}},
		"the second before the first": {[]message{second, first}, []Change{{"lobby", "Ada", true}}},
		"old snapshot":                {[]message{first, second, old}, []Change{{"lobby", "Ada", true}, {"lobby", "Ben", true}, {"lobby", "Ada", false}}},
		"gap, then snapshot":          {[]message{first, newer, second}, []Change{{"lobby", "Ada", true}, {"lobby", "Ben", true}, {"lobby", "Eve", true}, {"lobby", "Ada", false}}},
		"empty snapshot":              {[]message{first, empty}, []Change{{"lobby", "Ada", true}, {"lobby", "Ada", false}}},
	} {
		t.Run(name, func(t *testing.T) {
			n := new(bus).add(t, Config{})
			for _, m := range tc.messages {
				n.receive(encode(t, m))
			}
			got := n.told()
			sortRuns(got)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReceiveParts gives a node parts of snapshots by hand.
func TestReceiveParts(t *testing.T) {
	part := func(rev uint64, i, of int, users ...string) message {
		return message{Version: version, Kind: kindSnapshot, Node: "a", Rev: rev, Part: i, Parts: of, Entered: map[string][]string{"lobby": users}}
	}
	update := func(rev uint64, user string) message {
		return message{Version: version, Kind: kindUpdate, Node: "a", Rev: rev, Entered: map[string][]string{"lobby": {user}}}
	}
	for name, tc := range map[string]struct {
		messages []message
		want     []string
	}{
		"in any order":           {[]message{part(7, 2, 3, "C"), part(7, 0, 3, "A"), part(7, 1, 3, "B")}, []string{"A", "B", "C"}},
		"an older one between":   {[]message{part(7, 0, 2, "A"), part(5, 0, 1, "O"), part(7, 1, 2, "B")}, []string{"A", "B"}},
		"a newer one between":    {[]message{part(5, 0, 2, "O"), part(7, 0, 2, "A"), part(5, 1, 2, "P"), part(7, 1, 2, "B")}, []string{"A", "B"}},
		"another number of them": {[]message{part(7, 0, 2, "A"), part(7, 0, 3, "A"), part(7, 1, 3, "B"), part(7, 2, 3, "C")}, []string{"A", "B", "C"}},
		"overtaken by updates":   {[]message{part(2, 0, 2, "A"), update(1, "A"), update(2, "B")}, []string{"A", "B"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := new(bus).add(t, Config{})
			for _, m := range tc.messages {
				n.receive(encode(t, m))
			}
			n.want(t, map[string][]string{"lobby": tc.want})
			if kept := n.peers["a"].partial; kept.parts != nil {
				t.Errorf("parts are kept that are of no use any more: %+v", kept)
			}
		})
	}
}

// sortRuns sorts neighbours that entered, of which a snapshot tells in any order.
func sortRuns(changes []Change) {
	for i := 1; i < len(changes); i++ {
		for j := i; j > 0 && changes[j].Joined && changes[j-1].Joined && changes[j].User < changes[j-1].User; j-- {
			changes[j], changes[j-1] = changes[j-1], changes[j]
		}
	}
}

// TestAnswersAreRare lets somebody ask all the time.
func TestAnswersAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		n := b.start(t, "one")
		n.enter(t, "lobby", "Ada")
		pass(soon)
		b.sent()
		ask := encode(t, message{Version: version, Kind: kindAsk, Node: "a", Of: n.node})
		for range 1000 {
			n.receive(ask)
			pass(10 * time.Millisecond)
		}
		if sent := b.sent(); sent > 13 { // in ten seconds: two heartbeats and a snapshot each second
			t.Errorf("%d messages", sent)
		}
		pass(2 * time.Second) // for the last answer
		b.sent()
		ask = encode(t, message{Version: version, Kind: kindAsk, Node: "a", Of: "b"})
		for range 1000 {
			n.receive(ask)
			pass(10 * time.Millisecond)
		}
		if sent := b.sent(); sent > 2 {
			t.Errorf("%d messages though another node was asked", sent)
		}
	})
}

// TestQuestionsAreRare makes a node believe in a revision that nobody has.
func TestQuestionsAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		one, two := b.start(t, "one"), b.start(t, "two")
		one.enter(t, "lobby", "Ada")
		pass(time.Second)
		b.sent()
		two.receive(encode(t, message{Version: version, Kind: kindHeartbeat, Node: "ghost", Rev: 5}))
		pass(10 * time.Second)
		if sent := b.sent(); sent > 4+11 { // heartbeats and a question each second
			t.Errorf("%d messages to a node that doesn't answer", sent)
		}
		pass(10 * time.Second)
		b.sent()
		two.receive(encode(t, message{Version: version, Kind: kindHeartbeat, Node: one.node, Rev: 1 << 60}))
		pass(10 * time.Second)
		if sent := b.sent(); sent > 4+2 { // heartbeats, the question and the answer
			t.Errorf("%d messages after an answer", sent)
		}
		two.want(t, map[string][]string{"lobby": {"Ada"}})
	})
}

// FuzzReceive looks for messages that crash a node or leave it with a count that is wrong.
func FuzzReceive(f *testing.F) {
	for _, kind := range []kind{kindHello, kindHeartbeat, kindUpdate, kindAsk, kindSnapshot, kindBye} {
		m := message{Version: version, Kind: kind, Node: "a", Rev: 1}
		switch kind {
		case kindAsk:
			m.Of = "b"
		case kindUpdate:
			m.Entered = map[string][]string{"lobby": {"Ada", "Ben"}, "cellar": {"<\"\u2028>"}}
			m.Left = map[string][]string{"lobby": {"Ada"}}
		case kindSnapshot:
			m.Rev, m.Parts, m.Part = 3, 2, 1
			m.Entered = map[string][]string{"lobby": {"Ada"}}
		}
		f.Add(encode(f, m), []byte(`{"v":1,"kind":"snapshot","node":"a","rev":3,"parts":2,"entered":{"lobby":["Ben","Ben"]}}`))
	}
	f.Add([]byte(`{"v":2}`), []byte(`[[[[`))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		p, err := New(Config{Publish: func(context.Context, []byte) error { return nil }, MaxMembers: 100})
		if err != nil {
			t.Fatal(err)
		}
		_ = p.Enter("lobby", "Ada")
		for _, data := range [][]byte{one, two, one} {
			_ = p.Receive(data)
		}
		p.flush(t.Context())
		nodes := make(map[membership]int)
		for m := range p.own {
			nodes[m]++
		}
		for _, q := range p.peers {
			for m := range q.members {
				nodes[m]++
			}
		}
		got := make(map[membership]int)
		for room, members := range p.rooms {
			members.Scan(func(user string, nodes int) bool {
				got[membership{room, user}] = nodes
				return true
			})
		}
		if diff := cmp.Diff(nodes, got, cmp.AllowUnexported(membership{})); diff != "" {
			t.Errorf("on how many nodes they are (-want +got):\n%s", diff)
		}
	})
}

// FuzzSplit looks for names that don't fit the messages they were put into.
func FuzzSplit(f *testing.F) {
	f.Add("lobby", "Ada", 5000)
	f.Add("<\u2028>", "\x00\"\\\x7f", 2000)
	f.Add("r", strings.Repeat("<", 50), 2000)
	f.Add(strings.Repeat("&", maxName), strings.Repeat("\u2029", maxName/3), 300)
	f.Fuzz(func(t *testing.T, room, user string, n int) {
		if (membership{room, user}).check() != nil || n < 0 || n > 5000 {
			return
		}
		changes := make([]change, n)
		for i := range changes {
			changes[i] = change{membership{room, user}, i%3 > 0}
			if i%2 == 0 {
				changes[i].room = fmt.Sprint(i)
			}
		}
		total := 0
		for _, part := range split(changes) {
			m := message{Version: version, Kind: kindUpdate, Node: strings.Repeat("<", maxNode), Rev: 1<<64 - 1}
			m.list(part)
			total += count(m.Entered) + count(m.Left)
			if size := len(encode(t, m)); size > maxMessage {
				t.Errorf("a message of %d bytes", size)
			}
		}
		if total != n {
			t.Errorf("%d changes in the messages, want %d", total, n)
		}
	})
}
