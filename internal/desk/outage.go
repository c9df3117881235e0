package desk

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"sync"

	"github.com/sockscope/sockscope/internal/desk/inbox"
)

// outages are the receivers that were told to fail as their vendors do, to see what becomes of alerts then. They end
// with the desk.
type outages struct {
	mu     sync.Mutex
	status map[inbox.Source]int
}

func newOutages() *outages { return &outages{status: map[inbox.Source]int{}} }

// all returns the status codes that receivers answer, by receiver.
func (o *outages) all() map[inbox.Source]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.status)
}

// set makes a receiver answer everything by a status code, or work again by 0.
func (o *outages) set(source inbox.Source, status int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if status == 0 {
		delete(o.status, source)
		return
	}
	o.status[source] = status
}

// around lets a receiver answer, or fails in its place. Notifications that fail are kept as rejected.
func (o *outages) around(source inbox.Source, in *inbox.Inbox, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := o.all()[source]
		if status == 0 {
			next.ServeHTTP(w, r)
			return
		}
		in.Add(inbox.Notification{Source: source, Reason: fmt.Sprintf("the desk was told to answer %d %s", status, http.StatusText(status))})
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		switch source {
		case inbox.PagerDuty:
			writeJSON(w, status, struct {
				Status  string   `json:"status"`
				Message string   `json:"message"`
				Errors  []string `json:"errors"`
			}{"error", http.StatusText(status), []string{"the desk was told to answer this"}})
		case inbox.Slack:
			word := map[int]string{http.StatusTooManyRequests: "rate_limited", http.StatusForbidden: "invalid_token", http.StatusNotFound: "no_service"}[status]
			if word == "" {
				word = "rollup_error"
			}
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(status)
			// An error here is the sender's loss of connection: there is nobody to tell.
			_, _ = fmt.Fprint(w, word)
		default:
			http.Error(w, http.StatusText(status), status)
		}
	})
}

// setOutage begins an outage of the receiver in the path, or changes it.
func (d *Desk) setOutage(w http.ResponseWriter, r *http.Request) {
	source, ok := outageOf(w, r)
	if !ok {
		return
	}
	var wanted struct {
		Status int `json:"status"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1024)).Decode(&wanted); err != nil || wanted.Status < 400 || wanted.Status > 599 {
		writeError(w, http.StatusBadRequest, `say {"status": N} with a status code from 400 to 599`)
		return
	}
	d.outages.set(source, wanted.Status)
	writeJSON(w, http.StatusOK, d.outages.all())
}

// endOutage lets the receiver in the path work again.
func (d *Desk) endOutage(w http.ResponseWriter, r *http.Request) {
	if source, ok := outageOf(w, r); ok {
		d.outages.set(source, 0)
		writeJSON(w, http.StatusOK, d.outages.all())
	}
}

func outageOf(w http.ResponseWriter, r *http.Request) (inbox.Source, bool) {
	switch source := inbox.Source(r.PathValue("receiver")); source {
	case inbox.PagerDuty, inbox.Slack, inbox.Webhook:
		return source, true
	}
	writeError(w, http.StatusNotFound, "the receivers are pagerduty, slack and webhook")
	return "", false
}
