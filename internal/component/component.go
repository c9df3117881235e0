// Package component finds the programs of the stack, or builds them from Go modules with pinned versions, and keeps the
// binaries for the next start.
package component

// Component is a program that is built from one of the modules in deploy/native.
type Component struct {
	// Name is the program's name and that of its binary.
	Name string
	// Version of the program, without a leading v.
	Version string
	// Requires is the Go module that has the program, and ModuleVersion the version of it that is the program's.
	Requires, ModuleVersion string
	// Module is the name of the module in deploy/native that pins it.
	Module string
	// Package is the import path of its main package.
	Package string
	// Tags are its build tags, separated by commas.
	Tags string
	// LinkFlags are linker flags beside those that every build gets.
	LinkFlags string
	// VersionArgs make a binary found elsewhere print its version.
	VersionArgs []string
	// AlsoNamed are other names under which it is installed.
	AlsoNamed []string
}

// prometheusVersion sets the version that programs of the Prometheus family report about themselves: a build from a
// module has none.
func prometheusVersion(version string) string {
	return "-X github.com/prometheus/common/version.Version=" + version
}

// Services are the programs that the stack runs, most useful first: logs build fastest, then come metrics and alerts,
// the way in, and traces.
func Services() []Component {
	return []Component{
		{
			Name: "victoria-logs", Version: victoriaLogs, Module: "victorialogs",
			Requires: "github.com/VictoriaMetrics/VictoriaLogs", ModuleVersion: "v" + victoriaLogs,
			Package:     "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs",
			LinkFlags:   "-X github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version=victoria-logs-" + victoriaLogs,
			VersionArgs: []string{"-version"},
		},
		{
			Name: "prometheus", Version: prometheus, Module: "prometheus",
			Requires: "github.com/prometheus/prometheus", ModuleVersion: prometheusModule(prometheus),
			Package:     "github.com/prometheus/prometheus/cmd/prometheus",
			Tags:        "remove_all_sd",
			LinkFlags:   prometheusVersion(prometheus),
			VersionArgs: []string{"--version"},
		},
		{
			Name: "alertmanager", Version: alertmanager, Module: "alertmanager",
			Requires: "github.com/prometheus/alertmanager", ModuleVersion: "v" + alertmanager,
			Package:     "github.com/prometheus/alertmanager/cmd/alertmanager",
			LinkFlags:   prometheusVersion(alertmanager),
			VersionArgs: []string{"--version"},
		},
		{
			Name: "otelcol", Version: collector, Module: "otelcol",
			Requires: "go.opentelemetry.io/collector/otelcol", ModuleVersion: "v" + collector,
			Package:     "github.com/sockscope/sockscope/deploy/native/otelcol",
			Tags:        "remove_all_sd",
			VersionArgs: []string{"--version"},
			AlsoNamed:   []string{"otelcol-contrib"},
		},
		{
			Name: "jaeger", Version: jaeger, Module: "jaeger",
			Requires: "github.com/jaegertracing/jaeger", ModuleVersion: jaegerModule(jaeger),
			// Jaeger's packages are internal to its program: the module is named as a part of that.
			Package:     "github.com/jaegertracing/jaeger/cmd/jaeger/sockscope/deploy/native/jaeger",
			LinkFlags:   "-X github.com/jaegertracing/jaeger/internal/version.latestVersion=v" + jaeger,
			VersionArgs: []string{"--version"},
		},
	}
}

// Tools are the programs that check the stack's settings and run its compose file.
func Tools() []Component {
	return []Component{
		{
			Name: "promtool", Version: prometheus, Module: "prometheus",
			Requires: "github.com/prometheus/prometheus", ModuleVersion: prometheusModule(prometheus),
			Package:     "github.com/prometheus/prometheus/cmd/promtool",
			Tags:        "remove_all_sd",
			LinkFlags:   prometheusVersion(prometheus),
			VersionArgs: []string{"--version"},
		},
		{
			Name: "amtool", Version: alertmanager, Module: "alertmanager",
			Requires: "github.com/prometheus/alertmanager", ModuleVersion: "v" + alertmanager,
			Package:     "github.com/prometheus/alertmanager/cmd/amtool",
			LinkFlags:   prometheusVersion(alertmanager),
			VersionArgs: []string{"--version"},
		},
		{
			Name: "docker-compose", Version: dockerCompose, Module: "compose",
			Requires: "github.com/docker/compose/v2", ModuleVersion: "v" + dockerCompose,
			Package:     "github.com/docker/compose/v2/cmd",
			Tags:        "fsnotify,e2e",
			LinkFlags:   "-X github.com/docker/compose/v2/internal.Version=v" + dockerCompose,
			VersionArgs: []string{"version"},
		},
	}
}
