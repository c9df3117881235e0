package mixin

import (
	"strings"
	"time"
)

// stores has stores and certificates be at their end, and spans get lost.
func stores() []Situation {
	const certificate, logs, spans = "WebSocketCertificateExpiring", "LogStoreErrors", "TelemetrySpansLost"
	slowly := func(s Situation) Situation { return s.every(15 * time.Second) }
	expires := func(days float64) *world {
		return nothing().add(gauge, "websocket_probe_certificate_expiry_timestamp_seconds", `job="probe", instance="a", target="eu"`, "*:"+number(days*86400))
	}
	requests := `job="loki", instance="l", method="POST", route="otlp_v1_logs", status_code=`
	loki := func(ok, bad string) *world {
		return nothing().add(gauge, "up", `job="loki", instance="l"`, "*:1").add(counter, "loki_request_duration_seconds_count", requests+`"204"`, ok).add(counter, "loki_request_duration_seconds_count", requests+`"500"`, bad)
	}
	path := `job="victoria-logs", instance="v", path="/insert/opentelemetry/v1/logs", format="protobuf"`
	victoria := func(bad string) *world {
		return nothing().add(counter, "vl_http_requests_total", path, "*:1").add(counter, "vl_http_errors_total", path, bad).
			add(counter, "vl_http_requests_total", `job="victoria-logs", instance="v", path="/select/logsql/query"`, "*:100").
			add(gauge, "vl_storage_is_read_only", `job="victoria-logs", instance="v", path="/data"`, "*:0")
	}
	sent := func(ok, bad string) *world {
		return nothing().add(gauge, "up", `job="demo", instance="a"`, "*:1").add(counter, "sockscope_spans_total", `job="demo", instance="a", result="sent"`, ok).
			add(counter, "sockscope_spans_total", `job="demo", instance="a", result="dropped"`, bad).
			add(counter, "sockscope_spans_total", `job="demo", instance="a", result="failed"`, "*:0")
	}
	collectors := func(one, other string) *world {
		return nothing().add(gauge, "up", `job="otel-collector", instance="c"`, one).add(gauge, "up", `job="otel-collector", instance="d"`, other)
	}
	return []Situation{
		collectors("10m:1 *:0", "*:1").lasting("one of two Collectors dies", 13*minute, at("12m", "RealtimeTargetDown/warning")),
		collectors("10m:1 30s:0 *:1", "*:0").lasting("a Collector restarts, and another never comes", 20*minute, at("10m20s"), at("12m"), at("17m", "RealtimeTargetDown/warning")),
		collectors("*:0", "*:0").lasting("no Collector ever comes", 20*minute, at("14m"), at("17m", "RealtimeTargetDown/critical", "RealtimeTargetDown/warning")),
		slowly(expires(10).lasting("a certificate expires in ten days", 8*minute, at("4m"), at("6m", certificate+"/warning"))),
		slowly(expires(2).lasting("a certificate expires in two days", 8*minute, at("45s"), at("2m", certificate+"/critical"), at("6m", certificate+"/critical", certificate+"/warning"))),
		slowly(expires(-1).lasting("a certificate has expired", 8*minute, at("6m", certificate+"/critical", certificate+"/warning"))),
		slowly(expires(20).lasting("a certificate expires in twenty days", 8*minute, at("7m")).near(certificate)),
		slowly(expires(4).lasting("a certificate expires in four days", 8*minute, at("6m", certificate+"/warning"))),
		slowly(loki("*:1", "5m:0 5m:0.1 *:0").lasting("Loki fails to store a tenth of what it is sent", 24*minute, at("6m"), at("10m", logs+"/warning"), at("17m", logs+"/warning"), at("23m"))),
		slowly(loki("*:5", "*:0.4").lasting("Loki fails to store 7% of what it is sent", 26*minute, at("25m", logs+"/warning"))),
		slowly(loki("*:5", "*:0.2").lasting("Loki fails to store 4% of what it is sent", 12*minute, at("11m")).near(logs)),
		slowly(loki("*:0.05", "5m:0 +3 *:0").lasting("Loki fails to store three batches", 12*minute, at("9m")).near(logs)),
		slowly(loki("*:0.05", "5m:0 +7 *:0").lasting("Loki fails to store seven batches", 12*minute, at("9m", logs+"/warning"))),
		slowly(loki("*:1", "*:0").add(counter, "loki_request_duration_seconds_count", `job="loki", instance="l", method="GET", route="ready", status_code="503"`, "*:1").
			lasting("Loki is not ready yet", 12*minute, at("11m")).near(logs)),
		slowly(loki("*:1", "*:0").add(counter, "loki_ingester_wal_disk_full_failures_total", `job="loki", instance="l"`, "5m:0 +2 *:0").
			lasting("Loki's disk is full", 17*minute, at("6m45s"), at("9m", logs+"/warning"), at("16m"))),
		slowly(victoria("5m:0 5m:0.1 *:0").lasting("VictoriaLogs fails to store a tenth of what it is sent", 24*minute, at("6m"), at("10m", logs+"/warning"), at("17m", logs+"/warning"), at("23m"))),
		slowly(victoria("*:0.07").lasting("VictoriaLogs fails to store 7% of what it is sent", 26*minute, at("25m", logs+"/warning"))),
		slowly(victoria("*:0.03").lasting("VictoriaLogs fails to store 3% of what it is sent", 12*minute, at("11m")).near(logs)),
		slowly(victoria("*:0").set("vl_storage_is_read_only", "", "5m:0 *:1").
			lasting("VictoriaLogs has no room left", 12*minute, at("6m45s"), at("8m", logs+"/warning"))),
		slowly(sent("*:10", "5m:0 4m:1 *:0").lasting("9% of the spans are dropped", 22*minute, at("5m30s"), at("8m"), at("9m", spans+"/warning"), at("15m", spans+"/warning"), at("21m"))),
		slowly(sent("*:10", "*:0.8").lasting("7% of the spans are dropped", 26*minute, at("25m", spans+"/warning"))),
		slowly(sent("*:10", "*:0.4").lasting("4% of the spans are dropped", 12*minute, at("11m")).near(spans)),
		slowly(sent("*:0.1", "5m:0 +15 *:0").lasting("fifteen spans are dropped", 12*minute, at("8m")).near(spans)),
		slowly(sent("*:0.1", "5m:0 +26 *:0").lasting("26 spans are dropped, a third of all", 12*minute, at("8m", spans+"/warning"))),
	}
}

