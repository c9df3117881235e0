package lokireceiver

import (
	"testing"

	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/confmap"
)

func TestConfig(t *testing.T) {
	set := map[string]any{"endpoint": "127.0.0.1:4500", "max_request_body_size": 1024}
	tests := []struct {
		name     string
		settings map[string]any
		endpoint string // empty when the settings are refused
		incoming bool
	}{
		{"defaults", map[string]any{"protocols": map[string]any{"http": nil}}, "localhost:3500", false},
		{"everything", map[string]any{"protocols": map[string]any{"http": set}, "use_incoming_timestamp": true}, "127.0.0.1:4500", true},
		{"no protocol", map[string]any{}, "", false},
		{"unknown protocol", map[string]any{"protocols": map[string]any{"http": nil, "grpc": nil}}, "", false},
		{"unknown key", map[string]any{"protocols": map[string]any{"http": nil}, "endpoint": "x"}, "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			config := NewFactory().CreateDefaultConfig().(*Config)
			err := confmap.NewFromStringMap(test.settings).Unmarshal(config)
			if err == nil {
				err = confmap.Validate(config)
			}
			if test.endpoint == "" {
				if err == nil {
					t.Fatal("the settings were accepted")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			server := config.Protocols.HTTP.Get()
			if server.NetAddr.Endpoint != test.endpoint || config.UseIncomingTimestamp != test.incoming {
				t.Errorf("endpoint %q and incoming %v, want %q and %v",
					server.NetAddr.Endpoint, config.UseIncomingTimestamp, test.endpoint, test.incoming)
			}
			if want := confighttp.NewDefaultServerConfig().IdleTimeout; server.IdleTimeout != want {
				t.Errorf("idle timeout %v, want confighttp's %v", server.IdleTimeout, want)
			}
		})
	}
}
