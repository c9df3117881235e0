// Package demo is a realtime service worth observing: a WebSocket chat with
// rooms, heartbeats, bounded queues and a graceful drain, a page to use it
// from, and faults to break it with. It is observed through package instrument
// and nothing else, and so is that package's largest example.
package demo

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// Config says how a Server behaves. The zero value of a field means its
// default.
type Config struct {
	Logger         *slog.Logger          // default: no logs
	TracerProvider trace.TracerProvider  // default: the global one
	Registerer     prometheus.Registerer // default: metrics are not registered
	Metrics        http.Handler          // serves /metrics; default: not served

	SampleRatio float64 // share of messages that get a span; default: none
	SpanLimit   int     // message spans per second; default 50

	ConnectionLimit    int           // open connections; default 2,000
	RoomLimit          int           // rooms at once; default 10,000
	RoomsPerConnection int           // default 16
	SendQueue          int           // frames that wait for one connection; default 256
	Heartbeat          time.Duration // between pings, and what a pong may take; default 30s
	WriteTimeout       time.Duration // for one frame; default 10s

	TraceURL     string // what a trace id is appended to for a link; default: no link
	OpenFaultAPI bool   // lets other machines switch faults too
}

func (c Config) withDefaults() (Config, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	for _, f := range []struct {
		name     string
		value    *int
		fallback int
	}{
		{"SpanLimit", &c.SpanLimit, 50},
		{"ConnectionLimit", &c.ConnectionLimit, 2_000},
		{"RoomLimit", &c.RoomLimit, 10_000},
		{"RoomsPerConnection", &c.RoomsPerConnection, 16},
		{"SendQueue", &c.SendQueue, 256},
	} {
		if *f.value < 0 {
			return c, fmt.Errorf("demo: %s is %d: give 1 or more", f.name, *f.value)
		}
		if *f.value == 0 {
			*f.value = f.fallback
		}
	}
	for _, f := range []struct {
		name     string
		value    *time.Duration
		fallback time.Duration
	}{
		{"Heartbeat", &c.Heartbeat, 30 * time.Second},
		{"WriteTimeout", &c.WriteTimeout, 10 * time.Second},
	} {
		if *f.value < 0 {
			return c, fmt.Errorf("demo: %s is %v: give more than 0", f.name, *f.value)
		}
		if *f.value == 0 {
			*f.value = f.fallback
		}
	}
	if !(c.SampleRatio >= 0 && c.SampleRatio <= 1) {
		return c, fmt.Errorf("demo: SampleRatio is %v: give 0 to 1", c.SampleRatio)
	}
	return c, nil
}
