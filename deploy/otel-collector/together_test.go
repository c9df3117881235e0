package otelcollector_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// sender is one who does everything right, and sends again what is not accepted, as the specification says.
type sender struct {
	name    string
	number  int
	process map[string]string // what its resource says besides its name
	began   int
	samples []sample
}

func (from *sender) trace(round int) string {
	return fmt.Sprintf("0af7651916cd43dd%08x%08x", from.number, round+1)
}

// send sends a sample, a log record in each of the ways, and a span.
func (from *sender) send(t *testing.T, s *stack, round int) {
	now := time.Now()
	if len(from.samples) == 0 {
		from.began = round
	}
	from.samples = append(from.samples, sample{now.UnixMilli(), strconv.Itoa(round)})
	resource := resource(from.name, from.process)
	for _, request := range []struct {
		address, path string
		body          object
	}{
		{s.otlp, "/v1/metrics", object{"resourceMetrics": list{object{"resource": resource, "scopeMetrics": list{object{"metrics": list{gauge("value", point(now, round, nil))}}}}}}},
		{s.otlp, "/v1/logs", object{"resourceLogs": list{object{"resource": resource, "scopeLogs": list{object{"logRecords": list{
			object{"timeUnixNano": nanos(now), "severityNumber": 9, "body": object{"stringValue": fmt.Sprint("otlp ", round)}},
		}}}}}}},
		{s.loki, "/loki/api/v1/push", object{"streams": list{object{"stream": map[string]any{"service_name": from.name, "attempt": 0}, "values": list{list{nanos(now), fmt.Sprint("loki ", round)}}}}}},
		{s.otlp, "/v1/traces", object{"resourceSpans": list{object{"resource": resource, "scopeSpans": list{object{"spans": list{span(from.trace(round), now, nil)}}}}}}},
	} {
		eventually(t, from.name+" sends to "+request.path, func() error {
			if status := post(t, request.address, request.path, request.body); status/100 != 2 {
				return fmt.Errorf("status %d", status)
			}
			return nil
		})
	}
}

// check compares what the sender has sent with what is stored.
func (from *sender) check(t *testing.T, s *stack) {
	eventually(t, "samples of "+from.name, func() error {
		got, err := s.only(fmt.Sprintf("value{job=%q}", from.name))
		if err == nil && fmt.Sprint(got) != fmt.Sprint(from.samples) {
			err = fmt.Errorf("got %v, want %v", got, from.samples)
		}
		return err
	})
	eventually(t, "log records of "+from.name, func() error {
		records, err := s.logs.records(from.name)
		others, errOthers := s.logs.records("other")
		err = errors.Join(err, errOthers)
		times := make(map[string]int)
		for _, record := range records {
			times[record.line]++
		}
		for _, record := range others { // a push does not say which process it is from
			if record.fields["service_name_original"] == from.name && strings.HasPrefix(record.line, "loki ") {
				times[record.line]++
			}
		}
		for i := range from.samples {
			for _, way := range []string{"otlp ", "loki "} {
				line := fmt.Sprint(way, from.began+i)
				if times[line] != 1 {
					err = errors.Join(err, fmt.Errorf("%q is there %d times", line, times[line]))
				}
			}
		}
		return err
	})
	eventually(t, "spans of "+from.name, func() error {
		for i := range from.samples {
			if n, err := s.spans(from.trace(from.began + i)); err != nil || n != 1 {
				return fmt.Errorf("round %d has %d spans, %w", from.began+i, n, err)
			}
		}
		return nil
	})
}

