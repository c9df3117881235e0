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

// breaking has connections break.
func breaking() []Situation {
	closes := "websocket_disconnections_total"
	aged := func(spec string) *world { // a service that lives with it
		return service("a").set(closes, abnormal, spec)
	}
	return []Situation{
		service("a").set(closes, abnormal, "10m:0 +30 *:0").set("websocket_active_connections", "", "10m:500 *:470").
			lasting("one blow breaks 6% of the connections", 28*minute,
				at("10m25s"), at("10m40s", "HighConnectionDropRate/warning"),
				at("24m", "HighConnectionDropRate/warning"), at("27m")).exactly(),
		service("a").set(closes, abnormal, "10m:0 +24 *:0").set(closes, `reason="normal"`, "*:0.02").
			lasting("24 connections of 500 break, most of what ends", 28*minute, at("14m50s"), at("15m10s", "WebSocketAbnormalCloseRatioHigh/warning"),
				at("24m", "WebSocketAbnormalCloseRatioHigh/warning"), at("27m")).near("HighConnectionDropRate"),
		service("a").set(closes, abnormal, "10m:0 +24 *:0").set(closes, `reason="normal"`, "*:0.3").
			lasting("24 connections of 500 break, a tenth of what ends", 17*minute, at("17m")).near("WebSocketAbnormalCloseRatioHigh"),
		serviceOf(1000, "a").set(closes, abnormal, "10m:0 +40 *:0").set(closes, `reason="normal"`, "*:1").
			lasting("one blow breaks 4% of the connections, and many end well", 12*minute, at("12m")).
			near("HighConnectionDropRate", "WebSocketAbnormalCloseRatioHigh"),
		serviceOf(60, "a").set(closes, abnormal, "10m:0 +18 *:0").
			lasting("a small service loses 18 of 60", 12*minute, at("11m", "HighConnectionDropRate/warning")),
		serviceOf(60, "a").set(closes, abnormal, "10m:0 +14 *:0").
			lasting("a small service loses 14 of 60", 12*minute, at("11m")).near("HighConnectionDropRate"),
		serviceOf(10, "a").set(closes, abnormal, "10m:0 +4 *:0").
			lasting("four connections of ten break", 12*minute, at("11m")).near("HighConnectionDropRate"),
		serviceOf(8, "a").set(closes, abnormal, "10m:0 +6 *:0").
			lasting("six connections of eight break", 12*minute, at("11m", "HighConnectionDropRate/warning")),
		serviceOf(380, "a").set(closes, abnormal, "10m:0 +19 *:0").
			lasting("nineteen connections break, just 5%", 12*minute, at("12m")).near("HighConnectionDropRate"),
		serviceOf(340, "a").set(closes, abnormal, "10m:0 +19 *:0").set(closes, `reason="normal"`, "*:0.02").
			lasting("nineteen connections break, most of what ends", 17*minute, at("17m")).near("HighConnectionDropRate", "WebSocketAbnormalCloseRatioHigh"),
		serviceOf(200000, "a").set(closes, abnormal, "*:11").
			lasting("eleven a second break on a large fleet", 12*minute, at("11m")).near("HighConnectionDropRate"),
		// The counter appears with what it has counted.
		service("a").set(closes, abnormal, "10m:_ +60 *:0").
			lasting("the counter of the first outage begins at 60", 14*minute,
				at("9m"), at("10m45s", "HighConnectionDropRate/warning")),
		service("a").set(closes, abnormal, "10m:_ +60 *:0").set("process_start_time_seconds", "", "10m:-1000000 *:600").set("up", "", "10m:_ *:1").
			lasting("the first outage of a process that has just started", 14*minute, at("10m45s", "HighConnectionDropRate/warning")),
		service("a").each("", func(old string) string { return "10m:_ " + old }).set(closes, abnormal, "10m:_ +60000 *:0").
			set("process_start_time_seconds", "", "10m:_ *:-1000000").
			lasting("the stack meets a service that has run for long", 14*minute, at("10m45s"), at("13m")).near("HighConnectionDropRate", "WebSocketPanics"),
		// A service that puts the endpoint on one metric only.
		nothing().add(gauge, "websocket_active_connections", `job="other", namespace="feed", instance="a"`, "*:500").
			add(counter, closes, `job="other", instance="a", initiator="network", reason="abnormal"`, "5m:0 +30 *:0").
			lasting("a foreign service with a namespace on some metrics", 8*minute, at("6m", "HighConnectionDropRate/warning")),
		aged("*:0.16").lasting("a service loses the same all day", 26*time.Hour, at("26h")).every(5*minute).near("HighConnectionDropRate", "WebSocketAbnormalCloseRatioHigh"),
		aged("25h:0.02 *:0.16").lasting("a service loses eight times what it lost the day before", 26*time.Hour, at("26h", "HighConnectionDropRate/warning", "WebSocketAbnormalCloseRatioHigh/warning")).every(5 * minute),
		aged("*:0.16").lasting("a service has lost the same from its first day on", 26*time.Hour, at("20h", "HighConnectionDropRate/warning", "WebSocketAbnormalCloseRatioHigh/warning")).every(5 * minute),
		// Release.
		service("a", "b").
			set("websocket_draining", chatA, "10m:0 *:1").
			set(closes, chatA+", "+abnormal, "10m:0 +300 *:0").
			set(closes, chatA+`, reason="normal"`, "10m:0.5 +200 *:0").
			set("websocket_active_connections", chatA, "10m:500 *:0").set("websocket_active_connections", chatB, "10m:500 *:1000").
			lasting("an instance that drains breaks its connections", 12*minute, at("11m", "WebSocketDrainBreaksConnections/warning")).exactly(),
		service("a", "b").
			set("websocket_draining", chatA, "10m:0 *:1").
			set(closes, chatA+", "+abnormal, "10m:0 +60 *:0").
			set(closes, chatA+`, reason="normal"`, "10m:0.5 +440 *:0").
			set("websocket_active_connections", chatA, "10m:500 *:0").set("websocket_active_connections", chatB, "10m:500 *:1000").
			set("websocket_connections_total", chatB+`, status="connected"`, "10m:0.5 +500 *:0").
			lasting("rolling deploy", 12*minute, at("10m15s"), at("10m30s"), at("11m"), at("12m")).exactly().
			near("HighConnectionDropRate", "WebSocketDrainBreaksConnections", "WebSocketReconnectStorm", "WebSocketConnectionsCollapsed"),
		service("a", "b").
			set("websocket_draining", chatA, "10m:0 *:1").
			set(closes, chatB+", "+abnormal, "10m:0 +100 *:0").
			lasting("connections of an instance break while another one drains", 12*minute, at("11m", "HighConnectionDropRate/warning")).
			near("WebSocketDrainBreaksConnections"),
	}
}

