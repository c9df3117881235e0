package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/modfile"
)

// The order of releases in docs/releasing.md is that of the requirements.
func TestModulesOfTheRepository(t *testing.T) {
	modules, err := readModules(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, m := range modules {
		for _, other := range modules {
			if m.requires(other.path) && !seen[other.path] {
				t.Errorf("%s comes before %s, which it requires", m.path, other.path)
			}
		}
		seen[m.path] = true
		if want := !strings.HasPrefix(m.dir, "docs") && !strings.Contains(m.dir, "internal"); m.published() != want {
			t.Errorf("%s is published: %t", m.path, m.published())
		}
		if m.library() != (m.published() && m.dir != ".") {
			t.Errorf("%s is a library: %t", m.path, m.library())
		}
	}
}

func TestModulesThatRequireEachOther(t *testing.T) {
	one := parse(t, "module example.com/one\nrequire example.com/two v0.1.0\n")
	two := parse(t, "module example.com/two\nrequire example.com/one v0.1.0\n")
	if _, err := inOrder([]localModule{one, two}); err == nil || !strings.Contains(err.Error(), "require each other") {
		t.Errorf("error is %v", err)
	}
}

func TestInstallable(t *testing.T) {
	for content, want := range map[string]bool{
		"module example.com/m\n": true,
		"module example.com/m\nrequire example.com/n v0.1.0\nreplace example.com/n => ../n\n": false,
		"module example.com/m\nexclude example.com/n v0.1.0\n":                                false,
	} {
		if err := parse(t, content).installable(); (err == nil) != want {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestChanges(t *testing.T) {
	m := parse(t, "module example.com/m\n\nrequire example.com/n v0.1.0\n")
	m.sum = []byte("example.com/n v0.1.0 h1:a\nexample.com/old v0.1.0 h1:b\n")
	same := tidied{mod: []byte("module example.com/m\n\nrequire example.com/n v0.1.0\n"), sum: m.sum}
	if changes := same.changes(m); changes != "" {
		t.Errorf("changes of what is tidy:\n%s", changes)
	}
	other := tidied{mod: []byte("module example.com/m\n\nrequire example.com/n v0.2.0\n"), sum: []byte("example.com/n v0.1.0 h1:a\n")}
	want := "- require example.com/n v0.1.0\n+ require example.com/n v0.2.0\n- example.com/old v0.1.0 h1:b\n"
	if diff := cmp.Diff(want, other.changes(m)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestSumsOfOurModulesAreApart(t *testing.T) {
	r := &release{modules: []localModule{parse(t, "module example.com/m\n"), parse(t, "module example.com/m/sub\n")}}
	const others, own = "example.com/m/submarine v0.1.0 h1:a\nexample.com/n v0.1.0 h1:b\n", "example.com/m/sub v0.1.0 h1:c\n"
	gotOthers, gotOwn := r.splitSum([]byte(own + others))
	if string(gotOthers) != others || string(gotOwn) != own {
		t.Errorf("divided into %q and %q", gotOthers, gotOwn)
	}
}

func parse(t *testing.T, content string) localModule {
	t.Helper()
	mod, err := modfile.Parse("go.mod", []byte(content), nil)
	if err != nil {
		t.Fatal(err)
	}
	return localModule{path: mod.Module.Mod.Path, mod: mod}
}
