package sse

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/wire"
)

// TestCursorGoesBack has a room counted anew: a client that knows a larger number would get nothing of it.
func TestCursorGoesBack(t *testing.T) {
	rooms := []string{"lobby"}
	c := newCursor(rooms, "")
	frame := func(typ wire.Type, seq uint64, payload any) *wire.Frame {
		env, err := wire.New(typ, "", payload)
		if err != nil {
			t.Fatal(err)
		}
		env.Seq = seq
		f, err := env.Frame()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	message := func(epoch, seq uint64) *wire.Frame {
		f := frame(wire.TypeMessage, seq, wire.MessagePayload{Room: "lobby"})
		f.Room, f.Epoch = "lobby", epoch
		return f
	}
	for _, step := range []struct {
		what  string
		frame *wire.Frame
		want  uint64
	}{
		{"joined", frame(wire.TypeRoomUsers, 0, wire.RoomUsersPayload{Room: "lobby", Seq: 100}), 100},
		{"a message", message(0, 101), 101},
		{"one that comes twice", message(0, 100), 101},
		{"joined when the room was forgotten", frame(wire.TypeRoomUsers, 0, wire.RoomUsersPayload{Room: "lobby", Seq: 3}), 3},
		{"a message of that", message(0, 4), 4},
		{"a message when the room was forgotten meanwhile", message(1, 1), 1},
		{"the next", message(1, 2), 2},
		{"one that comes twice again", message(1, 1), 2},
	} {
		c.advance(step.frame)
		again := newCursor(rooms, c.String())
		if after := again.after("lobby"); after == nil || *after != step.want {
			t.Errorf("%s: the client comes back after %v, want %d", step.what, after, step.want)
		}
	}
}

// FuzzCursor reads any id: what it knows then comes back the same, and only what it has said itself is known.
func FuzzCursor(f *testing.F) {
	own := newCursor([]string{"lobby", "cellar"}, "")
	for _, seed := range []string{"", "-", own.sum, own.sum + "-1.", own.sum + "-.zz", own.String(), "x-1.2", own.sum + "-1.1.1"} {
		f.Add(seed, uint64(7))
	}
	f.Fuzz(func(t *testing.T, id string, seq uint64) {
		rooms := []string{"lobby", "cellar"}
		c := newCursor(rooms, id)
		text := c.String()
		again := newCursor(rooms, text)
		for _, room := range rooms {
			if diff := cmp.Diff(c.after(room), again.after(room)); diff != "" {
				t.Errorf("%q is read as %q and that otherwise:\n%s", id, text, diff)
			}
		}
		if len(text) > 256 || strings.ContainsAny(text, "\r\n\x00") {
			t.Errorf("%q is no id for an event", text)
		}
		frame, err := wire.NewFrame(wire.TypeRoomUsers, "", wire.RoomUsersPayload{Room: "lobby", Seq: seq})
		if err != nil {
			t.Fatal(err)
		}
		before := c.after("lobby")
		next := c.advance(frame)
		switch after := c.after("lobby"); {
		case after == nil || before != nil && *after < *before || *after < seq:
			t.Errorf("from %v by %d to %v", before, seq, after)
		case (next == "") != (before != nil && *before >= seq):
			t.Errorf("the id is %q where it was %v and %d came", next, before, seq)
		}
	})
}
