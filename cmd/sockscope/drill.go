package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockscope/sockscope/docs"
	"github.com/sockscope/sockscope/internal/drill"
	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/internal/stack"
)

// drillFlags are the settings of the drill command.
type drillFlags struct {
	all, list  bool
	repeat     int
	out        string
	start      bool
	speed      int
	brief      bool
	data       string
	portOffset int
	store      storeFlags
}

func newDrillCommand() *cobra.Command {
	f := drillFlags{}
	cmd := &cobra.Command{
		Use:   "drill NAME... | --all | --list",
		Short: "Break the stack on purpose, and measure how long it takes until somebody is called",
		Long: `Break a running stack on purpose, and measure how long it takes until the metric
shows it, the rule is pending and fires, somebody is notified, and, after the fault
is healed, until the alert is resolved. The panel, the trace, the log records and the
queries of the runbook must lead to the cause, and no other alert may fire without a
reason. Controls are drills, too: they do what happens on an ordinary day, and no
alert may fire.

The drill uses the stack that runs with the same --data and --port-offset. With
--start each drill starts a stack of its own and removes it afterwards, so that it
need not wait for the end of another drill's alerts. With --start, --speed makes the
rules faster.

The exit status is 1 if a drill failed.`,
		Example: `  sockscope drill --list
  sockscope drill slow_handling mass_disconnect
  sockscope drill --all --start --speed 20 --port-offset 10000
  sockscope drill --all --start --repeat 5 --out docs    # a day; writes docs/drills.md`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			for _, d := range drill.Drills() {
				names = append(names, cobra.CompletionWithDesc(d.Name, d.About))
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, names []string) error {
			if f.list {
				return listDrills(cmd.OutOrStdout())
			}
			drills := drill.Drills()
			if f.all == (len(names) > 0) {
				return errors.New("name the drills, or give --all and no name; --list says what there is")
			}
			if !f.all {
				var err error
				if drills, err = drill.Find(drills, names...); err != nil {
					return err
				}
			}
			if f.repeat < 1 {
				return fmt.Errorf("--repeat %d: take 1 or more", f.repeat)
			}
			if cmd.Flags().Changed("speed") && !f.start {
				return errors.New("--speed is for a stack that is started: give --start, or start yours by sockscope up --alert-speed")
			}
			if f.start && f.data != "" {
				return errors.New("--data is that of a stack that runs, and --start takes none of those: leave one out")
			}
			return f.run(cmd, drills)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "run all drills")
	flags.BoolVar(&f.list, "list", false, "list the drills")
	flags.IntVar(&f.repeat, "repeat", 1, "run each drill `N` times")
	flags.StringVar(&f.out, "out", "", "write drills.md and drills.json into `DIR`; what is there of other drills stays")
	flags.BoolVar(&f.start, "start", false, "start a stack for each drill, and stop it afterwards")
	flags.IntVar(&f.speed, "speed", 1, "with --start: have rules, routes and their timers `N` times as fast")
	flags.BoolVar(&f.brief, "skip-recovery", false, "end each drill when its fault is healed, without waiting until its alert is resolved")
	flags.StringVar(&f.data, "data", "", "data directory of the stack that runs (default the one that up uses)")
	flags.IntVar(&f.portOffset, "port-offset", 0, "what the stack adds to every port")
	f.store.register(flags)
	return cmd
}

func listDrills(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DRILL\tALERT\tWITHIN\tWHAT HAPPENS")
	for _, d := range drill.Drills() {
		if d.Control() {
			fmt.Fprintf(table, "%s\tnone\t%v\t%s\n", d.Name, d.Lasts, d.About)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%v\t%s\n", d.Name, d.Alert, d.Within, d.About)
	}
	return table.Flush()
}

func (f *drillFlags) run(cmd *cobra.Command, drills []drill.Drill) error {
	store, err := f.store.open()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	var report drill.Report
	var unwritten error
	out := cmd.OutOrStdout()
	note := func(r drill.Result) {
		report.Results = append(report.Results, r)
		printResult(out, r)
		if f.out != "" { // each time, since there may be hours until the next
			unwritten = report.Write(f.out, drill.Drills())
		}
	}
	options := stack.Options{
		Deploy: store.Deploy, Self: self, Version: cmd.Root().Version,
		At: endpoint.Local(f.portOffset), AlertSpeed: f.speed, Store: store,
	}
	if f.start {
		err = f.runEach(cmd.Context(), options, drills, out, note)
	} else {
		err = f.runAll(cmd.Context(), options, drills, out, note)
	}
	err = errors.Join(err, unwritten)
	if err == nil && len(report.Failed()) > 0 {
		err = fmt.Errorf("%d of %d drills did not go as they have to", len(report.Failed()), len(report.Results))
	}
	return err
}

// runAll runs the drills on the stack that runs.
func (f *drillFlags) runAll(ctx context.Context, o stack.Options, drills []drill.Drill, out io.Writer, note func(drill.Result)) (err error) {
	if o.Data = f.data; o.Data == "" {
		if o.Data, err = defaultData(f.portOffset); err != nil {
			return err
		}
	}
	if o.Data, err = filepath.Abs(o.Data); err != nil {
		return err
	}
	return f.runDrills(ctx, o, drills, f.repeat, out, note)
}

// runEach runs each drill on a stack of its own, each time, so that none has to wait until another one's alerts are
// over.
func (f *drillFlags) runEach(ctx context.Context, o stack.Options, drills []drill.Drill, out io.Writer, note func(drill.Result)) error {
	for _, d := range drills {
		for range f.repeat {
			if err := onOwnStack(ctx, o, func(o stack.Options) error {
				return f.runDrills(ctx, o, []drill.Drill{d}, 1, out, note)
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *drillFlags) runDrills(ctx context.Context, o stack.Options, drills []drill.Drill, times int, out io.Writer, note func(drill.Result)) error {
	s, err := drill.Attach(ctx, o.At, o.Data, o.Deploy)
	if err != nil {
		return err
	}
	runner := &drill.Runner{Stack: s, Docs: docs.Files(), Self: o.Self, Progress: printProgress(out), SkipRecovery: f.brief}
	return runner.Run(ctx, drills, times, note)
}

// onOwnStack runs something while there is a stack, of which nothing is left.
func onOwnStack(ctx context.Context, o stack.Options, work func(stack.Options) error) (err error) {
	if o.Data, err = os.MkdirTemp("", "sockscope-drill-"); err != nil {
		return fmt.Errorf("make a place for the stack: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.Data)) }()
	o.Display = stack.NewDisplay(os.Stderr)
	stop, err := startStack(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return work(o)
}

// startStack starts a stack and returns once all of it is ready. stop stops it.
func startStack(ctx context.Context, o stack.Options) (stop func() error, err error) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ready, ended := make(chan struct{}), make(chan error, 1)
	o.Prove = func(context.Context) error {
		close(ready)
		return nil
	}
	go func() { ended <- stack.Up(running, o) }()
	stop = func() error {
		cancel()
		return <-ended
	}
	select {
	case err := <-ended:
		cancel()
		return nil, fmt.Errorf("start a stack: %w", err)
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), stop())
	case <-ready:
		return stop, nil
	}
}

func printProgress(w io.Writer) func(time.Duration, string) {
	return func(since time.Duration, what string) {
		if since == 0 {
			fmt.Fprintln(w, what)
			return
		}
		fmt.Fprintf(w, "%8.1fs  %s\n", since.Seconds(), what)
	}
}

func printResult(w io.Writer, r drill.Result) {
	for _, e := range r.Evidence {
		if e.OK {
			fmt.Fprintf(w, "           %s: %s\n", e.What, e.Detail)
		}
	}
	if r.OK() {
		fmt.Fprintf(w, "✓ %s\n\n", r.Drill)
		return
	}
	fmt.Fprintf(w, "✗ %s\n    %s\n\n", r.Drill, strings.Join(r.Failures, "\n    "))
}
