package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// Clients have one prefix, whatever their server's.
func (s service) clients() board {
	client := func(metric string, matchers ...string) string {
		return s.labelled("websocket_client_"+metric, append(matchers, s.within("job", "client")...)...)
	}
	times := func(metric string) histogram {
		return s.histogram("websocket_client_"+metric, s.within("job", "client")...)
	}
	grown := func(by, metric string) string { return sum(by, "increase("+client(metric)+"[10m])") }
	lag := times("event_lag_seconds")
	const stream = "{{client}} {{stream}}"
	return board{
		file: "clients.json", uid: "sockscope-clients", title: "Clients and feeds",
		about: "Whether the streams that clients of instrument/client consume are fresh, complete and right. An open socket proves none of this.",
		variables: []dashboard.VariableModel{
			s.labelVariable("Service", "job", s.labelled("websocket_client_connected")),
			s.labelVariable("Client", "client", s.labelled("websocket_client_connected", s.within("job")...)),
		},
		alerts: `alertname=~"WebSocketClient.*|WebSocketSequenceGaps|WebSocketReconciliation.*", job=~"$job"`,
		rows: []row{
			{1, "Is the data fresh?", []panel{
				series(2, "Client Connected", "short", "Whether a client has a connection (1) or not (0). Normal: 1, with gaps of seconds.",
					ask("{{client}} {{instance}}", aggregate("min", "client, instance", client("connected")))).limits(good(1)).toOne(0).rounded().sized(8, 8).alerting("WebSocketClientDisconnected"),
				series(3, "Stale Streams", "short", "Streams that have said nothing useful for longer than they are expected to (1). Normal: 0.",
					ask(stream, aggregate("max", "client, stream", client("stale")))).limits(bad(1)).toOne(0).rounded().sized(8, 8).alerting("WebSocketClientDataStale"),
				series(4, "Age of the Newest Event", "s", "How long ago each stream last said something. Normal: the interval of the stream. If the server's newest message is as old, it is the source; if not, the way to this client.",
					ask(stream, aggregate("min", "client, stream", "timestamp("+client("last_message_timestamp_seconds")+") - "+client("last_message_timestamp_seconds")))).above(0).sized(8, 8).alerting("WebSocketClientDataStale"),
				series(5, "Event Lag", "s", "From an event, by the server's clock, to its receipt, by this one's. Normal: the way of the network, and steady. Points lead to traces.",
					append([]query{traced(ask("p50 {{stream}}", lag.quantile("0.50", "stream")))}, traced(ask("p99 {{stream}}", lag.quantile("0.99", "stream"))))...).limits(warn(0.25)).above(0).alerting("WebSocketClientLatencyErrorBudgetBurn"),
				heat(6, "Event Lags", "The same, event by event. A slope that rises and falls at once is a client that catches up.", lag.cells()...),
			}},
			{7, "Is the data complete?", []panel{
				series(8, "Missing Messages", "short", "Sequence numbers that were skipped within ten minutes. Normal: 0. If all clients miss the same ones, they were never sent.",
					ask(stream, grown("client, stream", "missing_messages_total"))).limits(bad(s.limits["gap_count"])).above(0).alerting("WebSocketSequenceGaps", "WebSocketClientErrorBudgetBurn"),
				series(9, "Gaps, Duplicates and Disorder", "short", "Gaps in the sequence within ten minutes, and events that came twice, late, or after a snapshot that tells of them. Normal: 0 gaps. The client puts all others right: they are no loss.",
					ask("gaps {{stream}}", grown("stream", "sequence_gaps_total")), ask("duplicates {{stream}}", grown("stream", "duplicates_total")),
					ask("out of order {{stream}}", grown("stream", "out_of_order_total")), ask("superseded {{stream}}", grown("stream", "superseded_total"))).above(0).alerting("WebSocketSequenceGaps"),
			}},
			{10, "Is the data right?", []panel{
				series(11, "Drift", "short", "Reconciliations within half an hour that found other state than the events had led to. Normal: 0. A gap explains one of them; without a gap it is how events are handled.",
					ask(stream, sum("client, stream", "increase("+client("drift_total")+"[30m])"))).limits(bad(s.limits["drift_count"])).above(0).sized(8, 8).alerting("WebSocketReconciliationDrift"),
				series(12, "Reconciliations", "short", "Attempts within ten minutes to reconcile a stream with a snapshot, by what made them necessary and how they ended. Normal: ok, after each connect.",
					ask("{{trigger}} {{result}}", grown("trigger, result", "reconciliations_total")+" > 0")).above(0).sized(8, 8).alerting("WebSocketReconciliationFailing"),
				series(13, "Reconciliation Duration", "s", "How long a stream was not live: from what made reconciling necessary until it was. Normal: about the time that a snapshot takes.",
					times("reconciliation_duration_seconds").quantiles()...).above(0).sized(8, 8),
			}},
			{14, "Do clients come back?", []panel{
				series(15, "Connect Attempts by Result", "cps", "Attempts to connect in a second, by how they ended. Normal: empty, or one now and then that ends with connected.", ask("{{result}}", rate("result", client("connect_attempts_total"))+" > 0")).above(0).sized(8, 8).alerting("WebSocketClientDisconnected"),
				series(16, "Disconnections by Reason", "cps", "Connections that ended, by who ended them and why. Normal: empty for hours. A regular interval is a limit on the other side, such as 24 hours at some exchanges.",
					ask("{{initiator}} {{reason}}", rate("initiator, reason", client("disconnections_total"))+" > 0")).above(0).sized(8, 8),
				series(17, "Time Without a Connection", "percentunit", "The share of the time in which a client was blind. Normal: below 0.1%.",
					ask("{{client}}", aggregate("max", "client", "rate("+client("disconnected_seconds_total")+"["+window+"])"))).above(0).sized(8, 8).alerting("WebSocketClientDisconnected"),
				series(18, "From Wait to First Event (p50)", "s", "How coming back is made up, for half of the attempts: the wait before one, connecting, and the first event after that. Normal: the wait is longest.",
					ask("wait", times("backoff_seconds").quantile("0.50", "")), ask("connect", times("connect_duration_seconds").quantile("0.50", "")),
					ask("first event", times("first_message_seconds").quantile("0.50", ""))).above(0).sized(8, 8),
				series(19, "Client Ping Round Trip", "s", "The network, seen from the client. Normal: steady.", times("ping_rtt_seconds").quantiles()...).above(0).sized(8, 8),
				series(20, "Client Errors by Kind", "cps", "Errors in a second, by what failed. Normal: none. decode points to a format that has changed, handler to your own code.",
					ask("{{kind}} {{client}}", rate("kind, client", client("errors_total")))).above(0).sized(8, 8),
			}},
		},
	}
}
