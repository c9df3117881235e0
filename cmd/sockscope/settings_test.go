package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/deploy"
)

func runCommand(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	root := newRootCommand()
	root.SetOut(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestSettingsAreWrittenOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mine")
	if _, err := runCommand(t, "settings", dir); err != nil {
		t.Fatal(err)
	}
	want, got := contents(t, deploy.Files()), contents(t, os.DirFS(dir))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("written otherwise than embedded (-want +got):\n%s", diff)
	}
	if _, err := runCommand(t, "settings", dir); err == nil || !strings.Contains(err.Error(), "new folder") {
		t.Errorf("the second time: %v, want an error that says what to do", err)
	}
}

func contents(t *testing.T, files fs.FS) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		all[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
