package progress

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadWhatWasWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "progress.json")
	if _, err := Read(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read of no file = %v", err)
	}
	now := time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)
	want := State{PID: 7, Started: now, Services: map[string]Service{
		"demo":   {Stage: Ready, Since: now, WasReady: true},
		"jaeger": {Stage: Building, Detail: "compiling, 388 of 1,667 packages", Since: now},
	}}
	for range 2 { // the second replaces the first
		if err := want.Write(file); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("%d files are left, want one (%v)", len(left), err)
	}
}

func TestReadNamesTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "progress.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error = %v, want one with the file", err)
	}
}

func TestWriteNeedsTheFolder(t *testing.T) {
	if err := (State{}).Write(filepath.Join(t.TempDir(), "missing", "progress.json")); err == nil {
		t.Error("no error for a folder that does not exist")
	}
}