// logging has log records tell of something.
func logging() []Situation {
	const panics, repeating, reconnecting = "LogPanics", "LogErrorRepeating", "LogClientReconnecting"
	counted := func(k kind, metric, spec string) Situation {
		return nothing().add(k, metric, `job="demo"`, spec).lasting("", 30*minute).every(15 * time.Second)
	}
	told := func(s Situation, name string, want ...Want) Situation { s.Name, s.Want = name, want; return s }
	return []Situation{
		told(counted(counter, "sockscope_log_panics_total", "5m:_ +1 5m:0 *:_"), "a program panics", at("4m45s"), at("5m15s", panics+"/warning"), at("18m", panics+"/warning"), at("21m")),
		told(counted(counter, "sockscope_log_panics_total", "15m:0 +2 *:0"), "a program panics that has panicked before", at("14m45s"), at("16m", panics+"/warning"), at("24m", panics+"/warning"), at("30m")),
		told(counted(counter, "sockscope_log_panics_total", "*:0"), "a program has panicked long ago", at("13m")).near(panics),
		told(counted(gauge, "sockscope_log_repetitions", "5m:_ 2m:200..1200 2m:1200 *:_"), "an error is logged 1,200 times", at("5m45s"), at("7m", repeating+"/warning"), at("14m", repeating+"/warning"), at("16m")),
		told(counted(gauge, "sockscope_log_repetitions", "5m:_ 2m:100..700 *:_"), "an error is logged 700 times", at("8m")).near(repeating),
		told(counted(gauge, "sockscope_log_client_connections", "5m:_ 2m:10..70 2m:70 *:_"), "a client connects seventy times", at("5m45s"), at("7m", reconnecting+"/info"), at("14m", reconnecting+"/info"), at("16m")),
		told(counted(gauge, "sockscope_log_client_connections", "5m:_ 2m:10..35 *:_"), "a client connects 35 times", at("8m")).near(reconnecting),
	}
}

