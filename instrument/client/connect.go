package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// connect makes one attempt to connect.
func (c *Client) connect(ctx context.Context) (*session, error) {
	dialing, cancel := context.WithTimeout(ctx, c.config.connectTimeout)
	defer cancel()
	header, err := c.header(dialing)
	if err != nil {
		err = fmt.Errorf("header: %w", err)
		c.notConnected(ctx, instrument.StatusError, err)
		return nil, err
	}
	start := time.Now()
	options := c.config.dial
	options.HTTPHeader = header
	ws, response, err := websocket.Dial(dialing, c.url, &options) //nolint:bodyclose // Dial closes the body
	if err != nil {
		status, err := refusal(response, err)
		c.notConnected(ctx, status, err)
		return nil, err
	}
	took := time.Since(start)
	ws.SetReadLimit(c.config.readLimit)
	c.metrics.attempts.WithLabelValues(instrument.StatusConnected.String()).Inc()
	c.metrics.connectDuration.Observe(took.Seconds())
	c.records.write(recordConnected, slog.Float64("duration_seconds", took.Seconds()))
	return newSession(c, ws), nil
}

// header returns the headers for one attempt.
func (c *Client) header(ctx context.Context) (http.Header, error) {
	header := c.config.dial.HTTPHeader.Clone()
	if header == nil {
		header = http.Header{}
	}
	if c.config.header == nil {
		return header, nil
	}
	err := guarded(func() error {
		more, err := c.config.header(ctx)
		for name, values := range more {
			header[name] = values
		}
		return err
	})
	if err != nil && c.countPanic(err) == nil {
		c.countError(instrument.ErrorAuth)
	}
	return header, err
}

// notConnected counts and logs an attempt that failed, unless the client has given up itself.
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

// refusal says how an attempt failed, in the words of the server's own metric.
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

// unauthorized says whether it was the credentials that the server did not like.
func (e *RefusedError) unauthorized() bool {
	return e != nil && (e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden)
}
