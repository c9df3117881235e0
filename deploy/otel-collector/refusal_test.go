package otelcollector_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// limiter stands before a store and refuses requests that have anything of the service "limited", or "poison", in them:
// of the first it asks to be sent them again, of the second it does not.
func limiter(t *testing.T, address string) string {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		switch {
		case err != nil:
			w.WriteHeader(http.StatusBadRequest)
		case bytes.Contains(body, []byte("limited")):
			w.WriteHeader(http.StatusTooManyRequests)
		case bytes.Contains(body, []byte("poison")):
			w.WriteHeader(http.StatusBadRequest)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// bytesCodec has gRPC pass messages on as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string                       { return "proto" }
func (bytesCodec) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (bytesCodec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }

// spanLimiter is a limiter for gRPC.
func spanLimiter(t *testing.T, address string) string {
	t.Helper()
	store, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(16<<20), grpc.ForceServerCodec(bytesCodec{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		var request, answer []byte
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		switch {
		case bytes.Contains(request, []byte("limited")):
			return status.Error(codes.Unavailable, "over the limit")
		case bytes.Contains(request, []byte("poison")):
			return status.Error(codes.InvalidArgument, "invalid")
		}
		if err := store.Invoke(stream.Context(), method, &request, &answer, grpc.ForceCodec(bytesCodec{})); err != nil {
			return err
		}
		return stream.SendMsg(&answer)
	}))
	go server.Serve(listener)
	t.Cleanup(func() {
		server.Stop()
		_ = store.Close()
	})
	return listener.Addr().String()
}

// TestRefusals has stores that refuse for good what some senders send, and compares what the others sent, and what the
// refused ones sent beside, with what is stored.
func TestRefusals(t *testing.T) {
	s := newStack(t, "victoria-logs")
	s.collector.env = append(s.collector.env,
		"PROMETHEUS_URL=http://"+limiter(t, s.prometheus), "LOGS_OTLP_URL="+strings.Replace(s.logs.otlp, s.logStore, limiter(t, s.logStore), 1), "JAEGER_OTLP="+spanLimiter(t, s.jaegerWrite))
	s.run(t)

	const refusedRounds = 50
	trace := func(service, round int) string { return fmt.Sprintf("0af7651916cd43dd%08x%08x", service+1, round+1) }
	send := func(path string, body any) {
		if status := post(t, s.otlp, path, body); status != http.StatusOK {
			t.Errorf("%s: status %d", path, status)
		}
	}
	sendAll := func(service string, number, round int, now time.Time, item string) {
		send("/v1/metrics", metricsOf(service, gauge(item, point(now, round, nil)), gauge("beside", point(now, round, nil))))
		send("/v1/logs", object{"resourceLogs": list{object{"resource": resource(service, nil), "scopeLogs": list{object{"logRecords": list{
			object{"timeUnixNano": nanos(now), "severityNumber": 9, "body": object{"stringValue": item}},
			object{"timeUnixNano": nanos(now), "severityNumber": 9, "body": object{"stringValue": fmt.Sprint("beside ", round)}},
		}}}}}})
		span := func(id, name string) object {
			return object{"traceId": trace(number, round), "spanId": id, "name": name, "startTimeUnixNano": nanos(now), "endTimeUnixNano": nanos(now)}
		}
		send("/v1/traces", object{"resourceSpans": list{object{"resource": resource(service, nil), "scopeSpans": list{object{"spans": list{
			span("b7ad6b7169203331", item), span("b7ad6b7169203332", "beside"),
		}}}}}})
	}
	refused := func(service, exporter string) (int, error) {
		lines, err := s.own("sockscope_store_refused_items_total", `service="`+service+`"`, `exporter="`+exporter+`"`)
		if err != nil || len(lines) != 1 {
			return 0, errors.Join(err, fmt.Errorf("%v", lines))
		}
		return strconv.Atoi(lines[0][strings.LastIndexByte(lines[0], ' ')+1:])
	}

	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	var good []sample
	exporters := []string{"otlp_http/prometheus", "otlp_http/logs", "otlp_grpc/jaeger"}
	waiting := errors.New("not yet")
	for round := 0; waiting != nil; round++ {
		<-pace.C
		now := time.Now()
		good = append(good, sample{now.UnixMilli(), strconv.Itoa(round)})
		if round < refusedRounds {
			sendAll("limited", 1, round, now, "item")
			sendAll("faulty", 2, round, now, "poison")
			send("/v1/metrics", metricsOf("doubled", gauge("double", point(now, round, nil), point(now, round+1, nil)), gauge("beside", point(now, round, nil))))
		}
		sendAll("good", 0, round, now, "item")

		// The stores take other senders' data, so that the refused items are given up, each once.
		waiting = nil
		for _, exporter := range exporters {
			n, err := refused("limited", exporter)
			if n != 2*refusedRounds {
				waiting = errors.Join(waiting, err, fmt.Errorf("%d of limited are given up in %s", n, exporter))
			}
			n, err = refused("faulty", exporter)
			if n != refusedRounds {
				waiting = errors.Join(waiting, err, fmt.Errorf("%d of faulty are given up in %s", n, exporter))
			}
		}
		if round > 900 {
			t.Fatal(waiting)
		}
	}
	t.Logf("what was refused is given up after %d rounds", len(good))

	for service, want := range map[string]int{"good": len(good), "faulty": refusedRounds, "doubled": refusedRounds} {
		eventually(t, "samples of "+service, func() error {
			got, err := s.only(fmt.Sprintf("beside{job=%q}", service))
			if err == nil && fmt.Sprint(got) != fmt.Sprint(good[:want]) {
				err = fmt.Errorf("got %v, want %v", got, good[:want])
			}
			return err
		})
	}
	for service, want := range map[string]int{"good": 2 * len(good), "faulty": refusedRounds, "limited": 0} {
		eventually(t, "records of "+service, func() error {
			records, err := s.logs.records(service)
			if err == nil && len(records) != want {
				err = fmt.Errorf("%d, want %d", len(records), want)
			}
			return err
		})
	}
	for number, want := range []struct{ rounds, spans int }{0: {len(good), 2}, 2: {refusedRounds, 1}} {
		for round := range want.rounds {
			eventually(t, "spans", func() error {
				if n, err := s.spans(trace(number, round)); err != nil || n != want.spans {
					return fmt.Errorf("trace %d of service %d has %d spans, want %d: %w", round, number, n, want.spans, err)
				}
				return nil
			})
		}
	}
	eventually(t, "nothing waits", s.idle)
}
