package mixin

import "strings"

// clientGroup is what clients of streams report: a socket that is open proves nothing.
func clientGroup() Group {
	const missing = "websocket_client_missing_messages_total"
	return Group{
		Name:     "client",
		Interval: "5s",
		About:    "What clients of instrument/client report of the streams that they consume.",
		Alerts: []Alert{{
			Name: "WebSocketClientDisconnected", Symptom: true, By: []string{"job, client"}, KeepFiringFor: "1m", Panel: "Client Connected",
			Levels:      []Level{{Severity: Warning, For: "1m", Expr: "max by (job, client) (max_over_time(websocket_client_connected[30s])) == 0"}},
			Summary:     "{client} has no connection",
			Description: "{client} of {job} has had no connection for a minute or longer. It keeps trying.",
			Meaning:     "A client cannot connect, so its data is getting old.",
			First:       "Check how its attempts end, and whether other clients can connect to the same server.",
		}, {
			Name: "WebSocketClientDataStale", Symptom: true, By: []string{"job, client, stream"}, KeepFiringFor: "1m", Panel: "Stale Streams",
			Levels:      []Level{{Severity: Warning, For: "1m", Expr: "max by (job, client, stream) (min_over_time(websocket_client_stale[30s])) == 1"}},
			Summary:     "{client} receives nothing new on {stream}",
			Description: "{client} of {job} has received nothing useful on {stream} for longer than it expects.",
			Meaning:     "A stream is connected, but nothing useful arrives on it.",
			First:       "Compare with the server's newest message. If it is old too, the source is at fault. If it is new, look at the path to this client.",
		}, {
			Name: "WebSocketSequenceGaps", Symptom: true, By: []string{"job, client, stream"}, KeepFiringFor: "5m", Panel: "Missing Messages",
			Thresholds:  []Threshold{{"gap_count", 5, "events missing within ten minutes below which they do not count"}},
			Levels:      []Level{{Severity: Warning, Expr: "sum by (job, client, stream) (" + grown(missing, "10m") + ") >= $gap_count"}},
			Summary:     "Events of {stream} are missing",
			Description: `{{ $value | printf "%.0f" }} events of {stream} did not reach {client} of {job} within ten minutes.`,
			Meaning:     "A client receives events whose sequence numbers have gaps.",
			First:       "Check whether all clients miss the same events. If so, the server never sent them.",
		}, {
			Name: "WebSocketReconciliationDrift", Symptom: true, By: []string{"job, client, stream"}, KeepFiringFor: "5m", Panel: "Drift",
			Thresholds:  []Threshold{{"drift_count", 3, "reconciliations within half an hour that find other state, below which they do not count"}},
			Levels:      []Level{{Severity: Warning, Expr: "sum by (job, client, stream) (" + grown("websocket_client_drift_total", "30m") + ") >= $drift_count"}},
			Summary:     "The state built from {stream} differs from the snapshot",
			Description: `{{ $value | printf "%.0f" }} reconciliations of {stream} by {client} of {job} found a state that differs from the one built from events.`,
			Meaning:     "The state that a client builds from events repeatedly differs from the snapshot.",
			First:       "Compare the events of one entity with its snapshot. Both gaps and wrong handling cause this.",
		}, {
			Name: "WebSocketReconciliationFailing", Symptom: true, By: []string{"job, client"}, KeepFiringFor: "5m", Panel: "Reconciliations",
			Thresholds: []Threshold{{"reconciliation_count", 3, "failed reconciliations within ten minutes below which they do not count"}},
			Levels: []Level{{Severity: Warning, Expr: `
				sum by (job, client) (` + grown(`websocket_client_reconciliations_total{result=~"error|overflow|behind"}`, "10m") + `) >= $reconciliation_count
				and
				sum by (job, client) (` + grown(`websocket_client_reconciliations_total{result=~"error|overflow|behind"}`, "10m") + `)
				> sum by (job, client) (` + grown(`websocket_client_reconciliations_total{result="ok"}`, "10m") + `)`}},
			Summary:     "{client} cannot reconcile",
			Description: `{{ $value | printf "%.0f" }} attempts of {client} of {job} to reconcile with a snapshot failed within ten minutes.`,
			Meaning:     "A client gets no snapshot that it can continue from. Its streams are not live.",
			First:       "Read the error in its log record reconciliation failed.",
		}},
	}
}

