package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/transport/sse"
	"github.com/sockscope/sockscope/demo/wire"
)

// connect dials as a test wants to, and reads nothing yet.
func (f *fixture) connect(opts *websocket.DialOptions) (*client, *http.Response, error) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, f.http.URL+"/ws", opts)
	if err != nil {
		return nil, resp, err
	}
	conn.SetReadLimit(1 << 20)
	f.t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t: f.t, conn: conn}, resp, nil
}

// mustConnect is connect where that has to succeed.
func (f *fixture) mustConnect(opts *websocket.DialOptions) *client {
	f.t.Helper()
	c, _, err := f.connect(opts)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// sendMessage sends a chat message with that id.
func (c *client) sendMessage(id string, p wire.MessagePayload) {
	c.t.Helper()
	f, err := wire.NewFrame(wire.TypeMessage, id, p)
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(websocket.MessageText, f.Data)
}

// await reads until a frame of that type comes.
func await[P any](c *client, typ wire.Type) (wire.Envelope, P) {
	c.t.Helper()
	for {
		env, err := c.read()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", typ, err)
		}
		if env.Type == typ {
			return env, payloadOf[P](c.t, env)
		}
	}
}

func payloadOf[P any](t *testing.T, env wire.Envelope) P {
	t.Helper()
	var payload P
	if len(env.Payload) > 0 {
		if err := json.Unmarshal(env.Payload, &payload); err != nil {
			t.Fatalf("payload of %s: %v", env.Type, err)
		}
	}
	return payload
}

// request sends a message and returns its ack, which has to be the next frame.
func (c *client) request(typ wire.Type, payload any) wire.AckPayload {
	c.t.Helper()
	id := c.send(typ, payload)
	env, ack := expect[wire.AckPayload](c, wire.TypeAck)
	if env.MessageID != id {
		c.t.Errorf("the ack is for %s, want %s", env.MessageID, id)
	}
	return ack
}

// heard returns all that has been delivered by now: it sends a ping and reads up to its pong.
func (c *client) heard() []wire.Envelope {
	c.t.Helper()
	id := c.send(wire.TypePing, nil)
	var got []wire.Envelope
	for {
		env, err := c.read()
		if err != nil {
			c.t.Fatalf("waiting for the pong: %v", err)
		}
		if env.Type == wire.TypePong && env.MessageID == id {
			return got
		}
		got = append(got, env)
	}
}

// clog has things said until none of them gets through to a client that does not read.
func (f *fixture) clog(queued string, say func()) {
	f.t.Helper()
	waiting := func() (n float64) {
		for _, n = range f.metrics(queued) { // there is one
		}
		return n
	}
	f.eventually(func() bool {
		const batch = 20
		before := waiting()
		for range batch {
			say()
		}
		return before > 0 && waiting() >= before+batch
	}, func() string { return "everything gets through to who does not read" })
}

func typesOf(envs []wire.Envelope) []wire.Type {
	var types []wire.Type
	for _, env := range envs {
		types = append(types, env.Type)
	}
	return types
}

// fragile is a store that fails or hangs when a test wants it to.
type fragile struct {
	history.Store

	mu      sync.Mutex
	trouble func(ctx context.Context) error
	saved   func() // called between saving and saying so
}

func newFragile(t *testing.T) *fragile { return &fragile{Store: complete(t, Config{}).History} }

// suffer has whatever the store is asked come to that first; nil ends it.
func (s *fragile) suffer(trouble func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = trouble
}

func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func (s *fragile) ask(ctx context.Context) error {
	s.mu.Lock()
	trouble := s.trouble
	s.mu.Unlock()
	if trouble == nil {
		return nil
	}
	return trouble(ctx)
}

func (s *fragile) Append(ctx context.Context, m history.Message) (history.Message, bool, error) {
	if err := s.ask(ctx); err != nil {
		return history.Message{}, false, err
	}
	m, again, err := s.Store.Append(ctx, m)
	if s.saved != nil {
		s.saved()
	}
	return m, again, err
}

func (s *fragile) After(ctx context.Context, room string, after uint64, limit int) ([]history.Message, error) {
	if err := s.ask(ctx); err != nil {
		return nil, err
	}
	return s.Store.After(ctx, room, after, limit)
}

