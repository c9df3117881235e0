package sse

import (
	"encoding/json"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/sockscope/sockscope/demo/wire"
)

// cursor is what a client of server-sent events has got of its rooms, which is the id of every event: a check of the
// rooms' names, and their sequence numbers in the order in which the client has named the rooms, to the base 36. It
// comes back as Last-Event-ID, with the same URL, when the client connects again.
type cursor struct {
	rooms []string
	seqs  []uint64
	known []bool
}

// maxCursorRooms keeps ids below 256 bytes; more rooms are not resumed.
const maxCursorRooms = 16

// newCursor reads the id of the last event that a client got. One that is empty, made up or of other rooms means that
// nothing is known.
func newCursor(rooms []string, id string) cursor {
	if len(rooms) > maxCursorRooms {
		rooms = nil
	}
	c := cursor{rooms: rooms, seqs: make([]uint64, len(rooms)), known: make([]bool, len(rooms))}
	check, list, _ := strings.Cut(id, "-")
	seqs := strings.Split(list, ".")
	if check != c.check() || len(seqs) != len(rooms) {
		return c
	}
	for i, text := range seqs {
		seq, err := strconv.ParseUint(text, 36, 64)
		c.seqs[i], c.known[i] = seq, err == nil
	}
	return c
}

func (c *cursor) check() string {
	return strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(strings.Join(c.rooms, " ")))), 36)
}

// after returns what the client has got of a room, nil if nothing is known.
func (c *cursor) after(room string) *uint64 {
	for i, name := range c.rooms {
		if name == room && c.known[i] {
			seq := c.seqs[i]
			return &seq
		}
	}
	return nil
}

// advance takes note of a frame that is sent and returns the id for it, which is empty if the cursor stays where it is.
func (c *cursor) advance(f *wire.Frame) string {
	moved := false
	set := func(room string, seq uint64, back bool) {
		for i, name := range c.rooms {
			if name == room && (!c.known[i] || seq > c.seqs[i] || back && seq < c.seqs[i]) {
				c.seqs[i], c.known[i], moved = seq, true, true
			}
		}
	}
	var env struct {
		Seq     uint64
		Payload struct {
			Room     string
			Seq      uint64
			Messages []struct{ Seq uint64 }
		}
	}
	switch f.Type {
	case wire.TypeMessage, wire.TypeHistory, wire.TypeRoomUsers:
		if len(c.rooms) == 0 || json.Unmarshal(f.Data, &env) != nil {
			return ""
		}
	default:
		return ""
	}
	switch p := env.Payload; f.Type {
	case wire.TypeMessage:
		set(p.Room, env.Seq, false)
	case wire.TypeRoomUsers:
		set(p.Room, p.Seq, true) // a room that was forgotten counts anew
	case wire.TypeHistory:
		for _, m := range p.Messages {
			set(p.Room, m.Seq, false)
		}
	}
	if !moved {
		return ""
	}
	return c.String()
}

// String returns the cursor as the id of an event.
func (c *cursor) String() string {
	var b strings.Builder
	b.WriteString(c.check())
	for i, seq := range c.seqs {
		b.WriteByte("-."[min(i, 1)])
		if c.known[i] {
			b.WriteString(strconv.FormatUint(seq, 36))
		}
	}
	return b.String()
}
