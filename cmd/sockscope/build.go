package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/sockscope/sockscope/internal/component"
)

func newBuildCommand() *cobra.Command {
	var f storeFlags
	var names []string
	for _, c := range slices.Concat(component.Services(), component.Tools()) {
		names = append(names, c.Name)
	}
	cmd := &cobra.Command{
		Use:   "build [NAME…]",
		Short: "Build components of the stack, and print where they are",
		Long: `Build components from Go modules with pinned versions into the cache directory,
unless they are there, and print the path of each, in the order of the arguments.
Without arguments: what "sockscope up" needs.

Components: ` + strings.Join(names, ", ") + ".",
		Example: `  sockscope build
  promtool=$(sockscope build promtool)`,
		ValidArgs: names,
		RunE:      func(cmd *cobra.Command, args []string) error { return runBuild(cmd, f, args) },
	}
	f.register(cmd.Flags())
	return cmd
}

func runBuild(cmd *cobra.Command, f storeFlags, names []string) error {
	wanted, err := componentsNamed(names)
	if err != nil {
		return err
	}
	store, err := f.open()
	if err != nil {
		return err
	}
	paths := make(map[string]string)
	var missing []component.Component
	for _, c := range wanted {
		path, ok, err := store.Find(cmd.Context(), c)
		if err != nil {
			return err
		}
		if ok {
			paths[c.Name] = path
		} else {
			missing = append(missing, c)
		}
	}
	if len(missing) > 0 {
		if err := buildMissing(cmd, store, missing, paths); err != nil {
			return err
		}
	}
	for _, c := range wanted {
		fmt.Fprintln(cmd.OutOrStdout(), paths[c.Name])
	}
	return nil
}

// buildMissing builds the components, adding to paths where they are, and tells on standard error how it goes.
func buildMissing(cmd *cobra.Command, store *component.Store, missing []component.Component, paths map[string]string) error {
	var mu sync.Mutex
	stages := make(map[string]component.Stage)
	err := store.Build(cmd.Context(), missing,
		func(c component.Component, p component.Progress) {
			mu.Lock()
			defer mu.Unlock()
			if stages[c.Name] != p.Stage {
				stages[c.Name] = p.Stage
				fmt.Fprintf(os.Stderr, "%s %s: %s\n", c.Name, c.Version, p)
			}
		},
		func(c component.Component, path string) {
			mu.Lock()
			defer mu.Unlock()
			paths[c.Name] = path
		})
	if err != nil {
		return err
	}
	return store.DropBuildCache()
}

func componentsNamed(names []string) ([]component.Component, error) {
	if len(names) == 0 {
		return component.Services(), nil
	}
	var found []component.Component
	all := slices.Concat(component.Services(), component.Tools())
	for _, name := range names {
		i := slices.IndexFunc(all, func(c component.Component) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no component %q: see sockscope build --help", name)
		}
		found = append(found, all[i])
	}
	return found, nil
}
