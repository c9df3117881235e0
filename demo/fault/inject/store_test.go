package inject

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/demo/history"
)

func newFaults(t *testing.T, c redis.UniversalClient) *Faults {
	t.Helper()
	f, err := New("node", c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestSlowStoreInAllItDoes has callers that do not wait for as long as the fault has them.
func TestSlowStoreInAllItDoes(t *testing.T) {
	t.Parallel()
	faults := newFaults(t, nil)
	file, err := history.OpenFile(filepath.Join(t.TempDir(), "history.db"), history.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	synctest.Test(t, func(t *testing.T) {
		s := faults.Store(file)
		if _, err := faults.slowStore.TurnOn(5000, time.Minute); err != nil {
			t.Fatal(err)
		}
		for name, call := range map[string]func(context.Context) error{
			"append": func(ctx context.Context) error { _, _, err := s.Append(ctx, history.Message{}); return err },
			"after":  func(ctx context.Context) error { _, err := s.After(ctx, "lobby", 0, 1); return err },
			"latest": func(ctx context.Context) error { _, err := s.Latest(ctx, "lobby", 1); return err },
			"last":   func(ctx context.Context) error { _, err := s.LastSeq(ctx, "lobby"); return err },
			"mark":   func(ctx context.Context) error { return s.MarkRead(ctx, "lobby", "Ada", 1) },
			"reads":  func(ctx context.Context) error { _, err := s.Reads(ctx, "lobby"); return err },
			"ping":   s.Ping,
		} {
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := call(ctx)
			cancel()
			if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
				t.Errorf("%s: %v after %v, want the end of its time after 1s", name, err, took)
			}
		}
		faults.slowStore.TurnOff()
	})
}