// processes has instances go down, come up, and use up what they have.
func processes() []Situation {
	const of = `job="demo", instance="a"`
	target := func(spec string) *world { return nothing().add(gauge, "up", of, spec) }
	down := func(w *world, labels, spec string) *world {
		for i, s := range w.all {
			if contains(s.labels, labels) && s.name == "up" {
				w.all[i].spec = spec
			} else if contains(s.labels, labels) {
				w.all[i].spec = strings.ReplaceAll(s.spec, "*", "10m") + " stale"
			}
		}
		return w
	}
	collector := func(w *world, spec string) *world {
		return w.add(gauge, "up", `job="otel-collector", instance="c"`, spec)
	}
	memory := func(connections float64, bytes string) *world {
		return serviceOf(connections, "a").add(gauge, "go_memstats_heap_alloc_bytes", of, bytes)
	}
	return []Situation{
		target("10m:1 20m:0 *:1").add(gauge, "up", `job="demo", instance="b"`, "*:1").
			lasting("one of two instances goes down and comes back", 35*minute, at("10m50s"), at("11m10s", "RealtimeTargetDown/warning"),
				at("23m", "RealtimeTargetDown/warning"), at("29m", "RealtimeTargetDown/warning"), at("31m")),
		target("2m:1 10s:0 2m:1 30s:0 *:1").lasting("a scrape is missed now and then", 10*minute, at("4m35s"), at("9m")).near("RealtimeTargetDown"),
		target("*:0").lasting("a target never comes", 20*minute, at("3m"), at("14m55s"), at("16m30s", "RealtimeTargetDown/warning")).near("RealtimeTargetMissing"),
		target("30s:0 *:1").add(gauge, "up", `job="jaeger", instance="j"`, "90s:0 *:1").add(gauge, "up", `job="prometheus", instance="p"`, "*:1").
			lasting("a first start in which components come one by one", 20*minute, at("1m20s"), at("3m"), at("17m"), at("20m")).exactly().near("RealtimeTargetDown", "RealtimeTargetMissing"),
		target("5m:1 90m:_ 2m:0 *:1").lasting("a stack is stopped overnight", 2*time.Hour, at("6m"), at("96m"), at("97m"), at("1h55m")).exactly().every(30*time.Second).near("RealtimeTargetDown", "RealtimeTargetMissing"),
		target("5m:1 stale *:_").add(gauge, "up", `job="demo", instance="b"`, "*:1").
			lasting("an instance is taken away", 15*minute, at("14m")).near("RealtimeTargetDown", "RealtimeTargetMissing"),
		down(service("a", "b"), "", "10m:1 *:0").
			lasting("all instances are killed", 16*minute, at("10m10s"), at("10m25s", "RealtimeTargetMissing/critical"),
				at("12m", "RealtimeTargetMissing/critical", "RealtimeTargetDown/warning")).exactly(),
		collector(down(service("a", "b"), "", "10m:1 stale *:_"), "*:1").
			lasting("all instances vanish", 16*minute, at("10m45s", "RealtimeTargetMissing/critical"), at("15m", "RealtimeTargetMissing/critical")),
		collector(down(service("a", "b"), `instance="a"`, "10m:1 *:0"), "*:1").
			set("websocket_active_connections", chatB, "10m:500 30s:500..950 *:950").
			lasting("one of two instances is killed", 16*minute, at("10m45s"), at("12m", "RealtimeTargetDown/warning")).near("RealtimeTargetMissing", "WebSocketConnectionsCollapsed"),
		collector(down(service("a"), "", "10m:1 stale *:_"), "10m:1 *:0").
			lasting("the Collector dies, and its targets go with it", 16*minute, at("10m45s"), at("12m", "RealtimeTargetDown/critical", "RealtimeTargetDown/warning"), at("15m45s", "RealtimeTargetDown/critical", "RealtimeTargetDown/warning")).near("RealtimeTargetMissing"),
		nothing().add(gauge, "websocket_active_connections", of+`, namespace="chat"`, "5m:500 stale *:_").
			lasting("a service that pushes its metrics ends", 12*minute, at("10m")).near("RealtimeTargetMissing"),
		target("5m:1 *:0").lasting("a part of the stack that has no connections goes down", 9*minute, at("5m50s"), at("7m", "RealtimeTargetDown/warning")).near("RealtimeTargetMissing"),
		nothing().add(gauge, "process_start_time_seconds", of, "5m:0 1m:300 1m:360 1m:420 *:480").
			lasting("a crash loop", 36*minute, at("6m30s"), at("8m30s", "RealtimeTargetRestarting/warning"), at("21m", "RealtimeTargetRestarting/warning"), at("35m")),
		nothing().add(gauge, "process_start_time_seconds", of, "5m:0 1m:300 *:360").
			lasting("a process is started twice", 12*minute, at("11m")).near("RealtimeTargetRestarting"),
		nothing().add(gauge, "process_open_fds", of, "*:900").add(gauge, "process_max_fds", of, "*:1024").
			lasting("88% of the file descriptors are open", 8*minute, at("4m30s"), at("7m", "FileDescriptorsNearlyExhausted/warning")),
		nothing().add(gauge, "process_open_fds", of, "*:990").add(gauge, "process_max_fds", of, "*:1024").
			lasting("97% of the file descriptors are open", 4*minute, at("20s"), at("1m", "FileDescriptorsNearlyExhausted/critical")),
		nothing().add(gauge, "process_open_fds", of, "*:600").add(gauge, "process_max_fds", of, "*:1024").
			lasting("59% of the file descriptors are open", 8*minute, at("7m")).near("FileDescriptorsNearlyExhausted"),
		service("a").add(gauge, "go_goroutines", of, "20m:1600 *:1600..4600").
			lasting("goroutines leak", 50*minute, at("20m"), at("27m"), at("45m", "WebSocketGoroutineLeak/warning")).every(15 * time.Second),
		service("a").add(gauge, "go_goroutines", of, "*:4000").
			lasting("many goroutines, and always as many", 30*minute, at("29m")).every(15 * time.Second).near("WebSocketGoroutineLeak"),
		service("a").add(gauge, "go_goroutines", of, "20m:1600 *:1600..2050").
			lasting("goroutines grow slowly", 60*minute, at("59m")).every(15 * time.Second).near("WebSocketGoroutineLeak"),
		service("a").add(gauge, "go_goroutines", of, "20m:1200 *:1200..1900").
			lasting("goroutines grow to what the connections need", 50*minute, at("49m")).every(15 * time.Second).near("WebSocketGoroutineLeak"),
		service("a").add(gauge, "go_goroutines", of, "20m:1600 *:1600..4600").set("websocket_active_connections", "", "20m:500 *:500..1500").
			lasting("goroutines grow with connections", 50*minute, at("49m")).every(15 * time.Second).near("WebSocketGoroutineLeak"),
		memory(500, "5m:60000000 *:200000000").
			lasting("each connection holds 400 kB", 30*minute, at("15m"), at("28m", "WebSocketMemoryPerConnectionHigh/warning")).every(15 * time.Second),
		memory(500, strings.Repeat("2m:90000000 2m:200000000 ", 7)+"*:200000000").
			lasting("the heap grows and falls", 29*minute, at("20m"), at("28m")).every(15 * time.Second).near("WebSocketMemoryPerConnectionHigh"),
		memory(500, "*:100000000").lasting("each connection holds 200 kB", 25*minute, at("24m")).every(15 * time.Second).near("WebSocketMemoryPerConnectionHigh"),
		memory(80, "*:100000000").lasting("few connections, and much memory", 25*minute, at("24m")).every(15 * time.Second).near("WebSocketMemoryPerConnectionHigh"),
		memory(120, "*:100000000").lasting("120 connections, and much memory", 25*minute, at("24m", "WebSocketMemoryPerConnectionHigh/warning")).every(15 * time.Second),
	}
}

