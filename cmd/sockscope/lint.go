package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/internal/lint"
	"github.com/sockscope/sockscope/internal/logstore"
)

// lintFlags are the settings of the lint command.
type lintFlags struct {
	services, transports       []string
	strict, asJSON             bool
	timeout                    time.Duration
	portOffset                 int
	jaeger, victoriaLogs, loki string
}

func newLintCommand() *cobra.Command {
	f := lintFlags{}
	cmd := &cobra.Command{
		Use:   "lint [URL…]",
		Short: "Check what a service exports, and say which alerts, panels and pages will not work for it",
		Long: `Read the metrics of a service in any language and compare them with the contract
(docs/contract.yaml). Lint reports metrics that are missing, have another name, type
or unit, or have labels without bounds. It also reports the alerts, panels of the
dashboard and tables of the desk that show nothing for the service. It reads
OpenMetrics, Prometheus' text format or protobuf, up to 16 MiB.

With --service, lint also checks the last traces and log records of that service in
the running stack, and whether the desk can tell the story of its newest connection.

Findings are errors (something shows nothing, or wrong values), warnings, and notes
(about optional telemetry). The exit code is

  0  if there is no error
  1  if there is one, or with --strict a warning
  2  if a service or the stack could not be read`,
		Example: `  sockscope lint 127.0.0.1:9464
  sockscope lint --service node-chat http://127.0.0.1:9464/metrics
  sockscope lint --transport signalr --strict --json chat:8080`,
		RunE: f.run,
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.services, "service", nil, "service.name of the service whose traces and log records to check; may be repeated")
	flags.StringSliceVar(&f.transports, "transport", nil, "further prefixes of its metrics' names, besides websocket, sse, grpc_stream and socketio")
	flags.BoolVar(&f.strict, "strict", false, "treat warnings like errors")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON document instead of lines")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "time for reading everything of one service")
	flags.StringVar(&f.jaeger, "jaeger", "", "address of Jaeger's HTTP API (default: that of the stack on this machine)")
	flags.StringVar(&f.victoriaLogs, "victorialogs", "", "address of VictoriaLogs (default: that of the stack on this machine)")
	flags.StringVar(&f.loki, "loki", "", "address of Loki, if it has the log records")
	flags.IntVar(&f.portOffset, "port-offset", 0, "number added to the port of every address of the stack that is not given")
	return cmd
}

// exitError is an error with an exit code of its own.
type exitError struct {
	error
	code int
}

// The exit codes of lint.
const (
	exitFindings = 1
	exitUnread   = 2
)

func (f *lintFlags) run(cmd *cobra.Command, args []string) error {
	if len(args)+len(f.services) == 0 {
		return exitError{errors.New("name the address of a page of metrics, or a --service"), exitUnread}
	}
	var addresses []string
	for _, arg := range args {
		address, err := lint.Address(arg)
		if err != nil {
			return exitError{err, exitUnread}
		}
		addresses = append(addresses, address)
	}
	linter, err := lint.New(f.config())
	if err != nil {
		return exitError{err, exitUnread}
	}
	reports := []lint.Report{}
	for _, address := range addresses {
		reports = append(reports, linter.Metrics(cmd.Context(), address))
	}
	for _, service := range f.services {
		reports = append(reports, linter.Stack(cmd.Context(), service))
	}
	outcome := f.outcome(reports)
	if !f.asJSON {
		out := cmd.OutOrStdout()
		for _, r := range reports {
			lint.Print(out, r, wantsColour(out))
		}
		return outcome
	}
	text, err := json.MarshalIndent(struct {
		OK      bool          `json:"ok"`
		Reports []lint.Report `json:"reports"`
	}{outcome == nil, reports}, "", "  ")
	if err != nil {
		return fmt.Errorf("write the reports as JSON: %w", err)
	}
	_, _ = fmt.Fprintln(cmd.OutOrStdout(), string(text))
	return outcome
}

func (f *lintFlags) config() lint.Config {
	stack := endpoint.Local(f.portOffset)
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	cfg := lint.Config{Transports: f.transports, Timeout: f.timeout, HTTP: transport, Jaeger: f.jaeger}
	if cfg.Jaeger == "" {
		cfg.Jaeger = "http://" + stack.JaegerQuery
	}
	switch {
	case f.loki != "":
		cfg.Logs = []logstore.Store{logstore.Loki(f.loki, transport)}
	case f.victoriaLogs != "":
		cfg.Logs = []logstore.Store{logstore.VictoriaLogs(f.victoriaLogs, transport)}
	default:
		cfg.Logs = []logstore.Store{
			logstore.VictoriaLogs("http://"+stack.VictoriaLogs, transport), logstore.Loki("http://"+stack.Loki, transport),
		}
	}
	return cfg
}

// outcome returns the error with the exit code that the reports deserve.
func (f *lintFlags) outcome(reports []lint.Report) error {
	if slices.ContainsFunc(reports, func(r lint.Report) bool { return r.Problem != "" }) {
		return exitError{errors.New("not everything could be read"), exitUnread}
	}
	bad := 0
	for _, r := range reports {
		for _, finding := range r.Findings {
			if finding.Severity == lint.Error || f.strict && finding.Severity == lint.Warning {
				bad++
			}
		}
	}
	if bad > 0 {
		return exitError{fmt.Errorf("findings that have to be mended: %d", bad), exitFindings}
	}
	return nil
}