// collapsing has connections go away, and come back.
func collapsing() []Situation {
	const active, tried = "websocket_active_connections", "websocket_connections_total"
	return []Situation{
		service("a", "b").set(active, "", "10m:500 *:200").
			lasting("60% of the connections go away, and no counter says so", 25*minute,
				at("10m15s"), at("10m30s", "WebSocketConnectionsCollapsed/critical"), at("13m", "WebSocketConnectionsCollapsed/critical"), at("25m")).exactly(),
		service("a", "b").set(active, "", "10m:500 *:300").
			lasting("40% of the connections go away", 12*minute, at("11m")).near("WebSocketConnectionsCollapsed"),
		serviceOf(25, "a").set(active, "", "10m:25 *:8").
			lasting("25 connections fall to 8", 12*minute, at("11m", "WebSocketConnectionsCollapsed/critical")),
		serviceOf(16, "a").set(active, "", "10m:16 *:5").
			lasting("16 connections fall to 5", 12*minute, at("11m")).near("WebSocketConnectionsCollapsed"),
		service("a", "b").set(active, chatA, "10m:500 30s:0 *:500").set(active, chatB, "10m30s:500 30s:0 *:500").
			lasting("instances restart one after the other", 14*minute, at("10m40s"), at("11m15s"), at("14m")).near("WebSocketConnectionsCollapsed"),
		service("a").set(active, "", "20m:500 *:500..100").
			lasting("people leave over an hour at the end of the day", 80*minute, at("40m"), at("60m"), at("80m")).every(15 * time.Second).near("WebSocketConnectionsCollapsed"),
		service("a").set(active, "", "10m:500 15s:0 *:500").
			lasting("connections are gone for fifteen seconds", 12*minute, at("10m20s"), at("11m")).near("WebSocketConnectionsCollapsed"),
		// All come back within seconds.
		service("a").set(tried, `status="connected"`, "20m:0.5 10s:50 *:0.5").
			lasting("everybody reconnects at once", 25*minute,
				at("20m5s"), at("20m25s", "WebSocketReconnectStorm/critical"), at("22m", "WebSocketReconnectStorm/critical"), at("24m")).exactly(),
		service("a").set(tried, `status="connected"`, "20m:0.5 10s:4 *:0.5").
			lasting("seventy connect within a minute, where thirty are usual", 22*minute, at("20m30s")).near("WebSocketReconnectStorm"),
		serviceOf(2000, "a").set(tried, `status="connected"`, "20m:0.2 15s:11 *:0.2").
			lasting("170 connect within a minute to a service of 2000", 22*minute, at("20m30s")).near("WebSocketReconnectStorm"),
		serviceOf(2000, "a").set(tried, `status="connected"`, "20m:0.2 15s:18 *:0.2").
			lasting("270 connect within a minute to a service of 2000", 22*minute, at("20m40s", "WebSocketReconnectStorm/critical")),
		serviceOf(100, "a").set(tried, `status="connected"`, "20m:0.02 10s:4.2 *:0.02").
			lasting("forty connect within a minute to a service of 100", 22*minute, at("20m30s")).near("WebSocketReconnectStorm"),
		serviceOf(100, "a").set(tried, `status="connected"`, "20m:0.02 10s:6 *:0.02").
			lasting("sixty connect within a minute to a service of 100", 22*minute, at("20m30s", "WebSocketReconnectStorm/critical")),
		service("a").set(tried, `status="connected"`, "20m:0.5 *:0.5").set(active, "", "20m:500 *:500..1000").
			lasting("growth", 40*minute, at("30m"), at("40m")).near("WebSocketReconnectStorm", "ActiveConnectionsSpiking"),
		service("a").set(tried, `status="connected"`, "20m:0.5 10s:50 *:0.5").set("websocket_draining", "", "19m:0 30s:1 *:0").
			lasting("clients of an instance that drained reconnect", 23*minute, at("20m30s")).near("WebSocketReconnectStorm"),
		service("a").set(tried, `status="connected"`, "5s:0 1m:8 *:0.5").set(active, "", "5s:0 1m:0..500 *:500").
			lasting("a service that was just started fills up", 5*minute, at("30s"), at("1m"), at("1m30s"), at("3m")).near("WebSocketReconnectStorm", "ActiveConnectionsSpiking"),
		// More than there were.
		service("a", "b").set(active, "", "60m:100 *:1000").
			lasting("from 200 to 2000 connections within a minute", 110*minute,
				at("60m30s"), at("61m45s", "ActiveConnectionsSpiking/warning"), at("66m", "ActiveConnectionsSpiking/warning"), at("109m")).every(15 * time.Second),
		serviceOf(10000, "a").set(active, "", "60m:10000 *:22000").
			lasting("2.2 times as many connections", 75*minute, at("63m", "ActiveConnectionsSpiking/warning"), at("70m", "ActiveConnectionsSpiking/warning")).every(15 * time.Second),
		serviceOf(10000, "a").set(active, "", "60m:10000 *:18000").
			lasting("1.8 times as many connections", 65*minute, at("63m")).every(15 * time.Second).near("ActiveConnectionsSpiking"),
		serviceOf(50, "a").set(active, "", "60m:50 *:500").
			lasting("ten times as many connections, but only 450 more", 65*minute, at("63m")).every(15 * time.Second).near("ActiveConnectionsSpiking"),
		serviceOf(50, "a").set(active, "", "60m:50 *:600").
			lasting("550 more connections", 65*minute, at("63m", "ActiveConnectionsSpiking/warning")).every(15 * time.Second),
		serviceOf(100, "a").set(active, "", "20m:100 *:2000").
			lasting("a service that has run for twenty minutes grows", 35*minute, at("25m"), at("33m")).every(15 * time.Second).near("ActiveConnectionsSpiking"),
		serviceOf(1000, "a").set(active, "", "60m:1000 *:1000..4000").
			lasting("growth from 1000 to 4000 over two hours", 180*minute, at("100m"), at("180m")).every(15 * time.Second).near("ActiveConnectionsSpiking"),
		// Instances that are unlike.
		service("a", "b", "c").set(active, `instance="a"`, "*:600").set(active, `instance="b"`, "*:200").set(active, `instance="c"`, "*:200").
			lasting("one instance has 1.8 times the average", 60*minute, at("30m"), at("50m", "WebSocketConnectionImbalance/info")).every(30 * time.Second),
		service("a", "b").set(active, chatA, "*:280").set(active, chatB, "*:140").
			lasting("one instance has 1.33 times the average", 60*minute, at("50m")).every(30 * time.Second).near("WebSocketConnectionImbalance"),
		service("a", "b").set(active, chatA, "*:120").set(active, chatB, "*:20").
			lasting("140 connections, spread unevenly", 60*minute, at("50m")).every(30 * time.Second).near("WebSocketConnectionImbalance"),
		service("a", "b").set(active, chatA, "*:500").each(chatB, func(old string) string { return "60m:_ " + old }).set(active, chatB, "60m:_ *:20").
			lasting("an instance is new and fills up slowly", 85*minute, at("80m")).every(30 * time.Second).near("WebSocketConnectionImbalance"),
	}
}

// cutting has something on the way cut connections, and an instance be too large to lose.
func cutting() []Situation {
	const lifetime, tried, cut = "websocket_connection_duration_seconds", "websocket_connections_total", "WebSocketConnectionsCutAtOneAge"
	ended := func(reason, spec string) *world {
		return service("a").add(fine, lifetime, `job="demo", `+chatA+`, reason="`+reason+`"`, spec)
	}
	const large = "WebSocketInstanceTooLargeToLose"
	return []Situation{
		ended("abnormal", "15m:0.1@62 *:0@62").
			lasting("a load balancer cuts each connection after a minute", 26*minute, at("7m"), at("8m", cut+"/warning"), at("23m10s", cut+"/warning"), at("24m5s")),
		ended("going_away", "*:0.1@62").
			lasting("a gateway closes each connection after a minute", 12*minute, at("9m", cut+"/warning")),
		ended("abnormal", "*:0.045@13").
			lasting("27 connections are cut within ten minutes, after 13 seconds each", 14*minute, at("13m", cut+"/warning")),
		ended("abnormal", "*:0.008@20,0.092@62").
			lasting("most connections are cut after a minute, and 8% break before", 14*minute, at("13m", cut+"/warning")),
		ended("abnormal", "*:0.012@20,0.088@62").
			lasting("12% of the connections that break are younger than a minute", 14*minute, at("13m")).near(cut),
		ended("abnormal", "*:0.08@62,0.02@400").
			lasting("a fifth of the connections that break has lasted longer than a minute", 14*minute, at("13m")).near(cut),
		ended("abnormal", "*:0.05@60,0.05@100").
			lasting("connections break after a minute or two", 14*minute, at("13m")).near(cut),
		ended("abnormal", "*:0.03@62").
			lasting("18 connections are cut within ten minutes", 14*minute, at("13m")).near(cut),
		ended("abnormal", "*:0.1@8").
			lasting("connections break again and again after eight seconds", 14*minute, at("13m")).near(cut),
		ended("abnormal", "10m:0@62 5s:20@62 *:0@62").
			lasting("one blow ends a hundred connections of one age", 22*minute, at("10m30s"), at("12m"), at("15m10s"), at("18m")).near(cut),
		ended("normal", "*:0.1@62").
			lasting("all sessions last a minute and end well", 14*minute, at("13m")).near(cut),
		// An instance goes, and its clients come to the others.
		serviceOf(8000, "a", "b").
			lasting("two instances of 8000 connections", 18*minute, at("14m55s"), at("16m", large+"/info")),
		serviceOf(8000, "a").
			lasting("one instance of 8000 connections", 18*minute, at("16m", large+"/info")),
		serviceOf(5000, "a", "b").
			lasting("two instances of 5000 connections", 18*minute, at("17m")).near(large),
		serviceOf(5000, "a").
			lasting("one instance of 5000 connections", 18*minute, at("17m")).near(large),
		serviceOf(9000, "a", "b", "c").
			lasting("three instances of 9000 connections", 18*minute, at("17m")).near(large),
		serviceOf(8000, "a", "b").set(tried, `status="connected"`, "5m:8 2m:100 *:8").
			lasting("two instances of 8000 connections that have let in 200 a second", 25*minute, at("24m", large+"/info")),
		nothing().add(gauge, "websocket_active_connections", `job="demo", `+chatA, "*:8000").add(gauge, "websocket_active_connections", `job="demo", `+chatB, "*:8000").
			add(counter, tried, `job="demo", `+chatA+`, status="connected"`, "5m:8 2m:400 *:8").
			lasting("two instances of 8000 connections that have let in 400 a second the day before", 30*time.Hour, at("20m"), at("11h"), at("29h", large+"/info")).every(30 * time.Second).near(large),
	}
}

