// Command upgrade changes the versions of components. With arguments such as prometheus=3.13.6 it changes the list in
// package component, and all other places that name the version. Without arguments it changes the modules in
// deploy/native so that they require the versions in the list, and pin the same versions of all other modules that they
// share.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/sockscope/sockscope/internal/component"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "upgrade:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fitModules(ctx, ".")
	}
	for _, arg := range args {
		name, to, _ := strings.Cut(arg, "=")
		i := slices.IndexFunc(components(), func(c component.Component) bool { return c.Name == name })
		if i < 0 {
			var names []string
			for _, c := range components() {
				names = append(names, c.Name)
			}
			return fmt.Errorf("there is no component %q with a version of its own: take one of %s", name, strings.Join(names, ", "))
		}
		if !version.MatchString(to) {
			return fmt.Errorf("%q is no version of %s: write it like %s=%s", to, name, name, components()[i].Version)
		}
		if err := replace(".", components()[i], to); err != nil {
			return err
		}
	}
	return nil
}

// components are those with a version of their own: not the tools that come from a service's module.
func components() []component.Component {
	var list []component.Component
	for _, c := range slices.Concat(component.Services(), component.Tools()) {
		if len(places(c.Name)) > 0 {
			list = append(list, c)
		}
	}
	return list
}
