package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/sockscope/sockscope/internal/component"
)

// binaries are paths on this machine, by the name of the program; "go" is the directory of the Go installation.
type binaries map[string]string

// findBinaries finds what the images consist of, and Docker Compose, and builds what is missing.
func findBinaries(ctx context.Context, store *component.Store) (binaries, error) {
	found := make(binaries)
	var missing []component.Component
	for _, c := range slices.Concat(component.Services(), component.Tools()) {
		if c.Name == "amtool" {
			continue // nothing here runs it
		}
		path, ok, err := store.Find(ctx, c)
		if err != nil {
			return nil, err
		}
		if ok {
			found[c.Name] = path
		} else {
			missing = append(missing, c)
		}
	}
	if err := build(ctx, store, missing, found); err != nil {
		return nil, err
	}
	var err error
	for _, program := range installed() {
		if found[program], err = find(program); err != nil {
			return nil, err
		}
	}
	if found["go"], err = goRoot(ctx); err != nil {
		return nil, err
	}
	for name, path := range found {
		if found[name], err = filepath.Abs(path); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func build(ctx context.Context, store *component.Store, missing []component.Component, into binaries) error {
	if len(missing) == 0 {
		return nil
	}
	var mu sync.Mutex
	stages := make(map[string]component.Stage)
	err := store.Build(ctx, missing,
		func(c component.Component, p component.Progress) {
			mu.Lock()
			defer mu.Unlock()
			if stages[c.Name] != p.Stage {
				stages[c.Name] = p.Stage
				step("%s %s: %s", c.Name, c.Version, p.Stage)
			}
		},
		func(c component.Component, path string) {
			mu.Lock()
			defer mu.Unlock()
			into[c.Name] = path
		})
	if err != nil {
		return err
	}
	return store.DropBuildCache()
}

// installed are the programs that Debian has: a busybox that runs without libraries, for the images that have a shell,
// and what isn't written in Go.
func installed() []string { return []string{"busybox", "nginx", "redis-server", "redis-cli"} }

func find(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("find what images are made of: %w (make test-compose installs it on Debian)", err)
	}
	return path, nil
}

func goRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("ask the go command where it is installed: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
