package check

import (
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/internal/logstore"
)

// service is the name of the service in the demo's telemetry.
const service = "sockscope-demo"

// A run is one check under way. It holds the state that its steps share.
type run struct {
	http                      *http.Client
	prometheus, jaeger, inbox component
	logs                      []logstore.Store

	began    time.Time
	patience time.Duration // with a Prometheus that does not return the counters before the conversation
	started  *moment       // at once
	measured *moment       // the counters' values before the conversation are known, or unavailable
	answered *moment       // the demo acknowledged a message
	sampled  *moment       // an acknowledged message has a trace

	before       counters
	beforeErr    error
	conversation *conversation
	marked       exchanged // the message that is followed; set before sampled

	mu   sync.Mutex
	ours map[trace.TraceID]bool // traces of all our messages
}

func newRun(cfg Config) *run {
	r := &run{
		http:       &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}},
		prometheus: component{"Prometheus", cfg.Prometheus},
		jaeger:     component{"Jaeger", cfg.Jaeger},
		inbox:      component{"the desk", cfg.Desk},
		began:      time.Now(),
		patience:   cfg.Timeout / 5,
		started:    newMoment(""),
		measured:   newMoment(""),
		answered:   newMoment("the demo acknowledged no message"),
		sampled:    newMoment("no acknowledged message has a trace"),
		ours:       make(map[trace.TraceID]bool),
	}
	r.logs = logStores(cfg, r)
	r.conversation = &conversation{demo: cfg.Demo, room: "check-" + uuid.NewString(), http: r.http}
	r.started.settle(true)
	return r
}

// steps lists the checks. Each step begins as soon as the event that it waits for has happened, independently of other
// steps.
func (r *run) steps() []step {
	const often = 200 * time.Millisecond
	return []step{
		{
			name: "answer", after: r.measured, reaches: r.answered, every: often, try: r.tryAnswer,
			next: "is the demo running? its /healthz and its log say more",
		},
		{
			name: "sample", after: r.answered, reaches: r.sampled, every: 20 * time.Millisecond, try: r.trySample,
			next: "the demo's sample ratio, its cap on spans per second under other load, and OTEL_TRACES_EXPORTER or OTEL_SDK_DISABLED in its environment",
		},
		{
			name: "metrics", after: r.answered, every: often, try: r.tryMetrics,
			next: `does the Collector scrape the demo? in Prometheus: up{job="` + service + `"} and otelcol_exporter_send_failed_metric_points_total`,
		},
		{
			name: "quantiles", after: r.answered, every: often, try: r.tryQuantiles,
			next: "scrape_native_histograms and always_scrape_classic_histograms in the Collector's Prometheus receiver",
		},
		{
			name: "exemplar", after: r.sampled, every: often, try: r.tryExemplar,
			next: "--enable-feature=exemplar-storage of Prometheus; exemplars in the demo's /metrics when asked for as OpenMetrics",
		},
		{
			name: "trace", after: r.sampled, every: often, try: r.tryTrace,
			next: "in Prometheus: otelcol_receiver_accepted_spans_total and otelcol_exporter_send_failed_spans_total; then Jaeger's log",
		},
		{
			name: "logs", after: r.sampled, every: often, try: r.tryLogs,
			next: "in Prometheus: sockscope_log_records_total and otelcol_exporter_send_failed_log_records_total; then the log store's own log",
		},
		{
			name: "alerts", after: r.started, every: often, try: r.tryAlerts,
			next: "does the alert Watchdog fire in Prometheus (/api/v1/alerts), and has Alertmanager a receiver for it that reaches the desk?",
		},
	}
}

// remember notes a trace of ours. The number is bounded, because the demo decides how many there are.
func (r *run) remember(id trace.TraceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ours) < 1000 {
		r.ours[id] = true
	}
}

func (r *run) isOurs(id string) bool {
	traceID, err := trace.TraceIDFromHex(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	return err == nil && r.ours[traceID]
}
