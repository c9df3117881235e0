package loki

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// push is the transport of the client of one export. The client calls it from one goroutine, which has ended when its
// Stop returns.
type push struct {
	ctx    context.Context // of the export
	base   *http.Transport
	pushed bool
	err    error
}

// RoundTrip makes one request. The client always gets an answer after which it does not repeat the push, whatever Loki
// says.
func (p *push) RoundTrip(req *http.Request) (*http.Response, error) {
	p.pushed = true
	status := http.StatusNoContent
	if err := p.send(req); err != nil {
		p.err = errors.Join(p.err, err)
		status = http.StatusBadRequest
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Request: req, Body: http.NoBody, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

func (p *push) send(req *http.Request) error {
	req = req.Clone(p.ctx)
	req.Header.Set("User-Agent", "sockscope-loki") // the client calls itself promtail
	resp, err := p.base.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("push to %s: %w", req.URL.Redacted(), err)
	}
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 256)) // for the error; also lets the connection be reused
	if err := resp.Body.Close(); err != nil {
		return fmt.Errorf("push to %s: %w", req.URL.Redacted(), err)
	}
	if resp.StatusCode/100 == 2 {
		return nil
	}
	err = fmt.Errorf("push to %s: %s: %s", req.URL.Redacted(), resp.Status, bytes.TrimSpace(answer))
	if resp.StatusCode/100 == 5 || resp.StatusCode == http.StatusTooManyRequests {
		return err
	}
	return refused{err}
}

// refused is the error of a push that is not worth repeating.
type refused struct{ error }

func (refused) Refused() bool { return true }

func (r refused) Unwrap() error { return r.error }
