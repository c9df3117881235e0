package mixin

import (
	"fmt"
	"strconv"
)

// An objective is a share of events that are to be good. The alert on it is about how fast its error budget, which is
// for 30 days, is used up.
type objective struct {
	name    string
	target  float64
	by      string // labels that tell apart what has a budget of its own
	bad     func(window string) string
	all     func(window string) string
	fast    float64 // burn rate of the fast pair of windows; 0 for none, where another alert is as fast
	alert   Alert
	minimum int // bad events in a window without which nobody is told
}

// transportObjectives are those of each transport.
func transportObjectives() []objective {
	const failed = `$P_connections_total{status=~"error|over_capacity"}`
	const undelivered = `$P_messages_dropped_total{reason!~"closed|superseded"}`
	return []objective{{
		name: "connections", target: 0.999, by: "$by", minimum: 10, fast: 100,
		bad: func(w string) string { return "sum by ($by) (" + grown(failed, w) + ")" },
		all: func(w string) string {
			return "sum by ($by) (" + grown(`$P_connections_total{status=~"connected|error|over_capacity"}`, w) + ")"
		},
		alert: Alert{
			Name: "WebSocketConnectionErrorBudgetBurn", Symptom: true, Panel: "Connection Rate",
			Summary:     "Connections to {namespace} fail",
			Description: "{{ $value | humanizePercentage }} of the attempts to connect to {job}/{namespace} fail because of an error in the service or because it is full. At this rate the month's error budget runs out early.",
			Meaning:     "Handshakes fail so often that the month's error budget runs out early. Refused tokens and malformed requests do not count: they are the clients' mistakes.",
			First:       "Check which status and which instances: is it an error in the service, or is it full?",
		},
	}, {
		name: "delivery", target: 0.9995, by: "$by", minimum: 10, fast: 100,
		bad: func(w string) string {
			return `sum by ($by) (` + grown(undelivered, w) + `)`
		},
		all: func(w string) string {
			return `  sum by ($by) (` + grown(undelivered, w) + `)
				+ sum by ($by) (increase($P_messages_total{direction="transmit"}[` + w + `]))`
		},
		alert: Alert{
			Name: "WebSocketDeliveryErrorBudgetBurn", Symptom: true, Panel: "Dropped Messages",
			Summary:     "Messages of {namespace} are not delivered",
			Description: "{{ $value | humanizePercentage }} of the messages that {job}/{namespace} sends to its connections are dropped. At this rate the month's error budget runs out early.",
			Meaning:     "Outbound messages are dropped so often that the month's error budget runs out early. Messages to connections that have closed do not count, and neither do those whose place a newer one has taken.",
			First:       "Check why they are dropped. Full queues and slow consumers point to clients or too much traffic, expired messages to the service.",
		},
	}, {
		name: "delivery_latency", target: 0.99, by: "$by", minimum: 100, fast: 50,
		bad: slower("$by", "$P_delivery_duration_seconds"), all: counted("$by", "$P_delivery_duration_seconds"),
		alert: Alert{
			Name: "WebSocketDeliveryLatencyErrorBudgetBurn", Symptom: true, Panel: "Delivery Time",
			Summary:     "Messages of {namespace} are delivered late",
			Description: "{{ $value | humanizePercentage }} of the messages of {job}/{namespace} wait longer than 250 ms in a send queue before they are written to the socket.",
			Meaning:     "So many messages wait too long in send queues that the month's error budget runs out early.",
			First:       "Check the fullest send queue: is one client slow, or are all?",
		},
	}, {
		// From publishing on, so with the way between instances and the fan-out. The library leaves out connections
		// that were slow before, unless most are: one client that does not read is no outage.
		name: "broadcast_latency", target: 0.99, by: "$by", minimum: 20, fast: 50,
		bad: slower("$by", "$P_broadcast_delivery_duration_seconds"), all: counted("$by", "$P_broadcast_delivery_duration_seconds"),
		alert: Alert{
			Name: "WebSocketBroadcastLatencyErrorBudgetBurn", Symptom: true, Panel: "Time to the Last Recipient",
			Summary:     "What is published to {namespace} reaches its recipients late",
			Description: "{{ $value | humanizePercentage }} of what is published to {job}/{namespace} takes longer than 250 ms until it is written to the last recipient's socket.",
			Meaning:     "Published messages reach their last recipient so late that the month's error budget runs out early. The time counts from publishing, on whichever instance that was.",
			First:       "Find the part that is late: the backplane, the fan-out, or the send queues.",
		},
	}, {
		name: "handling_latency", target: 0.99, by: "$by", minimum: 100, fast: 50,
		bad: slower("$by", "$P_message_duration_seconds"), all: counted("$by", "$P_message_duration_seconds"),
		alert: Alert{
			Name: "WebSocketLatencyErrorBudgetBurn", Symptom: true, Panel: "Message Latency (p50/p95/p99)",
			Summary:     "Messages of {namespace} are handled late",
			Description: "Handling {{ $value | humanizePercentage }} of the messages of {job}/{namespace} takes longer than 250 ms. At this rate the month's error budget runs out early.",
			Meaning:     "Handling takes longer than 250 ms so often that the month's error budget runs out early.",
			First:       "Open a trace from the latency panel: the longest span says what handling waits for.",
		},
	}}
}

