package component

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sync/errgroup"
)

// Stage is a step of a build.
type Stage string

// The stages, in the order in which they come.
const (
	StageDownloading Stage = "downloading modules"
	StageWaiting     Stage = "waiting for its turn"
	StageCompiling   Stage = "compiling"
	StageLinking     Stage = "linking"
)

// Progress says how far a build has come.
type Progress struct {
	Stage Stage
	// Done of Total packages are compiled. Total is 0 before compiling begins. It includes packages that the build
	// cache may have.
	Done, Total int
}

// String returns text such as "compiling, 388 of 1,667 packages".
func (p Progress) String() string {
	if p.Stage != StageCompiling {
		return string(p.Stage)
	}
	return fmt.Sprintf("%s, %s of %s packages", p.Stage, grouped(p.Done), grouped(p.Total))
}

// grouped writes a number with a comma between thousands.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// buildArgs returns the arguments of the go command that builds c as out. DWARF is left out when compiling: the linker
// would strip it, and it takes a tenth of the time.
func buildArgs(c Component, out string) []string {
	args := []string{
		"build", "-v", "-trimpath", "-buildvcs=false", "-pgo=off",
		"-ldflags=" + strings.TrimSpace("-s -w "+c.LinkFlags),
		"-gcflags=all=-dwarf=false",
	}
	if c.Tags != "" {
		args = append(args, "-tags="+c.Tags)
	}
	return append(args, "-o", out, c.Package)
}

// Build builds the components into the store, in their order, and calls built for each as soon as it is there; report
// tells of the progress. Both are called from several goroutines. Modules are downloaded ahead of the compiler, and a
// build begins when the one before it has come to linking, which leaves most processors idle. If two programs build the
// same component at once, one waits for the other.
func (s *Store) Build(ctx context.Context, list []Component, report func(Component, Progress), built func(c Component, path string)) error {
	for _, dir := range []string{filepath.Join(s.Dir, "bin"), s.locks()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the cache directory: %w (name another by --cache)", err)
		}
	}
	inUse := s.buildCacheLock()
	if _, err := inUse.TryRLockContext(ctx, 200*time.Millisecond); err != nil {
		return fmt.Errorf("take the compiler's cache: %w", err)
	}
	defer func() { _ = inUse.Unlock() }()
	group, ctx := errgroup.WithContext(ctx)
	type job struct {
		Component
		dir      string // its module
		packages int
	}
	downloaded := make(chan job, len(list))
	group.Go(func() error {
		defer close(downloaded)
		for _, c := range list {
			report(c, Progress{Stage: StageDownloading})
			dir, err := s.WriteModule(c)
			if err != nil {
				return err
			}
			packages, err := s.packages(ctx, c, dir)
			if err != nil {
				return err
			}
			report(c, Progress{Stage: StageWaiting})
			downloaded <- job{c, dir, len(packages)}
		}
		return nil
	})
	group.Go(func() error {
		compiler := make(chan struct{}, 1)
		for next := range downloaded {
			select {
			case compiler <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			release := sync.OnceFunc(func() { <-compiler })
			group.Go(func() error {
				defer release()
				path, err := s.build(ctx, next.Component, next.dir, next.packages, func(p Progress) {
					if p.Stage == StageLinking {
						release()
					}
					report(next.Component, p)
				})
				if err == nil {
					built(next.Component, path)
				}
				return err
			})
		}
		return nil
	})
	return group.Wait()
}

// build compiles and links one component whose modules are there.
func (s *Store) build(ctx context.Context, c Component, dir string, packages int, report func(Progress)) (string, error) {
	path, err := s.path(c)
	if err != nil {
		return "", err
	}
	lock := flock.New(filepath.Join(s.locks(), c.Name))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return "", fmt.Errorf("wait for another build of %s: %w", c.Name, err)
	}
	defer func() { _ = lock.Unlock() }()
	if executable(path) {
		return path, nil
	}
	partial := path + ".partial"
	defer os.Remove(partial)
	if err := s.compile(ctx, c, dir, partial, packages, report); err != nil {
		return "", err
	}
	if err := os.Rename(partial, path); err != nil {
		return "", fmt.Errorf("keep the build of %s: %w", c.Name, err)
	}
	s.removeOlder(c, path)
	return path, nil
}

