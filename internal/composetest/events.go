package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/wire"
)

// checkEvents follows the room by server-sent events through the load balancer and says something in it: what is posted
// has to reach the instance that has the stream, also while the client's address stands for another one.
func (c *chat) checkEvents(ctx context.Context, stop, start func(instance string) error) error {
	first, err := c.openEvents(ctx)
	if err != nil {
		return err
	}
	defer first.close()
	if err := first.say(ctx); err != nil {
		return err
	}
	if err := stop(first.Node); err != nil {
		return err
	}
	second, err := c.openEvents(ctx)
	if err != nil {
		return err
	}
	defer second.close()
	if second.Node == first.Node {
		return fmt.Errorf("a stream is on %s, which is stopped", first.Node)
	}
	if err := start(first.Node); err != nil {
		return err
	}
	pause(ctx, 6*time.Second) // until nginx asks the instance again
	return second.say(ctx)
}

// eventStream is an open stream of server-sent events.
type eventStream struct {
	wire.WelcomePayload
	chat   *chat
	token  string
	events *bufio.Scanner
	close  func()
}

func (c *chat) openEvents(ctx context.Context) (*eventStream, error) {
	token, err := auth.RequestToken(ctx, http.DefaultClient, "http://"+c.address+"/auth/token", "eve")
	if err != nil {
		return nil, err
	}
	resp, err := c.do(ctx, token, http.MethodGet, "/events?"+url.Values{"room": {c.room}}.Encode(), "", nil) //nolint:bodyclose // the stream's close does
	if err != nil {
		return nil, err
	}
	s := &eventStream{chat: c, token: token, events: bufio.NewScanner(resp.Body), close: func() { _ = resp.Body.Close() }}
	s.events.Buffer(nil, 1<<20)
	welcome, err := s.next(func(env wire.Envelope) bool { return env.Type == wire.TypeWelcome })
	if err == nil {
		err = json.Unmarshal(welcome.Payload, &s.WelcomePayload)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// say posts a message and waits for it to come.
func (s *eventStream) say(ctx context.Context) error {
	id := uuid.NewString()
	if err := s.chat.post(ctx, s.token, s.Session, id); err != nil {
		return err
	}
	_, err := s.next(func(env wire.Envelope) bool { return env.Type == wire.TypeMessage && env.MessageID == id })
	return err
}

// next reads up to the event that is wanted.
func (s *eventStream) next(wanted func(wire.Envelope) bool) (wire.Envelope, error) {
	for s.events.Scan() {
		data, ok := strings.CutPrefix(s.events.Text(), "data:")
		if !ok {
			continue
		}
		var env wire.Envelope
		if err := json.Unmarshal([]byte(data), &env); err != nil {
			return env, fmt.Errorf("read an event: %w", err)
		}
		if wanted(env) {
			return env, nil
		}
	}
	return wire.Envelope{}, fmt.Errorf("the stream of events ended: %w", errors.Join(s.events.Err(), io.ErrUnexpectedEOF))
}

func (c *chat) post(ctx context.Context, token, session, id string) error {
	env, err := wire.New(wire.TypeMessage, id, wire.MessagePayload{Room: c.room, Text: "by an event stream"})
	if err != nil {
		return err
	}
	body, err := json.Marshal(env)
	if err != nil {
		return err
	}
	resp, err := c.do(ctx, token, http.MethodPost, "/events", session, body)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (c *chat) do(ctx context.Context, token, method, path, session string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.address+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if session != "" {
		req.Header.Set("Sockscope-Session", session)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return resp, nil
}
