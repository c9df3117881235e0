// Package telemetry sets up a service's traces, metrics and logs with one call, and shuts them down in order.
//
//	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("chat"))
//	if err != nil {
//		return err
//	}
//	observer, err := tel.NewObserver(instrument.WithNamespace("chat"))
//	if err != nil {
//		return err
//	}
//	mux := http.NewServeMux()
//	mux.Handle("GET /metrics", tel.MetricsHandler())
//	mux.Handle("GET /ws", ws.Handler(observer, chat))
//	return tel.Serve(ctx, &http.Server{Addr: ":8080", Handler: mux})
//
// [Telemetry.Serve] serves until ctx ends, then closes the observed connections, and delivers queued spans and records.
//
// [Start] sets nothing globally. Pass [Telemetry.TracerProvider], [Telemetry.Registry] and [Telemetry.Logger] to the code
// that needs them. Spans and log records are exported by OTLP, and metrics are scraped by Prometheus. [WithLogExporter]
// sends log records elsewhere, for example to Loki by the exporter of instrument/loki.
//
// # Backends may be away
//
// Start never fails because a backend is away, and callers never wait for a backend. Spans and log records wait in
// bounded queues (2048 spans; 8192 records or 16 MiB) while a backend is down, slow or hanging. If a queue is full,
// they are dropped. sockscope_spans_total and sockscope_log_records_total count all by result:
//
//   - result="sent": the backend accepted the export with the span or record.
//   - result="failed": the backend refused the export for good, or kept failing for ten minutes.
//   - result="dropped": there was no room in the queue, Shutdown's time was up before the delivery, or the record was
//     logged after Shutdown.
//
// sockscope_log_queue_records is the number of accepted records without a result yet.
//
// A failed delivery is repeated after at most two seconds, so a backend that returns is used within seconds. Delivery
// is at least once: a backend that accepted an export but did not answer in time gets it again. Failing deliveries are
// reported on the service's own log output, once a minute.
//
// # Environment
//
// OpenTelemetry's standard variables override the program's settings, so operators decide. As their specification says,
// an empty variable counts as not set. A variable with a value that is not understood also counts as not set, with a
// warning in the log: Start does not fail. A variable is read only if it applies: variables of traces are ignored if
// OTEL_TRACES_EXPORTER is none, and certificates if the endpoint is plain http.
//
//	OTEL_SDK_DISABLED                  true, in any case: nothing is exported. Logs are written and metrics
//	                                   are still served
//	OTEL_SERVICE_NAME                  wins over WithServiceName
//	OTEL_RESOURCE_ATTRIBUTES           wins over options
//	OTEL_TRACES_EXPORTER               otlp (default), console (stderr), both with a comma, or none
//	OTEL_LOGS_EXPORTER                 otlp (default), console (the log output, so nothing is exported), or none;
//	                                   wins over WithLogExporter
//	OTEL_TRACES_SAMPLER, _ARG          always_on, always_off, traceidratio, parentbased_always_on (default),
//	                                   parentbased_always_off, parentbased_traceidratio
//	OTEL_SPAN_*, OTEL_EVENT_*,         limits of spans
//	OTEL_LINK_*, OTEL_ATTRIBUTE_*
//	OTEL_LOGRECORD_*                   limits of exported log records
//	OTEL_BSP_MAX_QUEUE_SIZE            2048 spans
//	OTEL_BSP_MAX_EXPORT_BATCH_SIZE     512 spans
//	OTEL_BSP_SCHEDULE_DELAY            1000 milliseconds
//	OTEL_BSP_EXPORT_TIMEOUT            600000 milliseconds, until a batch that fails is given up
//	OTEL_BLRP_MAX_QUEUE_SIZE           8192 log records, and 16 MiB in any case
//	OTEL_BLRP_MAX_EXPORT_BATCH_SIZE    512 log records, and about 512 KiB in any case
//	OTEL_BLRP_SCHEDULE_DELAY           1000 milliseconds
//	OTEL_BLRP_EXPORT_TIMEOUT           600000 milliseconds, until a batch that fails is given up
//
// The variables of OTLP also exist for a single signal, which win: OTEL_EXPORTER_OTLP_TRACES_* and
// OTEL_EXPORTER_OTLP_LOGS_*.
//
//	OTEL_EXPORTER_OTLP_PROTOCOL        grpc (default) or http/protobuf; http/json is sent as http/protobuf
//	OTEL_EXPORTER_OTLP_ENDPOINT        http://127.0.0.1:4317, or http://127.0.0.1:4318 for http/protobuf;
//	                                   for grpc also an address without a scheme
//	OTEL_EXPORTER_OTLP_INSECURE        for grpc, and an address without a scheme: true is without TLS
//	OTEL_EXPORTER_OTLP_HEADERS         none
//	OTEL_EXPORTER_OTLP_TIMEOUT         10000 milliseconds, for each attempt
//	OTEL_EXPORTER_OTLP_COMPRESSION     none (default) or gzip
//	OTEL_EXPORTER_OTLP_CERTIFICATE     the system's
//	OTEL_EXPORTER_OTLP_CLIENT_*        CERTIFICATE and KEY: none
//
// Not supported and ignored:
//
//	OTEL_METRICS_*, OTEL_METRIC_*,     metrics are scraped
//	OTEL_EXPORTER_OTLP_METRICS_*,
//	OTEL_EXPORTER_PROMETHEUS_*
//	OTEL_PROPAGATORS                   use options such as instrument.WithPropagator
//	OTEL_ATTRIBUTE_*                   for log records: use OTEL_LOGRECORD_*
//	OTEL_EXPORTER_ZIPKIN_*             Zipkin takes OTLP by way of a Collector
//	OTEL_LOG_LEVEL                     see WithLogLevel
//	OTEL_CONFIG_FILE                   and its older name, OTEL_EXPERIMENTAL_CONFIG_FILE
//
// The SDK itself reads the headers, the sampler and the limits, and reports values that it does not understand on
// stderr.
//
// # Log records
//
// A record is one JSON object per line, with its fields flat: time, level, msg, service, trace_id, span_id,
// connection_id, namespace, then the record's own fields.
//
// A record is bounded: 64 fields, 4 KiB for one value, 32 KiB in all. Longer values are cut. Fields beyond the bounds
// are left out and counted in the field fields_omitted.
//
// # Dependencies
//
// A program that imports this package is built from 36 modules, including this one. A test keeps the number to at most
// 60, and keeps Prometheus' server and clients of Loki out of the module graph.
package telemetry
