package notifytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"gopkg.in/yaml.v3"
)

// maxAnswer bounds what is read of an answer. Alertmanager's metrics are the longest, at some hundred kilobytes.
const maxAnswer = 16 << 20

// ErrAway is what errors wrap when Alertmanager could not be asked.
var ErrAway = errors.New("no answer from Alertmanager (give its address by --alertmanager)")

// ask makes a request of Alertmanager and returns the answer's body.
func (r *run) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAway, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s%s answers %s: %.200s", r.base, path, resp.Status, answer)
	}
	return answer, nil
}

// receivers returns the ways that each receiver in Alertmanager's settings has.
func (r *run) receivers(ctx context.Context) (map[string][]way, error) {
	answer, err := r.ask(ctx, http.MethodGet, "/api/v2/status", nil)
	if err != nil {
		return nil, err
	}
	var status struct {
		Config struct {
			Original string `json:"original"`
		} `json:"config"`
	}
	if err := json.Unmarshal(answer, &status); err != nil {
		return nil, fmt.Errorf("%s is no Alertmanager: %w", r.base, err)
	}
	var settings struct {
		Receivers []map[string]yaml.Node `yaml:"receivers"`
	}
	if err := yaml.Unmarshal([]byte(status.Config.Original), &settings); err != nil {
		return nil, fmt.Errorf("read Alertmanager's settings: %w", err)
	}
	known := make(map[string][]way)
	for _, receiver := range settings.Receivers {
		node := receiver["name"]
		name := node.Value
		for key, node := range receiver {
			channel, ok := strings.CutSuffix(key, "_configs")
			if !ok {
				continue
			}
			var list []struct {
				SendResolved bool `yaml:"send_resolved"`
			}
			if err := node.Decode(&list); err != nil {
				return nil, fmt.Errorf("read %s of the receiver %s: %w", key, name, err)
			}
			w := way{receiver: name, channel: channel, number: len(list), sendsResolved: len(list) > 0}
			for _, c := range list {
				w.sendsResolved = w.sendsResolved && c.SendResolved
			}
			if w.number > 0 {
				known[name] = append(known[name], w)
			}
		}
	}
	return known, nil
}

// labels tell the alert from that of another test.
func (r *run) labels() map[string]string {
	return map[string]string{
		"alertname": AlertName, "severity": r.cfg.Severity,
		"job": "sockscope-notify-test", "namespace": r.id,
	}
}

// post sends the alert, or its end if that is given.
func (r *run) post(ctx context.Context, end time.Time) error {
	now := time.Now()
	if end.IsZero() {
		end = now.Add(r.lasts())
	}
	body, err := json.Marshal([]any{map[string]any{
		"labels": r.labels(),
		"annotations": map[string]string{
			"summary":     "Test of notifications: nothing is wrong",
			"description": "Somebody ran sockscope notify-test. You need not do anything: it resolves itself.",
			"runbook_url": "https://github.com/sockscope/sockscope/blob/main/docs/on-call.md",
		},
		"endsAt": end.UTC().Format(time.RFC3339Nano),
	}})
	if err != nil {
		return err
	}
	_, err = r.ask(ctx, http.MethodPost, "/api/v2/alerts", body)
	return err
}

// found is the test alert as Alertmanager lists it.
type found struct {
	Receivers []struct {
		Name string `json:"name"`
	} `json:"receivers"`
	Status struct {
		InhibitedBy []string `json:"inhibitedBy"`
		SilencedBy  []string `json:"silencedBy"`
		MutedBy     []string `json:"mutedBy"`
	} `json:"status"`
}

// heldBack says why nobody is told of the alert, if so.
func (f *found) heldBack() string {
	switch {
	case len(f.Status.SilencedBy) > 0:
		return "silenced by " + strings.Join(f.Status.SilencedBy, ", ")
	case len(f.Status.InhibitedBy) > 0:
		return "inhibited by the alert " + strings.Join(f.Status.InhibitedBy, ", ")
	case len(f.Status.MutedBy) > 0:
		return "muted in the time interval " + strings.Join(f.Status.MutedBy, ", ")
	}
	return ""
}

// find returns the alert, or nil if Alertmanager has not got it yet.
func (r *run) find(ctx context.Context) (*found, error) {
	answer, err := r.ask(ctx, http.MethodGet, "/api/v2/alerts?"+url.Values{"filter": {fmt.Sprintf("namespace=%q", r.id)}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	var list []found
	if err := json.Unmarshal(answer, &list); err != nil {
		return nil, fmt.Errorf("read the list of alerts: %w", err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return &list[0], nil
}

// count is how many requests Alertmanager has made on one way, how many of them failed, and the reasons of the
// notifications that it gave up.
type count struct {
	requests, refused int
	failures          map[string]int
	failed            []string
}

// minus returns what has come since another count.
func (c count) minus(before count) count {
	delta := count{requests: c.requests - before.requests, refused: c.refused - before.refused}
	for reason, n := range c.failures {
		if n > before.failures[reason] {
			delta.failed = append(delta.failed, reason)
		}
	}
	return delta
}

// counts are by receiver and channel. An Alertmanager that does not tell receivers apart has them under no receiver.
type counts map[[2]string]count

func (c counts) of(w way) count {
	if known, ok := c[[2]string{w.receiver, w.channel}]; ok {
		return known
	}
	return c[[2]string{"", w.channel}]
}

// counts reads Alertmanager's metrics.
func (r *run) counts(ctx context.Context) (counts, error) {
	answer, err := r.ask(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(answer))
	if err != nil {
		return nil, fmt.Errorf("read Alertmanager's metrics: %w", err)
	}
	all := make(counts)
	each := func(name string, add func(c *count, n int, reason string)) {
		for _, m := range families[name].GetMetric() {
			labels := map[string]string{}
			for _, pair := range m.GetLabel() {
				labels[pair.GetName()] = pair.GetValue()
			}
			key := [2]string{labels["receiver_name"], labels["integration"]}
			c := all[key]
			add(&c, int(value(m)), labels["reason"])
			all[key] = c
		}
	}
	each("alertmanager_notification_requests_total", func(c *count, n int, _ string) { c.requests = n })
	each("alertmanager_notification_requests_failed_total", func(c *count, n int, _ string) { c.refused = n })
	each("alertmanager_notifications_failed_total", func(c *count, n int, reason string) {
		if c.failures == nil {
			c.failures = map[string]int{}
		}
		c.failures[reason] = n
	})
	return all, nil
}

func value(m *dto.Metric) float64 { return m.GetCounter().GetValue() + m.GetUntyped().GetValue() }