// slower counts the observations of a histogram of durations that took longer than 250 ms.
func slower(by, metric string) func(window string) string {
	return func(window string) string {
		return `
				  histogram_count(sum by (` + by + `) (increase(` + metric + `[` + window + `])))
				* (1 - histogram_fraction(0, 0.25, sum by (` + by + `) (increase(` + metric + `[` + window + `]))))
				or
				  sum by (` + by + `) (increase(` + metric + `_count[` + window + `]))
				- sum by (` + by + `) (increase(` + metric + `_bucket{le="0.25"}[` + window + `]))`
	}
}

// counted counts all observations of a histogram.
func counted(by, metric string) func(window string) string {
	return func(window string) string { return Observations(by, metric, "", window) }
}

// userObjectives are those that only users, or what stands in for them, can tell.
func userObjectives() []objective {
	const missing, lag = "websocket_client_missing_messages_total", "websocket_client_event_lag_seconds"
	return []objective{{
		name: "availability", target: 0.999, by: "job, target", minimum: 3,
		bad: func(w string) string {
			return `sum by (job, target) (` + grown(`websocket_probes_total{result!="success"}`, w) + `)`
		},
		all: func(w string) string { return `sum by (job, target) (` + grown(`websocket_probes_total`, w) + `)` },
		alert: Alert{
			Name: "WebSocketProbeErrorBudgetBurn", Symptom: true, Panel: "Availability Burn Rate",
			Summary:     "Probes of {target} fail too often",
			Description: "{{ $value | humanizePercentage }} of the probes of {target} by {job} fail. At this rate the month's error budget runs out early.",
			Meaning:     "Probes fail so often that the month's error budget runs out early.",
			First:       "Check which phase fails: connecting, the answer, or delivery.",
		},
	}, {
		name: "receipt", target: 0.9995, by: "job, client", minimum: 5, fast: 100,
		bad: func(w string) string { return `sum by (job, client) (` + grown(missing, w) + `)` },
		all: func(w string) string {
			return `  sum by (job, client) (` + grown(missing, w) + `)
				+ (` + Observations("job, client", lag, "", w) + `)`
		},
		alert: Alert{
			Name: "WebSocketClientErrorBudgetBurn", Symptom: true, Panel: "Client Connected",
			Summary:     "{client} does not get all events",
			Description: "{{ $value | humanizePercentage }} of the events for {client} of {job} are missing. At this rate the month's error budget runs out early.",
			Meaning:     "A client misses so many events that the month's error budget runs out early.",
			First:       "Compare with other clients of the same stream: are the events missing at the source, or on the path to this client?",
		},
	}, {
		name: "receipt_latency", target: 0.99, by: "job, client", minimum: 20, fast: 50,
		bad: slower("job, client", lag), all: counted("job, client", lag),
		alert: Alert{
			Name: "WebSocketClientLatencyErrorBudgetBurn", Symptom: true, Panel: "Event Lag",
			Summary:     "{client} gets events late",
			Description: "{{ $value | humanizePercentage }} of the events for {client} of {job} arrive later than 250 ms after they happened, by the server's clock. At this rate the month's error budget runs out early.",
			Meaning:     "A client receives events so late that the month's error budget runs out early. The age of an event is taken from the server's clock and the client's.",
			First:       "Compare with other clients of the same stream: if all are late, it is the source. Otherwise it is the path to this client, or its clock.",
		},
	}}
}

