package inbox

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func onDisk(t *testing.T, dir string) *Inbox {
	t.Helper()
	in, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() }) // a second time in most tests
	return in
}

// reopened closes an inbox and opens what it left.
func reopened(t *testing.T, in *Inbox, dir string) *Inbox {
	t.Helper()
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	return onDisk(t, dir)
}

func TestRestartKeepsTheInbox(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	in := onDisk(t, dir)
	in.Add(accepted(Trigger, "k"))
	in.Add(Notification{Source: Slack, Reason: "no_text"})
	n := accepted(Trigger, "other")
	n.Links = []Link{{"Runbook", "https://example.com"}}
	n.Warnings, n.Body = []string{"w"}, "<b>\n"
	in.Add(n)
	before := in.Notifications()

	in = reopened(t, in, dir)
	if diff := cmp.Diff(before, in.Notifications()); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
	if got := in.Add(accepted(Resolve, "k")); got.Outcome != Resolved || got.Count != 2 {
		t.Errorf("a resolve after the restart is %s, the notification %d; want %s, 2", got.Outcome, got.Count, Resolved)
	}
	if kept, _ := in.Notification(in.Notifications()[1].ID); kept.Body != "<b>\n" {
		t.Errorf("body after the restart = %q", kept.Body)
	}
}

// TestHeartbeatAfterRestart is in doubt until the first beat, and not late for what came while nobody was listening.
func TestHeartbeatAfterRestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		in := onDisk(t, dir)
		beat := accepted(Trigger, "w")
		beat.Alert = HeartbeatAlert
		in.Add(beat)
		time.Sleep(time.Minute)
		in.Add(beat)
		time.Sleep(time.Hour)
		in = reopened(t, in, dir)
		if h := in.View().Heartbeats[0]; h.Late || !h.Awaited {
			t.Errorf("just started: late %v, awaited %v; want awaited", h.Late, h.Awaited)
		}
		time.Sleep(3 * time.Minute)
		if h := in.View().Heartbeats[0]; !h.Late || h.Awaited {
			t.Errorf("three minutes later: late %v, awaited %v; want late", h.Late, h.Awaited)
		}
		in.Add(beat)
		if h := in.View().Heartbeats[0]; h.Late || h.Awaited {
			t.Errorf("after a beat: late %v, awaited %v; want neither", h.Late, h.Awaited)
		}
	})
}

func TestTruncatedLastLine(t *testing.T) {
	dir := t.TempDir()
	in := onDisk(t, dir)
	in.Add(accepted(Trigger, "first"))
	in.Add(accepted(Trigger, "second"))
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, journalName)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data[:len(data)-20], 0o600); err != nil {
		t.Fatal(err)
	}

	in = onDisk(t, dir)
	if list := in.Notifications(); len(list) != 1 || list[0].Key != "first" {
		t.Fatalf("kept %+v, want the first only", list)
	}
	in.Add(accepted(Trigger, "third"))
	in = reopened(t, in, dir)
	if list := in.Notifications(); len(list) != 2 || list[0].Key != "third" {
		t.Errorf("kept %+v, want the first and the third", list)
	}
}

func TestUnreadableLines(t *testing.T) {
	dir := t.TempDir()
	good := `{"id":"1","source":"slack","received":"2026-11-22T02:00:00Z","accepted":true,"event":"trigger","key":"k"}`
	lines := []string{"rubbish", good, "{}", "", strings.Repeat("x", maxLine+10), "\x00\xff"}
	if err := os.WriteFile(filepath.Join(dir, journalName), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list := onDisk(t, dir).Notifications(); len(list) != 1 || list[0].ID != "1" {
		t.Errorf("kept %+v, want the one good line", list)
	}
}

func TestJournalIsBounded(t *testing.T) {
	dir := t.TempDir()
	in := onDisk(t, dir)
	n := accepted(Trigger, "k")
	n.Body = strings.Repeat("x", MaxBody)
	for i := range maxJournal/MaxBody + 200 {
		n.Key = fmt.Sprint(i)
		in.Add(n)
	}
	info, err := os.Stat(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxJournal+2*MaxBody {
		t.Errorf("the journal has %d bytes, at most about %d are allowed", info.Size(), maxJournal)
	}
	before := in.Notifications()
	in = reopened(t, in, dir)
	if diff := cmp.Diff(before[0], in.Notifications()[0]); diff != "" {
		t.Errorf("newest notification after a restart (-before +after):\n%s", diff)
	}
}

// TestFullDisk writes to a device that is always full, and finds everything on disk once there is room again.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here:", err)
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		in := onDisk(t, dir)
		in.Add(accepted(Trigger, "before"))
		if err := in.journal.file.Close(); err != nil {
			t.Fatal(err)
		}
		in.journal.file = full
		// A directory in its way keeps the file from being written anew.
		blocked := in.journal.path + ".next"
		if err := os.Mkdir(blocked, 0o700); err != nil {
			t.Fatal(err)
		}

		in.Add(accepted(Trigger, "while full"))
		if v := in.View(); len(v.Open) != 2 || !strings.Contains(v.DiskError, "no space left") {
			t.Errorf("%d open, disk error %q; want both alerts and the reason", len(v.Open), v.DiskError)
		}
		time.Sleep(2 * retryDisk)
		in.Add(accepted(Trigger, "still full"))
		if v := in.View(); v.DiskError == "" {
			t.Error("the page does not say that the disk still can't be written")
		}

		if err := os.Remove(blocked); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * retryDisk)
		in.Add(accepted(Trigger, "room again"))
		if v := in.View(); v.DiskError != "" {
			t.Errorf("disk error %q after there is room again", v.DiskError)
		}
		in = reopened(t, in, dir)
		if open := in.View().Open; len(open) != 4 {
			t.Errorf("%d alerts after the restart, want all 4", len(open))
		}
	})
}

func TestOpenFailsWithTheSetting(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(file, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("error = %v, want one that names --data", err)
	}
	var path *os.PathError
	if !errors.As(err, &path) {
		t.Errorf("error %v does not wrap its cause", err)
	}
}