// raw sends a body as it is, and returns the status, 0 if there was no answer.
func raw(address, path, contentType, encoding string, body []byte) int {
	request, err := http.NewRequest(http.MethodPost, "http://"+address+path, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	request.Header.Set("Content-Type", contentType)
	if encoding != "" {
		request.Header.Set("Content-Encoding", encoding)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// badSenders are bad in every way that is known, in all signals, by names. Each is called with the round.
func (s *stack) badSenders(t *testing.T) map[string]func(round int) {
	send := func(path string, body any) { post(t, s.otlp, path, body) }
	logs := func(service string, record object) {
		all := object{"timeUnixNano": nanos(time.Now()), "severityNumber": 9, "body": object{"stringValue": "x"}}
		maps.Copy(all, record)
		send("/v1/logs", object{"resourceLogs": list{object{"resource": resource(service, nil), "scopeLogs": list{object{"logRecords": list{all}}}}}})
	}
	spans := func(service string, span object) {
		send("/v1/traces", object{"resourceSpans": list{object{"resource": resource(service, nil), "scopeSpans": list{object{"spans": list{span}}}}}})
	}
	everything := func(service, item string, round int) {
		now := time.Now()
		send("/v1/metrics", metricsOf(service, gauge(item, point(now, round, nil))))
		logs(service, object{"body": object{"stringValue": item}})
		spans(service, span(fmt.Sprintf("1af7651916cd43dd%016x", round+1), now, object{"name": item}))
	}
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	_, _ = zip.Write(make([]byte, 64<<20))
	_ = zip.Close()
	large := bytes.Repeat([]byte(" "), 5<<20)

	return map[string]func(round int){
		"points that cannot be stored": func(int) {
			for reason, metric := range bad(time.Now()) {
				send("/v1/metrics", metricsOf("bad-"+reason, metric))
			}
			for _, metric := range worse(time.Now()) {
				send("/v1/metrics", metricsOf("worse", metric))
			}
		},
		"deltas": func(round int) {
			send("/v1/metrics", metricsOf("delta", sum("sent", 1, point(time.Now(), round, nil))))
		},
		"processes that are one instance": func(round int) {
			for _, started := range []time.Duration{time.Hour, time.Minute} {
				point := point(time.Now(), round, nil)
				point["startTimeUnixNano"] = nanos(time.Now().Add(-started))
				send("/v1/metrics", object{"resourceMetrics": list{object{"resource": resource("mixed", nil), "scopeMetrics": list{object{"metrics": list{sum("sent", 2, point)}}}}}})
			}
		},
		"records that cannot be stored": func(round int) {
			all := badRecords(time.Now())
			logs("bad-records", all[round%len(all)])
		},
		"spans that cannot be stored": func(round int) {
			all := badSpans("2af7651916cd43dd8448eb211c80319d", time.Now())
			spans("bad-spans", all[round%len(all)])
		},
		"what a store asks to be sent again for ever": func(round int) { everything("limited", "item", round) },
		"what a store refuses for good":               func(round int) { everything("faulty", "poison", round) },
		"pushes that are wrong": func(int) {
			for _, push := range []string{`{"streams":[]}`, `{"streams":[{"stream":{"a":"b"},"values":[["1",null]]}]}`, `{"streams":[{"stream":{},"values":[["x","y"]]}]}`, `{}`, `null`} {
				raw(s.loki, "/loki/api/v1/push", "application/json", "", []byte(push))
			}
		},
		"what is no telemetry": func(round int) {
			for _, way := range []struct{ address, path string }{{s.otlp, "/v1/metrics"}, {s.otlp, "/v1/logs"}, {s.otlp, "/v1/traces"}, {s.loki, "/loki/api/v1/push"}} {
				raw(way.address, way.path, "application/json", "", []byte(`{"resourceMetrics":[{`))
				raw(way.address, way.path, "application/x-protobuf", "", []byte("\xff\xff\xff\xff\xff"))
				raw(way.address, way.path, "application/x-protobuf", "gzip", []byte("no gzip"))
				raw(way.address, way.path, "text/plain", "", []byte("hello"))
				if round%8 == 0 {
					if status := raw(way.address, way.path, "application/json", "gzip", bomb.Bytes()); status/100 != 4 {
						t.Errorf("%s: 64 MiB in a few bytes: status %d", way.path, status)
					}
					if status := raw(way.address, way.path, "application/json", "", large); status/100 != 4 {
						t.Errorf("%s: 5 MiB: status %d", way.path, status)
					}
				}
			}
		},
		"requests that do not end": func(int) {
			for _, address := range []string{s.otlp, s.loki} {
				if conn, err := net.Dial("tcp", address); err == nil {
					_, _ = io.WriteString(conn, "POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
					t.Cleanup(func() { _ = conn.Close() })
				}
			}
		},
		"services with a number in their name": func(round int) {
			for i := range 5 {
				everything(fmt.Sprintf("made-up-%d-%d", round, i), "item", round)
				post(t, s.loki, "/loki/api/v1/push", object{"streams": list{object{
					"stream": map[string]any{"service_name": fmt.Sprintf("made-up-%d-%d-pushed", round, i)}, "values": list{list{nanos(time.Now()), "x"}},
				}}})
			}
		},
		"instances with a number in their name": func(round int) {
			send("/v1/metrics", object{"resourceMetrics": list{object{
				"resource":     resource("restless", map[string]string{"service.instance.id": fmt.Sprint(round)}),
				"scopeMetrics": list{object{"metrics": list{gauge("item", point(time.Now(), round, nil))}}},
			}}})
		},
		"labels with a number in their value": func(round int) {
			for _, kind := range []func(string, ...object) object{gauge, func(name string, points ...object) object { return sum(name, 1, points...) }} {
				var points []object
				for i := range 50 {
					points = append(points, point(time.Now(), round, map[string]string{"user": fmt.Sprintf("%d-%d", round, i)}))
				}
				send("/v1/metrics", metricsOf("many", kind("messages", points...)))
			}
		},
	}
}

// badPages are scraped.
func badPages(ended <-chan struct{}) map[string]http.HandlerFunc {
	scrapes := 0
	return map[string]http.HandlerFunc{
		"scraped-at-other-times": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "old 1 %d\nahead 1 %d\n", time.Now().Add(-3*time.Hour).UnixMilli(), time.Now().Add(time.Hour).UnixMilli())
		},
		"scraped-garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>{no metrics") },
		"scraped-huge": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte("# a comment\n"), 1<<20))
		},
		"scraped-hanging": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-ended:
			}
		},
		"scraped-many": func(w http.ResponseWriter, _ *http.Request) {
			scrapes++ // one after the other
			for i := range 200 {
				fmt.Fprintf(w, "messages{user=\"%d-%d\"} 1\n", scrapes, i)
			}
		},
	}
}

