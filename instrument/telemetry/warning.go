package telemetry

import (
	"log/slog"
	"sync"
	"time"
)

// warningInterval is how often one warning is repeated at most.
const warningInterval = time.Minute

// warning is a log message about telemetry itself, said once per interval with the number of those in between. It goes
// to the log writer only: a warning that records can't be exported would otherwise be a record to export.
type warning struct {
	log     *slog.Logger
	message string

	mu         sync.Mutex
	next       time.Time
	suppressed int
}

func newWarning(log *slog.Logger, message string) *warning {
	return &warning{log: log, message: message}
}

func (w *warning) warn(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if now.Before(w.next) {
		w.suppressed++
		return
	}
	w.log.Warn(w.message, "error", err, "suppressed", w.suppressed)
	w.next, w.suppressed = now.Add(warningInterval), 0
}
