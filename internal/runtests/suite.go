package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// runner runs suites without the tests that lack something.
type runner struct {
	missing []need
	notRun  []string // what was left out, and why
	failed  []error
}

func (r *runner) runSuite(ctx context.Context, suite string) error {
	switch suite {
	case unit:
		return r.unit(ctx)
	case e2e:
		if runtime.GOOS != "linux" { // they look for the stack's processes in /proc
			r.leaveOut("the end-to-end tests", "Linux")
			return nil
		}
		return goTest(ctx, ".", nil, append([]string{"-tags", "e2e", "-count", "1", "-timeout", "60m", "-v"}, append(r.skip(e2e), "./internal/e2e")...)...)
	case outage:
		tools, err := buildTools(ctx)
		if err != nil {
			return err
		}
		return goTest(ctx, ".", tools, "-count", "1", "-timeout", "2h", "-v", "-run", "TestCollector$/killed", "./deploy/otel-collector")
	case settings:
		tools, err := buildTools(ctx)
		if err != nil {
			return err
		}
		return goTest(ctx, ".", tools, "./deploy/...")
	}
	for _, n := range r.missing {
		if slices.Contains(n.suites, suite) {
			r.leaveOut("the suite "+suite, n.what)
			return nil
		}
	}
	switch suite {
	case soak:
		return goTest(ctx, ".", nil, "-tags", "soak", "-count", "1", "-timeout", "3h", "-v", "./internal/soak")
	case compose:
		return command(ctx, ".", nil, "go", "run", "./internal/composetest")
	}
	return fmt.Errorf("%q is no suite: take some of unit, e2e, settings, compose, soak and outage", suite)
}

func (r *runner) leaveOut(what, without string) {
	r.notRun = append(r.notRun, what+": needs "+without)
}

// unit runs the unit tests of every module, and those of the Collector's packages, which are of the root module but
// have requirements of their own.
func (r *runner) unit(ctx context.Context) error {
	tools, err := buildTools(ctx)
	if err != nil {
		return err
	}
	modules, err := lines(ctx, ".", "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return err
	}
	race := []string{"-race"}
	if slices.ContainsFunc(r.missing, func(n need) bool { return n.what == cCompiler }) {
		race = nil
		r.leaveOut("the race detector", cCompiler)
	}
	if node := modernNode(ctx); node != "" {
		tools = append(tools, "NODE="+node)
	}
	args := append(append(race, "-timeout", "15m"), r.skip(unit)...)
	var failed []error
	for _, module := range modules {
		packages, err := r.packages(ctx, module)
		if err != nil {
			return err
		}
		if len(packages) > 0 {
			failed = append(failed, goTest(ctx, module, tools, append(slices.Clone(args), packages...)...))
		}
	}
	collector, err := collectorPackages(".")
	if err != nil {
		return err
	}
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	env := append(slices.Clone(tools), "GOWORK=off", "GOFLAGS=-modfile="+filepath.Join(root, "deploy/native/otelcol.mod")+" -tags=remove_all_sd")
	return errors.Join(append(failed, goTest(ctx, ".", env, append(slices.Clone(args), collector...)...))...)
}

// skip is the flag that leaves out the tests of a suite that lack something.
func (r *runner) skip(suite string) []string {
	var names []string
	for _, n := range r.missing {
		if slices.Contains(n.suites, suite) && len(n.tests) > 0 {
			names = append(names, n.tests...)
			r.leaveOut(strings.Join(n.tests, ", "), n.what)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{"-skip", strings.Join(names, "|")}
}

// packages returns the packages of a module that lack nothing.
func (r *runner) packages(ctx context.Context, module string) ([]string, error) {
	root, err := filepath.Abs(".")
	if err != nil {
		return nil, err
	}
	found, err := lines(ctx, module, "go", "list", "-f", "{{.Dir}}", "./...")
	if err != nil {
		return nil, err
	}
	var packages []string
	for _, dir := range found {
		folder, err := filepath.Rel(root, dir)
		if err != nil {
			return nil, err
		}
		if without, lacks := r.lacks(filepath.ToSlash(folder)); lacks {
			r.leaveOut("the package "+folder, without)
			continue
		}
		inModule, err := filepath.Rel(module, dir)
		if err != nil {
			return nil, err
		}
		packages = append(packages, "./"+filepath.ToSlash(inModule))
	}
	return packages, nil
}

// lacks tells what the package in a folder can't be tested without.
func (r *runner) lacks(folder string) (string, bool) {
	for _, n := range r.missing {
		if slices.Contains(n.folders, folder) {
			return n.what, true
		}
	}
	return "", false
}

// tools are the programs that tests of settings run, named in the environment.
func tools() []string {
	return []string{"amtool", "promtool", "alertmanager", "prometheus", "otelcol", "jaeger", "victoria-logs"}
}

// buildTools builds the tools, and returns variables that name them.
func buildTools(ctx context.Context) ([]string, error) {
	program := filepath.Join(".cache", "sockscope")
	if err := command(ctx, ".", nil, "go", "build", "-o", program, "./cmd/sockscope"); err != nil {
		return nil, err
	}
	paths, err := lines(ctx, ".", "./"+program, append([]string{"build"}, tools()...)...)
	if err != nil {
		return nil, err
	}
	var env []string
	for i, name := range tools() {
		if i < len(paths) {
			env = append(env, strings.ToUpper(strings.ReplaceAll(name, "-", ""))+"="+paths[i])
		}
	}
	return env, nil
}

// collectorPackages are the folders with sources of the Collector, which the go command leaves out of ./...
func collectorPackages(root string) ([]string, error) {
	var packages []string
	err := filepath.WalkDir(filepath.Join(root, "deploy", "native", "otelcol"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if folder := "./" + filepath.ToSlash(dir); !slices.Contains(packages, folder) {
			packages = append(packages, folder)
		}
		return err
	})
	return packages, err
}

// goTest runs tests. Its error names the folder: what failed is printed above.
func goTest(ctx context.Context, dir string, env []string, args ...string) error {
	fmt.Printf("== test %s\n", dir)
	return command(ctx, dir, env, "go", append([]string{"test"}, args...)...)
}

func command(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s in %s: %w", name, args[0], dir, err)
	}
	return nil
}

// lines returns what a command prints.
func lines(ctx context.Context, dir, name string, args ...string) ([]string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s in %s: %w", name, strings.Join(args, " "), dir, err)
	}
	return strings.Fields(string(out)), nil
}
