package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// kind is what a packet of Socket.IO is, as it is written.
type kind byte

const (
	connect kind = '0' + iota
	disconnect
	event
	ack
	connectError
	binaryEvent
	binaryAck
)

const (
	// maxAttachments bounds the binary pieces of one packet, as the original server does.
	maxAttachments = 10
	// maxNamespace bounds the name of a namespace in a packet.
	maxNamespace = 64
	// maxID is the largest integer that every JavaScript client can count to.
	maxID = 1<<53 - 1
)

// packet is one of Socket.IO's, revision 5: 2/feed,17["subscribe",{…}].
type packet struct {
	kind        kind
	attachments int // that follow
	namespace   string
	id          uint64 // by which an event is to be acknowledged, or is
	hasID       bool
	data        json.RawMessage // nil if there is none
}

// parsePacket reads a packet. Its errors are for the log: the peer does not speak the protocol.
func parsePacket(text []byte) (packet, error) {
	if len(text) == 0 || text[0] < byte(connect) || text[0] > byte(binaryAck) {
		return packet{}, errors.New("socketio: a packet of no known kind")
	}
	if !utf8.Valid(text) {
		return packet{}, errors.New("socketio: a packet is not UTF-8")
	}
	p, rest := packet{kind: kind(text[0]), namespace: "/"}, text[1:]
	if p.kind == binaryEvent || p.kind == binaryAck {
		count, after, found := bytes.Cut(rest, []byte("-"))
		n, err := strconv.ParseUint(string(count), 10, 8)
		if !found || err != nil || n > maxAttachments {
			return packet{}, fmt.Errorf("socketio: a binary packet has to say how many attachments follow, %d at most", maxAttachments)
		}
		p.attachments, rest = int(n), after
	}
	if len(rest) > 0 && rest[0] == '/' {
		name, after, _ := bytes.Cut(rest, []byte(","))
		if len(name) > maxNamespace {
			return packet{}, fmt.Errorf("socketio: the name of a namespace is longer than %d bytes", maxNamespace)
		}
		p.namespace, rest = string(name), after
	}
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	if digits > 0 {
		id, err := strconv.ParseUint(string(rest[:digits]), 10, 64)
		if err != nil || id > maxID {
			return packet{}, errors.New("socketio: the id of a packet is too large")
		}
		p.id, p.hasID, rest = id, true, rest[digits:]
	}
	if len(rest) > 0 {
		p.data = rest
	}
	return p, p.check()
}

// check looks whether a packet holds what its kind has to.
func (p *packet) check() error {
	var begins byte
	switch p.kind {
	case connect:
		begins = '{'
	case event, binaryEvent, ack, binaryAck:
		begins = '['
	}
	switch {
	case p.hasID && (p.kind == connect || p.kind == disconnect || p.kind == connectError):
		return errors.New("socketio: only an event and its acknowledgement have an id")
	case !p.hasID && (p.kind == ack || p.kind == binaryAck):
		return errors.New("socketio: an acknowledgement has to have an id")
	case p.kind == disconnect && p.data != nil:
		return errors.New("socketio: something follows a disconnect")
	case p.data == nil && (p.kind == connect || p.kind == disconnect):
		return nil
	case p.data == nil || !json.Valid(p.data) || begins != 0 && p.data[0] != begins:
		return errors.New("socketio: a packet does not hold the JSON that it has to")
	}
	return nil
}

// append writes the packet.
func (p *packet) append(to []byte) []byte {
	to = append(to, byte(p.kind))
	if p.kind == binaryEvent || p.kind == binaryAck {
		to = append(strconv.AppendInt(to, int64(p.attachments), 10), '-')
	}
	if p.namespace != "/" {
		to = append(append(to, p.namespace...), ',')
	}
	if p.hasID {
		to = strconv.AppendUint(to, p.id, 10)
	}
	return append(to, p.data...)
}

// arguments returns the name of an event and what else it holds. Both are empty for an event without a name.
func (p *packet) arguments() (name string, args []json.RawMessage) {
	var all []json.RawMessage
	if json.Unmarshal(p.data, &all) != nil || len(all) == 0 || json.Unmarshal(all[0], &name) != nil {
		return "", nil
	}
	return name, all[1:]
}

// placeholder stands in a packet for its only attachment.
const placeholder = `{"_placeholder":true,"num":0}`

// isPlaceholder reports whether an argument stands for the first attachment.
func isPlaceholder(arg json.RawMessage) bool {
	var p struct {
		Placeholder bool `json:"_placeholder"`
		Num         int  `json:"num"`
	}
	return json.Unmarshal(arg, &p) == nil && p.Placeholder && p.Num == 0
}
