package mixin

import (
	"strings"
	"time"
)

const (
	chatA = `namespace="chat", instance="a"`
	chatB = `namespace="chat", instance="b"`
)

// Situations returns everything that the rules are tested with.
func Situations() []Situation {
	var all []Situation
	for _, some := range [][]Situation{
		breaking(), collapsing(), gettingIn(), falling(), slow(), failing(), saturating(), clients(), probing(), processes(), pipeline(), budgets(), everyday(), cutting(), holdingBack(), stores(), logging(), unlikely(),
	} {
		all = append(all, some...)
	}
	return append(all, boundaries()...)
}

const (
	abnormal = `initiator="network", reason="abnormal"`
	sent     = `direction="transmit"`
	heard    = `direction="receive"`
)

// unlikely has services be what the usual expressions do not expect.
func unlikely() []Situation {
	const handling = "websocket_message_duration_seconds"
	return []Situation{
		serviceOf(10, "a").drop(handling, "").add(classic, handling, `job="demo", namespace="chat", instance="a"`, "5m:0.02@0.01 5s:0.2@1.5 *:0.02@0.01").
			lasting("one message is slow in a quiet night", 12*minute, at("6m"), at("9m")).near("WebSocketLatencyHigh"),
		serviceOf(20000, "a").
			lasting("20,000 connections, as always", 55*minute, at("50m")).every(15 * time.Second).near("ActiveConnectionsSpiking"),
	}
}

// budgets has error budgets be used up slowly.
func budgets() []Situation {
	const tried = "websocket_connections_total"
	failing := func(rate string) *world {
		return service("a").set(tried, `status="connected"`, "*:10").set(tried, `status="error"`, rate)
	}
	const burn = "WebSocketConnectionErrorBudgetBurn"
	return []Situation{
		failing("2h:0 *:0.2").lasting("2% of the handshakes fail", 220*minute, at("119m"), at("145m", burn+"/warning"), at("3h30m", burn+"/critical", burn+"/warning")).every(minute),
		failing("3h:0 *:0.08").lasting("0.8% of the handshakes fail", 10*time.Hour, at("5h", burn+"/warning"), at("9h30m", burn+"/critical", burn+"/warning")).every(minute),
		failing("*:0.04").lasting("0.4% of the handshakes fail", 3*time.Hour, at("2h30m", burn+"/warning")).every(minute),
		failing("4h:0.015 *:0").lasting("0.15% of the handshakes fail for four hours", 7*time.Hour, at("3h50m", burn+"/warning"), at("6h50m")).every(minute),
		failing("*:0.007").lasting("0.07% of the handshakes fail", 7*time.Hour, at("6h30m")).every(minute).near(burn),
		service("a").set(tried, `status="connected"`, "*:0.02").set(tried, `status="error"`, "2h:0 +6 *:0").
			lasting("six handshakes fail on a quiet day", 5*time.Hour, at("2h20m"), at("4h")).every(minute).near(burn),
		nothing().add(counter, "websocket_probes_total", `job="probe", instance="a", target="eu", result="success"`, "*:0.2").
			add(counter, "websocket_probes_total", `job="probe", instance="a", target="eu", result="echo"`, "2h:0 *:0.004").
			lasting("2% of the probes fail", 220*minute, at("119m"), at("3h30m", "WebSocketProbeErrorBudgetBurn/critical", "WebSocketProbeErrorBudgetBurn/warning")).every(minute),
		nothing().add(counter, "websocket_probes_total", `job="probe", instance="a", target="eu", result="success"`, "*:0.2").
			add(counter, "websocket_probes_total", `job="probe", instance="a", target="eu", result="echo"`, "2h:0 +2 *:0").
			lasting("two probes fail", 3*time.Hour, at("2h15m"), at("2h50m")).every(minute).near("WebSocketProbeErrorBudgetBurn"),
	}
}

// everyday is what is no fault at all.
func everyday() []Situation {
	return []Situation{
		service("a", "b").lasting("nothing happens", 20*minute, at("5m"), at("20m")).exactly(),
		service("a").set("websocket_disconnections_total", `reason="normal"`, "*:20").set("websocket_connections_total", `status="connected"`, "*:20").
			lasting("short sessions that end well, at any rate", 14*minute, at("13m")).exactly().near("HighConnectionDropRate", "WebSocketAbnormalCloseRatioHigh"),
		service("a").each("", func(old string) string { return strings.ReplaceAll(old, "*", "5m") }).
			lasting("Prometheus is away for three minutes", 5*minute, at("5m")).exactly(),
		service("a", "b").each("", func(old string) string { return "10m:" + old[2:] + " =0 " + old }).set("process_start_time_seconds", "", "10m:-1000000 *:600").
			lasting("all counters begin anew", 20*minute, at("10m"), at("10m10s"), at("11m"), at("14m"), at("20m")).exactly().
			near("HighConnectionDropRate", "WebSocketReconnectStorm", "WebSocketConnectionErrorBudgetBurn", "WebSocketDeliveryErrorBudgetBurn"),
		service("a", "b").set("websocket_active_connections", "", "6h:500..150 12h:150..500 *:500").
			lasting("day and night", 26*time.Hour, at("6h"), at("12h"), at("18h"), at("26h")).exactly().every(5*minute).near("WebSocketConnectionsCollapsed", "ActiveConnectionsSpiking"),
		nothing().lasting("no metrics at all", 30*minute, at("30m")).every(30 * time.Second),
	}
}
