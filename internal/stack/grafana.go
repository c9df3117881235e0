package stack

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/sockscope/sockscope/internal/endpoint"
)

// grafana runs a Grafana that the user has installed: it can't be built as a Go module, since its pages aren't in it.
func grafana(at endpoint.Set, in places, binary string) service {
	store := in.grafana()
	return service{
		name: "grafana", title: "Grafana", see: "dashboards",
		component: binary,
		address:   url(at.Grafana), ready: url(at.Grafana) + "/api/health", listens: []string{at.Grafana},
		args: []string{"server", "--homepath=" + grafanaHome(binary)},
		env: []string{
			"GF_SERVER_HTTP_ADDR=127.0.0.1",
			"GF_SERVER_HTTP_PORT=" + port(at.Grafana),
			"GF_PATHS_DATA=" + store,
			"GF_PATHS_LOGS=" + filepath.Join(store, "log"),
			"GF_PATHS_PLUGINS=" + in.grafanaPlugins(),
			"GF_PATHS_PROVISIONING=" + filepath.Join(in.settings, "grafana", "provisioning"),
			// Grafana 13 would replace its bundled data sources by newer ones, and without the internet lose them.
			"GF_PLUGINS_PREINSTALL_DISABLED=true",
			"GF_PLUGINS_PREINSTALL_AUTO_UPDATE=false",
			"GF_ANALYTICS_REPORTING_ENABLED=false",
			"GF_ANALYTICS_CHECK_FOR_UPDATES=false",
			"GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES=false",
			"DASHBOARDS_DIR=" + filepath.Join(in.settings, "grafana", "dashboards"),
			"PROMETHEUS_URL=" + url(at.Prometheus),
			"JAEGER_URL=" + url(at.JaegerQuery),
			"LOKI_URL=" + url(at.Loki),
			"VICTORIALOGS_URL=" + url(at.VictoriaLogs),
			"DESK_URL=" + url(at.Desk),
		},
	}
}

func (p places) grafana() string        { return filepath.Join(p.data, "grafana") }
func (p places) grafanaPlugins() string { return filepath.Join(p.grafana(), "plugins") }

// noDashboards says why there are none, or what they can't show, and how to get it. It is empty if there is nothing to
// say.
func noDashboards(o Options, in places) string {
	const plugin = "victoriametrics-logs-datasource"
	if o.Grafana == "" {
		return "Grafana is not installed: the desk draws the dashboards. Get it from https://grafana.com/grafana/download, put it on PATH or name it by --grafana."
	}
	if o.Loki != "" {
		return ""
	}
	if _, err := os.Stat(filepath.Join(in.grafanaPlugins(), plugin)); err == nil {
		return ""
	}
	return fmt.Sprintf("Grafana shows no log records: it has no plugin for VictoriaLogs. Get it as follows, and start again.\n"+
		"    %s cli --homepath=%s --pluginsDir=%s plugins install %s", o.Grafana, grafanaHome(o.Grafana), in.grafanaPlugins(), plugin)
}

// grafanaHome is where a Grafana keeps its own files: beside bin in an unpacked archive, in a fixed place where a
// package has put it.
func grafanaHome(binary string) string {
	if path, err := filepath.EvalSymlinks(binary); err == nil {
		binary = path
	}
	home := filepath.Dir(filepath.Dir(binary))
	if found, err := filepath.Glob(filepath.Join(home, "conf", "defaults.ini")); err == nil && len(found) > 0 {
		return home
	}
	return "/usr/share/grafana"
}
