package drill

import (
	"time"

	"github.com/sockscope/sockscope/internal/desk/inbox"
	"github.com/sockscope/sockscope/internal/load"
)

// Drills are all drills, in the order in which they are run and told of. Those that need a long past come last.
func Drills() []Drill { return append(faults(), controls()...) }

// abrupt is within what time somebody has to be called when something breaks at once.
const abrupt = 90 * time.Second

// Reasons why other alerts fire that several drills share.
const (
	probeFeelsIt = "the probe is a user, too"
	budgetBurns  = "the budget of the month burns as well"
	theyBreak    = "connections break as well"
	theyComeBack = "who was thrown out comes back"
	nobodyGetsIn = "hardly anybody gets in any more"
)

// reasons joins sets of alerts that may fire, too.
func reasons(sets ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, set := range sets {
		for alert, why := range set {
			all[alert] = why
		}
	}
	return all
}

// probing are the alerts of the probe, which feels most of what users do.
func probing() map[string]string {
	return map[string]string{
		"WebSocketProbeFailing":         probeFeelsIt,
		"WebSocketProbeSlow":            probeFeelsIt,
		"WebSocketProbeErrorBudgetBurn": probeFeelsIt,
	}
}

// breaking are the alerts about connections that break, for one reason or another.
func breaking() map[string]string {
	return map[string]string{
		"HighConnectionDropRate":          theyBreak,
		"WebSocketAbnormalCloseRatioHigh": theyBreak,
		"WebSocketReconnectStorm":         theyComeBack,
	}
}

// refusing are the alerts about handshakes that fail.
func refusing() map[string]string {
	return map[string]string{
		"WebSocketConnectionErrorBudgetBurn": budgetBurns,
		"WebSocketConnectionsRefused":        nobodyGetsIn,
	}
}

