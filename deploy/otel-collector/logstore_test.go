package otelcollector_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/sockscope/sockscope/internal/dashboard"
)

// logStore is a store of log records with the shipped settings. Tests read its records from its own API, not through
// package logstore.
type logStore struct {
	*program
	memory  time.Duration                                    // how long it may have records in memory only
	otlp    string                                           // where the Collector sends records
	ask     func(query string) error                         // in its language
	grafana string                                           // the folder of Grafana's settings for it
	panel   func(dashboard.Query) (results int, err error)   // asks as Grafana does for a panel
	records func(service string) ([]stored, error)           // all that it has of a service
	indexed func() (labels []string, streams int, err error) // its index labels or stream fields, and their combinations
}

// stored is a log record with its labels or fields, whose names have underscores as Loki gives them.
type stored struct {
	line   string
	fields map[string]string
}

func newLoki(data, address, grpcPort string) logStore {
	_, port, _ := strings.Cut(address, ":")
	return logStore{
		program: &program{
			name: "loki", ready: "http://" + address + "/ready", args: []string{"-config.file=../loki/config.yaml", "-config.expand-env=true"},
			env: []string{"LOKI_HOST=127.0.0.1", "LOKI_HTTP_PORT=" + port, "LOKI_GRPC_PORT=" + grpcPort, "LOKI_DATA=" + filepath.Join(data, "loki")},
		},
		otlp: "http://" + address + "/otlp",
		ask: func(query string) error {
			return get("http://"+address+"/loki/api/v1/query_range?query="+url.QueryEscape(query), &object{})
		},
		grafana: "../grafana",
		panel: func(q dashboard.Query) (int, error) {
			var answer struct{ Data struct{ Result []any } }
			err := get("http://"+address+"/loki/api/v1/query_range?limit=10&query="+url.QueryEscape(q.Expr), &answer)
			return len(answer.Data.Result), err
		},
		records: func(service string) ([]stored, error) {
			var answer struct {
				Data struct {
					Result []struct {
						Stream map[string]string
						Values [][2]string
					}
				}
			}
			query := url.Values{"query": {"{service_name=" + strconv.Quote(service) + "}"}, "limit": {"5000"}, "since": {"2h"}}
			err := get("http://"+address+"/loki/api/v1/query_range?"+query.Encode(), &answer)
			var all []stored
			for _, stream := range answer.Data.Result {
				for _, v := range stream.Values {
					all = append(all, stored{v[1], stream.Stream})
				}
			}
			return all, err
		},
		indexed: func() ([]string, int, error) {
			var labels struct{ Data []string }
			var series struct{ Data []object }
			err := errors.Join(
				get("http://"+address+"/loki/api/v1/labels?since=1h", &labels),
				get("http://"+address+"/loki/api/v1/series?"+url.Values{"match[]": {`{service_name=~".+"}`}}.Encode(), &series))
			return labels.Data, len(series.Data), err
		},
	}
}

