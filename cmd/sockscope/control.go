package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockscope/sockscope/internal/desk/status"
	"github.com/sockscope/sockscope/internal/stack"
)

func newDownCommand() *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop a running stack",
		Long: `Stop a running stack, in the background or in another terminal, and return when
everything has stopped. The components' data stays for the next start.`,
		Example: `  sockscope down
  sockscope down --port-offset 10000   # the one that was started with it`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, err := f.directory()
			if err != nil {
				return err
			}
			stopped, err := stack.Down(cmd.Context(), data)
			if err != nil {
				return err
			}
			if stopped {
				fmt.Fprintln(cmd.OutOrStdout(), "The stack has stopped.")
			} else {
				fmt.Fprintf(cmd.OutOrStdout(), "No stack is using %s.\n", data)
			}
			return nil
		},
	}
	f.register(cmd.Flags())
	return cmd
}

func newStatusCommand() *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what a running stack is doing",
		Long: `Show the state of each component of a running stack. The exit code is 0 if all are
ready or starting, and 1 if one is down or no stack is running.`,
		Example: `  sockscope status
  watch sockscope status               # while the first start builds`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, err := f.directory()
			if err != nil {
				return err
			}
			reports, err := stack.Status(cmd.Context(), data)
			if err != nil {
				return err
			}
			return printStatus(cmd.OutOrStdout(), reports, time.Now())
		},
	}
	f.register(cmd.Flags())
	return cmd
}

// printStatus prints a table and returns an error that names what is down.
func printStatus(w io.Writer, reports []status.Report, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "COMPONENT\tSTATE\tSINCE\tADDRESS\t")
	var down []string
	for _, r := range reports {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.Name, strings.ReplaceAll(string(r.State), "_", " "),
			now.Sub(r.Since).Truncate(time.Second), r.Address, r.Detail)
		if r.State == status.NotReady {
			down = append(down, r.Name)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(down) > 0 {
		return fmt.Errorf("%d of %d components are down: %s", len(down), len(reports), strings.Join(down, ", "))
	}
	return nil
}

func newLogsCommand() *cobra.Command {
	var f stackFlags
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs COMPONENT",
		Short: "Print the output of a component of a stack",
		Long: `Print the output of a component of a stack or, with "up", of a stack in the
background. "sockscope status" lists the components. Logs are kept when a stack has
ended. A component starts a new log every 10 MB.`,
		Example: `  sockscope logs otel-collector
  sockscope logs up --follow           # how the start goes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := f.directory()
			if err != nil {
				return err
			}
			return stack.Logs(cmd.Context(), cmd.OutOrStdout(), data, args[0], follow)
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until Ctrl-C")
	return cmd
}