// Package is a package of a component.
type Package struct {
	ImportPath string
	// Dir is the folder of its source, while the module cache has it.
	Dir string
	// Standard is true for a package of Go's own.
	Standard bool
	// Module is the module of the package. It is nil for a package of Go's own.
	Module *Module
}

// Module is a module of a component.
type Module struct {
	Path, Version string
	// Dir is the folder of its source.
	Dir string
	// Main is true for the module that pins the component.
	Main bool
	// Replace is the module that replaces it, if there is one. Without a version it is a folder of ours.
	Replace *Module
}

// Packages lists the packages of the component. It downloads missing modules.
func (s *Store) Packages(ctx context.Context, c Component) ([]Package, error) {
	dir, err := s.WriteModule(c)
	if err != nil {
		return nil, err
	}
	return s.packages(ctx, c, dir)
}

func (s *Store) packages(ctx context.Context, c Component, dir string) ([]Package, error) {
	args := []string{"list", "-deps", "-json=ImportPath,Dir,Standard,Module"}
	if c.Tags != "" {
		args = append(args, "-tags="+c.Tags)
	}
	cmd := s.goCommand(ctx, dir, append(args, c.Package)...)
	var stdout bytes.Buffer
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, buildError(ctx, c, "list the packages of", err, stderr.String())
	}
	var packages []Package
	for decoder := json.NewDecoder(&stdout); ; {
		var p Package
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the packages of %s: %w", c.Name, err)
		}
		packages = append(packages, p)
	}
}

func (s *Store) compile(ctx context.Context, c Component, dir, out string, total int, report func(Progress)) error {
	cmd := s.goCommand(ctx, dir, buildArgs(c, out)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("build %s: %w", c.Name, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run the go command: %w (Go is needed to build %s: see go.dev/dl)", err, c.Name)
	}
	tail := watch(stderr, c, total, report)
	if err := cmd.Wait(); err != nil {
		return buildError(ctx, c, "build", err, tail)
	}
	return nil
}

// watch turns the names of packages that the go command prints as it compiles them into progress, and returns the last
// lines for an error.
func watch(r io.Reader, c Component, total int, report func(Progress)) (tail string) {
	const keep = 20
	var last []string
	done := 0
	report(Progress{Stage: StageCompiling, Total: total})
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		last = append(last, line)
		if len(last) > keep {
			last = last[1:]
		}
		done++
		if line == c.Package { // the last one: only linking is left
			report(Progress{Stage: StageLinking, Done: total, Total: total})
		} else {
			report(Progress{Stage: StageCompiling, Done: min(done, total), Total: total})
		}
	}
	_, _ = io.Copy(io.Discard, r) // a line too long to scan must not block the build
	return strings.Join(last, "\n")
}

// goCommand runs the go command in the folder of a module, with settings of its own, so that the user's flags and
// workspaces don't reach into the build. It has a build cache apart, which DropBuildCache removes.
func (s *Store) goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	goos, goarch := s.Platform()
	cmd.Env = append(os.Environ(),
		"GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off",
		"GOCACHE="+s.buildCache())
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

func buildError(ctx context.Context, c Component, what string, err error, output string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%s %s: %w\n%s", what, c.Name, err, strings.TrimSpace(output))
}

func (s *Store) buildCache() string { return filepath.Join(s.Dir, "build") }

func (s *Store) buildCacheLock() *flock.Flock {
	return flock.New(filepath.Join(s.locks(), "compiler"))
}

func (s *Store) locks() string { return filepath.Join(s.Dir, "locks") }

// DropBuildCache removes the build cache, which has several GB, unless another program is building. Keep it after an
// interrupted build.
func (s *Store) DropBuildCache() error {
	inUse := s.buildCacheLock()
	free, err := inUse.TryLock()
	if err != nil || !free {
		return err
	}
	defer func() { _ = inUse.Unlock() }()
	return errors.Join(os.RemoveAll(s.buildCache()), os.RemoveAll(s.sources()))
}
