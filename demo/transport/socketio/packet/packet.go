// Package packet has the packets of Socket.IO, as both ends read and write them: of Engine.IO revision 4, and of
// Socket.IO revision 5 in its messages.
package packet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// The packets of Engine.IO, revision 4. Each is a WebSocket message, or one of several in a payload of polling. A
// binary packet is a message without this first byte.
const (
	EngineOpen    = '0'
	EngineClose   = '1'
	EnginePing    = '2'
	EnginePong    = '3'
	EngineMessage = '4'
	EngineUpgrade = '5'
	EngineNoop    = '6'
)

// Kind is what a packet of Socket.IO is, as it is written.
type Kind byte

// The kinds.
const (
	Connect Kind = '0' + iota
	Disconnect
	Event
	Ack
	ConnectError
	BinaryEvent
	BinaryAck
)

// Default is the name of the namespace that a packet without one is for.
const Default = "/"

const (
	// maxAttachments bounds the binary pieces of one packet, as the original server does.
	maxAttachments = 10
	// maxNamespace bounds the name of a namespace in a packet.
	maxNamespace = 64
	// maxID is the largest integer that every JavaScript client can count to.
	maxID = 1<<53 - 1
)

// Packet is one of Socket.IO's, revision 5: 2/feed,17["subscribe",{…}].
type Packet struct {
	Kind        Kind
	Attachments int // that follow
	Namespace   string
	ID          uint64 // by which an event is to be acknowledged, or is
	HasID       bool
	Data        json.RawMessage // nil if there is none
}

// Parse reads a packet. Its errors are for the log: the peer does not speak the protocol.
func Parse(text []byte) (Packet, error) {
	if len(text) == 0 || text[0] < byte(Connect) || text[0] > byte(BinaryAck) {
		return Packet{}, errors.New("socketio: a packet of no known kind")
	}
	if !utf8.Valid(text) {
		return Packet{}, errors.New("socketio: a packet is not UTF-8")
	}
	p, rest := Packet{Kind: Kind(text[0]), Namespace: Default}, text[1:]
	if p.Kind == BinaryEvent || p.Kind == BinaryAck {
		count, after, found := bytes.Cut(rest, []byte("-"))
		n, err := strconv.ParseUint(string(count), 10, 8)
		if !found || err != nil || n > maxAttachments {
			return Packet{}, fmt.Errorf("socketio: a binary packet has to say how many attachments follow, %d at most", maxAttachments)
		}
		p.Attachments, rest = int(n), after
	}
	if len(rest) > 0 && rest[0] == '/' {
		name, after, _ := bytes.Cut(rest, []byte(","))
		if len(name) > maxNamespace {
			return Packet{}, fmt.Errorf("socketio: the name of a namespace is longer than %d bytes", maxNamespace)
		}
		p.Namespace, rest = string(name), after
	}
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	if digits > 0 {
		id, err := strconv.ParseUint(string(rest[:digits]), 10, 64)
		if err != nil || id > maxID {
			return Packet{}, errors.New("socketio: the id of a packet is too large")
		}
		p.ID, p.HasID, rest = id, true, rest[digits:]
	}
	if len(rest) > 0 {
		p.Data = rest
	}
	return p, p.check()
}

// check looks whether a packet holds what its kind has to.
func (p *Packet) check() error {
	var begins byte
	switch p.Kind {
	case Connect:
		begins = '{'
	case Event, BinaryEvent, Ack, BinaryAck:
		begins = '['
	}
	switch {
	case p.HasID && (p.Kind == Connect || p.Kind == Disconnect || p.Kind == ConnectError):
		return errors.New("socketio: only an event and its acknowledgement have an id")
	case !p.HasID && (p.Kind == Ack || p.Kind == BinaryAck):
		return errors.New("socketio: an acknowledgement has to have an id")
	case p.Kind == Disconnect && p.Data != nil:
		return errors.New("socketio: something follows a disconnect")
	case p.Data == nil && (p.Kind == Connect || p.Kind == Disconnect):
		return nil
	case p.Data == nil || !json.Valid(p.Data) || begins != 0 && p.Data[0] != begins:
		return errors.New("socketio: a packet does not hold the JSON that it has to")
	}
	return nil
}

// Append writes the packet.
func (p *Packet) Append(to []byte) []byte {
	to = append(to, byte(p.Kind))
	if p.Kind == BinaryEvent || p.Kind == BinaryAck {
		to = append(strconv.AppendInt(to, int64(p.Attachments), 10), '-')
	}
	if p.Namespace != Default {
		to = append(append(to, p.Namespace...), ',')
	}
	if p.HasID {
		to = strconv.AppendUint(to, p.ID, 10)
	}
	return append(to, p.Data...)
}

// Arguments returns the name of an event and what else it holds. Both are empty for an event without a name.
func (p *Packet) Arguments() (name string, args []json.RawMessage) {
	var all []json.RawMessage
	if json.Unmarshal(p.Data, &all) != nil || len(all) == 0 || json.Unmarshal(all[0], &name) != nil {
		return "", nil
	}
	return name, all[1:]
}
