package demo

import (
	"testing"

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
	for _, step := range []struct {
		what  string
		frame *wire.Frame
		want  uint64
	}{
		{"joined", frame(wire.TypeRoomUsers, 0, wire.RoomUsersPayload{Room: "lobby", Seq: 100}), 100},
		{"a message", frame(wire.TypeMessage, 101, wire.MessagePayload{Room: "lobby"}), 101},
		{"one that comes twice", frame(wire.TypeMessage, 100, wire.MessagePayload{Room: "lobby"}), 101},
		{"joined when the room was forgotten", frame(wire.TypeRoomUsers, 0, wire.RoomUsersPayload{Room: "lobby", Seq: 3}), 3},
	} {
		c.advance(step.frame)
		again := newCursor(rooms, c.String())
		if after := again.after("lobby"); after == nil || *after != step.want {
			t.Errorf("%s: the client comes back after %v, want %d", step.what, after, step.want)
		}
	}
}
