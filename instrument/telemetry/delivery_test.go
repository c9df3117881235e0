package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errAway = errors.New("away")

func TestDeliver(t *testing.T) {
	tests := []struct {
		name     string
		attempt  func(n int) error // n counts from 1; nil hangs
		abandon  time.Duration     // after which the context ends
		want     outcome
		attempts int           // exactly, or 0
		after    time.Duration // at the latest
	}{
		{name: "at once", attempt: func(int) error { return nil }, want: delivered, attempts: 1},
		{
			name:    "third time",
			attempt: func(n int) error { return map[bool]error{n < 3: errAway}[true] },
			want:    delivered, attempts: 3, after: firstBackoff + 2*firstBackoff,
		},
		{name: "refused", attempt: func(int) error { return fmt.Errorf("bad: %w", refused{errAway}) }, want: rejected, attempts: 1},
		{name: "never", attempt: func(int) error { return errAway }, want: rejected, after: defaultGiveUp + maxBackoff},
		{name: "hanging", attempt: nil, want: rejected, after: defaultGiveUp + defaultTimeout + maxBackoff},
		{name: "abandoned", attempt: func(int) error { return errAway }, abandon: time.Minute, want: abandoned, after: time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.abandon > 0 {
					time.AfterFunc(tt.abandon, cancel)
				}
				d := delivery{ctx, newWarning(slog.New(slog.DiscardHandler), "failing"), defaultTimeout, defaultGiveUp}
				started, last, attempts := time.Now(), time.Now(), 0
				got := d.deliver(func(ctx context.Context) error {
					if wait := time.Since(last); wait > maxBackoff {
						t.Errorf("waited %s before attempt %d", wait, attempts)
					}
					defer func() { last = time.Now() }()
					attempts++
					if tt.attempt == nil {
						return hang(ctx)
					}
					return tt.attempt(attempts)
				})
				if got != tt.want || tt.attempts > 0 && attempts != tt.attempts {
					t.Errorf("outcome %d after %d attempts, want %d after %d", got, attempts, tt.want, tt.attempts)
				}
				if took := time.Since(started); took > tt.after {
					t.Errorf("took %s, want %s at most", took, tt.after)
				}
			})
		})
	}
}

func TestWarningIsSaidOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		written := newLines()
		w := newWarning(slog.New(slog.NewTextHandler(written, nil)), "failing")
		for range 90 { // seconds
			w.warn(errAway)
			time.Sleep(time.Second)
		}
		got := written.all()
		if len(got) != 3 || !strings.HasSuffix(got[0], `msg=failing error=away suppressed=0`) || !strings.HasSuffix(got[1], `msg=failing error=away suppressed=59`) || got[2] != "" {
			t.Errorf("said %q, want it at 0 s and at 60 s", got)
		}
	})
}
