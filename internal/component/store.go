package component

import (
	"cmp"
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
	// Deploy is the deploy folder. In native/ it has the Go module of each component: NAME.mod and NAME.sum are its
	// go.mod and go.sum, and NAME/ has its sources, if it has any. The names differ from the go command's because a
	// folder with a go.mod of its own could be neither embedded nor part of the repository's module.
	Deploy fs.FS
	// Dir is where binaries are kept. Its parent must be writable.
	Dir string
	// Search are directories looked through, before the store and PATH, for a binary of the right version.
	Search []string
	// OS and Arch are the platform of the binaries, as Go names it. They are empty for this machine's. Each platform
	// needs a Dir of its own.
	OS, Arch string
}

// Platform returns OS and Arch, or this machine's.
func (s *Store) Platform() (os, arch string) {
	return cmp.Or(s.OS, runtime.GOOS), cmp.Or(s.Arch, runtime.GOARCH)
}

// DefaultDir is the sockscope folder in the user's cache directory.
func DefaultDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w (name one by --cache)", err)
	}
	return filepath.Join(dir, "sockscope"), nil
}

// Find returns a binary of exactly the component's version: from a Search directory, from the store, or from PATH. It
// reports false if there is none.
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

// Installed returns the path of a program that is not a component, from a Search directory or from PATH, in any
// version. It is empty if there is none.
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

// path returns the file in which the store keeps the component. The name contains everything on which the binary
// depends, so a change leads to a new build, and without a change there is none.
func (s *Store) path(c Component) (string, error) {
	files, err := s.module(c)
	if err != nil {
		return "", err
	}
	goos, goarch := s.Platform()
	key := hash(files, runtime.Version(), goos, goarch, buildArgs(c, ""))[:12]
	return filepath.Join(s.Dir, "bin", fmt.Sprintf("%s-%s-%s", c.Name, c.Version, key)), nil
}

// Pins returns a hash of the component's inputs: its module with the versions of all its requirements, our sources, and
// the build's flags. It does not include the platform or the version of Go.
func (s *Store) Pins(c Component) (string, error) {
	files, err := s.module(c)
	if err != nil {
		return "", err
	}
	return hash(files, buildArgs(c, "")), nil
}

func hash(files []file, more ...any) string {
	h := sha256.New()
	fmt.Fprintln(h, more...)
	for _, f := range files {
		fmt.Fprintln(h, f.path)
		h.Write(f.content)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Has reports whether the store has the component, built or unpacked.
func (s *Store) Has(c Component) (bool, error) {
	path, err := s.path(c)
	return err == nil && executable(path), err
}

// Keep moves a binary of the component that was built elsewhere into the store. It must be in the store's directory,
// since files can be renamed only within one file system.
func (s *Store) Keep(c Component, binary string) error {
	path, err := s.path(c)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = os.Rename(binary, path)
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w (name another cache directory by --cache)", c.Name, err)
	}
	s.removeOlder(c, path)
	return nil
}

// removeOlder deletes binaries of the same component that a later build has replaced: each is up to 150 MB.
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
