// Command runtests installs the programs that tests need, and runs the tests. It needs only Go and git itself:
//
//	go run ./internal/runtests             # unit tests, then the whole stack end to end
//	go run ./internal/runtests unit        # one of unit, e2e, settings, compose, soak, outage
//	go run ./internal/runtests -install    # only install, for all of them and make check
//
// On Debian and Ubuntu it says what is missing and installs it, with npm's Node.js where Debian's is too old. Elsewhere
// it says what is missing and how to get it, runs the other tests, and fails at the end with a list of the tests that
// did not run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "runtests:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	install := flag.Bool("install", false, "only install what the tests and checks need")
	flag.Parse()
	suites := flag.Args()
	if len(suites) == 0 {
		suites = []string{unit, e2e}
	}
	if *install {
		suites = []string{unit, e2e, settings, compose, soak, check}
	}
	missing := provide(ctx, suites)
	if *install {
		if len(missing) > 0 {
			return fmt.Errorf("%d of the things that the tests need are missing", len(missing))
		}
		return nil
	}
	r := &runner{missing: missing}
	for _, s := range suites {
		if err := r.runSuite(ctx, s); err != nil {
			r.failed = append(r.failed, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err := errors.Join(r.failed...); err != nil {
		return err
	}
	if len(r.notRun) > 0 {
		return fmt.Errorf("what was run has passed; this was not run:\n  %s", strings.Join(r.notRun, "\n  "))
	}
	return nil
}
