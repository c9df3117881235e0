package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// localModule is a module of the repository.
type localModule struct {
	path string
	dir  string // below the root of the repository
	mod  *modfile.File
	sum  []byte
}

// readModules reads the modules that go.work has, each after those that it requires.
func readModules(root string) ([]localModule, error) {
	content, err := os.ReadFile(filepath.Join(root, "go.work"))
	if err != nil {
		return nil, err
	}
	work, err := modfile.ParseWork("go.work", content, nil)
	if err != nil {
		return nil, err
	}
	var modules []localModule
	for _, use := range work.Use {
		m := localModule{dir: filepath.Clean(filepath.FromSlash(use.Path))}
		if m.mod, err = readMod(filepath.Join(root, m.dir)); err != nil {
			return nil, err
		}
		if m.sum, err = os.ReadFile(filepath.Join(root, m.dir, "go.sum")); err != nil {
			return nil, err
		}
		m.path = m.mod.Module.Mod.Path
		modules = append(modules, m)
	}
	return inOrder(modules)
}

func readMod(dir string) (*modfile.File, error) {
	path := filepath.Join(dir, "go.mod")
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return modfile.Parse(path, content, nil)
}

// inOrder puts each module after those that it requires.
func inOrder(modules []localModule) ([]localModule, error) {
	var ordered []localModule
	for len(modules) > 0 {
		next := slices.IndexFunc(modules, func(m localModule) bool {
			return !slices.ContainsFunc(modules, func(other localModule) bool { return m.requires(other.path) })
		})
		if next < 0 {
			return nil, fmt.Errorf("%s and others require each other: none of them can be released first", modules[0].path)
		}
		ordered = append(ordered, modules[next])
		modules = slices.Delete(modules, next, next+1)
	}
	return ordered, nil
}

func (m localModule) requires(path string) bool {
	return slices.ContainsFunc(m.mod.Require, func(r *modfile.Require) bool { return r.Mod.Path == path })
}

// published tells whether the module is released: the others are there to compare, and to be read.
func (m localModule) published() bool {
	elements := strings.Split(m.path, "/")
	return !slices.Contains(elements, "internal") && !slices.Contains(elements, "docs")
}

// library reports whether other modules require the module. The others are only installed.
func (m localModule) library() bool { return m.published() && m.dir != "." }

// installable refuses lines of go.mod that keep users from installing a program of the module, or that have no effect
// for modules that require it.
func (m localModule) installable() error {
	if len(m.mod.Replace) > 0 || len(m.mod.Exclude) > 0 {
		return fmt.Errorf("the go.mod of %s replaces or excludes modules: nothing in it can be installed, and whoever requires it gets others; put it into go.work", m.path)
	}
	return nil
}
