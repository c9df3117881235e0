package mixin

import (
	"strings"
	"time"
)

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
		service("a").add(counter, dropped, `job="demo", `+chatA+`, reason="superseded"`, "10m:0 *:20").
			lasting("slow players get only the newest states of a game", 14*minute, at("13m")).near("WebSocketDeliveryErrorBudgetBurn"),
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
