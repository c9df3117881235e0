package status

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	pollInterval = 3 * time.Second
	pollTimeout  = 2 * time.Second
	maxDetail    = 200
)

// State is whether a component is ready.
type State string

// Unknown is the state before the first answer, Absent that of an optional
// component that is not there.
const (
	Unknown  State = "unknown"
	Ready    State = "ready"
	NotReady State = "not_ready"
	Absent   State = "absent"
)

// Report is a component and what was last seen of it.
type Report struct {
	Component
	State   State     `json:"state"`
	Since   time.Time `json:"since,omitzero"`   // when it came into that state
	Checked time.Time `json:"checked,omitzero"` // when it was last asked
	Detail  string    `json:"detail,omitempty"` // why it is not ready
}

// Watcher polls components. It is safe for concurrent use.
type Watcher struct {
	client *http.Client

	mu      sync.Mutex
	reports []Report
}

// NewWatcher returns a watcher that has not yet asked anybody.
func NewWatcher(components []Component, transport http.RoundTripper) *Watcher {
	w := &Watcher{client: &http.Client{
		Transport: transport,
		Timeout:   pollTimeout,
		// A login page at the end of a redirect would look like readiness.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, c := range components {
		w.reports = append(w.reports, Report{Component: c, State: Unknown})
	}
	return w
}

// Run polls until the context ends.
func (w *Watcher) Run(ctx context.Context) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		w.Poll(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Poll asks every component once, all at the same time.
func (w *Watcher) Poll(ctx context.Context) {
	var wg sync.WaitGroup
	for i, r := range w.Reports() {
		wg.Go(func() {
			err := w.ask(ctx, r.Ready)
			if ctx.Err() == nil {
				w.note(i, err)
			}
		})
	}
	wg.Wait()
}

// note records an answer and, if it changed anything, since when.
func (w *Watcher) note(i int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &w.reports[i]
	state, detail := Ready, ""
	switch {
	case err != nil && r.Optional:
		state, detail = Absent, explain(err)
	case err != nil:
		state, detail = NotReady, explain(err)
	}
	r.Checked, r.Detail = time.Now(), detail
	if r.State != state {
		r.State, r.Since = state, r.Checked
	}
}

// ask returns nil if the component says that it is ready.
func (w *Watcher) ask(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := w.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	// Read so that the connection is used again; a body too long costs just that.
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		return fmt.Errorf("answers %s: %s", response.Status, line)
	}
	return nil
}

// explain says in few words why a component could not be asked.
func explain(err error) string {
	var timeout net.Error
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: it is not running"
	case errors.As(err, &dns):
		return "its host name is not known: it is not running"
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("no answer within %s", pollTimeout)
	}
	text := strings.ToValidUTF8(err.Error(), "\uFFFD")
	if runes := []rune(text); len(runes) > maxDetail {
		text = string(runes[:maxDetail]) + "…"
	}
	return text
}

// Reports returns what was last seen of every component.
func (w *Watcher) Reports() []Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Report(nil), w.reports...)
}
