package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"

	"github.com/sockscope/sockscope/internal/component"
)

// family has the prefixes of the Collector's modules, which are released together.
var family = []string{"go.opentelemetry.io/collector", "github.com/open-telemetry/opentelemetry-collector-contrib"}

// heldBack reports whether a component pins a module in a version of its own.
func heldBack(component, module string) bool {
	switch component {
	case "jaeger": // whose code doesn't compile with newer ones
		return inFamily(module) || module == "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	case "alertmanager": // which Prometheus requires for one type, in a version that can't be built as a program
		return module == "github.com/prometheus/alertmanager"
	}
	return false
}

func inFamily(module string) bool {
	for _, prefix := range family {
		if module == prefix || strings.HasPrefix(module, prefix+"/") {
			return true
		}
	}
	return false
}

// pinned is a component's module while it's being changed.
type pinned struct {
	component.Component
	dir string
}

// fitModules changes the modules below root until they require the versions in the list and agree on the rest. Each `go
// mod tidy` may raise a version, which the others must follow. That ends, because versions only rise.
func fitModules(ctx context.Context, root string) error {
	temporary, err := os.MkdirTemp("", "sockscope-upgrade-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	store := &component.Store{Deploy: os.DirFS(filepath.Join(root, "deploy")), Dir: temporary}
	var all, services []pinned
	for _, c := range components() {
		dir, err := store.WriteModule(c)
		if err != nil {
			return err
		}
		p := pinned{c, dir}
		all = append(all, p)
		if err := p.require(ctx, p.own); err != nil {
			return err
		}
		if c.Module != "compose" { // which shares nothing with the others
			services = append(services, p)
		}
	}
	for changed := true; changed; {
		changed = false
		versions, err := highest(services)
		if err != nil {
			return err
		}
		for _, p := range services {
			err := p.require(ctx, func(module, version string) string {
				if heldBack(p.Name, module) || versions[module] == version {
					return version
				}
				changed = true
				return versions[module]
			})
			if err != nil {
				return err
			}
		}
	}
	for _, p := range all {
		for _, kind := range []string{"mod", "sum"} {
			content, err := os.ReadFile(filepath.Join(p.dir, "go."+kind))
			if err == nil {
				err = os.WriteFile(filepath.Join(root, "deploy", "native", p.Module+"."+kind), content, 0o644)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// own returns the version that the list has for a module, or the present one. The Collector's modules follow the list,
// but stable ones have a version of their own: v1.64.0 is released with v0.158.0.
func (p pinned) own(module, version string) string {
	switch {
	case module == p.Requires:
		return p.ModuleVersion
	case p.Name != "otelcol" || !inFamily(module):
		return version
	case semver.Major(version) == "v0":
		return p.ModuleVersion
	}
	var minor, patch int
	if _, err := fmt.Sscanf(p.ModuleVersion, "v0.%d.%d", &minor, &patch); err != nil {
		return version
	}
	return fmt.Sprintf("v1.%d.%d", minor-94, patch)
}

// require gives each requirement the version that want says, and tidies.
func (p pinned) require(ctx context.Context, want func(module, version string) string) error {
	file, err := p.file()
	if err != nil {
		return err
	}
	args := []string{"mod", "edit"}
	for _, r := range file.Require {
		if to := want(r.Mod.Path, r.Mod.Version); to != r.Mod.Version {
			args = append(args, "-require="+r.Mod.Path+"@"+to)
		}
	}
	if len(args) == 2 {
		return nil
	}
	fmt.Printf("%s: %d requirements change\n", p.Name, len(args)-2)
	for _, args := range [][]string{args, {"mod", "tidy"}} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = p.dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s %s for %s: %w\n%s", args[0], args[1], p.Name, err, out)
		}
	}
	return nil
}

func (p pinned) file() (*modfile.File, error) {
	content, err := os.ReadFile(filepath.Join(p.dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	return modfile.Parse(p.Module+".mod", content, nil)
}

// highest returns the highest version of each module that is required.
func highest(services []pinned) (map[string]string, error) {
	versions := make(map[string]string)
	for _, p := range services {
		file, err := p.file()
		if err != nil {
			return nil, err
		}
		for _, r := range file.Require {
			if semver.Compare(r.Mod.Version, versions[r.Mod.Path]) > 0 && !heldBack(p.Name, r.Mod.Path) {
				versions[r.Mod.Path] = r.Mod.Version
			}
		}
	}
	return versions, nil
}
