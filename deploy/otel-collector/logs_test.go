package otelcollector_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// testLogs has lines as loggers of other languages write them.
func (s *stack) testLogs(t *testing.T) {
	const trace = "0af7651916cd43dd8448eb211c80319c"
	type labels = map[string]any
	tests := []struct {
		name   string
		labels labels
		line   string
		want   map[string]string
	}{
		{"level as a label", labels{"level": "warn"}, "x", map[string]string{"level": "warn"}},
		{"winston http", labels{"level": "http"}, "x", map[string]string{"level": "debug", "severity_text": "http"}},
		{"winston verbose", labels{"level": "verbose"}, "x", map[string]string{"level": "debug"}},
		{"winston silly", labels{"level": "silly"}, "x", map[string]string{"level": "trace"}},
		{"colours", labels{"level": "\x1b[32minfo\x1b[39m"}, "x", map[string]string{"level": "info"}},
		{"syslog", labels{"severity": "notice"}, "x", map[string]string{"level": "info"}},
		{"java", labels{"lvl": "SEVERE"}, "x", map[string]string{"level": "error"}},
		{"three letters", labels{"loglevel": "wrn"}, "x", map[string]string{"level": "warn"}},
		{"a letter", labels{"level": "E"}, "x", map[string]string{"level": "error"}},
		{"pino", labels{"level": 50}, "x", map[string]string{"level": "error"}},
		{"pino in JSON", nil, `{"level":30,"msg":"x"}`, map[string]string{"level": "info"}},
		{"pino as a string", nil, `{"level":"60","msg":"x"}`, map[string]string{"level": "fatal"}},
		{"JSON", nil, `{"severity":"Warning","msg":"x"}`, map[string]string{"level": "warn"}},
		{"logfmt", nil, `ts=1 lvl=err msg="x"`, map[string]string{"level": "error"}},
		{"plain text", nil, `2026-01-01 10:00:00 [ERROR] x`, map[string]string{"level": "error"}},
		{"glog", nil, `W0102 15:04:05.000000 1 main.go:1] x`, map[string]string{"level": "warn"}},
		{"no level", nil, "nothing to see", map[string]string{"level": ""}},
		{"another level", labels{"level": "dungeon 4"}, "x", map[string]string{"level": "", "severity_text": "dungeon 4"}},
		{"not JSON", nil, `{"level":`, map[string]string{"level": ""}},
		{"not JSON, with a level in its text", nil, `{"msg":"x" error here`, map[string]string{"level": "error"}},
		{"JSON without a level, with one in its text", nil, `{"msg":"an error here"}`, map[string]string{"level": ""}},
		{"JSON with a structured level", nil, `{"level":{"name":"error"}}`, map[string]string{"level": ""}},
		{"JSON after spaces", nil, `  {"level":"error"}`, map[string]string{"level": "error"}},
		{"level as a label and in JSON", labels{"level": "warn"}, `{"level":"error"}`, map[string]string{"level": "warn"}},
		{"trace id as metadata", labels{"trace_id": trace}, "x", map[string]string{"trace_id": trace}},
		{"traceID", labels{"traceID": trace}, "x", map[string]string{"trace_id": trace}},
		{"trace id in JSON", nil, `{"traceId":"` + trace + `","spanId":"b7ad6b7169203331"}`, map[string]string{"trace_id": trace, "span_id": "b7ad6b7169203331"}},
		{"traceId in capitals", labels{"traceId": strings.ToUpper(trace)}, "x", map[string]string{"trace_id": trace}},
		{"malformed trace id", labels{"trace_id": "no"}, "x", map[string]string{"trace_id": "no"}},
		{"zero, false and null", labels{"attempt": 0, "retry": false, "none": nil}, "x", map[string]string{"attempt": "0", "retry": "false", "none": "null"}},
		{"a long line", nil, strings.Repeat("x", 3_300_000), map[string]string{"cut_from_bytes": "3300000"}},
	}
	now := time.Now()
	for i, test := range tests {
		labels := labels{"service_name": fmt.Sprint("logs-", i)}
		for name, value := range test.labels {
			labels[name] = value
		}
		s.push(t, labels, now, test.line)
	}
	for i, test := range tests {
		eventually(t, test.name, func() error {
			records, err := s.logs.records(fmt.Sprint("logs-", i))
			if err != nil || len(records) != 1 {
				return errors.Join(err, fmt.Errorf("%d records", len(records)))
			}
			for name, want := range test.want {
				if got := records[0].fields[name]; got != want {
					return fmt.Errorf("%s is %q, want %q: %v", name, got, want, records[0].fields)
				}
			}
			return nil
		})
	}

	for _, label := range []string{"job", "app", "service", "container", "component", "name"} {
		s.push(t, labels{label: "by-" + label}, now, "x")
		eventually(t, "service by "+label, func() error {
			records, err := s.logs.records("by-" + label)
			if err == nil && len(records) == 0 {
				err = errors.New("no records")
			}
			return err
		})
	}

	// Its neighbours are stored, and who sent it is counted.
	s.push(t, labels{"service_name": "late"}, now.Add(-200*time.Hour), "too late")
	s.push(t, labels{"service_name": "late"}, now, "in time")
	eventually(t, "the late line is counted", func() error {
		count, err := s.last(`sockscope_refused_log_records_total{job="late",reason="too_old"}`)
		if err == nil && count != "1" {
			err = fmt.Errorf("it is %s", count)
		}
		records, errRecords := s.logs.records("late")
		if len(records) != 1 {
			errRecords = errors.Join(errRecords, fmt.Errorf("%d records", len(records)))
		}
		return errors.Join(err, errRecords)
	})
}

