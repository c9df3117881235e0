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
			Description: "{client} of {job} has been without a connection for a minute or longer, and goes on trying.",
			Meaning:     "A client cannot connect. What it knows is getting old.",
			First:       "Look at how its attempts end, and whether others can connect to the same server.",
		}, {
			Name: "WebSocketClientDataStale", Symptom: true, By: []string{"job, client, stream"}, KeepFiringFor: "1m", Panel: "Stale Streams",
			Levels:      []Level{{Severity: Warning, For: "1m", Expr: "max by (job, client, stream) (min_over_time(websocket_client_stale[30s])) == 1"}},
			Summary:     "{stream} has nothing new for {client}",
			Description: "{client} of {job} has received nothing useful of {stream} for longer than it expects.",
			Meaning:     "A stream that is connected has fallen silent, or says nothing useful.",
			First:       "Compare with the server's newest message: if that is old too, it is the source; if not, the way to this client.",
		}, {
			Name: "WebSocketSequenceGaps", Symptom: true, By: []string{"job, client, stream"}, KeepFiringFor: "5m", Panel: "Missing Messages",
			Thresholds:  []Threshold{{"gap_count", 5, "events missing within ten minutes below which they do not count"}},
			Levels:      []Level{{Severity: Warning, Expr: "sum by (job, client, stream) (" + grown(missing, "10m") + ") >= $gap_count"}},
			Summary:     "Events of {stream} are missing",
			Description: `{{ $value | printf "%.0f" }} events of {stream} did not reach {client} of {job} within ten minutes.`,
			Meaning:     "The sequence of events that a client receives has gaps.",
			First:       "Look whether all clients miss the same ones: then they were never sent.",
		}, {
			Name: "WebSocketReconciliationDrift", Symptom: true, By: []string{"job, client, stream"}, KeepFiringFor: "5m", Panel: "Drift",
			Thresholds:  []Threshold{{"drift_count", 3, "reconciliations within half an hour that find other state, below which they do not count"}},
			Levels:      []Level{{Severity: Warning, Expr: "sum by (job, client, stream) (" + grown("websocket_client_drift_total", "30m") + ") >= $drift_count"}},
			Summary:     "{stream} does not lead to the state of the snapshot",
			Description: `{{ $value | printf "%.0f" }} reconciliations of {stream} by {client} of {job} found other state than the events had led to.`,
			Meaning:     "What a client makes of the events is again and again not what the snapshot says.",
			First:       "Compare one entity: its events, and its snapshot. Gaps and wrong handling both end here.",
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
			Meaning:     "A client does not get a snapshot that it can go on from. Its streams are not live.",
			First:       "Look at its log record reconciliation failed, which has the error.",
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
			Description: "Only {{ $value | humanizePercentage }} of the probes of {target} by {job} succeeded within a minute. The others could not connect, or got no answer, or what they said was not delivered in time.",
			Meaning:     "More probes fail than succeed. One that fails now and then is no outage, and neither is a restart.",
			First:       "Look at which phase fails, then try it yourself.",
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
			Description: `A certificate that {target} presents to {job} expires in {{ $value | printf "%.1f" }} days. From then on nobody can connect.`,
			Meaning:     "The certificate of an endpoint, or one that it is signed by, is about to expire, and has not been renewed.",
			First:       "Look whether it was renewed and only not loaded: compare the file with what the endpoint presents.",
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
			Description: "One in ten messages that {job} sends through {target} takes {{ $value | humanizeDuration }} or longer until it is delivered. It should be less than a second.",
			Meaning:     "Deliveries take long, end to end. With fewer successes than that, the page is the one about failures.",
			First:       "Compare with the latency of the service: handling, fan-out, send queues, or the network.",
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
			Meaning:     "An instance that was there does not answer, or one that is to be there has not come for a quarter of an hour. The last Collector is a page: without it nothing is known of any service.",
			First:       "Look whether its process runs, and read the last thing that it logged.",
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
			Summary:     "No instance of {job} is there",
			Description: `No instance of {job} answers any more. It had {{ $value | printf "%.0f" }} connections.`,
			Meaning:     "All instances of a service are down, or have vanished from what is scraped.",
			First:       "Look whether the service runs at all, then at what changed where instances are discovered.",
		}, {
			Name: "RealtimeTargetRestarting", By: []string{"job, instance"}, KeepFiringFor: "10m", Panel: "Targets down",
			Thresholds:  []Threshold{{"restart_count", 3, "starts within a quarter of an hour below which they do not count"}},
			Levels:      []Level{{Severity: Warning, Expr: "max by (job, instance) (changes(process_start_time_seconds[15m])) >= $restart_count"}},
			Summary:     "An instance of {job} restarts again and again",
			Description: `{instance} of {job} has started {{ $value | printf "%.0f" }} times within a quarter of an hour.`,
			Meaning:     "A process ends and is started again, over and over. Its connections break each time.",
			First:       "Read what it logs last before it ends: a panic, no memory, a failed check.",
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
			Summary:     "An instance of {job} has hardly any file descriptors left",
			Description: "{instance} of {job} has {{ $value | humanizePercentage }} of the file descriptors open that it may have. Each connection takes one.",
			Meaning:     "When they are used up, the instance accepts no connection and opens no file.",
			First:       "Compare with the number of connections: if there are far fewer, something leaks; if not, raise the limit.",
		}, {
			Name: "WebSocketGoroutineLeak", By: []string{"job, instance"}, KeepFiringFor: "5m", Panel: "Goroutines Beyond Connections",
			Thresholds: []Threshold{
				{"goroutine_count", 500, "goroutines beyond three for each connection"},
				{"goroutine_growth", 300, "by how much these grow within a quarter of an hour"},
			},
			Levels: []Level{{Severity: Warning, For: "5m", Expr: `
				` + surplus + ` > $goroutine_count
				and
				` + surplus + ` - ` + surplus + ` offset 15m > $goroutine_growth`}},
			Summary:     "An instance of {job} leaks goroutines",
			Description: `{instance} of {job} has {{ $value | printf "%.0f" }} goroutines more than its connections need, and more and more of them.`,
			Meaning:     "Goroutines begin and do not end, without connections to explain them.",
			First:       "Take two goroutine profiles a minute apart and compare.",
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
			Meaning:     "Each connection holds more memory than it needs: buffers, windows of compression, queues.",
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
			Meaning:     "The machine has no time left: everything on it gets slow.",
			First:       "Look at which process takes it, then take load away from the machine.",
		}, {
			Name: "HostMemoryLow", By: []string{"instance"}, KeepFiringFor: "5m", Panel: "Memory of the Machine",
			Thresholds: []Threshold{{"memory_share", 0.92, "share of the memory that is used, caches left out"}},
			Levels: []Level{{Severity: Warning, For: "2m", Expr: `
				sum by (instance) (system_memory_usage_bytes{state="used"})
				/ sum by (instance) (system_memory_usage_bytes{state=~"used|free|buffered|cached"}) > $memory_share`}},
			Summary:     "{instance} has hardly any memory left",
			Description: "{{ $value | humanizePercentage }} of the memory of {instance} is used.",
			Meaning:     "When memory is used up, the system ends processes.",
			First:       "Look at which process has grown.",
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
			Description: `{{ $value | printf "%.0f" }} log records of {job} within ten minutes tell of a panic, or of an exception that nobody caught.`,
			Meaning:     "A program has panicked, or ended by an exception, in whatever language.",
			First:       "Read the record, which has the stack, or those after it.",
		}, {
			Name: "LogErrorRepeating", By: []string{"job"}, KeepFiringFor: "5m", Panel: "Repetitions of an Error",
			Thresholds:  []Threshold{{"repetition_count", 1000, "times that an error is logged without a pause of a minute"}},
			Levels:      []Level{{Severity: Warning, Expr: "max by (job) (max_over_time(sockscope_log_repetitions[1m])) >= $repetition_count"}},
			Summary:     "{job} logs the same error again and again",
			Description: `{job} has logged the same error {{ $value | printf "%.0f" }} times, without a pause of a minute.`,
			Meaning:     "The same error, but for numbers and ids in it, is logged over and over.",
			First:       "Find it among the newest records of the level error.",
		}, {
			Name: "LogClientReconnecting", By: []string{"job"}, KeepFiringFor: "5m", Panel: "Connections of the Busiest Client",
			Thresholds:  []Threshold{{"reconnection_count", 50, "times that a client connects without a pause of a minute"}},
			Levels:      []Level{{Severity: Info, Expr: "max by (job) (max_over_time(sockscope_log_client_connections[1m])) >= $reconnection_count"}},
			Summary:     "A client of {job} connects again and again",
			Description: `One client of {job} has connected {{ $value | printf "%.0f" }} times, without a pause of a minute.`,
			Meaning:     "One client, by the user, client or address in log records about connections, does not stay connected.",
			First:       "Count records about connections by user, then look at how those of the first one end.",
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
			Levels: []Level{{Severity: Warning, For: "5m", Expr: `
				sum by (job, reason) (
				    rate(sockscope_refused_data_points_total[10m])
				  or
				    rate(sockscope_refused_log_records_total[10m])
				) > 0`}},
			Summary:     "Some of what {job} reports of itself is refused",
			Description: "{job} sends metrics or log records that cannot be stored ({reason}). They are left out; everything else is stored.",
			Meaning:     "A service sends what the stores would refuse. The Collector leaves it out and counts it by sender.",
			First:       "The reason says what is wrong with it, as a clock or a name.",
		}, {
			// Where one process follows another, the start goes forward only.
			Name: "TelemetryInstancesMixed", By: []string{"job, instance"}, Panel: "Age of Processes",
			Thresholds:  []Threshold{{"starts_back", 3, "times that a counter's start goes back within 15 minutes"}},
			Levels:      []Level{{Severity: Warning, Expr: "max by (job, instance) (resets(sockscope_sender_start_time_seconds[15m])) > $starts_back"}},
			Summary:     "Several processes of {job} are one instance",
			Description: "Several processes of {job} send metrics as the instance {instance}, so that each of its series has values of all of them.",
			Meaning:     "Several processes of one service send metrics as one instance, and their values are mixed.",
			First:       "Give each process a service.instance.id.",
		}, {
			Name: "TelemetryLost", By: []string{"exporter, service"}, Panel: "Telemetry Refused or Lost",
			Levels: []Level{{Severity: Warning, Expr: `
				sum by (exporter, service) (
				    rate(sockscope_store_refused_items_total[10m])
				  or
				    rate({__name__=~"otelcol_exporter_send_failed_(metric_points|spans|log_records)(_total)?"}[10m])
				) > 0`}},
			Summary:     "A store refuses telemetry, which is lost",
			Description: "What the Collector sends by {exporter}{{ with $labels.service }} for {{ . }}{{ end }} is refused for good and given up.",
			Meaning:     "A store refuses what the Collector had accepted.",
			First:       "Read the Collector's log: it has the store's answer.",
		}, {
			Name: "TelemetryQueueFilling", By: []string{"exporter, data_type"}, Panel: "Telemetry Waiting",
			Thresholds:  []Threshold{{"queue_share", 0.5, "how full a queue of the Collector is"}},
			Levels:      []Level{{Severity: Warning, For: "2m", Expr: "max by (exporter, data_type) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity) > $queue_share"}},
			Summary:     "Telemetry waits for a store",
			Description: "The queue of {exporter} for {data_type} is more than half full. When it is full, the Collector refuses what is sent to it.",
			Meaning:     "A store is away or too slow.",
			First:       "Look whether the store runs, and has room on its disk.",
		}, {
			Name: "TelemetryCollectorRefusing", By: []string{"receiver"}, Panel: "Telemetry Refused or Lost",
			Levels: []Level{{Severity: Warning, For: "1m", Expr: `
				sum by (receiver) (
				  rate({__name__=~"otelcol_receiver_refused_(metric_points|spans|log_records)(_total)?"}[5m])
				) > 0`}},
			Summary:     "The Collector takes no more telemetry",
			Description: "The Collector refuses what it is sent by {receiver}: its memory or a queue is full. Senders keep what they can and lose the rest.",
			Meaning:     "More telemetry comes than the Collector can take.",
			First:       "Look at the queues: a store that is away fills them. If none is full, look for who sends so much.",
		}, {
			Name: "TelemetryLogsDropped", By: []string{"job, instance"}, KeepFiringFor: "5m", Panel: "Telemetry Refused or Lost",
			Levels: []Level{{Severity: Warning, Expr: `
				sum by (job, instance) (` + grown(`sockscope_log_records_total{result=~"dropped|failed"}`, "5m") + `) > 0`}},
			Summary:     "Log records of {job} are lost",
			Description: `{instance} of {job} could not deliver {{ $value | printf "%.0f" }} log records within five minutes. They are on its standard error only.`,
			Meaning:     "A service logs more than can be delivered, or cannot reach who takes it.",
			First:       "Look whether the Collector is there, then for a record that repeats.",
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
			Description: `{{ $value | printf "%.0f" }} spans of {instance} of {job} were not delivered within five minutes: traces have holes.`,
			Meaning:     "A service cannot reach who takes its spans, or makes more of them than can be sent.",
			First:       "Look whether the Collector is there and what it refuses, then for the share of messages that is sampled.",
		}, {
			Name: "TelemetryLabelOverflow", By: []string{"job, label"}, Panel: "Telemetry Refused or Lost",
			Levels:      []Level{{Severity: Info, Expr: "sum by (job, label) (" + grown("sockscope_label_overflow_total", "1h") + ") > 0"}},
			Summary:     "Something of {job} is counted as other",
			Description: `{{ $value | printf "%.0f" }} values of {label} by {job} within an hour were outside of its closed set and were counted as other.`,
			Meaning:     "A value was given that is not registered.",
			First:       "Register the message type or stream, or correct the code that makes the value.",
		}, {
			// A trace that is not there counts as an error of get_trace.
			Name: "TraceStoreErrors", By: []string{"instance"}, KeepFiringFor: "5m", Panel: "Telemetry Refused or Lost",
			Thresholds: []Threshold{{"store_share", 0.05, "requests to a store that fail"}},
			Levels: []Level{{Severity: Warning, For: "2m", Expr: `
				sum by (instance) (rate(jaeger_storage_requests_total{operation!="get_trace", result="err"}[5m]))
				/ sum by (instance) (rate(jaeger_storage_requests_total{operation!="get_trace"}[5m])) > $store_share`}},
			Summary:     "The trace store fails",
			Description: "{{ $value | humanizePercentage }} of what Jaeger asks of its storage fails.",
			Meaning:     "Traces are not stored, or cannot be read.",
			First:       "Look at Jaeger's log, and at its disk.",
		}, {
			// Loki counts requests by their status. VictoriaLogs counts failed requests to store records, says whether its disk
			// is full, and ends when it can't write.
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
			Description: "{instance} of {job} fails to store log records or to find them, or has no room on its disk.",
			Meaning:     "Log records are not stored, or cannot be read. The Collector keeps what it can.",
			First:       "Look at the log store's own log, and at its disk.",
		}, {
			Name: "NotificationsFailing", By: []string{"integration"}, KeepFiringFor: "5m", Panel: "Failed Notifications by Channel",
			Levels: []Level{{Severity: Critical, Expr: `
				sum by (integration) (` + grown("alertmanager_notifications_failed_total", "5m") + `) >= 2`}},
			Summary:     "Nobody is told by {integration}",
			Description: `{{ $value | printf "%.0f" }} notifications by {integration} failed within five minutes.`,
			Meaning:     "Alertmanager cannot deliver notifications: whoever should be told is not.",
			First:       "Read Alertmanager's log, which has the answer of the service. Tell people another way.",
		}, {
			Name: "PrometheusNotConnected", By: []string{"job, instance"}, Panel: "Way to Alertmanager",
			Levels: []Level{{Severity: Critical, For: "1m", Expr: `
				max by (job, instance) (prometheus_notifications_alertmanagers_discovered) == 0
				or
				max by (job, instance) (increase(prometheus_notifications_errors_total[2m])) >= 2`}},
			Summary:     "Prometheus cannot reach Alertmanager",
			Description: "{instance} of {job} knows no Alertmanager, or cannot send alerts to it.",
			Meaning:     "Alerts fire and nobody gets them.",
			First:       "Look whether Alertmanager runs, and at the address in the settings.",
		}, {
			Name: "PrometheusRulesFailing", By: []string{"job, instance"}, KeepFiringFor: "5m", Panel: "Rules That Fail",
			Levels: []Level{{Severity: Warning, For: "1m", Expr: `
				sum by (job, instance) (increase(prometheus_rule_evaluation_failures_total[5m])) > 0
				or
				sum by (job, instance) (increase(prometheus_rule_group_iterations_missed_total[5m])) > 3`}},
			Summary:     "Rules are not evaluated",
			Description: `{instance} of {job} failed to evaluate rules, or left out evaluations ({{ $value | printf "%.0f" }} within five minutes).`,
			Meaning:     "Some alerts cannot fire.",
			First:       "Open the page of rules: it shows the error of each.",
		}, {
			Name: "PrometheusConfigBroken", By: []string{"job, instance"}, Panel: "Settings in Use",
			Levels: []Level{{Severity: Warning, For: "1m", Expr: `
				max by (job, instance) (prometheus_config_last_reload_successful) == 0
				or
				max by (job, instance) (alertmanager_config_last_reload_successful) == 0`}},
			Summary:     "New settings of {job} are not in use",
			Description: "{instance} of {job} could not read its settings and goes on with the old ones. It will not start with them.",
			Meaning:     "A change of the settings is wrong.",
			First:       "Run promtool check config or amtool check-config.",
		}, {
			Name: "Watchdog", By: []string{}, Panel: "Heartbeat",
			Levels:      []Level{{Severity: None, Expr: "vector(1)"}},
			Summary:     "Alerting works",
			Description: "This alert always fires. When it stops arriving, Prometheus or Alertmanager no longer reaches anybody.",
			Meaning:     "It always fires. The alarm is that it stops.",
			First:       "When it has stopped: look whether Prometheus evaluates rules, reaches Alertmanager, and that its receivers.",
		}},
	}
}