// holdingBack has messages wait for slow connections.
func holdingBack() []Situation {
	const few = "WebSocketFewConnectionsSlow"
	waiting := func(queued, connections, messages string) *world {
		return service("a").set("websocket_send_queue_messages", "", "5m:5 "+queued).
			set("websocket_slow_connections", "", "5m:0 "+connections).set("websocket_slow_connection_messages", "", "5m:0 "+messages)
	}
	return []Situation{
		waiting("5m:200 *:5", "5m:3 *:0", "5m:190 *:0").
			lasting("what waits does so for three connections of 500", 20*minute, at("6m"), at("7m", few+"/info"), at("15m30s", few+"/info"), at("17m")),
		waiting("*:45", "*:18", "*:26").
			lasting("58% of what waits does so for eighteen connections of 500", 12*minute, at("11m", few+"/info")),
		waiting("*:300", "*:300", "*:299").
			lasting("all connections are slow", 12*minute, at("11m")).near(few),
		waiting("*:300", "*:30", "*:299").
			lasting("30 connections of 500 are slow", 12*minute, at("11m")).near(few),
		waiting("*:300", "*:3", "*:120").
			lasting("40% of what waits does so for three connections", 12*minute, at("11m")).near(few),
		waiting("*:20", "*:1", "*:15").
			lasting("fifteen messages wait for one connection", 12*minute, at("11m")).near(few),
		waiting(strings.Repeat("15s:400 25s:45 ", 10)+"*:45", "*:3", "*:40").
			lasting("forty messages wait for three connections, and bursts for all", 12*minute, at("11m", few+"/info")),
		waiting("*:200", "*:3", strings.Repeat("15s:0 25s:190 ", 10)+"*:190").
			lasting("what waits for three connections is sent now and then", 12*minute, at("11m", few+"/info")),
		waiting("*:200", "1m:30 *:3", "*:190").
			lasting("30 connections are slow for a minute, and three afterwards", 12*minute, at("7m30s"), at("9m", few+"/info")),
		waiting("*:200", strings.Repeat("10s:30 50s:3 ", 7), "*:190").
			lasting("30 connections are slow now and then, and three all the time", 12*minute, at("11m")).near(few),
		waiting("20s:200 *:5", "20s:3 *:0", "20s:190 *:0").
			lasting("three connections are slow for twenty seconds", 12*minute, at("6m"), at("7m30s"), at("9m")).near(few),
	}
}

// stores has stores and certificates be at their end, and spans get lost.
func stores() []Situation {
	const certificate, logs, spans = "WebSocketCertificateExpiring", "LogStoreErrors", "TelemetrySpansLost"
	slowly := func(s Situation) Situation { return s.every(15 * time.Second) }
	expires := func(days float64) *world {
		return nothing().add(gauge, "websocket_probe_certificate_expiry_timestamp_seconds", `job="probe", instance="a", target="eu"`, "*:"+number(days*86400))
	}
	requests := `job="loki", instance="l", method="POST", route="otlp_v1_logs", status_code=`
	loki := func(ok, bad string) *world {
		return nothing().add(gauge, "up", `job="loki", instance="l"`, "*:1").add(counter, "loki_request_duration_seconds_count", requests+`"204"`, ok).add(counter, "loki_request_duration_seconds_count", requests+`"500"`, bad)
	}
	path := `job="victoria-logs", instance="v", path="/insert/opentelemetry/v1/logs", format="protobuf"`
	victoria := func(bad string) *world {
		return nothing().add(counter, "vl_http_requests_total", path, "*:1").add(counter, "vl_http_errors_total", path, bad).
			add(counter, "vl_http_requests_total", `job="victoria-logs", instance="v", path="/select/logsql/query"`, "*:100").
			add(gauge, "vl_storage_is_read_only", `job="victoria-logs", instance="v", path="/data"`, "*:0")
	}
	sent := func(ok, bad string) *world {
		return nothing().add(gauge, "up", `job="demo", instance="a"`, "*:1").add(counter, "sockscope_spans_total", `job="demo", instance="a", result="sent"`, ok).
			add(counter, "sockscope_spans_total", `job="demo", instance="a", result="dropped"`, bad).
			add(counter, "sockscope_spans_total", `job="demo", instance="a", result="failed"`, "*:0")
	}
	collectors := func(one, other string) *world {
		return nothing().add(gauge, "up", `job="otel-collector", instance="c"`, one).add(gauge, "up", `job="otel-collector", instance="d"`, other)
	}
	return []Situation{
		collectors("10m:1 *:0", "*:1").lasting("one of two Collectors dies", 13*minute, at("12m", "RealtimeTargetDown/warning")),
		collectors("10m:1 30s:0 *:1", "*:0").lasting("a Collector restarts, and another never comes", 20*minute, at("10m20s"), at("12m"), at("17m", "RealtimeTargetDown/warning")),
		collectors("*:0", "*:0").lasting("no Collector ever comes", 20*minute, at("14m"), at("17m", "RealtimeTargetDown/critical", "RealtimeTargetDown/warning")),
		slowly(expires(10).lasting("a certificate expires in ten days", 8*minute, at("4m"), at("6m", certificate+"/warning"))),
		slowly(expires(2).lasting("a certificate expires in two days", 8*minute, at("45s"), at("2m", certificate+"/critical"), at("6m", certificate+"/critical", certificate+"/warning"))),
		slowly(expires(-1).lasting("a certificate has expired", 8*minute, at("6m", certificate+"/critical", certificate+"/warning"))),
		slowly(expires(20).lasting("a certificate expires in twenty days", 8*minute, at("7m")).near(certificate)),
		slowly(expires(4).lasting("a certificate expires in four days", 8*minute, at("6m", certificate+"/warning"))),
		slowly(loki("*:1", "5m:0 5m:0.1 *:0").lasting("Loki fails to store a tenth of what it is sent", 24*minute, at("6m"), at("10m", logs+"/warning"), at("17m", logs+"/warning"), at("23m"))),
		slowly(loki("*:5", "*:0.4").lasting("Loki fails to store 7% of what it is sent", 26*minute, at("25m", logs+"/warning"))),
		slowly(loki("*:5", "*:0.2").lasting("Loki fails to store 4% of what it is sent", 12*minute, at("11m")).near(logs)),
		slowly(loki("*:0.05", "5m:0 +3 *:0").lasting("Loki fails to store three batches", 12*minute, at("9m")).near(logs)),
		slowly(loki("*:0.05", "5m:0 +7 *:0").lasting("Loki fails to store seven batches", 12*minute, at("9m", logs+"/warning"))),
		slowly(loki("*:1", "*:0").add(counter, "loki_request_duration_seconds_count", `job="loki", instance="l", method="GET", route="ready", status_code="503"`, "*:1").
			lasting("Loki is not ready yet", 12*minute, at("11m")).near(logs)),
		slowly(loki("*:1", "*:0").add(counter, "loki_ingester_wal_disk_full_failures_total", `job="loki", instance="l"`, "5m:0 +2 *:0").
			lasting("Loki's disk is full", 17*minute, at("6m45s"), at("9m", logs+"/warning"), at("16m"))),
		slowly(victoria("5m:0 5m:0.1 *:0").lasting("VictoriaLogs fails to store a tenth of what it is sent", 24*minute, at("6m"), at("10m", logs+"/warning"), at("17m", logs+"/warning"), at("23m"))),
		slowly(victoria("*:0.07").lasting("VictoriaLogs fails to store 7% of what it is sent", 26*minute, at("25m", logs+"/warning"))),
		slowly(victoria("*:0.03").lasting("VictoriaLogs fails to store 3% of what it is sent", 12*minute, at("11m")).near(logs)),
		slowly(victoria("*:0").set("vl_storage_is_read_only", "", "5m:0 *:1").
			lasting("VictoriaLogs has no room left", 12*minute, at("6m45s"), at("8m", logs+"/warning"))),
		slowly(sent("*:10", "5m:0 4m:1 *:0").lasting("9% of the spans are dropped", 22*minute, at("5m30s"), at("8m"), at("9m", spans+"/warning"), at("15m", spans+"/warning"), at("21m"))),
		slowly(sent("*:10", "*:0.8").lasting("7% of the spans are dropped", 26*minute, at("25m", spans+"/warning"))),
		slowly(sent("*:10", "*:0.4").lasting("4% of the spans are dropped", 12*minute, at("11m")).near(spans)),
		slowly(sent("*:0.1", "5m:0 +15 *:0").lasting("fifteen spans are dropped", 12*minute, at("8m")).near(spans)),
		slowly(sent("*:0.1", "5m:0 +26 *:0").lasting("26 spans are dropped, a third of all", 12*minute, at("8m", spans+"/warning"))),
	}
}

