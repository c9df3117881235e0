package socketio

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/session"
	"github.com/sockscope/sockscope/demo/transport/socketio/packet"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// maxPending bounds the requests of one peer that have no answer yet. Older ones have none, such as typing.
const maxPending = 256

// peer is a client in one namespace: a connection, and the link of its session.
type peer struct {
	client    *client
	namespace string
	observer  *observe.Observer
	conn      *instrument.Conn
	session   *session.Session
	binary    bool // messages go to the client as MessagePack

	place place // of who writes

	mu      sync.Mutex
	pending []request // in the order in which they have come, and are answered
}

// request is a message of the client's that is to be answered.
type request struct {
	id       string // its messageId
	typ      wire.Type
	what     string // the room or stream that it is about
	ack      uint64 // by which the client wants to get the answer
	hasAck   bool
	restores bool // it is asked for the client, after a break
}

// expect notes a request before it is handled.
func (p *peer) expect(r request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pending) == maxPending {
		p.pending = slices.Delete(p.pending, 0, 1)
	}
	p.pending = append(p.pending, r)
}

// answered returns the request that a frame answers. Those before it have no answer any more.
func (p *peer) answered(f *wire.Frame) (request, bool) {
	if f.Type != wire.TypeAck && f.Type != wire.TypePong && f.Type != wire.TypeError {
		return request{}, false
	}
	var env struct{ MessageID string }
	if json.Unmarshal(f.Data, &env) != nil {
		return request{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.pending, func(r request) bool { return r.id == env.MessageID })
	if i < 0 {
		return request{}, false
	}
	r := p.pending[i]
	p.pending = slices.Delete(p.pending, 0, i+1)
	return r, true
}

// restoring reports whether the room is being joined for the client.
func (p *peer) restoring(room string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.pending, func(r request) bool { return r.restores && r.typ == wire.TypeJoin && r.what == room })
}

// Write implements session.Link.
func (p *peer) Write(f *wire.Frame) (typ instrument.MessageType, size int, err error) {
	typ = p.observer.TypeOf(f.Type)
	if r, ok := p.answered(f); ok {
		size, err = p.answer(r, f)
		return typ, size, err
	}
	missed, err := p.missed(f)
	if err != nil {
		return typ, 0, err
	}
	for _, f := range missed {
		n, err := p.emit(f, false)
		if size += n; err != nil {
			return typ, size, err
		}
	}
	return typ, size, nil
}

// missed returns the frame, or the messages in it if it has what the client has missed during a break.
func (p *peer) missed(f *wire.Frame) ([]*wire.Frame, error) {
	if f.Type != wire.TypeHistory {
		return []*wire.Frame{f}, nil
	}
	var env struct{ Payload wire.HistoryPayload }
	if err := json.Unmarshal(f.Data, &env); err != nil || !p.restoring(env.Payload.Room) {
		return []*wire.Frame{f}, err
	}
	messages := make([]*wire.Frame, 0, len(env.Payload.Messages))
	for _, m := range env.Payload.Messages {
		said, err := wire.New(wire.TypeMessage, m.MessageID, wire.MessagePayload{
			Room: env.Payload.Room, Text: m.Text, SavedID: m.SavedID, From: m.From,
		})
		if err != nil {
			return nil, err
		}
		said.Timestamp, said.Traceparent, said.Seq = m.Timestamp, m.Traceparent, m.Seq
		frame, err := said.Frame()
		if err != nil {
			return nil, err
		}
		messages = append(messages, frame)
	}
	return messages, nil
}

// answer sends the answer to a request: as an acknowledgement if the client waits for one, or else as an event.
func (p *peer) answer(r request, f *wire.Frame) (size int, err error) {
	var env struct{ Payload wire.AckPayload }
	success := json.Unmarshal(f.Data, &env) == nil && env.Payload.Success
	moved := false
	switch {
	case success && r.typ == wire.TypeLeave:
		delete(p.place.rooms, r.what)
		moved = true
	case success && r.typ == wire.TypeUnsubscribe:
		delete(p.place.streams, r.what)
		moved = true
	case success && r.typ == wire.TypeSubscribe:
		p.place.streams[r.what] = true
		moved = true
	case !success && r.restores && r.typ == wire.TypeJoin: // the client thinks that it is there
		f, err = wire.NewFrame(wire.TypeLeft, "", wire.PresencePayload{Room: r.what, User: p.session.Identity().User})
		if err != nil {
			return 0, err
		}
	}
	if !r.hasAck {
		return p.emit(f, moved)
	}
	size, err = p.write(packet.Packet{Kind: packet.Ack, ID: r.ack, HasID: true}, "[", f, "]")
	if err == nil && moved { // the client takes the offset from events only
		_, err = p.client.send(unit{data: p.text(packet.Packet{Kind: packet.Event}, `["offset"`, nil, p.offset()+"]")})
	}
	return size, err
}

