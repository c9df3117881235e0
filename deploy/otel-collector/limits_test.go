package otelcollector_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// maxName is how many bytes VictoriaLogs takes as the name of a field. It adds a prefix to those of a scope.
const (
	maxName     = 128
	scopePrefix = "scope.attributes."
)

// cutName returns a name as the Collector cuts it: to whole characters, and to bytes.
func cutName(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	end := limit - len("…")
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end] + "…"
}

// testLongNames has names of attributes in scripts whose characters have several bytes. Those that fit stay as they
// are. The others are cut, and their records are stored.
func (s *stack) testLongNames(t *testing.T) {
	value := func(text string) object { return object{"stringValue": text} }
	wanted := make(map[string]map[string]string) // fields by service
	for _, letters := range []string{"x", "я", "世", "😀", "ж世", "aя世😀"} {
		for _, size := range []int{100, maxName - len(scopePrefix), maxName, maxName + len(letters), 160, 500} {
			name := strings.Repeat(letters, 500)
			name = name[:len(cutName(name, size+len("…")))-len("…")] // whole characters
			service := fmt.Sprintf("names-%s-%d", letters, size)
			status := post(t, s.otlp, "/v1/logs", object{"resourceLogs": list{object{
				"resource": resource(service, map[string]string{"r" + name: "of the resource"}),
				"scopeLogs": list{object{
					"scope": object{"attributes": attributes(map[string]string{"s" + name: "of the scope"})},
					"logRecords": list{object{
						"timeUnixNano": nanos(time.Now()), "severityNumber": 9, "body": value(name), "attributes": list{
							object{"key": name, "value": value("whole")},
							object{"key": "list", "value": object{"arrayValue": object{"values": list{value("{")}}}},
							object{"key": "nested", "value": object{"kvlistValue": object{"values": attributes(map[string]string{name: "of nested"})}}},
						},
					}},
				}},
			}}})
			if status != http.StatusOK {
				t.Fatalf("%q of %d bytes: status %d", letters, size, status)
			}
			wanted[service] = map[string]string{
				cutName(name, maxName):                                    "whole",
				cutName("nested."+name, maxName):                          "of nested",
				cutName("r"+name, maxName):                                "of the resource",
				scopePrefix + cutName("s"+name, maxName-len(scopePrefix)): "of the scope",
			}
			if len("nested."+name) <= maxName {
				wanted[service]["list"] = `["{"]`
			}
		}
	}
	for service, fields := range wanted {
		eventually(t, "the record of "+service, func() error {
			records, err := s.logs.records(service)
			if err != nil || len(records) != 1 {
				return errors.Join(err, fmt.Errorf("%d records", len(records)))
			}
			if s.logs.name != "victoria-logs" { // Loki names them otherwise
				return nil
			}
			for name, want := range underscored(fields) {
				if got := records[0].fields[name]; got != want {
					return fmt.Errorf("%q is %q, want %q: %q", name, got, want, records[0].fields)
				}
			}
			return nil
		})
	}
}

// testLongTexts has texts beside the body and the attributes that are too long for a store, or for its index, and a
// record whose only time is too old.
func (s *stack) testLongTexts(t *testing.T) {
	now := time.Now()
	long := strings.Repeat("x", 1_000_000)
	send := func(service string, scope, record object) {
		t.Helper()
		record["body"] = object{"stringValue": "x"}
		body := object{"resourceLogs": list{object{"resource": resource(service, nil), "scopeLogs": list{object{"scope": scope, "logRecords": list{record}}}}}}
		if status := post(t, s.otlp, "/v1/logs", body); status != http.StatusOK {
			t.Fatalf("%s: status %d", service, status)
		}
	}
	same := strings.Repeat("я", 70)
	send("long-scope", object{"name": long, "version": long}, object{"timeUnixNano": nanos(now), "severityText": long, "eventName": long})
	send("equal-names", object{}, object{"timeUnixNano": nanos(now), "attributes": attributes(map[string]string{same + "a": "1", same + "b": "2"})})
	s.push(t, map[string]any{"service_name": strings.Repeat("n", 100_000), "service_namespace": long}, now, "x")
	for _, service := range []string{"long-scope", "equal-names", strings.Repeat("n", 1024)} {
		eventually(t, "the record of "+service[:4], func() error {
			records, err := s.logs.records(service)
			if len(records) != 1 {
				err = errors.Join(err, fmt.Errorf("%d records", len(records)))
			}
			return err
		})
	}

	send("seen-late", object{}, object{"timeUnixNano": "0", "observedTimeUnixNano": nanos(now.Add(-200 * time.Hour))})
	eventually(t, "what was observed too long ago is counted", func() error {
		count, err := s.last(`sockscope_refused_log_records_total{job="seen-late",reason="too_old"}`)
		if err == nil && count != "1" {
			err = fmt.Errorf("it is %s", count)
		}
		return err
	})
}
