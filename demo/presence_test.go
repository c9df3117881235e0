package demo

import (
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/wire"
)

// TestPresenceOfOneUserTwice tells that a user has come with the first connection and gone with the last.
func TestPresenceOfOneUserTwice(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ben := f.dial("Ben")
	ben.join("lobby")
	first, second := f.dial("Ada"), f.dial("Ada")
	first.join("lobby")
	second.join("lobby")
	if got := typesOf(ben.heard()); !cmp.Equal(got, []wire.Type{wire.TypeJoined}) {
		t.Errorf("told %v, want that Ada has come", got)
	}
	first.request(wire.TypeLeave, wire.RoomPayload{Room: "lobby"})
	if got := typesOf(ben.heard()); len(got) != 0 {
		t.Errorf("told %v while Ada is there by another connection", got)
	}
	first.join("lobby")
	first.join("lobby") // again, which is no second time
	if err := first.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	f.eventually(func() bool { return f.chat.sessions.Len() == 2 }, func() string { return "the connection stays" })
	if got := typesOf(ben.heard()); len(got) != 0 {
		t.Errorf("told %v while Ada is there by another connection", got)
	}
	_ = second.conn.CloseNow()
	want := wire.PresencePayload{Room: "lobby", User: "Ada"}
	if _, p := expect[wire.PresencePayload](ben, wire.TypeLeft); p != want {
		t.Errorf("told %+v, want %+v", p, want)
	}
}
