package transport

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sockscope/sockscope/demo/wire"
)

const (
	// pollWait is how long the server may wait for a message.
	pollWait = 30 * time.Second
	// pollTimeout is how long a poll may take besides.
	pollTimeout = 30 * time.Second
	// pollPause is the time until the next poll after one that came too soon, if the server does not say which, and
	// longestPause the longest.
	pollPause    = time.Second
	longestPause = 10 * time.Second
)

// polls is a client that asks again and again what was said in a room. What a connection would be told it tells the
// caller itself: the welcome, and that it has joined.
type polls struct {
	*lines
	options Options
	client  *http.Client
	live    context.Context // ends with the client
	end     context.CancelFunc

	joins   chan join // what the caller asks for
	room    string    // empty before that
	after   uint64    // the last message that has come
	waiting [][]byte  // to be received
}

// join is a request to be in a room.
type join struct {
	id string
	wire.JoinPayload
}

func newPoll(l *lines, o Options) *polls {
	p := &polls{lines: l, options: o, client: l.httpClient(), joins: make(chan join, 1)}
	p.live, p.end = context.WithCancel(context.Background())
	p.tell(wire.TypeWelcome, "", wire.WelcomePayload{})
	return p
}

// tell has the caller receive what the server would say.
func (p *polls) tell(typ wire.Type, id string, payload any) {
	f, err := wire.NewFrame(typ, id, payload)
	if err == nil { // payloads of package wire can be encoded
		p.waiting = append(p.waiting, f.Data)
	}
}

// Receive implements Conn.
func (p *polls) Receive(take func([]byte)) error {
	for len(p.waiting) == 0 {
		if err := p.ask(); err != nil {
			p.Cut()
			return err
		}
	}
	next := p.waiting[0]
	p.waiting = p.waiting[1:]
	take(next)
	return nil
}

// ask makes one request, for which it may have to wait.
func (p *polls) ask() error {
	if p.room != "" {
		return p.poll(&p.after, pollWait)
	}
	select {
	case j := <-p.joins:
		return p.begin(j)
	case <-p.live.Done():
		return errUsed
	}
}

// begin joins a room: where the caller was, or from now on.
func (p *polls) begin(j join) error {
	p.room = j.Room
	if j.After != nil {
		p.after = *j.After
	} else {
		if err := p.poll(nil, 0); err != nil {
			return err
		}
		p.waiting = nil
	}
	p.tell(wire.TypeAck, j.id, wire.AckPayload{Success: true, Seq: p.after})
	return nil
}

// poll asks for the messages after one, or the newest, and has the caller receive them. It asks again if it came too
// soon.
func (p *polls) poll(after *uint64, wait time.Duration) error {
	query := url.Values{"room": {p.room}}
	if after != nil {
		query.Set("after", strconv.FormatUint(*after, 10))
		query.Set("wait", wait.String())
	}
	for {
		data, pause, err := p.get(p.options.Server.HTTP("/poll")+"?"+query.Encode(), wait+pollTimeout)
		if err != nil {
			return err
		}
		if data != nil {
			return p.take(data)
		}
		select {
		case <-time.After(pause):
		case <-p.live.Done():
			return errUsed
		}
	}
}

// get makes one request. Without an answer it returns how long to wait for the next.
func (p *polls) get(address string, timeout time.Duration) (data []byte, pause time.Duration, err error) {
	ctx, cancel := context.WithTimeout(p.live, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Authorization", p.options.Authorization)
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("poll: %w", err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusTooManyRequests:
		_ = resp.Body.Close()
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return nil, min(cmp.Or(time.Duration(max(0, seconds))*time.Second, pollPause), longestPause), nil
	default:
		return nil, 0, refusedBy(resp)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err = io.ReadAll(io.LimitReader(resp.Body, readLimit+1))
	if err == nil && len(data) > readLimit {
		err = errTooBig
	}
	return data, 0, err
}

// take has the caller receive the messages of an answer.
func (p *polls) take(data []byte) error {
	var env struct {
		Payload struct{ Messages []json.RawMessage }
	}
	if err := json.Unmarshal(data, &env); err != nil {
		return fmt.Errorf("the answer to a poll can't be read: %w", err)
	}
	for _, message := range env.Payload.Messages {
		var m struct{ Seq uint64 }
		if err := json.Unmarshal(message, &m); err != nil {
			return fmt.Errorf("a message in the answer to a poll can't be read: %w", err)
		}
		p.after = max(p.after, m.Seq)
		p.waiting = append(p.waiting, message)
	}
	return nil
}

// Decode implements Conn. A message in the answer to a poll is as it is in a history: the room is not said again.
func (*polls) Decode(data []byte) (wire.Envelope, error) {
	env, err := decodeJSON(data)
	if err != nil || env.Type != "" {
		return env, err
	}
	var m wire.HistoryMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return env, fmt.Errorf("not a message of a history: %w", err)
	}
	env, err = wire.New(wire.TypeMessage, m.MessageID, wire.MessagePayload{Text: m.Text, SavedID: m.SavedID, From: m.From})
	env.Timestamp, env.Traceparent, env.Seq = m.Timestamp, m.Traceparent, m.Seq
	return env, err
}

// Send implements Conn. The only request of a client that polls is to join its room.
func (p *polls) Send(env *wire.Envelope) error {
	if env.Type != wire.TypeJoin {
		return errors.New("a client that polls can't send")
	}
	payload, err := env.Join()
	if err != nil {
		return err
	}
	select {
	case p.joins <- join{env.MessageID, payload}:
		return nil
	default:
		return errors.New("a client that polls is in one room")
	}
}

// Close implements Conn. There is nothing to say at the end.
func (p *polls) Close() { p.Cut() }

// Cut implements Conn.
func (p *polls) Cut() {
	p.end()
	p.client.CloseIdleConnections()
	p.cut()
}

// Vanish implements Conn.
func (p *polls) Vanish() { p.vanish() }

// Noticed implements Conn.
func (p *polls) Noticed() bool { return p.noticed() }
