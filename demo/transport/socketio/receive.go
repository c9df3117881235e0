package socketio

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/transport/socketio/packet"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// errTooBig is that of a message above the protocol's limit.
var errTooBig = errors.New("socketio: a message is longer than the server takes")

// partial is a binary packet of which attachments are still to come.
type partial struct {
	packet.Packet
	text   []byte // nil if there is no such packet
	pieces [][]byte
	size   int
}

// take handles one packet of Engine.IO, unless it ends the client. It reports whether the client goes on.
func (c *client) take(u unit) bool {
	c.handling.Lock()
	defer c.handling.Unlock()
	defer c.recovered()
	if _, closing := c.closing(); closing {
		return false
	}
	switch err := c.takeUnit(u); {
	case errors.Is(err, errTooBig):
		c.fail(instrument.ReasonMessageTooBig, err)
	case err != nil:
		c.fail(instrument.ReasonProtocolError, err)
	default:
		return true
	}
	return false
}

// recovered ends a client of whose message the handler has panicked. The session has counted and logged the panic.
func (c *client) recovered() {
	if recover() != nil {
		c.close(local(instrument.ReasonInternal, nil), "")
	}
}

// fail ends a client that does not keep to the protocol.
func (c *client) fail(reason instrument.CloseReason, err error) {
	for _, p := range c.members() {
		p.conn.Failed(context.Background(), instrument.ErrorRead, err)
	}
	c.close(local(reason, err), err.Error())
}

// takeUnit handles a packet. An error means that the client does not keep to the protocol.
func (c *client) takeUnit(u unit) error {
	if u.binary {
		return c.takePiece(u.data)
	}
	switch {
	case len(u.data) == 1 && u.data[0] == packet.EnginePong:
		c.pong()
	case len(u.data) == 1 && u.data[0] == packet.EngineClose:
		c.end(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal})
	case len(u.data) > 0 && u.data[0] == packet.EngineMessage:
		return c.takeText(u.data[1:])
	default:
		return errors.New("socketio: a packet of Engine.IO that a client does not send here")
	}
	return nil
}

func (c *client) takeText(text []byte) error {
	if c.partial.text != nil {
		return errors.New("socketio: a packet comes before all attachments of the one before")
	}
	if len(text) > wire.MaxFrameBytes {
		return errTooBig
	}
	p, err := packet.Parse(text)
	if err != nil {
		return err
	}
	if p.Attachments > 0 {
		c.partial = partial{Packet: p, text: text, size: len(text)}
		return nil
	}
	return c.dispatch(p, text, nil)
}

// takePiece takes an attachment, and handles its packet with the last one.
func (c *client) takePiece(data []byte) error {
	whole := &c.partial
	if whole.text == nil {
		return errors.New("socketio: an attachment comes without a packet")
	}
	whole.pieces = append(whole.pieces, data)
	if whole.size += len(data); whole.size > wire.MaxFrameBytes {
		return errTooBig
	}
	if len(whole.pieces) < whole.Attachments {
		return nil
	}
	p := *whole
	c.partial = partial{}
	return c.dispatch(p.Packet, p.text, p.pieces)
}

// dispatch handles a packet of Socket.IO.
func (c *client) dispatch(p packet.Packet, text []byte, pieces [][]byte) error {
	if p.Kind == packet.Connect {
		return c.connect(p)
	}
	if _, known := c.handler.cfg.Namespaces[p.Namespace]; !known {
		return errors.New("socketio: a packet for a namespace that there is not")
	}
	to := c.member(p.Namespace)
	switch p.Kind {
	case packet.Disconnect:
		if to != nil {
			c.leave(to, instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal})
		}
	case packet.Event, packet.BinaryEvent:
		if to != nil { // else the server has closed the namespace, and the client does not know yet
			to.receive(p, text, pieces)
		}
	default:
		return errors.New("socketio: a client sends no such packet, because nothing here asks for it")
	}
	return nil
}

// receive hands an event to the session.
func (p *peer) receive(e packet.Packet, text []byte, pieces [][]byte) {
	env, err := decode(e, pieces)
	p.expect(request{
		id: env.MessageID, typ: env.Type, what: subject(&env), ack: e.ID, hasAck: e.HasID,
	})
	for _, piece := range pieces {
		text = append(text, piece...)
	}
	ctx := p.conn.Context(context.Background())
	p.session.Receive(ctx, text, func([]byte) (wire.Envelope, error) { return env, err })
}

// subject returns the room or the stream that a request is about.
func subject(env *wire.Envelope) string {
	if room := env.Room(); room != "" {
		return room
	}
	stream, _ := env.Stream() // one that can't be read is refused, and changes nothing
	return stream.Stream
}

// decode reads the message in an event: its only argument, in JSON or as one attachment in MessagePack. The envelope
// has a messageId even if the message can't be read, by which the answer finds its way.
func decode(e packet.Packet, pieces [][]byte) (env wire.Envelope, err error) {
	defer func() {
		if env.MessageID == "" {
			env.MessageID = uuid.NewString()
		}
	}()
	refuse := func(reason string) (wire.Envelope, error) {
		return wire.Envelope{}, &wire.RefusalError{Code: wire.CodeBadEnvelope, Reason: reason}
	}
	name, args := e.Arguments()
	switch {
	case name == "" || len(args) > 1 || len(pieces) > 1:
		return refuse("an event has a name and one argument: the message, or one attachment that is the message")
	case len(pieces) == 1 && (len(args) == 0 || !isPlaceholder(args[0])):
		return refuse("an attachment has to be the message itself, in MessagePack")
	case len(pieces) == 1:
		env, err = wire.DecodeMessagePack(pieces[0])
	case len(args) == 1:
		env, err = decodeJSON(name, args[0])
	default:
		env, err = decodeJSON(name, []byte("{}"))
	}
	if err == nil && string(env.Type) != name {
		_, err = refuse("type has to be the event's name")
	}
	return env, err
}

// decodeJSON decodes a message that may leave out what Socket.IO says anyway.
func decodeJSON(name string, arg json.RawMessage) (wire.Envelope, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(arg, &fields) != nil || fields == nil {
		return wire.Envelope{}, &wire.RefusalError{Code: wire.CodeBadJSON, Reason: "the argument of an event has to be an object"}
	}
	own, err := wire.New(wire.Type(name), "", nil)
	if err != nil {
		return wire.Envelope{}, err
	}
	for key, value := range map[string]any{"type": own.Type, "timestamp": own.Timestamp, "messageId": own.MessageID} {
		if _, given := fields[key]; given {
			continue
		}
		if fields[key], err = json.Marshal(value); err != nil {
			return wire.Envelope{}, err
		}
	}
	full, err := json.Marshal(fields)
	if err != nil {
		return wire.Envelope{}, &wire.RefusalError{Code: wire.CodeBadJSON, Reason: "the argument of an event can't be read"}
	}
	return wire.Decode(full)
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
