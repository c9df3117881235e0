package desk

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"time"

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

// alertJSON is an alert with the channels by which it was told.
type alertJSON struct {
	Alert    string          `json:"alert"`
	Of       string          `json:"of,omitempty"`
	Severity string          `json:"severity,omitempty"`
	Summary  string          `json:"summary"`
	State    inbox.State     `json:"state"`
	Since    time.Time       `json:"since"`
	Count    int             `json:"count"`
	Channels []inbox.Channel `json:"channels"`
}

func (d *Desk) inboxJSON(w http.ResponseWriter, _ *http.Request) {
	view := d.inbox.View()
	alerts := []alertJSON{}
	for _, g := range slices.Concat(view.Open, view.Closed) {
		alerts = append(alerts, alertJSON{
			cmp.Or(g.Subject.Alert, g.Latest.Alert), g.Subject.Of, g.Latest.Severity, g.Latest.Summary,
			g.State, g.Since, g.Count, g.Channels,
		})
	}
	writeJSON(w, http.StatusOK, struct {
		Notifications []inbox.Notification `json:"notifications"`
		Alerts        []alertJSON          `json:"alerts"`
		Outages       map[inbox.Source]int `json:"outages,omitempty"`
		DiskError     string               `json:"diskError,omitempty"`
	}{d.inbox.Notifications(), alerts, d.outages.all(), view.DiskError})
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

// traceStatus is the response's status: whatever was found is worth a 200, and not being able to look is not the same
// as not finding.
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
