// Package lokireceiver receives log entries by Loki's push API, so that a Loki client can send to a Collector.
//
// It stands in for the component of the same name in OpenTelemetry Collector contrib, which can't be had as a Go module
// at the version we pin, so that one configuration file serves both: type, settings and translation are the same, and
// labels and structured metadata of an entry become attributes of its log record. It differs where contrib's is lenient
// or wider: there is no gRPC, what a push can grow to is bounded (413), entries are kept valid UTF-8, and connections
// are kept alive by default.
package lokireceiver

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
)

const (
	typeName        = "loki"
	defaultEndpoint = "localhost:3500"
)

// NewFactory returns the factory of the receiver, for a Collector's list of components.
func NewFactory() receiver.Factory {
	return receiver.NewFactory(
		component.MustNewType(typeName),
		defaultConfig,
		receiver.WithLogs(newLogs, component.StabilityLevelAlpha),
	)
}

func defaultConfig() component.Config {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = defaultEndpoint
	return &Config{Protocols: Protocols{HTTP: configoptional.Default(server)}}
}

func newLogs(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Logs) (receiver.Logs, error) {
	return newReceiver(set, cfg.(*Config), next)
}
