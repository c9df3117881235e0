package otelcollector_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sockscope/sockscope/internal/tool"
)

// TestCollector runs the Collector with real stores and sends it what the field sends.
func TestCollector(t *testing.T) {
	s := newStack(t, "victoria-logs")
	s.collector.env = append(s.collector.env, `OTELCOL_CORS_ORIGINS=["https://chat.example.org"]`)
	s.run(t)
	t.Run("bad senders harm nobody", s.testBadSendersHarmNobody)
	t.Run("names", s.testNames)
	t.Run("instances", s.testInstances)
	s.testLogStore(t)
	t.Run("notable records", s.testNotableRecords)
	t.Run("bad spans", s.testBadSpans)
	t.Run("preflight", func(t *testing.T) {
		s.checkOrigins(t, map[string]string{"https://chat.example.org": "https://chat.example.org", "https://evil.example.org": ""})
	})
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
	t.Run("long names", s.testLongNames)
	t.Run("long texts", s.testLongTexts)
	t.Run("index is bounded", s.testIndexIsBounded)
	t.Run("structured bodies", s.testStructuredBodies)
	t.Run("runbooks", s.testRunbooks)
	t.Run("dashboards", s.testDashboards)
	t.Run("from trace to log", s.testFromTraceToLog)
}

// testKilled stops the stores, kills the Collector meanwhile, and at last all of them at once, while a client sends and
// repeats what is not accepted. Everything that was accepted must be stored once. A store may lose the newest records,
// which it keeps in memory. The stores are down for OUTAGE, by default 15s.
func (s *stack) testKilled(t *testing.T) {
	outage := 15 * time.Second
	if value := os.Getenv("OUTAGE"); value != "" {
		var err error
		if outage, err = time.ParseDuration(value); err != nil {
			t.Fatal(err)
		}
	}
	const interval = 40 * time.Millisecond
	rounds := int(2 * outage / interval)
	trace := func(round int) string { return fmt.Sprintf("0af7651916cd43dd8448eb21%08x", round+1) }
	send := func(address, path string, body any) {
		eventually(t, path, func() error {
			if status := post(t, address, path, body); status/100 != 2 {
				return fmt.Errorf("status %d", status)
			}
			return nil
		})
	}
	kept := int(s.logs.memory / interval)
	lost := make(map[int]bool) // rounds whose log records may be
	killStores := func(round int) {
		for i := max(0, round-kept); i < round; i++ {
			lost[i] = true
		}
		for _, store := range s.stores {
			store.kill()
		}
	}
	pace := time.NewTicker(interval)
	defer pace.Stop()
	for round := range rounds {
		<-pace.C
		switch round {
		case rounds / 6:
			killStores(round)
		case rounds / 2:
			s.collector.kill()
			s.collector.start(t)
		case rounds * 4 / 6:
			for _, store := range s.stores {
				store.start(t)
			}
		case rounds * 5 / 6: // what waited for the stores is on their disks
			eventually(t, "nothing waits", s.idle)
			<-time.After(s.logs.memory)
		case rounds*5/6 + rounds/24:
			s.collector.kill()
			killStores(round)
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
		times := make(map[string]int)
		for _, record := range records {
			times[record.line]++
		}
		missing := 0
		for round := range rounds {
			n := times[strconv.Itoa(round)]
			if n > 1 || n == 0 && !lost[round] {
				err = errors.Join(err, fmt.Errorf("the record of round %d is there %d times", round, n))
			}
			if n == 0 {
				missing++
			}
		}
		if err == nil {
			t.Logf("of %d samples, %d log records and %d spans %d log records are lost, which the store had in memory only", rounds, rounds, rounds, missing)
		}
		return err
	})
	eventually(t, "every span is stored once", func() error {
		for round := range rounds {
			if n, err := s.spans(trace(round)); err != nil || n != 1 {
				return fmt.Errorf("round %d has %d spans, %w", round, n, err)
			}
		}
		return nil
	})
}

// TestFullQueue has a store away for longer than its queue can hold. Senders are refused, so that they keep their data,
// and that is visible; what was accepted is stored.
func TestFullQueue(t *testing.T) {
	s := newStack(t, "victoria-logs")
	s.collector.args = append(s.collector.args,
		"--config=yaml:exporters::otlp_http/logs::sending_queue::queue_size: 20000", "--config=yaml:exporters::otlp_http/logs::sending_queue::batch::min_size: 10000")
	s.run(t)
	t.Run("preflight without a setting", func(t *testing.T) {
		s.checkOrigins(t, map[string]string{"https://chat.example.org": ""})
	})
	s.logs.kill()
	push := func(item int) int {
		return post(t, s.otlp, "/v1/logs", object{"resourceLogs": list{object{"resource": resource("queued", nil), "scopeLogs": list{object{"logRecords": list{
			object{"timeUnixNano": nanos(time.Now()), "severityNumber": 9, "body": object{"stringValue": fmt.Sprint(item)}},
		}}}}}})
	}
	accepted := 0
	for ; ; accepted++ {
		if status := push(accepted); status != http.StatusOK {
			if status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
				t.Fatalf("status %d, by which a client does not send again", status)
			}
			break
		}
		if accepted == 1000 {
			t.Fatal("the queue has no bound")
		}
	}
	for name, want := range map[string]float64{"otelcol_exporter_enqueue_failed_log_records": 1, "otelcol_exporter_queue_size": 10_000, "otelcol_exporter_queue_capacity": 20_000} {
		lines, err := s.own(name, `exporter="otlp_http/logs"`)
		if err != nil || len(lines) != 1 {
			t.Fatal(name, lines, err)
		}
		if got, err := strconv.ParseFloat(lines[0][strings.LastIndexByte(lines[0], ' ')+1:], 64); err != nil || got < want {
			t.Errorf("%s is %v, want at least %v: %v", name, got, want, err)
		}
	}

	s.logs.start(t)
	eventually(t, "it is accepted again", func() error {
		if status := push(accepted); status != http.StatusOK {
			return fmt.Errorf("status %d", status)
		}
		return nil
	})
	eventually(t, "what was accepted is stored", func() error {
		records, err := s.logs.records("queued")
		if err == nil && len(records) != accepted+1 {
			err = fmt.Errorf("%d records of %d", len(records), accepted+1)
		}
		return err
	})
}