func faults() []Drill {
	late := demoFault{"backplane_lag", 2000}
	return []Drill{
		{
			Name: "slow_handling", About: "Handling every message takes 1.5 s longer.",
			Faults: []Fault{demoFault{"slow_handling", 1500}},
			Metric: slow, Alert: "WebSocketLatencyHigh", Within: abrupt,
			Also:  reasons(probing(), map[string]string{"WebSocketLatencyErrorBudgetBurn": budgetBurns}),
			Panel: "Message Latency (p50/p95/p99)",
			Trace: &Trace{Exemplars: handling, Span: "websocket.message", Has: map[string]string{"websocket.message.type": ""}, Longer: time.Second},
			Log:   &Log{Message: "message slow", Has: map[string]string{"trace_id": ""}},
		},
		{
			Name: "slow_store", About: "The message store takes 1.5 s longer, and so does every message.",
			Faults: []Fault{demoFault{"slow_store", 1500}},
			Metric: slow, Alert: "WebSocketLatencyHigh", Within: abrupt,
			Also:  reasons(probing(), map[string]string{"WebSocketLatencyErrorBudgetBurn": budgetBurns}),
			Panel: "Message Latency (p50/p95/p99)",
			Trace: &Trace{Exemplars: `websocket_message_duration_seconds{job="sockscope-demo", type="message"}`, Span: "store", Longer: time.Second},
		},
		{
			Name: "mass_disconnect", About: "A tenth of the connections breaks without a close frame, again and again.",
			Faults: []Fault{demoFault{"mass_disconnect", 0.1}},
			Metric: closed("abnormal"), Alert: "HighConnectionDropRate", Within: 2 * time.Minute,
			Also: breaking(), Panel: "Closes by Reason",
			Log:   &Log{Message: "connection closed", Has: map[string]string{"initiator": "network", "reason": "abnormal"}},
			Trace: &Trace{Span: "websocket.close", Has: map[string]string{"websocket.close.reason": "abnormal"}},
		},
		{
			Name: "collapse", About: "All connections break, and none comes back because handshakes fail.",
			Faults: []Fault{demoFault{"handshake_errors", 1}, demoFault{"mass_disconnect", 1}},
			Metric: `sum(websocket_active_connections{job="sockscope-demo"}) < 60`,
			Alert:  "WebSocketConnectionsCollapsed", Within: abrupt,
			Also: reasons(probing(), breaking(), refusing()), Panel: "Active Connections",
			Log:   &Log{Message: "handshake refused"},
			Trace: &Trace{Exemplars: `websocket_handshake_duration_seconds{job="sockscope-demo", status="error"}`, Span: "websocket.handshake", Has: map[string]string{"http.response.status_code": "500"}},
		},
		{
			Name: "reconnect_storm", About: "All connections break and come back at once, again and again.",
			Faults: []Fault{demoFault{"mass_disconnect", 1}}, History: 15 * time.Minute,
			Metric: `sum(rate(websocket_connections_total{job="sockscope-demo"}[1m])) > 5`,
			Alert:  "WebSocketReconnectStorm", Within: abrupt,
			Also: reasons(probing(), breaking(), map[string]string{"WebSocketConnectionsCollapsed": theyBreak}), Panel: "Connection Rate",
			Log:   &Log{Message: "connection opened"},
			Trace: &Trace{Exemplars: `websocket_handshake_duration_seconds{job="sockscope-demo"}`, Span: "websocket.handshake"},
		},
		{
			Name: "cut_at_one_age", About: "A proxy cuts each connection after 15 s.",
			Faults: []Fault{timeout{15 * time.Second, load.Group{Name: "people", Does: load.Idle, Connections: 40, Ramp: 15 * time.Second}}},
			Metric: closed("abnormal"), Alert: "WebSocketConnectionsCutAtOneAge", Within: 12 * time.Minute, Takes: 45 * time.Second,
			Also: breaking(), Panel: "Closes by Reason",
			Log:   &Log{Message: "connection closed", Has: map[string]string{"initiator": "network", "reason": "abnormal"}},
			Trace: &Trace{Span: "websocket.close", Has: map[string]string{"websocket.close.reason": "abnormal"}},
		},
		{
			Name: "handler_panics", About: "Three of ten messages make their handler panic.",
			Faults: []Fault{demoFault{"handler_panics", 0.3}},
			Metric: `sum(rate(websocket_errors_total{job="sockscope-demo", kind="panic"}[1m])) > 0`,
			Alert:  "WebSocketHandlingFails", Within: abrupt,
			Also: reasons(probing(), breaking(), map[string]string{
				"WebSocketPanics":   "it is about panics",
				"LogPanics":         "a record tells of each",
				"LogErrorRepeating": "a record tells of each, and they are alike",
			}), Panel: "Error Rate",
			// The record has the stack, which says more than the trace.
			Log: &Log{Message: "panic", Has: map[string]string{"stack": ""}},
		},
		{
			Name: "handshakes_fail", About: "Every handshake is answered 500, while people come and go.",
			Faults: []Fault{demoFault{"handshake_errors", 1}}, Load: comingAndGoing(),
			Metric: `sum(rate(websocket_connections_total{job="sockscope-demo", status="error"}[1m])) > 0`,
			Alert:  "WebSocketConnectionErrorBudgetBurn", Within: abrupt,
			Also: reasons(probing(), breaking(), refusing()), Panel: "Connection Rate",
			Log:   &Log{Message: "handshake refused", Has: map[string]string{"trace_id": ""}},
			Trace: &Trace{Span: "websocket.handshake", Has: map[string]string{"http.response.status_code": "500"}},
		},
		{
			Name: "tokens_refused", About: "No token is valid any more, as after a wrong rotation of keys.",
			Faults: []Fault{demoFault{"refused_tokens", 1}}, Load: comingAndGoing(), History: 10 * time.Minute,
			Metric: `sum(rate(websocket_connections_total{job="sockscope-demo", status="unauthorized"}[1m])) > 0`,
			Alert:  "WebSocketConnectionsRefused", Within: 3 * time.Minute,
			Also:  reasons(probing(), map[string]string{"WebSocketAuthFailuresSpiking": "it is about tokens"}),
			Panel: "Connection Rate",
			Log:   &Log{Message: "handshake refused"},
		},
		{
			Name: "full", About: "The service is full, while people come and go.",
			Faults: []Fault{demoFault{"connection_limit", 30}}, Load: comingAndGoing(),
			Metric: `sum(rate(websocket_connections_total{job="sockscope-demo", status="over_capacity"}[1m])) > 0`,
			Alert:  "WebSocketConnectionErrorBudgetBurn", Within: abrupt,
			Also: reasons(probing(), refusing(), map[string]string{
				"WebSocketConnectionCapacitySaturated": "the service is full",
			}),
			Panel: "Connection Rate",
			Log:   &Log{Message: "handshake refused"},
		},
		{
			Name: "half_open", About: "Nothing arrives from the peers any more, not even pongs, but they stay connected.",
			Faults: []Fault{demoFault{"half_open", 1}},
			Metric: `sum(rate(websocket_pings_total{job="sockscope-demo", result="timeout"}[1m])) > 0`,
			Alert:  "WebSocketHeartbeatTimeouts", Within: 5 * time.Minute, Takes: time.Minute,
			Also: reasons(probing(), breaking(), map[string]string{
				"WebSocketConnectionsCollapsed": theyBreak,
				"WebSocketSilentStall":          "who is not heard is not answered",
				"WebSocketProducerSilent":       "who is not heard is not answered",
			}),
			Panel: "Closes by Reason",
			Log:   &Log{Message: "connection closed", Has: map[string]string{"reason": "ping_timeout"}},
			Trace: &Trace{Span: "websocket.close", Has: map[string]string{"websocket.close.reason": "ping_timeout"}},
		},
		{
			Name: "slow_consumers", About: "Half of the connections read so slowly that their queues overflow.",
			Faults: []Fault{demoFault{"slow_consumer", 0.5}},
			Load:   []load.Group{{Name: "a loud room", Does: load.Chat, Connections: 50, Rooms: 1, Rate: 20}},
			Metric: closed("slow_consumer"), Alert: "WebSocketSlowConsumers", Within: 6 * time.Minute, Takes: 3 * time.Minute,
			Also: reasons(probing(), breaking(), map[string]string{
				"WebSocketDeliveryLatencyErrorBudgetBurn":  "what is written slowly is delivered late",
				"WebSocketBroadcastLatencyErrorBudgetBurn": "where most of a room reads slowly, its messages are late",
				"WebSocketDeliveryErrorBudgetBurn":         "what waits for a connection that is closed is dropped",
				"WebSocketSendQueueSaturated":              "it is full before it is too much",
			}),
			Panel: "Closes by Reason",
			Log:   &Log{Message: "connection closed", Has: map[string]string{"reason": "slow_consumer"}},
			Trace: &Trace{Span: "websocket.close", Has: map[string]string{"websocket.close.reason": "slow_consumer"}},
		},
		{
			Name: "few_slow", About: "One in fifty connections reads a little more slowly than the service sends.",
			Faults: []Fault{demoFault{"slow_consumer", 0.02}},
			Load:   []load.Group{{Name: "a large room", Does: load.Chat, Connections: 80, Rooms: 1, Rate: 1.5}},
			Metric: `sum(websocket_slow_connections{job="sockscope-demo"}) > 0`,
			Alert:  "WebSocketFewConnectionsSlow", Within: 6 * time.Minute, Takes: 2 * time.Minute,
			Also: reasons(probing(), breaking(), map[string]string{
				"WebSocketDeliveryLatencyErrorBudgetBurn": "what is written slowly is delivered late",
				"WebSocketSlowConsumers":                  "who is slow for long is closed",
			}),
		},
		{
			Name: "deliveries_dropped", About: "Messages are acknowledged, but delivered to nobody.",
			Faults: []Fault{demoFault{"dropped_deliveries", 1}},
			Metric: `sum(rate(websocket_messages_dropped_total{job="sockscope-demo"}[1m])) > 0`,
			Alert:  "WebSocketDeliveryErrorBudgetBurn", Within: abrupt,
			Also:  reasons(probing(), map[string]string{"WebSocketProducerSilent": "messages of that type are not sent"}),
			Panel: "Dropped Messages",
		},
		{
			Name: "probe_fails", About: "The service accepts connections, but never answers.",
			Faults: []Fault{demoFault{"silence", 1}},
			Metric: `min(websocket_probe_success{target="demo"}) == 0`,
			Alert:  "WebSocketProbeFailing", Within: abrupt,
			Also:  reasons(probing(), stalling()),
			Panel: "Age of the Newest Message",
		},
		{
			Name: "demo_hangs", About: "The only instance hangs.",
			Faults: []Fault{pause{"demo"}},
			Metric: `up{job="sockscope-demo"} == 0`,
			Alert:  "RealtimeTargetMissing", Within: abrupt,
			Also:  reasons(probing(), map[string]string{"RealtimeTargetDown": "its only instance is down"}),
			Panel: "Targets down",
		},
		{
			Name: "demo_crashes", About: "The demo crashes after each start.",
			Faults: []Fault{crash{"demo"}},
			Metric: `up{job="sockscope-demo"} == 0`,
			Alert:  "RealtimeTargetMissing", Within: abrupt,
			Also: reasons(probing(), breaking(), map[string]string{
				"RealtimeTargetDown":            "its only instance is down",
				"RealtimeTargetRestarting":      "it starts again and again",
				"WebSocketConnectionsCollapsed": "when it comes back it has none",
			}),
			Panel: "Targets down",
		},
		{
			Name: "jaeger_hangs", About: "The trace store accepts nothing any more.",
			Faults: []Fault{pause{"jaeger"}},
			Metric: `up{job="jaeger"} == 0`,
			// Parts of the stack are scraped every 15 s, and given 10 s, however fast the rules are.
			Alert: "RealtimeTargetDown", Within: 3 * time.Minute, Takes: 25 * time.Second,
			Also:  map[string]string{"TelemetryQueueFilling": "its spans wait in the Collector"},
			Panel: "Targets down",
		},
		{
			Name: "collector_hangs", About: "The Collector accepts nothing and scrapes nothing any more.",
			Faults: []Fault{pause{"otel-collector"}},
			Metric: `up{job="otel-collector"} == 0`,
			Alert:  "RealtimeTargetDown", Within: 3 * time.Minute, Takes: 25 * time.Second,
			Also: map[string]string{
				"TelemetryLogsDropped": "records have nowhere to go",
				"TelemetrySpansLost":   "spans have nowhere to go",
			},
			Panel: "Targets down",
		},
		{
			Name: "bad_telemetry", About: "A service sends data points that the stores would refuse.",
			Faults: []Fault{telemetry{"send data points without a time", "/v1/metrics", timeless}},
			Metric: `sum(rate(sockscope_refused_data_points_total[1m])) > 0`,
			Alert:  "TelemetryRefused", Within: 7 * time.Minute,
			Panel: "Telemetry Refused or Lost",
		},
		{
			Name: "error_repeats", About: "A service logs the same error a hundred times a second.",
			Faults: []Fault{telemetry{"log an error a hundred times a second", "/v1/logs", records(100, 17, "lease not renewed", "ann")}},
			Metric: `max(sockscope_log_repetitions{job="sockscope-drill"}) > 0`,
			Alert:  "LogErrorRepeating", Within: 3 * time.Minute, Takes: 30 * time.Second,
		},
		{
			Name: "client_reconnects", About: "One client of a service connects ten times a second.",
			Faults: []Fault{telemetry{"log ten connections of a user a second", "/v1/logs", records(10, 9, "connection opened", "ann")}},
			Metric: `max(sockscope_log_client_connections{job="sockscope-drill"}) > 0`,
			Alert:  "LogClientReconnecting", Within: 3 * time.Minute, Takes: 30 * time.Second,
		},
		{
			Name: "prometheus_hangs", About: "Prometheus hangs: it evaluates no rules.",
			Faults: []Fault{pause{"prometheus"}},
			Alert:  inbox.SilenceAlert, Within: 4 * time.Minute, Takes: 35 * time.Second, Unruled: true,
		},
		{
			Name: "alertmanager_hangs", About: "Alertmanager hangs: nobody is notified of anything.",
			Faults: []Fault{pause{"alertmanager"}},
			Alert:  inbox.SilenceAlert, Within: 4 * time.Minute, Takes: 35 * time.Second, Unruled: true,
			Also: map[string]string{"PrometheusNotConnected": "Prometheus notices, too, but cannot notify anybody until it is over"},
		},
		{
			Name: "backplane_down", About: "One node of three loses its connection to the others.",
			Cluster: true, Faults: []Fault{oneNode{demoFault{"backplane_down", 1}, 1}},
			Metric: `websocket_backplane_up{job="sockscope-cluster"} == 0`,
			Alert:  "WebSocketBackplaneDown", Within: abrupt,
			Also: map[string]string{"WebSocketBackplaneLosing": "its messages reach nobody"},
			Log:  &Log{Message: "backplane error"},
		},
		{
			Name: "backplane_lags", About: "One node of three gets the others' messages two seconds late.",
			Cluster: true, Faults: []Fault{oneNode{late, 1}},
			Metric: `histogram_quantile(0.99, sum(rate(websocket_backplane_lag_seconds{job="sockscope-cluster"}[1m]))) > 0.5`,
			Alert:  "WebSocketBackplaneLagging", Within: 3 * time.Minute,
			Also: map[string]string{"WebSocketBroadcastLatencyErrorBudgetBurn": "what is late on the way is late at its recipients"},
		},
		{
			Name: "recipients_late", About: "All nodes get each other's messages two seconds late.",
			Cluster: true, Faults: []Fault{oneNode{late, 1}, oneNode{late, 2}, oneNode{late, 3}},
			Metric: `histogram_quantile(0.9, sum(rate(websocket_broadcast_delivery_duration_seconds{job="sockscope-cluster"}[1m]))) > 0.5`,
			Alert:  "WebSocketBroadcastLatencyErrorBudgetBurn", Within: abrupt,
			Also:  map[string]string{"WebSocketBackplaneLagging": "it is why they are late"},
			Panel: "Time to the Last Recipient",
		},
		{
			Name: "instance_silent", About: "One node of three sends nothing, though its connections are open.",
			Cluster: true, Faults: []Fault{oneNode{demoFault{"silence", 1}, 1}}, History: 20 * time.Minute,
			Metric: `max(timestamp(websocket_last_message_timestamp_seconds{job="sockscope-cluster", direction="transmit"}) - websocket_last_message_timestamp_seconds{job="sockscope-cluster", direction="transmit"}) > 30`,
			Alert:  "WebSocketSilentInstance", Within: abrupt,
			Also:  map[string]string{"WebSocketDeliveryErrorBudgetBurn": "messages that it holds back count as dropped"},
			Panel: "Age of the Newest Message",
		},
		{
			Name: "silence", About: "Connections stay open and pings are answered, but no message is sent.",
			Faults: []Fault{demoFault{"silence", 1}}, History: 20 * time.Minute,
			Metric: `time() - max(websocket_last_message_timestamp_seconds{job="sockscope-demo", direction="transmit"}) > 30`,
			Alert:  "WebSocketSilentStall", Within: abrupt,
			Also:  reasons(probing(), stalling()),
			Panel: "Age of the Newest Message",
		},
		{
			Name: "goroutine_leak", About: "Ten goroutines a second start and never end.",
			Faults: []Fault{demoFault{"goroutine_leak", 10}}, History: 20 * time.Minute,
			Metric: `go_goroutines{job="sockscope-demo"} > 2000`,
			Alert:  "WebSocketGoroutineLeak", Within: 25 * time.Minute,
		},
		{
			Name: "connections_spike", About: "Within seconds there are seven times as many connections.",
			Faults: []Fault{more{[]load.Group{{Name: "idle", Does: load.Idle, Connections: 800, Ramp: 2 * time.Second}}}}, History: 37 * time.Minute,
			Metric: `sum(websocket_active_connections{job="sockscope-demo"}) > 600`,
			Alert:  "ActiveConnectionsSpiking", Within: 3 * time.Minute,
			Also: map[string]string{
				"WebSocketReconnectStorm":       "so many at once are a storm, too",
				"WebSocketConnectionsCollapsed": "they leave at once when the drill ends",
			},
			Panel: "Active Connections",
			Log:   &Log{Message: "connection opened"},
		},
	}
}

