package history_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/sockscope/sockscope/demo/history"
)

func TestFileIsReopened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	f := openFile(t, path, history.Limits{})
	said := say(t, f, "lobby", "1", "2")
	equal(t, "mark", nil, f.MarkRead(t.Context(), "lobby", "ada", 2))
	equal(t, "close", nil, f.Close())

	f = openFile(t, path, history.Limits{Rooms: 1})
	if m, again, err := f.Append(t.Context(), message("lobby", "1", "1")); err != nil || !again || m.Seq != 1 {
		t.Errorf("a retry: seq %d, again %t, %v", m.Seq, again, err)
	}
	said = append(said, say(t, f, "lobby", "3")...)
	equal(t, "what is kept", said, after(t, f, "lobby", 0, 10))
	reads, err := f.Reads(t.Context(), "lobby")
	equal(t, "error", nil, err)
	equal(t, "marks", map[string]uint64{"ada": 2}, reads)
	if _, _, err := f.Append(t.Context(), message("cellar", "1", "1")); !errors.Is(err, history.ErrFull) {
		t.Errorf("a room too many, counting that of before: %v", err)
	}
}

// TestFileOfKilledProcess copies the file while it is written to: what was acknowledged before is in the copy.
func TestFileOfKilledProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	f := openFile(t, path, history.Limits{})
	said := say(t, f, "lobby", "1", "2", "3")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(copied, data, 0o600); err != nil {
		t.Fatal(err)
	}
	equal(t, "what is kept", said, after(t, openFile(t, copied, history.Limits{}), "lobby", 0, 10))
}

func TestFileStaysSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	f := openFile(t, path, history.Limits{Messages: 50, Rooms: 2, Retention: time.Millisecond})
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	fill := func(from, to int) {
		var wg sync.WaitGroup
		for i := from; i < to; i++ {
			wg.Go(func() {
				m := message(fmt.Sprint("room", i/250), fmt.Sprint(i), strings.Repeat("x", 1000))
				eventually(t, func() string {
					if _, _, err := f.Append(t.Context(), m); err != nil {
						return err.Error()
					}
					return ""
				})
			})
			if i%50 == 0 {
				wg.Wait()
			}
		}
		wg.Wait()
	}
	fill(0, 1000)
	once := size()
	fill(1000, 5000)
	if now := size(); now > 2*once {
		t.Errorf("with what was said the file grew from %d to %d bytes, though no more is kept", once, now)
	}
}

func TestLowerLimitsTakeEffect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	client := single.client(t)
	for name, open := range map[string]func(history.Limits) history.Store{
		"file":  func(l history.Limits) history.Store { return openFile(t, path, l) },
		"redis": func(l history.Limits) history.Store { return joinRedis(t, client, l) },
	} {
		t.Run(name, func(t *testing.T) {
			client.FlushAll(t.Context())
			s := open(history.Limits{})
			for i := range 40 {
				say(t, s, "lobby", fmt.Sprint(i))
			}
			s.Close()
			s = open(history.Limits{Messages: 2})
			say(t, s, "lobby", "40")
			equal(t, "how many are kept at first", 25, len(after(t, s, "lobby", 0, 100)))
			said := say(t, s, "lobby", "41", "42", "43")
			equal(t, "what is kept in the end", said[1:], after(t, s, "lobby", 0, 100))
		})
	}
}

func TestFilesThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	inUse := filepath.Join(dir, "in use")
	f := openFile(t, inUse, history.Limits{})
	for i := range 100 {
		say(t, f, "lobby", fmt.Sprint(i))
	}
	whole, err := os.ReadFile(inUse)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		inUse:                 "in use by another process: stop that one",
		file("text", "hello"): "not a history, or damaged",
		file("zeros", string(make([]byte, 1<<16))): "not a history, or damaged",
		file("cut", string(whole[:12<<10])):        "the file is damaged: restore it from a copy, or move it away",
		file("meta only", string(whole[:8<<10])):   "the file is damaged: restore it from a copy, or move it away",
		filepath.Join(dir, "no", "directory"):      "no such file or directory",
		dir:                                        "is a directory",
	} {
		_, err := history.OpenFile(path, history.Limits{})
		if err == nil || !strings.HasPrefix(err.Error(), "history: open "+path+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant: %s", err, want)
		}
	}
}

