package mixin

import "strings"

// boundaries has each alert begin and end: the moments are just before and just after its time. The faults are such
// that a number, a window or a guard that was otherwise would move one of them.
func boundaries() []Situation {
	var all []Situation
	for _, some := range [][]Situation{breakingBounds(), arrivingBounds(), runningBounds(), sharedBounds(), silentBounds(), budgetBounds()} {
		all = append(all, some...)
	}
	return all
}

func breakingBounds() []Situation {
	const closes, active, tried = "websocket_disconnections_total", "websocket_active_connections", "websocket_connections_total"
	const other = `job="other", instance="a"`
	foreign := func(connections, drops string) *world {
		return nothing().add(gauge, active, other+`, namespace="feed"`, connections).add(counter, closes, other+", "+abnormal, drops)
	}
	// drained has one instance drain at 35 minutes, and another one, which drained before, lose connections then.
	drained := func(broken, well, otherBroken, otherWell string) *world {
		return service("a", "b").set("websocket_draining", chatA, "35m:0 1m:1 *:0").set("websocket_draining", chatB, "15m:0 1m:1 *:0").
			set(closes, chatA+", "+abnormal, "35m:0 +"+broken+" *:0").set(closes, chatA+`, reason="normal"`, "15m:0 +100 20m:0 +"+well+" *:0").
			set(closes, chatB+", "+abnormal, "35m:0 +"+otherBroken+" *:0").set(closes, chatB+`, reason="normal"`, "35m:0 +"+otherWell+" *:0")
	}
	drains := func(broken, well string) *world {
		return service("a", "b").set("websocket_draining", chatA, "15m:0 2m:1 *:0").set(closes, chatA+", "+abnormal, "15m:0 "+broken+" *:0").
			set(closes, chatA+`, reason="normal"`, "15m:0 "+well+" *:0").set(closes, chatB+`, reason="normal"`, "*:0")
	}
	return []Situation{
		service("a").set(closes, abnormal, "15m:0 5m:0.2 *:0").
			lasting("connections break for five minutes", 45*minute, at("17m30s"), at("17m35s", "HighConnectionDropRate/warning"), at("32m45s", "HighConnectionDropRate/warning"), at("32m50s")),
		service("a").set(closes, abnormal, "15m:0 5m:0.2 *:0").set(closes, `reason="normal"`, "*:0.15").set(active, "", "*:5000").
			lasting("half of what ends breaks for five minutes", 45*minute, at("21m45s"), at("21m50s", "WebSocketAbnormalCloseRatioHigh/warning"), at("32m55s", "WebSocketAbnormalCloseRatioHigh/warning"), at("33m")),
		serviceOf(2000, "a").set(closes, abnormal, "15m:0 5m:0.09 *:0").set(closes, `reason="normal"`, "*:0.05").
			lasting("some connections of a large service break for five minutes", 45*minute, at("23m35s"), at("23m40s", "WebSocketAbnormalCloseRatioHigh/warning"), at("31m5s", "WebSocketAbnormalCloseRatioHigh/warning"), at("31m10s")),
		foreign("16m:500 *:100", "15m:0 3m:0.2 *:0").
			lasting("a foreign service shrinks while connections break", 45*minute, at("17m30s"), at("17m35s", "HighConnectionDropRate/warning"), at("31m10s", "HighConnectionDropRate/warning"), at("31m15s")),
		service("a").set(active, "", "16m:500 *:100").set(closes, abnormal, "15m:0 3m:0.2 *:0").
			lasting("a service shrinks while connections break", 45*minute, at("17m30s"), at("17m35s", "HighConnectionDropRate/warning"), at("31m10s", "HighConnectionDropRate/warning"), at("31m15s")),
		service("a").set(closes, abnormal, "25h:0.016 1h:0.1 *:0.016").
			lasting("more break than the day before, for an hour", 27*60*minute, at("25h3m"), at("25h4m", "HighConnectionDropRate/warning"), at("26h8m", "HighConnectionDropRate/warning"), at("26h9m")).every(minute).near("WebSocketAbnormalCloseRatioHigh"),
		service("a").set(closes, abnormal, "2h:0.05 23h:0.016 90m:0.1 *:0.016").
			lasting("more break than the day before, which was worse in the morning", 27*60*minute, at("8m"), at("9m", "HighConnectionDropRate/warning"), at("2h6m", "HighConnectionDropRate/warning"), at("2h7m"), at("25h3m"), at("25h4m", "HighConnectionDropRate/warning"), at("26h38m", "HighConnectionDropRate/warning"), at("26h39m")).every(minute).near("WebSocketAbnormalCloseRatioHigh"),
		drains("30s:2 1m:0", "30s:0 1m:3").
			lasting("an instance that drains breaks connections first", 50*minute, at("15m"), at("15m5s", "WebSocketDrainBreaksConnections/warning"), at("29m55s", "WebSocketDrainBreaksConnections/warning"), at("30m")).near("HighConnectionDropRate"),
		drains("30s:0.8 1m:0", "30s:0 1m:0.4").
			lasting("an instance that drains breaks 24 connections", 50*minute, at("15m15s"), at("15m20s", "WebSocketDrainBreaksConnections/warning"), at("29m55s", "WebSocketDrainBreaksConnections/warning"), at("30m")).near("HighConnectionDropRate"),
		drains("30s:0.7 1m:0", "30s:0 1m:0.4").
			lasting("an instance that drains breaks 21 connections", 50*minute, at("15m20s"), at("15m25s", "WebSocketDrainBreaksConnections/warning"), at("29m50s", "WebSocketDrainBreaksConnections/warning"), at("29m55s")),
		service("a").set(closes, `reason="internal"`, "15m:0 5m:0.2 *:0").
			lasting("the service breaks connections for five minutes", 45*minute, at("17m30s"), at("17m35s", "HighConnectionDropRate/warning"), at("32m45s", "HighConnectionDropRate/warning"), at("32m50s")),
		service("a").set(active, "", "16m:1000 *:100").set(closes, abnormal, "15m:0 3m:0.2 *:0").
			lasting("a large service shrinks while connections break", 20*minute, at("19m30s")).near("HighConnectionDropRate"),
		foreign("16m:1000 *:100", "15m:0 3m:0.2 *:0").
			lasting("a large foreign service shrinks while connections break", 20*minute, at("19m30s")).near("HighConnectionDropRate"),
		service("a").set(closes, abnormal, "15m:0 5m:0.2 *:0").add(gauge, active, `job="demo", namespace="feed", instance="a"`, "*:5000").
			lasting("connections of the smaller endpoint of a service break", 45*minute, at("17m30s"), at("17m35s", "HighConnectionDropRate/warning"), at("32m45s", "HighConnectionDropRate/warning"), at("32m50s")),
		service("a").set(closes, abnormal, "24h:0.5 12h:0.125 12h:0.0556 9h:0.41 *:0.0556").set(closes, `reason="normal"`, "*:0.5").
			set(active, "", "*:5000000").
			lasting("a larger part than the day before ends badly, for hours", 60*60*minute, at("6m"), at("8m", "WebSocketAbnormalCloseRatioHigh/warning"), at("24h6m", "WebSocketAbnormalCloseRatioHigh/warning"), at("24h8m"), at("48h6m"), at("48h8m", "WebSocketAbnormalCloseRatioHigh/warning"), at("55h34m", "WebSocketAbnormalCloseRatioHigh/warning"), at("55h36m")).every(2 * minute),
		drained("24", "200", "60", "0").
			lasting("an instance drains well, and one that drained before breaks connections", 50*minute, at("35m25s"), at("35m30s", "HighConnectionDropRate/warning"), at("49m50s", "HighConnectionDropRate/warning"), at("49m55s")).near("WebSocketDrainBreaksConnections"),
		drained("15", "5", "60", "0").
			lasting("an instance drains badly, and one that drained before breaks connections", 50*minute, at("35m25s"), at("35m30s", "HighConnectionDropRate/warning"), at("49m50s", "HighConnectionDropRate/warning"), at("49m55s")).near("WebSocketDrainBreaksConnections"),
		drained("30", "60", "0", "400").
			lasting("an instance drains badly, and one that drained before closes connections", 50*minute, at("34m55s"), at("35m", "WebSocketDrainBreaksConnections/warning"), at("49m50s", "WebSocketDrainBreaksConnections/warning"), at("49m55s")).near("HighConnectionDropRate"),
		service("a").set(active, "", "15m:500 *:200").
			lasting("60% of the connections go away for good", 45*minute, at("15m15s"), at("15m20s", "WebSocketConnectionsCollapsed/critical"), at("25m10s", "WebSocketConnectionsCollapsed/critical"), at("25m15s")),
		serviceOf(100, "a").set(active, "", "15m:100 8m:20 1m:8 *:8").
			lasting("connections go away, then more", 60*minute, at("15m15s"), at("15m20s", "WebSocketConnectionsCollapsed/critical"), at("31m35s", "WebSocketConnectionsCollapsed/critical"), at("31m40s")),
		serviceOf(24, "a").set(active, "", "15m:24 *:6").
			lasting("most of 24 connections go away for good", 45*minute, at("15m15s"), at("15m20s", "WebSocketConnectionsCollapsed/critical"), at("24m5s", "WebSocketConnectionsCollapsed/critical"), at("24m10s")),
		serviceOf(10000, "a").set(active, "", "60m:10000 *:22000").
			lasting("2.2 times as many connections, for good", 110*minute, at("60m45s"), at("61m", "ActiveConnectionsSpiking/warning"), at("72m", "ActiveConnectionsSpiking/warning"), at("72m15s")).every(15 * second),
		serviceOf(50, "a").set(active, "", "60m:50 *:600").
			lasting("550 more connections, for good", 110*minute, at("60m45s"), at("61m", "ActiveConnectionsSpiking/warning"), at("72m15s", "ActiveConnectionsSpiking/warning"), at("72m30s")).every(15 * second),
		serviceOf(2000, "a").set(tried, `status="connected"`, "75m:2 2m:12 *:2").
			lasting("connecting is six times what is usual for two minutes", 100*minute, at("75m45s"), at("75m50s", "WebSocketReconnectStorm/critical"), at("79m5s", "WebSocketReconnectStorm/critical"), at("79m10s")),
		serviceOf(2000, "a").set(tried, `status="connected"`, "10m:20 65m:1 2m:12 *:2").
			lasting("connecting is twelve times what is usual, and was more an hour before", 100*minute, at("75m20s"), at("75m25s", "WebSocketReconnectStorm/critical"), at("79m30s", "WebSocketReconnectStorm/critical"), at("79m35s")),
		serviceOf(500, "a").set(tried, `status="connected"`, "20m:0.02 1m:2 *:0.02").set(active, "", "16m:2500 *:500").
			lasting("a hundred come after many have left", 40*minute, at("20m50s")).near("WebSocketReconnectStorm"),
		nothing().add(gauge, active, other+`, namespace="feed"`, "16m:2500 *:500").add(counter, tried, other+`, status="connected"`, "20m:0.02 5m:2 *:0.02").
			lasting("a hundred come to a foreign service after many have left", 45*minute, at("20m50s")).near("WebSocketReconnectStorm"),
		serviceOf(500, "a").set(tried, `status="connected"`, "20m:0.02 1m:2 *:0.02").set(active, "", "5m:2500 *:500").
			lasting("a hundred come a quarter of an hour after many have left", 40*minute, at("20m25s"), at("20m30s", "WebSocketReconnectStorm/critical"), at("23m25s", "WebSocketReconnectStorm/critical"), at("23m30s")),
		nothing().add(gauge, active, other+`, namespace="feed"`, "5m:2500 *:500").add(counter, tried, other+`, status="connected"`, "20m:0.02 1m:2 *:0.02").
			lasting("a hundred come to a foreign service a quarter of an hour after many have left", 40*minute, at("20m25s"), at("20m30s", "WebSocketReconnectStorm/critical"), at("23m25s", "WebSocketReconnectStorm/critical"), at("23m30s")),
		serviceOf(500, "a").set(tried, `status="connected"`, "20m:0.02 1m:2 *:0.02").add(gauge, active, `job="demo", namespace="feed", instance="a"`, "*:5000").
			lasting("a hundred come to the smaller endpoint of a service", 40*minute, at("20m25s"), at("20m30s", "WebSocketReconnectStorm/critical"), at("23m25s", "WebSocketReconnectStorm/critical"), at("23m30s")),
		service("a").set(tried, `status="connected"`, "8m:0.5 4m:10 *:0.5").
			lasting("a service that was started minutes ago is stormed", 20*minute, at("10m10s"), at("10m15s", "WebSocketReconnectStorm/critical"), at("13m55s", "WebSocketReconnectStorm/critical"), at("14m")),
		service("a").set(tried, `status="connected"`, "20m:0.5 15m:50 *:0.5").set("websocket_draining", "", "19m:0 2m:1 *:0").
			lasting("clients go on reconnecting after an instance has drained", 40*minute, at("26m"), at("26m5s", "WebSocketReconnectStorm/critical"), at("29m10s", "WebSocketReconnectStorm/critical"), at("29m15s")),
	}
}

