package stack

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sockscope/sockscope/internal/endpoint"
)

// service is one part of the stack. The list of services is data: to add a part, add an entry to services.
type service struct {
	name  string
	title string
	see   string // what a person finds at its address

	// component is the name of the program in package component, or empty for this program itself.
	component string

	address string   // a page for people to open, the desk's if it has none
	ready   string   // answers 200 when ready
	listens []string // all that it binds

	// after is the service that must be ready before this one starts, or empty for none. Hardly any service needs it,
	// because services wait for each other by themselves.
	after string

	// sendsTo are the services to which this one sends data or requests. It is stopped before them, so that its last
	// data arrives, and they need not wait for its requests to end.
	sendsTo []string

	args []string
	env  []string
}

// places are the directories that the services use.
type places struct {
	settings string // rewritten at each start
	data     string // kept
}

func placesIn(data string) places {
	return places{settings: filepath.Join(data, "settings"), data: data}
}

// components is the file that lists the services for the desk.
func (p places) components() string { return filepath.Join(p.settings, "components.json") }

// progress is the file in which the stack describes what it is doing.
func (p places) progress() string { return filepath.Join(p.data, "progress.json") }

// log is the file with what a service prints.
func (p places) log(service string) string { return filepath.Join(p.data, "logs", service+".log") }

// targets is the folder in which the Collector finds its targets. Files that the user adds stay.
func (p places) targets() string { return filepath.Join(p.data, "targets") }

// self stands for this program as the name of a component.
const self = ""

func url(address string) string { return "http://" + address }

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// milliseconds writes a duration as Prometheus reads it: without fractions.
func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }

