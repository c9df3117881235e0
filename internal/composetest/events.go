package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/wire"
)

// checkEvents follows the room by server-sent events through the load balancer
// and says something in it: what is posted has to reach the instance that has
// the stream, and come back at once.
func (c *chat) checkEvents(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	token, err := auth.RequestToken(ctx, http.DefaultClient, "http://"+c.address+"/auth/token", "eve")
	if err != nil {
		return err
	}
	resp, err := c.do(ctx, token, http.MethodGet, "/events?"+url.Values{"room": {c.room}}.Encode(), "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	id := uuid.NewString()
	events := bufio.NewScanner(resp.Body)
	events.Buffer(nil, 1<<20)
	for events.Scan() {
		data, ok := strings.CutPrefix(events.Text(), "data:")
		if !ok {
			continue
		}
		var env wire.Envelope
		if err := json.Unmarshal([]byte(data), &env); err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		switch {
		case env.Type == wire.TypeWelcome:
			var welcome wire.WelcomePayload
			if err := json.Unmarshal(env.Payload, &welcome); err != nil {
				return err
			}
			if err := c.post(ctx, token, welcome.Session, id); err != nil {
				return err
			}
		case env.Type == wire.TypeMessage && env.MessageID == id:
			return nil
		}
	}
	return fmt.Errorf("the stream ended before what was said came: %w", events.Err())
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
