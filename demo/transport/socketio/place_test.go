package socketio

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/wire"
)

func TestParsePlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]place{
		"lobby=0":                       {map[string]uint64{"lobby": 0}, map[string]bool{}},
		"cellar=4f lobby=2s +market":    {map[string]uint64{"cellar": 159, "lobby": 100}, map[string]bool{"market": true}},
		"café=3w5e11264sgsf +dashboard": {map[string]uint64{"café": 1<<64 - 1}, map[string]bool{"dashboard": true}},
		"a.b-c_d=1 +dashboard +market":  {map[string]uint64{"a.b-c_d": 1}, map[string]bool{"dashboard": true, "market": true}},
		strings.Repeat("r", 64) + "=1":  {map[string]uint64{strings.Repeat("r", 64): 1}, map[string]bool{}},
	} {
		got, ok := parsePlace(text)
		if diff := cmp.Diff(want, got, comparing); diff != "" || !ok || got.String() != text {
			t.Errorf("%s: %v, written again %s (-want +got):\n%s", text, ok, got.String(), diff)
		}
	}
	for _, text := range []string{
		"", "lobby", "lobby=", "lobby=-1", "lobby=x.", "=1", "a!=1", "lobby=1 lobby=2", "+gossip", "+market +market", "lobby=1 +",
		"lobby=3w5e11264sgsg", strings.Repeat("r", 65) + "=1", strings.Repeat("a=1 ", maxPlace/4) + " ",
	} {
		if p, ok := parsePlace(text); ok {
			t.Errorf("%s is accepted as %v", text, p)
		}
	}
}

// FuzzPlace reads any offset: what is accepted is the same when it is written again.
func FuzzPlace(f *testing.F) {
	for _, seed := range []string{"", "lobby=2s", "cellar=4f lobby=2s +market", "+market", "a=1 a=2", "\x00=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := parsePlace(text)
		if !ok || len(p.rooms) == 0 && len(p.streams) == 0 {
			return
		}
		again, ok := parsePlace(p.String())
		if diff := cmp.Diff(p, again, comparing); diff != "" || !ok {
			t.Errorf("%q, written again: %v\n%s", text, ok, diff)
		}
	})
}

// TestAdvance follows a client through what it is sent.
func TestAdvance(t *testing.T) {
	t.Parallel()
	p := newPlace()
	for _, step := range []struct {
		typ     wire.Type
		seq     uint64
		payload any
		want    string // if it moves
	}{
		{wire.TypeMessage, 3, wire.MessagePayload{Room: "lobby"}, ""}, // it has left before
		{wire.TypeRoomUsers, 0, wire.RoomUsersPayload{Room: "lobby"}, "lobby=0"},
		{wire.TypeMessage, 1, wire.MessagePayload{Room: "lobby"}, "lobby=1"},
		{wire.TypeMessage, 1, wire.MessagePayload{Room: "lobby"}, ""},
		{wire.TypeTyping, 0, wire.TypingPayload{Room: "lobby"}, ""},
		{wire.TypeHistory, 0, wire.HistoryPayload{Room: "lobby", Messages: []wire.HistoryMessage{{Seq: 4}, {Seq: 5}}}, "lobby=5"},
		{wire.TypeHistory, 0, wire.HistoryPayload{Room: "lobby", Messages: []wire.HistoryMessage{{Seq: 2}}}, ""},
		{wire.TypeHistory, 0, wire.HistoryPayload{Room: "cellar", Messages: []wire.HistoryMessage{{Seq: 2}}}, ""},
		{wire.TypeRoomUsers, 0, wire.RoomUsersPayload{Room: "cellar", Seq: 36}, "cellar=10 lobby=5"},
		{wire.TypeRoomUsers, 0, wire.RoomUsersPayload{Room: "cellar", Seq: 36}, ""},
		{wire.TypeRoomUsers, 0, wire.RoomUsersPayload{Room: "cellar", Seq: 2}, "cellar=2 lobby=5"}, // it was forgotten
		{wire.TypeLeft, 0, wire.PresencePayload{Room: "lobby", User: "Ben"}, ""},
		{wire.TypeLeft, 0, wire.PresencePayload{Room: "lobby", User: "Ada"}, "cellar=2"},
		{wire.TypeLeft, 0, wire.PresencePayload{Room: "lobby", User: "Ada"}, ""},
	} {
		env, err := wire.New(step.typ, "", step.payload)
		if err != nil {
			t.Fatal(err)
		}
		env.Seq = step.seq
		f, err := env.Frame()
		if err != nil {
			t.Fatal(err)
		}
		moved := p.advance(f, "Ada")
		if moved != (step.want != "") || moved && p.String() != step.want {
			t.Errorf("%s: moved %v to %s, want %q", f.Data, moved, p.String(), step.want)
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	id := newPrivateID()
	public := publicID(id)
	if !isPrivateID(id) || public == publicID(newPrivateID()) || public != publicID(id) || strings.Contains(id, public) {
		t.Errorf("%s is known as %s", id, public)
	}
	for _, made := range []string{"", id[1:], id + "A", strings.ToLower(id), strings.Repeat("1", len(id))} {
		if isPrivateID(made) {
			t.Errorf("%q is taken for an id", made)
		}
	}
}
