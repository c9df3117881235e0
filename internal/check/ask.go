package check

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
	"time"
	"unicode"
)

const (
	attemptTimeout = 5 * time.Second // of one request or one message; a component that hangs is asked again
	maxAnswer      = 8 << 20         // bytes read of one answer
	maxExcerpt     = 300             // characters of an answer that are shown
)

// A component is a part of the stack that is asked over HTTP.
type component struct {
	name string // as people call it
	url  string
}

// An exchange is one question to a component and what came back.
type exchange struct {
	url    string
	status int
	body   []byte
}

// A failure says why a step failed, and has the last answer that it got.
type failure struct {
	missing string
	url     string
	answer  string
	next    string // where to look, if the step's own advice does not fit
}

func (f *failure) Error() string { return f.missing }

// lacks returns the failure that the answer lacks something.
func (e exchange) lacks(format string, args ...any) *failure {
	return &failure{missing: fmt.Sprintf(format, args...), url: e.url, answer: excerpt(e.body)}
}

// get asks a component and decodes its JSON answer into v.
func (r *run) get(ctx context.Context, c component, path string, query url.Values, v any) (exchange, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	e := exchange{url: strings.TrimSuffix(c.url, "/") + path}
	if len(query) > 0 {
		e.url += "?" + query.Encode()
	}
	begin := time.Now()
	if err := r.send(ctx, &e); err != nil {
		return e, &failure{
			missing: fmt.Sprintf("%s does not answer: %s", c.name, reason(err, time.Since(begin))),
			url:     e.url,
			next:    fmt.Sprintf("is %s running at %s? its own log says more", c.name, c.url),
		}
	}
	if e.status != http.StatusOK {
		return e, e.lacks("%s answers with status %d", c.name, e.status)
	}
	if err := json.Unmarshal(e.body, v); err != nil {
		f := e.lacks("%s answers something else than the JSON of its API: %v", c.name, err)
		f.next = fmt.Sprintf("is it really %s that listens at %s?", c.name, c.url)
		return e, f
	}
	return e, nil
}

func (r *run) send(ctx context.Context, e *exchange) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url, nil)
	if err != nil {
		return err
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	e.status = resp.StatusCode
	e.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if len(e.body) > maxAnswer {
		return fmt.Errorf("its answer is longer than %d bytes", maxAnswer)
	}
	return err
}

// reason explains a transport error in plain words.
func reason(err error, took time.Duration) string {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()) {
		return fmt.Sprintf("nothing came back within %.1fs", took.Seconds())
	}
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err // the URL is told separately
	}
	return err.Error()
}

// excerpt returns the beginning of an answer on one line.
func excerpt(body []byte) string {
	text := oneLine(strings.ToValidUTF8(string(body[:min(len(body), 4*maxExcerpt)]), ""))
	if runes := []rune(text); len(runes) > maxExcerpt {
		return string(runes[:maxExcerpt]) + "…"
	}
	return text
}

// oneLine makes a peer's text fit for a terminal.
func oneLine(text string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, text))
}
