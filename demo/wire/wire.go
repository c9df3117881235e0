// Package wire is the demo's protocol: the envelope around every message, the payloads in it, the strict decoding of
// what a client sends, and the encodings: JSON, MessagePack and protobuf.
//
// Every frame is one object:
//
//	{"type": "message", "payload": {"room": "lobby", "text": "hello"},
//	 "timestamp": "2026-01-02T15:04:05Z", "messageId": "6f1c…", "traceparent": "00-…"}
package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Type names what a message is about.
type Type string

// The types that a client sends. Each but ping, typing, game_input and document_cursor is answered by an ack with the
// same messageId.
const (
	TypeAuth           Type = "auth"            // AuthPayload; first, where the handshake carried no token, and to renew one
	TypeJoin           Type = "join"            // JoinPayload; answered by history where After is given, and room_users
	TypeLeave          Type = "leave"           // RoomPayload
	TypeMessage        Type = "message"         // MessagePayload; delivered to the room once it is saved
	TypeTyping         Type = "typing"          // TypingPayload; delivered to the others in the room unless they are a crowd, not answered
	TypeRead           Type = "read"            // ReadPayload; delivered to the room unless it is a crowd
	TypeHistory        Type = "history"         // HistoryRequest; answered by history
	TypeSubscribe      Type = "subscribe"       // StreamPayload
	TypeUnsubscribe    Type = "unsubscribe"     // StreamPayload
	TypeNotify         Type = "notify"          // NotifyPayload; delivered to all connections of one user
	TypeGameJoin       Type = "game_join"       // no payload; answered by game
	TypeGameLeave      Type = "game_leave"      // no payload
	TypeGameInput      Type = "game_input"      // GameInputPayload; not answered, as its effect is in the next game_state
	TypeDocumentOpen   Type = "document_open"   // DocumentOpenPayload; answered by document
	TypeDocumentClose  Type = "document_close"  // DocumentClosePayload
	TypeDocumentEdit   Type = "document_edit"   // DocumentEditPayload; delivered to all editors once it is saved
	TypeDocumentCursor Type = "document_cursor" // DocumentCursorPayload; delivered to all editors, not answered
	TypePing           Type = "ping"            // no payload; answered by pong
)

// The types that only the server sends. It delivers message, typing, read, history, document_close, document_edit and
// document_cursor as well.
const (
	TypeWelcome       Type = "welcome"        // WelcomePayload; first, as soon as it is known who the client is
	TypeAck           Type = "ack"            // AckPayload, with the messageId of what it answers
	TypeJoined        Type = "joined"         // PresencePayload
	TypeLeft          Type = "left"           // PresencePayload
	TypeRoomUsers     Type = "room_users"     // RoomUsersPayload
	TypeNotification  Type = "notification"   // NotificationPayload
	TypeTicks         Type = "ticks"          // market.Batch, of the stream "market"
	TypeDashboard     Type = "dashboard"      // DashboardPayload, of the stream "dashboard"
	TypeGame          Type = "game"           // GamePayload
	TypeGameState     Type = "game_state"     // GameStatePayload, at each tick
	TypeDocument      Type = "document"       // DocumentPayload
	TypePong          Type = "pong"           // with the messageId of the ping
	TypeError         Type = "error"          // ErrorPayload
	TypeTokenExpiring Type = "token_expiring" // TokenExpiringPayload; send auth with a new one
	TypeGoingAway     Type = "going_away"     // GoingAwayPayload; the connection closes with 1012 soon
)

// Types returns every type of the protocol.
func Types() []Type {
	return append(clientTypes(), TypeWelcome, TypeAck, TypeJoined, TypeLeft, TypeRoomUsers, TypeNotification, TypeTicks, TypeDashboard,
		TypeGame, TypeGameState, TypeDocument, TypePong, TypeError, TypeTokenExpiring, TypeGoingAway)
}

func clientTypes() []Type {
	return []Type{
		TypeAuth, TypeJoin, TypeLeave, TypeMessage, TypeTyping, TypeRead, TypeHistory, TypeSubscribe, TypeUnsubscribe,
		TypeNotify, TypeGameJoin, TypeGameLeave, TypeGameInput,
		TypeDocumentOpen, TypeDocumentClose, TypeDocumentEdit, TypeDocumentCursor, TypePing,
	}
}

// Envelope is what every frame holds.
type Envelope struct {
	Type      Type            `json:"type"`
	Payload   json.RawMessage `json:"payload,omitempty"`
	Timestamp time.Time       `json:"timestamp"`
	MessageID string          `json:"messageId"`
	// Traceparent and Tracestate carry W3C trace context. A malformed one is ignored, never refused.
	Traceparent string `json:"traceparent,omitempty"`
	Tracestate  string `json:"tracestate,omitempty"`
	// Seq numbers the messages of a room, 1, 2, 3 and so on. The server sets it on what it delivers, so that a client
	// sees what it has missed.
	Seq uint64 `json:"seq,omitempty"`
}

// Get returns the trace context field that key names. Together with Set and Keys it makes an Envelope a
// propagation.TextMapCarrier.
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

// New makes an envelope that is stamped with the present. An empty id is replaced by a fresh one; a nil payload is left
// out.
func New(typ Type, id string, payload any) (Envelope, error) {
	if id == "" {
		id = uuid.NewString()
	}
	env := Envelope{Type: typ, Timestamp: time.Now().UTC(), MessageID: id}
	if payload == nil {
		return env, nil
	}
	data, err := encode(payload)
	if err != nil {
		return Envelope{}, fmt.Errorf("encode the payload of a %s: %w", typ, err)
	}
	env.Payload = data
	return env, nil
}

// encode leaves < and the like as they are: json.Marshal makes six bytes of each, so that what is said in a room would
// grow on its way.
func encode(v any) ([]byte, error) {
	var data bytes.Buffer
	to := json.NewEncoder(&data)
	to.SetEscapeHTML(false)
	if err := to.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(data.Bytes(), []byte("\n")), nil
}
