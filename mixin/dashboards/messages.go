package dashboards

import "fmt"

// late is the share of events that are worse than an objective allows, from what rules record.
func (s service) late(slo string) string {
	is := fmt.Sprintf(`slo=%q, transport="$transport"`, slo)
	return "1 - " + s.recorded("slo:bad_events:increase5m", is) + "\n/\n(" + s.recorded("slo:events:increase5m", is) + " > 0)"
}

func (s service) messages() board {
	handling := s.endpointHistogram("message_duration_seconds")
	delivery := s.endpointHistogram("delivery_duration_seconds")
	size := s.endpointHistogram("message_size_bytes")
	byEndpoint := "job, " + s.NamespaceLabel
	endpoint := "{{job}} {{" + s.NamespaceLabel + "}}"
	failing := s.recorded("job_namespace:${transport}_handling_errors:increase2m")
	age := func(by string) string {
		newest := s.endpoint("last_message_timestamp_seconds")
		return aggregate("min", by, "timestamp("+newest+") - "+newest)
	}
	return board{
		file: "messages.json", uid: "sockscope-messages", title: "Messages and latency",
		about:     "Whether messages are handled and delivered, how fast, and how many there are.",
		variables: s.endpointVariables(),
		alerts:    s.aboutEndpoint(),
		rows: []row{
			{1, "Are they handled in time?", []panel{
				series(2, "Handled Within 250 ms", "percentunit", "Received messages that are handled within 250 ms, of the last five minutes. Normal: above the objective, which is the line.",
					ask(endpoint, s.late("handling_latency"))).limits(good(s.objectives["handling_latency"])).toOne(0).alerting("WebSocketLatencyErrorBudgetBurn"),
				series(3, "Message Latency by Type (p99)", "s", "How long handling takes, by the type of the message: 99 of a hundred are faster. Points are single messages: open one to see its trace. Normal: below a second. If one type stands out, it is its handler; if all do, it is what they share.",
					traced(ask("{{type}}", handling.quantile("0.99", "type")))).limits(bad(s.limits["latency_seconds"])).above(0).alerting("WebSocketLatencyHigh"),
				heat(4, "Handling Times", "How long handling took, message by message: the brighter, the more. Two bands are two kinds of messages, or a cache that is missed. Points are single messages with a trace.",
					handling.cells()...).alerting("WebSocketLatencyHigh"),
				series(5, "Time Spent in Handlers", "short", "How many messages are being handled at a time, on average, by type: rate times duration. Normal: far below the number of processors if handlers compute, more if they wait.",
					ask("{{type}}", handling.total("type"))).stacked().above(0),
			}},
			{6, "Do they fail?", []panel{
				series(7, "Handling That Fails", "percentunit", "Messages whose handling ends in an error, a panic or a timeout, of those received within two minutes. Normal: below 1%.",
					ask(endpoint, failing+"\n/ on ("+byEndpoint+")\n("+s.recorded("job_namespace:${transport}_messages_received:increase2m")+" > 0)")).
					limits(warn(s.limits["failing_share"]), bad(s.limits["failing_share_critical"])).above(0).alerting("WebSocketHandlingFails"),
				series(8, "Errors by Kind and Instance", "cps", "Errors in a second, by what failed and where. Normal: empty, or single read errors. If one instance stands out, it is that instance; if all do, it is the code or what they share.",
					ask("{{kind}} {{instance}}", rate("kind, instance", s.endpoint("errors_total"))+" > 0")).above(0).alerting("WebSocketHandlingFails", "WebSocketPanics"),
			}},
			{9, "Are they delivered?", []panel{
				series(10, "Delivered Within 250 ms", "percentunit", "Outbound messages that are written to the socket within 250 ms, of the last five minutes. Normal: above the objective, which is the line.",
					ask(endpoint, s.late("delivery_latency"))).limits(good(s.objectives["delivery_latency"])).toOne(0).sized(8, 8).alerting("WebSocketDeliveryLatencyErrorBudgetBurn"),
				series(11, "Delivery Time", "s", "From the send queue to the socket: half, 95 and 99 of a hundred are faster. Normal: milliseconds. It grows when clients read slowly, or when more is sent than the network takes.",
					delivery.quantiles()...).limits(warn(0.25)).above(0).sized(8, 8).alerting("WebSocketDeliveryLatencyErrorBudgetBurn"),
				heat(12, "Delivery Times", "How long outbound messages waited, message by message. A second band far above is a few slow clients.", delivery.cells()...).sized(8, 8),
				series(13, "Dropped Messages", "cps", "Outbound messages that were not written, by why. Normal: closed, to connections that have just closed, and superseded, by a newer message. queue_full and slow_consumer point to clients that do not keep up, expired to the service.",
					ask("{{reason}}", rate("reason", s.endpoint("messages_dropped_total")))).above(0).sized(8, 8).alerting("WebSocketDeliveryErrorBudgetBurn"),
				series(14, "Age of the Newest Message", "s", "How long ago an instance last received or sent anything. Normal: seconds. If nothing is sent and something is received, the producer has stalled.",
					ask("{{instance}} {{direction}}", age("instance, direction"))).limits(bad(45)).above(0).sized(8, 8).alerting("WebSocketSilentStall", "WebSocketSilentInstance"),
				series(15, "Sent, of Received", "short", "Messages sent for each that is received. Normal: steady. It falls when fan-out stops, and rises with the size of rooms.",
					ask(endpoint, rate(byEndpoint, s.endpoint("messages_total", `direction="transmit"`))+"\n/\n("+rate(byEndpoint, s.endpoint("messages_total", `direction="receive"`))+" > 0)")).above(0).sized(8, 8),
			}},
			{16, "How many, how large?", []panel{
				series(17, "Messages per Second", "cps", "Received messages by type, and below zero those sent. Normal: the shape of the day. A type that stops is a producer that has stopped.",
					ask("received {{type}}", rate("type", s.endpoint("messages_total", `direction="receive"`))),
					ask("sent {{type}}", "-"+rate("type", s.endpoint("messages_total", `direction="transmit"`)))).alerting("WebSocketProducerSilent"),
				series(18, "Bytes per Second", "Bps", "Payload of the messages, received and, below zero, sent, before compression. Normal: the shape of the day.",
					ask("received", s.endpointHistogram("message_size_bytes", `direction="receive"`).total("")),
					ask("sent", "-("+s.endpointHistogram("message_size_bytes", `direction="transmit"`).total("")+")")),
				series(19, "Message Size (p99)", "bytes", "The size that 99 of a hundred messages stay below. Normal: steady. A step is another client or another format.",
					ask("{{direction}}", size.quantile("0.99", "direction"))).above(0),
				series(20, "Messages per Connection", "cps", "Messages in a second for each open connection. Normal: steady. If it rises, clients or rooms have changed, not their number.",
					ask("{{direction}}", rate("direction", s.endpoint("messages_total"))+"\n/ on () group_left ()\n("+sum("", s.endpoint("active_connections"))+" > 0)")).above(0),
			}},
			{21, "Log records", []panel{
				series(23, "Panics in Log Records", "short", "Log records within ten minutes that tell of a panic, or of an exception that nobody caught. Normal: 0.",
					ask("{{job}}", sum("job", "increase("+s.labelled("sockscope_log_panics_total", s.within("job")...)+"[10m])"))).limits(bad(1)).above(0).sized(8, 8).alerting("LogPanics"),
				series(24, "Repetitions of an Error", "short", "How often a service has logged the same error without a pause of a minute. Normal: single ones.",
					ask("{{job}}", aggregate("max", "job", s.labelled("sockscope_log_repetitions", s.within("job")...)))).limits(warn(s.limits["repetition_count"])).above(0).sized(8, 8).alerting("LogErrorRepeating"),
				series(25, "Connections of the Busiest Client", "short", "How often one client has connected without a pause of a minute, from log records. Normal: once.",
					ask("{{job}}", aggregate("max", "job", s.labelled("sockscope_log_client_connections", s.within("job")...)))).limits(warn(s.limits["reconnection_count"])).above(0).sized(8, 8).alerting("LogClientReconnecting"),
				s.records(22, "Records of Failed and Slow Messages", "Messages whose handling failed or was slow, and panics, newest first.", "message failed|message slow|panic|connection error"),
			}},
		},
	}
}
