package transport

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/demo/transport/socketio/packet"
	"github.com/sockscope/sockscope/demo/wire"
)

// socketIOQuery opens a client of Engine.IO, revision 4, with a WebSocket from the start.
const socketIOQuery = "?EIO=4&transport=websocket"

// socketIO is a client of Socket.IO in the default namespace.
type socketIO struct{ *socket }

func (d *Dialer) dialSocketIO(ctx context.Context, l *lines, o Options) (Conn, error) {
	address := strings.Replace(o.Server.HTTP("/socket.io/"), "http", "ws", 1) + socketIOQuery
	s, err := d.dialSocket(ctx, l, address, o)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, l.cut)()
	c := socketIO{s}
	if err := c.connect(); err != nil {
		l.cut()
		return nil, err
	}
	return c, nil
}

// connect enters the namespace, as the user who has opened the client.
func (c socketIO) connect() error {
	if err := c.expect(packet.EngineOpen, nil); err != nil {
		return err
	}
	hello := packet.Packet{Kind: packet.Connect, Namespace: packet.Default}
	if err := c.write(&hello); err != nil {
		return err
	}
	return c.expect(packet.EngineMessage, func(p packet.Packet) error {
		switch p.Kind {
		case packet.Connect:
			return nil
		case packet.ConnectError:
			return refusedNamespace(p.Data)
		}
		return errStray
	})
}

var errStray = errors.New("the server sends something that does not belong there")

// expect reads one packet of Engine.IO, and hands a message to take.
func (c socketIO) expect(kind byte, take func(packet.Packet) error) error {
	return c.receive(func(_ int, data []byte) error {
		if len(data) == 0 || data[0] != kind {
			return errStray
		}
		if take == nil {
			return nil
		}
		p, err := packet.Parse(data[1:])
		if err != nil {
			return err
		}
		return take(p)
	})
}

// refusedNamespace returns the error of a client that is not let into the namespace.
func refusedNamespace(data []byte) error {
	var said struct {
		Message string
		Data    struct{ Code string }
	}
	_ = json.Unmarshal(data, &said) // what there is will do
	status := http.StatusInternalServerError
	switch said.Data.Code {
	case "unauthorized":
		status = http.StatusUnauthorized
	case "forbidden":
		status = http.StatusForbidden
	case "draining", "over_capacity":
		status = http.StatusServiceUnavailable
	}
	return &RefusedError{status, said.Message}
}

// Receive implements Conn.
func (c socketIO) Receive(take func([]byte)) error {
	for {
		var message []byte
		err := c.receive(func(kind int, data []byte) (err error) {
			switch {
			case kind != websocket.TextMessage:
				return errStray
			case len(data) == 1 && data[0] == packet.EnginePing:
				_ = c.WriteFrame(websocket.TextMessage, []byte{packet.EnginePong}) // if it fails, reading fails, too
				return nil
			}
			message, err = messageIn(data)
			return err
		})
		if err != nil {
			c.cut()
			return err
		}
		if message != nil {
			take(message)
			return nil
		}
	}
}

// messageIn returns the message in an event of Socket.IO, in a packet of Engine.IO.
func messageIn(data []byte) ([]byte, error) {
	if len(data) == 0 || data[0] != packet.EngineMessage {
		return nil, errStray
	}
	p, err := packet.Parse(data[1:])
	if err != nil {
		return nil, err
	}
	switch p.Kind {
	case packet.Event:
	case packet.Disconnect:
		return nil, &EndError{Text: "disconnect", Expired: true} // it may have: the server does not say
	default:
		return nil, errStray
	}
	_, args := p.Arguments()
	if len(args) == 0 || len(args[0]) == 0 || args[0][0] != '{' {
		return nil, errStray
	}
	return args[0], nil
}

// write writes a packet of Socket.IO.
func (c socketIO) write(p *packet.Packet) error {
	return c.WriteFrame(websocket.TextMessage, p.Append([]byte{packet.EngineMessage}))
}

// Decode implements Conn.
func (socketIO) Decode(data []byte) (wire.Envelope, error) { return decodeJSON(data) }

// Send implements Conn. It asks for no acknowledgement, so the answer comes as an event.
func (c socketIO) Send(env *wire.Envelope) error {
	f, err := env.Frame()
	if err != nil {
		return err
	}
	data := append(append([]byte(`["`+string(env.Type)+`",`), f.Data...), ']')
	return c.write(&packet.Packet{Kind: packet.Event, Namespace: packet.Default, Data: data})
}

// Close implements Conn.
func (c socketIO) Close() {
	bye := packet.Packet{Kind: packet.Disconnect, Namespace: packet.Default}
	_ = c.write(&bye) // or it has ended
	c.socket.Close()
}