func newVictoriaLogs(data, address string) logStore {
	lines := func(query string) ([]map[string]string, error) {
		response, err := http.PostForm("http://"+address+"/select/logsql/query", url.Values{"query": {query}})
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", response.Status, body)
		}
		var all []map[string]string
		for scanner := bufio.NewReader(bytes.NewReader(body)); err == nil; {
			var line []byte
			var fields map[string]string
			if line, err = scanner.ReadBytes('\n'); err == nil {
				err = json.Unmarshal(line, &fields)
				all = append(all, fields)
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return all, err
	}
	return logStore{
		program: &program{
			name: "victoria-logs", ready: "http://" + address + "/health",
			args: []string{"-httpListenAddr=" + address, "-storageDataPath=" + filepath.Join(data, "victoria-logs"), "-retentionPeriod=7d", "-inmemoryDataFlushInterval=1s"},
		},
		memory: 3 * time.Second,
		otlp:   "http://" + address + "/insert/opentelemetry",
		ask: func(query string) error {
			_, err := lines(query)
			return err
		},
		grafana: "../victorialogs/grafana",
		panel: func(q dashboard.Query) (int, error) {
			switch q.Type {
			case "instant":
				records, err := lines(q.Expr + " | sort by (_time) desc")
				return len(records), err
			case "statsRange":
				var answer struct{ Data struct{ Result []any } }
				err := get("http://"+address+"/select/logsql/stats_query_range?start=5m&step=15s&query="+url.QueryEscape(q.Expr), &answer)
				return len(answer.Data.Result), err
			}
			return 0, fmt.Errorf("no way to ask for the type %q", q.Type)
		},
		records: func(service string) ([]stored, error) {
			found, err := lines(`_time:2h "service.name":=` + strconv.Quote(service))
			var all []stored
			for _, fields := range found {
				all = append(all, stored{fields["_msg"], underscored(fields)})
			}
			return all, err
		},
		indexed: func() ([]string, int, error) {
			var names, streams struct{ Values []struct{ Value string } }
			err := errors.Join(
				get("http://"+address+"/select/logsql/stream_field_names?query=*", &names),
				get("http://"+address+"/select/logsql/streams?query=*", &streams))
			fields := make(map[string]string)
			for _, name := range names.Values {
				fields[name.Value] = ""
			}
			return slices.Collect(maps.Keys(underscored(fields))), len(streams.Values), err
		},
	}
}

func underscored(fields map[string]string) map[string]string {
	renamed := make(map[string]string, len(fields))
	for name, value := range fields {
		renamed[strings.ReplaceAll(name, ".", "_")] = value
	}
	return renamed
}

// testIndexIsBounded has many users, connections and instances say something: what the store indexes stays the same
// few.
func (s *stack) testIndexIsBounded(t *testing.T) {
	say := func(i int) {
		t.Helper()
		record := object{
			"timeUnixNano": nanos(time.Now()), "severityNumber": 9, "body": object{"stringValue": fmt.Sprint("record ", i)},
			"traceId": fmt.Sprintf("%032x", i+1), "spanId": fmt.Sprintf("%016x", i+1),
			"attributes": attributes(map[string]string{"connection_id": fmt.Sprint("c-", i), "user": fmt.Sprint("u-", i), "event.name": fmt.Sprint("e-", i)}),
			"eventName":  fmt.Sprint("n-", i),
		}
		status := post(t, s.otlp, "/v1/logs", object{"resourceLogs": list{object{
			"resource":  resource("many", map[string]string{"service.namespace": "tests", "service.instance.id": fmt.Sprint(i), "process.pid": fmt.Sprint(i)}),
			"scopeLogs": list{object{"scope": object{"name": fmt.Sprint("scope-", i)}, "logRecords": list{record}}},
		}}})
		if status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	stored := func(count int) (streams int) {
		t.Helper()
		eventually(t, fmt.Sprint(count, " records are stored"), func() error {
			records, err := s.logs.records("many")
			if len(records) != count {
				err = errors.Join(err, fmt.Errorf("%d records", len(records)))
			}
			return err
		})
		labels, streams, err := s.logs.indexed()
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(labels)
		want := []string{"deployment_environment_name", "level", "service_name", "service_namespace"}
		if diff := cmp.Diff(want, labels); diff != "" {
			t.Errorf("what is indexed (-want +got)\n%s", diff)
		}
		return streams
	}
	say(0)
	before := stored(1)
	for i := 1; i < 200; i++ {
		say(i)
	}
	if after := stored(200); after != before {
		t.Errorf("%d streams became %d", before, after)
	}
	records, err := s.logs.records("many")
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		i, err := strconv.Atoi(strings.TrimPrefix(record.line, "record "))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"level": "info", "service_name": "many", "service_namespace": "tests", "deployment_environment_name": "demo",
			"trace_id": fmt.Sprintf("%032x", i+1), "span_id": fmt.Sprintf("%016x", i+1),
			"connection_id": fmt.Sprint("c-", i), "user": fmt.Sprint("u-", i), "service_instance_id": fmt.Sprint(i),
		} {
			if got := record.fields[name]; got != want {
				t.Fatalf("%s is %q, want %q: %v", name, got, want, record)
			}
		}
	}
}