// logging has log records tell of something.
func logging() []Situation {
	const panics, repeating, reconnecting = "LogPanics", "LogErrorRepeating", "LogClientReconnecting"
	counted := func(k kind, metric, spec string) Situation {
		return nothing().add(k, metric, `job="demo"`, spec).lasting("", 30*minute).every(15 * time.Second)
	}
	told := func(s Situation, name string, want ...Want) Situation { s.Name, s.Want = name, want; return s }
	return []Situation{
		told(counted(counter, "sockscope_log_panics_total", "5m:_ +1 5m:0 *:_"), "a program panics", at("4m45s"), at("5m15s", panics+"/warning"), at("18m", panics+"/warning"), at("21m")),
		told(counted(counter, "sockscope_log_panics_total", "15m:0 +2 *:0"), "a program panics that has panicked before", at("14m45s"), at("16m", panics+"/warning"), at("24m", panics+"/warning"), at("30m")),
		told(counted(counter, "sockscope_log_panics_total", "*:0"), "a program has panicked long ago", at("13m")).near(panics),
		told(counted(gauge, "sockscope_log_repetitions", "5m:_ 2m:200..1200 2m:1200 *:_"), "an error is logged 1,200 times", at("5m45s"), at("7m", repeating+"/warning"), at("14m", repeating+"/warning"), at("16m")),
		told(counted(gauge, "sockscope_log_repetitions", "5m:_ 2m:100..700 *:_"), "an error is logged 700 times", at("8m")).near(repeating),
		told(counted(gauge, "sockscope_log_client_connections", "5m:_ 2m:10..70 2m:70 *:_"), "a client connects seventy times", at("5m45s"), at("7m", reconnecting+"/info"), at("14m", reconnecting+"/info"), at("16m")),
		told(counted(gauge, "sockscope_log_client_connections", "5m:_ 2m:10..35 *:_"), "a client connects 35 times", at("8m")).near(reconnecting),
	}
}

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

// gettingIn has people not get in.
func gettingIn() []Situation {
	const tried = "websocket_connections_total"
	in := func(connected, status, rate string) *world {
		return service("a").set(tried, `status="connected"`, connected).set(tried, `status="`+status+`"`, rate)
	}
	return []Situation{
		in("10m:2 *:0", "error", "10m:0 *:2").
			lasting("every handshake fails", 16*minute, at("9m55s"),
				at("10m20s", "WebSocketConnectionErrorBudgetBurn/critical", "WebSocketConnectionErrorBudgetBurn/warning"),
				at("10m50s", "WebSocketConnectionErrorBudgetBurn/critical", "WebSocketConnectionErrorBudgetBurn/warning", "WebSocketConnectionsRefused/critical")).exactly(),
		in("10m:2 *:1.6", "error", "10m:0 *:0.4").
			lasting("a fifth of the handshakes fails", 14*minute, at("9m55s"), at("11m20s", "WebSocketConnectionErrorBudgetBurn/critical")),
		in("10m:20 *:18.7", "error", "10m:0 *:1.3").
			lasting("6.5% of the handshakes fail", 14*minute, at("10m25s")).near("WebSocketConnectionErrorBudgetBurn"),
		in("10m:0.02 *:0.02", "error", "10m:0 +7 *:0").
			lasting("seven handshakes fail in a quiet night", 16*minute, at("10m30s"), at("15m")).near("WebSocketConnectionErrorBudgetBurn", "WebSocketConnectionsRefused"),
		in("10m:0.02 *:0", "unauthorized", "10m:0 *:1").
			lasting("keys are rotated wrongly", 16*minute, at("10m10s"), at("11m", "WebSocketConnectionsRefused/critical"),
				at("14m", "WebSocketConnectionsRefused/critical", "WebSocketAuthFailuresSpiking/warning")).exactly(),
		in("*:1", "unauthorized", "10m:0 *:0.7").
			lasting("41% are unauthorized, and as many as ever get in", 16*minute, at("11m30s"), at("15m30s", "WebSocketAuthFailuresSpiking/warning")).near("WebSocketConnectionsRefused"),
		in("*:1", "unauthorized", "10m:0 *:0.26").
			lasting("a fifth is unauthorized", 16*minute, at("15m")).near("WebSocketAuthFailuresSpiking"),
		in("*:0.02", "unauthorized", "10m:0 +13 *:0").
			lasting("one bad client presents an old token 13 times", 16*minute, at("11m"), at("14m")).near("WebSocketAuthFailuresSpiking", "WebSocketConnectionsRefused"),
		in("*:0.02", "bad_handshake", "10m:0 +13 *:0").
			lasting("one bad client sends 13 requests that are not valid handshakes", 16*minute, at("11m"), at("14m")).near("WebSocketHandshakesMalformed", "WebSocketConnectionsRefused"),
		in("*:0.02", "unauthorized", "10m:0 *:1").
			lasting("one bad client tries for ever", 16*minute, at("11m"), at("15m", "WebSocketAuthFailuresSpiking/warning")).exactly().near("WebSocketConnectionsRefused", "WebSocketReconnectStorm"),
		in("10m:1 *:0", "bad_handshake", "10m:0 *:1").
			lasting("a proxy removes the upgrade", 16*minute, at("11m", "WebSocketConnectionsRefused/critical"),
				at("15m", "WebSocketConnectionsRefused/critical", "WebSocketHandshakesMalformed/warning")),
		in("*:1", "bad_handshake", "10m:0 *:0.26").
			lasting("a fifth of the requests are not valid handshakes", 16*minute, at("15m")).near("WebSocketHandshakesMalformed"),
		in("*:1", "draining", "10m:0 *:3").
			lasting("a draining instance refuses new connections", 13*minute, at("12m")).near("WebSocketConnectionErrorBudgetBurn", "WebSocketConnectionsRefused"),
		in("*:1", "over_capacity", "10m:0 *:0.5").add(gauge, "websocket_connection_limit", chatA+`, job="demo"`, "*:500").
			lasting("a full service refuses a third", 18*minute, at("20s"), at("1m", "WebSocketConnectionCapacitySaturated/critical"),
				at("12m", "WebSocketConnectionErrorBudgetBurn/critical", "WebSocketConnectionCapacitySaturated/critical", "WebSocketConnectionCapacitySaturated/warning")),
		service("a").add(gauge, "websocket_connection_limit", chatA+`, job="demo"`, "*:555").
			lasting("an instance is 90% full", 10*minute, at("4m"), at("6m", "WebSocketConnectionCapacitySaturated/warning")),
		service("a").add(gauge, "websocket_connection_limit", chatA+`, job="demo"`, "*:850").
			lasting("an instance is 59% full", 10*minute, at("8m")).near("WebSocketConnectionCapacitySaturated"),
	}
}