// services lists the stack, the most useful services first. Log records are kept by the Loki at the path loki, or by
// VictoriaLogs if that is empty.
//
// If the durations of rules are divided, samples must be closer together by the same factor, down to one a second.
func services(at endpoint.Set, in places, alertSpeed int, loki string) []service {
	logs := victoriaLogs(at, in)
	if loki != "" {
		logs = lokiOf(at, in, loki)
	}
	telemetry := []string{
		"OTEL_RESOURCE_ATTRIBUTES=service.namespace=sockscope,deployment.environment.name=demo",
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + url(at.CollectorOTLPGRPC),
		"SOCKSCOPE_LOKI_URL=" + url(at.CollectorLoki) + "/loki/api/v1/push",
	}
	return []service{
		{
			name: "desk", title: "Desk", see: "start here: overview, dashboards, logs, traces, connections, inbox",
			component: self,
			address:   url(at.Desk), ready: url(at.Desk) + "/healthz", listens: []string{at.Desk},
			sendsTo: []string{logs.name},
			args: []string{
				"desk", "--listen=" + at.Desk,
				"--components=" + in.components(), "--progress=" + in.progress(),
				"--prometheus=" + url(at.Prometheus), "--jaeger=" + url(at.JaegerQuery), logs.deskFlag,
				"--targets=" + filepath.Join(in.targets(), "*.yaml"),
				"--data=" + filepath.Join(in.data, "desk"),
			},
		},
		{
			name: "demo", title: "Demo", see: "a chat to observe; its metrics at /metrics",
			component: self,
			address:   url(at.Demo), ready: url(at.Demo) + "/readyz", listens: []string{at.Demo, at.DemoGRPC},
			sendsTo: []string{"otel-collector"},
			args: []string{
				"demo", "--listen=" + at.Demo, "--grpc-listen=" + at.DemoGRPC,
				"--history=" + filepath.Join(in.data, "demo", "history.db"),
				"--trace-url=" + url(at.Desk) + "/trace/", "--story-url=" + url(at.Desk) + "/connection/",
			},
			env: append([]string{"OTEL_SERVICE_NAME=sockscope-demo"}, telemetry...),
		},
		{
			name: "probe", title: "Probe", see: "tries the demo as a user would; its metrics",
			component: self,
			address:   url(at.Probe) + "/metrics", ready: url(at.Probe) + "/metrics", listens: []string{at.Probe},
			after:   "demo", // a demo that only starts is no failure
			sendsTo: []string{"demo", "otel-collector"},
			args:    []string{"probe", "--listen=" + at.Probe, "--target=demo=ws://" + at.Demo + "/ws"},
			env:     append([]string{"OTEL_SERVICE_NAME=sockscope-probe"}, telemetry...),
		},
		logs.service,
		{
			name: "prometheus", title: "Prometheus", see: "metrics, at the desk; its API is at " + url(at.Prometheus),
			component: "prometheus",
			address:   url(at.Desk) + "/query", ready: url(at.Prometheus) + "/-/ready", listens: []string{at.Prometheus},
			sendsTo: []string{"alertmanager"},
			args: []string{
				"--config.file=" + filepath.Join(in.settings, "prometheus", "prometheus.yml"),
				"--storage.tsdb.path=" + filepath.Join(in.data, "prometheus"),
				"--storage.tsdb.retention.time=15d", "--storage.tsdb.retention.size=5GB",
				"--web.listen-address=" + at.Prometheus,
				// It is built without pages, so the alerts' links to their expressions lead to the desk.
				"--web.external-url=" + url(at.Desk) + "/prometheus", "--web.route-prefix=/",
				"--web.enable-otlp-receiver", "--web.enable-lifecycle",
				"--enable-feature=exemplar-storage",
				// Alerts that are sent before Alertmanager is discovered, or while it restarts, are lost until they are
				// sent again.
				"--rules.alert.resend-delay=" + milliseconds(30*time.Second/time.Duration(alertSpeed)),
			},
		},
		{
			name: "alertmanager", title: "Alertmanager", see: "alerts, silences",
			component: "alertmanager",
			address:   url(at.Alertmanager), ready: url(at.Alertmanager) + "/-/ready", listens: []string{at.Alertmanager},
			sendsTo: []string{"desk"},
			args: []string{
				"--config.file=" + filepath.Join(in.settings, "alertmanager", "alertmanager.yml"),
				"--storage.path=" + filepath.Join(in.data, "alertmanager"),
				"--web.listen-address=" + at.Alertmanager,
				"--web.external-url=" + url(at.Alertmanager),
				"--cluster.listen-address=",
				"--enable-feature=utf8-strict-mode,receiver-name-in-metrics",
			},
		},
		{
			name: "otel-collector", title: "OpenTelemetry Collector", see: "the way in for metrics, spans and logs",
			component: "otelcol",
			address:   url(at.CollectorMetrics) + "/metrics", ready: url(at.CollectorHealth),
			listens: []string{at.CollectorOTLPGRPC, at.CollectorOTLPHTTP, at.CollectorLoki, at.CollectorHealth, at.CollectorMetrics},
			sendsTo: []string{"prometheus", "jaeger", logs.name},
			args: []string{
				"--config=" + filepath.Join(in.settings, "otel-collector", "config.yaml"),
				"--config=" + filepath.Join(in.settings, "otel-collector", "cardinality.yaml"),
			},
			env: []string{
				"OTELCOL_HOST=127.0.0.1",
				"OTELCOL_OTLP_GRPC_PORT=" + port(at.CollectorOTLPGRPC),
				"OTELCOL_OTLP_HTTP_PORT=" + port(at.CollectorOTLPHTTP),
				"OTELCOL_LOKI_PORT=" + port(at.CollectorLoki),
				"OTELCOL_HEALTH_PORT=" + port(at.CollectorHealth),
				"OTELCOL_METRICS_PORT=" + port(at.CollectorMetrics),
				"OTELCOL_SCRAPE_INTERVAL=" + milliseconds(max(time.Second, 5*time.Second/time.Duration(alertSpeed))),
				"OTELCOL_QUEUE_DIR=" + filepath.Join(in.data, "otel-collector"),
				"OTELCOL_TARGETS=" + in.targets(),
				"PROMETHEUS_URL=" + url(at.Prometheus),
				"JAEGER_OTLP=" + at.JaegerOTLP,
				"LOGS_OTLP_URL=" + logs.otlp,
				// Garbage is collected less often, and before memory_limiter would refuse data because of it.
				"GOGC=400", "GOMEMLIMIT=320MiB",
			},
		},
		{
			name: "jaeger", title: "Jaeger", see: "traces, at the desk; its API is at " + url(at.JaegerQuery),
			component: "jaeger",
			address:   url(at.Desk) + "/trace", ready: url(at.JaegerHealth) + "/status",
			listens: []string{at.JaegerQuery, at.JaegerQueryGRPC, at.JaegerOTLP, at.JaegerHealth, at.JaegerMetrics},
			args:    []string{"--config=" + filepath.Join(in.settings, "jaeger", "config.yaml")},
			env: []string{
				"JAEGER_HOST=127.0.0.1",
				"JAEGER_QUERY_PORT=" + port(at.JaegerQuery),
				"JAEGER_QUERY_GRPC_PORT=" + port(at.JaegerQueryGRPC),
				"JAEGER_OTLP_PORT=" + port(at.JaegerOTLP),
				"JAEGER_HEALTH_PORT=" + port(at.JaegerHealth),
				"JAEGER_METRICS_PORT=" + port(at.JaegerMetrics),
				"JAEGER_DATA=" + filepath.Join(in.data, "jaeger"),
			},
		},
	}
}
