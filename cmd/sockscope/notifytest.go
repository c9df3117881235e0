package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/internal/notifytest"
)

func newNotifyTestCommand() *cobra.Command {
	var cfg notifytest.Config
	var portOffset int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "notify-test",
		Short: "Send a test notification by the real route, and say who was reached",
		Long: `Notify-test gives Alertmanager an alert, NotifyTest, that takes the route of any
alert of its severity. For each service, it prints that the service was told, or
why not. Then it ends the alert and waits until the services were told of that,
too. It really pages the person on call. The page resolves itself.

The results come from Alertmanager's counters. If other alerts are sent at the same
moment, their notifications may be counted as this one. The text of a service's
answer is in Alertmanager's log: name the file by --log if it is not that of
"sockscope up" on this machine.

The exit code is 0 if everybody was reached, else 1.`,
		Example: `  sockscope notify-test
  sockscope notify-test --severity warning
  sockscope notify-test --alertmanager https://alertmanager.example.com --timeout 15m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("alertmanager") {
				cfg.Alertmanager = "http://" + endpoint.Local(portOffset).Alertmanager
				if !cmd.Flags().Changed("log") {
					data, err := defaultData(portOffset)
					if err != nil {
						return err
					}
					cfg.Log = filepath.Join(data, "logs", "alertmanager.log")
				}
			}
			out := cmd.OutOrStdout()
			if !asJSON {
				return notifytest.Run(cmd.Context(), cfg, printNotified(out, wantsColour(out)))
			}
			document := struct {
				OK      bool                `json:"ok"`
				Error   string              `json:"error,omitempty"`
				Results []notifytest.Result `json:"results"`
			}{Results: []notifytest.Result{}}
			err := notifytest.Run(cmd.Context(), cfg, func(r notifytest.Result) { document.Results = append(document.Results, r) })
			if document.OK = err == nil; err != nil {
				document.Error = err.Error()
			}
			enc := json.NewEncoder(out)
			enc.SetIndent("", "  ")
			if encodeErr := enc.Encode(document); encodeErr != nil {
				return fmt.Errorf("write the results as JSON: %w", encodeErr)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.Alertmanager, "alertmanager", "http://"+endpoint.Local(0).Alertmanager, "address of Alertmanager")
	flags.IntVar(&portOffset, "port-offset", 0, "number added to the port of Alertmanager if its address is not given")
	flags.StringVar(&cfg.Severity, "severity", "critical", "severity of the alert, which decides who is told")
	flags.StringVar(&cfg.Log, "log", "", "`FILE` with Alertmanager's log (default that of the stack on this machine)")
	flags.DurationVar(&cfg.Timeout, "timeout", 2*time.Minute, "how long to wait for the notification, and then for the notification of its end")
	flags.BoolVar(&asJSON, "json", false, "print one JSON document at the end instead of lines")
	return cmd
}

// printNotified returns what prints a line for each result, and more of a failure.
func printNotified(w io.Writer, colour bool) func(notifytest.Result) {
	paint := func(code, text string) string {
		if !colour {
			return text
		}
		return "\x1b[" + code + "m" + text + "\x1b[0m"
	}
	return func(r notifytest.Result) {
		mark := paint("32", "✓")
		if !r.OK {
			mark = paint("31", "✗")
		}
		fmt.Fprintf(w, "%s %-10s %6.2fs  %s\n", mark, r.Way(), r.Seconds, r.Detail)
		for _, more := range [][2]string{{"said", r.Cause}, {"next", r.Advice}} {
			if more[1] != "" {
				fmt.Fprintf(w, "%22s%s  %s\n", "", paint("2", more[0]), more[1])
			}
		}
	}
}
