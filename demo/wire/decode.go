package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// The sizes that a client has to keep to.
const (
	MaxFrameBytes = 8 << 10 // a larger frame closes the connection with 1009
	MaxTextBytes  = 4 << 10
	MaxRoomBytes  = 64
	MaxNameRunes  = 32
	MaxTokenBytes = 4 << 10
	MaxHistory    = 100 // messages in one answer
)

// uuidLength is that of the usual form; package uuid reads others too.
const uuidLength = 36

// Code tells a program why something was refused.
type Code string

// The codes of refusals.
const (
	CodeWrongKind      Code = "wrong_kind" // a text frame where MessagePack was agreed, or the other way round
	CodeBadJSON        Code = "bad_json"
	CodeBadMessagePack Code = "bad_message_pack"
	CodeBadProtobuf    Code = "bad_protobuf"
	CodeBadEnvelope    Code = "bad_envelope"
	CodeUnknownType    Code = "unknown_type"
	CodeBadPayload     Code = "bad_payload"
	CodeUnauthorized   Code = "unauthorized" // no token, or one that does not hold
	CodeForbidden      Code = "forbidden"    // a room that the token does not open
	CodeTooManyRooms   Code = "too_many_rooms"
	CodeNotInRoom      Code = "not_in_room"
	CodeRateLimited    Code = "rate_limited"
	CodeServerFull     Code = "server_full"
	CodeOutdated       Code = "outdated"    // an edit of a version that is not kept
	CodeUnavailable    Code = "unavailable" // the store does not answer; send again with the same messageId
)

// RefusalError is why a message was refused: a code for programs and a reason for people. The reason never repeats what
// the client sent.
type RefusalError struct {
	Code   Code
	Reason string
	// Cause is the error of the service itself that is behind it, if there is one.
	Cause error
}

// Error returns the code and the reason.
func (p *RefusalError) Error() string { return string(p.Code) + ": " + p.Reason }

// Unwrap returns the Cause.
func (p *RefusalError) Unwrap() error { return p.Cause }