// pipeline has the way from a service to a person be broken.
func pipeline() []Situation {
	const collector, exporter = `job="otel-collector", instance="c"`, `job="otel-collector", instance="c", exporter="otlp_http/logs"`
	host := func(idle, busy string) *world {
		return nothing().add(counter, "system_cpu_time_seconds_total", `job="host", instance="h", cpu="cpu0", state="idle"`, idle).
			add(counter, "system_cpu_time_seconds_total", `job="host", instance="h", cpu="cpu0", state="user"`, busy)
	}
	memory := func(used, free string) *world {
		return nothing().add(gauge, "system_memory_usage_bytes", `job="host", instance="h", state="used"`, used).
			add(gauge, "system_memory_usage_bytes", `job="host", instance="h", state="free"`, free)
	}
	one := func(k kind, metric, labels, spec string) *world { return nothing().add(k, metric, labels, spec) }
	store := func(ok, bad string) *world {
		return one(counter, "jaeger_storage_requests_total", `job="jaeger", instance="j", operation="find_traces", result="ok"`, ok).
			add(counter, "jaeger_storage_requests_total", `job="jaeger", instance="j", operation="find_traces", result="err"`, bad)
	}
	const prometheus, alertmanager = `job="prometheus", instance="p"`, `job="alertmanager", instance="m"`
	slowly := func(s Situation) Situation { return s.every(15 * time.Second) }
	var signals []Situation // each signal has counters of its own
	for _, signal := range []string{"metric_points", "spans", "log_records"} {
		signals = append(signals,
			slowly(one(counter, "otelcol_receiver_refused_"+signal, collector+`, receiver="otlp"`, "5m:0 3m:1 *:0").
				lasting("the Collector refuses "+signal, 16*minute, at("5m45s"), at("7m", "TelemetryCollectorRefusing/warning"), at("11m30s", "TelemetryCollectorRefusing/warning"), at("15m"))),
			one(counter, "otelcol_exporter_send_failed_"+signal, exporter, "5m:0 +1 *:0").
				lasting("a store refuses one of the "+signal, 60*minute, at("4m45s"), at("5m", "TelemetryLost/warning"), at("14m30s", "TelemetryLost/warning"), at("14m45s")).every(15*second),
		)
	}
	return append(signals, []Situation{
		slowly(one(counter, "sockscope_refused_data_points_total", `job="demo", instance="c", reason="too_old"`, "5m:0 5m:1 *:0").
			lasting("a service sends points that cannot be stored", 30*minute, at("9m"), at("12m", "TelemetryRefused/warning"), at("18m", "TelemetryRefused/warning"), at("29m"))),
		slowly(one(counter, "sockscope_refused_log_records_total", `job="demo", instance="c", reason="in_future"`, "5m:0 *:1").
			lasting("a service sends records that cannot be stored", 14*minute, at("9m"), at("12m", "TelemetryRefused/warning"))),
		slowly(one(counter, "sockscope_refused_log_records_total", `job="demo", instance="c", reason="in_future"`, "5m:0 *:1").
			add(counter, "sockscope_refused_data_points_total", `job="demo", instance="c", reason="in_future"`, "*:0").
			lasting("a service sends records that cannot be stored, and has sent such points before", 14*minute, at("9m"), at("12m", "TelemetryRefused/warning"))),
		slowly(one(counter, "otelcol_exporter_send_failed_log_records", exporter, "5m:0 +5 *:0").
			lasting("a store refuses a batch", 20*minute, at("4m"), at("6m", "TelemetryLost/warning"), at("14m", "TelemetryLost/warning"), at("19m"))),
		slowly(one(counter, "otelcol_exporter_send_failed_spans_total", exporter, "5m:0 +5 *:0").
			lasting("a store refuses spans, counted by a name with a suffix", 8*minute, at("7m", "TelemetryLost/warning"))),
		slowly(one(counter, "otelcol_exporter_send_failed_metric_points", exporter, "5m:0 +5 *:0").
			lasting("a store refuses points", 8*minute, at("7m", "TelemetryLost/warning"))),
		slowly(one(counter, "sockscope_store_refused_items_total", exporter+`, service="demo"`, "5m:0 +5 *:0").
			lasting("a store refuses what one service sends", 8*minute, at("4m"), at("7m", "TelemetryLost/warning"))),
		one(gauge, "sockscope_sender_start_time_seconds", `job="demo", instance="127.0.0.1", metric="sent"`, strings.Repeat("1m:160 1m:100 ", 8)).
			lasting("two processes send as one instance", 15*minute, at("5m"), at("14m", "TelemetryInstancesMixed/warning")),
		one(gauge, "sockscope_sender_start_time_seconds", `job="demo", instance="127.0.0.1", metric="sent"`, "5m:100 1m:160 1m:100 *:160").
			lasting("one process takes the place of another", 15*minute, at("14m")).near("TelemetryInstancesMixed"),
		slowly(one(gauge, "otelcol_exporter_queue_size", exporter+`, data_type="logs"`, "5m:10 *:60").add(gauge, "otelcol_exporter_queue_capacity", exporter+`, data_type="logs"`, "*:100").
			lasting("a store is away", 12*minute, at("6m30s"), at("8m", "TelemetryQueueFilling/warning"))),
		slowly(one(gauge, "otelcol_exporter_queue_size", exporter+`, data_type="logs"`, "5m:10 *:40").add(gauge, "otelcol_exporter_queue_capacity", exporter+`, data_type="logs"`, "*:100").
			lasting("a queue is 40% full", 12*minute, at("11m")).near("TelemetryQueueFilling")),
		slowly(one(counter, "otelcol_receiver_refused_log_records_total", collector+`, receiver="loki"`, "5m:0 *:1").
			lasting("the Collector refuses records", 10*minute, at("8m", "TelemetryCollectorRefusing/warning"))),
		slowly(one(counter, "otelcol_receiver_refused_log_records", collector+`, receiver="otlp"`, "5m:0 *:1").
			add(counter, "otelcol_receiver_refused_spans", collector+`, receiver="otlp"`, "*:0").
			lasting("the Collector refuses records of a receiver that takes spans, too", 10*minute, at("8m", "TelemetryCollectorRefusing/warning"))),
		slowly(one(counter, "sockscope_log_records_total", `job="demo", instance="a", result="dropped"`, "5m:0 +3 *:0").
			lasting("a service drops log records", 18*minute, at("4m"), at("6m", "TelemetryLogsDropped/warning"), at("14m", "TelemetryLogsDropped/warning"), at("17m"))),
		slowly(one(counter, "sockscope_log_records_total", `job="demo", instance="a", result="failed"`, "5m:0 +3 *:0").
			lasting("log records of a service fail", 8*minute, at("6m", "TelemetryLogsDropped/warning"))),
		slowly(one(counter, "sockscope_log_records_total", `job="demo", instance="a", result="sent"`, "*:100").
			lasting("log records are delivered", 8*minute, at("6m")).near("TelemetryLogsDropped")),
		slowly(one(counter, "sockscope_label_overflow_total", `job="demo", instance="a", namespace="chat", transport="websocket", label="type"`, "5m:0 +3 *:0").
			lasting("a message type is not registered", 80*minute, at("4m"), at("6m", "TelemetryLabelOverflow/info"), at("50m", "TelemetryLabelOverflow/info"), at("75m"))),
		slowly(store("*:9", "5m:0 *:1").lasting("a tenth of what the trace store is asked fails", 12*minute, at("6m30s"), at("11m", "TraceStoreErrors/warning"))),
		slowly(store("*:29", "5m:0 *:1").lasting("3% of what the trace store is asked fails", 14*minute, at("13m")).near("TraceStoreErrors")),
		slowly(one(counter, "jaeger_storage_requests_total", `job="jaeger", instance="j", operation="get_trace", result="err"`, "*:1").
			lasting("traces are asked for that are not there", 14*minute, at("13m")).near("TraceStoreErrors")),
		slowly(one(counter, "alertmanager_notifications_failed_total", alertmanager+`, integration="slack", reason="other"`, "5m:0 +3 *:0").
			lasting("notifications fail", 18*minute, at("4m"), at("6m", "NotificationsFailing/critical"), at("14m", "NotificationsFailing/critical"), at("17m"))),
		slowly(one(counter, "alertmanager_notifications_failed_total", alertmanager+`, integration="slack", reason="other"`, "5m:0 +1 *:0").
			lasting("a notification fails and succeeds when it is tried again", 8*minute, at("7m")).near("NotificationsFailing")),
		slowly(one(gauge, "prometheus_notifications_alertmanagers_discovered", prometheus, "5m:1 *:0").
			lasting("Prometheus knows no Alertmanager", 8*minute, at("5m30s"), at("7m", "PrometheusNotConnected/critical"))),
		slowly(one(gauge, "prometheus_notifications_alertmanagers_discovered", prometheus, "*:1").
			lasting("Prometheus knows an Alertmanager", 8*minute, at("7m")).near("PrometheusNotConnected")),
		slowly(one(counter, "prometheus_notifications_errors_total", prometheus+`, alertmanager="http://m"`, "5m:0 3m:0.1 *:0").
			lasting("Alertmanager is away", 15*minute, at("5m30s"), at("7m30s", "PrometheusNotConnected/critical"), at("14m"))),
		slowly(one(counter, "prometheus_notifications_errors_total", prometheus+`, alertmanager="http://m"`, "5m:0 +1 *:0").
			lasting("one request to Alertmanager fails", 8*minute, at("7m")).near("PrometheusNotConnected")),
		slowly(one(counter, "prometheus_rule_evaluation_failures_total", prometheus+`, rule_group="x"`, "5m:0 +5 *:0").
			lasting("a rule fails", 18*minute, at("5m45s"), at("8m", "PrometheusRulesFailing/warning"), at("13m", "PrometheusRulesFailing/warning"), at("17m"))),
		slowly(one(counter, "prometheus_rule_group_iterations_missed_total", prometheus+`, rule_group="x"`, "5m:0 +6 *:0").
			lasting("evaluations are left out", 18*minute, at("5m45s"), at("8m", "PrometheusRulesFailing/warning"), at("13m", "PrometheusRulesFailing/warning"), at("17m"))),
		slowly(one(counter, "prometheus_rule_group_iterations_missed_total", prometheus+`, rule_group="x"`, "5m:0 +2 *:0").
			lasting("two evaluations are left out", 12*minute, at("8m")).near("PrometheusRulesFailing")),
		slowly(one(counter, "prometheus_rule_group_iterations_missed_total", prometheus+`, rule_group="x"`, "5m:0 +3 *:0").
			add(counter, "prometheus_rule_group_iterations_missed_total", prometheus+`, rule_group="y"`, "5m:0 +3 *:0").
			lasting("a pause leaves out three evaluations of each group", 12*minute, at("8m")).near("PrometheusRulesFailing")),
		slowly(one(gauge, "prometheus_config_last_reload_successful", prometheus, "5m:1 *:0").
			lasting("Prometheus cannot read its settings", 8*minute, at("5m30s"), at("7m", "PrometheusConfigBroken/warning"))),
		slowly(one(gauge, "alertmanager_config_last_reload_successful", alertmanager, "5m:1 *:0").
			lasting("Alertmanager cannot read its settings", 8*minute, at("5m30s"), at("7m", "PrometheusConfigBroken/warning"))),
		slowly(host("5m:1 20m:0.05 *:1", "5m:0 20m:0.95 *:0").
			lasting("the processors are busy", 36*minute, at("20m"), at("23m", "HostCPUSaturated/warning"), at("28m", "HostCPUSaturated/warning"), at("35m"))),
		slowly(host("*:0.2", "*:0.8").lasting("the processors are busy 80% of the time", 24*minute, at("23m")).near("HostCPUSaturated")),
		slowly(memory("5m:40 *:95", "5m:60 *:5").lasting("memory is used up", 12*minute, at("6m30s"), at("8m", "HostMemoryLow/warning"))),
		slowly(memory("*:80", "*:20").lasting("80% of the memory is used", 12*minute, at("8m")).near("HostMemoryLow")),
	}...)
}
