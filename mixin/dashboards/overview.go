package dashboards

import "fmt"

// The dashboard that alerts link to.
func (s service) overview() board {
	const broken = "sum(max_over_time(%s[10m]))"
	age := func(by, direction string) string {
		newest := s.endpoint("last_message_timestamp_seconds", direction)
		return aggregate("min", by, "timestamp("+newest+") - "+newest)
	}
	growth := func(legend, selector string) query {
		return ask(legend, "sum(rate("+selector+"[5m]))\n/\n(sum(rate("+selector+"[5m] offset 1h)) > 0)")
	}
	latency := s.endpointHistogram("message_duration_seconds")
	budgets := []string{`job=~"$job|sockscope-probe"`, fmt.Sprintf(`%s=~"$namespace|"`, s.NamespaceLabel), `transport=~"$transport|"`}
	slo := func(record string) string { return kept(record + "{" + joined(budgets...) + "}") }
	return board{
		file: "overview.json", uid: "sockscope-websockets", title: "Realtime overview",
		about:     "Whether users of a realtime service are fine, and where to look if they are not. Rows go from symptoms to causes.",
		variables: s.endpointVariables(),
		alerts:    s.aboutEndpoint(),
		rows: []row{
			{1, "Are users fine?", []panel{
				number(2, "Active Alerts", "short", "Alerts of severity critical and warning that fire for these services. Normal: 0. They are listed below.",
					ask("", `count(`+firing(`severity=~"critical|warning", `+s.aboutEndpoint())+`) or vector(0)`)).limits(bad(1)),
				number(3, "Probes That Succeed", "percentunit", "Probes that connected, got an answer and saw their message delivered within five minutes, of all targets. Normal: 100%. No data: there is no probe.",
					ask("", "avg(avg_over_time("+s.labelled("websocket_probe_success")+"[5m]))")).
					limits(warn(s.limits["probe_success"]), good(0.99)).toOne(0).alerting("WebSocketProbeFailing"),
				number(4, "Connections Now", "short", "Connections that are open, of all chosen instances together. Normal: about as many as at this time yesterday.",
					ask("", sum("", s.endpoint("active_connections")))),
				number(5, "Broken Connections", "percentunit", "Connections that broke within ten minutes rather than came to their end, of those that were open. Normal: below 1%. Above 100%: they broke, came back and broke again.",
					ask("", sum("", s.recorded("job_namespace:${transport}_drops:increase10m"))+"\n/\n("+
						fmt.Sprintf(broken, s.labelled("${transport}_active_connections", s.within("job", s.NamespaceLabel)...))+" > 0)\nor vector(0)")).
					limits(warn(s.limits["drop_share"]/2), bad(s.limits["drop_share"])).above(0).alerting("HighConnectionDropRate"),
				number(6, "Newest Message Sent", "s", "Age of the newest message that was sent to anybody. Normal: seconds, where something is always going on. The alert fires above 45 seconds where messages are usual.",
					ask("", age("", `direction="transmit"`))).limits(bad(45)).rounded().alerting("WebSocketSilentStall"),
				number(7, "Targets down", "short", "Instances that are to be scraped and do not answer, of the whole stack. Normal: 0.",
					ask("", "count("+s.labelled("up")+" == 0) or vector(0)")).limits(bad(1)).alerting("RealtimeTargetDown", "RealtimeTargetMissing", "RealtimeTargetRestarting"),
			}},
			{9, "Connections and messages", []panel{
				series(10, "Active Connections", "short", "Connections that are open, by instance. Normal: a slow curve over the day. A step down is a lost instance or network, a step up a load balancer that moved them or clients that leave connections open.",
					ask("{{instance}}", sum("instance", s.endpoint("active_connections"))), ask("all", sum("", s.endpoint("active_connections")))).
					above(0).alerting("WebSocketConnectionsCollapsed", "ActiveConnectionsSpiking", "WebSocketConnectionCapacitySaturated", "WebSocketConnectionImbalance"),
				series(11, "Connection Rate", "cps", "Handshakes in a second, by how they ended, and below zero the connections that closed. Normal: both mirror each other, and nearly all are connected. The dashboard Connections says why they are refused and why they close.",
					ask("{{status}}", rate("status", s.endpoint("connections_total"))),
					ask("closed", "-"+rate("", s.endpoint("disconnections_total")))).
					alerting("WebSocketConnectionErrorBudgetBurn", "WebSocketReconnectStorm", "WebSocketConnectionsRefused", "WebSocketAuthFailuresSpiking", "WebSocketHandshakesMalformed"),
				series(15, "Message Latency (p50/p95/p99)", "s", "How long handling a received message takes: half, 95 and 99 of a hundred are faster. Points are single messages: open one to see its trace. Normal: below 250 ms, which is the objective.",
					latency.quantiles()...).
					limits(warn(0.25), bad(s.limits["latency_seconds"])).above(0).alerting("WebSocketLatencyHigh", "WebSocketLatencyErrorBudgetBurn"),
				series(18, "Error Rate", "cps", "Errors in a second, by what failed. Normal: none of the kinds handler, panic and timeout. Single read errors are clients that went away.",
					ask("{{kind}}", rate("kind", s.endpoint("errors_total")))).
					above(0).alerting("WebSocketHandlingFails", "WebSocketPanics"),
			}},
			{8, "Objectives and alerts", []panel{
				list(24, "Alerts That Fire", "Alerts that fire for these services, whatever their severity. A click on a name opens its runbook. Normal: empty.",
					ask("", "max by (severity, alertname, job, "+s.NamespaceLabel+", instance) ("+firing(s.aboutEndpoint())+")"), "").
					linking("alertname", "Runbook", s.RunbookURL+"${__value.text}.md").sized(12, 8),
				bars(19, "Error Budget Left", "The part of the error budget of 30 days that is left, by objective, of the worst service. Normal: above zero. At 100% nothing is lost, below zero the objective is missed.",
					ask("{{slo}}", "min by (slo) ("+slo("slo:period_error_budget_remaining:ratio")+")")).
					limits(warn(0), good(0.25)).toOne(-1).sized(6, 8),
				series(20, "Burn Rate", "short", "How many times too fast an error budget is used up, over five minutes. Normal: below 1, with which it lasts for 30 days. Somebody is paged at 14.4 over an hour.",
					ask("{{slo}} {{job}} {{"+s.NamespaceLabel+"}}", slo("slo:current_burn_rate:ratio"))).
					limits(warn(1), bad(14.4)).above(0).sized(6, 8),
			}},
			{25, "What changed?", []panel{
				bars(26, "Compared With an Hour Ago", "Rates and connections now, of those an hour ago. Normal: about 100%. The first one to change is often closest to the cause. No data: nothing ran an hour ago.",
					ask("connections", sum("", s.endpoint("active_connections"))+"\n/\n("+sum("", s.endpoint("active_connections")+" offset 1h")+" > 0)"),
					growth("handshakes", s.endpoint("connections_total")),
					growth("closes", s.endpoint("disconnections_total")),
					growth("received", s.endpoint("messages_total", `direction="receive"`)),
					growth("sent", s.endpoint("messages_total", `direction="transmit"`)),
					growth("errors", s.endpoint("errors_total")),
				).above(0),
				series(27, "Age of Processes", "s", "How long ago each instance started. Normal: lines that rise together. A line that begins anew is a restart or a release.",
					ask("{{job}} {{instance}}", "time() - "+s.process("process_start_time_seconds"))).above(0).sized(8, 8).alerting("RealtimeTargetRestarting"),
				series(28, "Draining Instances", "short", "Instances that shut down gracefully and send their clients elsewhere. Normal: 0, and 1 at a time during a release.",
					ask("draining", sum("", s.endpoint("draining")))).above(0).rounded().sized(8, 8).alerting("WebSocketDrainBreaksConnections"),
			}},
			{21, "Log records", []panel{
				s.levels(22, "Log Records by Level", "Records of the service. Normal: hardly any of the levels warn and error. Some messages are limited in number: suppressed in a record says how many were left out."),
				s.records(23, "Log Records", "Records of the service, newest first.", ""),
			}},
		},
	}
}