func (s *stack) push(t *testing.T, labels map[string]any, at time.Time, line string) {
	t.Helper()
	if status := post(t, s.loki, "/loki/api/v1/push", object{"streams": list{object{"stream": labels, "values": list{list{nanos(at), line}}}}}); status != http.StatusNoContent {
		t.Fatalf("push of %v: status %d", labels, status)
	}
}

// testApplicationsLevelStays has an attribute that is called level and means something else.
func (s *stack) testApplicationsLevelStays(t *testing.T) {
	status := post(t, s.otlp, "/v1/logs", object{"resourceLogs": list{object{
		"resource": resource("game", nil),
		"scopeLogs": list{object{"logRecords": list{object{
			"timeUnixNano": nanos(time.Now()), "severityNumber": 9, "body": object{"stringValue": "next level"}, "attributes": attributes(map[string]string{"level": "17"}),
		}}}},
	}}})
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	eventually(t, "the record", func() error {
		records, err := s.logs.records("game")
		if err != nil || len(records) != 1 || records[0].fields["level"] != "info" || records[0].fields["level_original"] != "17" {
			return errors.Join(err, fmt.Errorf("records are %v", records))
		}
		return nil
	})
}

// badRecords are log records that a store would refuse, or that it would leave out with no word to the sender.
func badRecords(now time.Time) []object {
	many := make(map[string]string)
	for i := range 3000 {
		many[fmt.Sprint("key-", i)] = "value"
	}
	long := make(map[string]string)
	for i := range 400 {
		long[fmt.Sprint("long-", i)] = strings.Repeat("x", 9000)
	}
	nested := object{"kvlistValue": object{"values": attributes(many)}}
	return []object{
		{"timeUnixNano": "0"},
		{"timeUnixNano": nanos(now.Add(-time.Hour))},
		{"timeUnixNano": "0", "observedTimeUnixNano": nanos(now)},
		{"timeUnixNano": "18446744073709551615"},
		{"body": nested},
		{"body": object{"kvlistValue": object{"values": attributes(map[string]string{"long": strings.Repeat("x", 3_000_000)})}}},
		{"body": object{}},
		{"attributes": attributes(many)},
		{"attributes": list{object{"key": "nested", "value": nested}}},
		{"attributes": attributes(map[string]string{"": "x", strings.Repeat("x", 100_000): "x", "long": strings.Repeat("x", 3_000_000)})},
		{"severityNumber": 99},
		{"attributes": list{object{"key": "bytes", "value": object{"bytesValue": strings.Repeat("AAAA", 700_000)}}}},
		{"attributes": attributes(long)},
		{"severityText": strings.Repeat("x", 3_000_000)},
		{"eventName": strings.Repeat("x", 3_000_000)},
		{"traceId": "00"},
	}
}

