package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/internal/load"
)

func newLoadCommand() *cobra.Command {
	cfg := load.Config{}
	asJSON := false
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Drive the demo with many connections",
		Long: `Drive the demo with many connections at a given rate of messages, and check that
each is acknowledged once and delivered once to every member of its room.

The rate does not follow the server: times are measured from when a message was
due, so that a stall shows in full. Ctrl-C ends the load with what came of it so
far. The exit status is 1 if anything was lost, refused or came twice.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cfg.Rooms == 0 {
				cfg.Rooms = (cfg.Connections + 9) / 10
			}
			return runLoad(cmd.Context(), cfg, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.URL, "url", "ws://"+endpoint.Local(0).Demo+"/ws", "WebSocket to connect to")
	flags.IntVar(&cfg.Connections, "connections", 50, "connections to open")
	flags.Float64Var(&cfg.Rate, "rate", 50, "messages per second, all connections together")
	flags.DurationVar(&cfg.Duration, "duration", 30*time.Second, "how long to send")
	flags.IntVar(&cfg.Rooms, "rooms", 0, "rooms to spread the connections over (default one for every 10 connections)")
	flags.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func runLoad(ctx context.Context, cfg load.Config, asJSON bool, out, progress io.Writer) error {
	interval, show, done := progressTo(progress)
	result, err := load.Run(ctx, cfg, interval, show)
	done()
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(result)
	} else {
		err = result.Print(out)
	}
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return result.Err()
}

// progressTo returns how often and how to show progress: on a terminal as one
// line that changes, elsewhere as lines that are not too many. done ends it.
func progressTo(w io.Writer) (interval time.Duration, show func(load.Progress), done func()) {
	// What can't be shown is no reason to stop.
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		const clearLine = "\r\x1b[K"
		return 250 * time.Millisecond,
			func(p load.Progress) { _, _ = fmt.Fprint(w, clearLine, p) },
			func() { _, _ = fmt.Fprint(w, clearLine) }
	}
	return 5 * time.Second, func(p load.Progress) { _, _ = fmt.Fprintln(w, p) }, func() {}
}
