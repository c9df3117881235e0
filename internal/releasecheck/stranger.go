package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sockscope/sockscope/deploy"
)

// tryAll does what strangers do, and goes on after a failure.
func (r *release) tryAll(ctx context.Context) error {
	var failed []error
	for _, m := range r.modules {
		if m.library() {
			failed = append(failed, r.tryLibrary(ctx, m))
		}
		if m.dir == filepath.Join("docs", "examples") {
			failed = append(failed, r.tryExamples(ctx, m))
		}
		if m.dir == "." {
			failed = append(failed, r.tryProgram(ctx, m))
		}
	}
	return errors.Join(failed...)
}

// newStranger makes a folder with a module of somebody else's.
func (r *release) newStranger(ctx context.Context, name string) (dir string, err error) {
	dir = filepath.Join(r.other, filepath.FromSlash(name))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, r.run(ctx, dir, "go", "mod", "init", "example.com/stranger")
}

// tryLibrary gets a library module and builds all of its packages.
func (r *release) tryLibrary(ctx context.Context, m localModule) error {
	step("go get %s, and build its packages", m.path)
	dir, err := r.newStranger(ctx, m.path)
	if err != nil {
		return err
	}
	if err := r.run(ctx, dir, "go", "get", m.path+"@"+r.version); err != nil {
		return err
	}
	return r.run(ctx, dir, "go", "build", m.path+"/...")
}

// tryExamples builds each program of the guide in a module of its own, which gets only what that program imports.
func (r *release) tryExamples(ctx context.Context, m localModule) error {
	programs, err := filepath.Glob(filepath.Join(r.staging, m.dir, "*", "main.go"))
	if err != nil || len(programs) == 0 {
		return fmt.Errorf("no programs in %s: %w", m.dir, errors.Join(err, fs.ErrNotExist))
	}
	var failed []error
	for _, program := range programs {
		failed = append(failed, r.tryExample(ctx, m, filepath.Dir(program)))
	}
	return errors.Join(failed...)
}

func (r *release) tryExample(ctx context.Context, m localModule, program string) error {
	name := filepath.Base(program)
	step("build the guide's program %s", name)
	dir, err := r.newStranger(ctx, m.path+"/"+name)
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, os.DirFS(program)); err != nil {
		return err
	}
	imports, err := importsOf(dir)
	if err != nil {
		return err
	}
	get := []string{"get"}
	for _, required := range m.mod.Require {
		wanted := required.Mod.Path + "@" + required.Mod.Version
		if slices.ContainsFunc(r.modules, func(m localModule) bool { return m.path == required.Mod.Path }) {
			wanted = required.Mod.Path + "@" + r.version
		}
		if !required.Indirect && slices.ContainsFunc(imports, func(path string) bool {
			return path == required.Mod.Path || strings.HasPrefix(path, required.Mod.Path+"/")
		}) {
			get = append(get, wanted)
		}
	}
	if err := r.run(ctx, dir, "go", get...); err != nil {
		return err
	}
	return r.run(ctx, dir, "go", "build", "-o", os.DevNull, ".")
}

// importsOf lists what the Go files in a folder import.
func importsOf(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var imports []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return nil, err
		}
		for _, spec := range parsed.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return nil, err
			}
			imports = append(imports, path)
		}
	}
	return imports, nil
}

// tryProgram installs the program and makes sure that it knows its version and has the settings of the working tree in
// itself.
func (r *release) tryProgram(ctx context.Context, m localModule) error {
	program := m.path + "/cmd/sockscope@" + r.version
	step("go install %s", program)
	dir := filepath.Join(r.other, "program")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	stranger := *r
	stranger.env = append(slices.Clone(r.env), "GOBIN="+dir)
	if err := stranger.run(ctx, dir, "go", "install", program); err != nil {
		return err
	}
	installed := filepath.Join(dir, "sockscope")
	version, err := r.output(ctx, dir, installed, "--version")
	if err != nil {
		return err
	}
	step("  %s", strings.TrimSpace(version))
	if !strings.Contains(version, r.version) {
		return fmt.Errorf("the installed program takes itself for %q, not for %s", version, r.version)
	}
	if err := r.run(ctx, dir, installed, "settings", "settings"); err != nil {
		return err
	}
	return sameFiles(deploy.Files(), os.DirFS(filepath.Join(dir, "settings")))
}

// sameFiles compares the settings that the installed program has with those of the working tree, which this program was
// compiled with.
func sameFiles(want, got fs.FS) error {
	compared := 0
	err := fs.WalkDir(want, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		there, err := fs.ReadFile(want, path)
		if err != nil {
			return err
		}
		here, err := fs.ReadFile(got, path)
		if err != nil {
			return fmt.Errorf("the installed program lacks settings: %w", err)
		}
		if !bytes.Equal(here, there) {
			return fmt.Errorf("the installed program has another deploy/%s than the working tree", path)
		}
		compared++
		return nil
	})
	if err == nil {
		step("  it has all %d files of its settings", compared)
	}
	return err
}
