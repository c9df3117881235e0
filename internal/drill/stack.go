package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/sockscope/sockscope/internal/desk/inbox"
	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/internal/logstore"
	"github.com/sockscope/sockscope/internal/stack"
)

// Stack is the running stack that is drilled.
type Stack struct {
	At    endpoint.Set
	Speed int // how much faster than shipped its rules are

	data   string
	deploy fs.FS
	http   *http.Client
	slack  time.Duration // what is not faster where rules are; see slack

	logs        logstore.Store
	logLanguage string // of queries, as fences in runbooks name it: logsql or logql

	cluster *cluster // nil until a drill needs it
}

func (s *Stack) demoURL() string { return "ws://" + s.At.Demo + "/ws" }

const (
	requestTimeout = 10 * time.Second
	maxAnswer      = 64 << 20
)

// Attach returns the stack that uses the data directory and listens there. deploy has the settings as they are shipped.
func Attach(ctx context.Context, at endpoint.Set, data string, deploy fs.FS) (*Stack, error) {
	s := &Stack{At: at, data: data, deploy: deploy, http: &http.Client{Timeout: requestTimeout}, slack: slack}
	state, err := stack.Find(data)
	if err != nil {
		return nil, err
	}
	s.logs, s.logLanguage = logstore.VictoriaLogs("http://"+at.VictoriaLogs, http.DefaultTransport), "logsql"
	if _, loki := state.Services["loki"]; loki {
		s.logs, s.logLanguage = logstore.Loki("http://"+at.Loki, http.DefaultTransport), "logql"
	}
	shipped, err := fs.ReadFile(deploy, "prometheus/prometheus.yml")
	if err != nil {
		return nil, fmt.Errorf("read the shipped settings: %w", err)
	}
	var running struct {
		Data struct {
			YAML string `json:"yaml"`
		} `json:"data"`
	}
	if err := s.get(ctx, at.Prometheus, "/api/v1/status/config", nil, &running); err != nil {
		return nil, fmt.Errorf("ask Prometheus for its settings: %w", err)
	}
	if s.Speed, err = speed(shipped, []byte(running.Data.YAML)); err != nil {
		return nil, err
	}
	return s, nil
}

// speed returns how much more often rules are evaluated than in the shipped settings.
func speed(shipped, running []byte) (int, error) {
	var intervals [2]time.Duration
	for i, text := range [][]byte{shipped, running} {
		var config struct {
			Global struct {
				Interval string `yaml:"evaluation_interval"`
			} `yaml:"global"`
		}
		err := yaml.Unmarshal(text, &config)
		if err == nil {
			intervals[i], err = time.ParseDuration(config.Global.Interval)
		}
		if err != nil {
			return 0, fmt.Errorf("find out how fast the stack's rules are: %w", err)
		}
	}
	if intervals[1] <= 0 || intervals[0] < intervals[1] {
		return 0, fmt.Errorf("the stack evaluates its rules every %v, less often than shipped: drills cannot judge that", intervals[1])
	}
	return int(intervals[0] / intervals[1]), nil
}

func (s *Stack) signal(service string, signal syscall.Signal) error {
	return stack.Signal(s.data, service, signal)
}

// fetch returns what a component answers.
func (s *Stack) fetch(ctx context.Context, address, path string, query url.Values) ([]byte, error) {
	target := "http://" + address + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s%s: %w", address, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s%s answers %s: %.300s", address, path, resp.Status, strings.TrimSpace(string(body)))
	}
	return body, nil
}

// get asks a component and decodes its JSON answer.
func (s *Stack) get(ctx context.Context, address, path string, query url.Values, into any) error {
	body, err := s.fetch(ctx, address, path, query)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read the answer of %s%s: %w", address, path, err)
	}
	return nil
}

// sendOTLP sends a request in JSON to the Collector.
func (s *Stack) sendOTLP(ctx context.Context, path, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.At.CollectorOTLPHTTP+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the Collector answers %s", resp.Status)
	}
	return nil
}

