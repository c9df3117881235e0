package mixin

import "strings"

// silentBounds has services fall silent. The age of the newest message is 0 where it is now, and grows where it is the
// same.
func silentBounds() []Situation {
	const newest, messages = "websocket_last_message_timestamp_seconds", "websocket_messages_total"
	const stall, silent, stopped = "WebSocketSilentStall", "WebSocketSilentInstance", "WebSocketProducerSilent"
	// A message in each so many seconds, and how much of the time the newest is less than 15 seconds old.
	const in15, in25, in40, in60 = "5s:now 10s:same ", "5s:now 20s:same ", "5s:now 35s:same ", "5s:now 55s:same " // all, 60%, 37%, 25%
	const twice = "10s:now "
	feed := func(spec string) *world { return service("a").drop("", heard).set(newest, sent, spec) }
	lunch := func(spec string) *world {
		return service("a").set(newest, sent, "20m:now *:same").set(newest, heard, spec)
	}
	instance := func(spec, other string) *world {
		return service("a", "b").set(newest, chatA+", "+sent, spec).set(newest, chatB+", "+sent, other)
	}
	prices := func(spec string) *world {
		return service("a").add(counter, messages, chatA+`, job="demo", `+sent+`, type="price"`, spec)
	}
	repeat := strings.Repeat
	return []Situation{
		feed("20m:now 10m:same *:now").lasting("a feed is silent for ten minutes", 40*minute, at("20m40s"), at("20m45s", stall+"/critical"), at("29m55s", stall+"/critical"), at("30m")),
		serviceOf(3, "a").drop("", heard).set(newest, sent, "20m:now *:same").lasting("a feed with three consumers stalls", 22*minute, at("20m40s"), at("20m45s", stall+"/critical")),
		feed("10s:now "+repeat(in15, 80)+"*:same").lasting("a feed that speaks every 15 seconds stops", 25*minute, at("20m40s"), at("20m45s", stall+"/critical")),
		feed("15s:now "+repeat(twice+"20s:same "+twice+"35s:same ", 16)+"*:same").lasting("a feed that speaks in bursts stops", 25*minute, at("20m20s"), at("20m25s", stall+"/critical")),
		lunch("15s:now "+repeat(twice+"65s:same ", 16)+"*:same").lasting("people who spoke in bursts go to lunch", 30*minute, at("22m40s"), at("22m45s", stall+"/critical")),
		feed(repeat(in40, 30)+"*:same").lasting("a feed that speaks every forty seconds stops", 25*minute, at("21m30s")).near(stall),
		feed(repeat(in60, 20)+"*:same").lasting("a feed that speaks every minute stops", 25*minute, at("21m30s")).near(stall),
		feed(repeat(in40, 30)+"6m:now *:same").lasting("a feed stops after it spoke all the time for six minutes", 30*minute, at("27m")).near(stall),
		feed(repeat(in40, 60)+"16m:now *:same").lasting("a feed stops after it spoke all the time for a quarter of an hour", 65*minute, at("56m40s"), at("56m45s", stall+"/critical")),
		lunch(repeat(in40, 30)+"*:same").lasting("people who spoke every forty seconds go to lunch", 30*minute, at("21m40s"), at("21m45s", stall+"/critical")),
		lunch(repeat(in60, 20)+"*:same").lasting("people who spoke every minute go to lunch", 30*minute, at("20m40s"), at("20m45s", stall+"/critical")),
		lunch("20m:now *:same").lasting("people who spoke all the time go to lunch", 30*minute, at("20m50s"), at("23m"), at("27m")).near(stall),
		service("a").set(newest, sent, "61m:now *:same").set(newest, heard, "45m:now "+repeat(in40, 24)+"*:same").
			lasting("people go to lunch who spoke all the time, and then every forty seconds", 75*minute, at("62m40s"), at("62m45s", stall+"/critical")),
		lunch("20s:now "+repeat(in40, 60)+"*:same").lasting("a service stops, and people go on", 30*minute, at("20m40s"), at("20m45s", stall+"/critical")),
		lunch("17m40s:now *:same").lasting("a service stops two minutes after people", 30*minute, at("20m50s"), at("22m")).near(stall),
		feed("1h:now 90s:same 150s:now 30s:same 23h59m30s:now *:same").
			lasting("a feed stops at about the time at which it paused the day before", 26*60*minute, at("60m30s"), at("60m45s", stall+"/critical"), at("61m15s", stall+"/critical"), at("61m30s"), at("25h6m"), at("25h6m15s", stall+"/critical")).every(15 * second),
		feed("1h:now 2m:same 2m:now 30s:same 167h59m30s:now *:same").
			lasting("a feed stops at about the time at which it paused the week before", 170*60*minute, at("60m"), at("60m30s", stall+"/critical"), at("61m30s", stall+"/critical"), at("62m"), at("169h6m"), at("169h6m30s", stall+"/critical")).every(30 * second),

		instance("10s:now "+repeat(in15, 80)+"*:same", "*:now").lasting("an instance that speaks every 15 seconds stops", 22*minute, at("20m40s"), at("20m45s", silent+"/critical")),
		instance("15s:now "+repeat(twice+"20s:same "+twice+"35s:same ", 16)+"*:same", "*:now").lasting("an instance that speaks in bursts stops", 25*minute, at("20m20s"), at("20m25s", silent+"/critical")),
		instance(repeat(in25, 48)+"*:same", "*:now").lasting("an instance that speaks every 25 seconds stops", 25*minute, at("21m30s")).near(silent),
		instance(repeat(in40, 30)+"*:same", "*:now").lasting("an instance that speaks every forty seconds stops", 25*minute, at("21m30s")).near(silent),
		instance(repeat(in60, 20)+"*:same", "*:now").lasting("an instance that speaks every minute stops", 25*minute, at("21m30s")).near(silent),
		instance(repeat(in40, 30)+"6m:now *:same", "*:now").lasting("an instance stops after it spoke all the time for six minutes", 30*minute, at("27m")).near(silent),
		instance(repeat(in40, 60)+"16m:now *:same", "*:now").lasting("an instance stops after it spoke all the time for a quarter of an hour", 65*minute, at("56m40s"), at("56m45s", silent+"/critical")),
		instance("20m:now *:same", repeat(in40, 60)).lasting("an instance stops, and the other one speaks every forty seconds", 25*minute, at("20m50s", silent+"/critical"), at("21m")),
		instance("20m:now *:same", repeat(in15, 160)).lasting("an instance stops, and the other one speaks every 15 seconds", 25*minute, at("20m50s", silent+"/critical"), at("20m55s", silent+"/critical")),
		instance("10m:_ 4m:now *:same", "*:now").lasting("an instance stops four minutes after it has started", 18*minute, at("14m55s"), at("15m", silent+"/critical")),

		prices("70m:5 40m:0 *:5").lasting("prices stop for forty minutes", 120*minute, at("73m15s"), at("73m30s", stopped+"/warning"), at("109m45s", stopped+"/warning"), at("110m")).every(15 * second),
		prices("70m:0.0167 *:0").lasting("a price a minute, and then none", 80*minute, at("73m30s"), at("73m45s", stopped+"/warning")).every(15 * second),
		prices("70m:5 *:0").set(newest, sent, "68m:now "+repeat(in40, 20)+"*:now").
			lasting("prices stop, and others speak every forty seconds", 80*minute, at("75m")).near(stopped),
		prices("70m:5 *:0").set(newest, sent, "68m:now "+repeat(in15, 80)).lasting("prices stop, and others speak every 15 seconds", 80*minute, at("73m45s"), at("73m50s", stopped+"/warning")),
		prices("25m:5 *:0").lasting("prices are sent for 25 minutes after the start", 35*minute, at("29m15s")).every(15 * second).near(stopped),
		prices(repeat("7m:5 3m:0 ", 7)+"*:0").lasting("prices pause three minutes of ten, and stop", 80*minute, at("71m30s"), at("75m")).every(15 * second).near(stopped),
		prices("3h:0 65m:5 *:0").lasting("prices stop that are sent since an hour", 260*minute, at("4h8m15s"), at("4h8m30s", stopped+"/warning")).every(15 * second),
		prices("3m:0 "+repeat("2m:5 2m:0 ", 17)+"1m:5 *:0").lasting("prices pause every other two minutes, and stop", 80*minute, at("76m30s")).every(15 * second).near(stopped),
		prices(repeat("5s:0 170s:0.1 65s:0 ", 17)+"*:0").lasting("prices pause for seconds every four minutes, and stop", 80*minute, at("73m"), at("73m30s")).near(stopped),
		prices("1h:5 6m:0 24h2m:5 *:0").lasting("prices stop at about the time at which they paused the day before", 26*60*minute, at("63m15s"), at("63m30s", stopped+"/warning"), at("65m45s", stopped+"/warning"), at("66m"), at("25h13m30s"), at("25h13m45s", stopped+"/warning")).every(15 * second),
		prices("1h:5 6m:0 168h2m:5 *:0").lasting("prices stop at about the time at which they paused the week before", 170*60*minute, at("62m30s"), at("63m", stopped+"/warning"), at("65m30s", stopped+"/warning"), at("66m"), at("169h13m"), at("169h13m30s", stopped+"/warning")).every(30 * second),
	}
}

