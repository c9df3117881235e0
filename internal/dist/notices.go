package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/sockscope/sockscope/internal/component"
)

// notices collects the licences of everything that is linked into the programs.
type notices struct {
	texts    map[string]map[string]bool // whose each text is
	looked   map[string]bool            // the folders that were looked through
	licensed map[string]bool            // the modules that have a licence
}

func newNotices() *notices {
	return &notices{texts: make(map[string]map[string]bool), looked: make(map[string]bool), licensed: make(map[string]bool)}
}

// licenceFile matches the names of files that a licence may want to be passed on.
var licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|copyright|notice|patents)([-_.].*)?$`)

// copyleft matches licences whose terms a release under this project's own licence can't meet.
var copyleft = regexp.MustCompile(`(?i)GNU\s+(AFFERO\s+)?GENERAL\s+PUBLIC\s+LICENSE\s+Version|Server\s+Side\s+Public\s+License\s+VERSION|Business\s+Source\s+License\s+1`)

// add looks for licences in the folder of each package and those above it, up to that of its module.
func (n *notices) add(packages []component.Package) error {
	var faults []error
	for _, p := range packages {
		if p.Standard || p.Module.Main {
			continue
		}
		m := p.Module
		if m.Replace != nil {
			if m.Replace.Version == "" {
				continue // a stand-in of ours
			}
			m = m.Replace
		}
		owner := m.Path + " " + m.Version
		for dir := p.Dir; ; dir = filepath.Dir(dir) {
			if err := n.look(dir, owner); err != nil {
				faults = append(faults, err)
			}
			if dir == p.Module.Dir || len(dir) < len(p.Module.Dir) {
				break
			}
		}
		if !n.licensed[owner] {
			faults = append(faults, fmt.Errorf("%s has no licence in %s: see what its terms are", owner, p.Module.Dir))
			n.licensed[owner] = true // one report of it is enough
		}
	}
	return errors.Join(faults...)
}

// look adds the licences in one folder.
func (n *notices) look(dir, owner string) error {
	if n.looked[dir] {
		return nil
	}
	n.looked[dir] = true
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for the licence of %s: %w", owner, err)
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() || !licenceFile.MatchString(entry.Name()) || filepath.Ext(entry.Name()) == ".go" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return fmt.Errorf("read the licence of %s: %w", owner, err)
		}
		text := strings.TrimSpace(strings.ReplaceAll(string(content), "\r\n", "\n"))
		if copyleft.MatchString(text) {
			return fmt.Errorf("%s is under terms that a release can't meet: see %s", owner, filepath.Join(dir, entry.Name()))
		}
		if n.texts[text] == nil {
			n.texts[text] = make(map[string]bool)
		}
		n.texts[text][owner] = true
		n.licensed[owner] = true
	}
	return nil
}

// writeTo writes each text once, after the names of all modules that have it.
func (n *notices) writeTo(to io.Writer) error {
	type notice struct{ owners, text string }
	var list []notice
	for text, owners := range n.texts {
		list = append(list, notice{strings.Join(slices.Sorted(maps.Keys(owners)), "\n"), text})
	}
	slices.SortFunc(list, func(a, b notice) int {
		return cmp.Or(strings.Compare(a.owners, b.owners), strings.Compare(a.text, b.text))
	})
	var out bytes.Buffer
	out.WriteString("Sockscope and the programs beside it are made of the modules below. Each text stands once, after all modules that have it.\n")
	rule := strings.Repeat("=", 80)
	for _, notice := range list {
		fmt.Fprintf(&out, "\n%s\n%s\n%s\n\n%s\n", rule, notice.owners, rule, notice.text)
	}
	_, err := out.WriteTo(to)
	return err
}

// ownPackages lists the packages of this program.
func ownPackages(ctx context.Context, goos, goarch string) ([]component.Package, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-json=ImportPath,Dir,Standard,Module", program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages of %s: %w", program, err)
	}
	var packages []component.Package
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var p component.Package
		if err := decoder.Decode(&p); err != nil {
			return nil, fmt.Errorf("list the packages of %s: %w", program, err)
		}
		if p.Module != nil && strings.HasPrefix(p.Module.Path, "github.com/sockscope/") {
			p.Module.Main = true
		}
		packages = append(packages, p)
	}
	return packages, nil
}

// goRoot returns the folder with Go's own licence.
func goRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("find Go's licence: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
