package mixin

import "time"

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
