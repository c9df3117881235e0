// Program jaeger is Sockscope's build of Jaeger: the components that deploy/jaeger/config.yaml names and no others, so
// that it builds in minutes.
//
// Jaeger's own packages are internal to its program, which is why the module in jaeger.mod has a path below it.
package main

import (
	"fmt"
	"os"

	"github.com/jaegertracing/jaeger/cmd/jaeger/internal/exporters/storageexporter"
	"github.com/jaegertracing/jaeger/cmd/jaeger/internal/extension/jaegerquery"
	"github.com/jaegertracing/jaeger/cmd/jaeger/internal/extension/jaegerstorage"
	"github.com/jaegertracing/jaeger/internal/version"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckv2extension"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

func main() {
	settings := otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{
			Command:     "jaeger",
			Description: "Jaeger with the components that Sockscope uses",
			Version:     version.Get().GitVersion,
		},
		Factories: factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			ProviderFactories: []confmap.ProviderFactory{
				envprovider.NewFactory(),
				fileprovider.NewFactory(),
				yamlprovider.NewFactory(),
			},
		}},
	}
	if otelcol.NewCommand(settings).Execute() != nil { // which has printed the error
		os.Exit(1)
	}
}

// factories lists what a configuration for this program can name.
func factories() (otelcol.Factories, error) {
	var (
		f   otelcol.Factories
		err error
	)
	f.Telemetry = otelconftelemetry.NewFactory()
	f.Receivers, err = otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory())
	if err != nil {
		return f, fmt.Errorf("receivers: %w", err)
	}
	f.Exporters, err = otelcol.MakeFactoryMap[exporter.Factory](storageexporter.NewFactory())
	if err != nil {
		return f, fmt.Errorf("exporters: %w", err)
	}
	f.Extensions, err = otelcol.MakeFactoryMap[extension.Factory](
		jaegerstorage.NewFactory(),
		jaegerquery.NewFactory(),
		healthcheckv2extension.NewFactory(),
	)
	if err != nil {
		return f, fmt.Errorf("extensions: %w", err)
	}
	return f, nil
}
