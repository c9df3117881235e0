package kubernetes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"gopkg.in/yaml.v3"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/tool"
)

const (
	ruleFile       = "../prometheus/rules/websocket.yml"
	dashboardFiles = "../grafana/dashboards/*.json"
	collectorFile  = "../otel-collector/config.yaml"

	// unprotected is the job of a monitor as people write it, without what the manifests here add.
	unprotected = "unprotected"
	// patience is when a test gives up. Nothing waits for it to pass.
	patience = time.Minute
)

// TestFieldCase19EndpointsStayApart lets the real Prometheus scrape a pod with two endpoints in the Kubernetes
// namespace "prod", in each of the ways of this folder at once, and without them. The results of rules and dashboards
// by namespace must be by endpoint.
func TestFieldCase19EndpointsStayApart(t *testing.T) {
	pod := newPod(t, "chat", "feed")
	prometheus := startPrometheus(t, pod, map[string]scrapeConfig{
		unprotected:      monitored(t, "PodMonitor", monitor{JobLabel: "app.kubernetes.io/name", PodEndpoints: []endpoint{{Port: "metrics"}}}),
		"podmonitor":     monitored(t, "PodMonitor", manifest(t, "podmonitor.yaml")),
		"servicemonitor": monitored(t, "ServiceMonitor", manifest(t, "servicemonitor.yaml")),
		"plain":          plain(t),
	})
	protected := []string{"podmonitor", "servicemonitor", "plain"}
	for _, job := range append(slices.Clone(protected), unprotected) {
		prometheus.wait(t, 2, fmt.Sprintf(`websocket_active_connections{job=%q} and on (job) up == 1`, job))
	}
	for _, job := range protected {
		t.Run(job, func(t *testing.T) { prometheus.checkLabels(t, job) })
	}

	fired := make(map[string]bool)
	for _, rule := range rules(t) {
		t.Run(rule.Record+rule.Alert, func(t *testing.T) {
			history := prometheus.queryRange(t, rule.Expr, pod.began, pod.ended)
			prometheus.keep(t, pod, rule, history)
			namespaces := make(map[string][]string) // by job
			for _, one := range history {
				namespaces[one.Metric["job"]] = append(namespaces[one.Metric["job"]], one.Metric["namespace"])
			}
			if !strings.Contains(rule.Expr, "namespace") || len(history) == 0 {
				return // it is about something else, or nothing of the kind has happened
			}
			fired[rule.Alert] = true
			for _, job := range protected {
				if diff := cmp.Diff([]string{"chat", "feed"}, sorted(namespaces[job])); diff != "" {
					t.Errorf("%s by namespace (-want +got):\n%s", job, diff)
				}
			}
			// This is the fault. If it is gone, so is the reason for this folder. Without the manifests there are no
			// native histograms either.
			want := []string{"prod"}
			if strings.Contains(rule.Expr, "histogram_") && !classic.MatchString(rule.Expr) {
				want = nil
			}
			if diff := cmp.Diff(want, namespaces[unprotected]); diff != "" {
				t.Errorf("%s by namespace (-want +got):\n%s", unprotected, diff)
			}
		})
	}
	for _, alert := range []string{"HighConnectionDropRate", "WebSocketLatencyHigh", "ActiveConnectionsSpiking", "WebSocketSilentStall"} {
		if !fired[alert] {
			t.Errorf("%s did not fire: the pod gives no reason", alert)
		}
	}

	for _, path := range files(t, dashboardFiles) {
		board, err := dashboard.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		var happened []bool // what a query asks for
		for _, query := range queries(t, board, ".*", ".*") {
			happened = append(happened, len(prometheus.query(t, query.Expr, pod.ended)) > 0)
		}
		for _, job := range append(protected, unprotected) {
			for _, namespace := range []string{"chat", "feed"} {
				t.Run(strings.Join([]string{board.Title, job, namespace}, "/"), func(t *testing.T) {
					for i, query := range queries(t, board, job, namespace) {
						if !strings.Contains(query.Expr, strconv.Quote(job)) || !strings.Contains(query.Expr, strconv.Quote(namespace)) || !happened[i] {
							continue // is not about an endpoint, or has nothing to tell
						}
						got := prometheus.query(t, query.Expr, pod.ended)
						if job != unprotected && len(got) == 0 {
							t.Errorf("nothing from %s", query)
						}
						if job == unprotected && len(got) > 0 && !strings.Contains(query.Expr, "vector(0)") {
							t.Errorf("%v from %s", got, query)
						}
					}
				})
			}
		}
	}
}

