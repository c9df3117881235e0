package component

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"time"
)

// Store keeps built components in a directory of the user's.
type Store struct {
	// Deploy is the deploy folder. In native/ it has the Go module of each
	// component: NAME.mod and NAME.sum are its go.mod and go.sum, and NAME/ has
	// its sources, if it has any. The names differ from the go command's because
	// a folder with a go.mod of its own could be neither embedded nor part of
	// the repository's module.
	Deploy fs.FS
	// Dir is where binaries are kept. Its parent must be writable.
	Dir string
	// Search are directories looked through, before the store and PATH, for a
	// binary of the right version.
	Search []string
}

// DefaultDir is the sockscope folder in the user's cache directory.
func DefaultDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w (name one by --cache)", err)
	}
	return filepath.Join(dir, "sockscope"), nil
}

// Find returns a binary of exactly the component's version: from a Search
// directory, from the store, or from PATH. It reports false if there is none.
func (s *Store) Find(ctx context.Context, c Component) (path string, ok bool, err error) {
	for _, dir := range s.Search {
		if path, ok := findVersion(ctx, c, dir); ok {
			return path, true, nil
		}
	}
	kept, err := s.path(c)
	if err != nil {
		return "", false, err
	}
	if executable(kept) {
		return kept, true, nil
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if path, ok := findVersion(ctx, c, dir); ok {
			return path, true, nil
		}
	}
	return "", false, nil
}

// Installed returns the path of a program that is no component, from a Search
// directory or from PATH, whatever its version. It is empty if there is none.
func (s *Store) Installed(name string) string {
	for _, dir := range s.Search {
		if path := filepath.Join(dir, name); executable(path) {
			return path
		}
	}
	path, _ := exec.LookPath(name) // without it there is none
	return path
}

// findVersion looks in dir for the component under any of its names.
func findVersion(ctx context.Context, c Component, dir string) (string, bool) {
	for _, name := range append([]string{c.Name}, c.AlsoNamed...) {
		path := filepath.Join(dir, name)
		if executable(path) && reportsVersion(ctx, path, c) {
			return path, true
		}
	}
	return "", false
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// reportsVersion runs the binary and looks for the version as a whole word.
func reportsVersion(ctx context.Context, path string, c Component) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, c.VersionArgs...).CombinedOutput()
	if err != nil {
		return false
	}
	version := regexp.MustCompile(`(^|[^0-9.])` + regexp.QuoteMeta(c.Version) + `($|[^0-9.])`)
	return version.Match(out)
}

// path is where the store keeps the component. The name carries everything
// that the binary depends on, so that a change builds anew and an unchanged one
// never does.
func (s *Store) path(c Component) (string, error) {
	files, err := s.module(c)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH, buildArgs(c, ""))
	for _, f := range files {
		fmt.Fprintln(h, f.path)
		h.Write(f.content)
	}
	key := hex.EncodeToString(h.Sum(nil))[:12]
	return filepath.Join(s.Dir, "bin", fmt.Sprintf("%s-%s-%s", c.Name, c.Version, key)), nil
}

// removeOlder deletes binaries of the same component that a later build has
// replaced: each is up to 150 MB.
func (s *Store) removeOlder(c Component, keep string) {
	old, err := filepath.Glob(filepath.Join(s.Dir, "bin", c.Name+"-*"))
	if err != nil {
		return
	}
	name := regexp.MustCompile(`^` + regexp.QuoteMeta(c.Name) + `-[0-9.]+-[0-9a-f]{12}$`)
	for _, path := range old {
		if path != keep && name.MatchString(filepath.Base(path)) {
			_ = os.Remove(path) // a leftover costs disk, nothing else
		}
	}
}
