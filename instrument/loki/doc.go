// Package loki exports OpenTelemetry's log records to Grafana Loki, by Loki's own protocol and its own client
// (loki-client-go). Loki also takes OTLP, which instrument/telemetry uses by default. Use this package only if all you
// have is Loki's push endpoint.
//
//	logs, err := loki.New("http://127.0.0.1:3100/loki/api/v1/push")
//	if err != nil {
//		return err
//	}
//	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("chat"), telemetry.WithLogExporter(logs))
//
// An [Exporter] also works with any logger provider of OpenTelemetry's SDK.
//
// # What Loki gets
//
// The line is one JSON object: time, level, msg, service, trace_id, span_id, then the record's attributes. It is the
// line that instrument/telemetry writes. The labels are service_name, service_namespace, deployment_environment_name
// (of the resource) and level (debug, info, warn or error), so there are few streams. The ids of the trace and the
// span, the service_instance_id and the attributes are structured metadata. Their names are changed so that LogQL
// accepts them: close.code becomes close_code.
//
// # Dependencies
//
// loki-client-go depends on modules of Prometheus' server, and registers metrics promtail_* in Prometheus' global
// registry. So this package is a module of its own.
package loki