// TestFieldCase19Collector has the pod scraped by the stack's own Collector, which pushes what it gets to Prometheus.
// As the labels are the same as those of the ways above, so is what the rules and the dashboards make of them.
func TestFieldCase19Collector(t *testing.T) {
	pod := newPod(t, "chat", "feed")
	prometheus := startPrometheus(t, pod, nil)
	startCollector(t, pod, prometheus, "collector")
	prometheus.wait(t, 2, `websocket_active_connections{job="collector"} and on (job) up == 1`)
	prometheus.checkLabels(t, "collector")
}

// TestFieldCase19DiscoveryIsValid reads the plain scrape configuration with what finds the pods in it. The Collector
// can; Prometheus as it is built here knows no Kubernetes.
func TestFieldCase19DiscoveryIsValid(t *testing.T) {
	var file any
	decode(t, "scrape.yml", &file)
	path := filepath.Join(t.TempDir(), "config.yaml")
	writeYAML(t, path, map[string]any{"receivers": map[string]any{"prometheus": map[string]any{"config": file}}})
	out, err := exec.Command(tool.Path(t, "otelcol"), "validate", "--config="+collectorFile, "--config="+path).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// classic finds a part of a classic histogram in an expression.
var classic = regexp.MustCompile(`_(bucket|count)[\[{]`)

// queries returns the queries of a dashboard that are for Prometheus.
func queries(t *testing.T, board *dashboard.Dashboard, job, namespace string) []dashboard.Query {
	t.Helper()
	all, err := board.Queries(map[string]string{
		"job": job, "namespace": namespace, "instance": ".*", "__rate_interval": "5m", "__range": "1h", "__auto": "5m",
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(q dashboard.Query) bool { return q.Datasource != "prometheus" })
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

// A pod is a process with several endpoints, on which everything happened that the rules and dashboards ask for.
type pod struct {
	address      string
	began, ended time.Time
}

const (
	step     = time.Minute      // between two scrapes of the pod
	lifetime = 75 * time.Minute // of the pod
	crowded  = 62 * time.Minute // from then on it has many connections
	silent   = 70 * time.Minute // from then on it sends nothing
)

// newPod makes a pod that shows on /metrics how it is now, and on /history how it was at each step until now.
func newPod(t *testing.T, namespaces ...string) *pod {
	t.Helper()
	p := &pod{ended: time.Now().Truncate(step)}
	p.began = p.ended.Add(-lifetime)
	registry := prometheus.NewPedanticRegistry()
	var endpoints []*traffic
	for _, namespace := range namespaces {
		observer, err := instrument.New(instrument.WithNamespace(namespace))
		if err != nil {
			t.Fatal(err)
		}
		if err := registry.Register(observer); err != nil {
			t.Fatal(err)
		}
		endpoints = append(endpoints, newTraffic(t.Context(), observer))
	}
	<-time.After(1100 * time.Millisecond) // what handling a message takes: too long

	asked := askedFor(t)
	history := make(map[string]*dto.MetricFamily)
	var sent time.Time
	for at := p.began; !at.After(p.ended); at = at.Add(step) {
		age := at.Sub(p.began)
		for _, endpoint := range endpoints {
			endpoint.step(t.Context(), age)
		}
		if age < silent {
			sent = at
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			name := family.GetName()
			if !strings.Contains(asked, name) {
				continue
			}
			for _, metric := range family.Metric {
				metric.TimestampMs = new(at.UnixMilli())
				if name == "websocket_last_message_timestamp_seconds" { // by the library's clock, not by the pod's
					last := at
					if label(metric, "direction") == "transmit" {
						last = sent
					}
					metric.Gauge.Value = new(float64(last.Unix()))
				}
			}
			if known := history[name]; known != nil {
				known.Metric = append(known.Metric, family.Metric...)
			} else {
				history[name] = family
			}
		}
	}

	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	format := expfmt.NewFormat(expfmt.TypeProtoDelim) // the only one with native histograms
	page := encode(t, format, history)
	mux.HandleFunc("/history", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", string(format))
		_, _ = w.Write(page)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.address = server.Listener.Addr().String()
	return p
}

func encode(t *testing.T, format expfmt.Format, families map[string]*dto.MetricFamily) []byte {
	t.Helper()
	var page bytes.Buffer
	encoder := expfmt.NewEncoder(&page, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			t.Fatal(err)
		}
	}
	return page.Bytes()
}

func label(metric *dto.Metric, name string) string {
	for _, label := range metric.Label {
		if label.GetName() == name {
			return label.GetValue()
		}
	}
	return ""
}

// askedFor returns the text of all rules and dashboards.
func askedFor(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, path := range append(files(t, ruleFile), files(t, dashboardFiles)...) {
		all.WriteString(read(t, path))
	}
	return strings.ReplaceAll(all.String(), "${transport}", "websocket")
}

// traffic is what happens on one endpoint.
type traffic struct {
	observer *instrument.Observer
	kind     instrument.MessageType
	conns    []*instrument.Conn
	handling []instrument.Message
}

func newTraffic(ctx context.Context, observer *instrument.Observer) *traffic {
	e := &traffic{observer: observer, kind: observer.MessageType("message")}
	for range 20 {
		e.conns = append(e.conns, e.open(ctx))
	}
	for range 20 * (int(lifetime/step) + 1) {
		_, message := e.conns[0].BeginMessage(ctx, e.kind, 100, nil)
		e.handling = append(e.handling, message)
	}
	return e
}

func (e *traffic) open(ctx context.Context) *instrument.Conn {
	_, handshake := e.observer.BeginHandshake(ctx, instrument.Request{})
	return handshake.Opened(http.StatusSwitchingProtocols)
}

// step is what happens between two scrapes.
func (e *traffic) step(ctx context.Context, age time.Duration) {
	for age >= crowded && len(e.conns) < 800 {
		e.conns = append(e.conns, e.open(ctx))
	}
	conn := e.conns[0]
	if age < silent {
		conn.Sent(e.kind, 100)
	}
	conn.Failed(ctx, instrument.ErrorHandler, errors.New("as happens"))
	conn.Dropped(instrument.DropQueueFull, 1)
	conn.BeginPing().End(instrument.PingPong)
	for range 20 {
		e.open(ctx).Closed(instrument.Cause{Initiator: instrument.InitiatorNetwork, Reason: instrument.ReasonAbnormal})
		e.handling[0].End(nil)
		e.handling = e.handling[1:]
	}
}

// A scrapeConfig is one of Prometheus.
type scrapeConfig map[string]any

// relabeling is a rule of a scrapeConfig.
type relabeling map[string]any

// A monitor is what a PodMonitor or a ServiceMonitor says, as far as it matters here. The module in the folder operator
// checks that it says nothing else.
type monitor struct {
	JobLabel                string     `yaml:"jobLabel"`
	ScrapeNativeHistograms  bool       `yaml:"scrapeNativeHistograms"`
	ScrapeClassicHistograms bool       `yaml:"scrapeClassicHistograms"`
	PodEndpoints            []endpoint `yaml:"podMetricsEndpoints"`
	ServiceEndpoints        []endpoint `yaml:"endpoints"`
}

type endpoint struct {
	Port        string
	HonorLabels bool `yaml:"honorLabels"`
	Relabelings []struct {
		Action       string
		SourceLabels []string `yaml:"sourceLabels"`
		TargetLabel  string   `yaml:"targetLabel"`
		Regex        string
		Replacement  string
	}
}

func manifest(t *testing.T, path string) monitor {
	t.Helper()
	var object struct{ Spec monitor }
	decode(t, path, &object)
	return object.Spec
}

// monitored returns what prometheus-operator v0.95 makes of a monitor, but for the discovery of its targets.
func monitored(t *testing.T, kind string, m monitor) scrapeConfig {
	t.Helper()
	set := func(label, from string) relabeling {
		return relabeling{"source_labels": []string{from}, "target_label": label}
	}
	owner, endpoints := "pod", m.PodEndpoints
	rules := []relabeling{
		set("__tmp_prometheus_job_name", "job"),
		{"action": "drop", "source_labels": []string{"__meta_kubernetes_pod_phase"}, "regex": "(Failed|Succeeded)"},
		set("namespace", "__meta_kubernetes_namespace"),
		set("container", "__meta_kubernetes_pod_container_name"),
		set("pod", "__meta_kubernetes_pod_name"),
	}
	if kind == "ServiceMonitor" {
		owner, endpoints = "service", m.ServiceEndpoints
		rules = append(rules, set("service", "__meta_kubernetes_service_name"))
	}
	if len(endpoints) != 1 {
		t.Fatalf("a %s has %d endpoints, want 1", kind, len(endpoints))
	}
	rules = append(rules,
		set("job", "__meta_kubernetes_"+owner+"_label_"+regexp.MustCompile(`\W`).ReplaceAllString(m.JobLabel, "_")),
		relabeling{"target_label": "endpoint", "replacement": endpoints[0].Port})
	for _, r := range endpoints[0].Relabelings {
		rule := relabeling{"action": r.Action, "regex": r.Regex}
		if r.Replacement != "" {
			rule["replacement"] = r.Replacement
		}
		if r.TargetLabel != "" {
			rule["target_label"] = r.TargetLabel
		}
		if r.SourceLabels != nil {
			rule["source_labels"] = r.SourceLabels
		}
		rules = append(rules, rule)
	}
	return scrapeConfig{
		"honor_labels":                     endpoints[0].HonorLabels,
		"scrape_native_histograms":         m.ScrapeNativeHistograms,
		"always_scrape_classic_histograms": m.ScrapeClassicHistograms,
		"relabel_configs":                  rules,
	}
}

// plain returns the scrape configuration that needs no operator.
func plain(t *testing.T) scrapeConfig {
	t.Helper()
	var file struct {
		ScrapeConfigs []scrapeConfig `yaml:"scrape_configs"`
	}
	decode(t, "scrape.yml", &file)
	if len(file.ScrapeConfigs) != 1 {
		t.Fatalf("scrape.yml has %d scrape_configs, want 1", len(file.ScrapeConfigs))
	}
	return file.ScrapeConfigs[0]
}

// scrapes returns the scrape configuration for the pod as a service of that name, without a Kubernetes that tells of
// it.
func (p *pod) scrapes(job, path string, config scrapeConfig) scrapeConfig {
	delete(config, "kubernetes_sd_configs")
	delete(config, "sample_limit") // of one scrape, not of a history
	delete(config, "body_size_limit")
	config["job_name"] = job + "-pods"
	config["metrics_path"] = path
	config["scrape_interval"] = "5s"
	config["scrape_timeout"] = "5s"
	config["static_configs"] = []any{map[string]any{
		"targets": []string{p.address},
		"labels": map[string]string{
			"__meta_kubernetes_namespace":                            "prod",
			"__meta_kubernetes_pod_name":                             "chat-0",
			"__meta_kubernetes_pod_phase":                            "Running",
			"__meta_kubernetes_pod_container_name":                   "server",
			"__meta_kubernetes_pod_container_port_name":              "metrics",
			"__meta_kubernetes_pod_label_app_kubernetes_io_name":     job,
			"__meta_kubernetes_service_name":                         "chat",
			"__meta_kubernetes_service_label_app_kubernetes_io_name": job,
		},
	}}
	return config
}

type rule struct {
	Record, Alert, Expr string
	Labels              map[string]string
}

// rules returns those of the group by endpoint. Objectives are made of the same labels in the same way, and what is
// about something else has no endpoint.
func rules(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	decode(t, ruleFile, &file)
	for _, group := range file.Groups {
		if group.Name == "websocket" {
			return group.Rules
		}
	}
	t.Fatalf("%s has no group websocket", ruleFile)
	return nil
}

// A server is a Prometheus.
type server struct {
	url string

	mu   sync.Mutex
	kept strings.Builder // what rules have yielded, in the text format
}

func startPrometheus(t *testing.T, p *pod, jobs map[string]scrapeConfig) *server {
	t.Helper()
	s := new(server)
	kept := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprint(w, s.kept.String())
	}))
	t.Cleanup(kept.Close)
	scrapes := []scrapeConfig{{
		"job_name": "rules", "honor_labels": true, "scrape_interval": "1s", "scrape_timeout": "1s",
		"static_configs": []any{map[string]any{"targets": []string{kept.Listener.Addr().String()}}},
		"metric_relabel_configs": []relabeling{{ // the target's own instance
			"source_labels": []string{"instance"}, "regex": regexp.QuoteMeta(kept.Listener.Addr().String()), "target_label": "instance", "replacement": "",
		}},
	}}
	for job, config := range jobs {
		scrapes = append(scrapes, p.scrapes(job, "/history", config))
	}
	dir := t.TempDir()
	writeYAML(t, filepath.Join(dir, "prometheus.yml"), map[string]any{
		"scrape_configs": scrapes,
		"otlp":           map[string]any{"keep_identifying_resource_attributes": true},
		"storage":        map[string]any{"tsdb": map[string]any{"out_of_order_time_window": "3h"}},
	})
	address := freeAddress(t)
	start(t, nil, tool.Path(t, "prometheus"), "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--web.enable-otlp-receiver")
	s.url = "http://" + address
	eventually(t, func() error { return ready(s.url + "/-/ready") })
	return s
}

