package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// connect makes one attempt to connect.
func (c *Client) connect(ctx context.Context) (*connection, error) {
	dialing, cancel := context.WithTimeout(ctx, c.config.connectTimeout)
	defer cancel()
	endpoint, err := c.endpoint(dialing)
	if err != nil {
		err = fmt.Errorf("endpoint: %w", err)
		c.notConnected(ctx, instrument.StatusError, err)
		return nil, err
	}
	start, h := time.Now(), newHeard()
	dialing, span := c.tracing.handshake(dialing, endpoint.URL, endpoint.Header)
	options := c.config.dial
	options.HTTPHeader = endpoint.Header
	h.listen(&options)
	ws, response, err := websocket.Dial(dialing, endpoint.URL, &options) //nolint:bodyclose // Dial closes the body
	code := 0
	if response != nil {
		code = response.StatusCode
	}
	if err != nil {
		status, err := refusal(response, err)
		answered(span, code, status, err)
		c.notConnected(ctx, status, err)
		return nil, err
	}
	took := time.Since(start)
	answered(span, code, instrument.StatusConnected, nil)
	ws.SetReadLimit(c.config.readLimit)
	c.metrics.attempts.WithLabelValues(instrument.StatusConnected.String()).Inc()
	c.metrics.connectDuration.Observe(took.Seconds())
	c.records.write(recordConnected, slog.Float64("duration_seconds", took.Seconds()))
	return newConnection(c, ws, h, span.SpanContext()), nil
}

// endpoint returns the address and the headers for one attempt. The caller may change the headers.
func (c *Client) endpoint(ctx context.Context) (Endpoint, error) {
	e := Endpoint{URL: c.url, Header: c.config.dial.HTTPHeader.Clone()}
	if e.Header == nil {
		e.Header = http.Header{}
	}
	if c.config.endpoint == nil {
		return e, nil
	}
	var now Endpoint
	err := guarded(func() (err error) {
		now, err = c.config.endpoint(ctx)
		return err
	})
	if err != nil {
		if c.countPanic(err) == nil {
			c.countError(instrument.ErrorAuth)
		}
		return e, err
	}
	maps.Copy(e.Header, now.Header)
	if now.URL != "" {
		e.URL = now.URL
	}
	return e, checkURL(e.URL)
}

// notConnected counts and logs an attempt that failed, unless the client itself has given up.
func (c *Client) notConnected(ctx context.Context, status instrument.Status, err error) {
	if ctx.Err() != nil {
		return
	}
	c.metrics.attempts.WithLabelValues(status.String()).Inc()
	if status == instrument.StatusUnauthorized || status == instrument.StatusForbidden {
		c.countError(instrument.ErrorAuth)
	}
	c.records.write(recordNotConnected, slog.String("result", status.String()), errorAttr(err))
}

// refusal returns the status of an attempt that failed. The statuses are those of the server's own metric.
func refusal(response *http.Response, err error) (instrument.Status, error) {
	if response == nil {
		return instrument.StatusError, withoutURL(err)
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		return instrument.StatusBadHandshake, err
	}
	refused := &RefusedError{
		StatusCode: response.StatusCode,
		RetryAfter: retryAfter(response.Header, time.Now()),
	}
	switch response.StatusCode {
	case http.StatusUnauthorized:
		return instrument.StatusUnauthorized, refused
	case http.StatusForbidden:
		return instrument.StatusForbidden, refused
	case http.StatusTooManyRequests:
		return instrument.StatusRateLimited, refused
	case http.StatusServiceUnavailable:
		return instrument.StatusOverCapacity, refused
	default:
		return instrument.StatusBadHandshake, refused
	}
}

// withoutURL leaves the URL out of an error's text, because its query may hold a token.
func withoutURL(err error) error {
	var withURL *url.Error
	if errors.As(err, &withURL) {
		return fmt.Errorf("handshake request: %w", withURL.Err)
	}
	return err
}

// unauthorized reports whether the server has refused the credentials.
func (e *RefusedError) unauthorized() bool {
	return e != nil && (e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden)
}
