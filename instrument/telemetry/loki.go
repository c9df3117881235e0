package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"time"

	"github.com/go-kit/log"
	"github.com/grafana/loki-client-go/loki"
	"github.com/grafana/loki-client-go/pkg/backoff"
	"github.com/grafana/loki-client-go/pkg/urlutil"
	"github.com/grafana/loki/pkg/push"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

// maxBatchBytes bounds the lines of one push; their metadata is of the same order.
const maxBatchBytes = 512 << 10

// lokiExporter pushes records with loki-client-go. That client makes its caller wait while its server is away, for ever
// once it has been stopped, and for minutes in Stop; it tells nobody what became of a record. Therefore:
//   - only the one goroutine of run calls it, fed by a bounded queue, and nothing calls it after Stop;
//   - the client's HTTP transport is ours (pushTransport): it repeats what fails, counts what is delivered, and at the
//     shutdown's deadline answers at once, which brings the client's goroutine, and so Stop, to an end.
//
// What can't be prevented are the promtail_* metrics that the client's package registers globally when it is linked.
// They are not in our registry, so they are not served.
type lokiExporter struct {
	queue     *queue[lokiRecord]
	client    *loki.Client
	transport *pushTransport
	labels    map[string]model.LabelSet // by level
	instance  string
	abandon   context.CancelFunc
	done      chan struct{}
}

type lokiRecord struct {
	labels   model.LabelSet
	time     time.Time
	line     string
	metadata push.LabelsAdapter
}

func newLokiExporter(target *url.URL, res *resource.Resource, counts *logCounts, failing *warning) (*lokiExporter, error) {
	ctx, abandon := context.WithCancel(context.Background()) // its life is the exporter's, not that of Start's caller
	transport := &pushTransport{
		delivery: delivery{ctx, failing},
		counts:   counts,
		base:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: time.Minute},
	}
	client, err := newLokiClient(target, transport)
	if err != nil {
		abandon()
		return nil, err
	}
	e := &lokiExporter{
		queue:     newQueue[lokiRecord](counts),
		client:    client,
		transport: transport,
		labels:    map[string]model.LabelSet{},
		instance:  value(res, "service.instance.id"),
		abandon:   abandon,
		done:      make(chan struct{}),
	}
	for _, level := range levelNames {
		e.labels[level] = resourceLabels(res).Merge(model.LabelSet{"level": model.LabelValue(level)})
	}
	go e.run()
	return e, nil
}

func newLokiClient(target *url.URL, transport http.RoundTripper) (*loki.Client, error) {
	const never = 24 * time.Hour // the transport decides how long a push takes, and how often it is tried
	client, err := loki.NewWithLogger(loki.Config{
		URL:           urlutil.URLValue{URL: target},
		BatchWait:     batchWait,
		BatchSize:     maxBatchBytes,
		Timeout:       never,
		BackoffConfig: backoff.BackoffConfig{MaxRetries: 1},
	}, log.NewNopLogger())
	if err != nil {
		return nil, fmt.Errorf("client of Loki: %w", err)
	}
	// The client has no setting for its transport, so it is put where the client keeps it. Nothing has been given to the
	// client yet, so its goroutine does not read the field meanwhile. The module is archived and has no later version.
	field := reflect.ValueOf(client).Elem().FieldByName("client")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*http.Client]() {
		client.Stop()
		return nil, errors.New("client of Loki: this version of loki-client-go has no HTTP client that could be supervised; use the version in this module's go.mod")
	}
	(*http.Client)(field.UnsafePointer()).Transport = transport
	return client, nil
}

// resourceLabels are Loki's index labels beside level: few, and few values of each, because every combination of them is
// a stream of its own.
func resourceLabels(r *resource.Resource) model.LabelSet {
	labels := model.LabelSet{}
	for label, key := range map[model.LabelName]attribute.Key{
		"service_name":                "service.name",
		"service_namespace":           "service.namespace",
		"deployment_environment_name": "deployment.environment.name",
	} {
		if v := value(r, key); v != "" {
			labels[label] = model.LabelValue(v)
		}
	}
	return labels
}

// export has the record pushed. It never waits.
func (e *lokiExporter) export(_ context.Context, r record) {
	metadata := make(push.LabelsAdapter, 0, len(r.fields)+1)
	if e.instance != "" {
		metadata = append(metadata, push.LabelAdapter{Name: "service_instance_id", Value: e.instance})
	}
	size := len(r.line)
	for _, f := range r.fields {
		entry := push.LabelAdapter{Name: metadataName(f.Key), Value: f.Value.String()}
		if !slices.ContainsFunc(metadata, func(e push.LabelAdapter) bool { return e.Name == entry.Name }) { // a.b and a_b
			metadata = append(metadata, entry)
			size += len(entry.Name) + len(entry.Value)
		}
	}
	e.queue.put(lokiRecord{e.labels[levelName(r.level)], r.time, r.line, metadata}, size)
}

// run hands the queue to the client until the queue is closed and empty, or time is up.
func (e *lokiExporter) run() {
	defer close(e.done)
	for i := range e.queue.items {
		r := e.queue.take(i)
		if e.transport.delivery.ctx.Err() != nil {
			e.transport.counts.settle(1, abandoned)
			continue
		}
		// The error is always nil; the call waits while the client pushes.
		_ = e.client.HandleWithMetadata(r.labels, r.time, r.line, r.metadata)
	}
	e.client.Stop()
	e.transport.base.CloseIdleConnections()
}

func (e *lokiExporter) shutdown(ctx context.Context) error {
	e.queue.close()
	return drain(ctx, e.done, e.abandon, e.queue.counts)
}
