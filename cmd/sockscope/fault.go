package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockscope/sockscope/demo/fault"
	"github.com/sockscope/sockscope/internal/endpoint"
)

const (
	// faultTimeout is how long the demo may take to answer.
	faultTimeout = 5 * time.Second
	// completionTimeout is how long somebody who has pressed the tab key waits for that.
	completionTimeout = time.Second
)

// faultFlags are those of all fault commands.
type faultFlags struct {
	client fault.Client
	json   bool
}

func newFaultCommand() *cobra.Command {
	f := &faultFlags{}
	cmd := &cobra.Command{
		Use:   "fault",
		Short: "Break the demo on purpose",
		Long: `Break the demo on purpose, to see how its telemetry shows it. A fault has a strength
and a duration, and heals by itself. docs/faults.md says how to recognize each.

  sockscope fault ls
  sockscope fault set slow_handling 500 --for 2m
  sockscope fault clear --all`,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.client.URL, "url", "http://"+endpoint.Local(0).Demo,
		"the demo's address; each of several instances has its own faults, see --all-instances")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	cmd.AddCommand(newFaultListCommand(f), newFaultSetCommand(f), newFaultClearCommand(f))
	return cmd
}

func newFaultListCommand(f *faultFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the faults, what they cause and which are on",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), faultTimeout)
			defer cancel()
			states, err := f.client.List(ctx)
			if err != nil {
				return f.failed(err)
			}
			return f.print(cmd.OutOrStdout(), states)
		},
	}
}

func newFaultSetCommand(f *faultFlags) *cobra.Command {
	lasts := time.Duration(0)
	cmd := &cobra.Command{
		Use:   "set NAME STRENGTH",
		Short: "Turn a fault on for some time",
		Long: `Turn a fault on for some time, or change one that is on. "sockscope fault ls" says
what its strength means.`,
		Example:           "  sockscope fault set mass_disconnect 0.3 --for 5m",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: f.completeName(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			strength, err := strconv.ParseFloat(args[1], 64)
			if err != nil || math.IsNaN(strength) || math.IsInf(strength, 0) {
				return fmt.Errorf("the strength %q is not a number", args[1])
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), faultTimeout)
			defer cancel()
			state, err := f.client.Set(ctx, args[0], strength, lasts)
			if err != nil {
				return f.failed(err)
			}
			return f.print(cmd.OutOrStdout(), []fault.State{state})
		},
	}
	f.reachAll(cmd)
	cmd.Flags().DurationVar(&lasts, "for", time.Minute,
		fmt.Sprintf("time after which the fault heals by itself, at most %v", fault.MaxDuration))
	return cmd
}

func newFaultClearCommand(f *faultFlags) *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use:               "clear NAME... | --all",
		Short:             "Turn faults off",
		ValidArgsFunction: f.completeName(-1),
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return errors.New("name the faults to turn off, or give --all and no name")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), faultTimeout)
			defer cancel()
			states, err := f.clear(ctx, args, all)
			return errors.Join(f.print(cmd.OutOrStdout(), states), err)
		},
	}
	f.reachAll(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "turn off all that are on")
	return cmd
}

// reachAll adds the flag for all instances.
func (f *faultFlags) reachAll(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.client.AllInstances, "all-instances", false,
		"reach all instances of the demo, not only the one that answers at --url")
}

// clear turns faults off and returns those that it has got at.
func (f *faultFlags) clear(ctx context.Context, names []string, all bool) ([]fault.State, error) {
	if all {
		states, err := f.client.List(ctx)
		if err != nil {
			return nil, f.failed(err)
		}
		for _, s := range states {
			if s.On || f.client.AllInstances && len(s.Instances) > 0 {
				names = append(names, s.Name)
			}
		}
	}
	cleared := make([]fault.State, 0, len(names))
	var failed error
	for _, name := range names {
		state, err := f.client.Clear(ctx, name)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("clear %s: %w", name, f.failed(err)))
			continue
		}
		cleared = append(cleared, state)
	}
	return cleared, failed
}

func (f *faultFlags) failed(err error) error {
	return fmt.Errorf("the demo at %s (--url): %w", f.client.URL, err)
}

// completeName completes the names of faults, for that many arguments or, if that is negative, for all.
func (f *faultFlags) completeName(most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		states, err := f.client.List(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		names := make([]cobra.Completion, 0, len(states))
		for _, s := range states {
			names = append(names, cobra.CompletionWithDesc(s.Name, s.Description))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// print prints how faults are, as a table or as JSON.
func (f *faultFlags) print(out io.Writer, states []fault.State) error {
	if f.json {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(map[string]any{"faults": states})
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FAULT\tNOW\tSTRENGTH\tWHAT IT CAUSES")
	for _, s := range states {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.Name, now(s), strengths(s), s.Description)
	}
	return table.Flush()
}

// now tells whether a fault is on, for how long it will be, and on which of several instances.
func now(s fault.State) string {
	where := ""
	if len(s.Instances) > 0 {
		where = " on " + strings.Join(s.Instances, ", ")
	}
	switch {
	case s.Unavailable != "":
		return "not here"
	case !s.On && where != "":
		return "off here," + where
	case !s.On:
		return "off"
	}
	left := max(0, time.Until(s.Ends)).Round(time.Second)
	if s.Min == s.Max {
		return fmt.Sprintf("on for %v%s", left, where)
	}
	return fmt.Sprintf("%v for %v%s", s.Strength, left, where)
}

// strengths tells what strengths a fault can have.
func strengths(s fault.State) string {
	if s.Min == s.Max {
		return fmt.Sprint(s.Max)
	}
	return fmt.Sprintf("%v to %v %s", s.Min, s.Max, s.Unit)
}