// falling has services fall silent.
func falling() []Situation {
	const newest, messages, active = "websocket_last_message_timestamp_seconds", "websocket_messages_total", "websocket_active_connections"
	stall := func(w *world, after string, labels ...string) *world {
		for _, l := range labels {
			w.set(newest, l+", "+sent, after+":now *:same").set(messages, l+", "+sent, after+":100 *:0")
		}
		return w
	}
	quiet := func(w *world, after string) *world {
		return w.set(newest, heard, after+":now *:same").set(messages, heard, after+":10 *:0").set("websocket_message_duration_seconds", "", after+":10@0.01 *:0@0.01")
	}
	return []Situation{
		stall(service("a"), "10m", chatA).set(newest, sent, "10m:now 20m:same *:now").set(messages, sent, "10m:100 20m:0 *:100").
			lasting("the producer stops for twenty minutes", 33*minute, at("10m40s"), at("10m55s", "WebSocketSilentStall/critical"),
				at("29m", "WebSocketSilentStall/critical"), at("30m10s")).exactly(),
		service("a").set(newest, sent, "10m:now 2m:same 10m:now *:same").set(messages, sent, "10m:100 2m:0 10m:100 *:0").
			lasting("a second stall ten minutes after a first", 25*minute, at("11m30s", "WebSocketSilentStall/critical"), at("15m"), at("23m", "WebSocketSilentStall/critical")),
		stall(service("a"), "7m", chatA).
			lasting("the producer stops minutes after the start", 10*minute, at("8m", "WebSocketSilentStall/critical")),
		stall(service("a"), "2m", chatA).
			lasting("a service says something for two minutes and is quiet then", 9*minute, at("4m"), at("8m")).near("WebSocketSilentStall", "WebSocketSilentInstance"),
		stall(serviceOf(5, "a"), "10m", chatA).
			lasting("a feed with five consumers stalls", 12*minute, at("11m", "WebSocketSilentStall/critical")),
		stall(serviceOf(2, "a"), "10m", chatA).
			lasting("two connections are too few to tell", 12*minute, at("11m")).near("WebSocketSilentStall"),
		stall(service("a"), "5s", chatA).lasting("nothing was ever sent", 12*minute, at("11m")).near("WebSocketSilentStall"),
		service("a").set(newest, sent, "14m:now 20s:same 14m:now *:same").set(messages, sent, "14m:100 20s:0 14m:100 *:0").
			lasting("a pause of twenty seconds", 15*minute, at("14m20s"), at("15m")).near("WebSocketSilentStall"),
		// Somebody speaks every half a minute.
		service("a").set(newest, sent, strings.Repeat("5s:now 55s:same ", 15)+"*:same").set(messages, sent, "*:0.1").
			lasting("a quiet night", 15*minute, at("10m50s"), at("13m50s"), at("15m")).exactly().near("WebSocketSilentStall"),
		quiet(stall(service("a"), "10m", chatA), "10m").
			lasting("people go to lunch", 16*minute, at("11m"), at("15m")).exactly().near("WebSocketSilentStall"),
		quiet(stall(service("a"), "12m", chatA), "10m").
			lasting("people fall silent, and so does the service two minutes later", 18*minute, at("13m"), at("17m")).near("WebSocketSilentStall"),
		// A feed: nobody says anything to it.
		stall(service("a").drop("", heard), "10m", chatA).
			lasting("a feed stops", 12*minute, at("11m", "WebSocketSilentStall/critical")),
		stall(service("a").drop("", heard).drop("websocket_message_duration_seconds", ""), "1h", chatA).
			set(newest, sent, "1h:now 8h:same 16h:now *:same").set(messages, sent, "1h:100 8h:0 16h:100 *:0").
			lasting("a market closes at the time at which it closed the day before", 26*time.Hour, at("1h10m", "WebSocketSilentStall/critical"), at("9h10m"), at("25h5m"), at("25h30m")).every(minute).near("WebSocketSilentStall"),
		// One of three.
		stall(service("a", "b", "c"), "10m", chatA).
			lasting("one instance of three is silent", 25*minute, at("10m40s"), at("10m55s", "WebSocketSilentInstance/critical"), at("24m", "WebSocketSilentInstance/critical")).exactly(),
		stall(service("a", "b").set(active, chatA, "*:7"), "10m", chatA).
			lasting("an instance with seven connections is silent", 14*minute, at("13m")).near("WebSocketSilentInstance"),
		stall(service("a", "b").set(active, chatA, "*:14"), "10m", chatA).
			lasting("an instance with fourteen connections is silent", 14*minute, at("13m", "WebSocketSilentInstance/critical")),
		stall(service("a", "b"), "10m", chatA, chatB).
			lasting("both instances are silent", 14*minute, at("11m", "WebSocketSilentStall/critical")).near("WebSocketSilentInstance"),
		service("a", "b").set(newest, chatA+", "+sent, strings.Repeat("5s:now 55s:same ", 15)+"*:same").
			lasting("an instance on which somebody speaks once a minute", 15*minute, at("10m50s"), at("14m50s")).near("WebSocketSilentInstance"),
		// The Collector dies: the last samples stay visible for five minutes.
		service("a").each("", func(old string) string { return strings.ReplaceAll(old, "*", "15m") + " *:_" }).
			lasting("metrics stop, not messages", 25*minute, at("17m"), at("19m30s")).exactly().near("WebSocketSilentStall", "WebSocketConnectionsCollapsed"),
		// One kind of message of two.
		service("a").add(counter, messages, chatA+`, job="demo", `+sent+`, type="price"`, "70m:5 *:0").
			lasting("prices stop, chat goes on", 100*minute, at("72m"), at("75m30s", "WebSocketProducerSilent/warning"), at("98m", "WebSocketProducerSilent/warning")).every(30 * time.Second),
		service("a").add(counter, messages, chatA+`, job="demo", `+sent+`, type="price"`, "60m:0 10m:5 *:0").
			lasting("something is said for ten minutes only", 80*minute, at("78m")).every(30 * time.Second).near("WebSocketProducerSilent"),
		service("a").add(counter, messages, chatA+`, job="demo", `+sent+`, type="price"`, "15m:5 *:0").
			lasting("something is said in the first quarter of an hour only", 25*minute, at("22m")).every(30 * time.Second).near("WebSocketProducerSilent"),
	}
}

// slow has handling, fan-out and the backplane be slow.
func slow() []Situation {
	const handling = "websocket_message_duration_seconds"
	return []Situation{
		service("a").set(handling, "", "10m:10@0.01 4m:10@1.5 *:10@0.01").
			lasting("handling takes a second and a half", 24*minute, at("10m5s"),
				at("10m45s", "WebSocketLatencyHigh/critical", "WebSocketLatencyErrorBudgetBurn/critical"), at("24m", "WebSocketLatencyErrorBudgetBurn/critical", "WebSocketLatencyErrorBudgetBurn/warning")).exactly(),
		service("a").drop(handling, "").add(classic, handling, `job="demo", namespace="chat", instance="a"`, "10m:10@0.01 4m:10@1.5 *:10@0.01").
			lasting("handling takes a second and a half, by classic buckets", 16*minute, at("10m5s"),
				at("10m45s", "WebSocketLatencyHigh/critical", "WebSocketLatencyErrorBudgetBurn/critical")),
		service("a").set(handling, "", "10m:10@0.01 5s:10@3 *:10@0.01").
			lasting("a pause of five seconds", 14*minute, at("10m40s"), at("11m30s"), at("13m")).near("WebSocketLatencyHigh", "WebSocketLatencyErrorBudgetBurn"),
		service("a").set(handling, "", "10m:10@0.01 *:9.7@0.01,0.3@1.5").
			lasting("3% of the messages take a second and a half", 18*minute, at("12m"), at("15m", "WebSocketLatencyHigh/critical")),
		service("a").set(handling, "", "*:9.7@0.01,0.3@0.7").
			lasting("3% of the messages take 700 ms", 15*minute, at("14m", "WebSocketLatencyErrorBudgetBurn/warning")).near("WebSocketLatencyHigh"),
		service("a").set(handling, "", "*:0.45@1.5").
			lasting("all messages are slow, 27 a minute", 8*minute, at("2m", "WebSocketLatencyHigh/critical"), at("6m", "WebSocketLatencyHigh/critical")),
		service("a").set(handling, "", "*:0.22@1.5").
			lasting("all messages are slow, 13 a minute", 8*minute, at("2m"), at("7m30s")).near("WebSocketLatencyHigh"),
		service("a").set(handling, "", "*:0.24@0.01,0.04@1.5").
			lasting("84 messages in five minutes, some of them slow", 12*minute, at("11m")).near("WebSocketLatencyHigh"),
		service("a").add(native, "websocket_broadcast_duration_seconds", chatA+`, job="demo"`, "2m:1@0.01 *:1@0.8").
			lasting("publishing takes 800 ms", 8*minute, at("3m"), at("5m", "WebSocketFanoutLagging/warning")),
		service("a").add(classic, "websocket_broadcast_duration_seconds", chatA+`, job="demo"`, "2m:1@0.01 *:1@0.8").
			lasting("publishing takes 800 ms, by classic buckets", 8*minute, at("5m", "WebSocketFanoutLagging/warning")),
		service("a").add(native, "websocket_broadcast_duration_seconds", chatA+`, job="demo"`, "*:1@0.3").
			lasting("publishing takes 300 ms", 8*minute, at("7m")).near("WebSocketFanoutLagging"),
		service("a").add(native, "websocket_broadcast_duration_seconds", chatA+`, job="demo"`, "*:0.05@0.8").
			lasting("fifteen slow announcements in five minutes", 8*minute, at("7m30s")).near("WebSocketFanoutLagging"),
		service("a").add(native, "websocket_broadcast_duration_seconds", chatA+`, job="demo"`, "*:0.085@0.8").
			lasting("25 slow announcements in five minutes", 8*minute, at("7m30s", "WebSocketFanoutLagging/warning")),
		service("a").add(native, "websocket_backplane_lag_seconds", chatA+`, job="demo", backplane="redis"`, "2m:1@0.01 *:1@0.8").
			lasting("the backplane lags by 800 ms", 8*minute, at("2m50s"), at("4m", "WebSocketBackplaneLagging/warning")),
		service("a").add(classic, "websocket_backplane_lag_seconds", chatA+`, job="demo", backplane="redis"`, "2m:1@0.01 *:1@0.8").
			lasting("the backplane lags by 800 ms, by classic buckets", 8*minute, at("4m", "WebSocketBackplaneLagging/warning")),
		service("a").add(native, "websocket_backplane_lag_seconds", chatA+`, job="demo", backplane="redis"`, "*:1@0.3").
			lasting("the backplane lags by 300 ms", 8*minute, at("7m")).near("WebSocketBackplaneLagging"),
		service("a").add(native, "websocket_backplane_lag_seconds", chatA+`, job="demo", backplane="redis"`, "*:0.12@0.8").
			lasting("fourteen late messages in two minutes", 8*minute, at("7m")).near("WebSocketBackplaneLagging"),
		service("a").add(native, "websocket_backplane_lag_seconds", chatA+`, job="demo", backplane="redis"`, "*:0.22@0.8").
			lasting("26 late messages in two minutes", 8*minute, at("7m", "WebSocketBackplaneLagging/warning")),
		service("a").add(native, "websocket_delivery_duration_seconds", chatA+`, job="demo"`, "5m:100@0.01 *:100@0.8").
			lasting("messages wait in send queues", 8*minute, at("4m55s"), at("6m30s", "WebSocketDeliveryLatencyErrorBudgetBurn/critical", "WebSocketDeliveryLatencyErrorBudgetBurn/warning")),
		service("a").add(native, "websocket_broadcast_delivery_duration_seconds", chatA+`, job="demo"`, "5m:2@0.01 *:0.4@0.01,1.6@1.5").
			lasting("most messages reach their last recipient after a second and a half", 8*minute, at("4m55s"), at("6m30s", "WebSocketBroadcastLatencyErrorBudgetBurn/critical")),
		service("a").add(native, "websocket_broadcast_delivery_duration_seconds", chatA+`, job="demo"`, "65m:10@0.01 30s:10@1.5 *:10@0.01").
			lasting("clients of one room do not read for half a minute, until they are closed", 75*minute, at("65m45s"), at("67m")).every(15 * second).near("WebSocketBroadcastLatencyErrorBudgetBurn"),
	}
}

