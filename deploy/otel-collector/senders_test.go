package otelcollector_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// bad are metrics that Prometheus refuses, with everything else in the same request, by the reason under which they are
// counted. Those without a reason are refused by Prometheus itself or not at all, and hurt nobody else.
func bad(now time.Time) map[string]object {
	exponential := func(scale int) object {
		return object{"name": "bad", "exponentialHistogram": object{"aggregationTemporality": 2, "dataPoints": list{object{
			"timeUnixNano": nanos(now), "count": "1", "sum": 1, "scale": scale, "positive": object{"offset": 0, "bucketCounts": list{"1"}},
		}}}}
	}
	return map[string]object{
		"temporality":    sum("bad", 0, point(now, 1, nil)),
		"scale":          exponential(-6),
		"too_old":        gauge("bad", point(now.Add(-3*time.Hour), 1, nil)),
		"in_future":      gauge("bad", point(now.Add(time.Hour), 1, nil)),
		"no_time":        gauge("bad", object{"timeUnixNano": "0", "asInt": "1"}),
		"name":           gauge("", point(now, 1, nil)),
		"attribute_name": gauge("bad", point(now, 1, map[string]string{"": "x"})),
	}
}

func worse(now time.Time) []object {
	return []object{
		gauge("bad"),
		{"name": "bad"},
		gauge("bad", point(now, 1, nil), point(now, 2, nil)),
		gauge("bad", point(now, 1, map[string]string{"___": "x"})),
		gauge("___", point(now, 1, nil)),
	}
}

// page serves metrics whose first line counts how often they were fetched.
type page struct {
	served atomic.Int64
	rest   func() string
}

func (p *page) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "scrapes %d\n%s", p.served.Add(1), p.rest())
}

// serve has a page scraped as a service's.
func (s *stack) serve(t *testing.T, job string, page http.Handler) {
	t.Helper()
	server := httptest.NewServer(page)
	t.Cleanup(server.Close)
	s.target(t, job, strings.TrimPrefix(server.URL, "http://"))
}