// TestTogether has good senders and a scraped service beside bad senders and pages of every kind, all at once, before
// stores that refuse some of it, and compares what the good ones sent with what is stored, to the sample. One of the
// good senders comes when the bad ones have taken all that they can get.
func TestTogether(t *testing.T) {
	const resources, series = 100, 4000
	s := newStack(t, "victoria-logs")
	s.collector.args = append(s.collector.args, fmt.Sprintf("--config=yaml:processors::cardinality::max_resources: %d", resources))
	s.collector.env = append(s.collector.env, fmt.Sprintf("OTELCOL_MAX_SERIES=%d", series), "OTELCOL_SCRAPE_INTERVAL=2s",
		"PROMETHEUS_URL=http://"+limiter(t, s.prometheus), "LOGS_OTLP_URL="+strings.Replace(s.logs.otlp, s.logStore, limiter(t, s.logStore), 1), "JAEGER_OTLP="+spanLimiter(t, s.jaegerWrite))
	s.run(t)

	ended := make(chan struct{})
	s.serve(t, "scraped", &page{rest: func() string { return "websocket_probe_success{target=\"chat\"} 1\n" }})
	for job, bad := range badPages(ended) {
		s.serve(t, job, bad)
	}
	eventually(t, "the target that was put there is scraped", func() error {
		_, err := s.last(`up{job="scraped"}`)
		return err
	})

	const interval, rounds, lateRound = 250 * time.Millisecond, 120, 60
	good := &sender{name: "good", number: 1}
	late := &sender{name: "late", number: 2, process: map[string]string{"host.name": "chat-1", "process.pid": "17"}}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	each := func(rounds int, send func(round int)) {
		running.Go(func() {
			ticker := time.NewTicker(interval)
			defer ticker.Stop()
			for round := 0; round < rounds && ctx.Err() == nil; round++ {
				<-ticker.C
				send(round)
			}
		})
	}
	each(rounds, func(round int) {
		good.send(t, s, round)
		if round >= lateRound {
			late.send(t, s, round)
		}
		if round == rounds-1 {
			cancel()
		}
	})
	for _, send := range s.badSenders(t) {
		each(10*rounds, send)
	}
	running.Wait()
	close(ended)

	good.check(t, s)
	late.check(t, s)
	s.checkScrapes(t)
	s.checkBounds(t, resources, series)
	s.checkCounts(t)
	eventually(t, "nothing waits", s.idle)
}

