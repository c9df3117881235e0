package socketio

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/demo/observe"
)

// The transports of Engine.IO, as they are called in its requests and in metrics.
const (
	overPolling   = "polling"
	overWebSocket = "websocket"
)

// metrics tell what the connections of namespaces don't: what is below them.
type metrics struct {
	clients    *prometheus.GaugeVec
	upgrades   *prometheus.CounterVec
	recoveries *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	namespace := prometheus.Labels{"namespace": observe.Namespace}
	m := &metrics{
		clients: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "demo_socketio_clients", Help: "Socket.IO clients that are connected now, by the transport below.",
			ConstLabels: namespace,
		}, []string{"transport"}),
		upgrades: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "demo_socketio_upgrades_total", Help: "Attempts of Socket.IO clients to go from polling to a WebSocket.",
			ConstLabels: namespace,
		}, []string{"outcome"}),
		recoveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "demo_socketio_recoveries_total", Help: "Attempts of Socket.IO clients to go on where they were before a break.",
			ConstLabels: namespace,
		}, []string{"outcome"}),
	}
	for vec, values := range map[*prometheus.CounterVec][]string{
		m.upgrades: {"upgraded", "failed"}, m.recoveries: {"recovered", "afresh"},
	} {
		for _, v := range values { // one that is there from the start has a rate from its first event on
			vec.WithLabelValues(v)
		}
	}
	m.clients.WithLabelValues(overPolling)
	m.clients.WithLabelValues(overWebSocket)
	if registerer == nil {
		return m, nil
	}
	return m, errors.Join(registerer.Register(m.clients), registerer.Register(m.upgrades), registerer.Register(m.recoveries))
}

func (m *metrics) recovery(recovers bool) {
	outcome := "afresh"
	if recovers {
		outcome = "recovered"
	}
	m.recoveries.WithLabelValues(outcome).Inc()
}

func (m *metrics) upgrade(done bool) {
	outcome := "failed"
	if done {
		outcome = "upgraded"
	}
	m.upgrades.WithLabelValues(outcome).Inc()
}
