package mixin

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A world is what a situation happens in: a service of several instances in which everything is well, until something
// is said about it.
type world struct {
	all []series
	err error // the first mistake in what was said
}

// service is a healthy endpoint of the job demo with 500 connections, for each instance.
func service(instances ...string) *world { return serviceOf(500, instances...) }

// serviceOf is one with so many connections for each instance, and events in proportion.
func serviceOf(connections float64, instances ...string) *world {
	w := new(world)
	rate := func(share float64) string { return "*:" + number(connections*share) }
	for _, i := range instances {
		at := `job="demo", instance="` + i + `"`
		in := `job="demo", namespace="chat", instance="` + i + `"`
		w.add(gauge, "up", at, "*:1")
		w.add(gauge, "process_start_time_seconds", at, "*:-1000000")
		w.add(gauge, "websocket_active_connections", in, rate(1))
		for _, status := range []string{"connected", "error", "unauthorized", "bad_handshake", "over_capacity", "draining"} {
			w.add(counter, "websocket_connections_total", in+`, status="`+status+`"`, "*:0")
		}
		w.set("websocket_connections_total", `instance="`+i+`", status="connected"`, rate(0.001))
		w.add(counter, "websocket_disconnections_total", in+`, initiator="remote", reason="normal"`, rate(0.001))
		for _, reason := range []string{`"network", reason="abnormal"`, `"local", reason="slow_consumer"`, `"local", reason="ping_timeout"`, `"local", reason="internal"`} {
			w.add(counter, "websocket_disconnections_total", in+`, initiator=`+reason, "*:0")
		}
		w.add(counter, "websocket_messages_total", in+`, direction="receive", type="message"`, rate(0.02))
		w.add(counter, "websocket_messages_total", in+`, direction="transmit", type="message"`, rate(0.2))
		w.add(gauge, "websocket_last_message_timestamp_seconds", in+`, direction="receive"`, "*:now")
		w.add(gauge, "websocket_last_message_timestamp_seconds", in+`, direction="transmit"`, "*:now")
		w.add(native, "websocket_message_duration_seconds", in, rate(0.02)+"@0.01")
		for _, kind := range []string{"handler", "panic"} {
			w.add(counter, "websocket_errors_total", in+`, kind="`+kind+`"`, "*:0")
		}
		for _, reason := range []string{"queue_full", "slow_consumer", "closed"} {
			w.add(counter, "websocket_messages_dropped_total", in+`, reason="`+reason+`"`, "*:0")
		}
		w.add(gauge, "websocket_send_queue_max_ratio", in, "*:0.1")
		w.add(gauge, "websocket_send_queue_messages", in, "*:5")
		w.add(gauge, "websocket_slow_connections", in, "*:0")
		w.add(gauge, "websocket_slow_connection_messages", in, "*:0")
		w.add(counter, "websocket_pings_total", in+`, result="pong"`, rate(0.05))
		w.add(counter, "websocket_pings_total", in+`, result="timeout"`, "*:0")
		w.add(gauge, "websocket_draining", in, "*:0")
	}
	return w
}

// only is a world with nothing in it.
func nothing() *world { return new(world) }

func (w *world) add(k kind, name, labels, spec string) *world {
	w.all = append(w.all, series{name, labels, k, spec})
	return w
}

// set says something else of the series of a metric that have these labels among theirs.
func (w *world) set(name, labels, spec string) *world {
	found := false
	for i, s := range w.all {
		if s.name == name && contains(s.labels, labels) {
			w.all[i].spec = spec
			found = true
		}
	}
	if !found && w.err == nil {
		w.err = fmt.Errorf("there is no series %s{%s}", name, labels)
	}
	return w
}

// drop takes away the series of a metric that have these labels among theirs; of all metrics where none is named.
func (w *world) drop(name, labels string) *world {
	w.all = slices.DeleteFunc(w.all, func(s series) bool { return (name == "" || s.name == name) && contains(s.labels, labels) })
	return w
}

// each says something else of all series that have these labels among theirs.
func (w *world) each(labels string, spec func(old string) string) *world {
	for i, s := range w.all {
		if contains(s.labels, labels) {
			w.all[i].spec = spec(s.spec)
		}
	}
	return w
}

func contains(all, some string) bool {
	have := strings.Split(all, ", ")
	for _, label := range strings.Split(some, ", ") {
		if label != "" && !slices.Contains(have, label) {
			return false
		}
	}
	return true
}

// lasting makes a situation of a world.
func (w *world) lasting(name string, length time.Duration, want ...Want) Situation {
	return Situation{Name: name, Step: 5 * time.Second, Length: length, Want: want, series: w.all, err: w.err}
}

func (s Situation) every(step time.Duration) Situation { s.Step = step; return s }

// exactly has all rules meet the situation, in a test that is shipped with them.
func (s Situation) exactly() Situation { s.Exact = true; return s }

// near names the alerts that the situation comes close to.
func (s Situation) near(alerts ...string) Situation { s.Control = alerts; return s }

// at says which alerts fire at a moment.
func at(moment string, firing ...string) Want { return Want{moment, firing} }

const (
	second = time.Second
	minute = time.Minute
)