// testBadRecords has good records of one sender share batches with bad ones of others.
func (s *stack) testBadRecords(t *testing.T) {
	now := time.Now()
	send := func(service string, record object) {
		all := object{"timeUnixNano": nanos(now), "severityNumber": 9, "body": object{"stringValue": "x"}}
		maps.Copy(all, record)
		body := object{"resourceLogs": list{object{"resource": resource(service, nil), "scopeLogs": list{object{"logRecords": list{all}}}}}}
		if status := post(t, s.otlp, "/v1/logs", body); status != http.StatusOK {
			t.Errorf("%s: status %d", service, status)
		}
	}
	bad := badRecords(now)
	for i, record := range bad {
		send("good-records", object{"body": object{"stringValue": fmt.Sprint("good ", 2*i)}})
		if i == len(bad)-1 {
			post(t, s.otlp, "/v1/logs", object{"resourceLogs": list{object{"scopeLogs": list{object{"logRecords": list{record}}}}}})
		} else {
			send(fmt.Sprint("bad-records-", i), record)
		}
		send("good-records", object{"body": object{"stringValue": fmt.Sprint("good ", 2*i+1)}})
	}
	send(strings.Repeat("s", 100_000), nil)
	send("bad\x00name\n\"}", nil)
	send("", nil)
	send("good-records", object{"body": object{"stringValue": "the last"}})
	eventually(t, "good records are stored", func() error {
		records, err := s.logs.records("good-records")
		if want := 2*len(bad) + 1; err == nil && len(records) != want {
			err = fmt.Errorf("%d records, want %d", len(records), want)
		}
		return err
	})
	eventually(t, "so are the bad ones, but that of no time that could be", func() error {
		for i := range len(bad) - 1 {
			want := 1
			if bad[i]["timeUnixNano"] == "18446744073709551615" {
				want = 0
			}
			records, err := s.logs.records(fmt.Sprint("bad-records-", i))
			if err != nil || len(records) != want {
				return errors.Join(err, fmt.Errorf("%d records of %d, want %d", len(records), i, want))
			}
		}
		return nil
	})
	eventually(t, "nothing waits", s.idle)
}

// testNotableRecords sends panics, errors that repeat and clients that connect again and again, beside other records.
// Each is counted without a label but the service's.
func (s *stack) testNotableRecords(t *testing.T) {
	now := time.Now()
	send := func(severity int, body string, pairs map[string]string) {
		record := object{"timeUnixNano": nanos(now), "severityNumber": severity, "body": object{"stringValue": body}, "attributes": attributes(pairs)}
		request := object{"resourceLogs": list{object{"resource": resource("notable", nil), "scopeLogs": list{object{"logRecords": list{record}}}}}}
		if status := post(t, s.otlp, "/v1/logs", request); status != http.StatusOK {
			t.Errorf("%s: status %d", body, status)
		}
	}
	for _, body := range []string{
		"panic: runtime error: index out of range", "http: panic serving 127.0.0.1:4711: oops", "panic", "thread 'main' panicked at src/main.rs:2",
		"Traceback (most recent call last):", "Uncaught TypeError: x is undefined", "UnhandledPromiseRejection", "Exception in thread \"main\"",
	} {
		send(0, body, nil)
	}
	send(9, "do not panic", nil)
	for i := range 130 {
		send(17, "lease not renewed", map[string]string{"error": fmt.Sprintf("connection %08x to 10.0.0.%d refused", 0xabcdef00+i, i)})
		send(13, "cache is cold", nil)
	}
	for i := range 99 {
		send(17, "seldom", map[string]string{"error": strings.Repeat("x", i)})
	}
	for i := range 25 {
		send(9, "connection opened", map[string]string{"user": "ann"})
		send(9, "connection opened", map[string]string{"user": fmt.Sprint("user-", i)})
		send(9, "disconnected", map[string]string{"user": "bob"})
	}
	for metric, want := range map[string]string{
		"sockscope_log_panics_total": "8", "sockscope_log_repetitions": "130", "sockscope_log_client_connections": "25",
	} {
		eventually(t, metric+" is "+want, func() error {
			got, err := s.last(metric + `{job="notable"}`)
			if err == nil && got != want {
				err = fmt.Errorf("it is %s", got)
			}
			return err
		})
	}
	all, err := s.samples(`{job="notable"}`)
	if err != nil {
		t.Fatal(err)
	}
	for series := range all {
		if strings.Contains(series, "ann") || strings.Contains(series, "lease") {
			t.Errorf("%s says who or what it is about", series)
		}
	}
}

func span(trace string, at time.Time, more object) object {
	span := object{"traceId": trace, "spanId": "b7ad6b7169203331", "name": "span", "startTimeUnixNano": nanos(at), "endTimeUnixNano": nanos(at)}
	maps.Copy(span, more)
	return span
}

