package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/transport/socketio/packet"
	"github.com/sockscope/sockscope/instrument"
)

// credentials is what a client says when it connects to a namespace: auth in its options, and what the original client
// adds after a break.
type credentials struct {
	Token    string `json:"token"`
	Encoding string `json:"encoding"` // of what it gets: "msgpack", or JSON
	Pid      string `json:"pid"`      // its private id
	Offset   string `json:"offset"`   // the last that it has got
}

// encodingMessagePack is that of a client which wants its messages as attachments.
const encodingMessagePack = "msgpack"

// connect answers a client that wants to be in a namespace. An error means that it does not keep to the protocol.
func (c *client) connect(p packet.Packet) error {
	observer, known := c.handler.cfg.Namespaces[p.Namespace]
	if !known {
		c.refuse(p.Namespace, "Invalid namespace", "")
		return nil
	}
	if c.member(p.Namespace) != nil {
		return errors.New("socketio: the client is in the namespace already")
	}
	ctx, handshake := observer.BeginHandshake(context.Background(), instrument.HTTPRequest(c.request))
	said, who, refused := c.identify(ctx, p.Data)
	if refused != nil {
		handshake.Refused(refused.Status, 0, refused.Reason)
		c.refuse(p.Namespace, refused.Reason.Error(), refused.Status.String())
		return nil
	}
	was, recovers := place{}, false
	if isPrivateID(said.Pid) && who.User != "" {
		was, recovers = parsePlace(said.Offset)
	}
	if said.Pid != "" {
		c.handler.metrics.recovery(recovers)
	}
	id := said.Pid
	if !recovers {
		id, was = newPrivateID(), newPlace()
	}
	c.open(&peer{
		client: c, namespace: p.Namespace, observer: observer, conn: handshake.Opened(0),
		binary: said.Encoding == encodingMessagePack, place: was.clone(),
	}, id, who, was)
	return nil
}

// open begins the session of a peer, and brings it to where it was.
func (c *client) open(p *peer, private string, who auth.Identity, was place) {
	p.session = c.handler.cfg.Sessions.Open(p.observer, p.conn, p)
	ids, _ := json.Marshal(map[string]string{"sid": publicID(private), "pid": private}) // strings
	k := packet.Packet{Kind: packet.Connect, Namespace: p.namespace, Data: ids}
	if _, err := c.send(unit{data: k.Append([]byte{packet.EngineMessage})}); err != nil || !c.join(p) {
		cause, _ := c.closing()
		p.conn.Closed(cause)
		return
	}
	p.session.Begin(who)
	p.restore(p.conn.Context(context.Background()), was)
}

// identify returns what a client says, and whose the token in it is. Without one it is the user who has opened the
// client.
func (c *client) identify(ctx context.Context, data json.RawMessage) (said credentials, who auth.Identity, _ *admission.Refusal) {
	if data != nil && json.Unmarshal(data, &said) != nil {
		return said, who, admission.Refuse(instrument.StatusBadHandshake, http.StatusBadRequest,
			"auth has to be an object: {token, encoding}, both of them strings")
	}
	if said.Encoding != "" && said.Encoding != encodingMessagePack {
		return said, who, admission.Refuse(instrument.StatusBadHandshake, http.StatusBadRequest,
			`encoding has to be "msgpack", or left out for JSON`)
	}
	if said.Token == "" {
		return said, c.who, nil
	}
	r := c.request.Clone(ctx)
	r.Header.Set("Authorization", "Bearer "+said.Token)
	who, refused := c.handler.cfg.Gate.Check(ctx, r)
	return said, who, refused
}

// refuse tells a client why it is not in a namespace.
func (c *client) refuse(namespace, reason, code string) {
	said := map[string]any{"message": reason}
	if code != "" {
		said["data"] = map[string]string{"code": code}
	}
	data, _ := json.Marshal(said) // strings
	k := packet.Packet{Kind: packet.ConnectError, Namespace: namespace, Data: data}
	_, _ = c.send(unit{data: k.Append([]byte{packet.EngineMessage})}) // an error has ended the client
}
