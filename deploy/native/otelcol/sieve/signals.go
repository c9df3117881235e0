package sieve

import (
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// senderOf returns the name of the service that a resource is.
func senderOf(resource pcommon.Resource) string {
	if name, ok := resource.Attributes().Get("service.name"); ok {
		return name.AsString()
	}
	return "unknown_service"
}

// group copies a batch into one part for each sender, in the order in which they appear.
func group[T comparable](n int, senderAt func(i int) string, empty func() T, add func(T, int)) []part[T] {
	var parts []part[T]
	index := make(map[string]int)
	for i := range n {
		from := senderAt(i)
		at, ok := index[from]
		if !ok {
			at = len(parts)
			index[from] = at
			parts = append(parts, part[T]{from, empty()})
		}
		add(parts[at].data, i)
	}
	return parts
}

// half returns a function that leaves out an item unless it is in the half that is wanted, counting as it is called.
func half(items int, second bool) func() bool {
	i := -1
	return func() bool {
		i++
		return (i >= items/2) != second
	}
}

func logs() signal[plog.Logs] {
	return signal[plog.Logs]{
		items: plog.Logs.LogRecordCount,
		bySender: func(ld plog.Logs) []part[plog.Logs] {
			all := ld.ResourceLogs()
			return group(all.Len(), func(i int) string { return senderOf(all.At(i).Resource()) }, plog.NewLogs,
				func(to plog.Logs, i int) { all.At(i).CopyTo(to.ResourceLogs().AppendEmpty()) })
		},
		halves: func(ld plog.Logs) [2]plog.Logs {
			var halves [2]plog.Logs
			for i := range halves {
				out := half(ld.LogRecordCount(), i == 1)
				halves[i] = plog.NewLogs()
				ld.CopyTo(halves[i])
				halves[i].ResourceLogs().RemoveIf(func(r plog.ResourceLogs) bool {
					r.ScopeLogs().RemoveIf(func(s plog.ScopeLogs) bool {
						s.LogRecords().RemoveIf(func(plog.LogRecord) bool { return out() })
						return s.LogRecords().Len() == 0
					})
					return r.ScopeLogs().Len() == 0
				})
			}
			return halves
		},
		join: func(parts []plog.Logs) plog.Logs {
			all := plog.NewLogs()
			for _, p := range parts {
				p.ResourceLogs().MoveAndAppendTo(all.ResourceLogs())
			}
			return all
		},
		rest: consumererror.NewLogs,
	}
}

func traces() signal[ptrace.Traces] {
	return signal[ptrace.Traces]{
		items: ptrace.Traces.SpanCount,
		bySender: func(td ptrace.Traces) []part[ptrace.Traces] {
			all := td.ResourceSpans()
			return group(all.Len(), func(i int) string { return senderOf(all.At(i).Resource()) }, ptrace.NewTraces,
				func(to ptrace.Traces, i int) { all.At(i).CopyTo(to.ResourceSpans().AppendEmpty()) })
		},
		halves: func(td ptrace.Traces) [2]ptrace.Traces {
			var halves [2]ptrace.Traces
			for i := range halves {
				out := half(td.SpanCount(), i == 1)
				halves[i] = ptrace.NewTraces()
				td.CopyTo(halves[i])
				halves[i].ResourceSpans().RemoveIf(func(r ptrace.ResourceSpans) bool {
					r.ScopeSpans().RemoveIf(func(s ptrace.ScopeSpans) bool {
						s.Spans().RemoveIf(func(ptrace.Span) bool { return out() })
						return s.Spans().Len() == 0
					})
					return r.ScopeSpans().Len() == 0
				})
			}
			return halves
		},
		join: func(parts []ptrace.Traces) ptrace.Traces {
			all := ptrace.NewTraces()
			for _, p := range parts {
				p.ResourceSpans().MoveAndAppendTo(all.ResourceSpans())
			}
			return all
		},
		rest: consumererror.NewTraces,
	}
}

func metrics() signal[pmetric.Metrics] {
	return signal[pmetric.Metrics]{
		items: pmetric.Metrics.DataPointCount,
		bySender: func(md pmetric.Metrics) []part[pmetric.Metrics] {
			all := md.ResourceMetrics()
			return group(all.Len(), func(i int) string { return senderOf(all.At(i).Resource()) }, pmetric.NewMetrics,
				func(to pmetric.Metrics, i int) { all.At(i).CopyTo(to.ResourceMetrics().AppendEmpty()) })
		},
		halves: func(md pmetric.Metrics) [2]pmetric.Metrics {
			var halves [2]pmetric.Metrics
			for i := range halves {
				out := half(md.DataPointCount(), i == 1)
				halves[i] = pmetric.NewMetrics()
				md.CopyTo(halves[i])
				halves[i].ResourceMetrics().RemoveIf(func(r pmetric.ResourceMetrics) bool {
					r.ScopeMetrics().RemoveIf(func(s pmetric.ScopeMetrics) bool {
						s.Metrics().RemoveIf(func(m pmetric.Metric) bool { return removePoints(m, out) == 0 })
						return s.Metrics().Len() == 0
					})
					return r.ScopeMetrics().Len() == 0
				})
			}
			return halves
		},
		join: func(parts []pmetric.Metrics) pmetric.Metrics {
			all := pmetric.NewMetrics()
			for _, p := range parts {
				p.ResourceMetrics().MoveAndAppendTo(all.ResourceMetrics())
			}
			return all
		},
		rest: consumererror.NewMetrics,
	}
}

// removePoints removes a metric's data points for which out is true, and returns how many are left.
func removePoints(m pmetric.Metric, out func() bool) int {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return removeFrom(m.Gauge().DataPoints(), out)
	case pmetric.MetricTypeSum:
		return removeFrom(m.Sum().DataPoints(), out)
	case pmetric.MetricTypeHistogram:
		return removeFrom(m.Histogram().DataPoints(), out)
	case pmetric.MetricTypeExponentialHistogram:
		return removeFrom(m.ExponentialHistogram().DataPoints(), out)
	case pmetric.MetricTypeSummary:
		return removeFrom(m.Summary().DataPoints(), out)
	default:
		return 0
	}
}

func removeFrom[P any, S interface {
	Len() int
	RemoveIf(func(P) bool)
}](points S, out func() bool) int {
	points.RemoveIf(func(P) bool { return out() })
	return points.Len()
}