// badSpans are spans without what each has to have, with nearly all that a request may have, or with more than Jaeger
// can index. Those that can be stored are of the trace.
func badSpans(trace string, now time.Time) []object {
	span := func(trace string, more object) object { return span(trace, now, more) }
	event := func(id string, pairs map[string]string) object {
		return object{"spanId": id, "events": list{object{"timeUnixNano": nanos(now), "name": "event", "attributes": attributes(pairs)}}}
	}
	return []object{
		span(strings.Repeat("0", 32), nil),
		span("", nil),
		span(trace, object{"spanId": ""}),
		span(trace, object{"spanId": "b7ad6b7169203332", "startTimeUnixNano": "0"}),
		span(trace, object{"spanId": "b7ad6b7169203333", "endTimeUnixNano": "0"}),
		span(trace, object{"spanId": "b7ad6b7169203334", "name": strings.Repeat("x", 100_000)}),
		span(trace, object{"spanId": "b7ad6b7169203335", "name": ""}),
		span(trace, object{"spanId": "b7ad6b7169203336", "attributes": attributes(map[string]string{"": "x", strings.Repeat("x", 100_000): "x"})}),
		span(trace, object{"spanId": "b7ad6b7169203337", "attributes": attributes(map[string]string{"large": strings.Repeat("x", 3_400_000)})}),
		span(trace, object{"spanId": "b7ad6b7169203338", "attributes": list{object{"key": "x", "value": object{"arrayValue": object{"values": list{
			object{"stringValue": strings.Repeat("x", 100_000)},
		}}}}}}),
		span(trace, event("b7ad6b716920333b", map[string]string{"large": strings.Repeat("x", 100_000), strings.Repeat("x", 100_000): "x"})),
		span(trace, object{"spanId": "b7ad6b7169203339", "attributes": list{object{"key": "x", "value": object{"bytesValue": strings.Repeat("AAAA", 50_000)}}}}),
		span(trace, object{"spanId": "b7ad6b716920333c", "attributes": attributes(map[string]string{"\n" + strings.Repeat("x", 100_000): "x"})}),
		span(trace, object{"spanId": "b7ad6b716920333e", "status": object{"code": 2, "message": strings.Repeat("x", 100_000)}}),
		span(trace, object{"spanId": "b7ad6b716920333f", "traceState": "x=" + strings.Repeat("x", 100_000)}),
		span(trace, object{"spanId": "b7ad6b7169203340", "events": list{object{"timeUnixNano": nanos(now), "name": strings.Repeat("x", 100_000)}}}),
	}
}

// testBadSpans has good spans of one sender share batches with bad ones of others.
func (s *stack) testBadSpans(t *testing.T) {
	now := time.Now()
	send := func(service string, spans ...object) {
		body := object{"resourceSpans": list{object{"resource": resource(service, nil), "scopeSpans": list{object{"spans": spans}}}}}
		if status := post(t, s.otlp, "/v1/traces", body); status != http.StatusOK {
			t.Errorf("%s: status %d", service, status)
		}
	}
	good := func(i int) string { return fmt.Sprintf("1af7651916cd43dd8448eb21%08x", i+1) }
	const large = "0af7651916cd43dd8448eb211c80319d"
	bad := badSpans(large, now)
	for i, b := range bad {
		send("good", span(good(2*i), now, nil))
		send(fmt.Sprint("bad-", i), b)
		send("good", span(good(2*i+1), now, nil))
	}
	send(strings.Repeat("s", 100_000), span(large, now, object{"spanId": "b7ad6b716920333a"}))
	many := make(map[string]string)
	for i := range 12_000 {
		many[fmt.Sprint(i)] = "x"
	}
	send(strings.Repeat("m", 100_000), span(large, now, object{"spanId": "b7ad6b716920333d", "attributes": attributes(many)}))
	post(t, s.otlp, "/v1/traces", object{"resourceSpans": list{object{"resource": resource("bad-scope", nil), "scopeSpans": list{object{
		"scope": object{"name": strings.Repeat("x", 100_000), "version": strings.Repeat("x", 100_000)}, "spans": list{span(large, now, object{"spanId": "b7ad6b7169203341"})},
	}}}}})
	send("good", span(good(2*len(bad)), now, nil))
	eventually(t, "good spans are stored", func() error {
		for i := range 2*len(bad) + 1 {
			if n, err := s.spans(good(i)); err != nil || n != 1 {
				return fmt.Errorf("trace %d has %d spans, %w", i, n, err)
			}
		}
		return nil
	})
	eventually(t, "what can be stored of the bad ones is", func() error {
		if n, err := s.spans(large); err != nil || n != 17 {
			return fmt.Errorf("%d spans, %w", n, err)
		}
		return nil
	})
}

// checkOrigins asks as browsers do before they send, for each origin, and compares which one is allowed.
func (s *stack) checkOrigins(t *testing.T, origins map[string]string) {
	t.Helper()
	for origin, want := range origins {
		request, err := http.NewRequest(http.MethodOptions, "http://"+s.otlp+"/v1/traces", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", origin)
		request.Header.Set("Access-Control-Request-Method", http.MethodPost)
		request.Header.Set("Access-Control-Request-Headers", "content-type")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if got := response.Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: allowed is %q, want %q", origin, got, want)
		}
	}
}
