package socketio

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sockscope/sockscope/demo/wire"
)

const (
	// maxPlace bounds how long the text of a place may be: 16 rooms and all streams fit.
	maxPlace = 2 << 10
	// streamPrefix tells a stream from a room, whose name can't begin so.
	streamPrefix = "+"
)

// place is where a session is: its rooms, each with the last message that its client has got, and its streams. As a
// text it is the offset of an event. The client says the last one when it comes back after a break, to any node: what
// it has missed is read from the history of its rooms, so no node keeps anything for those who are away.
type place struct {
	rooms   map[string]uint64
	streams map[string]bool
}

func newPlace() place { return place{rooms: make(map[string]uint64), streams: make(map[string]bool)} }

func (p *place) clone() place { return place{maps.Clone(p.rooms), maps.Clone(p.streams)} }

// parsePlace reads the offset that a client says. One that is made up opens nothing: the client's token is asked for
// each room.
func parsePlace(text string) (p place, ok bool) {
	if text == "" || len(text) > maxPlace {
		return place{}, false
	}
	p = newPlace()
	for field := range strings.FieldsSeq(text) {
		if stream, ok := strings.CutPrefix(field, streamPrefix); ok {
			if p.streams[stream] || stream != wire.StreamMarket && stream != wire.StreamDashboard {
				return place{}, false
			}
			p.streams[stream] = true
			continue
		}
		room, seq, _ := strings.Cut(field, "=")
		n, err := strconv.ParseUint(seq, 36, 64)
		if _, twice := p.rooms[room]; twice || err != nil || wire.CheckRoom(room) != nil {
			return place{}, false
		}
		p.rooms[room] = n
	}
	return p, true
}

// String returns the place as an offset.
func (p *place) String() string {
	var b strings.Builder
	for _, room := range slices.Sorted(maps.Keys(p.rooms)) {
		b.WriteString(room + "=" + strconv.FormatUint(p.rooms[room], 36) + " ")
	}
	for _, stream := range slices.Sorted(maps.Keys(p.streams)) {
		b.WriteString(streamPrefix + stream + " ")
	}
	return strings.TrimSuffix(b.String(), " ")
}

// advance takes note of a frame that is sent, and reports whether the place is another one then. User is the session's.
func (p *place) advance(f *wire.Frame, user string) (moved bool) {
	switch f.Type {
	case wire.TypeMessage, wire.TypeHistory, wire.TypeRoomUsers, wire.TypeLeft:
	default:
		return false
	}
	var env struct {
		Seq     uint64
		Payload struct {
			Room, User string
			Seq        uint64
			Messages   []struct{ Seq uint64 }
		}
	}
	if json.Unmarshal(f.Data, &env) != nil {
		return false
	}
	room := env.Payload.Room
	last, in := p.rooms[room]
	switch f.Type {
	case wire.TypeRoomUsers: // says where a room is joined, also one that was forgotten and counts anew
		p.rooms[room] = env.Payload.Seq
		return !in || env.Payload.Seq != last
	case wire.TypeLeft:
		if in && env.Payload.User == user {
			delete(p.rooms, room)
			return true
		}
		return false
	case wire.TypeHistory:
		for _, m := range env.Payload.Messages {
			env.Seq = max(env.Seq, m.Seq)
		}
	}
	if !in || env.Seq <= last {
		return false
	}
	p.rooms[room] = env.Seq
	return true
}

// newPrivateID returns an id that only its client knows, by which it is the same after a break.
func newPrivateID() string { return rand.Text() }

// isPrivateID reports whether an id looks like one of newPrivateID.
func isPrivateID(id string) bool {
	return len(id) == len(newPrivateID()) && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '2' || r > '7')
	})
}

// publicID returns the id under which others may know the client of a private id. Every node makes the same of it.
func publicID(private string) string {
	sum := sha256.Sum256([]byte(private))
	return base32.StdEncoding.EncodeToString(sum[:])[:20]
}
