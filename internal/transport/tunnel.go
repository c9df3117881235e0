package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/upstream"
)

// Tunnel has a program that speaks WebSocket use another transport. It is the http.RoundTripper of the program's
// handshakes: each opens a connection over the transport, and answers as a server of WebSockets would. The program's
// pings are answered by the tunnel, so they say nothing about the server.
type Tunnel struct {
	Dialer Dialer
	Over   Name
	Server upstream.Server
}

// RoundTrip implements http.RoundTripper.
func (t *Tunnel) RoundTrip(r *http.Request) (*http.Response, error) {
	conn, err := t.Dialer.Dial(r.Context(), t.Over, Options{Server: t.Server, Authorization: r.Header.Get("Authorization")})
	var refused *RefusedError
	if errors.As(err, &refused) {
		return &http.Response{
			Status: http.StatusText(refused.Status), StatusCode: refused.Status, Header: make(http.Header), Request: r,
			Body: io.NopCloser(strings.NewReader(refused.Reason)),
		}, nil
	}
	if err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	w := &switching{far: far, header: make(http.Header)}
	socket, err := websocket.Accept(w, r, nil)
	if err != nil {
		conn.Cut()
		return nil, errors.Join(err, near.Close(), far.Close())
	}
	socket.SetReadLimit(wire.MaxFrameBytes)
	go carry(context.WithoutCancel(r.Context()), conn, socket)
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Header: w.header, Request: r, Body: near,
	}, nil
}

// switching is the answer to a handshake, after which both ends use the pipe.
type switching struct {
	far    net.Conn
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (w *switching) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *switching) WriteHeader(status int) { w.status = status }

// Write implements http.ResponseWriter. Only a handshake that is refused has a body.
func (w *switching) Write(p []byte) (int, error) { return len(p), nil }

// Hijack implements http.Hijacker.
func (w *switching) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.far, bufio.NewReadWriter(bufio.NewReader(w.far), bufio.NewWriter(w.far)), nil
}

// carry carries messages both ways until either end ends.
func carry(ctx context.Context, conn Conn, socket *websocket.Conn) {
	var up sync.WaitGroup
	up.Go(func() {
		for {
			_, data, err := socket.Read(ctx)
			if err != nil {
				conn.Close()
				return
			}
			var env wire.Envelope
			if json.Unmarshal(data, &env) != nil || conn.Send(&env) != nil {
				conn.Cut()
				return
			}
		}
	})
	err := receiveAll(conn, func(data []byte) error {
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		return socket.Write(ctx, websocket.MessageText, data)
	})
	var end *EndError
	if errors.As(err, &end) {
		code := websocket.StatusGoingAway
		if end.Expired {
			code = codeTokenExpired
		}
		_ = socket.Close(code, fmt.Sprintf("%.100s", end.Text)) // an error means that it has ended
	}
	_ = socket.CloseNow()
	conn.Cut()
	up.Wait()
}

// receiveAll hands all messages to write, in JSON, until there are no more.
func receiveAll(conn Conn, write func([]byte) error) error {
	for {
		var failed error
		err := conn.Receive(func(data []byte) {
			env, err := conn.Decode(data)
			if err != nil {
				failed = err
				return
			}
			f, err := env.Frame()
			if err != nil {
				failed = err
				return
			}
			failed = write(f.Data)
		})
		if err = errors.Join(err, failed); err != nil {
			return err
		}
	}
}
