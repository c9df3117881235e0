package auth

import (
	"strings"
	"time"

	"github.com/sockscope/sockscope/demo/wire"
)

// privatePrefix begins the names of rooms that only those enter whose token names them.
const privatePrefix = "private."

// Identity is what a token says of its bearer.
type Identity struct {
	// User is the user's name.
	User string
	// Rooms are the rooms that the user may enter: names, and patterns that end in "*".
	Rooms []string
	// Expires is when the token ends, and with it what its bearer may do.
	Expires time.Time
	// ID is that of the token, empty if it has none.
	ID string
}

// MayEnter reports whether the user may enter a room. A token that names no rooms is good for all but those that begin
// with "private.". Into these leads no pattern either but one that begins so itself.
func (i Identity) MayEnter(room string) bool {
	private := strings.HasPrefix(room, privatePrefix)
	if len(i.Rooms) == 0 {
		return !private
	}
	for _, pattern := range i.Rooms {
		if private && !strings.HasPrefix(pattern, privatePrefix) {
			continue
		}
		prefix, open := strings.CutSuffix(pattern, "*")
		if room == pattern || open && strings.HasPrefix(room, prefix) {
			return true
		}
	}
	return false
}

func checkUser(name string) error {
	if wire.CheckName(name) != nil {
		return refusal(CodeBadClaims, "the user's name (sub) has to be 1 to %d printable characters without spaces around them",
			wire.MaxNameRunes)
	}
	return nil
}

func checkRooms(rooms []string) error {
	for _, pattern := range rooms {
		name := strings.TrimSuffix(pattern, "*")
		if pattern == "" || len(name) > wire.MaxRoomBytes || strings.Contains(name, "*") {
			return refusal(CodeBadClaims, "rooms has to list names of at most %d bytes, or the beginnings of names with a * behind them",
				wire.MaxRoomBytes)
		}
	}
	return nil
}
