package fault

import (
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
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// Client turns the switches of a service that serves an API.
type Client struct {
	// URL is the service's, to which /fault is added: http://127.0.0.1:8080.
	URL string
	// HTTP sends the requests; http.DefaultClient by default.
	HTTP *http.Client
	// AllInstances has Set and Clear reach all instances of the service; by default they reach the one that answers.
	AllInstances bool
}

// List returns how all switches are, in the order of the service.
func (c *Client) List(ctx context.Context) ([]State, error) {
	var list struct {
		Faults []State `json:"faults"`
	}
	err := c.do(ctx, http.MethodGet, "", nil, &list)
	return list.Faults, err
}

// Set turns a fault on for that long, and returns its new state.
func (c *Client) Set(ctx context.Context, name string, strength float64, d time.Duration) (State, error) {
	var s State
	err := c.do(ctx, http.MethodPut, name, map[string]any{"strength": strength, "duration": d.String()}, &s)
	return s, err
}

// Clear turns a fault off, and returns how it is then.
func (c *Client) Clear(ctx context.Context, name string) (State, error) {
	var s State
	err := c.do(ctx, http.MethodDelete, name, nil, &s)
	return s, err
}

func (c *Client) do(ctx context.Context, method, name string, body, into any) error {
	address := strings.TrimSuffix(c.URL, "/") + "/fault"
	if name != "" {
		address += "/" + url.PathEscape(name)
		if c.AllInstances {
			address += "?instances=all"
		}
	}
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return fmt.Errorf("the service's address has to be like http://127.0.0.1:8080: %w", err)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no service answers, is it running there? %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.URL, err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp, data)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s answers in another way than a service with faults does: %w", c.URL, err)
	}
	return nil
}

// refusal returns the reason that the service gives, or what its status means here.
func refusal(resp *http.Response, data []byte) error {
	var reason struct {
		Error string `json:"error"`
	}
	switch {
	case json.Unmarshal(data, &reason) == nil && reason.Error != "":
		return errors.New(reason.Error)
	case resp.StatusCode == http.StatusNotFound:
		return errors.New("the service has no faults to turn on: " +
			"is the address right, and was it not started with --fault-api off?")
	}
	return fmt.Errorf("the service answers %s", resp.Status)
}
