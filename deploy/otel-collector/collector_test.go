package otelcollector_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/sockscope/sockscope/internal/tool"
)

// TestCollector runs the Collector with real stores and sends it what the field sends.
func TestCollector(t *testing.T) {
	s := start(t, "victoria-logs")
	t.Run("bad senders harm nobody", s.testBadSendersHarmNobody)
	t.Run("names", s.testNames)
	t.Run("instances", s.testInstances)
	s.testLogStore(t)
	t.Run("bad spans", s.testBadSpans)
	t.Run("preflight", s.testPreflight)
	t.Run("killed", s.testKilled)
}

// TestCollectorWithLoki does so with a Loki that is installed, as far as log records are concerned.
func TestCollectorWithLoki(t *testing.T) {
	if _, installed := tool.Installed(t, "loki"); !installed {
		return
	}
	s := start(t, "loki")
	s.testLogStore(t)
	t.Run("killed", s.testKilled)
}

func (s *stack) testLogStore(t *testing.T) {
	t.Run("logs", s.testLogs)
	t.Run("application's level stays", s.testApplicationsLevelStays)
	t.Run("bad records", s.testBadRecords)
	t.Run("index is bounded", s.testIndexIsBounded)
	t.Run("structured bodies", s.testStructuredBodies)
	t.Run("runbooks", s.testRunbooks)
	t.Run("dashboards", s.testDashboards)
	t.Run("from trace to log", s.testFromTraceToLog)
}

// testKilled kills the stores, then the Collector, and starts them again, while a client sends and repeats what is not
// accepted: what was accepted is stored.
func (s *stack) testKilled(t *testing.T) {
	const rounds = 40
	trace := func(round int) string { return fmt.Sprintf("0af7651916cd43dd8448eb21%08x", round+1) }
	send := func(address, path string, body any) {
		eventually(t, path, func() error {
			if status := post(t, address, path, body); status/100 != 2 {
				return fmt.Errorf("status %d", status)
			}
			return nil
		})
	}
	pace := time.NewTicker(20 * time.Millisecond) // Prometheus' clock has milliseconds
	defer pace.Stop()
	for round := range rounds {
		<-pace.C
		switch round {
		case rounds / 4:
			for _, store := range s.stores {
				store.kill()
			}
		case rounds / 2:
			s.collector.kill()
			s.collector.start(t)
		case rounds * 3 / 4:
			s.collector.kill()
			for _, store := range s.stores {
				store.start(t)
			}
			s.collector.start(t)
		}
		now := time.Now()
		send(s.otlp, "/v1/metrics", metricsOf("killed", gauge("round", point(now, round, nil))))
		send(s.loki, "/loki/api/v1/push", object{"streams": list{object{"stream": map[string]any{"service_name": "killed"}, "values": list{list{nanos(now), strconv.Itoa(round)}}}}})
		send(s.otlp, "/v1/traces", object{"resourceSpans": list{object{
			"resource": resource("killed", nil),
			"scopeSpans": list{object{"spans": list{object{
				"traceId": trace(round), "spanId": "b7ad6b7169203331", "name": "round", "startTimeUnixNano": nanos(now), "endTimeUnixNano": nanos(now),
			}}}},
		}}})
	}
	eventually(t, "every sample is stored", func() error {
		samples, err := s.only(`round{job="killed"}`)
		if err != nil || len(samples) != rounds {
			return errors.Join(err, fmt.Errorf("%d samples of %d", len(samples), rounds))
		}
		for i, sample := range samples {
			if sample.value != strconv.Itoa(i) {
				return fmt.Errorf("sample %d is %s", i, sample.value)
			}
		}
		return nil
	})
	eventually(t, "every log record is stored once", func() error {
		records, err := s.logs.records("killed")
		seen := make(map[string]bool)
		for _, record := range records {
			seen[record.line] = true
		}
		if err != nil || len(seen) != rounds || len(records) != rounds {
			return errors.Join(err, fmt.Errorf("%d records, %d different ones, of %d", len(records), len(seen), rounds))
		}
		return nil
	})
	eventually(t, "every span is stored", func() error {
		for round := range rounds {
			var answer struct{ Data []struct{ Spans []object } }
			if err := get("http://"+s.jaegerRead+"/api/traces/"+trace(round), &answer); err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
			if len(answer.Data) != 1 || len(answer.Data[0].Spans) == 0 {
				return fmt.Errorf("round %d: %v", round, answer)
			}
		}
		return nil
	})
}