func arrivingBounds() []Situation {
	const tried = "websocket_connections_total"
	in := func(connected, status, rate string) *world {
		return service("a").set(tried, `status="connected"`, connected).set(tried, `status="`+status+`"`, rate)
	}
	return []Situation{
		in("*:1", "unauthorized", "15m:0 6m:0.6 *:0").
			lasting("three of eight are unauthorized for six minutes", 40*minute, at("20m25s"), at("20m30s", "WebSocketAuthFailuresSpiking/warning"), at("27m15s", "WebSocketAuthFailuresSpiking/warning"), at("27m20s")),
		in("*:0.01", "unauthorized", "15m:0 5m:0.09 *:0").
			lasting("24 are unauthorized in five minutes", 40*minute, at("20m35s"), at("20m40s", "WebSocketAuthFailuresSpiking/warning"), at("26m10s", "WebSocketAuthFailuresSpiking/warning"), at("26m15s")),
		in("*:1", "bad_handshake", "15m:0 6m:0.6 *:0").
			lasting("three of eight requests are not valid handshakes for six minutes", 40*minute, at("20m25s"), at("20m30s", "WebSocketHandshakesMalformed/warning"), at("27m15s", "WebSocketHandshakesMalformed/warning"), at("27m20s")),
		in("*:0.01", "bad_handshake", "15m:0 5m:0.09 *:0").
			lasting("24 requests are not valid handshakes in five minutes", 40*minute, at("20m35s"), at("20m40s", "WebSocketHandshakesMalformed/warning"), at("26m10s", "WebSocketHandshakesMalformed/warning"), at("26m15s")),
		in("75m:1 10m:0.4 *:1", "unauthorized", "75m:0 10m:0.6 *:0").
			lasting("sixty percent are refused for ten minutes", 110*minute, at("75m40s"), at("75m45s", "WebSocketConnectionsRefused/critical"), at("90m", "WebSocketConnectionsRefused/critical"), at("90m5s")),
		in("75m:0.4 20m:0.1 *:0.4", "unauthorized", "75m:0 10m:0.42 *:0").
			lasting("25 a minute are refused for ten minutes", 110*minute, at("75m40s"), at("75m45s", "WebSocketConnectionsRefused/critical"), at("90m5s", "WebSocketConnectionsRefused/critical"), at("90m10s")),
		in("75m:0.4 10m:0.1 *:0.4", "unauthorized", "75m:0 10m:0.3 *:0").
			lasting("18 a minute are refused for ten minutes", 110*minute, at("80m")).near("WebSocketConnectionsRefused"),
		in("75m:1 20m:0.6 20m:0.3 *:1", "unauthorized", "75m:0 40m:5 *:0").
			lasting("many are refused, and fewer and fewer get in", 130*minute, at("95m20s"), at("95m25s", "WebSocketConnectionsRefused/critical"), at("119m55s", "WebSocketConnectionsRefused/critical"), at("2h")),
		in("10m:4 65m:1 30m:0.4 *:1", "unauthorized", "75m:0 30m:5 *:0").
			lasting("many are refused, and more got in an hour before", 130*minute, at("75m40s"), at("75m45s", "WebSocketConnectionsRefused/critical"), at("102m15s", "WebSocketConnectionsRefused/critical"), at("102m20s")),
		in("75m:2 10m:0.9 *:2", "unauthorized", "75m:0 10m:0.6 *:0").
			lasting("forty percent are refused, and fewer than usual get in", 90*minute, at("80m")).near("WebSocketConnectionsRefused"),
		service("a").add(gauge, "websocket_connection_limit", chatA+`, job="demo"`, "5m:1000 8m:510 8m:555 *:1000").
			lasting("a service is full for a while", 35*minute, at("5m25s"), at("5m30s", "WebSocketConnectionCapacitySaturated/critical"), at("9m55s", "WebSocketConnectionCapacitySaturated/critical"), at("10m", "WebSocketConnectionCapacitySaturated/critical", "WebSocketConnectionCapacitySaturated/warning"), at("14m55s", "WebSocketConnectionCapacitySaturated/critical", "WebSocketConnectionCapacitySaturated/warning"), at("15m", "WebSocketConnectionCapacitySaturated/warning"), at("22m55s", "WebSocketConnectionCapacitySaturated/warning"), at("23m")),
	}
}