func (s *fragile) Latest(ctx context.Context, room string, limit int) ([]history.Message, error) {
	if err := s.ask(ctx); err != nil {
		return nil, err
	}
	return s.Store.Latest(ctx, room, limit)
}

func (s *fragile) LastSeq(ctx context.Context, room string) (uint64, error) {
	if err := s.ask(ctx); err != nil {
		return 0, err
	}
	return s.Store.LastSeq(ctx, room)
}

func (s *fragile) MarkRead(ctx context.Context, room, user string, seq uint64) error {
	if err := s.ask(ctx); err != nil {
		return err
	}
	return s.Store.MarkRead(ctx, room, user, seq)
}

func (s *fragile) Reads(ctx context.Context, room string) (map[string]uint64, error) {
	if err := s.ask(ctx); err != nil {
		return nil, err
	}
	return s.Store.Reads(ctx, room)
}

// eventStream is a client of server-sent events.
type eventStream struct {
	f       *fixture
	user    string
	body    *bufio.Reader
	close   func()
	session string
	lastID  string
}

// event is one of them, with the frame in it.
type event struct {
	id   string
	name string
	env  wire.Envelope
}

// getEvents asks for a stream.
func (f *fixture) getEvents(user string, query url.Values, header http.Header) *http.Response {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.http.URL+"/events?"+query.Encode(), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if user != "" {
		req.Header.Set("Authorization", "Bearer "+f.token(user))
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := f.http.Client().Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// listen opens a stream and reads its welcome.
func (f *fixture) listen(user, lastID string, query url.Values) *eventStream {
	f.t.Helper()
	header := http.Header{}
	if lastID != "" {
		header.Set("Last-Event-ID", lastID)
	}
	resp := f.getEvents(user, query, header)
	e := f.events(user, resp)
	if e.lastID == "" {
		e.lastID = lastID
	}
	return e
}

// events reads the welcome of a stream.
func (f *fixture) events(user string, resp *http.Response) *eventStream {
	f.t.Helper()
	if resp.StatusCode != http.StatusOK {
		f.t.Fatalf("GET /events: %s", resp.Status)
	}
	e := &eventStream{f: f, user: user, body: bufio.NewReader(resp.Body), close: func() { _ = resp.Body.Close() }}
	e.session = payloadOf[wire.WelcomePayload](f.t, e.await(wire.TypeWelcome).env).Session
	return e
}

// next returns the next event, or how the stream ended.
func (e *eventStream) next() (event, error) {
	overdue := time.AfterFunc(patience, e.close)
	defer overdue.Stop()
	var ev event
	for {
		line, err := e.body.ReadString('\n')
		if err != nil {
			return ev, err
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "id":
			ev.id, e.lastID = value, value
		case "event":
			ev.name = value
		case "data":
			if err := json.Unmarshal([]byte(value), &ev.env); err != nil {
				return ev, err
			}
		case "":
			if ev.name != "" {
				return ev, nil
			}
		}
	}
}

// await reads until an event of that type comes.
func (e *eventStream) await(typ wire.Type) event {
	e.f.t.Helper()
	for {
		ev, err := e.next()
		if err != nil {
			e.f.t.Fatalf("waiting for %s: %v", typ, err)
		}
		if ev.name != string(ev.env.Type) {
			e.f.t.Errorf("event %s holds a %s", ev.name, ev.env.Type)
		}
		if ev.env.Type == typ {
			return ev
		}
	}
}

// post sends a message on behalf of the stream and returns the status of the answer.
func (e *eventStream) post(typ wire.Type, payload any) (status int, id string) {
	e.f.t.Helper()
	env, err := wire.New(typ, "", payload)
	if err != nil {
		e.f.t.Fatal(err)
	}
	data, err := json.Marshal(&env)
	if err != nil {
		e.f.t.Fatal(err)
	}
	return e.f.postEvent(e.user, e.session, string(data), nil), env.MessageID
}

// postEvent sends whatever a test wants to POST /events.
func (f *fixture) postEvent(user, session, body string, header http.Header) int {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.http.URL+"/events", strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if user != "" {
		req.Header.Set("Authorization", "Bearer "+f.token(user))
	}
	req.Header.Set(sse.SessionHeader, session)
	resp, err := f.http.Client().Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
