package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/sockscope/sockscope/internal/bundle"
	"github.com/sockscope/sockscope/internal/component"
)

// writeFiles writes files below a new folder.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestNotices(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"one/LICENSE":              "text of one\n",
		"one/licenses.go":          "package one",
		"one/NOTICE.txt":           "names of one",
		"one/deep/er/COPYING":      "text of what one has copied",
		"one/beside/LICENSE":       "not linked",
		"two/LICENCE.md":           "text of one\r\n",
		"bare/bare.go":             "package bare",
		"agpl/LICENSE":             "GNU AFFERO GENERAL PUBLIC LICENSE\n  Version 3",
		"example.com/ours/main.go": "package main",
	})
	in := func(module, folder string) component.Package {
		return component.Package{
			ImportPath: module + "/" + folder, Dir: filepath.Join(dir, module, folder),
			Module: &component.Module{Path: module, Version: "v1.0.0", Dir: filepath.Join(dir, module)},
		}
	}
	own := in("example.com", "ours")
	own.Module.Main = true
	standIn := in("two", "")
	standIn.Module = &component.Module{Path: "heavy", Version: "v2.0.0", Dir: standIn.Dir, Replace: &component.Module{Path: "./light", Dir: standIn.Dir}}
	fork := in("two", "")
	fork.Module = &component.Module{Path: "origin", Version: "v2.0.0", Dir: fork.Dir, Replace: &component.Module{Path: "two", Version: "v2.1.0", Dir: fork.Dir}}
	standard := component.Package{ImportPath: "fmt", Standard: true}

	n := newNotices()
	if err := n.add([]component.Package{standard, own, standIn, in("one", "deep/er"), in("one", ""), fork}); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := n.writeTo(&out); err != nil {
		t.Fatal(err)
	}
	rule := strings.Repeat("=", 80)
	want := fmt.Sprintf(`
%[1]s
one v1.0.0
%[1]s

names of one

%[1]s
one v1.0.0
%[1]s

text of what one has copied

%[1]s
one v1.0.0
two v2.1.0
%[1]s

text of one
`, rule)
	if got := out.String(); !strings.HasSuffix(got, want) || strings.Count(got, rule) != strings.Count(want, rule) {
		t.Errorf("the notices are\n%s\nwant at the end\n%s", got, want)
	}
	for module, fault := range map[string]string{"bare": "has no licence", "agpl": "terms that a release can't meet"} {
		if err := newNotices().add([]component.Package{in(module, ""), in(module, "")}); err == nil || strings.Count(err.Error(), fault) != 1 {
			t.Errorf("%s: error is %v, want %q once", module, err, fault)
		}
	}
}

// TestReleaseSettings makes sure that a release's archives are bundles: what GoReleaser makes and what this program
// makes must be the same to `sockscope up --bundle`.
func TestReleaseSettings(t *testing.T) {
	content, err := os.ReadFile("../../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var settings struct {
		Before struct{ Hooks []string }
		Builds []struct {
			ID           string
			Goos, Goarch []string
		}
		Archives []struct {
			ID       string
			IDs      []string `yaml:"ids"`
			Template string   `yaml:"name_template"`
			Formats  []string
			Wrap     bool `yaml:"wrap_in_directory"`
			Files    []any
		}
	}
	if err := yaml.Unmarshal(content, &settings); err != nil {
		t.Fatal(err)
	}
	build, archive := settings.Builds[0], settings.Archives[0]
	hooks := strings.Join(settings.Before.Hooks, "\n") + "\n"
	for _, goos := range build.Goos {
		for _, arch := range build.Goarch {
			if want := fmt.Sprintf("-out .cache/bundle -os %s -arch %s\n", goos, arch); !strings.Contains(hooks, want) {
				t.Errorf("nothing is staged by %q", want)
			}
		}
	}
	if archive.Template != "sockscope_{{ .Version }}_{{ .Os }}_{{ .Arch }}" || !archive.Wrap || archive.Formats[0] != "tar.gz" || archive.IDs[0] != build.ID {
		t.Errorf("the archive is %+v", archive)
	}
	files := fmt.Sprint(archive.Files)
	for _, want := range []string{"/" + bundle.ManifestFile, "/" + bundle.NoticesFile, "/" + bundle.BinDir + "/*", "dst:" + bundle.BinDir + " ", "LICENSE"} {
		if !strings.Contains(files, want) {
			t.Errorf("the bundle lacks %q: it has %s", want, files)
		}
	}
}
