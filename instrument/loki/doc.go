// Package loki exports OpenTelemetry's log records to Grafana Loki, by Loki's own protocol and its own client
// (loki-client-go). Loki takes OTLP as well, which is what instrument/telemetry does by default: this package is for
// those who have only Loki's push endpoint.
//
//	logs, err := loki.New("http://127.0.0.1:3100/loki/api/v1/push")
//	if err != nil {
//		return err
//	}
//	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("chat"), telemetry.WithLogExporter(logs))
//
// An [Exporter] works with any logger provider of OpenTelemetry's SDK, too.
//
// # What Loki gets
//
// The line is one JSON object: time, level, msg, service, trace_id, span_id, then the record's attributes. It is the line
// that instrument/telemetry writes. The labels are service_name, service_namespace, deployment_environment_name (of the
// resource) and level (debug, info, warn or error), so that streams are few. The ids of the trace and the span, the
// service_instance_id and the attributes are structured metadata, under names that a LogQL query can use as they are:
// close.code becomes close_code.
//
// # Dependencies
//
// loki-client-go brings modules of Prometheus' server with it, and its package registers metrics promtail_* in
// Prometheus' global registry. That is why this is a module of its own.
package loki
