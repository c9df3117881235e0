package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

func (s service) onCall() board {
	labels := "severity, alertname, job, " + s.NamespaceLabel + ", instance"
	about := `job=~"$job|"`
	fired := aggregate("max", "alertname", firing(about))
	latency := s.histogram("alertmanager_notification_latency_seconds")
	return board{
		file: "oncall.json", uid: "sockscope-oncall", title: "Drills and on-call",
		about:     "Which alerts fire, who is told, and how long it takes. During a drill (sockscope drill), this shows how soon the fault is seen.",
		variables: []dashboard.VariableModel{s.labelVariable("Service", "job", "ALERTS")},
		alerts:    about,
		rows: []row{
			{1, "Which alerts fire?", []panel{
				number(2, "Pages", "short", "Alerts that fire and page somebody. Normal: 0.",
					ask("", "count("+firing(`severity="critical", `+about)+") or vector(0)")).limits(bad(1)),
				number(3, "Warnings", "short", "Alerts that fire and can wait. Normal: 0.",
					ask("", "count("+firing(`severity="warning", `+about)+") or vector(0)")).limits(warn(1)),
				number(4, "Pending", "short", "Conditions that hold, but not yet for long enough. Normal: 0, and some in the first minutes after a start.",
					ask("", `count(ALERTS{alertstate="pending", `+about+`}) or vector(0)`)),
				number(5, "Silences", "short", "Silences that are in force. Normal: few, and none that nobody remembers.",
					ask("", "sum("+s.labelled("alertmanager_silences", `state="active"`)+") or vector(0)")),
				number(6, "Notifications That Fail", "short", "Notifications that failed within an hour, over all channels. Normal: 0. If there are any, somebody was not told.",
					ask("", "sum(increase("+s.labelled("alertmanager_notifications_failed_total")+"[1h])) or vector(0)")).limits(bad(1)).rounded().alerting("NotificationsFailing"),
				number(7, "Heartbeat", "short", "Whether the alert that always fires does. Normal: 1. If it stops, the dead man's switch calls.",
					ask("", `count(ALERTS{alertname="Watchdog", alertstate="firing"}) or vector(0)`)).limits(good(1)).toOne(0).alerting("Watchdog"),
				list(8, "Alerts and How Long They Fire", "Alerts that fire, and for how many seconds their condition has held. A click on a name opens its runbook. Normal: empty.",
					ask("", "time() - max by ("+labels+") (ALERTS_FOR_STATE{"+about+"})\nand on (alertname, job, "+s.NamespaceLabel+", instance)\nmax by (alertname, job, "+s.NamespaceLabel+", instance) ("+firing(about)+")"), "seconds").
					linking("alertname", "Runbook", s.RunbookURL+"${__value.text}.md"),
				series(9, "Alerts Over Time", "short", "Alerts that fire, by name. Normal: empty. The first one is often closest to the cause. During a drill, only the alerts of its fault should be here.",
					ask("{{alertname}}", "count by (alertname) ("+firing(about)+")")).stacked().above(0),
			}},
			{10, "Are people told?", []panel{
				series(11, "Notifications by Channel", "short", "Notifications within five minutes, by channel. Normal: as many as alerts begin and end.",
					ask("{{integration}}", sum("integration", "increase("+s.labelled("alertmanager_notifications_total")+"[5m])"))).above(0).sized(8, 8),
				series(12, "Failed Notifications by Channel", "short", "Notifications within five minutes that failed, by channel and reason. Normal: 0.",
					ask("{{integration}} {{reason}}", sum("integration, reason", "increase("+s.labelled("alertmanager_notifications_failed_total")+"[5m])"))).limits(bad(2)).above(0).sized(8, 8).alerting("NotificationsFailing"),
				series(13, "Time to Notify (p99)", "s", "How long the receiver of a notification took to accept it. Normal: below a second.",
					ask("{{integration}}", latency.quantile("0.99", "integration"))).above(0).sized(8, 8),
			}},
			{14, "Which alerts cost most sleep?", []panel{
				bars(15, "Time Spent Firing", "The share of the range of time in which an alert fired, for the ten that fired longest. Normal: empty. An alert that fires all the time is no alarm: mend the cause, or change its threshold.",
					ask("{{alertname}}", "topk(10, count_over_time(("+fired+")[$__range:1m]) / scalar(count_over_time(vector(1)[$__range:1m])))")).toOne(0).sized(12, 8),
				series(16, "Way to Alertmanager", "short", "Alertmanagers that Prometheus knows, and alerts that it could not send within five minutes. Normal: at least 1, and 0 errors.",
					ask("known", "min("+s.labelled("prometheus_notifications_alertmanagers_discovered")+")"),
					ask("errors", "sum(increase("+s.labelled("prometheus_notifications_errors_total")+"[5m]))")).above(0).alerting("PrometheusNotConnected"),
			}},
		},
	}
}
