// Package endpoint lists the addresses of the parts of a stack, so that the commands that start, watch and check it use
// the same ones.
package endpoint

import (
	"net"
	"strconv"
)

// Set holds the address, as host:port, of everything in a stack that can be reached from outside its process.
type Set struct {
	Demo     string // page, /ws, /metrics, health and faults
	DemoGRPC string // the demo over gRPC
	Scale    string // the load balancer in front of several demos, in compose only
	Desk     string // start page, inbox and trace view

	Probe string // the probe's metrics
	Bot   string // the bot's

	CollectorOTLPGRPC string
	CollectorOTLPHTTP string
	CollectorLoki     string // Loki push API
	CollectorHealth   string
	CollectorMetrics  string // the Collector's own metrics

	Prometheus   string
	Alertmanager string

	JaegerQuery     string // UI and HTTP API
	JaegerQueryGRPC string
	JaegerOTLP      string // OTLP gRPC, from the Collector
	JaegerHealth    string
	JaegerMetrics   string

	VictoriaLogs string // UI and HTTP API; or else
	Loki         string
	LokiGRPC     string

	Grafana string
}

// Local returns the addresses of a stack on the loopback interface. The offset is added to every port, so that stacks
// with different offsets run side by side.
func Local(offset int) Set {
	at := func(port int) string {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+offset))
	}
	return Set{
		Demo:              at(8080),
		DemoGRPC:          at(8086),
		Scale:             at(8085),
		Desk:              at(8090),
		Probe:             at(8091),
		Bot:               at(8092),
		CollectorOTLPGRPC: at(4317),
		CollectorOTLPHTTP: at(4318),
		CollectorLoki:     at(3500),
		CollectorHealth:   at(13133),
		CollectorMetrics:  at(8888),
		Prometheus:        at(9090),
		Alertmanager:      at(9093),
		JaegerQuery:       at(16686),
		JaegerQueryGRPC:   at(16685),
		JaegerOTLP:        at(14317),
		JaegerHealth:      at(13134),
		JaegerMetrics:     at(8887),
		VictoriaLogs:      at(9428),
		Loki:              at(3100),
		LokiGRPC:          at(9095),
		Grafana:           at(3000),
	}
}
