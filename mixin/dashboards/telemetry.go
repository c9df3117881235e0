package dashboards

import (
	"slices"

	"github.com/sockscope/sockscope/mixin"
)

func (s service) telemetry() board {
	perSecond := func(by, metric string, matchers ...string) string { return rate(by, s.labelled(metric, matchers...)) }
	collector := func(by, counter string) string {
		return sum(by, mixin.Rates(window, mixin.Signals(counter, s.Selector)...))
	}
	lost := append(mixin.Signals("exporter_send_failed", s.Selector), s.labelled("sockscope_store_refused_items_total"))
	refused := []string{s.labelled("sockscope_refused_data_points_total"), s.labelled("sockscope_refused_log_records_total")}
	asked := perSecond("instance", "jaeger_storage_requests_total", `operation!="get_trace"`)
	return board{
		file: "telemetry.json", uid: "sockscope-telemetry", title: "Telemetry path",
		about:     "Whether you can trust the other dashboards: telemetry arrives, is stored, and alerts are evaluated.",
		variables: nil,
		alerts:    `alertname=~"Telemetry.*|TraceStore.*|Notifications.*|Prometheus.*|Alertmanager.*|Log.*"`,
		rows: []row{
			{1, "Can I trust this screen?", []panel{
				number(2, "Alerting Works", "short", "Whether the alert that always fires does. Normal: 1. If there is no data, Prometheus evaluates no rules.",
					ask("", `count(ALERTS{alertname="Watchdog", alertstate="firing"}) or vector(0)`)).limits(good(1)).toOne(0).alerting("Watchdog"),
				number(3, "Targets That Answer", "percentunit", "Instances that answer when they are scraped, of all that should. Normal: 100%.",
					ask("", "avg("+s.labelled("up")+")")).limits(warn(0.9), good(1)).toOne(0).alerting("RealtimeTargetDown"),
				number(4, "Age of the Newest Sample", "s", "How old the newest sample of the slowest service is. Normal: below 15 s. If it grows, the dashboards show the past.",
					ask("", "max(time() - max by (job) (timestamp("+s.labelled("up")+")))")).limits(warn(15), bad(60)).rounded(),
				number(5, "Refused or Lost", "cps", "Metrics, spans and log records in a second that were refused, or that no store took. Normal: 0.",
					ask("", sum("", mixin.Rates(window, slices.Concat(refused, lost)...))+" or vector(0)")).
					limits(bad(0.0001)).alerting("TelemetryRefused", "TelemetryLost"),
				number(6, "Fullest Queue", "percentunit", "How full the fullest queue of the Collector is. Normal: close to zero. A store that is away fills it.",
					ask("", "max("+s.labelled("otelcol_exporter_queue_size")+" / "+s.labelled("otelcol_exporter_queue_capacity")+")")).limits(warn(0.5), bad(0.8)).toOne(0),
				number(7, "Rules That Fail", "short", "Evaluations of rules that failed or were left out within five minutes. Normal: 0. Those alerts cannot fire.",
					ask("", "sum(increase("+s.labelled("prometheus_rule_evaluation_failures_total")+"[5m])) + sum(increase("+s.labelled("prometheus_rule_group_iterations_missed_total")+"[5m])) or vector(0)")).limits(bad(1)).rounded().alerting("PrometheusRulesFailing"),
			}},
			{8, "Which data does not arrive?", []panel{
				series(25, "Telemetry Refused or Lost", "cps", "Data of senders that cannot be stored, by job and reason, and data that stores refused or that the Collector could not deliver, by exporter. Normal: 0.",
					ask("{{job}} {{reason}}", sum("job, reason", mixin.Rates(window, refused...))+" or vector(0)"),
					ask("{{exporter}} {{service}}", sum("exporter, service", mixin.Rates(window, lost...)))).
					above(0).alerting("TelemetryRefused", "TelemetryLost", "TelemetryLabelOverflow", "TelemetryLogsDropped", "TraceStoreErrors"),
				series(26, "Telemetry Waiting", "percentunit", "How full the queues of the Collector are. Normal: close to zero. A store that is away fills its queue. Data that does not fit is lost.",
					ask("{{exporter}} {{data_type}}", "max by (exporter, data_type) ("+s.labelled("otelcol_exporter_queue_size")+" / "+s.labelled("otelcol_exporter_queue_capacity")+")")).
					limits(warn(0.5), bad(0.8)).toOne(0),
				series(9, "Accepted", "cps", "Metrics, spans and log records that the Collector takes in a second, by receiver. Normal: steady. At zero, nobody sends.",
					ask("{{receiver}}", collector("receiver", "receiver_accepted"))).above(0).sized(8, 8),
				series(10, "Stored", "cps", "Metrics, spans and log records that the Collector hands to stores in a second. Normal: in proportion to what it accepts.",
					ask("{{exporter}}", collector("exporter", "exporter_sent"))).above(0).sized(8, 8),
				series(11, "Refused by the Collector", "cps", "Data that the Collector refused for want of memory. Senders send it again. Normal: 0.",
					ask("{{receiver}}", collector("receiver", "receiver_refused"))).above(0).sized(8, 8),
			}},
			{12, "Which data do services not send?", []panel{
				series(13, "Log Records by Result", "cps", "Log records of services, by whether they were delivered. Normal: sent. dropped points to a full queue, failed to a Collector that refuses them.",
					ask("{{job}} {{result}}", perSecond("job, result", "sockscope_log_records_total"))).above(0).sized(8, 8).alerting("TelemetryLogsDropped"),
				series(14, "Spans by Result", "cps", "Spans of services, by whether they were delivered. Normal: sent. Traces are a sample: the panel beside this one counts the rest.",
					ask("{{job}} {{result}}", perSecond("job, result", "sockscope_spans_total"))).above(0).sized(8, 8),
				series(15, "Spans Not Made", "cps", "Spans that were not made: ratio is sampling, rate_cap the limit in a second. Normal: in proportion to messages. Slow and failed messages have a span nevertheless.",
					ask("{{job}} {{cause}}", perSecond("job, cause", "sockscope_spans_suppressed_total"))).above(0).sized(8, 8),
				series(16, "Counted as Other", "short", "Values of labels within an hour that are outside of their closed set. Normal: empty. Register the message type, or correct the code.",
					ask("{{job}} {{label}}", sum("job, label", "increase("+s.labelled("sockscope_label_overflow_total")+"[1h])")+" > 0")).above(0).sized(12, 8).alerting("TelemetryLabelOverflow"),
				series(17, "Log Records That Wait", "short", "Log records that services have accepted for export and not delivered. Normal: few.",
					ask("{{job}} {{instance}}", s.labelled("sockscope_log_queue_records"))).above(0).sized(12, 8).alerting("TelemetryLogsDropped"),
			}},
			{18, "Do the stores work?", []panel{
				series(19, "Requests to the Trace Store That Fail", "percentunit", "Requests of Jaeger to its storage that fail. Lookups of a single trace are left out, since a trace that is not there counts as a failure. Normal: 0.",
					ask("{{instance}}", "("+perSecond("instance", "jaeger_storage_requests_total", `operation!="get_trace"`, `result="err"`)+"\nor\n0 * "+asked+")\n/\n("+asked+" > 0)")).
					limits(bad(s.limits["store_share"])).above(0).sized(6, 8).alerting("TraceStoreErrors"),
				series(22, "Requests to the Log Store That Fail", "cps", "Requests to Loki or VictoriaLogs in a second that fail. Normal: 0. If there are any, log records may be missing.",
					ask("Loki {{instance}}", perSecond("instance", "loki_request_duration_seconds_count", `status_code=~"5.."`)),
					ask("VictoriaLogs {{instance}}", perSecond("instance", "vl_http_errors_total"))).above(0).sized(6, 8).alerting("LogStoreErrors"),
				series(20, "Series in Prometheus", "short", "Series that are in memory. Normal: steady, whatever the number of connections. If it climbs, some label has too many values.",
					ask("{{instance}}", s.labelled("prometheus_tsdb_head_series"))).above(0).sized(6, 8),
				series(21, "Settings in Use", "short", "Whether the newest settings were read. Normal: 1. At 0 the old ones are in use, and the next start will fail.",
					ask("Prometheus {{instance}}", s.labelled("prometheus_config_last_reload_successful")), ask("Alertmanager {{instance}}", s.labelled("alertmanager_config_last_reload_successful"))).
					limits(good(1)).toOne(0).rounded().sized(6, 8).alerting("PrometheusConfigBroken"),
			}},
		},
	}
}
