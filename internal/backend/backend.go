// Package backend queries the stores of the stack over HTTP, within bounds, and explains errors in plain words.
package backend

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
	patience  = 5 * time.Second // with one answer
	maxAnswer = 16 << 20
	// maxAsking bounds how many answers are in memory at once.
	maxAsking = 8
)

// ErrNotFound is wrapped by the error of Get if the backend answers with 404.
var ErrNotFound = errors.New("not found")

// ErrNotRunning is wrapped by the error of Get if nothing listens at the address.
var ErrNotRunning = errors.New("connection refused: it is not running")

// Backend is the HTTP API of a store. It is safe for concurrent use.
type Backend struct {
	name   string
	url    string
	client *http.Client
	asking chan struct{}
}

// New returns the backend at an address such as http://127.0.0.1:16686. The name is for people. Without an address, Get
// fails.
func New(name, address string, transport http.RoundTripper) *Backend {
	return &Backend{
		name:   name,
		url:    strings.TrimRight(address, "/"),
		client: &http.Client{Transport: transport, Timeout: patience},
		asking: make(chan struct{}, maxAsking),
	}
}

// Name returns the backend's name for people.
func (b *Backend) Name() string { return b.name }

// URL is the address that Get asks.
func (b *Backend) URL(path string, query url.Values) string {
	if len(query) == 0 {
		return b.url + path
	}
	return b.url + path + "?" + query.Encode()
}

// Get queries the backend and calls read with the answer. An answer of more than 16 MiB is an error. Get waits for an
// answer for five seconds, and for its turn while eight others are asking.
func (b *Backend) Get(ctx context.Context, path string, query url.Values, read func(io.Reader) error) error {
	if b.url == "" {
		return fmt.Errorf("no address of %s is set", b.name)
	}
	select {
	case b.asking <- struct{}{}:
		defer func() { <-b.asking }()
	case <-ctx.Done():
		return fmt.Errorf("ask %s: too many others are asking: %w", b.name, ctx.Err())
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.URL(path, query), nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", b.name, err)
	}
	request.Header.Set("Accept", "application/json")
	began := time.Now()
	response, err := b.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s at %s: %w", b.name, b.url, explain(err, time.Since(began)))
	}
	defer response.Body.Close()
	body := &io.LimitedReader{R: response.Body, N: maxAnswer + 1}
	switch {
	case response.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s has nothing at %s: %w", b.name, path, ErrNotFound)
	case response.StatusCode != http.StatusOK:
		text, _ := io.ReadAll(io.LimitReader(body, 300))
		return fmt.Errorf("%s answers %s: %s", b.name, response.Status, Cut(strings.TrimSpace(string(text)), 300))
	}
	err = read(body)
	switch {
	case body.N == 0:
		return fmt.Errorf("the answer of %s is longer than %d MiB: ask for less", b.name, maxAnswer>>20)
	case err != nil:
		return fmt.Errorf("read the answer of %s: %w", b.name, explain(err, time.Since(began)))
	}
	return nil
}

// explain reduces an error to the part that a person needs to know.
func explain(err error, took time.Duration) error {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return ErrNotRunning
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no answer within %s", took.Round(100*time.Millisecond))
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err // without the URL, which is long and was named already
	}
	return err
}

// Into returns a reader for Get that decodes one JSON value into v.
func Into(v any) func(io.Reader) error {
	return func(r io.Reader) error { return json.NewDecoder(r).Decode(v) }
}

// Cut shortens a backend's text to at most limit bytes, and marks the cut.
func Cut(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