// failing has handlers, deliveries and the backplane fail.
func failing() []Situation {
	const errors, dropped, backplane = "websocket_errors_total", "websocket_messages_dropped_total", "websocket_backplane_messages_total"
	between := func(ok, bad string) *world {
		labels := `job="demo", ` + chatA + `, backplane="redis", direction="transmit", result=`
		return service("a").add(counter, backplane, labels+`"ok"`, ok).add(counter, backplane, labels+`"error"`, bad).add(counter, backplane, labels+`"dropped"`, "*:0")
	}
	return []Situation{
		service("a").set(errors, `kind="handler"`, "10m:0 *:2").
			lasting("a fifth of the handlers fails", 15*minute, at("10m10s"), at("11m30s", "WebSocketHandlingFails/critical"), at("14m", "WebSocketHandlingFails/critical", "WebSocketHandlingFails/warning")).exactly(),
		service("a").set(errors, `kind="handler"`, "10m:0 *:0.4").
			lasting("4% of the handlers fail", 15*minute, at("12m"), at("14m", "WebSocketHandlingFails/warning")),
		service("a").set(errors, `kind="handler"`, "10m:0 *:0.15").
			lasting("1.5% of the handlers fail", 15*minute, at("15m")).near("WebSocketHandlingFails"),
		serviceOf(10, "a").set(errors, `kind="handler"`, "10m:0 +7 *:0").
			lasting("seven failures of a service that hardly does anything", 15*minute, at("11m")).near("WebSocketHandlingFails"),
		service("a").set(errors, `kind="panic"`, "10m:0 +1 *:0").
			lasting("a handler panics", 24*minute, at("9m55s"), at("10m10s", "WebSocketPanics/warning"), at("19m", "WebSocketPanics/warning"), at("26m")).every(5 * time.Second),
		service("a").set(dropped, `reason="queue_full"`, "10m:0 *:8").
			lasting("8% of the messages are dropped", 14*minute, at("9m55s"), at("12m", "WebSocketDeliveryErrorBudgetBurn/critical", "WebSocketDeliveryErrorBudgetBurn/warning")),
		service("a").set(dropped, `reason="closed"`, "10m:0 *:8").
			lasting("people leave while they are sent to", 14*minute, at("13m")).near("WebSocketDeliveryErrorBudgetBurn"),
		between("*:50", "10m:0 *:2").
			lasting("4% of what instances tell each other is lost", 14*minute, at("10m30s"), at("13m", "WebSocketBackplaneLosing/warning")),
		between("*:50", "10m:0 *:0.3").
			lasting("0.6% of what instances tell each other is lost", 16*minute, at("15m")).near("WebSocketBackplaneLosing"),
		between("*:1", "10m:0 +7 *:0").
			lasting("seven messages between instances are lost", 16*minute, at("12m")).near("WebSocketBackplaneLosing"),
		service("a", "b").add(gauge, "websocket_backplane_up", `job="demo", `+chatA+`, backplane="redis"`, "5m:1 *:0").add(gauge, "websocket_backplane_up", `job="demo", `+chatB+`, backplane="redis"`, "*:1").
			lasting("one instance loses the backplane", 8*minute, at("5m30s"), at("5m50s", "WebSocketBackplaneDown/critical")).exactly(),
		service("a").add(gauge, "websocket_backplane_up", `job="demo", `+chatA+`, backplane="redis"`, "5m:1 20s:0 *:1").
			lasting("the backplane is away for twenty seconds", 8*minute, at("5m25s"), at("6m")).near("WebSocketBackplaneDown"),
	}
}

// saturating has queues and clients be full and slow.
func saturating() []Situation {
	const closes, dropped, pings = "websocket_disconnections_total", "websocket_messages_dropped_total", "websocket_pings_total"
	return []Situation{
		service("a").set("websocket_send_queue_max_ratio", "", "10m:0.1 *:1").set(dropped, `reason="queue_full"`, "10m:0 *:3").
			lasting("send queues overflow", 16*minute, at("9m55s"), at("13m", "WebSocketDeliveryErrorBudgetBurn/critical", "WebSocketSendQueueSaturated/warning"),
				at("16m", "WebSocketDeliveryErrorBudgetBurn/critical", "WebSocketDeliveryErrorBudgetBurn/warning", "WebSocketSendQueueSaturated/warning")).exactly(),
		service("a").set("websocket_send_queue_max_ratio", "", "10m:0.1 *:1").set(dropped, `reason="slow_consumer"`, "10m:0 *:0.2").
			lasting("one bad client does not read", 16*minute, at("15m")).near("WebSocketSendQueueSaturated", "WebSocketSlowConsumers"),
		service("a").set("websocket_send_queue_max_ratio", "", "10m:0.1 *:0.7").set(dropped, `reason="queue_full"`, "10m:0 *:1.6").
			lasting("messages are dropped, though no queue is full now", 14*minute, at("14m", "WebSocketDeliveryErrorBudgetBurn/critical")).near("WebSocketSendQueueSaturated"),
		service("a").set(closes, `reason="slow_consumer"`, "10m:0 *:0.03").
			lasting("clients are too slow", 22*minute, at("12m"), at("18m", "WebSocketSlowConsumers/warning")).near("HighConnectionDropRate"),
		service("a").set(closes, `reason="slow_consumer"`, "10m:0 +8 *:0").
			lasting("eight clients of 500 are too slow", 14*minute, at("13m")).near("WebSocketSlowConsumers"),
		serviceOf(60, "a").set(closes, `reason="slow_consumer"`, "10m:0 +4 *:0").
			lasting("four clients of sixty are too slow", 14*minute, at("13m")).near("WebSocketSlowConsumers"),
		service("a").set(pings, `result="timeout"`, "10m:0 *:1").
			lasting("4% of the pings are not answered", 14*minute, at("10m40s"), at("13m30s", "WebSocketHeartbeatTimeouts/warning")),
		service("a").set(pings, `result="timeout"`, "10m:0 *:0.35").
			lasting("1.4% of the pings are not answered", 16*minute, at("16m")).near("WebSocketHeartbeatTimeouts"),
		serviceOf(20, "a").set(pings, `result="timeout"`, "10m:0 +8 *:0").
			lasting("eight laptops go to sleep", 16*minute, at("12m")).near("WebSocketHeartbeatTimeouts"),
	}
}

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