func problem(code Code, format string, args ...any) *RefusalError {
	return &RefusalError{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// Decode reads a frame from a client. It is strict: unknown fields, anything after the object, and missing or malformed
// fields are refused with a
// *RefusalError. The envelope then holds what could be told of the frame, so that
// the answer can name its messageId.
func Decode(frame []byte) (Envelope, error) {
	if !utf8.Valid(frame) {
		return Envelope{}, problem(CodeBadJSON, "a frame has to be UTF-8")
	}
	var env Envelope
	if p := decodeObject(frame, &env, CodeBadJSON, "frame"); p != nil {
		return Envelope{}, p
	}
	return checked(env)
}

// checked returns an envelope that was read, and what is missing or malformed of it.
func checked(env Envelope) (Envelope, error) {
	// Without a valid id there is nothing that an answer could refer to.
	if err := CheckMessageID(env.MessageID); err != nil {
		env.MessageID = ""
		return env, err
	}
	if env.Type == "" {
		return env, problem(CodeBadEnvelope, "type is missing")
	}
	if !slices.Contains(clientTypes(), env.Type) {
		return env, problem(CodeUnknownType, "a client sends one of %v", clientTypes())
	}
	if env.Timestamp.IsZero() {
		return env, problem(CodeBadEnvelope, "timestamp is missing")
	}
	return env, nil
}

// Auth returns the payload of an auth.
func (e *Envelope) Auth() (AuthPayload, error) {
	var p AuthPayload
	err := e.payload(&p, func() error {
		switch {
		case p.Token == "":
			return problem(CodeBadPayload, "token is missing")
		case len(p.Token) > MaxTokenBytes:
			return problem(CodeBadPayload, "token is longer than %d bytes", MaxTokenBytes)
		}
		return nil
	})
	return p, err
}

// Join returns the payload of a join.
func (e *Envelope) Join() (JoinPayload, error) {
	var p JoinPayload
	err := e.payload(&p, func() error { return CheckRoom(p.Room) })
	return p, err
}

// Leave returns the payload of a leave.
func (e *Envelope) Leave() (RoomPayload, error) {
	var p RoomPayload
	err := e.payload(&p, func() error { return CheckRoom(p.Room) })
	return p, err
}

// Message returns the payload of a message as a client may send it.
func (e *Envelope) Message() (MessagePayload, error) {
	var p MessagePayload
	err := e.payload(&p, func() error {
		if p.SavedID != "" || p.From != "" {
			return problem(CodeBadPayload, "savedId and from are set by the server")
		}
		if err := CheckText(p.Text); err != nil {
			return err
		}
		return CheckRoom(p.Room)
	})
	return p, err
}

// Typing returns the payload of a typing as a client may send it.
func (e *Envelope) Typing() (TypingPayload, error) {
	var p TypingPayload
	err := e.payload(&p, func() error {
		if p.User != "" {
			return problem(CodeBadPayload, "user is set by the server")
		}
		return CheckRoom(p.Room)
	})
	return p, err
}

// Read returns the payload of a read as a client may send it.
func (e *Envelope) Read() (ReadPayload, error) {
	var p ReadPayload
	err := e.payload(&p, func() error {
		switch {
		case p.User != "":
			return problem(CodeBadPayload, "user is set by the server")
		case p.Seq == 0:
			return problem(CodeBadPayload, "seq is missing: the first message of a room has 1")
		}
		return CheckRoom(p.Room)
	})
	return p, err
}

// History returns the payload of a history with its limit set.
func (e *Envelope) History() (HistoryRequest, error) {
	var p HistoryRequest
	err := e.payload(&p, func() error {
		if p.Limit < 0 || p.Limit > MaxHistory {
			return problem(CodeBadPayload, "limit has to be 1 to %d", MaxHistory)
		}
		if p.Limit == 0 {
			p.Limit = MaxHistory
		}
		return CheckRoom(p.Room)
	})
	return p, err
}

// Stream returns the payload of a subscribe or unsubscribe.
func (e *Envelope) Stream() (StreamPayload, error) {
	var p StreamPayload
	err := e.payload(&p, func() error { return CheckStream(p.Stream) })
	return p, err
}

// Notify returns the payload of a notify.
func (e *Envelope) Notify() (NotifyPayload, error) {
	var p NotifyPayload
	err := e.payload(&p, func() error {
		if err := CheckText(p.Text); err != nil {
			return err
		}
		return CheckName(p.User)
	})
	return p, err
}

// Room returns the name of the room that a client's message is about, or that holds the document it is about, whether
// there can be such a room or not. It is empty if the message is about none.
func (e *Envelope) Room() string {
	var p struct{ Room, Document string }
	_ = json.Unmarshal(e.Payload, &p) // what can't be read is refused by who reads all of it
	if p.Document != "" {
		return DocumentRoom(p.Document)
	}
	return p.Room
}

func (e *Envelope) payload(into any, check func() error) error {
	if len(e.Payload) == 0 {
		return problem(CodeBadPayload, "payload is missing")
	}
	if p := decodeObject(e.Payload, into, CodeBadPayload, "payload"); p != nil {
		return p
	}
	return check()
}

// decodeObject decodes exactly one JSON object without unknown fields.
func decodeObject(data []byte, into any, code Code, what string) *RefusalError {
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return problem(code, "a %s has to be a JSON object", what)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return problem(code, "%s: %s", what, reasonOf(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return problem(code, "a %s has to be one JSON object with nothing after it", what)
	}
	return nil
}

// reasonOf tells what is wrong without quoting the client's own words, which would end up in logs.
func reasonOf(err error) string {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("malformed JSON at byte %d", syntax.Offset)
	case errors.As(err, &mismatch) && mismatch.Field != "":
		return fmt.Sprintf("%s has to be a %s", mismatch.Field, mismatch.Type.Kind())
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON ends too early"
	case strings.Contains(err.Error(), "unknown field"):
		return "a field is not known"
	default:
		return "a value has the wrong form"
	}
}

// CheckStream reports what is wrong with the name of a stream.
func CheckStream(name string) error {
	if name != StreamMarket && name != StreamDashboard {
		return problem(CodeBadPayload, "stream has to be %s or %s", StreamMarket, StreamDashboard)
	}
	return nil
}

// CheckMessageID reports what is wrong with the id that a client gives a message.
func CheckMessageID(id string) error {
	if _, err := uuid.Parse(id); err != nil || len(id) != uuidLength {
		return problem(CodeBadEnvelope, "messageId has to be a UUID")
	}
	return nil
}

// CheckText reports what is wrong with what a client says.
func CheckText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return problem(CodeBadPayload, "text is missing")
	case len(text) > MaxTextBytes:
		return problem(CodeBadPayload, "text is longer than %d bytes", MaxTextBytes)
	}
	return nil
}

// CheckRoom reports what is wrong with the name of a room that a client is to be in.
func CheckRoom(room string) error {
	if strings.HasPrefix(room, documentRooms) {
		return problem(CodeBadPayload, "rooms whose names begin with %s hold documents: open the document", documentRooms)
	}
	return CheckRoomName(room)
}

// CheckRoomName reports what is wrong with the name of a room.
func CheckRoomName(room string) error {
	switch {
	case room == "":
		return problem(CodeBadPayload, "room is missing")
	case len(room) > MaxRoomBytes:
		return problem(CodeBadPayload, "room is longer than %d bytes", MaxRoomBytes)
	}
	for _, r := range room {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r) {
			return problem(CodeBadPayload, "room may hold letters, digits, dots, dashes and underscores")
		}
	}
	return nil
}

// CheckName reports what is wrong with the name a user wants to be called by.
func CheckName(name string) error {
	switch {
	case !utf8.ValidString(name) || strings.TrimSpace(name) != name || name == "":
		return problem(CodeBadPayload, "a name is text without spaces around it")
	case utf8.RuneCountInString(name) > MaxNameRunes:
		return problem(CodeBadPayload, "a name is longer than %d characters", MaxNameRunes)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return problem(CodeBadPayload, "a name has only printable characters")
		}
	}
	return nil
}
