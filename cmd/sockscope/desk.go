package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"github.com/sockscope/sockscope/deploy"
	"github.com/sockscope/sockscope/internal/desk"
	"github.com/sockscope/sockscope/internal/desk/status"
	"github.com/sockscope/sockscope/internal/endpoint"
)

func newDeskCommand() *cobra.Command {
	var listen string
	var components []string
	var config desk.Config
	cmd := &cobra.Command{
		Use:   "desk",
		Short: "Serve the stack's start page: overview, dashboards, logs, traces, connections, inbox",
		Long: `The desk shows on one port whether users are fine and the stack's components
are ready, the dashboards of Grafana, what a query gives, which alerts reached
the inbox, what one trace and its log records say, and the story of each
connection, open or closed.

It takes what Alertmanager sends to PagerDuty (POST /v2/enqueue), to Slack
(POST /services/T…/B…/…) and to webhooks (POST /webhook/<name>), and checks it
like they do. To see what happens to alerts when one of them fails, make it fail:

  curl -X PUT -d '{"status":429}' http://127.0.0.1:8090/api/outages/slack
  curl -X DELETE http://127.0.0.1:8090/api/outages/slack

It is also a dead man's switch: when the alert Watchdog, which always fires,
does not arrive, the desk raises an alarm of its own.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if config.LokiURL != "" && !cmd.Flags().Changed("victorialogs") {
				config.VictoriaLogsURL = ""
			}
			if len(config.Targets) > 0 && !cmd.Flags().Changed("console") {
				config.Consoles = nil // the files say which there are
			}
			config.Logger = slog.New(slog.NewJSONHandler(cmd.OutOrStdout(), nil))
			if config.Components, err = status.Load(components...); err != nil {
				return err
			}
			if config.Dashboards, err = dashboards(config.LokiURL == ""); err != nil {
				return err
			}
			d, err := desk.New(config)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("listen for the desk (choose another address by --listen): %w", err)
			}
			config.Logger.Info("desk is listening", "address", "http://"+l.Addr().String())
			return d.Serve(cmd.Context(), l)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&listen, "listen", "127.0.0.1:8090", "address to listen on")
	flags.StringArrayVar(&components, "components", nil, "JSON `FILE` that lists components to watch; may be given several times")
	flags.StringVar(&config.Progress, "progress", "", "file in which a stack tells what it is doing; empty if none does")
	flags.StringVar(&config.PrometheusURL, "prometheus", "http://127.0.0.1:9090", "Prometheus' API; empty if there is none")
	flags.StringVar(&config.JaegerURL, "jaeger", "http://127.0.0.1:16686", "Jaeger's query API; empty if there is none")
	flags.StringVar(&config.VictoriaLogsURL, "victorialogs", "http://127.0.0.1:9428", "VictoriaLogs' API; empty if there is none")
	flags.StringVar(&config.LokiURL, "loki", "", "Loki's API, if log records are in Loki")
	flags.StringArrayVar(&config.Consoles, "console", []string{"http://" + endpoint.Local(0).Demo + "/debug/realtime/"}, "live console of a service; may be given several times")
	flags.StringArrayVar(&config.Targets, "targets", nil, "`FILES` that list what is scraped, as in targets/*.yaml, instead of --console: targets with the label __console_path__ have their live console there; may be given several times")
	flags.StringVar(&config.DataDir, "data", "", "directory in which the inbox survives a restart; empty to keep it in memory")
	flags.StringVar(&config.JaegerUI, "jaeger-ui", "", "Jaeger's user interface, to link to; empty if there is none")
	return cmd
}

// dashboards are the folders of the dashboards that are shipped. Those for VictoriaLogs take the place of those for
// Loki.
func dashboards(victoriaLogs bool) ([]fs.FS, error) {
	folders := []string{"grafana/dashboards"}
	if victoriaLogs {
		folders = append(folders, "victorialogs/grafana/dashboards")
	}
	var list []fs.FS
	for _, folder := range folders {
		sub, err := fs.Sub(deploy.Files(), folder)
		if err != nil {
			return nil, fmt.Errorf("find the dashboards: %w", err)
		}
		list = append(list, sub)
	}
	return list, nil
}