// TestDamagedPages overwrites each page but the first two and wants errors of what needs it, nothing worse.
func TestDamagedPages(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "chat.db")
	f := openFile(t, path, history.Limits{})
	for i := range 200 {
		say(t, f, "lobby", fmt.Sprint(i, strings.Repeat("x", 100)))
	}
	equal(t, "close", nil, f.Close())
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page, failed := os.Getpagesize(), 0
	for at := 2 * page; at < len(whole); at += page {
		for i, junk := range []byte{0x00, 0xff, 0x10} {
			data := append([]byte(nil), whole...)
			for j := range page {
				data[at+j] = junk
			}
			path := filepath.Join(dir, fmt.Sprint(at, i))
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := useAll(t, path); err != nil {
				failed++
			}
			os.Remove(path)
		}
	}
	if failed == 0 {
		t.Error("no damage was noticed")
	}
}

// useAll returns the first error of a file.
func useAll(t *testing.T, path string) error {
	f, err := history.OpenFile(path, history.Limits{})
	if err != nil {
		return err
	}
	defer f.Close()
	_, _, err1 := f.Append(t.Context(), message("lobby", "new", "new"))
	_, _, err2 := f.Append(t.Context(), message("cellar", "new", "new"))
	_, err3 := f.Latest(t.Context(), "lobby", 100)
	_, err4 := f.Reads(t.Context(), "lobby")
	return errors.Join(err1, err2, err3, err4, f.MarkRead(t.Context(), "lobby", "ada", 1))
}

// TestFileThatIsCutOffInUse may not end the process, which the access to a missing page would.
func TestFileThatIsCutOffInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	f, err := history.OpenFile(path, history.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	say(t, f, "lobby", "1", "2", "3")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	_, err = f.Latest(t.Context(), "lobby", 10)
	if err == nil || !strings.Contains(err.Error(), "the file is damaged") {
		t.Errorf("read: %v", err)
	}
	_, _, err = f.Append(t.Context(), message("lobby", "4", "4"))
	if err == nil || !strings.Contains(err.Error(), "the file is damaged") {
		t.Errorf("append: %v", err)
	}
	if err := f.Close(); err == nil || !strings.Contains(err.Error(), "the file is damaged") {
		t.Errorf("close: %v", err)
	}
}

// TestDeadlineWhileTheDiskIsBusy waits for a disk that hangs.
func TestDeadlineWhileTheDiskIsBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	f := openFile(t, path, history.Limits{})
	said := say(t, f, "lobby", "1")
	release := history.Hold(f)
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			_, _, err := f.Append(ctx, message("lobby", fmt.Sprint("late", i), ""))
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the disk is busy") {
				t.Errorf("append: %v", err)
			}
		})
	}
	wg.Wait()
	equal(t, "what can be read meanwhile", said, after(t, f, "lobby", 0, 10))
	release()
	say(t, f, "lobby", "2")
}

// TestDeadlinesWhileWriting has senders give up at any moment. They then know that they have to try again.
func TestDeadlinesWhileWriting(t *testing.T) {
	f := openFile(t, filepath.Join(t.TempDir(), "chat.db"), history.Limits{})
	const senders, each = 8, 50
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for j := range each {
				m := message("lobby", fmt.Sprint(i, " ", j), "")
				for patience := time.Duration(0); ; patience += 20 * time.Microsecond {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					saved, _, err := f.Append(ctx, m)
					cancel()
					if err == nil {
						break
					}
					if !errors.Is(err, context.DeadlineExceeded) || saved != (history.Message{}) {
						t.Errorf("append: %v, %v", saved, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	equal(t, "how many are kept", senders*each, len(after(t, f, "lobby", 0, 2*senders*each)))
}

// TestBrokenWriteHarmsNoOther has one room damaged among others that are written to at the same time.
func TestBrokenWriteHarmsNoOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	f := openFile(t, path, history.Limits{})
	say(t, f, "broken", "1")
	equal(t, "close", nil, f.Close())
	db, err := bbolt.Open(path, 0o600, nil)
	if err == nil {
		err = errors.Join(db.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("rooms")).Bucket([]byte("broken")).DeleteBucket([]byte("ids"))
		}), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}

	f = openFile(t, path, history.Limits{})
	release := history.Hold(f)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, _, err := f.Append(t.Context(), message("lobby", fmt.Sprint(i), "")); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			_, _, err := f.Append(t.Context(), message("broken", fmt.Sprint(i), ""))
			if err == nil || !strings.Contains(err.Error(), "the file is damaged") {
				t.Errorf("append to the damaged room: %v", err)
			}
		})
	}
	release()
	wg.Wait()
	equal(t, "how many are kept", 20, len(after(t, f, "lobby", 0, 100)))
}
