package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// patience is for how long something may take that happens at once, on a machine that is busy.
const patience = 30 * time.Second

// exports is what one package has exported while it was driven.
type exports struct {
	families []*dto.MetricFamily
	spans    []sdktrace.ReadOnlySpan
	records  *records
}

// names is a set of names.
type names map[string]bool

// String lists the names in order, as code.
func (n names) String() string {
	if len(n) == 0 {
		return ""
	}
	return "`" + strings.Join(slices.Sorted(maps.Keys(n)), "` `") + "`"
}

// add puts a name into the set of a key.
func add(sets map[string]names, key, name string) {
	if sets[key] == nil {
		sets[key] = names{}
	}
	sets[key][name] = true
}