// probeGroup is what a user would feel, if there was one: "sockscope probe" is a client that is always there.
func probeGroup() Group {
	const (
		p90   = "job_target:websocket_probe_delivery_seconds:p90_5m"
		count = "job_target:websocket_probe_delivery_seconds:count_increase5m"
	)
	return Group{
		Name:     "probe",
		Interval: "5s",
		About:    "What a user would feel, if there was one. Several probes of one target are taken together. A probe that is down itself is seen by RealtimeTargetDown.",
		Records: []Record{
			{Name: p90, Expr: Quantile("0.90", "job, target", "websocket_probe_duration_seconds", `phase="delivery"`, "5m")},
			{Name: count, Expr: Observations("job, target", "websocket_probe_duration_seconds", `phase="delivery"`, "5m")},
		},
		Alerts: []Alert{{
			Name: "WebSocketProbeFailing", Symptom: true, By: []string{"job, target"}, KeepFiringFor: "2m", Panel: "Probes That Succeed Now",
			Thresholds: []Threshold{{"probe_success", 0.5, "probes that succeed within a minute"}},
			Levels: []Level{{Severity: Critical, For: "15s", Expr: `
				avg by (job, target) (avg_over_time(websocket_probe_success[1m])) < $probe_success`}},
			Summary:     "Most probes of {target} fail",
			Description: "Only {{ $value | humanizePercentage }} of the probes of {target} by {job} succeeded within a minute. The others could not connect, got no answer, or their message was not delivered in time.",
			Meaning:     "More probes fail than succeed. A single failed probe does not count as an outage, and neither does a restart.",
			First:       "Find out which phase fails, then try it yourself.",
		}, {
			Name: "WebSocketCertificateExpiring", By: []string{"job, target"}, Panel: "Certificate Expires In",
			Thresholds: []Threshold{
				{"certificate_days", 14, "days until a certificate expires, for a warning"},
				{"certificate_days_critical", 3, "the same, for a page"},
			},
			Levels: []Level{
				{Severity: Critical, For: "1m", Expr: "min by (job, target) (websocket_probe_certificate_expiry_timestamp_seconds - time()) / 86400 < $certificate_days_critical"},
				{Severity: Warning, For: "5m", Expr: "min by (job, target) (websocket_probe_certificate_expiry_timestamp_seconds - time()) / 86400 < $certificate_days"},
			},
			Summary:     "A certificate of {target} expires soon",
			Description: `A certificate that {target} presents to {job} expires in {{ $value | printf "%.1f" }} days. After that nobody can connect.`,
			Meaning:     "The certificate of an endpoint, or one in its chain, is about to expire and has not been replaced.",
			First:       "Compare the file with the certificate that the endpoint presents: it may be renewed, but not loaded.",
		}, {
			Name: "WebSocketProbeSlow", Symptom: true, By: []string{"job, target"}, KeepFiringFor: "5m", Panel: "Probe Duration by Phase (p90)",
			Thresholds: []Threshold{
				{"probe_seconds", 1, "seconds that a delivery may take, end to end"},
				{"probe_count", 20, "deliveries within five minutes below which they do not count"},
			},
			Levels: []Level{{Severity: Warning, For: "5m", Expr: `
				` + p90 + ` > $probe_seconds
				and
				` + count + ` >= $probe_count`}},
			Summary:     "Messages through {target} arrive late",
			Description: "One in ten messages that {job} sends through {target} takes {{ $value | humanizeDuration }} or longer to be delivered. It should take less than a second.",
			Meaning:     "Delivery takes too long, end to end. If too few probes succeed, WebSocketProbeFailing fires instead.",
			First:       "Compare with the service's own latency: handling, fan-out, send queues. If all are low, it is the network.",
		}},
	}
}

