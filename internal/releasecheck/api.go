package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// gorelease compares a module with a version of it, and suggests the next one.
const gorelease = "golang.org/x/exp/cmd/gorelease@v0.0.0-20261113113407-e3970619a1a4"

// compareAll compares each library module with its last release.
func (r *release) compareAll(ctx context.Context, root string) error {
	var failed []error
	for _, m := range r.modules {
		if m.library() {
			failed = append(failed, r.compare(ctx, root, m))
		}
	}
	return errors.Join(failed...)
}

func (r *release) compare(ctx context.Context, root string, m localModule) error {
	base, err := lastRelease(ctx, root, m)
	if err != nil {
		return err
	}
	if base == "" {
		step("%s has no release yet to compare with", m.path)
		return nil
	}
	step("%s since %s", m.path, base)
	escaped, err := module.EscapePath(m.path)
	if err != nil {
		return err
	}
	// gorelease compares with the newest version only, which is not to be ours.
	if err := os.Remove(filepath.Join(r.proxy, filepath.FromSlash(escaped), "@v", "list")); err != nil {
		return err
	}
	report, err := r.output(ctx, filepath.Join(r.staging, m.dir), "go", "run", gorelease, "-base="+base)
	fmt.Print(report)
	return err
}

// lastRelease returns the newest version that git has a tag for, or nothing.
func lastRelease(ctx context.Context, root string, m localModule) (newest string, err error) {
	prefix := filepath.ToSlash(m.dir) + "/"
	cmd := exec.CommandContext(ctx, "git", "tag", "--list", prefix+"v*")
	cmd.Dir = root
	tags, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("list the tags of %s: %w", m.path, err)
	}
	for tag := range strings.FieldsSeq(string(tags)) {
		version := strings.TrimPrefix(tag, prefix)
		if semver.Prerelease(version) == "" && semver.Compare(version, newest) > 0 {
			newest = version
		}
	}
	return newest, nil
}
