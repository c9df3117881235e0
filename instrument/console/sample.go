package console

import (
	"cmp"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sockscope/sockscope/instrument"
)

const (
	// interval is the time between samples while somebody looks.
	interval = time.Second
	// history is the number of samples that are kept.
	history = int(15 * time.Minute / interval)
)

// Series is the answer of api/v1/series.
type Series struct {
	Service  string `json:"service"`
	Instance string `json:"instance"`
	// Samples are the samples of the last 15 minutes, oldest first. No samples are taken while nobody looks.
	Samples []Sample `json:"samples"`
}

// A Sample is what the service did in about one second.
type Sample struct {
	Time time.Time `json:"time"`
	// Seconds is the time since the previous sample, over which rates are computed. It is 0 for the first sample after
	// a break, which has no rates.
	Seconds    float64    `json:"seconds"`
	Goroutines uint64     `json:"goroutines"`
	HeapBytes  uint64     `json:"heap_bytes"`
	Endpoints  []Endpoint `json:"endpoints"`
}

// An Endpoint is what one observer counted in a Sample. Rates are per second, times are in seconds.
type Endpoint struct {
	Namespace string `json:"namespace"`
	Protocol  string `json:"protocol"`
	Open      int    `json:"open"`
	// Limit is the number of connections that the endpoint is made for, 0 if it is not set.
	Limit    int  `json:"limit,omitempty"`
	Draining bool `json:"draining,omitempty"`

	Opened float64 `json:"opened"`
	// Refused are handshakes that did not become connections, by status.
	Refused map[string]float64 `json:"refused,omitempty"`
	// Closed are ended connections, by reason.
	Closed map[string]float64 `json:"closed,omitempty"`
	// Broken are the closed connections that count as failures; see instrument.Cause.IsFailure.
	Broken   float64 `json:"broken"`
	Received float64 `json:"received"`
	Sent     float64 `json:"sent"`
	Errors   float64 `json:"errors"`
	// Dropped are outbound messages that were not written, by reason.
	Dropped map[string]float64 `json:"dropped,omitempty"`

	Queued           int     `json:"queued"`
	QueueOldest      float64 `json:"queue_oldest_seconds"`
	OldestUnanswered float64 `json:"ping_unanswered_seconds"`

	// Handling is the time for which received messages were handled, Delivery the time between the queue and the
	// socket, and RTT the round trip time of pings. They are nil for a second without any.
	Handling *Quantiles `json:"handling_seconds,omitempty"`
	Delivery *Quantiles `json:"delivery_seconds,omitempty"`
	RTT      *Quantiles `json:"rtt_seconds,omitempty"`
}

// Quantiles are three quantiles of a distribution.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// sampler takes samples when viewers ask for them, so that nothing runs while nobody looks.
type sampler struct {
	failures map[string]bool // see failures

	mu      sync.Mutex
	sources []*source
	samples []Sample // a ring once it is full
	next    int      // in samples
	last    time.Time
	took    time.Duration
}

// source is one observer and its counters at the last sample.
type source struct {
	observer *instrument.Observer
	registry *prometheus.Registry
	counted  *counted
}

// sample makes sure that the newest sample is younger than an interval.
func (s *sampler) sample(observers []*instrument.Observer, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	elapsed := now.Sub(s.last)
	// A viewer's clock ticks a little early now and then.
	if elapsed >= 0 && elapsed < max(interval*9/10, rest(s.took)) {
		return
	}
	began := time.Now()
	defer func() { s.took = time.Since(began) }()
	if elapsed < 0 || elapsed > 5*interval+rest(s.took) { // a break, in which nobody looked, or the clock was set
		elapsed = 0
	}
	s.last = now
	for _, o := range observers {
		if !slices.ContainsFunc(s.sources, func(known *source) bool { return known.observer == o }) {
			registry := prometheus.NewRegistry()
			if registry.Register(o) != nil {
				continue // a zero observer, which has nothing to show
			}
			s.sources = append(s.sources, &source{observer: o, registry: registry})
		}
	}
	sample := Sample{Time: now, Seconds: elapsed.Seconds(), Endpoints: []Endpoint{}}
	sample.Goroutines, sample.HeapBytes = runtimeNow()
	for _, source := range s.sources {
		sample.Endpoints = append(sample.Endpoints, source.sample(elapsed, s.failures))
	}
	if len(s.samples) < history {
		s.samples = append(s.samples, sample)
		return
	}
	s.samples[s.next] = sample
	s.next = (s.next + 1) % history
}

// since returns the samples after t, oldest first.
func (s *sampler) since(t time.Time) []Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Concat(s.samples[s.next:], s.samples[:s.next])
	first := 0
	for i := len(all) - 1; i >= 0; i-- { // from the end: if the clock was set back, later times come before earlier ones
		if !all[i].Time.After(t) {
			first = i + 1
			break
		}
	}
	return append([]Sample{}, all[first:]...)
}

// counted holds the counters of an observer since it was made.
type counted struct {
	opened, received, sent, errors, broken float64
	refused, closed, dropped               map[string]float64
	handling, delivery, rtt                buckets
}