// processGroup is about instances of services and of the stack.
func processGroup(transports []string) Group {
	active := transports[0] + "_active_connections"
	if len(transports) > 1 {
		active = `{__name__=~"(` + strings.Join(transports, "|") + `)_active_connections"}`
	}
	const (
		conns   = "job_instance:realtime_connections:sum"
		surplus = "job_instance:go_goroutines_beyond_connections:count"
	)
	return Group{
		Name:     "process",
		Interval: "5s",
		About:    "Instances of services, and parts of the stack: whether they run, and what they use up.",
		Records: []Record{
			{Name: conns, Expr: "sum by (job, instance) (" + active + ")"},
			{Name: surplus, Expr: "sum by (job, instance) (go_goroutines) - 3 * " + conns},
		},
		Alerts: []Alert{{
			// A target that has never been up is starting, for a quarter of an hour.
			Name: "RealtimeTargetDown", By: []string{"job, instance"}, Panel: "Targets down",
			Levels: []Level{
				{Severity: Critical, For: "1m", Expr: `
				max by (job, instance) (up{job="otel-collector"}) == 0
				and on (job, instance)
				(max_over_time(up[20m]) == 1 or up offset 15m == 0)
				unless on (job)
				max by (job) (up) == 1`},
				{Severity: Warning, For: "1m", Expr: `
				max by (job, instance) (up) == 0
				and on (job, instance)
				(max_over_time(up[20m]) == 1 or up offset 15m == 0)`},
			},
			Summary:     "An instance of {job} cannot be scraped",
			Description: "{instance} of {job} does not answer on its metrics address: it is down, overloaded or out of reach.",
			Meaning:     "An instance no longer answers, or an expected one has not come up for 15 minutes. It is critical if no Collector is left: without one there is no data about any service.",
			First:       "Check whether its process runs, and read its last log records.",
		}, {
			Name: "RealtimeTargetMissing", Symptom: true, By: []string{"job"}, Panel: "Targets down",
			// The Collector's own absence takes all with it and is another alert's.
			Levels: []Level{{Severity: Critical, For: "15s", Expr: `
				(
				  sum by (job) (max_over_time(` + conns + `[20m]))
				  and on (job)
				  max by (job) (max_over_time(up[20m])) == 1
				  unless on (job)
				  max by (job) (up) == 1
				)
				unless on ()
				max(up{job="otel-collector"}) == 0`}},
			Summary:     "No instance of {job} is up",
			Description: `No instance of {job} answers any more. The service had {{ $value | printf "%.0f" }} connections.`,
			Meaning:     "All instances of a service are down, or are no longer among the scrape targets.",
			First:       "Check whether the service runs at all, then what changed in service discovery.",
		}, {
			Name: "RealtimeTargetRestarting", By: []string{"job, instance"}, KeepFiringFor: "10m", Panel: "Targets down",
			Thresholds:  []Threshold{{"restart_count", 3, "starts within a quarter of an hour below which they do not count"}},
			Levels:      []Level{{Severity: Warning, Expr: "max by (job, instance) (changes(process_start_time_seconds[15m])) >= $restart_count"}},
			Summary:     "An instance of {job} restarts again and again",
			Description: `{instance} of {job} has started {{ $value | printf "%.0f" }} times within 15 minutes.`,
			Meaning:     "A process keeps ending and starting again. Its connections break each time.",
			First:       "Read the last records before it ends: a panic, no memory, a failed health check.",
		}, {
			Name: "FileDescriptorsNearlyExhausted", By: []string{"job, instance"}, KeepFiringFor: "2m", Panel: "File Descriptors",
			Thresholds: []Threshold{
				{"fd_share", 0.85, "open file descriptors, of those allowed, for a warning"},
				{"fd_share_critical", 0.95, "the same, for a page"},
			},
			Levels: []Level{
				{Severity: Critical, For: "30s", Expr: "max by (job, instance) (process_open_fds / process_max_fds) > $fd_share_critical"},
				{Severity: Warning, For: "5m", Expr: "max by (job, instance) (process_open_fds / process_max_fds) > $fd_share"},
			},
			Summary:     "An instance of {job} is running out of file descriptors",
			Description: "{instance} of {job} uses {{ $value | humanizePercentage }} of its file descriptors. Each connection needs one.",
			Meaning:     "An instance has few file descriptors left. Without one it can accept no connection and open no file.",
			First:       "Compare with the number of connections. If there are far fewer connections than descriptors, something leaks. Otherwise raise the limit.",
		}, {
			Name: "WebSocketGoroutineLeak", By: []string{"job, instance"}, KeepFiringFor: "5m", Panel: "Goroutines Beyond Connections",
			Thresholds: []Threshold{
				{"goroutine_count", 500, "goroutines beyond three for each connection"},
				{"goroutine_growth", 300, "growth of that number within 15 minutes"},
			},
			Levels: []Level{{Severity: Warning, For: "5m", Expr: `
				` + surplus + ` > $goroutine_count
				and
				` + surplus + ` - ` + surplus + ` offset 15m > $goroutine_growth`}},
			Summary:     "An instance of {job} leaks goroutines",
			Description: `{instance} of {job} has {{ $value | printf "%.0f" }} goroutines more than its connections need, and the number grows.`,
			Meaning:     "Goroutines start and do not end, and the number of connections does not explain it.",
			First:       "Take two goroutine profiles a minute apart and compare them.",
		}, {
			Name: "WebSocketMemoryPerConnectionHigh", By: []string{"job, instance"}, KeepFiringFor: "5m", Panel: "Heap per Connection",
			Thresholds: []Threshold{
				{"memory_bytes", 262144, "bytes of the heap for each connection"},
				{"memory_connections", 100, "connections below which it does not count"},
			},
			// The least of a quarter of an hour: the heap grows and falls with each collection.
			Levels: []Level{{Severity: Warning, For: "5m", Expr: `
				sum by (job, instance) (min_over_time(go_memstats_heap_alloc_bytes[15m])) / ` + conns + ` > $memory_bytes
				and
				` + conns + ` >= $memory_connections`}},
			Summary:     "Connections of {job} take much memory",
			Description: "{instance} of {job} has {{ $value | humanize1024 }}B of heap for each of its connections.",
			Meaning:     "Each connection holds more memory than it needs, in buffers, compression windows or queues.",
			First:       "Take a heap profile.",
		}},
	}
}

