package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/golang/snappy"
	"github.com/grafana/loki/pkg/push"
)

// pushTimeout is for one attempt: a server that hangs is left after it.
const pushTimeout = 5 * time.Second

// pushTransport delivers what loki-client-go posts.
type pushTransport struct {
	delivery delivery
	counts   *logCounts
	base     *http.Transport
}

// RoundTrip returns when the push has been settled, one way or another, so the client never repeats one.
func (t *pushTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err = errors.Join(err, req.Body.Close()); err != nil {
		return nil, fmt.Errorf("read the push: %w", err)
	}
	entries, err := countEntries(body)
	if err != nil {
		return nil, err
	}
	result := t.delivery.deliver(func(ctx context.Context) error { return t.attempt(ctx, req, body) })
	t.counts.settle(entries, result)
	status := http.StatusNoContent
	if result != delivered {
		status = http.StatusBadRequest // which the client takes as the last word
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Request: req, Body: http.NoBody, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// attempt posts the push once.
func (t *pushTransport) attempt(ctx context.Context, req *http.Request, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	post := req.Clone(ctx)
	post.Body = io.NopCloser(bytes.NewReader(body))
	post.Header.Set("User-Agent", "sockscope-telemetry") // the client calls itself promtail
	resp, err := t.base.RoundTrip(post)
	if err != nil {
		return fmt.Errorf("push to %s: %w", post.URL.Redacted(), err)
	}
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 256)) // only to tell it; also has the connection used again
	if err := resp.Body.Close(); err != nil {
		return fmt.Errorf("push to %s: %w", post.URL.Redacted(), err)
	}
	if resp.StatusCode/100 == 2 {
		return nil
	}
	err = fmt.Errorf("push to %s: %s: %s", post.URL.Redacted(), resp.Status, bytes.TrimSpace(answer))
	if resp.StatusCode/100 == 5 || resp.StatusCode == http.StatusTooManyRequests {
		return err
	}
	return errors.Join(errRefused, err)
}

// countEntries tells how many records a push holds: the client does not say which it has put together.
func countEntries(body []byte) (int, error) {
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		return 0, fmt.Errorf("decode the push: %w", err)
	}
	var request push.PushRequest
	if err := request.Unmarshal(raw); err != nil {
		return 0, fmt.Errorf("decode the push: %w", err)
	}
	n := 0
	for _, stream := range request.Streams {
		n += len(stream.Entries)
	}
	return n, nil
}
