// Package telemetry sets up traces, metrics and logs of a service with one call, and shuts them down in order.
//
//	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("chat"))
//	if err != nil {
//		return err
//	}
//	defer func() {
//		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
//		defer cancel()
//		err = errors.Join(err, tel.Shutdown(ctx))
//	}()
//	http.Handle("/metrics", tel.MetricsHandler())
//
// [Start] sets nothing globally. What needs telemetry is given it: [Telemetry.TracerProvider], [Telemetry.Registry],
// [Telemetry.Logger].
//
// # Backends may be away
//
// Start never fails because a backend is away, and nothing here makes a caller wait for one. Spans and log records wait
// in bounded queues (2048 spans; 8192 records or 16 MiB) while a backend is dead, slow or hanging; what does not fit is
// dropped, and for log records counted:
//
//   - instrument_log_records_total{result="sent"}: the server answered the push that held the record with 2xx (for OTLP: OK).
//   - instrument_log_records_total{result="failed"}: the server refused the push for good, or kept failing for ten minutes.
//   - instrument_log_records_total{result="dropped"}: no room in the queue, logged after Shutdown, or not delivered by the
//     time that Shutdown had.
//   - instrument_log_queue_records: accepted, and none of these three yet.
//
// A delivery that fails is repeated every two seconds at the latest, so a backend that returns is used within seconds.
// That makes it at least once: a server that took a push and could not answer in time gets it again. Failing deliveries
// are told on the service's own log output, once a minute.
//
// # Environment
//
// Settings are OpenTelemetry's standard variables, and one of our own for what the standard has no name for:
//
//   - OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES: who this is. They win over [WithServiceName].
//   - OTEL_TRACES_EXPORTER: otlp (default) or none.
//   - OTEL_LOGS_EXPORTER: loki (default; pushed by Loki's protocol), otlp, or none.
//   - OTEL_EXPORTER_OTLP_ENDPOINT and the other OTEL_EXPORTER_OTLP_* (also per signal): the Collector, by default
//     http://127.0.0.1:4317. The protocol is grpc.
//   - SOCKSCOPE_LOKI_URL: where log records are pushed to, by default http://127.0.0.1:3500/loki/api/v1/push.
//   - OTEL_BSP_*, OTEL_TRACES_SAMPLER: as the OpenTelemetry SDK reads them.
//   - OTEL_SDK_DISABLED: with true nothing is exported. Metrics can be scraped and logs are written all the same.
//
// # Log records
//
// A record is one JSON object per line, with its fields flat: time, level, msg, service, trace_id, span_id, session_id,
// namespace, then what was logged. Loki gets the same line. Its labels are service_name, service_namespace,
// deployment_environment_name and level; every other field is structured metadata.
//
// A record is bounded whatever was logged: 64 fields, 4 KiB for one value, 32 KiB in all. Values are cut, and fields
// beyond the bounds left out and counted in the field fields_omitted.
package telemetry