// hostGroup is about the machine that the Collector runs on.
func hostGroup() Group {
	return Group{
		Name:     "host",
		Interval: "15s",
		About:    "The machine that the Collector runs on.",
		Alerts: []Alert{{
			Name: "HostCPUSaturated", By: []string{"instance"}, KeepFiringFor: "5m", Panel: "CPU of the Machine",
			Thresholds: []Threshold{{"cpu_share", 0.9, "share of the time in which processors are busy"}},
			Levels: []Level{{Severity: Warning, For: "15m", Expr: `
				1 - avg by (instance) (
				  sum by (instance, cpu) (rate(system_cpu_time_seconds_total{state=~"idle|wait"}[2m]))
				) > $cpu_share`}},
			Summary:     "The processors of {instance} are busy",
			Description: "The processors of {instance} are busy {{ $value | humanizePercentage }} of the time.",
			Meaning:     "The machine has no CPU time left, so everything on it becomes slow.",
			First:       "Find the process that uses the CPU, then take load off the machine.",
		}, {
			Name: "HostMemoryLow", By: []string{"instance"}, KeepFiringFor: "5m", Panel: "Memory of the Machine",
			Thresholds: []Threshold{{"memory_share", 0.92, "share of the memory that is used, caches left out"}},
			Levels: []Level{{Severity: Warning, For: "2m", Expr: `
				sum by (instance) (system_memory_usage_bytes{state="used"})
				/ sum by (instance) (system_memory_usage_bytes{state=~"used|free|buffered|cached"}) > $memory_share`}},
			Summary:     "{instance} is running out of memory",
			Description: "{{ $value | humanizePercentage }} of the memory of {instance} is used.",
			Meaning:     "When the memory is used up, the kernel kills processes.",
			First:       "Find the process that has grown.",
		}},
	}
}

