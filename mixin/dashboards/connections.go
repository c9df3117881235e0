package dashboards

import "fmt"

func (s service) connections() board {
	lifetime := s.endpointHistogram("connection_duration_seconds")
	// Idle timeouts are cut with a second or so of tolerance, and clients have to notice.
	idle := func(legend string, seconds float64) query {
		return ask(legend, fmt.Sprintf("histogram_fraction(%g, %g, sum(increase(%s[$__range])))\nor\nhistogram_fraction(%g, %g, sum by (le) (increase(%s[$__range])))",
			seconds*0.97, seconds*1.05, lifetime.of(""), seconds*0.97, seconds*1.05, lifetime.of("_bucket")))
	}
	attempts := s.recorded("job_namespace:${transport}_connections:increase1m")
	full := "max by (job, " + s.NamespaceLabel + ", instance) (" + s.endpoint("active_connections") + ")\n/\nmax by (job, " + s.NamespaceLabel + ", instance) (" + s.endpoint("connection_limit") + ")"
	byEndpoint := "job, " + s.NamespaceLabel
	active := s.endpoint("active_connections")
	return board{
		file: "connections.json", uid: "sockscope-connections", title: "Connections",
		about:     "Whether people get in, whether they stay, and whether there is room for more.",
		variables: s.endpointVariables(),
		alerts:    s.aboutEndpoint(),
		rows: []row{
			{1, "Do people get in?", []panel{
				series(2, "Opens by Outcome", "cps", "Handshakes in a second, by how they ended. Normal: nearly all are connected. unauthorized and forbidden point to tokens, bad_handshake to a client or a proxy, over_capacity and rate_limited to limits of the service, error to its code.",
					ask("{{status}}", rate("status", s.endpoint("connections_total")))).stacked().above(0).
					alerting("WebSocketConnectionErrorBudgetBurn", "WebSocketConnectionsRefused", "WebSocketAuthFailuresSpiking", "WebSocketHandshakesMalformed"),
				series(3, "Handshake Duration", "s", "From the request to its answer, for handshakes that succeeded or not. Normal: milliseconds. It grows with the load of the identity provider, and in a reconnect storm.",
					s.endpointHistogram("handshake_duration_seconds").quantiles()...).above(0),
				series(4, "Reconnect Storm", "short", "Attempts to connect within a minute that are no fault of the client's, and what would be a storm: five times the average of the hour. Normal: far below that line.",
					ask("attempts {{job}} {{"+s.NamespaceLabel+"}}", attempts),
					ask("storm {{job}} {{"+s.NamespaceLabel+"}}", fmt.Sprintf("%g * avg_over_time(%s[1h] offset 2m) > %g or clamp_min(%s, %g) * 0 + %g",
						s.limits["storm_factor"], attempts, s.limits["storm_count"], attempts, s.limits["storm_count"], s.limits["storm_count"]))).above(0).
					alerting("WebSocketReconnectStorm"),
				series(5, "Refused", "percentunit", "Handshakes that are refused, whatever for. Normal: a few of a hundred, from old tokens and scanners.",
					ask("{{job}} {{"+s.NamespaceLabel+"}}", rate(byEndpoint, s.endpoint("connections_total", `status!="connected"`))+"\n/\n("+rate(byEndpoint, s.endpoint("connections_total"))+" > 0)")).
					limits(bad(s.limits["refused_share"])).toOne(0).alerting("WebSocketConnectionsRefused"),
			}},
			{6, "Do they stay?", []panel{
				series(7, "Closes by Reason", "cps", "Connections that end, by why. Normal: normal, going_away, and shutdown during a release. abnormal points to a network or a client that vanished, ping_timeout to a dead client, slow_consumer to one that reads too slowly.",
					ask("{{reason}}", rate("reason", s.endpoint("disconnections_total")))).stacked().above(0).
					alerting("HighConnectionDropRate", "WebSocketAbnormalCloseRatioHigh", "WebSocketDrainBreaksConnections", "WebSocketSlowConsumers"),
				series(8, "Closes by Initiator", "cps", "Connections that end, by who ended them: local is this service, remote is the client, network is neither of them. Normal: mostly remote.",
					ask("{{initiator}}", rate("initiator", s.endpoint("disconnections_total")))).stacked().above(0).alerting("HighConnectionDropRate"),
				series(9, "Broken, of All Open", "percentunit", "Connections that broke within ten minutes rather than came to their end, of those that were open. Draining instances are left out. Normal: below 1%.",
					ask("{{job}} {{"+s.NamespaceLabel+"}}", s.recorded("job_namespace:${transport}_drops_per_connection:ratio10m"))).
					limits(warn(s.limits["drop_share"]), bad(s.limits["drop_share_small"])).above(0).alerting("HighConnectionDropRate"),
				series(10, "Broken, of All That Ended", "percentunit", "Connections that broke, of all that ended within ten minutes. Normal: below 10%, and the same from day to day.",
					ask("{{job}} {{"+s.NamespaceLabel+"}}", s.recorded("job_namespace:${transport}_drops_per_disconnection:ratio10m"))).
					limits(bad(s.limits["abnormal_ratio"])).toOne(0).alerting("WebSocketAbnormalCloseRatioHigh"),
				heat(11, "Lifetime of Connections", "How old connections are when they end. Normal: a broad band. A sharp line is a timer: an idle timeout in a proxy, a token that expires, a client that gives up. The panel beside it knows the usual ones.",
					lifetime.cells()...).alerting("WebSocketConnectionsCutAtOneAge"),
				bars(12, "Closes at Usual Idle Timeouts", "How many of the connections that ended were just as old as an idle timeout of something that often stands in between. Normal: a few of a hundred for each. With classic buckets it is a rough guess. If one stands out, ping more often than that.",
					idle("60 s: nginx, AWS ALB", 60), idle("100 s: Cloudflare", 100), idle("240 s: Azure", 240), idle("300 s: Envoy", 300),
					idle("350 s: AWS NLB", 350), idle("600 s: Google Cloud", 600), idle("3600 s: tokens", 3600)).
					limits(warn(0.1), bad(0.3)).toOne(0).sized(12, 8).alerting("WebSocketConnectionsCutAtOneAge"),
			}},
			{13, "Is there room?", []panel{
				series(14, "Room", "percentunit", "Open connections of each instance, of those that it is made for. Normal: below 85%. No data: no limit is set.",
					ask("{{instance}} {{"+s.NamespaceLabel+"}}", full)).
					limits(warn(s.limits["capacity_share"]), bad(s.limits["capacity_share_critical"])).above(0).alerting("WebSocketConnectionCapacitySaturated"),
				series(15, "Balance", "short", "Connections of the fullest instance, of the average. Normal: close to 1. New instances fill up slowly, since connections stay where they are.",
					ask("{{job}} {{"+s.NamespaceLabel+"}}", aggregate("max", byEndpoint, active)+"\n/\n("+aggregate("avg", byEndpoint, active)+" > 0)")).
					limits(warn(s.limits["imbalance_ratio"])).above(1).alerting("WebSocketConnectionImbalance", "WebSocketInstanceTooLargeToLose"),
			}},
			{16, "Are they alive?", []panel{
				series(17, "Idle Connections", "short", "Connections without a message or a pong for longer than that. Normal: none for longer than five minutes, if the service pings.",
					ask("longer than {{idle}}", sum("idle", s.endpoint("idle_connections")))).above(0).sized(8, 8),
				series(18, "Pings by Result", "cps", "Pings in a second, by what became of them. Normal: pong. timeout is a connection that is dead without having been closed.",
					ask("{{result}}", rate("result", s.endpoint("pings_total")))).stacked().above(0).sized(8, 8).alerting("WebSocketHeartbeatTimeouts"),
				series(19, "Ping Round Trip", "s", "From a ping to its pong: the network, and how busy clients are. The oldest ping without an answer is what is happening now. Normal: the round trip of the network.",
					append(s.endpointHistogram("ping_rtt_seconds").quantiles(), ask("oldest without an answer", aggregate("max", "", s.endpoint("ping_unanswered_seconds"))))...).above(0).sized(8, 8).alerting("WebSocketHeartbeatTimeouts"),
			}},
			{20, "Log records", []panel{
				s.records(21, "Records of Closes and Refusals", "Connections that closed or were refused, newest first.", "connection closed|connection error|handshake refused|slow consumer closed"),
			}},
		},
	}
}
