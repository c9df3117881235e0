package otelcollector_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// itemsPerRequest is how many items the benchmark has in a request.
const itemsPerRequest = 200

// bench is a kind of item that benchmarks send.
type bench struct {
	name, path string
	request    func(at time.Time, item func(func(i int) object) list) object
}

func benches() []bench {
	return []bench{
		{"point", "/v1/metrics", func(at time.Time, all func(func(int) object) list) object {
			return metricsOf("bench", object{"name": "bench.value", "unit": "s", "gauge": object{"dataPoints": all(func(i int) object {
				return point(at, i, map[string]string{"namespace": "chat", "type": fmt.Sprint("type-", i), "direction": "receive", "status": "ok"})
			})}})
		}},
		{"span", "/v1/traces", func(at time.Time, all func(func(int) object) list) object {
			return object{"resourceSpans": list{object{"resource": resource("bench", nil), "scopeSpans": list{object{"spans": all(func(i int) object {
				return object{
					"traceId": fmt.Sprintf("%024x%08x", at.UnixNano(), i), "spanId": fmt.Sprintf("%016x", i+1), "name": "websocket.message chat", "kind": 5,
					"startTimeUnixNano": nanos(at), "endTimeUnixNano": nanos(at.Add(time.Millisecond)),
					"attributes": attributes(map[string]string{
						"connection.id": "c0ffee", "websocket.namespace": "chat", "websocket.message.type": "chat",
						"websocket.message.size": "128", "websocket.message.number": fmt.Sprint(i), "server.address": "chat.example.org",
					}),
				}
			})}}}}}
		}},
		{"record", "/v1/logs", func(at time.Time, all func(func(int) object) list) object {
			return logsOf(all(func(i int) object {
				return record(at, i, object{"severityNumber": 9, "traceId": fmt.Sprintf("%032x", i+1)})
			}))
		}},
		{"record-json", "/v1/logs", func(at time.Time, all func(func(int) object) list) object {
			return logsOf(all(func(i int) object {
				return record(at, i, object{"body": object{"stringValue": fmt.Sprintf(`{"level":"info","traceId":"%032x","msg":"connection opened","number":%d}`, i+1, i)}})
			}))
		}},
	}
}

// BenchmarkStack sends requests one after the other and waits until all is stored. An iteration is one request. It
// reports the processor time that one item takes the Collector and its store, and from that how many items the stack
// can take a second on two processors. It needs Linux, whose /proc tells processor time.
func BenchmarkStack(b *testing.B) {
	s := start(b, "victoria-logs")
	store := map[string]*program{"/v1/metrics": s.stores[1], "/v1/logs": s.logs.program, "/v1/traces": s.stores[len(s.stores)-1]}
	for _, bench := range benches() {
		b.Run(bench.name, func(b *testing.B) {
			at := time.Now().Add(-50 * time.Minute)
			before := []time.Duration{s.collector.processorTime(b), store[bench.path].processorTime(b)}
			for range b.N {
				at = at.Add(10 * time.Millisecond)
				if status := post(b, s.otlp, bench.path, bench.full(at)); status != http.StatusOK {
					b.Fatalf("status %d", status)
				}
			}
			eventually(b, "nothing waits", s.idle)
			items := float64(b.N * itemsPerRequest)
			collector := float64((s.collector.processorTime(b) - before[0]).Microseconds()) / items
			stored := float64((store[bench.path].processorTime(b) - before[1]).Microseconds()) / items
			b.ReportMetric(0, "ns/op") // which the machine's other work decides
			b.ReportMetric(collector, "collector-µs/item")
			b.ReportMetric(stored, "store-µs/item")
			b.ReportMetric(2e6/(collector+stored), "items/s")
		})
	}
}

// full is a request at a time.
func (b bench) full(at time.Time) object {
	return b.request(at, func(item func(int) object) list {
		all := make(list, itemsPerRequest)
		for i := range all {
			all[i] = item(i)
		}
		return all
	})
}

