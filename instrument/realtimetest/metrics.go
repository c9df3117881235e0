package realtimetest

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Metrics returns the value of every series of the collector that is not 0, by name and labels, such as
// `websocket_connections_total{status="connected"}`. A histogram has the series _count and _sum. The labels namespace
// and client, which say whose series they are, are left out. Metrics ends the test if the collector's metrics are
// inconsistent.
func Metrics(t testing.TB, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := labelsOf(m)
			got[f.GetName()+labels] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			got[f.GetName()+"_count"+labels] = float64(m.GetHistogram().GetSampleCount())
			got[f.GetName()+"_sum"+labels] = m.GetHistogram().GetSampleSum()
		}
	}
	maps.DeleteFunc(got, func(_ string, value float64) bool { return value == 0 })
	return got
}

func labelsOf(m *dto.Metric) string {
	var labels []string
	for _, l := range m.GetLabel() {
		if l.GetName() != "namespace" && l.GetName() != "client" {
			labels = append(labels, l.GetName()+"="+strconv.Quote(l.GetValue()))
		}
	}
	return "{" + strings.Join(labels, ",") + "}"
}

// measuresTime reports whether the series' value depends on when things happened, not only on whether.
func measuresTime(series string) bool {
	name, _, _ := strings.Cut(series, "{")
	return strings.HasSuffix(name, "_seconds") || strings.HasSuffix(name, "_seconds_sum")
}

// differing returns the series of want that have another value in got.
func differing(want, got map[string]float64) (series []string) {
	for _, s := range slices.Sorted(maps.Keys(want)) {
		if got[s] != want[s] {
			series = append(series, s)
		}
	}
	return series
}
