// Command judge says which alerts fire in a situation, with the rules as they are and with changed ones. Package mixin
// checks by it whether its tests are strict enough: they have to notice each change.
//
//	judge changes   reads expressions, and writes what each can be changed into
//	judge mutants   reads rules, situations and mutants, and writes which mutants are noticed
//
// It reads and writes JSON. It uses promtool's packages and gives the same results in a fraction of the time: it
// evaluates an expression once for a whole situation, not once for each step, and unchanged expressions once for all
// mutants.
//
// It is built with the go.mod of the stack's Prometheus, so that there is one version to keep:
//
//	GOWORK=off go build -modfile=deploy/native/prometheus.mod ./internal/judge
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("want one argument: changes or mutants")
	}
	switch args[0] {
	case "changes":
		var exprs []string
		if err := json.NewDecoder(in).Decode(&exprs); err != nil {
			return fmt.Errorf("read expressions: %w", err)
		}
		all := make([][]change, len(exprs))
		for i, expr := range exprs {
			found, err := changes(expr)
			if err != nil {
				return fmt.Errorf("parse %s: %w", expr, err)
			}
			all[i] = found
		}
		return json.NewEncoder(out).Encode(all)
	case "mutants":
		var c court
		if err := json.NewDecoder(in).Decode(&c); err != nil {
			return fmt.Errorf("read rules, situations and mutants: %w", err)
		}
		v, err := c.judge(ctx)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(v)
	}
	return fmt.Errorf("%q is neither changes nor mutants", args[0])
}
