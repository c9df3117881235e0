package dashboards

func (s service) fanout() board {
	byEndpoint := "job, " + s.NamespaceLabel
	endpoint := "{{job}} {{" + s.NamespaceLabel + "}}"
	published := s.endpointHistogram("broadcast_duration_seconds")
	reached := s.endpointHistogram("broadcast_delivery_duration_seconds")
	recipients := s.endpointHistogram("broadcast_recipients")
	lag := s.endpointHistogram("backplane_lag_seconds")
	between := func(matchers ...string) string {
		return rate(byEndpoint+", backplane", s.endpoint("backplane_messages_total", matchers...))
	}
	return board{
		file: "fanout.json", uid: "sockscope-fanout", title: "Fan-out and backpressure",
		about:     "Whether what is published reaches all recipients, what waits on the way, and how instances hear each other.",
		variables: s.endpointVariables(),
		alerts:    s.aboutEndpoint(),
		rows: []row{
			{1, "Does it reach everybody in time?", []panel{
				series(19, "Time to the Last Recipient", "s", "From publishing a message, on any instance, until it was written to the socket of its last recipient here. Normal: below 250 ms, which is the objective. If Fan-out Duration and Backplane Lag are low, it waits in send queues.",
					reached.quantiles()...).limits(warn(0.25)).above(0).sized(8, 8).alerting("WebSocketBroadcastLatencyErrorBudgetBurn"),
				series(2, "Fan-out Duration", "s", "From publishing a message until it is in the queue of the last recipient of this process. Normal: milliseconds, and in proportion to the recipients.",
					published.quantiles()...).limits(warn(s.limits["fanout_seconds"])).above(0).sized(8, 8).alerting("WebSocketFanoutLagging"),
				heat(3, "Fan-out Durations", "The same, message by message. A second band far above is a large room.", published.cells()...).sized(8, 8),
				series(4, "Recipients of a Message", "short", "Connections that a published message was handed to. Normal: the size of rooms.",
					ask("p50", recipients.quantile("0.50", "")), ask("p99", recipients.quantile("0.99", "")),
					ask("average", "("+recipients.total("")+")\n/\n(("+recipients.observations("")+") > 0)")).above(0),
				series(5, "Messages Published and Handed Over", "cps", "Published messages in a second, and the messages to single connections that they become. Normal: both have the same shape. What grows faster than what is published is rooms.",
					ask("published {{"+s.NamespaceLabel+"}}", published.observations(s.NamespaceLabel)),
					ask("handed over {{"+s.NamespaceLabel+"}}", recipients.total(s.NamespaceLabel))).above(0),
			}},
			{6, "What waits?", []panel{
				series(7, "Fullest Send Queue", "percentunit", "How full the fullest queue of any connection is. Normal: below a half. At 100% messages are dropped or the connection is closed, as the service has chosen.",
					ask("{{instance}} {{"+s.NamespaceLabel+"}}", aggregate("max", "instance, "+s.NamespaceLabel, s.endpoint("send_queue_max_ratio")))).
					limits(warn(0.5), bad(s.limits["queue_ratio"])).toOne(0).sized(8, 8).alerting("WebSocketSendQueueSaturated"),
				series(8, "Messages in Send Queues", "short", "Messages that wait for all connections together: memory, and how far clients are behind. Normal: close to zero. One full queue and this low is one slow client; both high is too much traffic.",
					ask("{{instance}} {{"+s.NamespaceLabel+"}}", sum("instance, "+s.NamespaceLabel, s.endpoint("send_queue_messages")))).above(0).sized(8, 8).alerting("WebSocketSendQueueSaturated"),
				series(9, "Oldest Message in a Queue", "s", "How far the client is behind that is furthest behind. Normal: well below a second. The live console says which one it is.",
					ask("{{instance}} {{"+s.NamespaceLabel+"}}", aggregate("max", "instance, "+s.NamespaceLabel, s.endpoint("send_queue_oldest_seconds")))).above(0).sized(8, 8).alerting("WebSocketDeliveryLatencyErrorBudgetBurn"),
				series(10, "Dropped for Slow Clients", "percentunit", "Messages that were dropped because a queue was full or its client too slow, of all that were to be sent. Normal: 0.",
					ask(endpoint, rate(byEndpoint, s.endpoint("messages_dropped_total", `reason=~"queue_full|slow_consumer"`))+"\n/\n("+rate(byEndpoint, s.endpoint("messages_total", `direction="transmit"`))+" > 0)")).
					limits(bad(s.limits["queue_drop_share"])).above(0).sized(6, 8).alerting("WebSocketSendQueueSaturated", "WebSocketDeliveryErrorBudgetBurn"),
				series(11, "Slow Consumers Closed", "short", "Connections that were closed within ten minutes because their clients read too slowly. Normal: 0, and single ones on bad networks.",
					ask(endpoint, sum(byEndpoint, "increase("+s.endpoint("disconnections_total", `reason="slow_consumer"`)+"[10m])"))).
					limits(warn(s.limits["slow_count"])).above(0).sized(6, 8).alerting("WebSocketSlowConsumers"),
				series(17, "Slow Connections", "short", "Connections for which a message has waited in the send queue for longer than a second. Normal: few, on bad networks. If most connections are slow, it is the service or its network.",
					ask("{{instance}} {{"+s.NamespaceLabel+"}}", sum("instance, "+s.NamespaceLabel, s.endpoint("slow_connections")))).above(0).sized(6, 8).alerting("WebSocketFewConnectionsSlow"),
				series(18, "Waiting for Slow Connections", "percentunit", "Messages that wait for slow connections, of all that wait. Close to 100% with few slow connections, late messages are the fault of these clients. Normal: empty, nothing waits.",
					ask(endpoint, sum(byEndpoint, s.endpoint("slow_connection_messages"))+"\n/\n("+sum(byEndpoint, s.endpoint("send_queue_messages"))+" > 0)")).
					limits(warn(s.limits["behind_share"])).toOne(0).sized(6, 8).alerting("WebSocketFewConnectionsSlow"),
			}},
			{12, "Do instances hear each other?", []panel{
				series(13, "Backplane Up", "short", "Whether an instance is connected to the backplane (1) or not (0). Normal: 1. At 0 its users and those of other instances do not hear each other.",
					ask("{{instance}} {{backplane}}", aggregate("min", "instance, backplane", s.endpoint("backplane_up")))).
					limits(good(1)).toOne(0).rounded().alerting("WebSocketBackplaneDown"),
				series(14, "Backplane Lag", "s", "From publishing a message on one instance to its delivery on another. Normal: milliseconds. Negative or odd values are clocks that differ.",
					lag.quantiles()...).limits(warn(s.limits["lag_seconds"])).above(0).alerting("WebSocketBackplaneLagging"),
				series(15, "Backplane Messages", "cps", "Messages between instances in a second, by direction and by what became of them. Normal: all ok, and as many received by each instance as the others publish.",
					ask("{{direction}} {{result}}", rate("direction, result", s.endpoint("backplane_messages_total")))).above(0),
				series(16, "Lost Between Instances", "percentunit", "Messages between instances that failed or were dropped, of all. Normal: 0. dropped points to an instance that cannot keep up, error to the backplane.",
					ask(endpoint+" {{backplane}}", between(`result=~"error|dropped"`)+"\n/\n("+between()+" > 0)")).
					limits(bad(s.limits["losing_share"])).above(0).alerting("WebSocketBackplaneLosing"),
			}},
		},
	}
}