// processes has instances go down, come up, and use up what they have.
func processes() []Situation {
	const of = `job="demo", instance="a"`
	target := func(spec string) *world { return nothing().add(gauge, "up", of, spec) }
	down := func(w *world, labels, spec string) *world {
		for i, s := range w.all {
			if contains(s.labels, labels) && s.name == "up" {
				w.all[i].spec = spec
			} else if contains(s.labels, labels) {
				w.all[i].spec = strings.ReplaceAll(s.spec, "*", "10m") + " stale"
			}
		}
		return w
	}
	collector := func(w *world, spec string) *world {
		return w.add(gauge, "up", `job="otel-collector", instance="c"`, spec)
	}
	memory := func(connections float64, bytes string) *world {
		return serviceOf(connections, "a").add(gauge, "go_memstats_heap_alloc_bytes", of, bytes)
	}
	return []Situation{
		target("10m:1 20m:0 *:1").add(gauge, "up", `job="demo", instance="b"`, "*:1").
			lasting("one of two instances goes down and comes back", 35*minute, at("10m50s"), at("11m10s", "RealtimeTargetDown/warning"),
				at("23m", "RealtimeTargetDown/warning"), at("29m", "RealtimeTargetDown/warning"), at("31m")),
		target("2m:1 10s:0 2m:1 30s:0 *:1").lasting("a scrape is missed now and then", 10*minute, at("4m35s"), at("9m")).near("RealtimeTargetDown"),
		target("*:0").lasting("a target never comes", 20*minute, at("3m"), at("14m55s"), at("16m30s", "RealtimeTargetDown/warning")).near("RealtimeTargetMissing"),
		target("30s:0 *:1").add(gauge, "up", `job="jaeger", instance="j"`, "90s:0 *:1").add(gauge, "up", `job="prometheus", instance="p"`, "*:1").
			lasting("a first start in which components come one by one", 20*minute, at("1m20s"), at("3m"), at("17m"), at("20m")).exactly().near("RealtimeTargetDown", "RealtimeTargetMissing"),
		target("5m:1 90m:_ 2m:0 *:1").lasting("a stack is stopped overnight", 2*time.Hour, at("6m"), at("96m"), at("97m"), at("1h55m")).exactly().every(30*time.Second).near("RealtimeTargetDown", "RealtimeTargetMissing"),
		target("5m:1 stale *:_").add(gauge, "up", `job="demo", instance="b"`, "*:1").
			lasting("an instance is taken away", 15*minute, at("14m")).near("RealtimeTargetDown", "RealtimeTargetMissing"),
		down(service("a", "b"), "", "10m:1 *:0").
			lasting("all instances are killed", 16*minute, at("10m10s"), at("10m25s", "RealtimeTargetMissing/critical"),
				at("12m", "RealtimeTargetMissing/critical", "RealtimeTargetDown/warning")).exactly(),
		collector(down(service("a", "b"), "", "10m:1 stale *:_"), "*:1").
			lasting("all instances vanish", 16*minute, at("10m45s", "RealtimeTargetMissing/critical"), at("15m", "RealtimeTargetMissing/critical")),
		collector(down(service("a", "b"), `instance="a"`, "10m:1 *:0"), "*:1").
			set("websocket_active_connections", chatB, "10m:500 30s:500..950 *:950").
			lasting("one of two instances is killed", 16*minute, at("10m45s"), at("12m", "RealtimeTargetDown/warning")).near("RealtimeTargetMissing", "WebSocketConnectionsCollapsed"),
		collector(down(service("a"), "", "10m:1 stale *:_"), "10m:1 *:0").
			lasting("the Collector dies, and its targets go with it", 16*minute, at("10m45s"), at("12m", "RealtimeTargetDown/critical", "RealtimeTargetDown/warning"), at("15m45s", "RealtimeTargetDown/critical", "RealtimeTargetDown/warning")).near("RealtimeTargetMissing"),
		nothing().add(gauge, "websocket_active_connections", of+`, namespace="chat"`, "5m:500 stale *:_").
			lasting("a service that pushes its metrics ends", 12*minute, at("10m")).near("RealtimeTargetMissing"),
		target("5m:1 *:0").lasting("a part of the stack that has no connections goes down", 9*minute, at("5m50s"), at("7m", "RealtimeTargetDown/warning")).near("RealtimeTargetMissing"),
		nothing().add(gauge, "process_start_time_seconds", of, "5m:0 1m:300 1m:360 1m:420 *:480").
			lasting("a crash loop", 36*minute, at("6m30s"), at("8m30s", "RealtimeTargetRestarting/warning"), at("21m", "RealtimeTargetRestarting/warning"), at("35m")),
		nothing().add(gauge, "process_start_time_seconds", of, "5m:0 1m:300 *:360").
			lasting("a process is started twice", 12*minute, at("11m")).near("RealtimeTargetRestarting"),
		nothing().add(gauge, "process_open_fds", of, "*:900").add(gauge, "process_max_fds", of, "*:1024").
			lasting("88% of the file descriptors are open", 8*minute, at("4m30s"), at("7m", "FileDescriptorsNearlyExhausted/warning")),
		nothing().add(gauge, "process_open_fds", of, "*:990").add(gauge, "process_max_fds", of, "*:1024").
			lasting("97% of the file descriptors are open", 4*minute, at("20s"), at("1m", "FileDescriptorsNearlyExhausted/critical")),
		nothing().add(gauge, "process_open_fds", of, "*:600").add(gauge, "process_max_fds", of, "*:1024").
			lasting("59% of the file descriptors are open", 8*minute, at("7m")).near("FileDescriptorsNearlyExhausted"),
		service("a").add(gauge, "go_goroutines", of, "20m:1600 *:1600..4600").
			lasting("goroutines leak", 50*minute, at("20m"), at("27m"), at("45m", "WebSocketGoroutineLeak/warning")).every(15 * time.Second),
		service("a").add(gauge, "go_goroutines", of, "*:4000").
			lasting("many goroutines, and always as many", 30*minute, at("29m")).every(15 * time.Second).near("WebSocketGoroutineLeak"),
		service("a").add(gauge, "go_goroutines", of, "20m:1600 *:1600..2050").
			lasting("goroutines grow slowly", 60*minute, at("59m")).every(15 * time.Second).near("WebSocketGoroutineLeak"),
		service("a").add(gauge, "go_goroutines", of, "20m:1200 *:1200..1900").
			lasting("goroutines grow to what the connections need", 50*minute, at("49m")).every(15 * time.Second).near("WebSocketGoroutineLeak"),
		service("a").add(gauge, "go_goroutines", of, "20m:1600 *:1600..4600").set("websocket_active_connections", "", "20m:500 *:500..1500").
			lasting("goroutines grow with connections", 50*minute, at("49m")).every(15 * time.Second).near("WebSocketGoroutineLeak"),
		memory(500, "5m:60000000 *:200000000").
			lasting("each connection holds 400 kB", 30*minute, at("15m"), at("28m", "WebSocketMemoryPerConnectionHigh/warning")).every(15 * time.Second),
		memory(500, strings.Repeat("2m:90000000 2m:200000000 ", 7)+"*:200000000").
			lasting("the heap grows and falls", 29*minute, at("20m"), at("28m")).every(15 * time.Second).near("WebSocketMemoryPerConnectionHigh"),
		memory(500, "*:100000000").lasting("each connection holds 200 kB", 25*minute, at("24m")).every(15 * time.Second).near("WebSocketMemoryPerConnectionHigh"),
		memory(80, "*:100000000").lasting("few connections, and much memory", 25*minute, at("24m")).every(15 * time.Second).near("WebSocketMemoryPerConnectionHigh"),
		memory(120, "*:100000000").lasting("120 connections, and much memory", 25*minute, at("24m", "WebSocketMemoryPerConnectionHigh/warning")).every(15 * time.Second),
	}
}