// testStructuredBodies has bodies that are no text: the store has them as JSON, and their keys harm nobody's.
func (s *stack) testStructuredBodies(t *testing.T) {
	bodies := map[string]object{
		`{"event":"joined","level":"17","nested":{"service.name":"other","trace_id":"x"}}`: {"kvlistValue": object{"values": list{
			object{"key": "event", "value": object{"stringValue": "joined"}},
			object{"key": "level", "value": object{"stringValue": "17"}},
			object{"key": "nested", "value": object{"kvlistValue": object{"values": attributes(map[string]string{"service.name": "other", "trace_id": "x"})}}},
		}}},
		`["a","b"]`: {"arrayValue": object{"values": list{object{"stringValue": "a"}, object{"stringValue": "b"}}}},
		`42`:        {"intValue": 42},
		`true`:      {"boolValue": true},
		`{"msg":"a line of JSON","level":"info"}`: {"stringValue": `{"msg":"a line of JSON","level":"info"}`},
	}
	for _, body := range bodies {
		status := post(t, s.otlp, "/v1/logs", object{"resourceLogs": list{object{"resource": resource("structured", nil), "scopeLogs": list{object{"logRecords": list{
			object{"timeUnixNano": nanos(time.Now()), "severityNumber": 13, "traceId": "0af7651916cd43dd8448eb211c80319c", "body": body},
		}}}}}})
		if status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	eventually(t, "they are stored", func() error {
		records, err := s.logs.records("structured")
		if len(records) != len(bodies) {
			return errors.Join(err, fmt.Errorf("%d records: %v", len(records), records))
		}
		for _, record := range records {
			if bodies[record.line] == nil || record.fields["level"] != "warn" || record.fields["trace_id"] != "0af7651916cd43dd8448eb211c80319c" {
				return fmt.Errorf("record is %v", record)
			}
		}
		return err
	})
}

// testRunbooks asks the store what the runbooks ask it, in its language.
func (s *stack) testRunbooks(t *testing.T) {
	files, err := filepath.Glob("../../docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range logQuery.FindAllStringSubmatch(string(text), -1) {
			if ours := strings.HasPrefix(block[1], "{service.name"); ours != (s.logs.name == "victoria-logs") {
				continue
			}
			asked++
			if err := s.logs.ask(block[1]); err != nil {
				t.Errorf("%s: %s: %v", file, block[1], err)
			}
		}
	}
	if asked == 0 {
		t.Error("no runbook asks for log records")
	}
}

var logQuery = regexp.MustCompile("```\n *(\\{service.*)\n")

// testDashboards asks the store what the dashboards ask it.
func (s *stack) testDashboards(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(s.logs.grafana, "dashboards/*.json"))
	if err != nil {
		t.Fatal(err)
	}
	now, records := time.Now(), list{}
	for _, body := range []string{"connection closed", "message failed"} { // which panels ask for
		records = append(records, object{"timeUnixNano": nanos(now), "severityNumber": 13, "body": object{"stringValue": body}})
	}
	request := object{"resourceLogs": list{object{"resource": resource("many", nil), "scopeLogs": list{object{"logRecords": records}}}}}
	if status := post(t, s.otlp, "/v1/logs", request); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	asked := 0
	for _, file := range files {
		board, err := dashboard.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		queries, err := board.Queries(map[string]string{
			"job": "(many|none)", "namespace": ".*", "instance": ".*", "__rate_interval": "1m", "__interval": "15s", "__range": "5m", "__auto": "1m",
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queries {
			if q.Datasource == "prometheus" {
				continue
			}
			asked++
			eventually(t, q.String(), func() error {
				results, err := s.logs.panel(q)
				if err == nil && results == 0 {
					err = errors.New("no results")
				}
				return err
			})
		}
	}
	if asked == 0 {
		t.Errorf("no dashboard asks %s", s.logs.name)
	}
}

// testFromTraceToLog asks the store what Grafana asks it for a trace.
func (s *stack) testFromTraceToLog(t *testing.T) {
	var file struct {
		Datasources []struct {
			UID      string `yaml:"uid"`
			JSONData struct {
				Way struct{ Query string } `yaml:"tracesToLogsV2"`
			} `yaml:"jsonData"`
		}
	}
	content, err := os.ReadFile(filepath.Join(s.logs.grafana, "provisioning/datasources/logs.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	for _, source := range file.Datasources {
		if source.UID != "jaeger" {
			continue
		}
		for trace, want := range map[string]bool{fmt.Sprintf("%032x", 1): true, strings.Repeat("f", 32): false} {
			query := strings.ReplaceAll(source.JSONData.Way.Query, "$${__trace.traceId}", trace)
			results, err := s.logs.panel(dashboard.Query{Type: "instant", Expr: query})
			if err != nil || (results > 0) != want {
				t.Errorf("%s: %d results, %v", query, results, err)
			}
		}
		return
	}
	t.Error("no way from a trace to its log records")
}