// checkLabels checks the labels that a job's series have got.
func (s *server) checkLabels(t *testing.T, job string) {
	t.Helper()
	up := fmt.Sprintf(`up{job=%q, namespace="", k8s_namespace="prod", k8s_pod="chat-0", k8s_container="server"}`, job)
	if got := s.query(t, up, time.Now()); len(got) != 1 {
		t.Errorf("%d series from %s, want 1", len(got), up)
	}
	var namespaces []string
	for _, one := range s.query(t, fmt.Sprintf(`count by (namespace) ({__name__=~"websocket_.+", job=%q})`, job), time.Now()) {
		namespaces = append(namespaces, one.Metric["namespace"])
	}
	if diff := cmp.Diff([]string{"chat", "feed"}, sorted(namespaces)); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
}

// keep gives Prometheus what a rule has yielded, as if it had evaluated the rule all the time.
func (s *server) keep(t *testing.T, p *pod, r rule, history []series) {
	t.Helper()
	name, expr := r.Record, r.Record
	if r.Alert != "" {
		name, expr = "ALERTS", fmt.Sprintf(`ALERTS{alertname=%q}`, r.Alert)
	}
	s.mu.Lock()
	for _, one := range history {
		labels := maps.Clone(one.Metric)
		delete(labels, "__name__")
		maps.Copy(labels, r.Labels)
		if r.Alert != "" {
			labels["alertname"], labels["alertstate"] = r.Alert, "firing"
		}
		var pairs []string
		for name, value := range labels {
			pairs = append(pairs, name+"="+strconv.Quote(value))
		}
		for _, sample := range one.Values {
			var value string
			if err := json.Unmarshal(sample[1], &value); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&s.kept, "%s{%s} %s %s000\n", name, strings.Join(pairs, ","), value, sample[0])
		}
	}
	s.mu.Unlock()
	eventually(t, func() error {
		if got := s.queryRange(t, expr, p.began, p.ended); len(got) != len(history) {
			return fmt.Errorf("%d series of %s are there, want %d", len(got), expr, len(history))
		}
		return nil
	})
	s.mu.Lock()
	s.kept.Reset()
	s.mu.Unlock()
}

