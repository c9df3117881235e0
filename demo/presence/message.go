package presence

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

const (
	version = 1
	// maxMessage is how large a message may be.
	maxMessage = 64 << 10
	// maxEnvelope is the part of it that may be anything but names.
	maxEnvelope = 2 << 10
	maxName     = 256 // bytes of a room's or user's
	maxNodeName = 64
	maxNode     = maxNodeName + 64 // with the part that makes it unique
)

// kind says what a message is for.
type kind string

const (
	kindHello     kind = "hello"     // a heartbeat that asks all others for one
	kindHeartbeat kind = "heartbeat" // its node is there
	kindUpdate    kind = "update"    // what changed from the revision before
	kindAsk       kind = "ask"       // asks one node for a snapshot
	kindSnapshot  kind = "snapshot"  // one of the parts of all that is there
	kindBye       kind = "bye"       // its node is no more
)

// message is what nodes send each other. Every message has its node's revision; that of a new node is 0, with nobody
// there.
type message struct {
	Version int    `json:"v"`
	Kind    kind   `json:"kind"`
	Node    string `json:"node"`
	Rev     uint64 `json:"rev"`
	// Of is the node that is asked.
	Of string `json:"of,omitempty"`
	// Part numbers the parts of a snapshot from 0, Parts is how many there are. They are the same each time that a
	// revision is told.
	Part  int `json:"part,omitempty"`
	Parts int `json:"parts,omitempty"`
	// Entered and Left are users by room.
	Entered map[string][]string `json:"entered,omitempty"`
	Left    map[string][]string `json:"left,omitempty"`
}

// decode reads a message. It is strict: what this version would not have sent is refused.
func decode(data []byte) (message, error) {
	if len(data) > maxMessage {
		return message{}, fmt.Errorf("presence: a message of %d bytes is longer than %d", len(data), maxMessage)
	}
	if !utf8.Valid(data) {
		return message{}, errors.New("presence: a message that is not UTF-8")
	}
	var m message
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err := dec.Decode(&m)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the JSON object")
		}
	}
	if err != nil || m.Version != version {
		// Another version may have fields that this one doesn't know, which then isn't what is wrong.
		var v struct {
			Version int `json:"v"`
		}
		if json.Unmarshal(data, &v) == nil && v.Version != version {
			return message{}, fmt.Errorf("%w: %d, want %d; run the same release on all nodes", ErrVersion, v.Version, version)
		}
		return message{}, fmt.Errorf("presence: malformed message: %.200s", err.Error())
	}
	if err := m.check(); err != nil {
		return message{}, fmt.Errorf("presence: refused message: %w", err)
	}
	return m, nil
}

func (m *message) check() error {
	if m.Node == "" || len(m.Node) > maxNode {
		return fmt.Errorf("node has to have 1 to %d bytes", maxNode)
	}
	entered, left := len(m.Entered) > 0, len(m.Left) > 0
	switch m.Kind {
	case kindHello, kindHeartbeat, kindBye, kindAsk:
		if entered || left {
			return fmt.Errorf("%s with users", m.Kind)
		}
		if m.Kind == kindAsk && (m.Of == "" || len(m.Of) > maxNode) {
			return fmt.Errorf("of has to have 1 to %d bytes", maxNode)
		}
	case kindUpdate:
		if m.Rev == 0 || !entered && !left {
			return errors.New("update that changes nothing")
		}
	case kindSnapshot:
		// No part of several is empty, so that their number is bounded by that of the members.
		if m.Part < 0 || m.Part >= m.Parts || left || m.Parts > 1 && !entered {
			return errors.New("snapshot with impossible parts")
		}
	default:
		return errors.New("unknown kind")
	}
	return errors.Join(checkNames(m.Entered), checkNames(m.Left))
}

func checkNames(names map[string][]string) error {
	for room, users := range names {
		if len(users) == 0 {
			return errors.New("room without users")
		}
		for _, user := range users {
			if err := (membership{room, user}).check(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m membership) check() error {
	for _, name := range []string{m.room, m.user} {
		if name == "" || len(name) > maxName || !utf8.ValidString(name) {
			return fmt.Errorf("the name of a room or user has to be 1 to %d bytes of UTF-8", maxName)
		}
	}
	return nil
}

// change is one membership in an update or a snapshot.
type change struct {
	membership
	entered bool
}

func (c change) sameList(d change) bool { return c.room == d.room && c.entered == d.entered }

// split puts changes in order and cuts them into parts each of which fits a message.
func split(changes []change) [][]change {
	slices.SortFunc(changes, func(a, b change) int {
		return cmp.Or(cmp.Compare(a.room, b.room), cmp.Compare(a.user, b.user))
	})
	var parts [][]change
	start, size := 0, maxEnvelope
	for i, c := range changes {
		// Where comings and goings alternate the room is counted each time, though it is written twice at most.
		need := jsonSize(c.user) + 1
		if i == start || !c.sameList(changes[i-1]) {
			need += jsonSize(c.room) + len(`:[],`)
		}
		if size+need > maxMessage {
			parts = append(parts, changes[start:i])
			start, size = i, maxEnvelope
			need = jsonSize(c.user) + 1 + jsonSize(c.room) + len(`:[],`)
		}
		size += need
	}
	if start < len(changes) {
		parts = append(parts, changes[start:])
	}
	return parts
}

// jsonSize returns how many bytes s takes as JSON, or a few more.
func jsonSize(s string) int {
	size := len(`""`)
	for _, b := range []byte(s) {
		switch {
		case b < ' ' || b == '"' || b == '\\' || b == '<' || b == '>' || b == '&' || b == 0x7f:
			size += len(`\u0000`)
		case b >= utf8.RuneSelf:
			size += 2 // some characters of three bytes are escaped by six
		default:
			size++
		}
	}
	return size
}

// list adds the changes to a message.
func (m *message) list(changes []change) {
	for _, c := range changes {
		into := &m.Left
		if c.entered {
			into = &m.Entered
		}
		if *into == nil {
			*into = make(map[string][]string)
		}
		(*into)[c.room] = append((*into)[c.room], c.user)
	}
}