// emit sends a frame as an event. Its last argument is the offset, if the place has moved.
func (p *peer) emit(f *wire.Frame, moved bool) (size int, err error) {
	end := "]"
	if p.place.advance(f, p.session.Identity().User) || moved {
		end = p.offset() + "]"
	}
	return p.write(packet.Packet{Kind: packet.Event}, `["`+string(f.Type)+`",`, f, end)
}

// offset returns the place as an argument that follows another one.
func (p *peer) offset() string { return `,"` + p.place.String() + `"` }

// write sends a packet: the frame as text between before and after, or the frame as an attachment.
func (p *peer) write(k packet.Packet, before string, f *wire.Frame, after string) (size int, err error) {
	if !p.binary {
		return p.client.send(unit{data: p.text(k, before, f.Data, after)})
	}
	data, _, err := f.Encode(wire.MessagePack, prepare)
	if err != nil {
		return 0, err
	}
	k.Kind += packet.BinaryEvent - packet.Event // likewise for an acknowledgement
	k.Attachments = 1
	return p.client.send(unit{data: p.text(k, before, []byte(placeholder), after)}, unit{binary: true, data: data})
}

// prepare does what the transport of WebSockets does, with which frames are shared.
func prepare(data []byte) (any, error) {
	return websocket.NewPreparedMessage(websocket.BinaryMessage, slices.Clip(data))
}

// text returns a packet as a message of Engine.IO.
func (p *peer) text(k packet.Packet, before string, data []byte, after string) []byte {
	k.Namespace = p.namespace
	to := make([]byte, 0, len(p.namespace)+len(before)+len(data)+len(after)+32)
	to = k.Append(append(to, packet.EngineMessage))
	return append(append(append(to, before...), data...), after...)
}

// Ping implements session.Link.
func (p *peer) Ping() { p.client.ping() }

// Close implements session.Link. A client whose fault the end is has to do something before it comes back, so its
// namespace is closed: Socket.IO's clients don't connect again by themselves then. They do when the connection breaks.
func (p *peer) Close(reason instrument.CloseReason, text string) {
	cause := instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: reason}
	switch reason {
	case instrument.ReasonPolicy, instrument.ReasonTokenExpired:
		k := packet.Packet{Kind: packet.Disconnect, Namespace: p.namespace}
		_, _ = p.client.send(unit{data: k.Append([]byte{packet.EngineMessage})}) // an error has ended the client
		p.client.leave(p, cause)
		if reason == instrument.ReasonTokenExpired {
			return // the other namespaces may have a newer token
		}
	}
	p.client.close(cause, text)
}

// Cut implements session.Link.
func (p *peer) Cut() {
	reason := instrument.ReasonAbnormal
	if p.observer.Draining() {
		reason = instrument.ReasonShutdown
	}
	p.client.end(instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: reason})
}

// restore joins the rooms and streams in which the client was before a break.
func (p *peer) restore(ctx context.Context, was place) {
	for room, seq := range was.rooms {
		p.ask(ctx, wire.TypeJoin, room, wire.JoinPayload{Room: room, After: &seq})
	}
	for stream := range was.streams {
		p.ask(ctx, wire.TypeSubscribe, stream, wire.StreamPayload{Stream: stream})
	}
}

// ask has the session handle a request that the client need not send.
func (p *peer) ask(ctx context.Context, typ wire.Type, what string, payload any) {
	env, err := wire.New(typ, "", payload)
	if err == nil {
		var f *wire.Frame
		if f, err = env.Frame(); err == nil {
			p.expect(request{id: env.MessageID, typ: typ, what: what, restores: true})
			p.session.Receive(ctx, f.Data, wire.Decode)
			return
		}
	}
	p.conn.Failed(ctx, instrument.ErrorHandler, err)
}
