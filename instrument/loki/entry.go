package loki

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	lokipush "github.com/grafana/loki/pkg/push"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
)

// Labels, which are few, and have few values each, because every combination of them is a stream of its own.
const (
	serviceName      = "service_name"
	serviceNamespace = "service_namespace"
	environmentName  = "deployment_environment_name"
	levelLabel       = "level"
)

const instanceID = "service_instance_id"

// entry is a log record in Loki's form.
type entry struct {
	labels   model.LabelSet
	time     time.Time
	line     string
	metadata lokipush.LabelsAdapter
}

func newEntry(r sdklog.Record) entry {
	e := entry{labels: resourceLabels(r.Resource()), time: r.Timestamp()}
	if e.time.IsZero() {
		e.time = r.ObservedTimestamp()
	}
	level := levelName(r.Severity())
	e.labels[levelLabel] = model.LabelValue(level)
	if instance := value(r.Resource(), "service.instance.id"); instance != "" {
		e.metadata = append(e.metadata, lokipush.LabelAdapter{Name: instanceID, Value: instance})
	}

	full := slog.NewRecord(e.time, slog.LevelInfo, text(r.Body()), 0)
	full.AddAttrs(slog.String("service", value(r.Resource(), "service.name")))
	field := func(key string, v slog.Value) {
		full.AddAttrs(slog.Attr{Key: key, Value: v})
		e.addMetadata(key, v.String())
	}
	if id := r.TraceID(); id.IsValid() {
		field("trace_id", slog.StringValue(id.String()))
	}
	if id := r.SpanID(); id.IsValid() {
		field("span_id", slog.StringValue(id.String()))
	}
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		field(string(kv.Key), scalar(kv.Value))
		return true
	})
	e.line = encode(full, level)
	return e
}

// addMetadata adds a field unless there is one of that name, as with a.b and a_b: Loki may refuse the record otherwise.
func (e *entry) addMetadata(key, value string) {
	name := metadataName(key)
	if !slices.ContainsFunc(e.metadata, func(m lokipush.LabelAdapter) bool { return m.Name == name }) {
		e.metadata = append(e.metadata, lokipush.LabelAdapter{Name: name, Value: value})
	}
}

// encode returns the record as one line of JSON.
func encode(r slog.Record, level string) string {
	var line bytes.Buffer
	encoder := slog.NewJSONHandler(&line, &slog.HandlerOptions{ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
		if attr.Key == slog.LevelKey && attr.Value.Kind() == slog.KindAny { // the record's own
			return slog.String(slog.LevelKey, level)
		}
		return attr
	}})
	_ = encoder.Handle(context.Background(), r) // a buffer takes everything
	return strings.TrimSuffix(line.String(), "\n")
}

func resourceLabels(r *resource.Resource) model.LabelSet {
	labels := model.LabelSet{}
	for label, key := range map[model.LabelName]attribute.Key{
		serviceName:      "service.name",
		serviceNamespace: "service.namespace",
		environmentName:  "deployment.environment.name",
	} {
		if v := value(r, key); v != "" {
			labels[label] = model.LabelValue(v)
		}
	}
	return labels
}

// value is the attribute's value as text, empty where r has none.
func value(r *resource.Resource, key attribute.Key) string {
	v, _ := r.Set().Value(key)
	return text(v)
}

func text(v attribute.Value) string {
	if v.Type() == attribute.STRING {
		return v.AsString()
	}
	return v.String()
}

// scalar returns v as a string unless JSON has a plain form of it anyway.
func scalar(v attribute.Value) slog.Value {
	switch v.Type() {
	case attribute.BOOL:
		return slog.BoolValue(v.AsBool())
	case attribute.INT64:
		return slog.Int64Value(v.AsInt64())
	case attribute.FLOAT64:
		return slog.Float64Value(v.AsFloat64())
	default:
		return slog.StringValue(text(v))
	}
}

// levelName is the name of the range that the severity is in.
func levelName(s log.Severity) string {
	switch {
	case s >= log.SeverityError:
		return "error"
	case s >= log.SeverityWarn:
		return "warn"
	case s >= log.SeverityInfo || s == log.SeverityUndefined:
		return "info"
	default:
		return "debug"
	}
}

// metadataName makes an attribute's key a name that a LogQL query can use as it is, and that is no label's.
func metadataName(key string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, cmp.Or(key, "_"))
	switch name {
	case serviceName, serviceNamespace, environmentName, levelLabel, instanceID:
		return name + "_"
	}
	if name[0] >= '0' && name[0] <= '9' {
		return "_" + name
	}
	return name
}