// startCollector has the stack's Collector scrape the pod too, and push what it gets.
func startCollector(t *testing.T, p *pod, to *server, job string) {
	t.Helper()
	dir := t.TempDir()
	writeYAML(t, filepath.Join(dir, "scrape.yml"), map[string]any{"scrape_configs": []scrapeConfig{p.scrapes(job, "/metrics", plain(t))}})
	environment := append(os.Environ(),
		"OTELCOL_SCRAPE_CONFIGS="+filepath.Join(dir, "scrape.yml"), "OTELCOL_TARGETS="+dir, "OTELCOL_QUEUE_DIR="+filepath.Join(dir, "queue"),
		"PROMETHEUS_URL="+to.url, "LOGS_OTLP_URL=http://127.0.0.1:1", "JAEGER_OTLP=127.0.0.1:1", "OTELCOL_HOST=127.0.0.1")
	if err := os.Mkdir(filepath.Join(dir, "scale"), 0o700); err != nil { // which has targets too
		t.Fatal(err)
	}
	var health string
	for _, name := range []string{"OTLP_GRPC", "OTLP_HTTP", "LOKI", "METRICS", "HEALTH"} {
		_, port, err := net.SplitHostPort(freeAddress(t))
		if err != nil {
			t.Fatal(err)
		}
		environment = append(environment, "OTELCOL_"+name+"_PORT="+port)
		health = "http://127.0.0.1:" + port
	}
	start(t, environment, tool.Path(t, "otelcol"), "--config="+collectorFile, "--config=collector.yaml")
	eventually(t, func() error { return ready(health) })
}

