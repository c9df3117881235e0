package lokireceiver

import (
	"errors"

	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
)

// Protocols are the ways in which clients can push. Contrib's receiver has gRPC too, which no client of ours speaks.
type Protocols struct {
	// HTTP is Loki's push API, POST /loki/api/v1/push.
	HTTP configoptional.Optional[confighttp.ServerConfig] `mapstructure:"http"`
}

// Config holds the settings of the receiver. Names and meaning are those of contrib's Loki receiver.
type Config struct {
	// Protocols says where the receiver listens.
	Protocols Protocols `mapstructure:"protocols"`

	// UseIncomingTimestamp keeps the time that the client gave each entry; by default entries get the time of arrival.
	UseIncomingTimestamp bool `mapstructure:"use_incoming_timestamp"`
}

// Validate reports settings with which the receiver could not receive anything.
func (c *Config) Validate() error {
	if !c.Protocols.HTTP.HasValue() {
		return errors.New("no protocol is set: add `protocols: {http: {endpoint: …}}`")
	}
	return nil
}