// BenchmarkRefusal has four clients send as fast as they are answered, and wait a tenth of a second if refused. It
// reports how many items a second the stack takes once it refuses requests because a queue is full, or after a minute
// if it answers more slowly instead, and the share of requests that it refuses then. Queues are small, so that it does
// not take long to fill one. The clients take part of the processors, too.
func BenchmarkRefusal(b *testing.B) {
	const (
		clients   = 4
		fills     = time.Minute      // in which a queue is full, or never
		measured  = 20 * time.Second // after that
		slot      = 10 * time.Millisecond
		queueSize = 16 << 20
	)
	for _, bench := range benches() {
		b.Run(bench.name, func(b *testing.B) {
			s := newStack(b, "victoria-logs")
			for _, exporter := range []string{"otlp_http/prometheus", "otlp_http/logs", "otlp_grpc/jaeger"} {
				s.collector.args = append(s.collector.args, fmt.Sprintf("--config=yaml:exporters::%s::sending_queue::queue_size: %d", exporter, queueSize))
			}
			s.run(b)

			// Each request has a time of its own, and each client a service. The rest is made once.
			began := time.Now().Add(-50 * time.Minute).Truncate(slot)
			template, err := json.Marshal(bench.full(began))
			if err != nil {
				b.Fatal(err)
			}
			var (
				slots atomic.Int64
				full  = make(chan struct{})
				once  sync.Once
				// accepted and refused are counts of requests.
				accepted, refused atomic.Int64
				running           sync.WaitGroup
			)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			for client := range clients {
				running.Go(func() {
					for ctx.Err() == nil {
						at := began.Add(time.Duration(slots.Add(1)) * slot)
						body := bytes.ReplaceAll(template, []byte(nanos(began)[:12]), []byte(nanos(at)[:12]))
						body = bytes.ReplaceAll(body, fmt.Appendf(nil, "%016x", began.UnixNano()), fmt.Appendf(nil, "%016x", at.UnixNano()))
						body = bytes.ReplaceAll(body, []byte(`"bench"`), fmt.Appendf(nil, `"bench-%d"`, client))
						switch status := raw(s.otlp, bench.path, "application/json", "", body); status {
						case http.StatusOK:
							accepted.Add(1)
						case http.StatusServiceUnavailable, http.StatusTooManyRequests:
							refused.Add(1)
							once.Do(func() { close(full) })
							<-time.After(100 * time.Millisecond)
						default:
							b.Errorf("status %d", status)
							return
						}
					}
				})
			}
			select {
			case <-full:
			case <-time.After(fills):
			}
			from, taken, not := time.Now(), accepted.Load(), refused.Load()
			<-time.After(measured)
			taken, not = accepted.Load()-taken, refused.Load()-not
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(taken*itemsPerRequest)/time.Since(from).Seconds(), "items/s")
			b.ReportMetric(100*float64(not)/float64(taken+not), "refused-%")
			cancel()
			running.Wait()
		})
	}
}

func logsOf(records list) object {
	return object{"resourceLogs": list{object{"resource": resource("bench", nil), "scopeLogs": list{object{"logRecords": records}}}}}
}

func record(at time.Time, i int, more object) object {
	all := object{
		"timeUnixNano": nanos(at.Add(time.Duration(i))), "body": object{"stringValue": "connection opened"},
		"attributes": attributes(map[string]string{"connection_id": fmt.Sprint("c0ffee-", i), "namespace": "chat"}),
	}
	maps.Copy(all, more)
	return all
}

// processorTime returns how much of it the program has used.
func (p *program) processorTime(b *testing.B) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	// After the name in parentheses, the 12th and 13th field are hundredths of a second in user and in kernel mode.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var hundredths int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		hundredths += n
	}
	return time.Duration(hundredths) * 10 * time.Millisecond
}