// Queries that several drills use.
const (
	handling = `websocket_message_duration_seconds{job="sockscope-demo"}`
	slow     = `histogram_quantile(0.9, sum(rate(` + handling + `[1m]))) > 1`
)

// closed is whether connections are closed for that reason.
func closed(reason string) string {
	return `sum(rate(websocket_disconnections_total{job="sockscope-demo", reason="` + reason + `"}[1m])) > 0`
}

// stalling are the alerts about a service that sends nothing.
func stalling() map[string]string {
	return map[string]string{
		"WebSocketSilentStall":             "nothing is sent",
		"WebSocketProducerSilent":          "nothing of any kind is sent",
		"WebSocketDeliveryErrorBudgetBurn": "what is withheld counts as dropped",
		"HighConnectionDropRate":           "who gets no answer gives up and connects anew",
	}
}

// comingAndGoing are people whose connections last as long as those of phones.
func comingAndGoing() []load.Group {
	return []load.Group{{Name: "coming and going", Does: load.Chat, Connections: 60, Rate: 10, Lifetime: 3 * time.Second}}
}

func controls() []Drill {
	return []Drill{
		{Name: "quiet", About: "Nothing happens.", Lasts: 30 * time.Minute},
		{
			Name: "short_sessions", About: "Twenty connections a second open and close in order.",
			Faults: []Fault{more{comingAndGoing()}}, Lasts: 15 * time.Minute,
		},
		{
			Name: "growth", About: "The number of connections triples within twenty minutes.",
			Faults: []Fault{growth{load.Group{Name: "idle", Does: load.Idle, Connections: 240}, 20 * time.Minute}}, Lasts: 25 * time.Minute,
		},
		{
			Name: "one_bad_client", About: "One client sends invalid messages, is disconnected and reconnects, again and again.",
			Faults: []Fault{more{[]load.Group{{Name: "bad client", Does: load.Malformed, Connections: 1, Rate: 0.2}}}}, Lasts: 15 * time.Minute,
		},
		{
			Name: "restart", About: "The demo is restarted in order: its connections are drained and come back.",
			Faults: []Fault{restart{"demo"}}, Lasts: 10 * time.Minute, Fastest: 2,
		},
		{
			Name: "rolling_restart", About: "Each of three nodes is restarted in order, one after the other.",
			Cluster: true, Faults: []Fault{rollingRestart{}}, Lasts: 10 * time.Minute,
		},
		{
			Name: "prometheus_restart", About: "Prometheus is restarted.",
			Faults: []Fault{restart{"prometheus"}}, Lasts: 10 * time.Minute,
		},
		{
			Name: "collector_restart", About: "The Collector is restarted.",
			Faults: []Fault{restart{"otel-collector"}}, Lasts: 10 * time.Minute,
		},
	}
}
