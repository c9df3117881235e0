package probe

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestReporter plays probes at certain seconds, and looks at which of them there are records.
func TestReporter(t *testing.T) {
	log := &records{}
	target, err := ParseTarget("eu=ws://127.0.0.1:8080/ws")
	if err != nil {
		t.Fatal(err)
	}
	l := newReporter(slog.New(slog.NewJSONHandler(log, nil)), target)
	down := result{failed: connect, err: errors.New("connection refused")}
	slow := result{failed: delivery, err: errors.New("too slow"), traceID: "4bf92f3577b34da6a3ce929d0e0e4736"}
	start := time.Now()
	for _, p := range []struct {
		second time.Duration
		result result
	}{
		{0, result{}}, {5, down}, {10, down}, {15, down}, {20, slow}, {25, down}, {80, down}, {85, down}, {90, result{}}, {95, result{}}, {100, down},
	} {
		l.report(t.Context(), p.result, start.Add(p.second*time.Second))
	}
	record := func(level, msg string, fields map[string]any) map[string]any {
		fields["level"], fields["msg"], fields["target"], fields["url"] = level, msg, "eu", "ws://127.0.0.1:8080/ws"
		return fields
	}
	failed := func(r result, failures, suppressed float64) map[string]any {
		return record("WARN", "probe failed", map[string]any{
			"phase": string(r.failed), "error": r.err.Error(), "failures": failures, "suppressed": suppressed,
		})
	}
	traced := failed(slow, 4, 2)
	traced["trace_id"] = slow.traceID
	want := []map[string]any{
		failed(down, 1, 0),
		traced,
		failed(down, 5, 0),
		failed(down, 7, 1), // a minute later
		record("INFO", "probe succeeds again", map[string]any{"failures": 7., "failing_seconds": 85.}),
		failed(down, 1, 0),
	}
	got := log.list()
	for _, fields := range got {
		delete(fields, "time")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}
