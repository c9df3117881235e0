package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/transport"
)

// provocation is something that the server has to refuse. The zero value is none.
type provocation struct {
	name string
	kind int // of the frame; 0 for bytes that are none
	data string
	code int // with which the connection has to be closed; 0 if it has to stay
}

func (p provocation) ends() bool { return p.code != 0 }

// someID is a messageId that a provocation can have.
const someID = "00000000-0000-4000-8000-000000000000"

// malformed returns frames that can't be read, or ask for what can't be.
func malformed() []provocation {
	request := func(typ, rest string) string {
		return fmt.Sprintf(`{"type":%q,"timestamp":"2026-01-02T15:04:05Z","messageId":%q%s}`, typ, someID, rest)
	}
	const text = websocket.TextMessage
	const mask = "\x00\x00\x00\x00"
	return []provocation{
		{"no JSON", text, "hello", 0},
		{"nothing", text, "", 0},
		{"an array", text, "[]", 0},
		{"deep nesting", text, strings.Repeat("[", 4000), 0},
		{"cut short", text, `{"type":"message","payload":{"room":`, 0},
		{"two objects", text, request("ping", "") + request("ping", ""), 0},
		{"unknown field", text, request("ping", `,"color":"red"`), 0},
		{"unknown type", text, request("shout", ""), 0},
		{"no id", text, `{"type":"ping","timestamp":"2026-01-02T15:04:05Z"}`, 0},
		{"no payload", text, request("join", ""), 0},
		{"wrong payload", text, request("message", `,"payload":{"room":1,"text":true}`), 0},
		{"room that was not joined", text, request("message", `,"payload":{"room":"elsewhere","text":"hello"}`), 0},
		{"binary frame", websocket.BinaryMessage, request("ping", ""), 0},
		{"no text", text, "{\"type\":\"\xff\"}", websocket.CloseInvalidFramePayloadData},
		{"reserved bits", 0, "\xf1\x80" + mask, websocket.CloseProtocolError},
		{"reserved opcode", 0, "\x83\x80" + mask, websocket.CloseProtocolError},
		{"no mask", 0, "\x81\x02{}", websocket.CloseProtocolError},
		{"continuation of nothing", 0, "\x80\x80" + mask, websocket.CloseProtocolError},
		{"control frame too long", 0, "\x89\xfe\x00\x7e" + mask + strings.Repeat("x", 126), websocket.CloseProtocolError},
	}
}

func oversize() []provocation {
	return []provocation{{
		"oversize", websocket.TextMessage, strings.Repeat(" ", wire.MaxFrameBytes+1), websocket.CloseMessageTooBig,
	}}
}

// provocation returns the one that message n of the group is.
func (g *group) provocation(n int) provocation {
	if len(g.provocations) == 0 {
		return provocation{}
	}
	return g.provocations[n%len(g.provocations)]
}

// provoke writes what message n of the group is. If that fails, the connection has ended, which the reader notices.
func (p *peer) provoke(conn transport.Conn, n int) {
	socket, ok := conn.(transport.Socket)
	what := p.group.provocation(n)
	switch {
	case !ok: // only WebSockets are provoked, see Group.check
	case what.kind == 0:
		_ = socket.WriteRaw([]byte(what.data))
	default:
		_ = socket.WriteFrame(what.kind, []byte(what.data))
	}
}

// takeRefusal takes the answer to the first provocation that was sent and not answered.
func (p *peer) takeRefusal(a answer) {
	t := p.group.run.tally
	p.mu.Lock()
	n, sent := 0, p.written > 0
	if sent {
		n = p.outstanding[0]
	}
	p.mu.Unlock()
	what := p.group.provocation(n)
	switch {
	case !sent || what.ends():
		t.note(&t.strange, "answer to nothing")
	case a.Success || a.refusal().Code == "":
		p.answered(n)
		t.note(&t.strange, what.name+" was accepted")
	default:
		p.answered(n)
		t.rebuffed.Add(1)
		t.expect(fmt.Sprintf("%s: %s", what.name, a.refusal().Code), 1)
	}
}

// rebuffed reports whether a connection has ended because of the last thing that was written to it, and judges how.
func (p *peer) rebuffed(written int, err error) bool {
	if !p.group.provokes() || written == 0 {
		return false
	}
	p.mu.Lock()
	n := p.outstanding[written-1]
	p.mu.Unlock()
	what := p.group.provocation(n)
	if !what.ends() {
		return false
	}
	p.answered(n)
	t := p.group.run.tally
	var end *transport.EndError
	if !errors.As(err, &end) || end.Code != what.code {
		t.note(&t.strange, what.name+": "+endReason(err))
		return true
	}
	t.rebuffed.Add(1)
	t.expect(fmt.Sprintf("%s: closed with %d", what.name, end.Code), 1)
	return true
}

// badTokens makes Authorization headers that have to be refused.
type badTokens struct{ stranger *auth.Authority }

func newBadTokens() (badTokens, error) {
	key, err := auth.LoadKey("") // a random one
	if err != nil {
		return badTokens{}, err
	}
	stranger, err := auth.New(key)
	return badTokens{stranger}, err
}

// header returns the n'th bad header and what is wrong with it.
func (b badTokens) header(n int) (what, header string, err error) {
	token, err := b.stranger.Issue("stranger", nil, time.Hour)
	if err != nil {
		return "", "", err
	}
	kinds := []struct{ what, header string }{
		{"token of a stranger", "Bearer " + token},
		{"token cut short", "Bearer " + token[:len(token)/2]},
		{"token without a signature", "Bearer eyJhbGciOiJub25lIn0." + strings.Split(token, ".")[1] + "."},
		{"token that is none", "Bearer x"},
		{"scheme other than bearer", "Basic YTpi"},
	}
	k := kinds[n%len(kinds)]
	return k.what, k.header, nil
}

// tryBadToken makes a handshake that has to be refused.
func (g *group) tryBadToken(n int) {
	t := g.run.tally
	defer t.unanswered.Add(-1)
	what, header, err := g.run.badTokens.header(n)
	if err != nil {
		t.note(&t.strange, "no bad token: "+err.Error())
		return
	}
	conn, err := g.run.dialer.dial(g.run.live, g.Transport, n, 0, 0, header)
	var refused *transport.RefusedError
	switch {
	case err == nil:
		conn.Cut()
		t.note(&t.strange, what+" was accepted")
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		t.rebuffed.Add(1)
		t.expect(fmt.Sprintf("%s: refused with %d", what, refused.Status), 1)
	case errors.Is(err, context.Canceled): // the run is over
	default:
		t.note(&t.strange, what+": "+failure(err))
	}
}