// pipeline has the way from a service to a person be broken.
func pipeline() []Situation {
	const collector, exporter = `job="otel-collector", instance="c"`, `job="otel-collector", instance="c", exporter="otlp_http/logs"`
	host := func(idle, busy string) *world {
		return nothing().add(counter, "system_cpu_time_seconds_total", `job="host", instance="h", cpu="cpu0", state="idle"`, idle).
			add(counter, "system_cpu_time_seconds_total", `job="host", instance="h", cpu="cpu0", state="user"`, busy)
	}
	memory := func(used, free string) *world {
		return nothing().add(gauge, "system_memory_usage_bytes", `job="host", instance="h", state="used"`, used).
			add(gauge, "system_memory_usage_bytes", `job="host", instance="h", state="free"`, free)
	}
	one := func(k kind, metric, labels, spec string) *world { return nothing().add(k, metric, labels, spec) }
	store := func(ok, bad string) *world {
		return one(counter, "jaeger_storage_requests_total", `job="jaeger", instance="j", operation="find_traces", result="ok"`, ok).
			add(counter, "jaeger_storage_requests_total", `job="jaeger", instance="j", operation="find_traces", result="err"`, bad)
	}
	const prometheus, alertmanager = `job="prometheus", instance="p"`, `job="alertmanager", instance="m"`
	slowly := func(s Situation) Situation { return s.every(15 * time.Second) }
	return []Situation{
		slowly(one(counter, "sockscope_refused_data_points_total", `job="demo", instance="c", reason="too_old"`, "5m:0 5m:1 *:0").
			lasting("a service sends points that cannot be stored", 30*minute, at("9m"), at("12m", "TelemetryRefused/warning"), at("18m", "TelemetryRefused/warning"), at("29m"))),
		slowly(one(counter, "sockscope_refused_log_records_total", `job="demo", instance="c", reason="in_future"`, "5m:0 *:1").
			lasting("a service sends records that cannot be stored", 14*minute, at("9m"), at("12m", "TelemetryRefused/warning"))),
		slowly(one(counter, "otelcol_exporter_send_failed_log_records", exporter, "5m:0 +5 *:0").
			lasting("a store refuses a batch", 20*minute, at("4m"), at("6m", "TelemetryLost/warning"), at("14m", "TelemetryLost/warning"), at("19m"))),
		slowly(one(counter, "otelcol_exporter_send_failed_spans_total", exporter, "5m:0 +5 *:0").
			lasting("a store refuses spans, counted by a name with a suffix", 8*minute, at("7m", "TelemetryLost/warning"))),
		slowly(one(counter, "otelcol_exporter_send_failed_metric_points", exporter, "5m:0 +5 *:0").
			lasting("a store refuses points", 8*minute, at("7m", "TelemetryLost/warning"))),
		slowly(one(counter, "sockscope_store_refused_items_total", exporter+`, service="demo"`, "5m:0 +5 *:0").
			lasting("a store refuses what one service sends", 8*minute, at("4m"), at("7m", "TelemetryLost/warning"))),
		one(gauge, "sockscope_sender_start_time_seconds", `job="demo", instance="127.0.0.1", metric="sent"`, strings.Repeat("1m:160 1m:100 ", 8)).
			lasting("two processes send as one instance", 15*minute, at("5m"), at("14m", "TelemetryInstancesMixed/warning")),
		one(gauge, "sockscope_sender_start_time_seconds", `job="demo", instance="127.0.0.1", metric="sent"`, "5m:100 1m:160 1m:100 *:160").
			lasting("one process takes the place of another", 15*minute, at("14m")).near("TelemetryInstancesMixed"),
		slowly(one(gauge, "otelcol_exporter_queue_size", exporter+`, data_type="logs"`, "5m:10 *:60").add(gauge, "otelcol_exporter_queue_capacity", exporter+`, data_type="logs"`, "*:100").
			lasting("a store is away", 12*minute, at("6m30s"), at("8m", "TelemetryQueueFilling/warning"))),
		slowly(one(gauge, "otelcol_exporter_queue_size", exporter+`, data_type="logs"`, "5m:10 *:40").add(gauge, "otelcol_exporter_queue_capacity", exporter+`, data_type="logs"`, "*:100").
			lasting("a queue is 40% full", 12*minute, at("11m")).near("TelemetryQueueFilling")),
		slowly(one(counter, "otelcol_receiver_refused_spans", collector+`, receiver="otlp"`, "5m:0 3m:1 *:0").
			lasting("the Collector refuses spans", 16*minute, at("5m45s"), at("7m", "TelemetryCollectorRefusing/warning"), at("11m30s", "TelemetryCollectorRefusing/warning"), at("15m"))),
		slowly(one(counter, "otelcol_receiver_refused_metric_points", collector+`, receiver="otlp"`, "5m:0 *:1").
			lasting("the Collector refuses points", 10*minute, at("8m", "TelemetryCollectorRefusing/warning"))),
		slowly(one(counter, "otelcol_receiver_refused_log_records_total", collector+`, receiver="loki"`, "5m:0 *:1").
			lasting("the Collector refuses records", 10*minute, at("8m", "TelemetryCollectorRefusing/warning"))),
		slowly(one(counter, "sockscope_log_records_total", `job="demo", instance="a", result="dropped"`, "5m:0 +3 *:0").
			lasting("a service drops log records", 18*minute, at("4m"), at("6m", "TelemetryLogsDropped/warning"), at("14m", "TelemetryLogsDropped/warning"), at("17m"))),
		slowly(one(counter, "sockscope_log_records_total", `job="demo", instance="a", result="failed"`, "5m:0 +3 *:0").
			lasting("log records of a service fail", 8*minute, at("6m", "TelemetryLogsDropped/warning"))),
		slowly(one(counter, "sockscope_log_records_total", `job="demo", instance="a", result="sent"`, "*:100").
			lasting("log records are delivered", 8*minute, at("6m")).near("TelemetryLogsDropped")),
		slowly(one(counter, "sockscope_label_overflow_total", `job="demo", instance="a", namespace="chat", transport="websocket", label="type"`, "5m:0 +3 *:0").
			lasting("a message type is not registered", 80*minute, at("4m"), at("6m", "TelemetryLabelOverflow/info"), at("50m", "TelemetryLabelOverflow/info"), at("75m"))),
		slowly(store("*:9", "5m:0 *:1").lasting("a tenth of what the trace store is asked fails", 12*minute, at("6m30s"), at("11m", "TraceStoreErrors/warning"))),
		slowly(store("*:29", "5m:0 *:1").lasting("3% of what the trace store is asked fails", 14*minute, at("13m")).near("TraceStoreErrors")),
		slowly(one(counter, "jaeger_storage_requests_total", `job="jaeger", instance="j", operation="get_trace", result="err"`, "*:1").
			lasting("traces are asked for that are not there", 14*minute, at("13m")).near("TraceStoreErrors")),
		slowly(one(counter, "alertmanager_notifications_failed_total", alertmanager+`, integration="slack", reason="other"`, "5m:0 +3 *:0").
			lasting("notifications fail", 18*minute, at("4m"), at("6m", "NotificationsFailing/critical"), at("14m", "NotificationsFailing/critical"), at("17m"))),
		slowly(one(counter, "alertmanager_notifications_failed_total", alertmanager+`, integration="slack", reason="other"`, "5m:0 +1 *:0").
			lasting("a notification fails and succeeds when it is tried again", 8*minute, at("7m")).near("NotificationsFailing")),
		slowly(one(gauge, "prometheus_notifications_alertmanagers_discovered", prometheus, "5m:1 *:0").
			lasting("Prometheus knows no Alertmanager", 8*minute, at("5m30s"), at("7m", "PrometheusNotConnected/critical"))),
		slowly(one(gauge, "prometheus_notifications_alertmanagers_discovered", prometheus, "*:1").
			lasting("Prometheus knows an Alertmanager", 8*minute, at("7m")).near("PrometheusNotConnected")),
		slowly(one(counter, "prometheus_notifications_errors_total", prometheus+`, alertmanager="http://m"`, "5m:0 3m:0.1 *:0").
			lasting("Alertmanager is away", 15*minute, at("5m30s"), at("7m30s", "PrometheusNotConnected/critical"), at("14m"))),
		slowly(one(counter, "prometheus_notifications_errors_total", prometheus+`, alertmanager="http://m"`, "5m:0 +1 *:0").
			lasting("one request to Alertmanager fails", 8*minute, at("7m")).near("PrometheusNotConnected")),
		slowly(one(counter, "prometheus_rule_evaluation_failures_total", prometheus+`, rule_group="x"`, "5m:0 +5 *:0").
			lasting("a rule fails", 18*minute, at("5m45s"), at("8m", "PrometheusRulesFailing/warning"), at("13m", "PrometheusRulesFailing/warning"), at("17m"))),
		slowly(one(counter, "prometheus_rule_group_iterations_missed_total", prometheus+`, rule_group="x"`, "5m:0 +6 *:0").
			lasting("evaluations are left out", 18*minute, at("5m45s"), at("8m", "PrometheusRulesFailing/warning"), at("13m", "PrometheusRulesFailing/warning"), at("17m"))),
		slowly(one(counter, "prometheus_rule_group_iterations_missed_total", prometheus+`, rule_group="x"`, "5m:0 +2 *:0").
			lasting("two evaluations are left out", 12*minute, at("8m")).near("PrometheusRulesFailing")),
		slowly(one(gauge, "prometheus_config_last_reload_successful", prometheus, "5m:1 *:0").
			lasting("Prometheus cannot read its settings", 8*minute, at("5m30s"), at("7m", "PrometheusConfigBroken/warning"))),
		slowly(one(gauge, "alertmanager_config_last_reload_successful", alertmanager, "5m:1 *:0").
			lasting("Alertmanager cannot read its settings", 8*minute, at("5m30s"), at("7m", "PrometheusConfigBroken/warning"))),
		slowly(host("5m:1 20m:0.05 *:1", "5m:0 20m:0.95 *:0").
			lasting("the processors are busy", 36*minute, at("20m"), at("23m", "HostCPUSaturated/warning"), at("28m", "HostCPUSaturated/warning"), at("35m"))),
		slowly(host("*:0.2", "*:0.8").lasting("the processors are busy 80% of the time", 24*minute, at("23m")).near("HostCPUSaturated")),
		slowly(memory("5m:40 *:95", "5m:60 *:5").lasting("memory is used up", 12*minute, at("6m30s"), at("8m", "HostMemoryLow/warning"))),
		slowly(memory("*:80", "*:20").lasting("80% of the memory is used", 12*minute, at("8m")).near("HostMemoryLow")),
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