// target has an address scraped.
func (s *stack) target(t *testing.T, job, address string) {
	t.Helper()
	content := fmt.Sprintf("- targets: [%q]\n  labels: {job: %s}\n", address, job)
	if err := os.WriteFile(filepath.Join(s.targets, job+".yaml"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// testBadSendersHarmNobody has a good sender, a scraped service, and senders and targets that are bad in every way, and
// compares what the good ones sent with what is stored.
func (s *stack) testBadSendersHarmNobody(t *testing.T) {
	// Names as other services have them: they stay.
	good := &page{rest: func() string {
		return "# TYPE centrifugo_transport_messages_sent counter\ncentrifugo_transport_messages_sent 1\n" +
			"# TYPE ws__clients gauge\nws__clients 2\n# TYPE ws_bytes_total_sent counter\nws_bytes_total_sent 3\n" +
			"# TYPE trailing_ gauge\ntrailing_{a__b=\"c\"} 4\n"
	}}
	s.serve(t, "scraped", good)
	s.serve(t, "scraped-bad", &page{rest: func() string {
		return fmt.Sprintf("old 1 %d\nahead 1 %d\n", time.Now().Add(-3*time.Hour).UnixMilli(), time.Now().Add(time.Hour).UnixMilli())
	}})
	eventually(t, "the target that was put there is scraped", func() error {
		_, err := s.last(`up{job="scraped"}`)
		return err
	})

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var senders sync.WaitGroup
	every := func(interval time.Duration, send func(round int)) {
		senders.Go(func() {
			ticker := time.NewTicker(interval)
			defer ticker.Stop()
			for round := 1; ; round++ {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
					send(round)
				}
			}
		})
	}
	var wanted []sample
	every(250*time.Millisecond, func(round int) {
		now := time.Now()
		wanted = append(wanted, sample{now.UnixMilli(), strconv.Itoa(round)})
		if status := post(t, s.otlp, "/v1/metrics", metricsOf("good", gauge("good.value", point(now, round, nil)))); status != http.StatusOK {
			t.Errorf("the good sender's metrics: status %d", status)
		}
	})
	var rounds atomic.Int64
	every(250*time.Millisecond, func(int) {
		rounds.Add(1)
		for reason, metric := range bad(time.Now()) {
			post(t, s.otlp, "/v1/metrics", metricsOf("bad-"+reason, metric, gauge("beside", point(time.Now(), 1, nil))))
		}
		for _, metric := range worse(time.Now()) {
			post(t, s.otlp, "/v1/metrics", metricsOf("worse", metric))
		}
	})
	var deltas, observed int
	every(250*time.Millisecond, func(round int) {
		deltas, observed = deltas+round, observed+2
		now := time.Now()
		histogram := object{"name": "took", "histogram": object{"aggregationTemporality": 1, "dataPoints": list{object{
			"startTimeUnixNano": nanos(now.Add(-time.Second)), "timeUnixNano": nanos(now), "count": "2", "sum": 3, "bucketCounts": list{"1", "1"}, "explicitBounds": list{1},
		}}}}
		post(t, s.otlp, "/v1/metrics", metricsOf("delta", sum("sent", 1, point(now, round, nil)), histogram))
	})
	senders.Wait()

	eventually(t, "the good sender's samples are stored", func() error {
		got, err := s.only(`good_value{job="good"}`)
		if err == nil && fmt.Sprint(got) != fmt.Sprint(wanted) {
			err = fmt.Errorf("got %v, want %v", got, wanted)
		}
		return err
	})
	eventually(t, "no scrape is missing", func() error {
		scrapes, err := s.only(`scrapes{job="scraped"}`)
		up, errUp := s.only(`up{job="scraped"}`)
		if err := errors.Join(err, errUp); err != nil {
			return err
		}
		for i, sample := range scrapes {
			if sample.value != strconv.Itoa(i+1) || up[i].value != "1" {
				return fmt.Errorf("sample %d is %s, up is %s", i+1, sample.value, up[i].value)
			}
		}
		if len(scrapes) < 8 || len(up) < len(scrapes) {
			return fmt.Errorf("%d scrapes and %d samples of up are stored", len(scrapes), len(up))
		}
		return nil
	})
	eventually(t, "what a bad target has beside is stored", func() error {
		_, err := s.only(`scrapes{job="scraped-bad"}`)
		return err
	})
	for _, name := range []string{"centrifugo_transport_messages_sent", "ws__clients", "ws_bytes_total_sent", `trailing_{a__b="c"}`} {
		if _, err := s.only(name); err != nil {
			t.Errorf("a scraped name is lost: %v", err)
		}
	}
	for series, want := range map[string]int{"sent_total": deltas, "took_count": observed, "took_bucket": observed / 2} {
		eventually(t, "deltas of "+series+" are summed", func() error {
			got, err := s.last(series + `{job="delta",le!="+Inf"}`)
			if err == nil && got != strconv.Itoa(want) {
				err = fmt.Errorf("%s, want %d", got, want)
			}
			return err
		})
	}
	eventually(t, "a name of which nothing is left is counted", func() error {
		_, err := s.last(`sockscope_refused_data_points_total{job="worse",reason="name"}`)
		return err
	})
	for reason := range bad(time.Now()) {
		eventually(t, "refused for "+reason, func() error {
			refused, err := s.last(fmt.Sprintf(`sockscope_refused_data_points_total{job="bad-%s",reason=%q}`, reason, reason))
			if err == nil && refused != fmt.Sprint(rounds.Load()) {
				err = fmt.Errorf("%s points are counted, want %d", refused, rounds.Load())
			}
			_, beside := s.last(fmt.Sprintf(`beside{job="bad-%s"}`, reason))
			return errors.Join(err, beside)
		})
	}
}

// testNames has names made as OpenTelemetry's specification says.
func (s *stack) testNames(t *testing.T) {
	now := time.Now()
	unit := func(name, unit string) object {
		metric := gauge(name, point(now, 1, map[string]string{"http.route": "/ws"}))
		metric["unit"] = unit
		return metric
	}
	counter := func(name, unit string) object {
		metric := sum(name, 2, point(now, 1, nil))
		metric["unit"] = unit
		return metric
	}
	names := map[string]object{
		`http_server_request_duration_seconds{http_route="/ws"}`: unit("http.server.request.duration", "s"),
		"chat_messages_total":              counter("chat.messages", "{message}"),
		"network_io_bytes_total":           counter("network.io", "By"),
		"network_io_bytes":                 unit("network.io.bytes", "By"),
		"rate_bytes_per_second":            unit("rate", "By/s"),
		"requests_per_min":                 unit("requests", "{request}/min"),
		"cpu_utilization_ratio":            unit("cpu.utilization", "1"),
		"disk_free_percent":                unit("disk.free", "%"),
		"ready_total":                      counter("ready_total", ""),
		"plain":                            unit("plain", "{thing}"),
		"_2xx":                             unit("2xx", ""),
		"energy_joules":                    unit("energy", "J"),
		"websocket_message_size_kibibytes": unit("websocket.message..size", "KiBy"),
		`unit_of_its_own_parsecs`:          unit("unit.of.its.own", "parsecs"),
	}
	var all []object
	for _, metric := range names {
		all = append(all, metric)
	}
	if status := post(t, s.otlp, "/v1/metrics", metricsOf("names", all...)); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	for name := range names {
		eventually(t, name, func() error {
			_, err := s.only(name)
			return err
		})
	}
}

// testInstances has replicas that don't say which they are.
func (s *stack) testInstances(t *testing.T) {
	now := time.Now()
	for instance, attributes := range map[string]map[string]string{
		"given":     {"service.instance.id": "given", "host.name": "other"},
		"host-a:17": {"host.name": "host-a", "process.pid": "17"},
		"host-a:18": {"host.name": "host-a", "process.pid": "18"},
		"host-b":    {"host.name": "host-b"},
		"c0ffee":    {"container.id": "c0ffee", "host.name": "host-b", "process.pid": "1"},
		"3f2a":      {"k8s.pod.uid": "3f2a", "host.name": "host-b"},
		"127.0.0.1": nil,
	} {
		post(t, s.otlp, "/v1/metrics", object{"resourceMetrics": list{object{
			"resource": resource("replicated", attributes), "scopeMetrics": list{object{"metrics": list{gauge("replica", point(now, 1, nil))}}},
		}}})
		eventually(t, "instance "+instance, func() error {
			_, err := s.only(fmt.Sprintf(`replica{job="replicated",instance=%q}`, instance))
			return err
		})
	}

	// Two that can't be told apart, and one that is alone.
	started := now.Add(-time.Hour)
	const rounds = 5
	push := func(service string, round int, started time.Time) {
		point := point(now.Add(time.Duration(round)*time.Second), round, nil)
		point["startTimeUnixNano"] = nanos(started)
		post(t, s.otlp, "/v1/metrics", object{"resourceMetrics": list{object{
			"resource": resource(service, nil), "scopeMetrics": list{object{"metrics": list{sum("sent", 2, point), sum("received", 2, point)}}},
		}}})
	}
	for round := range rounds {
		push("mixed", 2*round, started)
		push("mixed", 2*round+1, started.Add(time.Minute))
		push("alone", round, started)
	}
	for service, want := range map[string]int{"mixed": rounds - 1, "alone": 0} {
		eventually(t, "starts of "+service, func() error {
			for _, counter := range []string{"sent", "received"} {
				starts, err := s.only(fmt.Sprintf(`sockscope_sender_start_time_seconds{job=%q,metric=%q}`, service, counter))
				if err != nil {
					return err
				}
				back := 0
				for i := 1; i < len(starts); i++ {
					if starts[i].value < starts[i-1].value {
						back++
					}
				}
				if back != want {
					return fmt.Errorf("%s went back %d times: %v", counter, back, starts)
				}
			}
			return nil
		})
	}
}
