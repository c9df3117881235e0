package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/demo/wire"
)

// readBuffer is the size of a WebSocket's buffer for reading. Larger messages are read in pieces.
const readBuffer = 512

// codeTokenExpired is the close code by which the server ends a connection whose token has expired.
const codeTokenExpired = 4401

// socket is a WebSocket, whatever is said on it.
type socket struct {
	*lines
	conn  *websocket.Conn
	reads *buffers

	writing sync.Mutex // held while something is written
}

// dialSocket opens a WebSocket.
func (d *Dialer) dialSocket(ctx context.Context, l *lines, address string, o Options) (*socket, error) {
	keep := context.AfterFunc(ctx, l.cut) // it ends a handshake under way
	dialer := websocket.Dialer{
		NetDialContext: l.dial, TLSClientConfig: l.tls, ReadBufferSize: readBuffer, WriteBufferPool: &d.writes,
	}
	header := http.Header{"Authorization": {o.Authorization}}
	conn, resp, err := dialer.DialContext(ctx, address, header) //nolint:bodyclose // its documentation says that there is no need
	switch {
	case errors.Is(err, websocket.ErrBadHandshake) && resp != nil:
		keep()
		l.cut()
		reason, _ := io.ReadAll(resp.Body) // a piece of it, which is in memory
		return nil, &RefusedError{resp.StatusCode, strings.TrimSpace(strings.ToValidUTF8(string(reason), ""))}
	case err == nil && !keep():
		err = ctx.Err()
	}
	if err != nil {
		keep()
		l.cut()
		return nil, err
	}
	conn.SetReadLimit(readLimit)
	// The library's own handler gives a pong one second, after which the connection is useless. On a machine that is
	// busy with making load that is too short.
	conn.SetPingHandler(func(data string) error {
		_ = conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(writeTimeout)) // if it fails, reading fails, too
		return nil
	})
	return &socket{lines: l, conn: conn, reads: &d.reads}, nil
}

// receive waits for a message and hands it to take, which may keep it until it returns.
func (s *socket) receive(take func(kind int, data []byte) error) error {
	kind, r, err := s.conn.NextReader()
	if err != nil {
		return s.ended(err)
	}
	buf := s.reads.get()
	defer s.reads.put(buf)
	if _, err := buf.ReadFrom(r); err != nil {
		return s.ended(err)
	}
	return take(kind, buf.Bytes())
}

// ended returns how the WebSocket has ended, and takes away what is left of it.
func (s *socket) ended(err error) error {
	s.cut()
	var frame *websocket.CloseError
	if errors.As(err, &frame) && frame.Code != websocket.CloseAbnormalClosure {
		return &EndError{
			Code: frame.Code, Text: strings.TrimSpace(fmt.Sprint(frame.Code, " ", frame.Text)), Expired: frame.Code == codeTokenExpired,
		}
	}
	return err
}

// WriteFrame writes one frame. If it fails, the connection has ended.
func (s *socket) WriteFrame(kind int, data []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // it never fails
	return s.readRest(s.conn.WriteMessage(kind, data))
}

// WriteRaw writes bytes that are not a frame.
func (s *socket) WriteRaw(data []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	_ = s.conn.NetConn().SetWriteDeadline(time.Now().Add(writeTimeout)) // or the write fails as well
	_, err := s.conn.NetConn().Write(data)
	return s.readRest(err)
}

// readRest has Receive return what the server has sent before it ended the connection, such as the reason.
func (s *socket) readRest(err error) error {
	if err == nil {
		return nil
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(closeTimeout)) // or it has ended
	return fmt.Errorf("send: %w", err)
}

// Close implements Conn.
func (s *socket) Close() {
	frame := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = s.conn.WriteControl(websocket.CloseMessage, frame, time.Now().Add(closeTimeout)) // or it has ended
	_ = s.conn.SetReadDeadline(time.Now().Add(closeTimeout))                             // or it has ended
}

// Cut implements Conn.
func (s *socket) Cut() { s.cut() }

// Vanish implements Conn.
func (s *socket) Vanish() { s.vanish() }

// Noticed implements Conn.
func (s *socket) Noticed() bool { return s.noticed() }

// Socket is a Conn over a WebSocket. Besides messages it can send what is none.
type Socket struct{ *socket }

func (d *Dialer) dialWebSocket(ctx context.Context, l *lines, o Options) (Conn, error) {
	s, err := d.dialSocket(ctx, l, o.Server.Socket(), o)
	if err != nil {
		return nil, err
	}
	return Socket{s}, nil
}

// Receive implements Conn.
func (s Socket) Receive(take func([]byte)) error {
	return s.receive(func(_ int, data []byte) error {
		take(data)
		return nil
	})
}

// Decode implements Conn.
func (Socket) Decode(data []byte) (wire.Envelope, error) { return decodeJSON(data) }

// Send implements Conn.
func (s Socket) Send(env *wire.Envelope) error {
	f, err := env.Frame()
	if err != nil {
		return err
	}
	return s.WriteFrame(websocket.TextMessage, f.Data)
}

// decodeJSON reads a message in JSON. It is not as strict as the server is, which may be newer.
func decodeJSON(data []byte) (env wire.Envelope, err error) {
	if err = json.Unmarshal(data, &env); err != nil {
		err = fmt.Errorf("not an envelope: %w", err)
	}
	return env, err
}
