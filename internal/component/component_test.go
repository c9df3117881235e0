package component

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newStore returns a store whose modules are small programs without dependencies, each printing its name and version.
func newStore(t *testing.T, names ...string) (*Store, []Component) {
	t.Helper()
	store := &Store{Deploy: fstest.MapFS{}, Dir: filepath.Join(t.TempDir(), "cache")}
	var list []Component
	for _, name := range names {
		writeFile(store, name+".mod", "module example.com\n\ngo 1.26\n")
		writeFile(store, name+".sum", "")
		writeFile(store, name+"/main_test.go", "is not built")
		writeMain(store, name, `println("`+name+` version " + version)`)
		list = append(list, Component{
			Name: name, Version: "1.2.3", Module: name, Package: "example.com/deploy/native/" + name,
			LinkFlags: "-X main.version=1.2.3", VersionArgs: []string{"--version"},
		})
	}
	return store, list
}

func writeMain(s *Store, name, body string) {
	writeFile(s, name+"/main.go", "package main\n\nvar version string\n\nfunc main() { "+body+" }\n")
}

func writeFile(s *Store, path, content string) {
	s.Deploy.(fstest.MapFS)["native/"+path] = &fstest.MapFile{Data: []byte(content)}
}

func build(t *testing.T, s *Store, list []Component) (built, stages []string) {
	t.Helper()
	lines := make(chan string, 1000)
	err := s.Build(t.Context(), list,
		func(c Component, p Progress) { lines <- "stage " + c.Name + " " + string(p.Stage) },
		func(_ Component, path string) { lines <- "built " + path })
	if err != nil {
		t.Fatal(err)
	}
	close(lines)
	for line := range lines {
		if path, ok := strings.CutPrefix(line, "built "); ok {
			built = append(built, path)
		} else {
			stages = append(stages, line)
		}
	}
	return built, stages
}

func TestBuildsOnce(t *testing.T) {
	store, list := newStore(t, "first", "second")
	for _, c := range list {
		if path, ok, err := store.Find(t.Context(), c); ok || err != nil {
			t.Fatalf("found %q, %v before it was built", path, err)
		}
	}
	built, stages := build(t, store, list)
	if len(built) != 2 {
		t.Fatalf("built %q", built)
	}
	for _, want := range []string{"stage first downloading modules", "stage first waiting for its turn", "stage first compiling", "stage first linking", "stage second linking"} {
		if !slices.Contains(stages, want) {
			t.Errorf("no %q in %q", want, stages)
		}
	}
	path, ok, err := store.Find(t.Context(), list[0])
	if !ok || err != nil {
		t.Fatalf("not found after the build: %v", err)
	}
	out, err := exec.Command(path).CombinedOutput()
	if err != nil || string(out) != "first version 1.2.3\n" {
		t.Errorf("the build printed %q, %v", out, err)
	}
	if err := store.DropBuildCache(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{store.buildCache(), store.sources()} {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	}

	writeMain(store, "first", `println("changed")`)
	if _, ok, _ := store.Find(t.Context(), list[0]); ok {
		t.Error("a changed module was not missed")
	}
	build(t, store, list[:1])
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the replaced binary is still there: %v", err)
	}
}

func TestProgressInWords(t *testing.T) {
	for p, want := range map[Progress]string{
		{Stage: StageDownloading}:                          "downloading modules",
		{Stage: StageCompiling, Done: 0, Total: 1}:         "compiling, 0 of 1 packages",
		{Stage: StageCompiling, Done: 388, Total: 1667}:    "compiling, 388 of 1,667 packages",
		{Stage: StageCompiling, Done: 1000, Total: 1e6}:    "compiling, 1,000 of 1,000,000 packages",
		{Stage: StageLinking, Done: 100000, Total: 100000}: "linking",
	} {
		if got := p.String(); got != want {
			t.Errorf("%+v is %q, want %q", p, got, want)
		}
	}
}

func TestFindTakesOnlyTheRightVersion(t *testing.T) {
	store, list := newStore(t, "tool")
	for _, tc := range []struct {
		prints string
		want   bool
	}{
		{"tool, version 1.2.3 (branch: x)", true},
		{"v1.2.3", true},
		{"1.2.30", false},
		{"11.2.3", false},
		{"1x2x3", false},
		{"1.2.3.4", false},
		{"", false},
	} {
		t.Run(tc.prints, func(t *testing.T) {
			dir := t.TempDir()
			script := fmt.Sprintf("#!/bin/sh\necho '%s'\n", tc.prints)
			if err := os.WriteFile(filepath.Join(dir, "tool"), []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			store.Search = []string{dir}
			if path, ok, err := store.Find(t.Context(), list[0]); ok != tc.want || err != nil {
				t.Errorf("Find = %q, %v, %v; want %v", path, ok, err, tc.want)
			}
			store.Search = nil
			t.Setenv("PATH", dir)
			if path, ok, err := store.Find(t.Context(), list[0]); ok != tc.want || err != nil {
				t.Errorf("Find on PATH = %q, %v, %v; want %v", path, ok, err, tc.want)
			}
		})
	}
}

func TestBuildErrorNamesTheCause(t *testing.T) {
	store, list := newStore(t, "broken")
	writeMain(store, "broken", "this is not Go")
	err := store.Build(t.Context(), list, func(Component, Progress) {}, func(Component, string) {})
	if err == nil || !strings.Contains(err.Error(), "broken") || !strings.Contains(err.Error(), "main.go") {
		t.Errorf("error is %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(store.Dir, "bin", "*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestMissingModuleNamesTheFlag(t *testing.T) {
	store, list := newStore(t, "there")
	list[0].Module = "elsewhere"
	if _, _, err := store.Find(t.Context(), list[0]); err == nil || !strings.Contains(err.Error(), "--deploy") {
		t.Errorf("error is %v", err)
	}
}

func TestBuildStopsWithItsContext(t *testing.T) {
	store, list := newStore(t, "first", "second")
	ctx, cancel := context.WithCancel(t.Context())
	err := store.Build(ctx, list, func(Component, Progress) { cancel() }, func(Component, string) {})
	if err == nil {
		t.Error("the build went on")
	}
}

// A module among the sources, which takes the place of one that is required, gets a go.mod where the go command looks
// for it.
func TestModuleAmongTheSources(t *testing.T) {
	store, list := newStore(t, "program")
	writeFile(store, "program/light.mod", "module example.org/heavy\n\ngo 1.26\n")
	writeFile(store, "program/light/light.go", "package heavy\n")
	files, err := store.module(list[0])
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, f.path)
	}
	slices.Sort(got)
	want := []string{
		"deploy/native/program/light/go.mod", "deploy/native/program/light/light.go", "deploy/native/program/main.go", "go.mod", "go.sum",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the module is made of %q, want %q", got, want)
	}
}

// A change of one module must not build the others anew.
func TestModulesHaveKeysOfTheirOwn(t *testing.T) {
	store, list := newStore(t, "first", "second")
	before, err := store.path(list[0])
	if err != nil {
		t.Fatal(err)
	}
	writeMain(store, "second", "")
	if after, err := store.path(list[0]); err != nil || after != before {
		t.Errorf("%s became %s, %v", before, after, err)
	}
}
