package dashboards

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func (s service) probes() board {
	const day = 24 * 60 * 60 // seconds
	probe := func(metric string) string {
		return s.labelled("websocket_"+metric, s.within("job", "target")...)
	}
	durations := s.histogram("websocket_probe_duration_seconds", s.within("job", "target")...)
	delivery := s.histogram("websocket_probe_duration_seconds", append([]string{`phase="delivery"`}, s.within("job", "target")...)...)
	of := func(record string) string {
		return kept(record + "{" + joined(append([]string{`slo="availability"`}, s.within("job", "target")...)...) + "}")
	}
	return board{
		file: "probes.json", uid: "sockscope-probes", title: "Probes",
		about: "The service as a user feels it: sockscope probe connects, asks and sends a message through the service all the time.",
		variables: []dashboard.VariableModel{
			s.labelVariable("Probe", "job", s.labelled("websocket_probe_success")),
			s.labelVariable("Target", "target", s.labelled("websocket_probe_success", s.within("job")...)),
		},
		alerts: `alertname=~"WebSocketProbe.*", job=~"$job"`,
		rows: []row{
			{1, "Is it available?", []panel{
				number(2, "Probes That Succeed Now", "percentunit", "Probes of the last minute that connected, got an answer and saw their message delivered. Normal: 100%.",
					ask("{{target}}", "avg by (target) (avg_over_time("+probe("probe_success")+"[1m]))")).limits(warn(s.limits["probe_success"]), good(0.99)).toOne(0).sized(5, 6).alerting("WebSocketProbeFailing"),
				number(3, "Availability", "percentunit", "Probes that succeeded in the range of time that is shown. Normal: above the objective.",
					ask("{{target}}", "avg by (target) (avg_over_time("+probe("probe_success")+"[$__range]))")).limits(warn(0.99), good(s.objectives["availability"])).toOne(0).sized(5, 6).alerting("WebSocketProbeErrorBudgetBurn"),
				number(4, "Availability Budget Left", "percentunit", "The part of the error budget of 30 days that is left. Normal: above zero.",
					ask("{{target}}", "min by (target) ("+of("slo:period_error_budget_remaining:ratio")+")")).limits(warn(0), good(0.25)).sized(5, 6).alerting("WebSocketProbeErrorBudgetBurn"),
				number(5, "Delivery Now (p90)", "s", "Nine of ten messages arrived faster than this, within five minutes. Normal: well below a second.",
					ask("{{target}}", "max by (target) (job_target:websocket_probe_delivery_seconds:p90_5m{"+joined(s.within("job", "target")...)+"})")).limits(bad(s.limits["probe_seconds"])).sized(5, 6).alerting("WebSocketProbeSlow"),
				number(13, "Certificate Expires In", "s", "How long the first certificate is still valid of those that the target presents. Normal: weeks. No data: the target has no TLS.",
					ask("{{target}}", "min by (target) ("+probe("probe_certificate_expiry_timestamp_seconds")+" - time())")).
					limits(warn(s.limits["certificate_days_critical"]*day), good(s.limits["certificate_days"]*day)).sized(4, 6).alerting("WebSocketCertificateExpiring"),
			}},
			{6, "What fails?", []panel{
				series(7, "Probes by Result", "cps", "Probes in a second, by the phase that failed, or success. Normal: success. connect is the handshake, echo is an answer of the service, delivery is a message from one user to another.",
					ask("{{result}}", rate("result", probe("probes_total")))).stacked().above(0).alerting("WebSocketProbeFailing", "WebSocketProbeErrorBudgetBurn"),
				series(8, "Success by Target and Probe", "percentunit", "Probes that succeeded within a minute. Normal: 100%. If one probe of several fails, it is the way from there.",
					ask("{{target}} {{instance}}", "avg by (target, instance) (avg_over_time("+probe("probe_success")+"[1m]))")).limits(bad(s.limits["probe_success"])).toOne(0).alerting("WebSocketProbeFailing"),
			}},
			{9, "How long does it take?", []panel{
				series(10, "Probe Duration by Phase (p90)", "s", "How long the phases of probes took that succeeded. Normal: milliseconds. The phase that grows says where to look: connect at handshakes, echo at handling, delivery at fan-out and queues.",
					traced(ask("{{phase}} {{target}}", durations.quantile("0.90", "phase, target")))).limits(bad(s.limits["probe_seconds"])).above(0).alerting("WebSocketProbeSlow"),
				heat(11, "Delivery Through the Service", "How long a message takes from one connection to another, probe by probe. Points lead to the trace of a message.", delivery.cells()...),
				series(12, "Availability Burn Rate", "short", fmt.Sprintf("How many times too fast the error budget of %.4g%% is used up, over five minutes. Normal: below 1.", 100*(1-s.objectives["availability"])),
					ask("{{target}}", of("slo:current_burn_rate:ratio"))).limits(warn(1), bad(14.4)).above(0).sized(24, 6).alerting("WebSocketProbeErrorBudgetBurn"),
			}},
		},
	}
}
