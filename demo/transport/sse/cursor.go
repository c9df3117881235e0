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
	rooms  []string
	sum    string // of the rooms' names
	seqs   []uint64
	known  []bool
	epochs []uint64 // see wire.Frame
}

// maxCursorRooms keeps ids below 256 bytes; more rooms are not resumed.
const maxCursorRooms = 16

// newCursor reads the id of the last event that a client got. One that is empty, made up or of other rooms means that
// nothing is known.
func newCursor(rooms []string, id string) cursor {
	if len(rooms) > maxCursorRooms {
		rooms = nil
	}
	n := len(rooms)
	c := cursor{rooms: rooms, sum: check(rooms), seqs: make([]uint64, n), known: make([]bool, n), epochs: make([]uint64, n)}
	sum, list, _ := strings.Cut(id, "-")
	seqs := strings.Split(list, ".")
	if sum != c.sum || len(seqs) != len(rooms) {
		return c
	}
	for i, text := range seqs {
		seq, err := strconv.ParseUint(text, 36, 64)
		c.seqs[i], c.known[i] = seq, err == nil
	}
	return c
}

func check(rooms []string) string {
	return strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(strings.Join(rooms, " ")))), 36)
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
	switch f.Type {
	case wire.TypeMessage:
		moved = c.deliver(f)
	case wire.TypeHistory, wire.TypeRoomUsers:
		moved = c.answer(f)
	}
	if !moved {
		return ""
	}
	return c.String()
}

// deliver takes note of a message, and reports whether the cursor has moved: backwards only if the room gives numbers
// again.
func (c *cursor) deliver(f *wire.Frame) (moved bool) {
	for i, room := range c.rooms {
		if room == f.Room {
			moved = c.set(i, f.Seq, f.Epoch != c.epochs[i]) || moved
			c.epochs[i] = f.Epoch
		}
	}
	return moved
}

// answer takes note of an answer, which is this client's alone.
func (c *cursor) answer(f *wire.Frame) (moved bool) {
	var env struct {
		Payload struct {
			Room     string
			Seq      uint64
			Messages []struct{ Seq uint64 }
		}
	}
	if len(c.rooms) == 0 || json.Unmarshal(f.Data, &env) != nil {
		return false
	}
	p := env.Payload
	for i, room := range c.rooms {
		if room != p.Room {
			continue
		}
		if f.Type == wire.TypeRoomUsers {
			moved = c.set(i, p.Seq, true) || moved // a room that was forgotten gives numbers again
		}
		for _, m := range p.Messages {
			moved = c.set(i, m.Seq, false) || moved
		}
	}
	return moved
}

// set moves the cursor in a room, backwards only if it is to, and reports whether it has moved.
func (c *cursor) set(i int, seq uint64, back bool) bool {
	if c.known[i] && seq <= c.seqs[i] && (!back || seq == c.seqs[i]) {
		return false
	}
	c.seqs[i], c.known[i] = seq, true
	return true
}

// String returns the cursor as the id of an event.
func (c *cursor) String() string {
	var b strings.Builder
	b.WriteString(c.sum)
	for i, seq := range c.seqs {
		b.WriteByte("-."[min(i, 1)])
		if c.known[i] {
			b.WriteString(strconv.FormatUint(seq, 36))
		}
	}
	return b.String()
}
