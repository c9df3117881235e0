package tracing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	backendTimeout = 5 * time.Second
	maxAnswer      = 16 << 20
	// maxAsking bounds how many answers are in memory at once.
	maxAsking = 8
)

// backend is the HTTP API of Jaeger or Loki.
type backend struct {
	name   string
	url    string
	client *http.Client
	asking chan struct{}
}

func newBackend(name, address string, transport http.RoundTripper) *backend {
	return &backend{
		name:   name,
		url:    strings.TrimRight(address, "/"),
		client: &http.Client{Transport: transport, Timeout: backendTimeout},
		asking: make(chan struct{}, maxAsking),
	}
}

// get reads the answer to a query. The error is ErrNotFound for a 404.
func (b *backend) get(ctx context.Context, path string, query url.Values, read func(io.Reader) error) error {
	if b.url == "" {
		return fmt.Errorf("no address of %s is set", b.name)
	}
	select {
	case b.asking <- struct{}{}:
		defer func() { <-b.asking }()
	case <-ctx.Done():
		return fmt.Errorf("ask %s: too many others are asking: %w", b.name, ctx.Err())
	}
	target := b.url + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", b.name, err)
	}
	request.Header.Set("Accept", "application/json")
	response, err := b.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s at %s: %w", b.name, b.url, explain(err))
	}
	defer response.Body.Close()
	body := io.LimitReader(response.Body, maxAnswer)
	switch {
	case response.StatusCode == http.StatusNotFound:
		return ErrNotFound
	case response.StatusCode != http.StatusOK:
		text, _ := io.ReadAll(io.LimitReader(body, 300))
		return fmt.Errorf("%s answers %s: %s", b.name, response.Status, cutText(strings.TrimSpace(string(text)), 300))
	}
	if err := read(body); err != nil {
		return fmt.Errorf("read the answer of %s: %w", b.name, err)
	}
	return nil
}

// explain leaves of an error what a person needs to know.
func explain(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused: it is not running")
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no answer within %s", backendTimeout)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err // without the URL, which is long and was named already
	}
	return err
}

// into returns a reader of a JSON answer.
func into(v any) func(io.Reader) error {
	return func(r io.Reader) error { return json.NewDecoder(r).Decode(v) }
}
