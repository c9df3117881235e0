package mixin

import (
	"strings"
	"time"
)

// clients has consumers of streams have bad streams.
func clients() []Situation {
	const of = `job="bot", instance="a", client="trader"`
	stream := func(metric, spec string) *world {
		return nothing().add(counter, metric, of+`, stream="prices"`, spec).add(gauge, "up", `job="bot", instance="a"`, "*:1")
	}
	reconciled := func(ok, bad string) *world {
		return nothing().add(counter, "websocket_client_reconciliations_total", of+`, trigger="gap", result="ok"`, ok).
			add(counter, "websocket_client_reconciliations_total", of+`, trigger="gap", result="error"`, bad)
	}
	const missing, drift = "websocket_client_missing_messages_total", "websocket_client_drift_total"
	return []Situation{
		nothing().add(gauge, "websocket_client_connected", of, "5m:1 *:0").
			lasting("a client has no connection", 8*minute, at("6m20s"), at("6m50s", "WebSocketClientDisconnected/warning")),
		nothing().add(gauge, "websocket_client_connected", of, "5m:1 1m:0 *:1").
			lasting("a client reconnects", 8*minute, at("5m55s"), at("6m40s")).near("WebSocketClientDisconnected"),
		nothing().add(gauge, "websocket_client_stale", of+`, stream="prices"`, "5m:0 *:1").
			lasting("a stream is stale", 8*minute, at("6m20s"), at("6m50s", "WebSocketClientDataStale/warning")),
		nothing().add(gauge, "websocket_client_stale", of+`, stream="prices"`, "5m:0 1m:1 *:0").
			lasting("a stream is stale for a minute", 8*minute, at("5m55s"), at("6m40s")).near("WebSocketClientDataStale"),
		stream(missing, "5m:0 +8 *:0").add(native, "websocket_client_event_lag_seconds", of+`, stream="prices"`, "*:50@0.05").
			lasting("eight events are missing", 22*minute, at("4m55s"), at("5m10s", "WebSocketSequenceGaps/warning"), at("14m", "WebSocketSequenceGaps/warning"), at("21m")),
		stream(missing, "5m:0 +4 *:0").add(native, "websocket_client_event_lag_seconds", of+`, stream="prices"`, "*:50@0.05").
			lasting("four events are missing", 14*minute, at("6m"), at("13m")).near("WebSocketSequenceGaps"),
		stream(missing, "5m:0 *:5").add(native, "websocket_client_event_lag_seconds", of+`, stream="prices"`, "*:50@0.05").
			lasting("9% of the events are missing", 14*minute, at("7m", "WebSocketSequenceGaps/warning", "WebSocketClientErrorBudgetBurn/critical", "WebSocketClientErrorBudgetBurn/warning")),
		nothing().add(native, "websocket_client_event_lag_seconds", of+`, stream="prices"`, "65m:10@0.05 15s:20@20 *:10@0.05").
			lasting("a client catches up with thirty seconds of events", 75*minute, at("65m15s"), at("67m")).every(15 * second).near("WebSocketClientLatencyErrorBudgetBurn"),
		stream(drift, "5m:0 +4 *:0").
			lasting("four reconciliations find other state", 45*minute, at("4m"), at("6m", "WebSocketReconciliationDrift/warning"), at("30m", "WebSocketReconciliationDrift/warning"), at("44m")).every(30 * time.Second),
		stream(drift, "5m:0 +2 *:0").
			lasting("two reconciliations find other state", 10*minute, at("7m")).near("WebSocketReconciliationDrift"),
		reconciled("*:0", "5m:0 +4 *:0").
			lasting("reconciling fails", 12*minute, at("4m"), at("6m", "WebSocketReconciliationFailing/warning"), at("12m", "WebSocketReconciliationFailing/warning")),
		reconciled("*:0", "5m:0 +2 *:0").lasting("reconciling fails twice", 8*minute, at("7m")).near("WebSocketReconciliationFailing"),
		reconciled("*:0.05", "5m:0 +4 *:0").lasting("reconciling fails four times, and succeeds more often", 8*minute, at("7m")).near("WebSocketReconciliationFailing"),
	}
}

// probing has probes fail.
func probing() []Situation {
	const of = `job="probe", instance="a", target="eu"`
	probe := func(success string) *world {
		return nothing().add(gauge, "websocket_probe_success", of, success).
			add(gauge, "up", `job="probe", instance="a"`, "*:1")
	}
	took := func(k kind, phase, spec string) *world {
		return probe("*:1").add(k, "websocket_probe_duration_seconds", of+`, phase="`+phase+`"`, spec)
	}
	return []Situation{
		probe("5m:1 3m:0 *:1").
			lasting("all probes fail for three minutes", 14*minute, at("5m30s"), at("6m", "WebSocketProbeFailing/critical"), at("8m", "WebSocketProbeFailing/critical"), at("9m", "WebSocketProbeFailing/critical"), at("13m")).exactly(),
		probe("5m:1 25s:0 *:1").
			lasting("the service restarts within 25 seconds", 8*minute, at("5m30s"), at("6m")).near("WebSocketProbeFailing"),
		probe(strings.Repeat("10s:1 5s:0 ", 30)+"*:1").
			lasting("a third of the probes fails", 8*minute, at("5m"), at("7m")).near("WebSocketProbeFailing"),
		probe(strings.Repeat("5s:1 10s:0 ", 30)+"*:1").
			lasting("two thirds of the probes fail", 8*minute, at("5m", "WebSocketProbeFailing/critical")),
		took(native, "delivery", "5m:0.2@0.05 *:0.2@1.5").
			lasting("deliveries take a second and a half", 16*minute, at("9m"), at("14m", "WebSocketProbeSlow/warning")),
		took(classic, "delivery", "5m:0.2@0.05 *:0.2@1.5").
			lasting("deliveries take a second and a half, by classic buckets", 16*minute, at("9m"), at("14m", "WebSocketProbeSlow/warning")),
		took(native, "delivery", "*:0.2@0.7").lasting("deliveries take 700 ms", 14*minute, at("13m")).near("WebSocketProbeSlow"),
		took(native, "connect", "*:0.2@1.5").lasting("connecting takes a second and a half", 14*minute, at("13m")).near("WebSocketProbeSlow"),
		took(native, "delivery", "*:0.05@1.5").lasting("fifteen slow deliveries in five minutes", 14*minute, at("13m")).near("WebSocketProbeSlow"),
		took(native, "delivery", "*:0.09@1.5").lasting("27 slow deliveries in five minutes", 14*minute, at("13m", "WebSocketProbeSlow/warning")),
	}
}