// series is a series in an answer of Prometheus.
type series struct {
	Metric    map[string]string `json:"metric"`
	Value     [2]any            `json:"value"`
	Values    [][2]any          `json:"values"`
	Histogram []any             `json:"histogram"`
}

// at returns when a sample was taken.
func at(sample [2]any) (time.Time, error) {
	stamp, ok := sample[0].(float64)
	if !ok {
		return time.Time{}, fmt.Errorf("a sample has %v in the place of its time", sample[0])
	}
	return time.UnixMilli(int64(stamp * 1000)).UTC(), nil
}

// query returns the result of a PromQL query, without what is not a number.
func (s *Stack) query(ctx context.Context, expr string) ([]series, error) {
	var answer struct {
		Data struct {
			Type   string          `json:"resultType"`
			Result json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := s.get(ctx, s.At.Prometheus, "/api/v1/query", url.Values{"query": {expr}}, &answer); err != nil {
		return nil, err
	}
	if answer.Data.Type == "scalar" {
		return []series{{}}, nil
	}
	var list []series
	if err := json.Unmarshal(answer.Data.Result, &list); err != nil {
		return nil, fmt.Errorf("read the result of %s: %w", expr, err)
	}
	return slices.DeleteFunc(list, func(one series) bool {
		return answer.Data.Type == "vector" && len(one.Histogram) == 0 && one.Value[1] == "NaN"
	}), nil
}

// burnsForDays is what alerts are like that a person looks at in the morning: they are about the error budget of days,
// and burn long after what drills have done. Drills leave them out of account.
const burnsForDays = `slo!="", severity="warning"`

// firing returns which alerts fire now.
func (s *Stack) firing(ctx context.Context) (alerts []string, err error) {
	list, err := s.query(ctx, fmt.Sprintf(`ALERTS{alertstate="firing"} unless ALERTS{%s}`, burnsForDays))
	for _, one := range list {
		alerts = append(alerts, one.Metric["alertname"])
	}
	return alerts, err
}

// alerts returns the samples of ALERTS of the last while, in the order of time.
func (s *Stack) alerts(ctx context.Context, last time.Duration) ([]Sample, error) {
	list, err := s.query(ctx, fmt.Sprintf("ALERTS[%dms]", last.Milliseconds()))
	if err != nil {
		return nil, err
	}
	var samples []Sample
	for _, one := range list {
		if one.Metric["slo"] != "" && one.Metric["severity"] == "warning" {
			continue // see burnsForDays
		}
		for _, value := range one.Values {
			when, err := at(value)
			if err != nil {
				return nil, err
			}
			samples = append(samples, Sample{
				At: when, Alert: one.Metric["alertname"], Severity: one.Metric["severity"],
				Firing: one.Metric["alertstate"] == "firing",
			})
		}
	}
	slices.SortStableFunc(samples, func(a, b Sample) int { return a.At.Compare(b.At) })
	return samples, nil
}

// notices returns what the inbox got since then, in the order of time, without the heartbeat.
func (s *Stack) notices(ctx context.Context, since time.Time) ([]Notice, error) {
	var box inboxAnswer
	if err := s.get(ctx, s.At.Desk, "/api/inbox", nil, &box); err != nil {
		return nil, err
	}
	return box.notices(since), nil
}

// inboxAnswer is what the desk tells of its inbox, newest first.
type inboxAnswer struct {
	Notifications []inbox.Notification `json:"notifications"`
}

func (box inboxAnswer) notices(since time.Time) (notices []Notice) {
	for _, n := range slices.Backward(box.Notifications) {
		if n.Alert == inbox.HeartbeatAlert || n.Received.Before(since) {
			continue
		}
		notice := Notice{At: n.Received, Alert: n.Alert, Channel: string(n.Source), Incident: n.Key, Resolved: n.Event == inbox.Resolve}
		if !n.Accepted {
			notice.Rejected = n.Reason
		}
		if len(n.Firing) == 0 && len(n.Resolved) == 0 { // it names none
			notices = append(notices, notice)
			continue
		}
		for _, about := range slices.Concat(n.Firing, n.Resolved) {
			notice.Alert = about.Alert
			notice.Resolved = !slices.Contains(n.Firing, about)
			if !slices.Contains(notices, notice) {
				notices = append(notices, notice)
			}
		}
	}
	return notices
}

// mutes returns the alerts that keep Alertmanager from notifying about this one.
func (s *Stack) mutes(ctx context.Context, alert string) ([]string, error) {
	var list []struct {
		Fingerprint string            `json:"fingerprint"`
		Labels      map[string]string `json:"labels"`
		Status      struct {
			InhibitedBy []string `json:"inhibitedBy"`
		} `json:"status"`
	}
	if err := s.get(ctx, s.At.Alertmanager, "/api/v2/alerts", nil, &list); err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, a := range list {
		names[a.Fingerprint] = a.Labels["alertname"]
	}
	var muted []string
	for _, a := range list {
		if a.Labels["alertname"] != alert {
			continue
		}
		for _, by := range a.Status.InhibitedBy {
			if !slices.Contains(muted, names[by]) {
				muted = append(muted, names[by])
			}
		}
	}
	slices.Sort(muted)
	return muted, nil
}

// exemplar is an exemplar that names a trace.
type exemplar struct {
	Labels map[string]string `json:"labels"`
	Value  string            `json:"value"`
	Time   float64           `json:"timestamp"`
}

// exemplars returns the trace ids of a histogram's exemplars since then, those of the highest values first.
func (s *Stack) exemplars(ctx context.Context, selector string, since time.Time) ([]string, error) {
	var answer struct {
		Data []struct {
			Exemplars []exemplar `json:"exemplars"`
		} `json:"data"`
	}
	err := s.get(ctx, s.At.Prometheus, "/api/v1/query_exemplars", url.Values{
		"query": {selector}, "start": {stamp(since)}, "end": {stamp(time.Now())},
	}, &answer)
	if err != nil {
		return nil, err
	}
	type found struct {
		trace string
		value float64
	}
	var all []found
	for _, one := range answer.Data {
		for _, e := range one.Exemplars {
			value, err := strconv.ParseFloat(e.Value, 64)
			if id := e.Labels["trace_id"]; id != "" && err == nil {
				all = append(all, found{id, value})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b found) int {
		switch {
		case a.value > b.value:
			return -1
		case a.value < b.value:
			return 1
		}
		return 0
	})
	var ids []string
	for _, f := range all {
		if !slices.Contains(ids, f.trace) {
			ids = append(ids, f.trace)
		}
	}
	return ids, nil
}

func stamp(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

const maxRecords = 5000

// records returns log records of a service since then, oldest first.
func (s *Stack) records(ctx context.Context, service string, since time.Time) ([]logstore.Record, error) {
	return s.logs.Records(ctx, logstore.Query{Start: since, End: time.Now(), Limit: maxRecords, Service: service})
}

// lately is how far back people look at log records.
const lately = time.Hour

// logQuery runs a query in the language of the log store and returns how many series, streams or records it found.
func (s *Stack) logQuery(ctx context.Context, expr string) (int, error) {
	start := strconv.FormatInt(time.Now().Add(-lately).UnixNano(), 10)
	if s.logLanguage == "logql" {
		var answer struct {
			Data struct {
				Result []json.RawMessage `json:"result"`
			} `json:"data"`
		}
		err := s.get(ctx, s.At.Loki, "/loki/api/v1/query_range", url.Values{"query": {expr}, "limit": {"10"}, "start": {start}}, &answer)
		return len(answer.Data.Result), err
	}
	answer, err := s.fetch(ctx, s.At.VictoriaLogs, "/select/logsql/query", url.Values{"query": {expr}, "limit": {"10"}, "start": {start}})
	return bytes.Count(answer, []byte("\n")), err
}

// faster rewrites a query for the speed of the stack's rules.
func (s *Stack) faster(expr string) string { return stack.ShortenDurations(expr, s.Speed) }
