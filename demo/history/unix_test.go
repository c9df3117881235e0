//go:build unix

// Tests that need what only Unix has: limits of a process, and a way to pause one.

package history_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/demo/history"
)

// TestFullDisk lets the file grow no further, and then again.
//
// The limit is the process's, and go test writes files of its own from this one, so the test has another to itself.
func TestFullDisk(t *testing.T) {
	const alone = "SOCKSCOPE_TEST_FULL_DISK"
	if os.Getenv(alone) == "" {
		test := exec.Command(os.Args[0], "-test.run=^TestFullDisk$")
		test.Env = append(os.Environ(), alone+"=yes")
		if out, err := test.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "chat.db")
	f := openFile(t, path, history.Limits{})
	said := say(t, f, "lobby", "1")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limit := func(l syscall.Rlimit) {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
	}
	limit(syscall.Rlimit{Cur: uint64(info.Size()), Max: before.Max})
	defer limit(before)
	i := 2
	for ; err == nil; i++ {
		var m history.Message
		if m, _, err = f.Append(t.Context(), message("lobby", fmt.Sprint(i), strings.Repeat("x", 1000))); err == nil {
			said = append(said, m)
		}
	}
	if !errors.Is(err, history.ErrFull) || !strings.Contains(err.Error(), "free some space on the disk") {
		t.Errorf("append: %v", err)
	}
	equal(t, "what is kept", said, after(t, f, "lobby", 0, 10000))

	limit(before)
	equal(t, "ping", nil, f.Ping(t.Context()))
	said = append(said, say(t, f, "lobby", "after")...)
	equal(t, "what is kept", said, after(t, f, "lobby", 0, 10000))
}

func TestDeadlineWhileRedisHangs(t *testing.T) {
	for name, retries := range map[string]int{"client tries again": 3, "client tries once": -1} {
		t.Run(name, func(t *testing.T) {
			s := ownServer(t)
			client := redis.NewClient(&redis.Options{Addr: s.addr, ContextTimeoutEnabled: true, MaxRetries: retries})
			defer client.Close()
			store := newRedis(t, client, history.Limits{})
			say(t, store, "lobby", "1")
			if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, _, err1 := store.Append(ctx, message("lobby", "2", "2"))
			_, err2 := store.After(ctx, "lobby", 0, 1)
			for _, err := range []error{err1, err2, store.Ping(ctx)} {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v", err)
				}
			}
			if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			say(t, store, "lobby", "3")
			// The message that timed out may have been saved all the same. Trying again settles it.
			if _, _, err := store.Append(t.Context(), message("lobby", "2", "2")); err != nil {
				t.Error(err)
			}
			equal(t, "how many are kept", 3, len(after(t, store, "lobby", 0, 10)))
		})
	}
}