// budgetBounds has budgets be used up, so that one pair of windows tells at a time.
func budgetBounds() []Situation {
	const tried, messages, dropped = "websocket_connections_total", "websocket_messages_total", "websocket_messages_dropped_total"
	const client, target = `job="bot", instance="a", client="trader"`, `job="probe", instance="a", target="eu"`
	const connections, delivery, receipt = "WebSocketConnectionErrorBudgetBurn", "WebSocketDeliveryErrorBudgetBurn", "WebSocketClientErrorBudgetBurn"
	const waiting, handling, probes = "WebSocketDeliveryLatencyErrorBudgetBurn", "WebSocketLatencyErrorBudgetBurn", "WebSocketProbeErrorBudgetBurn"
	const reaching, lagging = "WebSocketBroadcastLatencyErrorBudgetBurn", "WebSocketClientLatencyErrorBudgetBurn"
	connect := func(good, bad string) *world {
		return service("a").set(tried, `status="connected"`, good).set(tried, `status="error"`, bad)
	}
	deliver := func(good, bad string) *world {
		return service("a").set(messages, sent, good).set(dropped, `reason="queue_full"`, bad)
	}
	receive := func(good, bad string) *world {
		return nothing().add(gauge, "up", `job="bot", instance="a"`, "*:1").
			add(native, "websocket_client_event_lag_seconds", client+`, stream="prices"`, good+"@0.05").
			add(counter, "websocket_client_missing_messages_total", client+`, stream="prices"`, bad)
	}
	wait := func(k kind, spec string) *world {
		return service("a").add(k, "websocket_delivery_duration_seconds", `job="demo", `+chatA, spec)
	}
	reach := func(k kind, spec string) *world {
		return service("a").add(k, "websocket_broadcast_delivery_duration_seconds", `job="demo", `+chatA, spec)
	}
	lag := func(k kind, spec string) *world {
		return nothing().add(k, "websocket_client_event_lag_seconds", client+`, stream="prices"`, spec)
	}
	handle := func(k kind, spec string) *world {
		return service("a").drop("websocket_message_duration_seconds", "").add(k, "websocket_message_duration_seconds", `job="demo", `+chatA, spec)
	}
	probe := func(good, bad string) *world {
		return nothing().add(gauge, "up", `job="probe", instance="a"`, "*:1").
			add(counter, "websocket_probes_total", target+`, result="success"`, good).
			add(counter, "websocket_probes_total", target+`, result="echo"`, bad)
	}
	const slow, few, fewer = "65m:10@0.2 90s:10@0.3 *:10@0.2", "65m:1.2@0.2 90s:1.2@0.3 *:1.2@0.2", "65m:0.25@0.2 90s:0.25@0.3 *:0.25@0.2"
	return []Situation{
		connect("*:10", "65m:0 90s:2 *:0").lasting("a sixth of the handshakes fails for 90 seconds", 80*minute, at("66m"), at("66m5s", connections+"/critical"), at("69m55s", connections+"/critical"), at("70m", connections+"/critical", connections+"/warning"), at("71m35s", connections+"/critical", connections+"/warning"), at("71m40s", connections+"/warning")),
		connect("*:0.7", "65m:0 80s:0.2 *:0").lasting("16 handshakes fail within 80 seconds", 80*minute, at("65m40s"), at("65m45s", connections+"/critical"), at("69m55s", connections+"/critical"), at("70m", connections+"/critical", connections+"/warning"), at("71m30s", connections+"/critical", connections+"/warning"), at("71m35s", connections+"/warning")),
		connect("*:10", "60m:0 180m:0.02 90m:0 45m:0.25 *:0").lasting("2.4% of the handshakes fail for 45 minutes", 400*minute, at("119m45s"), at("2h", connections+"/warning"), at("6h4m30s", connections+"/warning"), at("6h4m45s", connections+"/critical", connections+"/warning"), at("6h21m30s", connections+"/critical", connections+"/warning"), at("6h21m45s", connections+"/warning")).every(15 * second),
		connect("270m:0.5 *:0.08", "330m:0 40m:0.006 *:0").lasting("14 handshakes fail within forty minutes", 400*minute, at("5h57m30s"), at("5h57m45s", connections+"/critical"), at("5h59m45s", connections+"/critical"), at("6h", connections+"/critical", connections+"/warning"), at("6h18m30s", connections+"/critical", connections+"/warning"), at("6h18m45s", connections+"/warning")).every(15 * second),
		connect("*:10", "6h:0 5h:0.1 *:0").lasting("1% of the handshakes fail for five hours", 13*60*minute, at("6h39m"), at("6h40m", connections+"/warning"), at("9h36m", connections+"/warning"), at("9h37m", connections+"/critical", connections+"/warning"), at("11h15m", connections+"/critical", connections+"/warning"), at("11h16m", connections+"/warning")).every(minute),
		connect("*:0.07", "6h:0 5h:0.0007 *:0").lasting("twelve handshakes fail within five hours", 13*60*minute, at("9h57m"), at("9h58m", connections+"/critical"), at("9h59m", connections+"/critical"), at("10h", connections+"/critical", connections+"/warning"), at("11h15m", connections+"/critical", connections+"/warning"), at("11h16m", connections+"/warning")).every(minute),
		connect("24h:100 *:1", "10h:0.05 38h:0 16h:0.005 *:0").lasting("0.5% of the handshakes fail for sixteen hours, after a busy day", 68*60*minute, at("62h24m"), at("62h26m", connections+"/warning"), at("65h4m", connections+"/warning"), at("65h6m")).every(2 * minute),
		connect("24h:10 *:0.02", "48h:0 12h:0.0003 *:0").lasting("thirteen handshakes fail within twelve hours, after a busy day", 68*60*minute, at("57h14m"), at("57h16m", connections+"/warning"), at("61h50m", connections+"/warning"), at("61h52m")).every(2 * minute),
		connect("*:10", "24h:0.005 48h:0 40h:0.02 *:0").lasting("0.2% of the handshakes fail for forty hours", 120*60*minute, at("107h58m"), at("108h", connections+"/warning"), at("115h12m", connections+"/warning"), at("115h14m")).every(2 * minute),
		connect("*:0.03", "54h:0.00006 *:0").lasting("twelve handshakes fail within two days", 64*60*minute, at("46h18m"), at("46h20m", connections+"/warning"), at("57h12m", connections+"/warning"), at("57h14m")).every(2 * minute),
		deliver("*:100", "65m:0 90s:10 *:0").set(dropped, `reason="closed"`, "*:100").lasting("a tenth of the messages is dropped for 90 seconds", 80*minute, at("65m55s"), at("66m", delivery+"/critical"), at("69m55s", delivery+"/critical"), at("70m", delivery+"/critical", delivery+"/warning"), at("71m35s", delivery+"/critical", delivery+"/warning"), at("71m40s", delivery+"/warning")),
		deliver("*:1.2", "65m:0 60s:0.2 *:0").lasting("twelve messages are dropped within a minute", 80*minute, at("65m40s"), at("65m45s", delivery+"/critical"), at("69m55s", delivery+"/critical"), at("70m", delivery+"/critical", delivery+"/warning"), at("71m10s", delivery+"/critical", delivery+"/warning"), at("71m15s", delivery+"/warning")),
		receive("*:50", "65m:0 90s:5 *:0").lasting("a tenth of the events is missing for 90 seconds", 80*minute, at("65m55s"), at("66m", receipt+"/critical"), at("69m55s", receipt+"/critical"), at("70m", receipt+"/critical", receipt+"/warning"), at("71m35s", receipt+"/critical", receipt+"/warning"), at("71m40s", receipt+"/warning")),
		receive("*:0.7", "65m:0 70s:0.1 *:0").lasting("seven events are missing within 70 seconds", 80*minute, at("65m40s"), at("65m45s", receipt+"/critical"), at("69m55s", receipt+"/critical"), at("70m", receipt+"/critical", receipt+"/warning"), at("71m20s", receipt+"/critical", receipt+"/warning"), at("71m25s", receipt+"/warning")),
		wait(native, slow).lasting("messages wait for 300 ms for 90 seconds", 80*minute, at("65m30s"), at("65m45s", waiting+"/critical"), at("69m45s", waiting+"/critical"), at("70m", waiting+"/critical", waiting+"/warning"), at("71m15s", waiting+"/critical", waiting+"/warning"), at("71m30s", waiting+"/warning")).every(15 * second),
		wait(classic, slow).lasting("messages wait for 300 ms for 90 seconds, by classic buckets", 80*minute, at("65m30s"), at("65m45s", waiting+"/critical"), at("69m45s", waiting+"/critical"), at("70m", waiting+"/critical", waiting+"/warning"), at("71m15s", waiting+"/critical", waiting+"/warning"), at("71m30s", waiting+"/warning")).every(15 * second),
		wait(native, few).lasting("a few messages wait for 300 ms", 80*minute, at("65m45s"), at("66m", waiting+"/critical"), at("71m15s", waiting+"/critical"), at("71m30s")).every(15 * second),
		reach(native, slow).lasting("publishing takes 300 ms for 90 seconds", 80*minute, at("65m30s"), at("65m45s", reaching+"/critical"), at("69m45s", reaching+"/critical"), at("70m", reaching+"/critical", reaching+"/warning"), at("71m15s", reaching+"/critical", reaching+"/warning"), at("71m30s", reaching+"/warning")).every(15 * second),
		reach(classic, slow).lasting("publishing takes 300 ms for 90 seconds, by classic buckets", 80*minute, at("65m30s"), at("65m45s", reaching+"/critical"), at("69m45s", reaching+"/critical"), at("70m", reaching+"/critical", reaching+"/warning"), at("71m15s", reaching+"/critical", reaching+"/warning"), at("71m30s", reaching+"/warning")).every(15 * second),
		reach(native, fewer).lasting("a few messages reach their recipients after 300 ms", 80*minute, at("65m45s"), at("66m", reaching+"/critical"), at("71m15s", reaching+"/critical"), at("71m30s")).every(15 * second),
		lag(native, slow).lasting("events arrive after 300 ms for 90 seconds", 80*minute, at("65m30s"), at("65m45s", lagging+"/critical"), at("69m45s", lagging+"/critical"), at("70m", lagging+"/critical", lagging+"/warning"), at("71m15s", lagging+"/critical", lagging+"/warning"), at("71m30s", lagging+"/warning")).every(15 * second),
		lag(classic, slow).lasting("events arrive after 300 ms for 90 seconds, by classic buckets", 80*minute, at("65m30s"), at("65m45s", lagging+"/critical"), at("69m45s", lagging+"/critical"), at("70m", lagging+"/critical", lagging+"/warning"), at("71m15s", lagging+"/critical", lagging+"/warning"), at("71m30s", lagging+"/warning")).every(15 * second),
		lag(native, fewer).lasting("a few events arrive after 300 ms", 80*minute, at("65m45s"), at("66m", lagging+"/critical"), at("71m15s", lagging+"/critical"), at("71m30s")).every(15 * second),
		handle(native, slow).lasting("messages take 300 ms for 90 seconds", 80*minute, at("65m30s"), at("65m45s", handling+"/critical"), at("69m45s", handling+"/critical"), at("70m", handling+"/critical", handling+"/warning"), at("71m15s", handling+"/critical", handling+"/warning"), at("71m30s", handling+"/warning")).every(15 * second),
		handle(classic, slow).lasting("messages take 300 ms for 90 seconds, by classic buckets", 80*minute, at("65m30s"), at("65m45s", handling+"/critical"), at("69m45s", handling+"/critical"), at("70m", handling+"/critical", handling+"/warning"), at("71m15s", handling+"/critical", handling+"/warning"), at("71m30s", handling+"/warning")).every(15 * second),
		handle(native, few).lasting("a few messages take 300 ms", 80*minute, at("65m45s"), at("66m", handling+"/critical"), at("71m15s", handling+"/critical"), at("71m30s")).every(15 * second),
		probe("*:0.2", "330m:0 45m:0.005 *:0").lasting("2.4% of the probes fail for 45 minutes", 400*minute, at("5h44m45s"), at("5h45m", probes+"/warning"), at("6h4m45s", probes+"/warning"), at("6h5m", probes+"/critical", probes+"/warning"), at("6h21m30s", probes+"/critical", probes+"/warning"), at("6h21m45s", probes+"/warning")).every(15 * second),
		probe("270m:0.5 *:0.02", "330m:0 40m:0.002 *:0").lasting("five probes fail within forty minutes", 400*minute, at("5h54m45s"), at("5h55m", probes+"/critical"), at("6h18m45s", probes+"/critical"), at("6h19m")).every(15 * second),
	}
}
