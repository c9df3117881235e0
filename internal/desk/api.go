package desk

import (
	"encoding/json"
	"net/http"

	"github.com/sockscope/sockscope/internal/desk/inbox"
	"github.com/sockscope/sockscope/internal/desk/status"
	"github.com/sockscope/sockscope/internal/desk/tracing"
)

// allReady tells whether every component that must be there is.
func allReady(reports []status.Report) bool {
	for _, r := range reports {
		if r.State != status.Ready && r.State != status.Absent {
			return false
		}
	}
	return true
}

func (d *Desk) statusJSON(w http.ResponseWriter, _ *http.Request) {
	reports := d.watcher.Reports()
	writeJSON(w, http.StatusOK, struct {
		Ready      bool            `json:"ready"`
		Components []status.Report `json:"components"`
	}{allReady(reports), reports})
}

func (d *Desk) inboxJSON(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Notifications []inbox.Notification `json:"notifications"`
		DiskError     string               `json:"diskError,omitempty"`
	}{d.inbox.Notifications(), d.inbox.View().DiskError})
}

func (d *Desk) notificationJSON(w http.ResponseWriter, r *http.Request) {
	n, err := d.inbox.Notification(r.PathValue("id"))
	if err != nil {
		writeError(w, http.StatusNotFound, "there is no such notification, or newer ones have displaced it")
		return
	}
	writeJSON(w, http.StatusOK, n)
}

func (d *Desk) traceJSON(w http.ResponseWriter, r *http.Request) {
	id, err := tracing.ParseID(r.PathValue("id"))
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	view := d.finder.Find(r.Context(), id)
	writeJSON(w, traceStatus(view), view)
}

// traceStatus is the response's status: whatever was found is worth a 200, and
// not being able to look is not the same as not finding.
func traceStatus(v tracing.View) int {
	switch {
	case len(v.Spans) > 0 || len(v.Records) > 0:
		return http.StatusOK
	case v.Unknown:
		return http.StatusNotFound
	}
	return http.StatusBadGateway
}

func writeError(w http.ResponseWriter, code int, text string) {
	writeJSON(w, code, struct {
		Error string `json:"error"`
	}{text})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// An error here is the reader's loss of connection: there is nobody to tell.
	_ = json.NewEncoder(w).Encode(v)
}