func runningBounds() []Situation {
	const errors, dropped, backplane, closes, pings = "websocket_errors_total", "websocket_messages_dropped_total", "websocket_backplane_messages_total", "websocket_disconnections_total", "websocket_pings_total"
	const handling = "websocket_message_duration_seconds"
	between := func(ok, bad string) *world {
		labels := `job="demo", ` + chatA + `, backplane="redis", direction="transmit", result=`
		return service("a").add(counter, backplane, labels+`"ok"`, ok).add(counter, backplane, labels+`"error"`, bad)
	}
	takes := func(metric, labels, spec string) *world {
		return service("a").add(native, metric, chatA+`, job="demo"`+labels, spec)
	}
	ended := func(spec string) *world {
		return service("a").add(fine, "websocket_connection_duration_seconds", `job="demo", `+chatA+`, reason="abnormal"`, spec)
	}
	return []Situation{
		ended("*:0.04@9.4,0.06@10.8").
			lasting("of the connections that break, 60% have lasted eleven seconds", 14*minute, at("7m10s"), at("7m15s", "WebSocketConnectionsCutAtOneAge/warning")),
		ended("20m:0.24@5,0.06@300 *:0.1@60").
			lasting("connections break at many ages, and then at one", 40*minute, at("29m"), at("33m", "WebSocketConnectionsCutAtOneAge/warning")),
		ended("*:0.06@9.4,0.04@10.8").
			lasting("of the connections that break, 40% have lasted eleven seconds", 14*minute, at("13m")).near("WebSocketConnectionsCutAtOneAge"),
		service("a").set("websocket_send_queue_messages", "", strings.Repeat("25s:100 15s:45 ", 17)).set("websocket_slow_connections", "", "*:3").set("websocket_slow_connection_messages", "", "*:40").
			lasting("forty messages wait for three connections, and mostly sixty for others", 11*minute, at("8m"), at("10m")).near("WebSocketFewConnectionsSlow"),
		between("*:10", "15m:0 10m:0.13 *:0").
			lasting("1.3% between instances is lost for ten minutes", 45*minute, at("19m45s"), at("19m50s", "WebSocketBackplaneLosing/warning"), at("31m", "WebSocketBackplaneLosing/warning"), at("31m5s")),
		between("*:1", "15m:0 5m:0.05 *:0").
			lasting("fourteen messages between instances are lost", 45*minute, at("19m10s"), at("19m15s", "WebSocketBackplaneLosing/warning"), at("26m30s", "WebSocketBackplaneLosing/warning"), at("26m35s")),
		service("a", "b").add(gauge, "websocket_backplane_up", `job="demo", `+chatA+`, backplane="redis"`, "5m:1 2m:0 *:1").
			lasting("an instance is without the backplane for two minutes", 15*minute, at("5m30s"), at("5m35s", "WebSocketBackplaneDown/critical"), at("7m55s", "WebSocketBackplaneDown/critical"), at("8m")),
		takes("websocket_backplane_lag_seconds", `, backplane="redis"`, "10m:1@0.01 5m:0.97@0.01,0.03@0.9 *:1@0.01").
			lasting("three of a hundred messages lag", 40*minute, at("11m30s"), at("11m35s", "WebSocketBackplaneLagging/warning"), at("21m10s", "WebSocketBackplaneLagging/warning"), at("21m15s")),
		takes("websocket_backplane_lag_seconds", `, backplane="redis"`, "*:1@0.6").
			lasting("the backplane lags by 600 ms", 10*minute, at("1m15s"), at("1m20s", "WebSocketBackplaneLagging/warning")),
		takes("websocket_backplane_lag_seconds", `, backplane="redis"`, "10m:0.19@0.01 5m:0.19@0.9 *:0.01@0.9").
			lasting("23 messages in two minutes lag", 40*minute, at("11m"), at("11m5s", "WebSocketBackplaneLagging/warning"), at("20m5s", "WebSocketBackplaneLagging/warning"), at("20m10s")),
		takes("websocket_broadcast_duration_seconds", "", "10m:1@0.01 8m:0.97@0.01,0.03@0.9 *:1@0.01").
			lasting("publishing is slow three times of a hundred", 45*minute, at("13m30s"), at("13m35s", "WebSocketFanoutLagging/warning"), at("27m50s", "WebSocketFanoutLagging/warning"), at("27m55s")),
		takes("websocket_broadcast_duration_seconds", "", "*:1@0.6").
			lasting("publishing takes 600 ms", 10*minute, at("2m15s"), at("2m20s", "WebSocketFanoutLagging/warning")),
		takes("websocket_broadcast_duration_seconds", "", "10m:0.075@0.01 8m:0.075@0.9 *:0.01@0.9").
			lasting("23 slow announcements in five minutes", 45*minute, at("11m55s"), at("12m", "WebSocketFanoutLagging/warning"), at("23m30s", "WebSocketFanoutLagging/warning"), at("23m35s")),
		service("a").set(errors, `kind="handler"`, "15m:0 6m:1.3 *:0").
			lasting("13% of the handlers fail for six minutes", 40*minute, at("16m40s"), at("16m45s", "WebSocketHandlingFails/critical"), at("17m10s", "WebSocketHandlingFails/critical"), at("17m15s", "WebSocketHandlingFails/critical", "WebSocketHandlingFails/warning"), at("26m20s", "WebSocketHandlingFails/critical", "WebSocketHandlingFails/warning"), at("26m25s", "WebSocketHandlingFails/warning"), at("27m30s", "WebSocketHandlingFails/warning"), at("27m35s")),
		service("a").set(errors, `kind="handler"`, "15m:0 6m:0.25 *:0").
			lasting("2.5% of the handlers fail for six minutes", 40*minute, at("18m30s"), at("18m35s", "WebSocketHandlingFails/warning"), at("26m15s", "WebSocketHandlingFails/warning"), at("26m20s")),
		serviceOf(10, "a").set(errors, `kind="handler"`, "15m:0 6m:0.11 *:0").
			lasting("thirteen failures in two minutes of a small service", 40*minute, at("16m40s"), at("16m45s", "WebSocketHandlingFails/critical"), at("18m25s", "WebSocketHandlingFails/critical"), at("18m30s", "WebSocketHandlingFails/critical", "WebSocketHandlingFails/warning"), at("26m20s", "WebSocketHandlingFails/critical", "WebSocketHandlingFails/warning"), at("26m25s")),
		nothing().add(counter, "websocket_messages_total", `job="other", instance="a", direction="receive", type="message"`, "*:10").
			add(counter, errors, `job="other", namespace="feed", instance="a", kind="handler"`, "15m:0 6m:1.3 *:0").
			lasting("handlers of a foreign service fail", 40*minute, at("16m40s"), at("16m45s", "WebSocketHandlingFails/critical"), at("17m10s", "WebSocketHandlingFails/critical"), at("17m15s", "WebSocketHandlingFails/critical", "WebSocketHandlingFails/warning"), at("26m20s", "WebSocketHandlingFails/critical", "WebSocketHandlingFails/warning"), at("26m25s", "WebSocketHandlingFails/warning"), at("27m30s", "WebSocketHandlingFails/warning"), at("27m35s")),
		service("a").set(errors, `kind="handler"`, "15m:0 6m:1.3 *:0").
			add(counter, "websocket_messages_total", `job="demo", namespace="feed", instance="a", direction="receive", type="message"`, "*:500").
			lasting("handlers of the smaller endpoint of a service fail", 40*minute, at("16m40s"), at("16m45s", "WebSocketHandlingFails/critical"), at("17m10s", "WebSocketHandlingFails/critical"), at("17m15s", "WebSocketHandlingFails/critical", "WebSocketHandlingFails/warning"), at("26m20s", "WebSocketHandlingFails/critical", "WebSocketHandlingFails/warning"), at("26m25s", "WebSocketHandlingFails/warning"), at("27m30s", "WebSocketHandlingFails/warning"), at("27m35s")),
		service("a").set(handling, "", "10m:10@0.01 5m:8@0.01,2@1.5 *:10@0.01").
			lasting("a fifth of the messages is slow for five minutes", 40*minute, at("10m50s"), at("10m55s", "WebSocketLatencyHigh/critical"), at("24m35s", "WebSocketLatencyHigh/critical"), at("24m40s")),
		service("a").set(handling, "", "10m:10@0.01 6m:9.7@0.01,0.3@1.5 *:10@0.01").
			lasting("3% of the messages are slow for six minutes", 40*minute, at("14m55s"), at("15m", "WebSocketLatencyHigh/critical"), at("24m10s", "WebSocketLatencyHigh/critical"), at("24m15s")),
		service("a").set(handling, "", "10m:0.45@0.01 7m:0.42@0.01,0.03@1.5 *:0.01@0.01").
			lasting("135 messages in five minutes, some of them slow", 40*minute, at("14m"), at("14m5s", "WebSocketLatencyHigh/critical"), at("26m50s", "WebSocketLatencyHigh/critical"), at("26m55s")),
		service("a").set(handling, "", "*:10@1.2").
			lasting("all messages take 1.2 seconds", 10*minute, at("30s"), at("35s", "WebSocketLatencyHigh/critical")),
		service("a").set(handling, "", "*:10@0.9").
			lasting("all messages take 900 ms", 10*minute, at("10m")).near("WebSocketLatencyHigh"),
		service("a").set(errors, `kind="panic"`, "10m:0 +1 *:0").
			lasting("one panic", 40*minute, at("9m55s"), at("10m", "WebSocketPanics/warning"), at("24m50s", "WebSocketPanics/warning"), at("24m55s")),
		service("a").set("websocket_send_queue_max_ratio", "", "15m:0.1 8m:0.95 *:0.1").set(dropped, `reason="queue_full"`, "*:1.3").
			lasting("a queue is full for eight minutes, and 1.3% is dropped", 40*minute, at("15m55s"), at("16m", "WebSocketSendQueueSaturated/warning"), at("27m55s", "WebSocketSendQueueSaturated/warning"), at("28m")),
		service("a").set("websocket_send_queue_max_ratio", "", "*:0.95").set(dropped, `reason="queue_full"`, "15m:0 6m:1.3 *:0").
			set("websocket_messages_total", sent, "15m:100 5m:70 *:100").
			lasting("1.8% is dropped for six minutes", 40*minute, at("19m"), at("19m5s", "WebSocketSendQueueSaturated/warning"), at("27m30s", "WebSocketSendQueueSaturated/warning"), at("27m35s")),
		service("a").set("websocket_send_queue_max_ratio", "", "*:0.8").set(dropped, `reason="queue_full"`, "*:1.3").
			lasting("a queue is 80% full, and 1.3% is dropped", 15*minute, at("15m")).near("WebSocketSendQueueSaturated"),
		service("a").set("websocket_send_queue_max_ratio", "", "*:0.95").set(dropped, `reason="queue_full"`, "*:0.8").
			lasting("a queue is full, and 0.8% is dropped", 15*minute, at("15m")).near("WebSocketSendQueueSaturated"),
		service("a").set(closes, `reason="slow_consumer"`, "15m:0 5m:0.043 *:0").
			lasting("13 of 500 clients are too slow", 50*minute, at("19m45s"), at("19m50s", "WebSocketSlowConsumers/warning"), at("30m55s", "WebSocketSlowConsumers/warning"), at("31m")),
		serviceOf(500, "a").set(closes, `reason="slow_consumer"`, "15m:0 5m:0.043 *:0").set("websocket_active_connections", "", "13m:1000 *:500").
			lasting("13 of 500 clients are too slow, where there were a thousand", 50*minute, at("23m50s"), at("23m55s", "WebSocketSlowConsumers/warning"), at("30m55s", "WebSocketSlowConsumers/warning"), at("31m")),
		serviceOf(60, "a").set(closes, `reason="slow_consumer"`, "15m:0 5m:0.021 *:0").
			lasting("six of sixty clients are too slow", 50*minute, at("19m50s"), at("19m55s", "WebSocketSlowConsumers/warning"), at("30m50s", "WebSocketSlowConsumers/warning"), at("30m55s")),
		service("a").set(pings, `result="timeout"`, "15m:0 6m:0.65 *:0").
			lasting("2.5% of the pings are not answered for six minutes", 40*minute, at("19m50s"), at("19m55s", "WebSocketHeartbeatTimeouts/warning"), at("26m55s", "WebSocketHeartbeatTimeouts/warning"), at("27m")),
		serviceOf(20, "a").set(pings, `result="timeout"`, "15m:0 5m:0.045 *:0").
			lasting("thirteen pings are not answered", 40*minute, at("19m35s"), at("19m40s", "WebSocketHeartbeatTimeouts/warning"), at("26m10s", "WebSocketHeartbeatTimeouts/warning"), at("26m15s")),
		service("a", "b").set("websocket_active_connections", chatA, "*:205").set("websocket_active_connections", chatB, "*:55").
			lasting("260 connections, spread unevenly", 60*minute, at("44m30s"), at("45m", "WebSocketConnectionImbalance/info")).every(30 * second),
	}
}