// start runs a program until the test ends.
func start(t *testing.T, environment []string, program string, args ...string) {
	t.Helper()
	var log bytes.Buffer
	command := exec.Command(program, args...)
	command.Env, command.Stdout, command.Stderr = environment, &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := command.Process.Kill(); err != nil {
			t.Errorf("stop %s: %v", program, err)
		}
		_ = command.Wait() // "signal: killed"
		if t.Failed() {
			t.Log(log.String())
		}
	})
}

func ready(url string) error {
	response, err := http.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

// A series is one of an answer of Prometheus: a value now, or one at each step.
type series struct {
	Metric map[string]string
	Values [][2]json.RawMessage
}

func (s *server) get(t *testing.T, path string, query url.Values) []series {
	t.Helper()
	response, err := http.PostForm(s.url+path, query)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []series }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Error != "" {
		t.Fatalf("%v: %s", query, answer.Error)
	}
	return answer.Data.Result
}

func (s *server) query(t *testing.T, expr string, at time.Time) []series {
	t.Helper()
	return s.get(t, "/api/v1/query", url.Values{"query": {expr}, "time": {strconv.FormatInt(at.Unix(), 10)}})
}

func (s *server) queryRange(t *testing.T, expr string, from, to time.Time) []series {
	t.Helper()
	return s.get(t, "/api/v1/query_range", url.Values{
		"query": {expr}, "start": {strconv.FormatInt(from.Unix(), 10)}, "end": {strconv.FormatInt(to.Unix(), 10)}, "step": {step.String()},
	})
}

// wait waits until an expression yields so many series.
func (s *server) wait(t *testing.T, want int, expr string) {
	t.Helper()
	eventually(t, func() error {
		if got := s.query(t, expr, time.Now()); len(got) != want {
			return fmt.Errorf("want %d series from %s, got %v", want, expr, got)
		}
		return nil
	})
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files match %s (%v)", pattern, err)
	}
	return paths
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func decode(t *testing.T, path string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, path)), into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func writeYAML(t *testing.T, path string, value any) {
	t.Helper()
	content, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, content)
}
