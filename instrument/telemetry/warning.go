package telemetry

import (
	"log/slog"
	"sync"
	"time"
)

// warningInterval is the shortest time between repetitions of one warning.
const warningInterval = time.Minute

// warning is a log message about telemetry itself. It is written once per interval, with the number of warnings in
// between. It goes only to the log writer: otherwise a warning that records can't be exported would be a record to
// export.
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