// logGroup is about conditions that only log records show. The Collector counts these, and its metrics name the service
// only. The log store has the record and the client.
func logGroup() Group {
	// A series begins with the first record that is counted, and ends an hour after the last.
	const panics = "sum by (job) (sockscope_log_panics_total unless sockscope_log_panics_total offset 10m or increase(sockscope_log_panics_total[10m]))"
	return Group{
		Name:     "logs",
		Interval: "15s",
		About:    "What only log records tell, counted by the Collector.",
		Alerts: []Alert{{
			Name: "LogPanics", By: []string{"job"}, KeepFiringFor: "5m", Panel: "Panics in Log Records",
			Levels:      []Level{{Severity: Warning, Expr: panics + " > 0"}},
			Summary:     "{job} panics",
			Description: `{{ $value | printf "%.0f" }} log records of {job} within ten minutes report a panic or an uncaught exception.`,
			Meaning:     "A program, in any language, has panicked or has ended with an uncaught exception.",
			First:       "Read the stack, which is in the record or in those after it.",
		}, {
			Name: "LogErrorRepeating", By: []string{"job"}, KeepFiringFor: "5m", Panel: "Repetitions of an Error",
			Thresholds:  []Threshold{{"repetition_count", 1000, "times that an error is logged without a pause of a minute"}},
			Levels:      []Level{{Severity: Warning, Expr: "max by (job) (max_over_time(sockscope_log_repetitions[1m])) >= $repetition_count"}},
			Summary:     "{job} logs the same error again and again",
			Description: `{job} has logged the same error {{ $value | printf "%.0f" }} times, without a pause of a minute.`,
			Meaning:     "The same error is logged again and again. Numbers and ids in it may differ.",
			First:       "Find it among the newest records with the level error.",
		}, {
			Name: "LogClientReconnecting", By: []string{"job"}, KeepFiringFor: "5m", Panel: "Connections of the Busiest Client",
			Thresholds:  []Threshold{{"reconnection_count", 50, "times that a client connects without a pause of a minute"}},
			Levels:      []Level{{Severity: Info, Expr: "max by (job) (max_over_time(sockscope_log_client_connections[1m])) >= $reconnection_count"}},
			Summary:     "A client of {job} connects again and again",
			Description: `One client of {job} has connected {{ $value | printf "%.0f" }} times, without a pause of a minute.`,
			Meaning:     "One client does not stay connected. Log records about connections identify it by user, client or address.",
			First:       "Count the records about connections by user, then check how the connections of the top user end.",
		}},
	}
}

