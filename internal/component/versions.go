package component

import "fmt"

// The versions of the components. This is the only list of them. `make upgrade NAME=VERSION` changes this list and all
// other places that name the version, and the tests of internal/upgrade compare them.
const (
	victoriaLogs  = "1.52.1"
	prometheus    = "3.13.5"
	alertmanager  = "0.31.1"
	collector     = "0.158.0"
	jaeger        = "2.13.0"
	dockerCompose = "2.40.3"
)

// prometheusModule is the version of Prometheus' module in which it was released: 3.13.5 is v0.313.5.
func prometheusModule(version string) string {
	var major, minor, patch int
	_, _ = fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch)
	return fmt.Sprintf("v0.%d%02d.%d", major, minor, patch)
}

// jaegerModule is the version of Jaeger's module in which it was released, which is that of the last release of its
// first major version: 2.13.0 is v1.76.0.
func jaegerModule(version string) string {
	var major, minor, patch int
	_, _ = fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch)
	return fmt.Sprintf("v1.%d.%d", minor+63, patch)
}