// checkScrapes has each scrape of the good service stored, with up and what the probe says, at the same times.
func (s *stack) checkScrapes(t *testing.T) {
	eventually(t, "no scrape is missing", func() error {
		scrapes, err := s.only(`scrapes{job="scraped"}`)
		up, errUp := s.only(`up{job="scraped"}`)
		probe, errProbe := s.only(`websocket_probe_success{job="scraped",target="chat"}`)
		if err := errors.Join(err, errUp, errProbe); err != nil {
			return err
		}
		if len(scrapes) < 10 || len(up) != len(scrapes) || len(probe) != len(scrapes) {
			return fmt.Errorf("%d scrapes, %d samples of up and %d of the probe are stored", len(scrapes), len(up), len(probe))
		}
		for i, sample := range scrapes {
			if sample.value != strconv.Itoa(i+1) || up[i].value != "1" || probe[i].value != "1" || up[i].at != sample.at || probe[i].at != sample.at {
				return fmt.Errorf("sample %d is %v, up %v, the probe %v", i+1, sample, up[i], probe[i])
			}
		}
		return nil
	})
}

// checkBounds has the stores know no more of the bad senders than the limits allow one of them.
func (s *stack) checkBounds(t *testing.T, resources, series int) {
	for query, most := range map[string]int{
		`count(count by (job) (last_over_time({job=~"made-up.*"}[1h])))`:        resources / 2,
		`count(count by (instance) (last_over_time(item{job="restless"}[1h])))`: resources / 2,
		`count(last_over_time({job="many"}[1h]))`:                               series / 2,
		`count(last_over_time({job="scraped-many"}[1h]))`:                       series / 2,
		`count(last_over_time(sockscope_refused_data_points_total[1h]))`:        resources,
	} {
		var answer struct {
			Data struct{ Result []struct{ Value [2]any } }
		}
		err := get("http://"+s.prometheus+"/api/v1/query?query="+url.QueryEscape(query), &answer)
		if err != nil || len(answer.Data.Result) != 1 {
			t.Errorf("%s: %v, %v", query, answer, err)
			continue
		}
		if got, err := strconv.Atoi(fmt.Sprint(answer.Data.Result[0].Value[1])); err != nil || got > most {
			t.Errorf("%s is %d, want at most %d: %v", query, got, most, err)
		}
	}
	var services struct{ Data []string }
	if err := get("http://"+s.jaegerRead+"/api/services", &services); err != nil || !slices.Contains(services.Data, "other") || len(services.Data) > resources {
		t.Errorf("Jaeger knows %d services: %q, %v", len(services.Data), services.Data, err)
	}
	if _, streams, err := s.logs.indexed(); err != nil || streams > 2*resources {
		t.Errorf("the log store has %d streams, %v", streams, err)
	}
	records, err := s.logs.records("other")
	if err != nil || !slices.ContainsFunc(records, func(r stored) bool { return strings.HasPrefix(r.fields["service_name_original"], "made-up-") }) {
		t.Errorf("records of other services: %v, %v", records, err)
	}
}

// checkCounts has what was refused, and what got another name, counted by its sender.
func (s *stack) checkCounts(t *testing.T) {
	selectors := []string{
		`sockscope_refused_data_points_total{job="other",instance="other",reason="too_many_services"}`,
		`sockscope_refused_data_points_total{job="many",reason="too_many_series"}`,
		`sockscope_refused_data_points_total{job="scraped-many",reason="too_many_series"}`,
		`sockscope_refused_log_records_total{job="bad-records",reason="too_old"}`,
	}
	for reason := range bad(time.Now()) {
		selectors = append(selectors, fmt.Sprintf(`sockscope_refused_data_points_total{job="bad-%s",reason=%q}`, reason, reason))
	}
	for _, selector := range selectors {
		eventually(t, selector, func() error {
			_, err := s.last(selector)
			return err
		})
	}
	for _, signal := range []string{"logs", "traces"} {
		if lines, err := s.own("sockscope_label_overflow_total", `label="service.name"`, `signal="`+signal+`"`); err != nil || len(lines) == 0 {
			t.Errorf("services of %s that are other are not counted: %v", signal, err)
		}
	}
	for _, service := range []string{"limited", "faulty"} {
		for _, exporter := range []string{"otlp_http/prometheus", "otlp_http/logs", "otlp_grpc/jaeger"} {
			eventually(t, "what is given up of "+service+" in "+exporter, func() error {
				lines, err := s.own("sockscope_store_refused_items_total", `service="`+service+`"`, `exporter="`+exporter+`"`)
				if len(lines) != 1 {
					err = errors.Join(err, fmt.Errorf("%q", lines))
				}
				return err
			})
		}
	}
}
