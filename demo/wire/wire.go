// Package wire is the demo's protocol: the envelope around every message, the
// payloads in it, and the strict decoding of what a client sends.
//
// Every frame is one JSON object:
//
//	{"type": "message", "payload": {"room": "lobby", "text": "hello"},
//	 "timestamp": "2026-01-02T15:04:05Z", "messageId": "6f1c…", "traceparent": "00-…"}
package wire

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Type names what a message is about.
type Type string

// The types that a client sends.
const (
	TypeJoin    Type = "join"    // JoinPayload; answered by room_users and ack
	TypeLeave   Type = "leave"   // LeavePayload; answered by ack
	TypeMessage Type = "message" // MessagePayload; answered by ack, delivered to the room
	TypePing    Type = "ping"    // no payload; answered by pong
)

// The types that only the server sends. It delivers TypeMessage as well.
const (
	TypeAck       Type = "ack"        // AckPayload, with the messageId of what it answers
	TypeJoined    Type = "joined"     // PresencePayload
	TypeLeft      Type = "left"       // PresencePayload
	TypeRoomUsers Type = "room_users" // RoomUsersPayload
	TypePong      Type = "pong"       // with the messageId of the ping
	TypeError     Type = "error"      // ErrorPayload
	TypeGoingAway Type = "going_away" // GoingAwayPayload; the connection closes with 1012 next
)

// Types returns every type of the protocol.
func Types() []Type {
	return []Type{
		TypeJoin, TypeLeave, TypeMessage, TypePing, TypeAck, TypeJoined,
		TypeLeft, TypeRoomUsers, TypePong, TypeError, TypeGoingAway,
	}
}

// Envelope is what every frame holds.
type Envelope struct {
	Type      Type            `json:"type"`
	Payload   json.RawMessage `json:"payload,omitempty"`
	Timestamp time.Time       `json:"timestamp"`
	MessageID string          `json:"messageId"`
	// Traceparent and Tracestate carry W3C trace context. A malformed one is
	// ignored, never refused.
	Traceparent string `json:"traceparent,omitempty"`
	Tracestate  string `json:"tracestate,omitempty"`
	// Seq numbers the messages of a stream for senders that count them.
	Seq uint64 `json:"seq,omitempty"`
}

// Get returns the trace context field that key names. Together with Set and
// Keys it makes an Envelope a propagation.TextMapCarrier.
func (e *Envelope) Get(key string) string {
	switch key {
	case "traceparent":
		return e.Traceparent
	case "tracestate":
		return e.Tracestate
	default:
		return ""
	}
}

// Set sets the trace context field that key names; other keys are ignored.
func (e *Envelope) Set(key, value string) {
	switch key {
	case "traceparent":
		e.Traceparent = value
	case "tracestate":
		e.Tracestate = value
	}
}

// Keys returns the names of the trace context fields.
func (e *Envelope) Keys() []string { return []string{"traceparent", "tracestate"} }

// JoinPayload asks to be in a room.
type JoinPayload struct {
	Room string `json:"room"`
}

// LeavePayload asks to be out of a room.
type LeavePayload struct {
	Room string `json:"room"`
}

// MessagePayload is a chat message. A client sends room and text; the server
// adds who said it and the id under which it was accepted.
type MessagePayload struct {
	Room    string `json:"room"`
	Text    string `json:"text"`
	SavedID string `json:"savedId,omitempty"`
	From    string `json:"from,omitempty"`
}

// AckPayload answers one join, leave or message.
type AckPayload struct {
	Success bool   `json:"success"`
	SavedID string `json:"savedId,omitempty"` // of an accepted message
	Error   Code   `json:"error,omitempty"`   // of a refused request
	Reason  string `json:"reason,omitempty"`  // Error in words
}

// PresencePayload tells a room that somebody came or went.
type PresencePayload struct {
	Room string `json:"room"`
	User string `json:"user"`
}

// RoomUsersPayload tells who joins a room who is in it. Of a large room only
// some users are listed; Count is always all of them.
type RoomUsersPayload struct {
	Room  string   `json:"room"`
	Users []string `json:"users"`
	Count int      `json:"count"`
}

// ErrorPayload answers a frame that is not a request the server understands.
type ErrorPayload struct {
	Code   Code   `json:"code"`
	Reason string `json:"reason"`
}

// GoingAwayPayload announces that the server is about to close.
type GoingAwayPayload struct {
	Reason string `json:"reason"`
}

// New makes an envelope that is stamped with the present. An empty id is
// replaced by a fresh one; a nil payload is left out.
func New(typ Type, id string, payload any) (Envelope, error) {
	if id == "" {
		id = uuid.NewString()
	}
	env := Envelope{Type: typ, Timestamp: time.Now().UTC(), MessageID: id}
	if payload == nil {
		return env, nil
	}
	data, err := json.Marshal(payload)
	if err != nil {
		return Envelope{}, fmt.Errorf("encode the payload of a %s: %w", typ, err)
	}
	env.Payload = data
	return env, nil
}

// Frame is an encoded envelope, ready to be written to any number of
// connections. They share it, so it must not be changed.
type Frame struct {
	Type Type
	Data []byte
}

// Frame encodes the envelope.
func (e *Envelope) Frame() (*Frame, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode a %s: %w", e.Type, err)
	}
	return &Frame{Type: e.Type, Data: data}, nil
}

// NewFrame makes a frame of what New makes.
func NewFrame(typ Type, id string, payload any) (*Frame, error) {
	env, err := New(typ, id, payload)
	if err != nil {
		return nil, err
	}
	return env.Frame()
}