const (
	badEvents = "slo:bad_events:increase"
	allEvents = "slo:events:increase"
)

// sloGroups returns the rules of objectives: first those that page, then those that can wait, then what is left of the
// budgets. Long windows are made of what the first group records, so that days of samples are not read every few
// seconds.
func (c Config) sloGroups(name string, objectives []objective) []Group {
	page := Group{Name: name + "-slo", Interval: "5s", About: "How fast error budgets are used up: what somebody is paged for."}
	ticket := Group{Name: name + "-slo-slow", Interval: "1m", About: "How fast error budgets are used up: what can wait until morning."}
	budget := Group{Name: name + "-slo-budget", Interval: "10m", About: "What is left of error budgets, for dashboards."}
	for _, o := range objectives {
		target := c.target(o)
		labels := map[string]string{"slo": o.name}
		number := func(v float64) string { return strconv.FormatFloat(v, 'g', 10, 64) }
		is := `{slo="` + o.name + `"}`
		if name == "$P" {
			labels["transport"] = name
			is = `{slo="` + o.name + `", transport="$P"}`
		}
		// burning is a pair of windows in both of which the budget is used up so many times too fast.
		burning := func(factor float64, long, short string) string {
			limit := number(factor * (1 - target))
			return fmt.Sprintf(`(
				  %[1]s%[3]s%[5]s / %[2]s%[3]s%[5]s > %[6]s
				  and
				  %[1]s%[4]s%[5]s / %[2]s%[4]s%[5]s > %[6]s
				  and
				  %[1]s%[3]s%[5]s >= %[7]d
				)`, badEvents, allEvents, long, short, is, limit, o.minimum)
		}
		record := func(to *Group, record, expr string) {
			to.Records = append(to.Records, Record{Name: record, Expr: expr, Labels: labels})
		}
		windows := []string{"5m", "30m", "1h", "6h"}
		pages := burning(14.4, "1h", "5m") + "\nor\n" + burning(6, "6h", "30m")
		if o.fast > 0 {
			windows = append([]string{"30s", "2m"}, windows...)
			pages = burning(o.fast, "2m", "30s") + "\nor\n" + pages
		}
		for _, w := range windows {
			record(&page, badEvents+w, o.bad(w))
			record(&page, allEvents+w, o.all(w))
		}
		for _, w := range []string{"2h", "1d", "3d"} {
			for _, events := range []string{badEvents, allEvents} {
				record(&ticket, events+w, fmt.Sprintf("sum_over_time(%s5m%s[%s:5m])", events, is, w))
			}
		}
		alert := o.alert
		alert.By = []string{o.by}
		alert.KeepFiringFor = "5m"
		alert.Levels = []Level{{Severity: Critical, Expr: pages}}
		page.Alerts = append(page.Alerts, alert)
		alert.Levels = []Level{{Severity: Warning, Expr: burning(3, "1d", "2h") + "\nor\n" + burning(1, "3d", "6h")}}
		alert.KeepFiringFor = "15m"
		ticket.Alerts = append(ticket.Alerts, alert)

		record(&budget, "slo:objective:ratio", "vector("+number(target)+")")
		record(&budget, "slo:error_budget:ratio", "vector("+number(1-target)+")")
		record(&budget, "slo:current_burn_rate:ratio", fmt.Sprintf("%s5m%s / %s5m%s / %s", badEvents, is, allEvents, is, number(1-target)))
		record(&budget, "slo:period_error_budget_remaining:ratio", fmt.Sprintf(
			"1 - sum_over_time(%s5m%s[30d:5m]) / sum_over_time(%s5m%s[30d:5m]) / %s", badEvents, is, allEvents, is, number(1-target)))
	}
	return []Group{page, ticket, budget}
}

// Objectives returns the share of good events that each SLO is to have, by its name.
func Objectives(c Config) map[string]float64 {
	targets := make(map[string]float64)
	for _, o := range append(transportObjectives(), userObjectives()...) {
		targets[o.name] = c.target(o)
	}
	return targets
}

func (c Config) target(o objective) float64 {
	if own, ok := c.Objectives[o.name]; ok {
		return own
	}
	return o.target
}
