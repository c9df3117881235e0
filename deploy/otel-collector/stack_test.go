package otelcollector_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sockscope/sockscope/internal/tool"
)

// stack is the Collector and its stores with the shipped settings, on free ports.
type stack struct {
	targets                          string // the folder of what is scraped
	otlp, loki, metrics              string // the Collector's addresses
	prometheus, logStore, jaegerRead string
	jaegerWrite                      string

	logs      logStore
	collector *program
	stores    []*program
}

// start starts them all, with a log store of that name.
func start(t testing.TB, logs string) *stack {
	t.Helper()
	s := newStack(t, logs)
	s.run(t)
	return s
}

// newStack returns one that does not run yet.
func newStack(t testing.TB, logs string) *stack {
	t.Helper()
	data := t.TempDir()
	ports := freePorts(t, 13)
	at := func(i int) string { return "127.0.0.1:" + ports[i] }
	s := &stack{
		targets: filepath.Join(data, "targets"),
		otlp:    at(0), loki: at(1), metrics: at(2), prometheus: at(3), logStore: at(4), jaegerRead: at(5), jaegerWrite: at(9),
	}
	if err := os.Mkdir(s.targets, 0o755); err != nil {
		t.Fatal(err)
	}
	s.logs = newVictoriaLogs(data, s.logStore)
	if logs == "loki" {
		s.logs = newLoki(data, s.logStore, ports[6])
	}
	s.stores = []*program{
		s.logs.program,
		{name: "prometheus", ready: "http://" + s.prometheus + "/-/ready", args: []string{
			"--config.file=../prometheus/prometheus.yml", "--storage.tsdb.path=" + filepath.Join(data, "prometheus"),
			"--web.listen-address=" + s.prometheus, "--web.enable-otlp-receiver", "--enable-feature=exemplar-storage",
		}},
		{name: "jaeger", ready: "http://" + at(7) + "/status", args: []string{"--config=../jaeger/config.yaml"}, env: []string{
			"JAEGER_HOST=127.0.0.1", "JAEGER_QUERY_PORT=" + ports[5], "JAEGER_QUERY_GRPC_PORT=" + ports[8], "JAEGER_OTLP_PORT=" + ports[9],
			"JAEGER_HEALTH_PORT=" + ports[7], "JAEGER_METRICS_PORT=" + ports[10], "JAEGER_DATA=" + filepath.Join(data, "jaeger"),
		}},
	}
	s.collector = &program{name: "otelcol", ready: "http://" + at(11) + "/", args: []string{"--config=config.yaml", "--config=cardinality.yaml"}, env: []string{
		"OTELCOL_HOST=127.0.0.1", "OTELCOL_OTLP_HTTP_PORT=" + ports[0], "OTELCOL_OTLP_GRPC_PORT=" + ports[12], "OTELCOL_LOKI_PORT=" + ports[1],
		"OTELCOL_METRICS_PORT=" + ports[2], "OTELCOL_HEALTH_PORT=" + ports[11], "OTELCOL_SCRAPE_INTERVAL=1s",
		"OTELCOL_QUEUE_DIR=" + filepath.Join(data, "queue"), "OTELCOL_TARGETS=" + s.targets,
		"PROMETHEUS_URL=http://" + s.prometheus, "LOGS_OTLP_URL=" + s.logs.otlp, "JAEGER_OTLP=" + at(9),
		"GOGC=400", "GOMEMLIMIT=320MiB",
	}}
	return s
}

func (s *stack) run(t testing.TB) {
	t.Helper()
	for _, p := range append(s.stores, s.collector) {
		p.start(t)
		t.Cleanup(func() { p.end(t) })
	}
}

// program is one that runs until the end of the test, which shows what it printed if it failed.
type program struct {
	name, ready string
	args, env   []string

	output bytes.Buffer
	cmd    *exec.Cmd
	ended  chan struct{}
}

// start starts the program and waits until it is ready.
func (p *program) start(t testing.TB) {
	t.Helper()
	p.cmd = exec.Command(tool.Path(t, p.name), p.args...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.ended = make(chan struct{})
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	eventually(t, p.name+" is ready", func() error {
		select {
		case <-p.ended:
			t.Fatalf("%s ended", p.name)
		default:
		}
		response, err := http.Get(p.ready)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})
}

// kill ends the program as a crash does.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

func (p *program) end(t testing.TB) {
	p.kill()
	if t.Failed() {
		printed := p.output.Bytes()
		t.Logf("%s printed:\n%s", p.name, printed[max(0, len(printed)-8000):])
	}
}

// freePorts finds ports below those that the system gives to outgoing connections, and to other tests that ask it for
// one.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	var ports []string
	for port := 20_000 + rand.IntN(10_000); len(ports) < n; port++ {
		if port == 32_768 {
			t.Fatal("too few ports are free")
		}
		if l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			defer l.Close()
			ports = append(ports, strconv.Itoa(port))
		}
	}
	return ports
}

func eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute) // on a busy machine
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// post sends a body and returns the status, 0 if there was no answer.
func post(t testing.TB, address, path string, body any) int {
	t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		t.Error(err)
		return 0
	}
	response, err := http.Post("http://"+address+path, "application/json", bytes.NewReader(content))
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// object and list are JSON's, short enough to write OTLP in.
type (
	object = map[string]any
	list   = []any
)

func attributes(pairs map[string]string) list {
	var all list
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		all = append(all, object{"key": key, "value": object{"stringValue": pairs[key]}})
	}
	return all
}

func resource(service string, more map[string]string) object {
	all := map[string]string{"service.name": service}
	maps.Copy(all, more)
	return object{"attributes": attributes(all)}
}

// metricsOf is an OTLP request.
func metricsOf(service string, metrics ...object) object {
	return object{"resourceMetrics": list{object{
		"resource": resource(service, map[string]string{"service.instance.id": "1"}), "scopeMetrics": list{object{"metrics": metrics}},
	}}}
}

func gauge(name string, points ...object) object {
	return object{"name": name, "gauge": object{"dataPoints": points}}
}

func sum(name string, temporality int, points ...object) object {
	return object{"name": name, "sum": object{"aggregationTemporality": temporality, "isMonotonic": true, "dataPoints": points}}
}

func point(at time.Time, value int, pairs map[string]string) object {
	return object{"startTimeUnixNano": nanos(at.Add(-time.Second)), "timeUnixNano": nanos(at), "asInt": fmt.Sprint(value), "attributes": attributes(pairs)}
}

func nanos(at time.Time) string { return fmt.Sprint(at.UnixNano()) }

// sample is one of a series in Prometheus.
type sample struct {
	at    int64 // milliseconds
	value string
}

// samples returns those of each series that a selector finds in the last hours, by its labels but the name.
func (s *stack) samples(selector string) (map[string][]sample, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	err := get("http://"+s.prometheus+"/api/v1/query?query="+url.QueryEscape(selector+"[2h]"), &answer)
	all := make(map[string][]sample)
	for _, series := range answer.Data.Result {
		delete(series.Metric, "__name__")
		labels, _ := json.Marshal(series.Metric)
		for _, v := range series.Values {
			all[string(labels)] = append(all[string(labels)], sample{int64(v[0].(float64)*1000 + 0.5), v[1].(string)})
		}
	}
	return all, err
}

// only returns the samples of the one series that a selector finds.
func (s *stack) only(selector string) ([]sample, error) {
	all, err := s.samples(selector)
	if err != nil || len(all) != 1 {
		return nil, errors.Join(err, fmt.Errorf("%s finds %d series: %v", selector, len(all), slices.Collect(maps.Keys(all))))
	}
	for _, found := range all {
		return found, nil
	}
	return nil, nil
}

// last returns the newest value of the one series that a selector finds.
func (s *stack) last(selector string) (string, error) {
	found, err := s.only(selector)
	if err != nil {
		return "", err
	}
	return found[len(found)-1].value, nil
}

// spans returns how many of a trace are stored.
func (s *stack) spans(trace string) (int, error) {
	var answer struct{ Data []struct{ Spans []object } }
	err := get("http://"+s.jaegerRead+"/api/traces/"+trace, &answer)
	if err != nil || len(answer.Data) != 1 {
		return 0, errors.Join(err, fmt.Errorf("%d traces", len(answer.Data)))
	}
	return len(answer.Data[0].Spans), nil
}

// own returns the lines of the Collector's own metrics that begin with name and have all of the labels, as
// label="value".
func (s *stack) own(name string, labels ...string) ([]string, error) {
	response, err := http.Get("http://" + s.metrics + "/metrics")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	var found []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, name) && !slices.ContainsFunc(labels, func(label string) bool { return !strings.Contains(line, label) }) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found, err
}

// idle returns an error if anything is in one of the Collector's queues.
func (s *stack) idle() error {
	queues, err := s.own("otelcol_exporter_queue_size")
	for _, queue := range queues {
		if !strings.HasSuffix(queue, " 0") {
			return errors.New(queue)
		}
	}
	return err
}

func get(address string, answer any) error {
	response, err := http.Get(address)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(body, answer)
}
