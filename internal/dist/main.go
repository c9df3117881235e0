// Command dist makes a bundle: an archive of this program and of all components of the stack for one platform, with the
// licences of everything in them. See package bundle for what is in it, and `sockscope up --bundle` for its use.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"github.com/sockscope/sockscope/deploy"
	"github.com/sockscope/sockscope/internal/bundle"
	"github.com/sockscope/sockscope/internal/component"
)

const program = "./cmd/sockscope"

func main() {
	var o options
	flag.StringVar(&o.os, "os", runtime.GOOS, "make a bundle for this `system`, as Go names it")
	flag.StringVar(&o.arch, "arch", runtime.GOARCH, "and this `architecture`")
	flag.StringVar(&o.version, "version", "devel", "the release's `version`, for the bundle's name")
	flag.StringVar(&o.out, "out", "dist", "write to `DIR`")
	flag.BoolVar(&o.stage, "stage", false, "only fill DIR/OS_ARCH with what goes into the bundle beside this program")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

type options struct {
	os, arch, version, out string
	stage                  bool
}

func run(ctx context.Context, o options) error {
	store, err := o.store()
	if err != nil {
		return err
	}
	dir := filepath.Join(o.out, o.os+"_"+o.arch)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := errors.Join(stage(ctx, o, store, dir), store.DropBuildCache()); err != nil || o.stage {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "sockscope"), program)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+o.os, "GOARCH="+o.arch)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build %s: %w", program, err)
	}
	name := fmt.Sprintf("sockscope_%s_%s_%s", o.version, o.os, o.arch)
	archive := filepath.Join(o.out, name+".tar.gz")
	file, err := os.Create(archive)
	if err != nil {
		return err
	}
	checksum, err := bundle.Archive(file, os.DirFS(dir), name)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	fmt.Println(archive)
	return os.WriteFile(archive+".sha256", fmt.Appendf(nil, "%s  %s.tar.gz\n", checksum, name), 0o644)
}

// store keeps binaries for other platforms apart: a store has those of one.
func (o options) store() (*component.Store, error) {
	store := &component.Store{Deploy: deploy.Files(), OS: o.os, Arch: o.arch}
	var err error
	if o.os == runtime.GOOS && o.arch == runtime.GOARCH {
		store.Dir, err = component.DefaultDir()
	} else {
		store.Dir, err = filepath.Abs(filepath.Join(".cache", "dist", o.os+"_"+o.arch))
	}
	return store, err
}

// stage fills dir with everything but the program.
func stage(ctx context.Context, o options, store *component.Store, dir string) error {
	components := component.Services()
	type result struct {
		name, path string
	}
	built := make(chan result, len(components))
	err := store.Build(ctx, components,
		func(c component.Component, p component.Progress) {
			if p.Done == 0 || p.Stage == component.StageLinking {
				fmt.Fprintf(os.Stderr, "%s %s: %s\n", c.Name, c.Version, p)
			}
		},
		func(c component.Component, path string) { built <- result{c.Name, path} })
	if err != nil {
		return err
	}
	close(built)
	binaries := make(map[string]string)
	for b := range built {
		binaries[b.name] = b.path
	}
	if err := bundle.Stage(ctx, dir, store, components, binaries); err != nil {
		return err
	}
	if err := writeNotices(ctx, o, store, components, filepath.Join(dir, bundle.NoticesFile)); err != nil {
		return err
	}
	for _, name := range []string{"LICENSE", "README.md"} {
		content, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o644)
		}
		if err != nil {
			return fmt.Errorf("%w (run this from the top of the repository)", err)
		}
	}
	return nil
}

func writeNotices(ctx context.Context, o options, store *component.Store, components []component.Component, path string) error {
	packages, err := ownPackages(ctx, o.os, o.arch)
	if err != nil {
		return err
	}
	for _, c := range components {
		more, err := store.Packages(ctx, c)
		if err != nil {
			return err
		}
		packages = slices.Concat(packages, more)
	}
	n := newNotices()
	err = n.add(packages)
	root, rootErr := goRoot(ctx)
	if err := errors.Join(err, rootErr); err != nil {
		return err
	}
	if err := n.look(root, "Go "+runtime.Version()); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(n.writeTo(file), file.Close())
}
