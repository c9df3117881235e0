package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"

	"github.com/sockscope/sockscope/deploy"
	"github.com/sockscope/sockscope/internal/component"
)

// TestVersions makes sure that images, settings and modules have the versions of the list.
func TestVersions(t *testing.T) {
	for _, c := range components() {
		images := 0
		err := visit("../..", c, func(path, content string, versions [][]int) error {
			for _, at := range versions {
				if got := content[at[0]:at[1]]; got != c.Version {
					t.Errorf("%s has %s %s, want %s (see make upgrade)", path, c.Name, got, c.Version)
				}
			}
			if filepath.Ext(path) == ".yml" {
				images += len(versions)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if images == 0 && c.Name != "docker-compose" {
			t.Errorf("%s has no image", c.Name)
		}
	}
	for _, c := range slices.Concat(component.Services(), component.Tools()) {
		for _, r := range requirements(t, c.Module) {
			switch at := r.Mod.Version; {
			case r.Mod.Path == c.Requires && at != c.ModuleVersion:
				t.Errorf("%s.mod requires %s %s, want %s of %s %s (see make upgrade)", c.Module, r.Mod.Path, at, c.ModuleVersion, c.Name, c.Version)
			case r.Mod.Path == c.Requires:
				c.Requires = "" // found
			}
		}
		if c.Requires != "" {
			t.Errorf("%s.mod does not require %s, which has %s", c.Module, c.Requires, c.Name)
		}
	}
}

// TestPinsAreShared makes sure that the services pin the same versions of what they share, so that the compiler's cache
// has each package once for all.
func TestPinsAreShared(t *testing.T) {
	pins := make(map[string]map[string]string) // module, version, components
	for _, c := range component.Services() {
		for _, r := range requirements(t, c.Module) {
			if heldBack(c.Name, r.Mod.Path) {
				continue
			}
			if pins[r.Mod.Path] == nil {
				pins[r.Mod.Path] = make(map[string]string)
			}
			pins[r.Mod.Path][r.Mod.Version] += " " + c.Name
		}
	}
	for module, versions := range pins {
		if len(versions) > 1 {
			t.Errorf("%s is pinned in several versions: %v (run go run ./internal/upgrade)", module, versions)
		}
	}
}

func requirements(t *testing.T, module string) []*modfile.Require {
	t.Helper()
	content, err := fs.ReadFile(deploy.Files(), "native/"+module+".mod")
	if err != nil {
		t.Fatal(err)
	}
	file, err := modfile.Parse(module+".mod", content, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Require
}

func TestReplace(t *testing.T) {
	root := t.TempDir()
	for _, c := range components() {
		for _, p := range places(c.Name) {
			paths, err := filepath.Glob(filepath.Join("../..", p.files))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range paths {
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				to := filepath.Join(root, strings.TrimPrefix(path, "../../"))
				if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(to, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, c := range components() {
		if err := replace(root, c, "77.0.1"); err != nil {
			t.Fatal(err)
		}
		seen := 0
		err := visit(root, c, func(path, content string, versions [][]int) error {
			seen += len(versions)
			for _, at := range versions {
				if got := content[at[0]:at[1]]; got != "77.0.1" {
					t.Errorf("%s: %s became %s", path, c.Name, got)
				}
			}
			return nil
		})
		if err != nil || seen == 0 {
			t.Errorf("%s: %d places have the new version, %v", c.Name, seen, err)
		}
	}
}

func TestModuleVersions(t *testing.T) {
	collector := pinned{Component: component.Component{Name: "otelcol", Requires: "go.opentelemetry.io/collector/otelcol", ModuleVersion: "v0.160.1"}}
	for _, tc := range []struct{ module, is, want string }{
		{"go.opentelemetry.io/collector/otelcol", "v0.158.0", "v0.160.1"},
		{"go.opentelemetry.io/collector", "v0.158.0", "v0.160.1"},
		{"go.opentelemetry.io/collector/pdata", "v1.64.0", "v1.66.1"},
		{"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl", "v0.158.0", "v0.160.1"},
		{"go.opentelemetry.io/collectors", "v0.158.0", "v0.158.0"},
		{"go.opentelemetry.io/otel", "v1.45.0", "v1.45.0"},
	} {
		if got := collector.own(tc.module, tc.is); got != tc.want {
			t.Errorf("%s %s becomes %s, want %s", tc.module, tc.is, got, tc.want)
		}
	}
}