func sharedBounds() []Situation {
	const of, target = `job="demo", instance="a"`, `job="probe", instance="a", target="eu"`
	const client = `job="bot", instance="a", client="trader"`
	reconciled := func(ok, bad string) *world {
		return nothing().add(counter, "websocket_client_reconciliations_total", client+`, trigger="gap", result="ok"`, ok).
			add(counter, "websocket_client_reconciliations_total", client+`, trigger="gap", result="error"`, bad)
	}
	probe := func(spec string) *world {
		return nothing().add(gauge, "up", `job="probe", instance="a"`, "*:1").add(native, "websocket_probe_duration_seconds", target+`, phase="delivery"`, spec)
	}
	stream := func(metric, spec string) *world {
		return nothing().add(counter, metric, client+`, stream="prices"`, spec).add(gauge, "up", `job="bot", instance="a"`, "*:1")
	}
	goroutines := func(spec string) *world { return service("a").add(gauge, "go_goroutines", of, spec) }
	one := func(k kind, metric, labels, spec string) *world { return nothing().add(k, metric, labels, spec) }
	const prometheus, exporter = `job="prometheus", instance="p"`, `job="otel-collector", instance="c", exporter="otlp_http/logs"`
	const certificate, collectors, loki, victoria = `job="probe", instance="a", target="eu"`, `job="otel-collector", instance=`, `job="loki", instance="l"`, `job="victoria-logs", instance="v", path="/insert/opentelemetry/v1/logs"`
	return []Situation{
		nothing().add(gauge, "up", collectors+`"c"`, "5m:1 30m:_ 2m:0 *:1").
			lasting("the only Collector is stopped for half an hour", 60*minute, at("36m45s")).every(15 * second).near("RealtimeTargetDown"),
		one(gauge, "websocket_probe_certificate_expiry_timestamp_seconds", certificate, "*:216000").
			lasting("a certificate expires in two days and a half", 8*minute, at("45s"), at("1m", "WebSocketCertificateExpiring/critical"), at("4m45s", "WebSocketCertificateExpiring/critical"), at("5m", "WebSocketCertificateExpiring/critical", "WebSocketCertificateExpiring/warning")).every(15 * second),
		one(counter, "sockscope_spans_total", of+`, result="sent"`, "*:10").add(counter, "sockscope_spans_total", of+`, result="dropped"`, "*:0.45").
			lasting("4.3% of the spans are dropped", 12*minute, at("11m")).every(15 * second).near("TelemetrySpansLost"),
		one(counter, "vl_http_requests_total", victoria, "*:0.05").add(counter, "vl_http_errors_total", victoria, "5m:0 5m:0.025 *:0").
			lasting("VictoriaLogs fails to store seven batches", 30*minute, at("10m"), at("10m15s", "LogStoreErrors/warning"), at("16m15s", "LogStoreErrors/warning"), at("16m30s")).every(15 * second),
		one(counter, "loki_ingester_wal_disk_full_failures_total", loki, "5m:0 +1 *:0").
			lasting("Loki's disk is full once", 40*minute, at("6m45s"), at("7m", "LogStoreErrors/warning"), at("14m30s", "LogStoreErrors/warning"), at("14m45s")).every(15 * second),
		one(gauge, "websocket_client_connected", client, "5m:1 3m:0 *:1").
			lasting("a client has no connection for three minutes", 15*minute, at("6m20s"), at("6m25s", "WebSocketClientDisconnected/warning"), at("8m55s", "WebSocketClientDisconnected/warning"), at("9m")),
		one(gauge, "websocket_client_stale", client+`, stream="prices"`, "5m:0 3m:1 *:0").
			lasting("a stream is stale for three minutes", 15*minute, at("6m20s"), at("6m25s", "WebSocketClientDataStale/warning"), at("8m55s", "WebSocketClientDataStale/warning"), at("9m")),
		stream("websocket_client_missing_messages_total", "5m:0 +6 *:0").
			lasting("six events are missing", 40*minute, at("4m55s"), at("5m", "WebSocketSequenceGaps/warning"), at("19m50s", "WebSocketSequenceGaps/warning"), at("19m55s")),
		stream("websocket_client_drift_total", "5m:0 +3 *:0").
			lasting("three reconciliations find other state", 60*minute, at("4m45s"), at("5m", "WebSocketReconciliationDrift/warning"), at("39m30s", "WebSocketReconciliationDrift/warning"), at("39m45s")).every(15 * second),
		reconciled("*:0", "15m:0 5m:0.012 *:0").
			lasting("reconciling fails four times", 60*minute, at("19m"), at("19m5s", "WebSocketReconciliationFailing/warning"), at("30m40s", "WebSocketReconciliationFailing/warning"), at("30m45s")),
		reconciled("*:0.01", "15m:0 5m:0.03 *:0").
			lasting("reconciling fails nine times, and succeeds as well", 60*minute, at("18m15s"), at("18m20s", "WebSocketReconciliationFailing/warning"), at("31m30s", "WebSocketReconciliationFailing/warning"), at("31m35s")),
		reconciled("15m:0.03 *:0", "15m:0 5m:0.03 *:0").
			lasting("reconciling fails nine times, and had succeeded before", 60*minute, at("19m50s"), at("19m55s", "WebSocketReconciliationFailing/warning"), at("33m10s", "WebSocketReconciliationFailing/warning"), at("33m15s")),
		probe("10m:0.2@0.05 9m:0.17@0.05,0.03@1.2 *:0.2@0.05").
			lasting("a seventh of the deliveries is slow for nine minutes", 45*minute, at("18m10s"), at("18m15s", "WebSocketProbeSlow/warning"), at("23m55s", "WebSocketProbeSlow/warning"), at("24m")),
		probe("*:0.2@1.2").
			lasting("deliveries take 1.2 seconds", 15*minute, at("6m35s"), at("6m40s", "WebSocketProbeSlow/warning")),
		probe("10m:0.08@0.05 9m:0.08@1.9 *:0.01@1.9").
			lasting("24 slow deliveries in five minutes, and then hardly any", 45*minute, at("15m20s"), at("15m25s", "WebSocketProbeSlow/warning"), at("24m50s", "WebSocketProbeSlow/warning"), at("24m55s")),
		nothing().add(gauge, "process_open_fds", of, "5m:600 8m:990 8m:900 *:600").add(gauge, "process_max_fds", of, "*:1024").
			lasting("file descriptors are short for a while", 35*minute, at("5m25s"), at("5m30s", "FileDescriptorsNearlyExhausted/critical"), at("9m55s", "FileDescriptorsNearlyExhausted/critical"), at("10m", "FileDescriptorsNearlyExhausted/critical", "FileDescriptorsNearlyExhausted/warning"), at("14m55s", "FileDescriptorsNearlyExhausted/critical", "FileDescriptorsNearlyExhausted/warning"), at("15m", "FileDescriptorsNearlyExhausted/warning"), at("22m55s", "FileDescriptorsNearlyExhausted/warning"), at("23m")),
		goroutines("20m:2000 10m:2000..2400 *:2400").
			lasting("400 goroutines leak", 70*minute, at("32m30s"), at("32m45s", "WebSocketGoroutineLeak/warning"), at("42m15s", "WebSocketGoroutineLeak/warning"), at("42m30s")).every(15 * second),
		goroutines("20m:1600 30m:1600..2900 10m:2900 *:1600").
			lasting("goroutines leak until a restart", 100*minute, at("34m"), at("34m15s", "WebSocketGoroutineLeak/warning"), at("63m", "WebSocketGoroutineLeak/warning"), at("63m15s")).every(15 * second),
		goroutines("20m:1600 30m:1600..2250 *:2250").
			lasting("650 goroutines leak in half an hour", 100*minute, at("43m15s"), at("43m30s", "WebSocketGoroutineLeak/warning"), at("56m", "WebSocketGoroutineLeak/warning"), at("56m15s")).every(15 * second),
		serviceOf(500, "a").add(gauge, "go_memstats_heap_alloc_bytes", of, "5m:60000000 30m:160000000 *:60000000").
			lasting("each connection holds 320 kB for half an hour", 60*minute, at("24m30s"), at("24m45s", "WebSocketMemoryPerConnectionHigh/warning"), at("39m45s", "WebSocketMemoryPerConnectionHigh/warning"), at("40m")).every(15 * second),
		nothing().add(gauge, "up", of, "5m:1 30m:_ 2m:0 *:1").
			lasting("a stack is stopped for half an hour", 60*minute, at("36m45s")).every(15 * second).near("RealtimeTargetDown"),
		service("a").set("up", "", "10m:1 *:0").set("websocket_active_connections", "", "10m:500 stale *:_").
			lasting("a service goes down for good", 60*minute, at("10m"), at("10m15s", "RealtimeTargetMissing/critical"), at("29m30s", "RealtimeTargetMissing/critical"), at("29m45s")).every(15 * second),
		service("a").set("up", "", "25m:1 *:0").set("websocket_active_connections", "", "10m:500 stale *:_").
			lasting("a service goes down a quarter of an hour after its last connection", 60*minute, at("25m"), at("25m15s", "RealtimeTargetMissing/critical"), at("29m30s", "RealtimeTargetMissing/critical"), at("29m45s")).every(15 * second),
		service("a").set("up", "", "10m:1 *:0").set("websocket_active_connections", "", "25m:500 stale *:_").
			lasting("a service that pushes goes on after it can't be scraped", 60*minute, at("10m"), at("10m15s", "RealtimeTargetMissing/critical"), at("29m30s", "RealtimeTargetMissing/critical"), at("29m45s")).every(15 * second),
		one(gauge, "sockscope_sender_start_time_seconds", `job="demo", instance="127.0.0.1", metric="sent"`, "10m:100 "+strings.Repeat("1m:160 1m:100 ", 4)+"*:160").
			lasting("two processes send as one instance for eight minutes", 45*minute, at("16m55s"), at("17m", "TelemetryInstancesMixed/warning"), at("25m50s", "TelemetryInstancesMixed/warning"), at("25m55s")),
		one(counter, "sockscope_store_refused_items_total", exporter+`, service="demo"`, "5m:0 +1 *:0").
			lasting("a store refuses one item of a service", 60*minute, at("4m45s"), at("5m", "TelemetryLost/warning"), at("14m30s", "TelemetryLost/warning"), at("14m45s")).every(15 * second),
		one(counter, "sockscope_refused_data_points_total", `job="demo", instance="c", reason="too_old"`, "5m:0 +1 *:0").
			lasting("one point cannot be stored", 60*minute, at("9m45s"), at("10m", "TelemetryRefused/warning"), at("14m30s", "TelemetryRefused/warning"), at("14m45s")).every(15 * second),
		one(counter, "sockscope_refused_log_records_total", `job="demo", instance="c", reason="too_old"`, "5m:0 +1 *:0").
			lasting("one record cannot be stored", 60*minute, at("9m45s"), at("10m", "TelemetryRefused/warning"), at("14m30s", "TelemetryRefused/warning"), at("14m45s")).every(15 * second),
		one(counter, "sockscope_log_records_total", `job="demo", instance="a", result="dropped"`, "5m:0 +1 *:0").
			lasting("one log record is dropped", 30*minute, at("4m45s"), at("5m", "TelemetryLogsDropped/warning"), at("14m30s", "TelemetryLogsDropped/warning"), at("14m45s")).every(15 * second),
		one(counter, "sockscope_label_overflow_total", `job="demo", instance="a", namespace="chat", transport="websocket", label="type"`, "5m:0 +1 *:0").
			lasting("one message is of a type that is not registered", 80*minute, at("4m45s"), at("5m", "TelemetryLabelOverflow/info"), at("64m30s", "TelemetryLabelOverflow/info"), at("64m45s")).every(15 * second),
		one(counter, "jaeger_storage_requests_total", `job="jaeger", instance="j", operation="find_traces", result="ok"`, "*:9").
			add(counter, "jaeger_storage_requests_total", `job="jaeger", instance="j", operation="find_traces", result="err"`, "10m:0 6m:0.6 *:0").
			lasting("6% of what the trace store is asked fails for six minutes", 40*minute, at("15m30s"), at("15m45s", "TraceStoreErrors/warning"), at("21m45s", "TraceStoreErrors/warning"), at("22m")).every(15 * second),
		one(counter, "jaeger_storage_requests_total", `job="jaeger", instance="j", operation="find_traces", result="ok"`, "10m:9 6m:5 *:9").
			add(counter, "jaeger_storage_requests_total", `job="jaeger", instance="j", operation="find_traces", result="err"`, "10m:0 5m:0.5 *:0").
			lasting("the trace store is asked less while it fails", 40*minute, at("15m"), at("15m15s", "TraceStoreErrors/warning"), at("21m30s", "TraceStoreErrors/warning"), at("21m45s")).every(15 * second),
		one(counter, "alertmanager_notifications_failed_total", `job="alertmanager", instance="m", integration="slack", reason="other"`, "5m:0 +2 *:0").
			lasting("two notifications fail", 30*minute, at("4m45s"), at("5m", "NotificationsFailing/critical"), at("14m30s", "NotificationsFailing/critical"), at("14m45s")).every(15 * second),
		one(counter, "prometheus_notifications_errors_total", prometheus, "5m:0 30s:0.0667 1m:0 30s:0.0334 3m:0 30s:0.0667 *:0").
			lasting("a few requests to Alertmanager fail", 20*minute, at("6m"), at("6m15s", "PrometheusNotConnected/critical"), at("6m45s", "PrometheusNotConnected/critical"), at("7m"), at("11m"), at("11m15s", "PrometheusNotConnected/critical"), at("11m30s", "PrometheusNotConnected/critical"), at("11m45s")).every(15 * second),
		one(counter, "prometheus_notifications_errors_total", prometheus, "5m:0 6m:0.02 *:0").
			lasting("requests to Alertmanager fail every minute", 20*minute, at("7m15s"), at("7m30s", "PrometheusNotConnected/critical"), at("11m", "PrometheusNotConnected/critical"), at("11m15s")).every(15 * second),
		one(counter, "prometheus_rule_evaluation_failures_total", prometheus+`, rule_group="x"`, "5m:0 +1 *:0").
			lasting("a rule fails once", 30*minute, at("5m45s"), at("6m", "PrometheusRulesFailing/warning"), at("14m30s", "PrometheusRulesFailing/warning"), at("14m45s")).every(15 * second),
		one(counter, "prometheus_rule_group_iterations_missed_total", prometheus+`, rule_group="x"`, "5m:0 +4 *:0").
			lasting("four evaluations are left out", 30*minute, at("5m45s"), at("6m", "PrometheusRulesFailing/warning"), at("14m30s", "PrometheusRulesFailing/warning"), at("14m45s")).every(15 * second),
		one(counter, "prometheus_rule_group_iterations_missed_total", prometheus+`, rule_group="x"`, "5m:0 +3 *:0").
			lasting("three evaluations are left out", 12*minute, at("8m")).every(15 * second).near("PrometheusRulesFailing"),
		one(gauge, "process_start_time_seconds", of, "5m:0 1m:300 1m:360 *:420").
			lasting("a process is started three times", 40*minute, at("6m55s"), at("7m", "RealtimeTargetRestarting/warning"), at("29m50s", "RealtimeTargetRestarting/warning"), at("29m55s")),
		one(counter, "system_cpu_time_seconds_total", `job="host", instance="h", cpu="cpu0", state="idle"`, "5m:1 20m:0.05 *:1").
			add(counter, "system_cpu_time_seconds_total", `job="host", instance="h", cpu="cpu0", state="user"`, "5m:0 20m:0.95 *:0").
			lasting("the processors are busy for twenty minutes", 45*minute, at("21m15s"), at("21m30s", "HostCPUSaturated/warning"), at("29m45s", "HostCPUSaturated/warning"), at("30m")).every(15 * second),
		one(gauge, "system_memory_usage_bytes", `job="host", instance="h", state="used"`, "5m:40 5m:95 *:40").
			add(gauge, "system_memory_usage_bytes", `job="host", instance="h", state="free"`, "5m:60 5m:5 *:60").
			lasting("memory is short for five minutes", 25*minute, at("6m45s"), at("7m", "HostMemoryLow/warning"), at("14m45s", "HostMemoryLow/warning"), at("15m")).every(15 * second),
	}
}
