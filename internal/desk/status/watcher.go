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

	"github.com/sockscope/sockscope/internal/progress"
)

const (
	pollInterval = 3 * time.Second
	pollTimeout  = 2 * time.Second
	maxDetail    = 200

	// patience is how long a component that has not answered yet may be starting, where no stack says what it is doing.
	patience = 2 * time.Minute
)

// State is whether a component is ready.
type State string

// Unknown is the state before the first answer, Absent that of an optional component that is not there. A component
// that was never ready is not down: its state is what the stack is doing about it, or Starting.
const (
	Unknown  State = "unknown"
	Ready    State = "ready"
	NotReady State = "not_ready"
	Absent   State = "absent"
	Waiting  State = State(progress.Waiting)
	Building State = State(progress.Building)
	Starting State = State(progress.Starting)
	Stopping State = State(progress.Stopping)
)

// Report is a component and what was last seen of it.
type Report struct {
	Component
	State   State     `json:"state"`
	Since   time.Time `json:"since,omitzero"`   // when it came into that state
	Checked time.Time `json:"checked,omitzero"` // when it was last asked
	Detail  string    `json:"detail,omitempty"` // why it is not ready
}

// Pending tells whether the component is on its way: neither ready nor down.
func (r Report) Pending() bool {
	switch r.State {
	case Waiting, Building, Starting, Stopping:
		return true
	}
	return false
}

// Watcher polls components. It is safe for concurrent use.
type Watcher struct {
	client   *http.Client
	progress string
	began    time.Time

	mu       sync.Mutex
	reports  []Report
	wasReady []bool // since the watcher began
}

// NewWatcher returns a watcher that has not yet asked anybody. In the file progressFile a stack tells what it is doing;
// it may be empty, for a stack that does not.
func NewWatcher(components []Component, progressFile string, transport http.RoundTripper) *Watcher {
	w := &Watcher{progress: progressFile, began: time.Now(), wasReady: make([]bool, len(components)), client: &http.Client{
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
	told := w.told()
	var wg sync.WaitGroup
	for i, r := range w.Reports() {
		wg.Go(func() {
			err := w.ask(ctx, r.Ready)
			if ctx.Err() == nil {
				service, ok := told[r.Name]
				w.note(i, err, service, ok)
			}
		})
	}
	wg.Wait()
}

// told returns what the stack says of its services: nothing if there is no stack that says anything.
func (w *Watcher) told() map[string]progress.Service {
	if w.progress == "" {
		return nil
	}
	state, err := progress.Read(w.progress)
	if err != nil {
		return nil // without the stack's word, the component's own has to do
	}
	return state.Services
}

// note records an answer and, if it changed anything, since when. Known says whether told came from the stack.
func (w *Watcher) note(i int, err error, told progress.Service, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &w.reports[i]
	before := r.State
	var since time.Time // as the stack knows it
	switch {
	case err == nil:
		r.State, r.Detail = Ready, ""
		w.wasReady[i] = true
		if told.Stage == progress.Ready {
			since = told.Since
		}
	case r.Optional:
		r.State, r.Detail = Absent, explain(err)
	case known && (!told.WasReady || told.Stage == progress.Stopping || told.Stage == progress.Stopped):
		r.State, r.Detail, since = pending(told.Stage), told.Detail, told.Since
	case told.Stage == progress.Restarting:
		r.State, r.Detail, since = NotReady, "restarting "+told.Detail, told.Since
	case !known && !w.wasReady[i] && time.Since(w.began) < patience:
		r.State, r.Detail = Starting, "it has not answered yet"
	default:
		r.State, r.Detail = NotReady, explain(err)
	}
	r.Checked = time.Now()
	switch {
	case !since.IsZero():
		r.Since = since
	case r.State != before:
		r.Since = r.Checked
	}
}

// pending is the state of a component that is not ready and need not be.
func pending(s progress.Stage) State {
	switch s {
	case progress.Waiting, progress.Building:
		return State(s)
	case progress.Stopping, progress.Stopped:
		return Stopping
	}
	return Starting // and of one that did not manage to, which is tried again
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
