package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// release is the working tree as a version of its modules.
type release struct {
	modules []localModule
	version string
	staging string // a copy of the repository
	proxy   string // the modules, as the go command downloads them
	other   string // folders of strangers
	cache   string // Go's module cache
	env     []string
}

func newRelease(ctx context.Context, root, dir string, modules []localModule) (*release, error) {
	r := &release{
		modules: modules,
		// The module cache has only what is downloaded once for each version.
		version: fmt.Sprintf("v0.0.0-check.%d", time.Now().UnixNano()),
		staging: filepath.Join(dir, "staging"),
		proxy:   filepath.Join(dir, "proxy"),
		other:   filepath.Join(dir, "strangers"),
	}
	usual := make(map[string]string)
	for _, name := range []string{"GOPROXY", "GONOSUMDB", "GOMODCACHE"} {
		var err error
		if usual[name], err = goEnv(ctx, name); err != nil {
			return nil, err
		}
	}
	r.cache = usual["GOMODCACHE"]
	var own []string
	for _, m := range modules {
		own = append(own, m.path)
	}
	folder := url.URL{Scheme: "file", Path: filepath.ToSlash(r.proxy)}
	r.env = append(os.Environ(),
		"GOWORK=off", "GOFLAGS=-mod=mod -buildvcs=false",
		"GOPROXY="+folder.String()+","+usual["GOPROXY"],
		"GONOSUMDB="+strings.Join(append(own, usual["GONOSUMDB"]), ","),
	)
	return r, copyTree(ctx, root, r.staging)
}