// pipelineGroup is whether the way from a service to a person works.
func pipelineGroup() Group {
	const (
		logStoreFailed = "job_instance:log_store_requests_failed:increase5m"
		spansLost      = "job_instance:sockscope_spans_lost:increase5m"
	)
	return Group{
		Name:     "pipeline",
		Interval: "15s",
		About:    "Whether the way from a service to a person works at all.",
		Records: []Record{
			{Name: logStoreFailed, Expr: `
				sum by (job, instance) (increase(loki_request_duration_seconds_count{status_code=~"5..", route!="ready"}[5m]))
				or
				sum by (job, instance) (increase(vl_http_errors_total[5m]))`},
			{Name: spansLost, Expr: `sum by (job, instance) (increase(sockscope_spans_total{result=~"dropped|failed"}[5m]))`},
		},
		Alerts: []Alert{{
			Name: "TelemetryRefused", By: []string{"job, reason"}, Panel: "Telemetry Refused or Lost",
			Levels: []Level{{Severity: Warning, For: "5m", Expr: "sum by (job, reason) (\n" +
				Rates("10m", "sockscope_refused_data_points_total", "sockscope_refused_log_records_total") + "\n) > 0"}},
			Summary:     "Some telemetry of {job} is refused",
			Description: "{job} sends metrics or log records that cannot be stored ({reason}). The Collector drops these and stores the rest.",
			Meaning:     "A service sends telemetry that the stores would refuse. The Collector drops it and counts it by sender.",
			First:       "The label reason says what is wrong, such as a clock or a name.",
		}, {
			// Where one process follows another, the start goes forward only.
			Name: "TelemetryInstancesMixed", By: []string{"job, instance"}, Panel: "Age of Processes",
			Thresholds:  []Threshold{{"starts_back", 3, "times that a counter's start goes back within 15 minutes"}},
			Levels:      []Level{{Severity: Warning, Expr: "max by (job, instance) (resets(sockscope_sender_start_time_seconds[15m])) > $starts_back"}},
			Summary:     "Several processes of {job} share one instance id",
			Description: "Several processes of {job} send metrics as the instance {instance}, so each of its series mixes their values.",
			Meaning:     "Several processes of one service send metrics under one instance id, so their values are mixed.",
			First:       "Give each process a service.instance.id.",
		}, {
			Name: "TelemetryLost", By: []string{"exporter, service"}, Panel: "Telemetry Refused or Lost",
			Levels: []Level{{Severity: Warning, Expr: "sum by (exporter, service) (\n" +
				Rates("10m", append(Signals("exporter_send_failed", ""), "sockscope_store_refused_items_total")...) + "\n) > 0"}},
			Summary:     "Telemetry is lost because a store refuses it",
			Description: "The store behind {exporter} refuses data{{ with $labels.service }} of {{ . }}{{ end }} for good, so the Collector drops it.",
			Meaning:     "A store refuses data that the Collector has accepted.",
			First:       "Read the store's answer in the Collector's log.",
		}, {
			Name: "TelemetryQueueFilling", By: []string{"exporter, data_type"}, Panel: "Telemetry Waiting",
			Thresholds:  []Threshold{{"queue_share", 0.5, "how full a queue of the Collector is"}},
			Levels:      []Level{{Severity: Warning, For: "2m", Expr: "max by (exporter, data_type) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity) > $queue_share"}},
			Summary:     "Telemetry waits for a store",
			Description: "The queue of {exporter} for {data_type} is more than half full. When it is full, the Collector refuses new data.",
			Meaning:     "A store is down or too slow, so data waits in the Collector's queue.",
			First:       "Check whether the store runs, and whether its disk has room.",
		}, {
			Name: "TelemetryCollectorRefusing", By: []string{"receiver"}, Panel: "Telemetry Refused or Lost",
			Levels: []Level{{Severity: Warning, For: "1m", Expr: "sum by (receiver) (\n" +
				Rates("5m", Signals("receiver_refused", "")...) + "\n) > 0"}},
			Summary:     "The Collector refuses telemetry",
			Description: "The Collector refuses data from {receiver} because its memory or a queue is full. Senders keep what they can and lose the rest.",
			Meaning:     "More telemetry arrives than the Collector can take.",
			First:       "Check the queues: a store that is down fills them. If none is full, find the service that sends so much.",
		}, {
			Name: "TelemetryLogsDropped", By: []string{"job, instance"}, KeepFiringFor: "5m", Panel: "Telemetry Refused or Lost",
			Levels: []Level{{Severity: Warning, Expr: `
				sum by (job, instance) (` + grown(`sockscope_log_records_total{result=~"dropped|failed"}`, "5m") + `) > 0`}},
			Summary:     "Log records of {job} are lost",
			Description: `{instance} of {job} could not deliver {{ $value | printf "%.0f" }} log records within five minutes. They are only on its standard error.`,
			Meaning:     "A service logs more than it can deliver, or cannot reach the Collector.",
			First:       "Check whether the Collector is up, then look for a record that repeats.",
		}, {
			Name: "TelemetrySpansLost", By: []string{"job, instance"}, KeepFiringFor: "5m", Panel: "Telemetry Refused or Lost",
			Thresholds: []Threshold{
				{"span_share", 0.05, "spans that are lost before they are delivered"},
				{"span_count", 20, "lost spans within five minutes below which they do not count"},
			},
			Levels: []Level{{Severity: Warning, For: "1m", Expr: `
				` + spansLost + ` >= $span_count
				and
				` + spansLost + ` > $span_share * sum by (job, instance) (increase(sockscope_spans_total[5m]))`}},
			Summary:     "Spans of {job} are lost",
			Description: `{{ $value | printf "%.0f" }} spans of {instance} of {job} were not delivered within five minutes, so traces are incomplete.`,
			Meaning:     "A service cannot reach the Collector, or makes more spans than it can send.",
			First:       "Check whether the Collector is up and what it refuses, then the share of messages that is sampled.",
		}, {
			Name: "TelemetryLabelOverflow", By: []string{"job, label"}, Panel: "Telemetry Refused or Lost",
			Levels:      []Level{{Severity: Info, Expr: "sum by (job, label) (" + grown("sockscope_label_overflow_total", "1h") + ") > 0"}},
			Summary:     "Values of a label of {job} are counted as other",
			Description: `{{ $value | printf "%.0f" }} values of {label} of {job} within an hour were not in its closed set and were counted as other.`,
			Meaning:     "Code uses a label value that is not registered.",
			First:       "Register the message type or stream, or correct the code that sets the value.",
		}, {
			// A trace that is not there counts as an error of get_trace.
			Name: "TraceStoreErrors", By: []string{"instance"}, KeepFiringFor: "5m", Panel: "Telemetry Refused or Lost",
			Thresholds: []Threshold{{"store_share", 0.05, "requests to a store that fail"}},
			Levels: []Level{{Severity: Warning, For: "2m", Expr: `
				sum by (instance) (rate(jaeger_storage_requests_total{operation!="get_trace", result="err"}[5m]))
				/ sum by (instance) (rate(jaeger_storage_requests_total{operation!="get_trace"}[5m])) > $store_share`}},
			Summary:     "The trace store fails",
			Description: "{{ $value | humanizePercentage }} of Jaeger's requests to its storage fail.",
			Meaning:     "Jaeger cannot store traces, or cannot read them.",
			First:       "Read Jaeger's log, and check its disk.",
		}, {
			// Loki counts requests by their status. VictoriaLogs counts failed requests to store records, says whether
			// its disk is full, and ends when it can't write.
			Name: "LogStoreErrors", By: []string{"job, instance"}, KeepFiringFor: "5m", Panel: "Telemetry Refused or Lost",
			Thresholds: []Threshold{
				{"log_store_share", 0.05, "requests to a log store that fail"},
				{"log_store_count", 5, "failed requests within five minutes below which they do not count"},
			},
			Levels: []Level{{Severity: Warning, For: "2m", Expr: `
				` + logStoreFailed + ` >= $log_store_count
				and
				` + logStoreFailed + ` > $log_store_share * (
				  sum by (job, instance) (increase(loki_request_duration_seconds_count{route!="ready"}[5m]))
				  or
				  sum by (job, instance) (increase(vl_http_requests_total{path=~"/insert/.*"}[5m]))
				)
				or
				max by (job, instance) (vl_storage_is_read_only) == 1
				or
				sum by (job, instance) (increase(loki_ingester_wal_disk_full_failures_total[5m])) > 0`}},
			Summary:     "The log store {job} fails",
			Description: "{instance} of {job} fails to store or find log records, or its disk is full.",
			Meaning:     "The log store cannot store records, or cannot read them. The Collector keeps new records in its queue while it can.",
			First:       "Read the log store's own log, and check its disk.",
		}, {
			Name: "NotificationsFailing", By: []string{"integration"}, KeepFiringFor: "5m", Panel: "Failed Notifications by Channel",
			Levels: []Level{{Severity: Critical, Expr: `
				sum by (integration) (` + grown("alertmanager_notifications_failed_total", "5m") + `) >= 2`}},
			Summary:     "Notifications by {integration} fail",
			Description: `{{ $value | printf "%.0f" }} notifications by {integration} failed within five minutes.`,
			Meaning:     "Alertmanager cannot deliver notifications, so nobody hears of alerts.",
			First:       "Read the service's answer in Alertmanager's log. Tell people in another way.",
		}, {
			Name: "PrometheusNotConnected", By: []string{"job, instance"}, Panel: "Way to Alertmanager",
			Levels: []Level{{Severity: Critical, For: "1m", Expr: `
				max by (job, instance) (prometheus_notifications_alertmanagers_discovered) == 0
				or
				max by (job, instance) (increase(prometheus_notifications_errors_total[2m])) >= 2`}},
			Summary:     "Prometheus cannot reach Alertmanager",
			Description: "{instance} of {job} knows no Alertmanager, or cannot send alerts to it.",
			Meaning:     "Prometheus fires alerts, but they reach nobody.",
			First:       "Check whether Alertmanager runs, and the address in Prometheus' settings.",
		}, {
			Name: "PrometheusRulesFailing", By: []string{"job, instance"}, KeepFiringFor: "5m", Panel: "Rules That Fail",
			Levels: []Level{{Severity: Warning, For: "1m", Expr: `
				sum by (job, instance) (increase(prometheus_rule_evaluation_failures_total[5m])) > 0
				or
				max by (job, instance) (increase(prometheus_rule_group_iterations_missed_total[5m])) > 3`}},
			Summary:     "Rules are not evaluated",
			Description: `{instance} of {job} failed to evaluate rules, or skipped evaluations ({{ $value | printf "%.0f" }} within five minutes).`,
			Meaning:     "Prometheus does not evaluate some rules, so their alerts cannot fire.",
			First:       "Open Prometheus' page of rules. It shows the error of each rule.",
		}, {
			Name: "PrometheusConfigBroken", By: []string{"job, instance"}, Panel: "Settings in Use",
			Levels: []Level{{Severity: Warning, For: "1m", Expr: `
				max by (job, instance) (prometheus_config_last_reload_successful) == 0
				or
				max by (job, instance) (alertmanager_config_last_reload_successful) == 0`}},
			Summary:     "New settings of {job} are not in use",
			Description: "{instance} of {job} could not load its new settings and uses the old ones. It cannot start with the new ones.",
			Meaning:     "A change to the settings has a mistake.",
			First:       "Run promtool check config or amtool check-config, which name the mistake.",
		}, {
			Name: "Watchdog", By: []string{}, Panel: "Heartbeat",
			Levels:      []Level{{Severity: None, Expr: "vector(1)"}},
			Summary:     "Alerting works",
			Description: "This alert always fires. When it stops arriving, Prometheus or Alertmanager no longer reaches anybody.",
			Meaning:     "It always fires. Something is wrong when it stops.",
			First:       "If it has stopped, check whether Prometheus evaluates rules, whether it reaches Alertmanager, and whether Alertmanager reaches its receivers.",
		}},
	}
}
