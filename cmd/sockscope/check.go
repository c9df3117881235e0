package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sockscope/sockscope/internal/check"
)

func newCheckCommand() *cobra.Command {
	cfg := check.Local(0)
	var portOffset int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Prove that telemetry goes all the way through the stack",
		Long: `Check sends a marked message to the demo over a WebSocket and follows it through
the running stack: into Prometheus' counters and histograms, from an exemplar to
its trace in Jaeger, from the trace to its log records and back. It also checks
that the alert that always fires has reached the desk's inbox.

It looks for log records in VictoriaLogs or Loki, whichever is running, unless a
flag names one of them.

Each line is printed when its step succeeds, with the time from the event until it
was visible. The exit code is 0 if all steps succeed, else 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			shiftPorts(cmd, &cfg, portOffset)
			if asJSON {
				return checkAsJSON(cmd, cfg)
			}
			out := cmd.OutOrStdout()
			return check.Run(cmd.Context(), cfg, check.Printer(out, wantsColour(out)))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.Demo, "demo", cfg.Demo, "address of the demo")
	flags.StringVar(&cfg.Prometheus, "prometheus", cfg.Prometheus, "address of Prometheus")
	flags.StringVar(&cfg.Jaeger, "jaeger", cfg.Jaeger, "address of Jaeger's HTTP API")
	flags.StringVar(&cfg.VictoriaLogs, "victorialogs", cfg.VictoriaLogs, "address of VictoriaLogs")
	flags.StringVar(&cfg.Loki, "loki", cfg.Loki, "address of Loki")
	flags.StringVar(&cfg.Desk, "desk", cfg.Desk, "address of the desk")
	flags.IntVar(&portOffset, "port-offset", 0, "number added to the port of every address that is not given")
	flags.DurationVar(&cfg.Timeout, "timeout", cfg.Timeout, "time after which a step has failed")
	flags.BoolVar(&asJSON, "json", false, "print one JSON document at the end instead of lines")
	return cmd
}

// shiftPorts replaces the addresses that no flag names by those of the stack with that offset.
func shiftPorts(cmd *cobra.Command, cfg *check.Config, offset int) {
	shifted := check.Local(offset)
	if cmd.Flags().Changed("loki") {
		shifted.VictoriaLogs = ""
	}
	if cmd.Flags().Changed("victorialogs") {
		shifted.Loki = ""
	}
	for flag, address := range map[string]struct {
		to   *string
		from string
	}{
		"demo":       {&cfg.Demo, shifted.Demo},
		"prometheus": {&cfg.Prometheus, shifted.Prometheus},
		"jaeger":     {&cfg.Jaeger, shifted.Jaeger},
		"desk":       {&cfg.Desk, shifted.Desk},

		"victorialogs": {&cfg.VictoriaLogs, shifted.VictoriaLogs},
		"loki":         {&cfg.Loki, shifted.Loki},
	} {
		if !cmd.Flags().Changed(flag) {
			*address.to = address.from
		}
	}
}

func checkAsJSON(cmd *cobra.Command, cfg check.Config) error {
	document := struct {
		OK    bool           `json:"ok"`
		Steps []check.Result `json:"steps"`
	}{Steps: []check.Result{}}
	err := check.Run(cmd.Context(), cfg, func(r check.Result) { document.Steps = append(document.Steps, r) })
	document.OK = err == nil
	text, encodeErr := json.MarshalIndent(document, "", "  ")
	if encodeErr != nil {
		return fmt.Errorf("write the results as JSON: %w", encodeErr)
	}
	_, _ = fmt.Fprintln(cmd.OutOrStdout(), string(text))
	return err
}

// wantsColour tells whether w is a terminal whose user did not ask for plain text (see no-color.org).
func wantsColour(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(f.Fd()))
}
