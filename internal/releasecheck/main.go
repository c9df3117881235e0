// Command releasecheck releases the working tree to a stranger. It makes module zips of the modules of go.work, as one
// version, and serves them from a folder in front of the usual module proxy. Then, in empty folders that know nothing
// of the repository, it gets and builds each library module and each of the guide's programs, and installs and runs the
// program.
//
// It also makes sure that each go.mod and go.sum is tidy, which `go mod tidy` can't tell in the repository: its modules
// require each other in versions that don't exist before their release. With -tidy it tidies them instead, and with
// -api it lists what has changed in the API of the library modules since their
// last releases.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	var do instead
	flag.BoolVar(&do.tidy, "tidy", false, "only tidy go.mod and go.sum of each module")
	flag.BoolVar(&do.compare, "api", false, "only compare the API of each library module with its last release")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, do)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "releasecheck:", err)
		os.Exit(1)
	}
}

// instead is what is done in place of the check.
type instead struct{ tidy, compare bool }

// step prints what is done now.
func step(format string, args ...any) {
	fmt.Printf("%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

func run(ctx context.Context, do instead) (err error) {
	work, err := goEnv(ctx, "GOWORK")
	if err != nil {
		return err
	}
	root := filepath.Dir(work)
	modules, err := readModules(root)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sockscope-release-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r, err := newRelease(ctx, root, dir, modules)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.forget()) }()

	step("making %s of the working tree", r.version)
	var faults []error
	for _, m := range r.modules {
		tidied, err := r.stage(ctx, m)
		if err != nil {
			return err
		}
		switch changes := tidied.changes(m); {
		case changes == "" || do.compare:
		case do.tidy:
			step("tidying %s", m.path)
			if err := tidied.write(filepath.Join(root, m.dir)); err != nil {
				return err
			}
		default:
			faults = append(faults, fmt.Errorf("%s is not tidy, run `make tidy`:\n%s", m.path, changes))
		}
		if m.published() {
			faults = append(faults, m.installable())
		}
	}
	switch {
	case do.compare:
		return r.compareAll(ctx, root)
	case do.tidy:
		return nil
	}
	faults = append(faults, r.tryAll(ctx))
	if err := errors.Join(faults...); err != nil {
		return err
	}
	step("what would be released works for strangers")
	return nil
}