// sample returns the Endpoint of the time since the last sample. If elapsed is 0 it has no rates.
func (s *source) sample(elapsed time.Duration, failures map[string]bool) Endpoint {
	e := Endpoint{Namespace: s.observer.Namespace(), Protocol: s.observer.Protocol()}
	families, err := s.registry.Gather()
	if err != nil {
		return e // only a bug leads here, and half of the metrics would look like a fault of the service
	}
	now := &counted{refused: map[string]float64{}, closed: map[string]float64{}, dropped: map[string]float64{}}
	now.read(families, failures, &e)
	if before := s.counted; before != nil && elapsed > 0 {
		e.rates(*now, *before, elapsed.Seconds())
	}
	s.counted = now
	return e
}

// read sorts the metrics of an observer into counters and gauges. It knows them by the ends of their names, since the
// prefix is the application's choice.
func (c *counted) read(families []*dto.MetricFamily, failures map[string]bool, e *Endpoint) {
	prefix := ""
	for _, f := range families {
		if p, ok := strings.CutSuffix(f.GetName(), "_active_connections"); ok {
			prefix = p
		}
	}
	for _, f := range families {
		name, ours := strings.CutPrefix(f.GetName(), prefix+"_")
		if !ours {
			continue
		}
		for _, m := range f.GetMetric() {
			v := m.GetCounter().GetValue()
			switch name {
			case "active_connections":
				e.Open = int(m.GetGauge().GetValue())
			case "connection_limit":
				e.Limit = int(m.GetGauge().GetValue())
			case "draining":
				e.Draining = m.GetGauge().GetValue() > 0
			case "send_queue_messages":
				e.Queued = int(m.GetGauge().GetValue())
			case "send_queue_oldest_seconds":
				e.QueueOldest = m.GetGauge().GetValue()
			case "ping_unanswered_seconds":
				e.OldestUnanswered = m.GetGauge().GetValue()
			case "connections_total":
				if status := label(m, "status"); status == instrument.StatusConnected.String() {
					c.opened += v
				} else {
					c.refused[status] += v
				}
			case "disconnections_total":
				c.closed[label(m, "reason")] += v
				if failures[label(m, "initiator")+"/"+label(m, "reason")] {
					c.broken += v
				}
			case "messages_total":
				if label(m, "direction") == "receive" {
					c.received += v
				} else {
					c.sent += v
				}
			case "errors_total":
				c.errors += v
			case "messages_dropped_total":
				c.dropped[label(m, "reason")] += v
			case "message_duration_seconds":
				c.handling.add(m.GetHistogram())
			case "delivery_duration_seconds":
				c.delivery.add(m.GetHistogram())
			case "ping_rtt_seconds":
				c.rtt.add(m.GetHistogram())
			}
		}
	}
}

// rates sets the rates per second.
func (e *Endpoint) rates(now, before counted, seconds float64) {
	e.Opened = (now.opened - before.opened) / seconds
	e.Received = (now.received - before.received) / seconds
	e.Sent = (now.sent - before.sent) / seconds
	e.Errors = (now.errors - before.errors) / seconds
	e.Broken = (now.broken - before.broken) / seconds
	e.Refused = ratesBy(now.refused, before.refused, seconds)
	e.Closed = ratesBy(now.closed, before.closed, seconds)
	e.Dropped = ratesBy(now.dropped, before.dropped, seconds)
	e.Handling = now.handling.since(before.handling).quantiles()
	e.Delivery = now.delivery.since(before.delivery).quantiles()
	e.RTT = now.rtt.since(before.rtt).quantiles()
}

func ratesBy(now, before map[string]float64, seconds float64) map[string]float64 {
	rates := make(map[string]float64)
	for label, n := range now {
		if d := n - before[label]; d > 0 {
			rates[label] = d / seconds
		}
	}
	return rates
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// other is the label value for everything outside of a closed set.
const other = "other"

// failures are the initiator/reason pairs that count as broken connections.
func failures() map[string]bool {
	all := make(map[string]bool)
	for initiator := instrument.InitiatorLocal; initiator <= instrument.InitiatorNetwork; initiator++ {
		for reason := instrument.ReasonOther; reason == instrument.ReasonOther || reason.String() != other; reason++ {
			cause := instrument.Cause{Initiator: initiator, Reason: reason}
			if cause.IsFailure() {
				all[initiator.String()+"/"+reason.String()] = true
			}
		}
	}
	return all
}

// runtimeNow returns the number of goroutines and the memory of live and not yet swept objects.
func runtimeNow() (goroutines, heap uint64) {
	samples := []metrics.Sample{{Name: "/sched/goroutines:goroutines"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(samples)
	value := func(s metrics.Sample) uint64 {
		if s.Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return s.Value.Uint64()
	}
	return value(samples[0]), value(samples[1])
}

// sorted returns the keys of m, sorted by their values, largest first.
func sorted(m map[string]float64) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	return keys
}
