package mixin

// unusual says that a series is far above what it was in the day before, if there was such a day: what some services
// live with all the time wakes nobody up.
func unusual(series, factor string) string {
	return "unless (" + series + " <= " + factor + " * avg_over_time(" + series + "[1d] offset 15m) and " + series + " offset 1d)"
}

// held is the alert itself while it fires, by which it outlives the window that it was raised by.
func held(alert, by string) string {
	return `max by (` + by + `) (ALERTS{alertname="` + alert + `", alertstate="firing", transport="$P"})`
}

// broken selects the closes by which a connection broke, by the library's own notion: Cause.IsFailure in package
// instrument, which a test holds these to. A cut by this side is no failure: its handler has returned.
func broken() []string {
	return []string{
		`$P_disconnections_total{reason=~"internal|message_too_big|ping_timeout|policy|protocol_error|slow_consumer|try_again_later|write_error"}`,
		`$P_disconnections_total{initiator!="local", reason="abnormal"}`,
	}
}

// transportGroup is what users of an endpoint feel and what endangers it, for each transport.
func transportGroup() Group {
	const (
		active    = "job_namespace:$P_active_connections:sum"
		drops     = "job_namespace:$P_drops:increase10m"
		dropShare = "job_namespace:$P_drops_per_connection:ratio10m"
		closes    = "job_namespace:$P_disconnections:increase10m"
		dropRatio = "job_namespace:$P_drops_per_disconnection:ratio10m"
		instDrops = "instance:$P_drops:increase10m"
		age       = "job_namespace:$P_transmit_age_seconds:min"
		heard     = "job_namespace:$P_receive_age_seconds:min"
		instAge   = "instance:$P_transmit_age_seconds:min"
		typeSent  = "job_namespace_type:$P_messages_transmitted:increase1m"
		attempts  = "job_namespace:$P_connections:increase1m"
		opened    = "job_namespace:$P_connections_connected:increase1m"
		refused   = "job_namespace:$P_connections_refused:increase1m"
		p99       = "job_namespace:$P_message_duration_seconds:p99_5m"
		p90       = "job_namespace:$P_message_duration_seconds:p90_1m"
		handled5m = "job_namespace:$P_message_duration_seconds:count_increase5m"
		handled1m = "job_namespace:$P_message_duration_seconds:count_increase1m"
		failed    = "job_namespace:$P_handling_errors:increase2m"
		received  = "job_namespace:$P_messages_received:increase2m"
		draining  = "on (job, $ns, instance) max_over_time($P_draining[10m]) == 1"
		past      = "avg_over_time(" + active + "[10m] offset 2m)"
		cutAge    = "job_namespace_reason:$P_connection_duration_seconds:"
		behind    = "job_namespace:$P_slow_connection_messages:p50_2m"
		loss      = "job_namespace:$P_handshakes_if_an_instance_goes:rate"
	)
	cut := func(window string) string {
		return `sum by ($by, reason) (increase($P_connection_duration_seconds{reason=~"abnormal|going_away"}[` + window + `]))`
	}
	usual := func(gauge string) string { return "sum by ($by) (quantile_over_time(0.5, " + gauge + "[2m]))" }
	timeouts := grown(`$P_pings_total{result="timeout"}`, "5m")
	return Group{
		Name:     "$P",
		Interval: "5s",
		About:    "What users of an endpoint feel, and what endangers it, by job and namespace.",
		Records: []Record{
			{Name: active, Expr: "sum by ($by) ($P_active_connections)"},
			// All closes, the healthy ones too. Only for comparison: "more than 10 of these a second" is the usual
			// alert, and it never ends on short sessions.
			{Name: "job_namespace:$P_disconnections:rate5m", Expr: "sum by ($by) (rate($P_disconnections_total[5m]))"},
			{Name: closes, Expr: "sum by ($by) (increase($P_disconnections_total[10m]))"},
			{Name: instDrops, Expr: "sum by ($by, instance) (\n" + grown(broken()[0], "10m") + "\nor\n" + grown(broken()[1], "10m") + "\n)"},
			// Connections that a draining instance loses are the subject of WebSocketDrainBreaksConnections.
			{Name: drops, Expr: "sum by ($by) (" + instDrops + " unless " + draining + ")"},
			{Name: dropShare, Expr: share(drops, "(sum by ($by) (max_over_time($P_active_connections[10m])))")},
			{Name: dropRatio, Expr: drops + " / on ($by) " + closes},
			{Name: cutAge + "p10_10m", Expr: "histogram_quantile(0.1, " + cut("10m") + ")"},
			{Name: cutAge + "p50_10m", Expr: "histogram_quantile(0.5, " + cut("10m") + ")"},
			{Name: cutAge + "p90_10m", Expr: "histogram_quantile(0.9, " + cut("10m") + ")"},
			{Name: cutAge + "count_increase10m", Expr: "histogram_count(" + cut("10m") + ")"},
			{Name: cutAge + "count_increase5m", Expr: "histogram_count(" + cut("5m") + ")"},
			{Name: p99, Expr: Quantile("0.99", "$by", "$P_message_duration_seconds", "", "5m")},
			{Name: p90, Expr: Quantile("0.90", "$by", "$P_message_duration_seconds", "", "1m")},
			{Name: handled5m, Expr: Observations("$by", "$P_message_duration_seconds", "", "5m")},
			{Name: handled1m, Expr: Observations("$by", "$P_message_duration_seconds", "", "1m")},
			// Refusals for a client's own fault are left out: one client in a loop can cause as many as all clients
			// together.
			{Name: attempts, Expr: "sum by ($by) (" + grown(`$P_connections_total{status!~"unauthorized|forbidden|bad_handshake|draining"}`, "1m") + ")"},
			{Name: opened, Expr: "sum by ($by) (" + grown(`$P_connections_total{status="connected"}`, "1m") + ")"},
			{Name: refused, Expr: "sum by ($by) (" + grown(`$P_connections_total{status!~"connected|draining"}`, "1m") + ")"},
			{Name: failed, Expr: "sum by ($by) (" + grown(`$P_errors_total{kind=~"handler|panic|timeout"}`, "2m") + ")"},
			{Name: received, Expr: `sum by ($by) (increase($P_messages_total{direction="receive"}[2m]))`},
			// The age is taken against the sample's own time, not the clock: metrics that stop coming are no silence.
			{Name: instAge, Expr: `min by ($by, instance) (timestamp($P_last_message_timestamp_seconds{direction="transmit"}) - $P_last_message_timestamp_seconds{direction="transmit"})`},
			{Name: age, Expr: "min by ($by) (" + instAge + ")"},
			{Name: heard, Expr: `min by ($by) (timestamp($P_last_message_timestamp_seconds{direction="receive"}) - $P_last_message_timestamp_seconds{direction="receive"})`},
			// The handshakes a second that the other instances have to accept if the largest one fails. Its clients
			// reconnect over recovery_seconds.
			{Name: loss, Expr: "max by ($by) ($P_active_connections) / $recovery_seconds"},
			{Name: behind, Expr: usual("$P_slow_connection_messages")},
			{Name: typeSent, Expr: `sum by ($by, type) (increase($P_messages_total{direction="transmit"}[1m]))`},
		},
		Alerts: []Alert{{
			Name: "HighConnectionDropRate", Symptom: true, By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Closes by Reason",
			Thresholds: []Threshold{
				{"drop_share", 0.05, "connections that break within ten minutes, of those open"},
				{"drop_count", 20, "broken connections below which the share above does not count"},
				{"drop_share_small", 0.25, "the same share where fewer break"},
				{"drop_count_small", 5, "broken connections below which nothing counts"},
			},
			Levels: []Level{{Severity: Warning, For: "30s", Expr: `
				(
				  ` + drops + ` >= $drop_count and ` + dropShare + ` > $drop_share
				  or
				  ` + drops + ` >= $drop_count_small and ` + dropShare + ` > $drop_share_small
				)
				` + unusual(drops, "3")}},
			Summary:     "Connections of {namespace} are breaking",
			Description: `{{ $value | printf "%.0f" }} connections of {job}/{namespace} broke within the last ten minutes. Their clients have to reconnect, and miss messages meanwhile.`,
			Meaning:     "Many of the open connections break instead of being closed, and more than on the day before.",
			First:       "Check how they end, and whether on one instance or on all.",
		}, {
			Name: "WebSocketAbnormalCloseRatioHigh", By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Closes by Reason",
			Thresholds: []Threshold{
				{"abnormal_ratio", 0.2, "connections that break, of all that end within ten minutes"},
				{"abnormal_count", 20, "broken connections below which it does not count"},
			},
			Levels: []Level{{Severity: Warning, For: "5m", Expr: `
				(` + dropRatio + ` > $abnormal_ratio and ` + drops + ` >= $abnormal_count)
				` + unusual(dropRatio, "2")}},
			Summary:     "Too many connections to {namespace} break",
			Description: "{{ $value | humanizePercentage }} of the connections of {job}/{namespace} that ended within ten minutes broke instead of being closed.",
			Meaning:     "Of the connections that end, a large share breaks, and a larger one than on the day before.",
			First:       "Find the reason that has grown. Is there a new version of the client, or of a proxy?",
		}, {
			// A finding, whatever the share of all connections: what cuts them can be named. Classic buckets are too
			// wide to tell. One blow that ends connections of one age leaves one half of the window empty, and
			// reconnecting clients are cut at too young an age for a timeout.
			Name: "WebSocketConnectionsCutAtOneAge", By: []string{"$by", "reason"}, KeepFiringFor: "5m", Panel: "Closes by Reason",
			Thresholds: []Threshold{
				{"cut_spread", 1.3, "90th percentile of the age of broken connections, divided by the 10th"},
				{"cut_count", 20, "broken connections within ten minutes below which it does not count"},
				{"cut_seconds", 10, "age below which it is no timeout"},
			},
			Levels: []Level{{Severity: Warning, For: "1m", Expr: `
				` + cutAge + `p50_10m > $cut_seconds
				and
				` + cutAge + `p90_10m / ` + cutAge + `p10_10m < $cut_spread
				and
				` + cutAge + `count_increase10m >= $cut_count
				and
				` + cutAge + `count_increase5m > 0.2 * ` + cutAge + `count_increase10m
				and
				` + cutAge + `count_increase5m < 0.8 * ` + cutAge + `count_increase10m`}},
			Summary:     "Connections to {namespace} are cut at one age",
			Description: "Most of the connections of {job}/{namespace} that end as {reason} end at about the same age, {{ $value | humanizeDuration }}. Something between the clients and the service has a timeout of that length.",
			Meaning:     "Connections break one after the other, nearly all at the same age. The cause is a timeout between the clients and the service. Many load balancers have one of 60 s by default.",
			First:       "Find the timeout of that length: in a load balancer, a proxy, a firewall or the client's library. Then ping more often than that, or raise the timeout.",
		}, {
			Name: "WebSocketDrainBreaksConnections", Symptom: true, By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Closes by Reason",
			Thresholds: []Threshold{
				{"drain_share", 0.2, "connections that break on draining instances, of those that end there"},
				{"drain_count", 20, "broken connections below which it does not count"},
			},
			Levels: []Level{{Severity: Warning, Expr: `
				sum by ($by) (` + instDrops + ` and ` + draining + `)
				/
				sum by ($by) (sum by ($by, instance) (increase($P_disconnections_total[10m])) and ` + draining + `)
				> $drain_share
				and
				sum by ($by) (` + instDrops + ` and ` + draining + `) >= $drain_count`}},
			Summary:     "A release of {namespace} breaks connections",
			Description: "{{ $value | humanizePercentage }} of the connections that end on draining instances of {job}/{namespace} break instead of being closed.",
			Meaning:     "Instances that shut down break their connections instead of closing them.",
			First:       "Stop the release. Check whether instances are killed before they have drained.",
		}, {
			Name: "WebSocketConnectionsCollapsed", Symptom: true, By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Active Connections",
			Thresholds: []Threshold{
				{"collapse_share", 0.5, "connections that are left, of those in the ten minutes before"},
				{"collapse_count", 20, "connections before below which it does not count"},
			},
			Levels: []Level{{Severity: Critical, For: "20s", Expr: `
				` + active + ` < $collapse_share * ` + past + `
				and
				` + past + ` >= $collapse_count`}},
			Summary:     "Most connections to {namespace} are gone",
			Description: `Only {{ $value | printf "%.0f" }} connections to {job}/{namespace} are left, less than half as many as ten minutes ago.`,
			Meaning:     "More than half of the connections ended within minutes and have not come back.",
			First:       "Check whether instances are down, then the load balancer, TLS and DNS.",
		}, {
			Name: "WebSocketReconnectStorm", Symptom: true, By: []string{"$by"}, KeepFiringFor: "2m", Panel: "Connection Rate",
			Thresholds: []Threshold{
				{"storm_factor", 5, "attempts to connect in a minute, of the hour's average"},
				{"storm_share", 0.1, "attempts to connect in a minute, of the open connections"},
				{"storm_count", 50, "attempts in a minute below which it does not count"},
			},
			Levels: []Level{{Severity: Critical, For: "10s", Expr: `
				(
				  ` + attempts + ` > $storm_factor * avg_over_time(` + attempts + `[1h] offset 2m)
				  and
				  ` + attempts + ` >= $storm_count
				  and
				  (` + share(attempts, "(max_over_time("+active+"[10m]))") + `) > $storm_share
				  and
				  ` + attempts + ` offset 10m
				)
				unless on ($by)
				max by ($by) (max_over_time($P_draining[5m])) == 1`}},
			Summary:     "Clients of {namespace} reconnect all at once",
			Description: `{{ $value | printf "%.0f" }} attempts to connect to {job}/{namespace} within a minute are far more than usual.`,
			Meaning:     "Many clients reconnect at the same time, which can take down the rest of the service.",
			First:       "Limit the handshakes per second, so that some succeed. Then find out what disconnected the clients.",
		}, {
			Name: "WebSocketConnectionsRefused", Symptom: true, By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Connection Rate",
			Thresholds: []Threshold{
				{"refused_share", 0.5, "attempts to connect that are refused, for any reason"},
				{"refused_count", 20, "refused attempts within a minute below which it does not count"},
				{"refused_usual", 0.5, "successful attempts, of the hour's average, below which it counts"},
			},
			Levels: []Level{{Severity: Critical, Expr: `
				` + refused + ` / (` + refused + ` + ` + opened + `) > $refused_share
				and
				` + refused + ` >= $refused_count
				and
				` + opened + ` < $refused_usual * avg_over_time(` + opened + `[1h] offset 2m)`}},
			Summary:     "{namespace} refuses most handshakes",
			Description: "{{ $value | humanizePercentage }} of the attempts to connect to {job}/{namespace} are refused, and far fewer than usual succeed.",
			Meaning:     "Most handshakes are refused, and fewer succeed than usual. Typical causes are wrongly rotated keys, a proxy that removes the upgrade, and full instances.",
			First:       "Check the status of the refusals. It says where the mistake is.",
		}, {
			Name: "ActiveConnectionsSpiking", By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Active Connections",
			Thresholds: []Threshold{
				{"spike_factor", 2, "open connections, of the half hour before"},
				{"spike_count", 500, "connections more than before, below which it does not count"},
			},
			Levels: []Level{{Severity: Warning, For: "1m", Expr: `
				` + active + `
				> $spike_factor * avg_over_time(` + active + `[30m] offset 5m)
				and
				` + active + `
				- avg_over_time(` + active + `[30m] offset 5m) > $spike_count
				and
				` + active + ` offset 35m`}},
			Summary:     "Connections to {namespace} more than doubled",
			Description: `{{ $value | printf "%.0f" }} connections to {job}/{namespace} are open, more than twice as many as in the half hour before.`,
			Meaning:     "More than twice as many connections are open as in the half hour before, and the difference is large.",
			First:       "Check whether more people came, or whether clients leave connections open.",
		}, {
			Name: "WebSocketSilentStall", Symptom: true, By: []string{"$by"}, Panel: "Age of the Newest Message",
			Thresholds: []Threshold{
				{"stall_connections", 3, "open connections below which silence is no stall"},
			},
			// The age is taken at each evaluation. The last branch holds the alert until something is sent again: the
			// quarter of an hour that it was raised by passes.
			Levels: []Level{{Severity: Critical, Expr: `
				` + age + ` > 45s
				and
				` + active + ` >= $stall_connections
				and
				(
				  (
				    avg_over_time((` + age + ` < bool 15s)[15m:15s]) > 0.66
				    and
				    ` + age + ` offset 5m
				    unless
				    (avg_over_time((` + heard + ` < bool 15s)[15m:15s]) > 0.33 and ` + heard + ` > 45s)
				    unless
				    max_over_time(` + age + `[10m] offset 1435m) > 45s
				    unless
				    max_over_time(` + age + `[10m] offset 10075m) > 45s
				  )
				  or
				  ` + held("WebSocketSilentStall", "$by") + `
				)`}},
			Summary:     "Nothing is sent to the connections of {namespace}",
			Description: "The connections of {job}/{namespace} are open, but the service has sent nothing for {{ $value | humanizeDuration }}. Users see old data and no error.",
			Meaning:     "Connections are open, but the service has sent nothing on any of them for 45 seconds. Usually it sends something every few seconds.",
			First:       "Check whether messages still come in. If so, take a goroutine dump before you restart. If not, look at the source.",
		}, {
			Name: "WebSocketSilentInstance", Symptom: true, By: []string{"$by", "instance"}, Panel: "Age of the Newest Message",
			Thresholds: []Threshold{
				{"silent_connections", 10, "connections of the instance below which its silence does not count"},
			},
			Levels: []Level{{Severity: Critical, Expr: `
				` + instAge + ` > 45s
				and on ($by)
				` + age + ` < 15s
				and on ($by, instance)
				sum by ($by, instance) ($P_active_connections) >= $silent_connections
				and on ($by, instance)
				(
				  avg_over_time((` + instAge + ` < bool 15s)[15m:15s]) > 0.66 and ` + instAge + ` offset 5m
				  or
				  ` + held("WebSocketSilentInstance", "$by, instance") + `
				)`}},
			Summary:     "An instance of {namespace} sends nothing",
			Description: "{instance} of {job}/{namespace} has sent nothing for {{ $value | humanizeDuration }}, while other instances send. Its users see old data and no error.",
			Meaning:     "One instance has open connections and sends nothing, while other instances of the endpoint send.",
			First:       "Take a goroutine dump of the instance, then take it out of the load balancer.",
		}, {
			Name: "WebSocketProducerSilent", Symptom: true, By: []string{"$by", "type"}, Panel: "Messages per Second",
			Levels: []Level{{Severity: Warning, For: "3m", Expr: `
				` + typeSent + ` == 0
				and on ($by)
				` + age + ` < 15s
				and
				(
				  (
				    avg_over_time((` + typeSent + ` > bool 0)[1h:1m]) > 0.85 and ` + typeSent + ` offset 30m
				    unless
				    min_over_time(` + typeSent + `[10m] offset 1435m) == 0
				    unless
				    min_over_time(` + typeSent + `[10m] offset 10075m) == 0
				  )
				  or
				  ` + held("WebSocketProducerSilent", "$by, type") + `
				)`}},
			Summary:     "One kind of message of {namespace} has stopped",
			Description: "{job}/{namespace} no longer sends messages of the type {type}, which it usually sends every minute. It still sends other types.",
			Meaning:     "The service no longer sends messages of a type that it sent in nearly every minute of the last hour. It still sends other types.",
			First:       "Look at the code that makes these messages: its subscription, its source, its last log record.",
		}, {
			Name: "WebSocketLatencyHigh", Symptom: true, By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Message Latency (p50/p95/p99)",
			Thresholds: []Threshold{
				{"latency_seconds", 1, "seconds that handling a message may take"},
				{"latency_count", 100, "messages within five minutes below which one in a hundred does not count"},
				{"latency_count_fast", 20, "messages within a minute below which one in ten does not count"},
			},
			// One in ten within a minute is seen at once, and outlives no pause of a few seconds. One in a hundred has
			// to last.
			Levels: []Level{{Severity: Critical, For: "30s", Expr: `
				` + p90 + ` > $latency_seconds and ` + handled1m + ` >= $latency_count_fast
				or
				min_over_time(` + p99 + `[3m]) > $latency_seconds and ` + handled5m + ` >= $latency_count`}},
			Summary:     "Messages of {namespace} are handled slowly",
			Description: "Too many messages of {job}/{namespace} take {{ $value | humanizeDuration }} or longer to handle. It should take less than a second.",
			Meaning:     "One in ten messages of the last minute, or one in a hundred for minutes, takes longer than a second to handle.",
			First:       "Open a trace from the latency panel: the longest span says what handling waits for.",
		}, {
			Name: "WebSocketHandlingFails", Symptom: true, By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Error Rate",
			Thresholds: []Threshold{
				{"failing_share", 0.02, "messages whose handling fails, for a warning"},
				{"failing_share_critical", 0.1, "messages whose handling fails, for a page"},
				{"failing_count", 10, "failures within two minutes below which it does not count"},
			},
			Levels: []Level{
				{Severity: Critical, For: "15s", Expr: "(" + share(failed, "("+received+")") + ") > $failing_share_critical\nand\n" + failed + " >= $failing_count"},
				{Severity: Warning, For: "2m", Expr: "(" + share(failed, "("+received+")") + ") > $failing_share\nand\n" + failed + " >= $failing_count"},
			},
			Summary:     "Handling messages of {namespace} fails",
			Description: "Handling {{ $value | humanizePercentage }} of the messages of {job}/{namespace} ends in an error, a panic or a timeout.",
			Meaning:     "Handlers of messages return errors, panic or time out.",
			First:       "Open the newest log records message failed and panic, and their traces.",
		}, {
			Name: "WebSocketPanics", By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Error Rate",
			Levels:      []Level{{Severity: Warning, Expr: "sum by ($by) (" + grown(`$P_errors_total{kind="panic"}`, "10m") + ") > 0"}},
			Summary:     "Handlers of {namespace} panic",
			Description: `{{ $value | printf "%.0f" }} panics in handlers of {job}/{namespace} within ten minutes. Each has broken a connection.`,
			Meaning:     "The code that handles messages has panicked.",
			First:       "Read the stack in the log record panic.",
		}, {
			Name: "WebSocketAuthFailuresSpiking", By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Connection Rate",
			Thresholds: []Threshold{
				{"auth_share", 0.3, "handshakes that are refused as unauthorized or forbidden"},
				{"auth_count", 20, "such refusals within five minutes below which it does not count"},
			},
			Levels: []Level{{Severity: Warning, For: "2m", Expr: `
				sum by ($by) (` + grown(`$P_connections_total{status=~"unauthorized|forbidden"}`, "5m") + `)
				/
				sum by ($by) (` + grown(`$P_connections_total`, "5m") + `)
				> $auth_share
				and
				sum by ($by) (` + grown(`$P_connections_total{status=~"unauthorized|forbidden"}`, "5m") + `) >= $auth_count`}},
			Summary:     "{namespace} refuses many clients as unauthorized",
			Description: "{{ $value | humanizePercentage }} of the handshakes of {job}/{namespace} are refused as unauthorized or forbidden.",
			Meaning:     "Many handshakes fail because of their token.",
			First:       "Check when keys were rotated, and the identity provider. Many attempts from few addresses are an attack.",
		}, {
			Name: "WebSocketHandshakesMalformed", By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Connection Rate",
			Thresholds: []Threshold{
				{"malformed_share", 0.3, "requests that are not valid handshakes"},
				{"malformed_count", 20, "such requests within five minutes below which it does not count"},
			},
			Levels: []Level{{Severity: Warning, For: "2m", Expr: `
				sum by ($by) (` + grown(`$P_connections_total{status="bad_handshake"}`, "5m") + `)
				/
				sum by ($by) (` + grown(`$P_connections_total`, "5m") + `)
				> $malformed_share
				and
				sum by ($by) (` + grown(`$P_connections_total{status="bad_handshake"}`, "5m") + `) >= $malformed_count`}},
			Summary:     "Many requests to {namespace} are not valid handshakes",
			Description: "{{ $value | humanizePercentage }} of the requests to {job}/{namespace} lack the headers of a handshake.",
			Meaning:     "Requests arrive without the headers of an upgrade. Often a proxy has removed them.",
			First:       "Check what changed in the load balancer or proxy. Bypass it to compare.",
		}, {
			Name: "WebSocketConnectionCapacitySaturated", By: []string{"$by"}, KeepFiringFor: "2m", Panel: "Active Connections",
			Thresholds: []Threshold{
				{"capacity_share", 0.85, "open connections, of those that an instance may have, for a warning"},
				{"capacity_share_critical", 0.95, "the same, for a page"},
			},
			Levels: []Level{
				{Severity: Critical, For: "30s", Expr: "max by ($by) ($P_active_connections / $P_connection_limit) > $capacity_share_critical"},
				{Severity: Warning, For: "5m", Expr: "max by ($by) ($P_active_connections / $P_connection_limit) > $capacity_share"},
			},
			Summary:     "{namespace} is nearly full",
			Description: "An instance of {job}/{namespace} has {{ $value | humanizePercentage }} of the connections that it may have. A full instance refuses new ones.",
			Meaning:     "An instance is nearly full. When it is full, it refuses new connections.",
			First:       "Add an instance, or raise the limit if memory and descriptors allow.",
		}, {
			Name: "WebSocketBackplaneDown", Symptom: true, By: []string{"$by", "backplane"}, KeepFiringFor: "1m", Panel: "Backplane Up",
			Levels:      []Level{{Severity: Critical, For: "10s", Expr: "min by ($by, backplane) (max_over_time($P_backplane_up[30s])) == 0"}},
			Summary:     "{namespace} has lost its backplane",
			Description: "An instance of {job}/{namespace} is not connected to {backplane}. Its users and those of other instances do not get each other's messages.",
			Meaning:     "Instances cannot pass messages to each other.",
			First:       "Check whether all instances are affected. If so, it is the backplane itself, otherwise the network of that instance.",
		}, {
			Name: "WebSocketBackplaneLagging", Symptom: true, By: []string{"$by", "backplane"}, KeepFiringFor: "5m", Panel: "Backplane Lag",
			Thresholds: []Threshold{
				{"lag_seconds", 0.5, "seconds from one instance to another"},
				{"lag_count", 20, "messages within two minutes below which it does not count"},
			},
			Levels: []Level{{Severity: Warning, For: "1m", Expr: `
				(` + Quantile("0.99", "$by, backplane", "$P_backplane_lag_seconds", "", "2m") + `) > $lag_seconds
				and
				(` + Observations("$by, backplane", "$P_backplane_lag_seconds", "", "2m") + `) >= $lag_count`}},
			Summary:     "Messages between instances of {namespace} are late",
			Description: "One in a hundred messages takes {{ $value | humanizeDuration }} or longer from one instance of {job}/{namespace} to another through {backplane}.",
			Meaning:     "Messages take too long from one instance to another.",
			First:       "Check the backplane's own latency and load, then the clocks: each end uses its own.",
		}, {
			Name: "WebSocketBackplaneLosing", Symptom: true, By: []string{"$by", "backplane"}, KeepFiringFor: "5m", Panel: "Lost Between Instances",
			Thresholds: []Threshold{
				{"losing_share", 0.01, "messages between instances that are lost"},
				{"losing_count", 10, "lost messages within five minutes below which it does not count"},
			},
			Levels: []Level{{Severity: Warning, For: "1m", Expr: `
				sum by ($by, backplane) (` + grown(`$P_backplane_messages_total{result=~"error|dropped"}`, "5m") + `)
				/
				sum by ($by, backplane) (` + grown(`$P_backplane_messages_total`, "5m") + `)
				> $losing_share
				and
				sum by ($by, backplane) (` + grown(`$P_backplane_messages_total{result=~"error|dropped"}`, "5m") + `) >= $losing_count`}},
			Summary:     "Messages between instances of {namespace} are lost",
			Description: "{{ $value | humanizePercentage }} of the messages between instances of {job}/{namespace} through {backplane} fail or are dropped.",
			Meaning:     "Some messages of one instance do not reach the others.",
			First:       "Check the results. Dropped messages point to an instance that cannot keep up, errors to the backplane.",
		}, {
			Name: "WebSocketSendQueueSaturated", By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Fullest Send Queue",
			Thresholds: []Threshold{
				{"queue_ratio", 0.9, "how full the fullest send queue is"},
				{"queue_drop_share", 0.01, "messages that are dropped because of it"},
			},
			Levels: []Level{{Severity: Warning, For: "1m", Expr: `
				max by ($by) ($P_send_queue_max_ratio) > $queue_ratio
				and
				sum by ($by) (` + grown(`$P_messages_dropped_total{reason=~"queue_full|slow_consumer"}`, "5m") + `)
				> $queue_drop_share * sum by ($by) (increase($P_messages_total{direction="transmit"}[5m]))`}},
			Summary:     "Send queues of {namespace} overflow",
			Description: "The fullest send queue of {job}/{namespace} is {{ $value | humanizePercentage }} full, and messages are dropped.",
			Meaning:     "The service sends more than its connections can take, so messages are dropped.",
			First:       "Check whether traffic has grown or clients have become slow.",
		}, {
			Name: "WebSocketSlowConsumers", By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Closes by Reason",
			Thresholds: []Threshold{
				{"slow_share", 0.02, "connections that are closed as too slow within ten minutes, of those open"},
				{"slow_count", 5, "such connections below which it does not count"},
			},
			Levels: []Level{{Severity: Warning, For: "1m", Expr: `
				sum by ($by) (` + grown(`$P_disconnections_total{reason="slow_consumer"}`, "10m") + `) >= $slow_count
				and
				sum by ($by) (` + grown(`$P_disconnections_total{reason="slow_consumer"}`, "10m") + `)
				> $slow_share * sum by ($by) (max_over_time($P_active_connections[10m]))`}},
			Summary:     "Clients of {namespace} are too slow",
			Description: `{{ $value | printf "%.0f" }} connections of {job}/{namespace} were closed within ten minutes because their clients read too slowly.`,
			Meaning:     "Many clients read more slowly than the service sends.",
			First:       "Check whether messages have grown in number or size, and whether these clients share a network or a version.",
		}, {
			// A finding: whether what waits does so for few connections or for all.
			Name: "WebSocketFewConnectionsSlow", By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Slow Connections",
			Thresholds: []Threshold{
				{"behind_share", 0.5, "messages that wait for slow connections, of all that wait"},
				{"behind_count", 20, "messages that wait for slow connections below which it does not count"},
				{"few_share", 0.05, "slow connections, of those open, above which they are not few"},
			},
			Levels: []Level{{Severity: Info, For: "30s", Expr: `
				` + behind + ` / ` + usual("$P_send_queue_messages") + ` > $behind_share
				and
				` + behind + ` >= $behind_count
				and
				sum by ($by) (max_over_time($P_slow_connections[2m])) < $few_share * ` + active}},
			Summary:     "A few connections to {namespace} are slow",
			Description: "{{ $value | humanizePercentage }} of the waiting messages of {job}/{namespace} wait for a few connections, for longer than a second. All other connections are quick.",
			Meaning:     "Most of the messages in send queues wait for a few connections. If messages are late, the cause is these clients, not the service.",
			First:       "Find these connections in the live console, sorted by waiting messages. Their clients read slowly, or their network is slow.",
		}, {
			Name: "WebSocketHeartbeatTimeouts", By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Pings by Result",
			Thresholds: []Threshold{
				{"ping_share", 0.02, "pings without an answer"},
				{"ping_count", 10, "such pings within five minutes below which it does not count"},
			},
			Levels: []Level{{Severity: Warning, For: "1m", Expr: `
				sum by ($by) (` + timeouts + `)
				/
				sum by ($by) (` + grown(`$P_pings_total`, "5m") + `)
				> $ping_share
				and
				sum by ($by) (` + timeouts + `) >= $ping_count`}},
			Summary:     "Clients of {namespace} do not answer pings",
			Description: "{{ $value | humanizePercentage }} of the pings of {job}/{namespace} get no answer.",
			Meaning:     "Some connections are dead, but nobody closed them.",
			First:       "Compare the ping interval with the idle timeouts of load balancers and proxies, and look for a network that many of these clients share.",
		}, {
			Name: "WebSocketFanoutLagging", By: []string{"$by"}, KeepFiringFor: "5m", Panel: "Fan-out Duration",
			Thresholds: []Threshold{
				{"fanout_seconds", 0.5, "seconds from publishing to the last recipient's queue"},
				{"fanout_count", 20, "published messages within five minutes below which it does not count"},
			},
			Levels: []Level{{Severity: Warning, For: "2m", Expr: `
				(` + Quantile("0.99", "$by", "$P_broadcast_duration_seconds", "", "5m") + `) > $fanout_seconds
				and
				(` + Observations("$by", "$P_broadcast_duration_seconds", "", "5m") + `) >= $fanout_count`}},
			Summary:     "Publishing to {namespace} takes long",
			Description: "One in a hundred messages that are published to {job}/{namespace} takes {{ $value | humanizeDuration }} or longer to reach its last recipient's queue.",
			Meaning:     "It takes too long to put a published message into the queues of all recipients.",
			First:       "Check the number of recipients, then take a CPU profile.",
		}, {
			// Instances that once accepted as many handshakes can do so again.
			Name: "WebSocketInstanceTooLargeToLose", By: []string{"$by"}, Panel: "Connection Rate",
			Thresholds: []Threshold{
				{"recovery_seconds", 30, "seconds within which the clients of a lost instance reconnect"},
				{"handshake_capacity", 200, "handshakes a second that an instance can accept; measure yours"},
			},
			Levels: []Level{{Severity: Info, For: "15m", Expr: `
				` + loss + ` > $handshake_capacity * clamp_min(count by ($by) ($P_active_connections) - 1, 1)
				unless
				` + loss + ` <= max_over_time(` + opened + `[1d]) / 60`}},
			Summary:     "{namespace} cannot take the loss of its largest instance",
			Description: `If the largest instance of {job}/{namespace} fails, {{ $value | printf "%.0f" }} clients a second connect to the others. That is more than the others can accept, or have ever accepted.`,
			Meaning:     "An instance has so many connections that the others cannot accept them fast enough if it fails. Its loss becomes a reconnect storm for all.",
			First:       "Add instances, so that each has fewer connections, or have clients spread their reconnects over a longer time.",
		}, {
			Name: "WebSocketConnectionImbalance", By: []string{"$by"}, Panel: "Active Connections",
			Thresholds: []Threshold{
				{"imbalance_ratio", 1.5, "connections of the fullest instance, of the average"},
				{"imbalance_count", 200, "connections below which it does not count"},
			},
			Levels: []Level{{Severity: Info, For: "15m", Expr: `
				max by ($by) ($P_active_connections) / avg by ($by) ($P_active_connections) > $imbalance_ratio
				and
				` + active + ` >= $imbalance_count
				and
				count by ($by) ($P_active_connections offset 30m) >= count by ($by) ($P_active_connections)`}},
			Summary:     "Connections to {namespace} are spread unevenly",
			Description: `The fullest instance of {job}/{namespace} has {{ $value | printf "%.1f" }} times as many connections as the average.`,
			Meaning:     "The numbers of connections per instance differ widely, and no new instance explains it.",
			First:       "Check how the load balancer chooses. To spread the connections of the fullest instance, drain it.",
		}},
	}
}