// copyTree copies what git has, or would add.
func copyTree(ctx context.Context, from, to string) error {
	cmd := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = from
	listed, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("list the files of the repository: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(listed), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, and git does not know it yet
		}
		if err == nil {
			err = writeFile(filepath.Join(to, name), content)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

// stage makes the copy of the module require the others in the version of the release, tidies it and, if it is
// published, makes that version of it.
func (r *release) stage(ctx context.Context, m localModule) (tidied, error) {
	dir := filepath.Join(r.staging, m.dir)
	staged, err := readMod(dir)
	if err != nil {
		return tidied{}, err
	}
	for _, other := range r.modules {
		if m.requires(other.path) {
			if err := staged.AddRequire(other.path, r.version); err != nil {
				return tidied{}, err
			}
		}
	}
	content, err := staged.Format()
	if err != nil {
		return tidied{}, err
	}
	sum, _ := r.splitSum(m.sum)
	if err := errors.Join(writeFile(filepath.Join(dir, "go.mod"), content), writeFile(filepath.Join(dir, "go.sum"), sum)); err != nil {
		return tidied{}, err
	}
	if err := r.run(ctx, dir, "go", "mod", "tidy"); err != nil {
		return tidied{}, err
	}
	t, err := r.readTidied(m, dir)
	if err != nil || !m.published() {
		return t, err
	}
	return t, r.publish(m, dir)
}

// tidied are a module's files as they should be.
type tidied struct{ mod, sum []byte }

// readTidied reads what the go command has made of the files, with the versions that the repository has in place of
// that of the release.
func (r *release) readTidied(m localModule, dir string) (tidied, error) {
	mod, err := readMod(dir)
	if err != nil {
		return tidied{}, err
	}
	for _, required := range mod.Require {
		if required.Mod.Version != r.version {
			continue
		}
		version, err := r.required(required.Mod.Path)
		if err == nil {
			err = mod.AddRequire(required.Mod.Path, version)
		}
		if err != nil {
			return tidied{}, err
		}
	}
	content, err := mod.Format()
	if err != nil {
		return tidied{}, err
	}
	sum, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		return tidied{}, err
	}
	others, _ := r.splitSum(sum)
	_, own := r.splitSum(m.sum)
	return tidied{content, append(others, own...)}, nil
}

// required returns the version in which the repository requires a module of its own.
func (r *release) required(path string) (string, error) {
	for _, m := range r.modules {
		for _, required := range m.mod.Require {
			if required.Mod.Path == path {
				return required.Mod.Version, nil
			}
		}
	}
	return "", fmt.Errorf("no go.mod requires %s yet: add it where it is imported, in the version that the others have", path)
}

// splitSum divides a go.sum into the lines of other modules and of our own.
func (r *release) splitSum(sum []byte) (others, own []byte) {
	for line := range bytes.Lines(sum) {
		path, _, _ := strings.Cut(string(line), " ")
		if slices.ContainsFunc(r.modules, func(m localModule) bool { return m.path == path }) {
			own = append(own, line...)
		} else {
			others = append(others, line...)
		}
	}
	return others, own
}

// changes lists the lines that m has to lose and to gain.
func (t tidied) changes(m localModule) string {
	now, err := m.mod.Format()
	if err != nil {
		return err.Error()
	}
	return difference(string(now), string(t.mod)) + difference(string(m.sum), string(t.sum))
}

func difference(from, to string) string {
	var changes strings.Builder
	list := func(mark string, lines, other string) {
		known := make(map[string]bool)
		for line := range strings.Lines(other) {
			known[line] = true
		}
		for line := range strings.Lines(lines) {
			if !known[line] {
				changes.WriteString(mark + line)
			}
		}
	}
	list("- ", from, to)
	list("+ ", to, from)
	return changes.String()
}

func (t tidied) write(dir string) error {
	return errors.Join(writeFile(filepath.Join(dir, "go.mod"), t.mod), writeFile(filepath.Join(dir, "go.sum"), t.sum))
}

// publish puts the staged module into the folder that stands for the proxy.
func (r *release) publish(m localModule, dir string) error {
	version := module.Version{Path: m.path, Version: r.version}
	escaped, err := module.EscapePath(m.path)
	if err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{r.version, time.Now().UTC()})
	if err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	var content bytes.Buffer
	if err := zip.CreateFromDir(&content, version, dir); err != nil {
		return fmt.Errorf("make a zip of %s: %w", m.path, err)
	}
	step("  %s: %d KB", m.path, content.Len()/1024)
	at := filepath.Join(r.proxy, filepath.FromSlash(escaped), "@v")
	return errors.Join(
		writeFile(filepath.Join(at, "list"), []byte(r.version+"\n")),
		writeFile(filepath.Join(at, r.version+".info"), info),
		writeFile(filepath.Join(at, r.version+".mod"), mod),
		writeFile(filepath.Join(at, r.version+".zip"), content.Bytes()),
	)
}

// forget removes the version from the module cache.
func (r *release) forget() error {
	var failed error
	for _, m := range r.modules {
		escaped, err := module.EscapePath(m.path)
		if err != nil {
			return err
		}
		path := filepath.FromSlash(escaped)
		files, err := filepath.Glob(filepath.Join(r.cache, "cache", "download", path, "@v", r.version+".*"))
		failed = errors.Join(failed, err)
		// The go command makes the list anew from the versions that are there.
		for _, file := range append(files, filepath.Join(r.cache, "cache", "download", path, "@v", "list")) {
			if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
				failed = errors.Join(failed, err)
			}
		}
		sources := filepath.Join(r.cache, path+"@"+r.version)
		failed = errors.Join(failed, filepath.WalkDir(sources, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				err = os.Chmod(path, 0o755) // nothing can be removed from the cache's read-only folders
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}), os.RemoveAll(sources))
	}
	return failed
}

// run runs a program as somebody who knows nothing of the repository, in dir.
func (r *release) run(ctx context.Context, dir, program string, args ...string) error {
	_, err := r.output(ctx, dir, program, args...)
	return err
}

// output runs a program like run, and returns what it prints on standard output.
func (r *release) output(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, r.env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, stderr.String())
	}
	return string(out), err
}

func goEnv(ctx context.Context, name string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", name).Output()
	if err != nil {
		return "", fmt.Errorf("ask the go command for %s: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}
