package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sockscope/sockscope/demo/transport/sse"
	"github.com/sockscope/sockscope/demo/wire"
)

const (
	// postTimeout is how long the server may take to handle what is posted.
	postTimeout = 30 * time.Second
	// idle is how long a connection is kept for the next request. A client that only listens has no other one then.
	idle = 3 * time.Second
	// reasonLimit is how much is read of why the server refuses something.
	reasonLimit = 512
)

// events is a stream of server-sent events, and posts beside it.
type events struct {
	*lines
	options Options
	client  *http.Client
	reads   *buffers
	body    io.ReadCloser
	reader  *bufio.Reader
	live    context.Context // ends with the stream
	end     context.CancelCauseFunc

	posting sync.Mutex // held by the post that is under way

	mu            sync.Mutex
	session       string // empty before the welcome
	authorization string // of posts
}

func (d *Dialer) dialSSE(ctx context.Context, l *lines, o Options) (Conn, error) {
	e := &events{lines: l, options: o, client: l.httpClient(), reads: &d.reads, authorization: o.Authorization}
	e.live, e.end = context.WithCancelCause(context.WithoutCancel(ctx))
	keep := context.AfterFunc(ctx, func() { e.end(ctx.Err()) })
	req, err := http.NewRequestWithContext(e.live, http.MethodGet, o.Server.HTTP("/events"), http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", o.Authorization)
	resp, err := e.client.Do(req) //nolint:bodyclose // the stream's, see cut
	if err == nil && resp.StatusCode != http.StatusOK {
		defer e.stop(errUsed)
		defer keep()
		return nil, refusedBy(resp)
	}
	if !keep() && err == nil {
		err = context.Cause(e.live)
	}
	if err != nil {
		e.stop(err)
		return nil, err
	}
	e.body, e.reader = resp.Body, bufio.NewReader(resp.Body)
	return e, nil
}

// httpClient returns a client for requests over these lines.
func (l *lines) httpClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DialContext: l.dial, TLSClientConfig: l.tls, DisableCompression: true, IdleConnTimeout: idle},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// refusedBy returns the error of an answer that refuses something, which it closes.
func refusedBy(resp *http.Response) error {
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, reasonLimit)) // what there is will do
	return &RefusedError{resp.StatusCode, strings.TrimSpace(strings.ToValidUTF8(string(text), ""))}
}

// Receive implements Conn.
func (e *events) Receive(take func([]byte)) error {
	if _, err := e.reader.Peek(1); err != nil { // no buffer is held until something comes
		return e.ended(err)
	}
	data := e.reads.get()
	defer e.reads.put(data)
	if err := readEvent(e.reader, data); err != nil {
		return e.ended(err)
	}
	e.note(data.Bytes())
	take(data.Bytes())
	return nil
}

// note takes the session from the welcome. Posts name it.
func (e *events) note(data []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.session != "" {
		return
	}
	env, err := decodeJSON(data)
	if err == nil && env.Type == wire.TypeWelcome {
		e.session = welcomeOf(&env).Session
	}
}

// ended returns why the stream has ended, and takes away what is left of it.
func (e *events) ended(err error) error {
	if cause := context.Cause(e.live); cause != nil {
		err = cause
	}
	e.stop(err)
	_ = e.body.Close()
	if errors.Is(err, io.EOF) {
		return &EndError{Text: "the end of the stream"}
	}
	return err
}

// stop ends the stream for a reason that Receive returns.
func (e *events) stop(why error) {
	e.end(why)
	e.client.CloseIdleConnections()
	e.cut()
}

// Decode implements Conn.
func (*events) Decode(data []byte) (wire.Envelope, error) { return decodeJSON(data) }

// Send implements Conn.
func (e *events) Send(env *wire.Envelope) error {
	f, err := env.Frame()
	if err != nil {
		return err
	}
	e.posting.Lock()
	defer e.posting.Unlock()
	if err := e.post(env, f.Data); err != nil {
		err = fmt.Errorf("post: %w", err)
		e.stop(err)
		return err
	}
	return nil
}

func (e *events) post(env *wire.Envelope, data []byte) error {
	ctx, cancel := context.WithTimeout(e.live, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.options.Server.HTTP("/events"), bytes.NewReader(data))
	if err != nil {
		return err
	}
	e.mu.Lock()
	if env.Type == wire.TypeAuth { // later posts need the newer token as well
		if auth, err := env.Auth(); err == nil {
			e.authorization = "Bearer " + auth.Token
		}
	}
	req.Header.Set("Authorization", e.authorization)
	req.Header.Set(sse.SessionHeader, e.session)
	e.mu.Unlock()
	resp, err := e.client.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return refusedBy(resp)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, reasonLimit)) // so that the connection can be used again
	return resp.Body.Close()
}

// Close implements Conn. There is nothing to say at the end.
func (e *events) Close() { e.stop(errUsed) }

// Cut implements Conn.
func (e *events) Cut() { e.stop(errUsed) }

// Vanish implements Conn.
func (e *events) Vanish() { e.vanish() }

// Noticed implements Conn.
func (e *events) Noticed() bool { return e.noticed() }
