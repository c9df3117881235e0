package wire

import (
	"fmt"
	"sync"
)

// An Encoding is how frames look on a connection.
type Encoding uint8

// The encodings. JSON is the one of a client that asks for none.
const (
	JSON Encoding = iota
	MessagePack
	Protobuf
	encodings
)

// The WebSocket subprotocols by which a client chooses its encoding.
const (
	SubprotocolJSON        = "sockscope.json"
	SubprotocolMessagePack = "sockscope.msgpack"
)

// A Frame is a message to clients, which all of its recipients share: it is encoded once in each encoding that one of
// them needs, and must not be changed.
type Frame struct {
	Type Type
	// Room and Seq are those of a room's message, empty for all others. Epoch is another one when the room, whose
	// history has forgotten it or has lost its newest messages, gives numbers again.
	Room  string
	Seq   uint64
	Epoch uint64
	// Key says what the frame is the newest of: while it waits in a send queue, a newer frame with the same key may
	// take its place. Frames with an empty key are all of worth.
	Key string
	// Supersedes says that the frame takes the place of the one with the same key that waits, whatever the policy of
	// the send queue: the older one is of no worth.
	Supersedes bool

	// Data is the frame as JSON.
	Data []byte

	forms [encodings]form
}

// form is a frame in one encoding.
type form struct {
	once     sync.Once
	data     []byte
	prepared any
	err      error
}

// Frame encodes the envelope.
func (e *Envelope) Frame() (*Frame, error) {
	data, err := encode(e)
	if err != nil {
		return nil, fmt.Errorf("encode a %s: %w", e.Type, err)
	}
	return &Frame{Type: e.Type, Seq: e.Seq, Data: data}, nil
}

// NewFrame makes a frame of what New makes.
func NewFrame(typ Type, id string, payload any) (*Frame, error) {
	env, err := New(typ, id, payload)
	if err != nil {
		return nil, err
	}
	return env.Frame()
}

// Encode returns the frame in an encoding, and what a transport has made of that with prepare when the first recipient
// needed it, unless that is nil. Transports that share an encoding prepare the same: a message of gorilla/websocket.
func (f *Frame) Encode(e Encoding, prepare func(data []byte) (any, error)) (data []byte, prepared any, err error) {
	form := &f.forms[e]
	form.once.Do(func() {
		switch e {
		case MessagePack:
			form.data, form.err = toMessagePack(f.Data)
		case Protobuf:
			form.data, form.err = toProtobuf(f.Data)
		default:
			form.data = f.Data
		}
		if form.err == nil && prepare != nil {
			form.prepared, form.err = prepare(form.data)
		}
	})
	return form.data, form.prepared, form.err
}
