package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

func TestAdvice(t *testing.T) {
	missing := []need{
		{what: "Redis", programs: []string{"redis-server"}, packages: map[string]string{"brew": "redis", "dnf": "redis"}},
		{what: "Node.js with npm", programs: []string{"npm"}, packages: map[string]string{"brew": "node", "dnf": "nodejs npm"}},
		{what: "Docker", programs: []string{"docker", "dockerd"}, packages: map[string]string{"apt-get": "docker.io"}},
		{what: cCompiler},
	}
	const rest = "Get Docker as your system offers it; on PATH there must be docker, dockerd.\nGet a C compiler as your system offers it.\n"
	for manager, want := range map[string]string{
		"brew": "Get it by: brew install redis node\n" + rest,
		"dnf":  "Get it by: sudo dnf install redis nodejs npm\n" + rest,
	} {
		if got := advice(missing, manager); got != want {
			t.Errorf("with %s:\n%swant\n%s", manager, got, want)
		}
	}
	if got := advice(missing, ""); !strings.Contains(got, "Get Redis as your system offers it; on PATH there must be redis-server.") || strings.Contains(got, "Get it by") {
		t.Errorf("without a package manager:\n%s", got)
	}
	if got := advice(missing[:1], "pacman"); strings.Contains(got, "Get it by") {
		t.Errorf("with no package to name:\n%s", got)
	}
}

func TestLackingByProgram(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	names := func() []string {
		var names []string
		for _, n := range lacking(t.Context(), []string{soak, check}) {
			names = append(names, n.what)
		}
		return names
	}
	if got := names(); !slices.Equal(got, []string{"Redis", "make"}) {
		t.Errorf("on an empty machine the soak and the checks lack %q", got)
	}
	for _, program := range []string{"redis-server", "make"} {
		if err := os.WriteFile(filepath.Join(bin, program), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(); len(got) > 0 {
		t.Errorf("with both, they lack %q", got)
	}
}

// TestNeedsAreWhole holds the list to the tests: every program that a test looks for is of a need, which leaves that
// test out where the program is missing.
func TestNeedsAreWhole(t *testing.T) {
	byProgram := make(map[string]need)
	for _, n := range needs() {
		if n.what == "" || n.why == "" || len(n.suites) == 0 || n.packages["apt-get"] == "" || len(n.programs) == 0 && n.there == nil {
			t.Errorf("the need of %q says too little: %+v", n.what, n)
		}
		for _, program := range n.programs {
			byProgram[program] = n
		}
	}
	lookPath := regexp.MustCompile(`exec\.LookPath\("([^"]+)"\)`)
	found := 0
	eachTest(t, func(folder, content string) {
		for _, match := range lookPath.FindAllStringSubmatch(content, -1) {
			found++
			if n := byProgram[match[1]]; !slices.Contains(n.folders, folder) {
				t.Errorf("%s looks for %s, which no need says", folder, match[1])
			}
		}
	})
	if found == 0 {
		t.Error("no test looks for any program")
	}
}

// TestNeedsNameWhatIsThere makes sure that the folders and tests of the list exist.
func TestNeedsNameWhatIsThere(t *testing.T) {
	var all strings.Builder
	eachTest(t, func(_, content string) { all.WriteString(content) })
	for _, n := range needs() {
		for _, folder := range n.folders {
			if info, err := os.Stat(filepath.Join(root, folder)); err != nil || !info.IsDir() {
				t.Errorf("%s names the folder %s: %v", n.what, folder, err)
			}
		}
		for _, test := range n.tests {
			name, part, _ := strings.Cut(test, "/")
			if !strings.Contains(all.String(), "func "+name+"(") || !strings.Contains(all.String(), `"`+strings.ReplaceAll(part, "_", " ")+`"`) {
				t.Errorf("%s names the test %s, which is not there", n.what, test)
			}
		}
	}
}

// eachTest reads the files with tests.
func eachTest(t *testing.T, read func(folder, content string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") || strings.Contains(path, ".cache") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		read(filepath.ToSlash(folder), string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsMissingIsLeftOut(t *testing.T) {
	r := &runner{missing: []need{
		{what: "a", suites: []string{unit}, tests: []string{"TestA", "TestB/c"}},
		{what: "b", suites: []string{e2e}, tests: []string{"TestD"}},
		{what: "c", suites: []string{unit}, folders: []string{"internal/desk"}},
	}}
	if got := r.skip(unit); !slices.Equal(got, []string{"-skip", "TestA|TestB/c"}) {
		t.Errorf("skip = %q", got)
	}
	if got := r.skip(settings); got != nil {
		t.Errorf("skip = %q, want nothing", got)
	}
	if without, lacks := r.lacks("internal/desk"); !lacks || without != "c" {
		t.Errorf("lacks = %q, %v", without, lacks)
	}
	if _, lacks := r.lacks("internal/desk/inbox"); lacks {
		t.Error("a folder below one that lacks something lacks it too")
	}
	if !slices.Equal(r.notRun, []string{"TestA, TestB/c: needs a"}) {
		t.Errorf("not run are %q", r.notRun)
	}
	if err := r.runSuite(t.Context(), unit+"x"); err == nil {
		t.Error("a suite of no such name was run")
	}
}

func TestCollectorPackages(t *testing.T) {
	packages, err := collectorPackages(root)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(packages, "./deploy/native/otelcol") || !slices.Contains(packages, "./deploy/native/otelcol/lokireceiver") {
		t.Errorf("packages are %q", packages)
	}
}

func TestModernNode(t *testing.T) {
	t.Chdir(t.TempDir())
	program := func(name, ends string) string {
		path, err := filepath.Abs(name)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o700)
		}
		if err == nil {
			err = os.WriteFile(path, []byte("#!/bin/sh\nexit "+ends+"\n"), 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	want := func(node string) {
		t.Helper()
		if got := modernNode(t.Context()); got != node {
			t.Errorf("the modern one is %q, want %q", got, node)
		}
	}
	t.Setenv("NODE", "")
	t.Setenv("PATH", filepath.Dir(program("bin/node", "9"))) // one that does not know the flags
	want("")
	ours := program(nodeFolder+"/node_modules/.bin/node", "0")
	want(ours)
	program("bin/node", "0")
	want("node")
	t.Setenv("NODE", program("another", "0"))
	want(os.Getenv("NODE"))
}
