package load

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/demotest"
	"github.com/sockscope/sockscope/internal/transport"
)

func TestRunAgainstTheDemo(t *testing.T) {
	s := start(t, demo.Config{SampleRatio: 1, SpanLimit: 1000, TracerProvider: sdktrace.NewTracerProvider()})
	var seen atomic.Pointer[Progress]
	address := strings.TrimSuffix(s.url, "/ws") // the path is completed
	cfg := Config{URLs: []string{address}, Scenario: chat(7, 3, 100, time.Second), Verify: true}
	r, err := Run(t.Context(), cfg, 100*time.Millisecond, func(p Progress) {
		if p.Acked > 0 {
			seen.Store(&p)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	// Connections 0, 3 and 6 share a room, and so do 1 and 4, 2 and 5.
	deliveries := int64(0)
	for k := range 100 {
		if k%7%3 == 0 {
			deliveries += 3
		} else {
			deliveries += 2
		}
	}
	type counts struct{ Connected, Sent, Acked, Traced, Delivered int64 }
	want := counts{7, 100, 100, 100, deliveries}
	if diff := cmp.Diff(want, counts{r.Connected, r.Sent, r.Acked, r.Traced, r.Delivered}); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&History{Kept: 100}, r.History); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if r.Seconds < 1 || r.AckMS.P50 <= 0 || r.AckMS.Max < r.AckMS.P50 || r.DeliveryMS.Max <= 0 || r.Interrupted {
		t.Errorf("after %v s: ack %+v, delivery %+v", r.Seconds, r.AckMS, r.DeliveryMS)
	}
	if p := seen.Load(); p == nil || p.Connections != 7 || p.Errors != 0 {
		t.Errorf("the last progress is %+v", p)
	}
	var text bytes.Buffer
	if err := r.Print(&text); err != nil || !strings.Contains(text.String(), "everything sent was acknowledged once") {
		t.Errorf("printed (%v):\n%s", err, &text)
	}
}

// TestStallShowsInFull has a server that handles a message in five times the time between two messages. A client that
// waits for each answer before the next message would see 500 ms, but messages that are due meanwhile wait much longer.
func TestStallShowsInFull(t *testing.T) {
	s := start(t, demo.Config{})
	s.turnOn("slow_handling", `{"strength":500,"duration":"1m"}`)
	r := runLoad(t.Context(), t, Config{URLs: []string{s.url}, Scenario: chat(1, 1, 10, time.Second)})
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	if r.AckMS.Max < 4000 {
		t.Errorf("the longest answer took %v ms, want 4,100 or more", r.AckMS.Max)
	}
	if r.Seconds > 4 {
		t.Errorf("sending took %v s: the server's slowness slowed it down", r.Seconds)
	}
}

func TestStoppedEarly(t *testing.T) {
	s := start(t, demo.Config{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cfg := Config{URLs: []string{s.url}, Scenario: chat(4, 2, 100, time.Minute), Verify: true}
	r, err := Run(ctx, cfg, 50*time.Millisecond, func(p Progress) {
		if p.Acked > 0 {
			stop()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Err(); err != nil || !r.Interrupted || r.Acked == 0 || r.Acked != r.Sent || r.Seconds > 30 || r.History != nil {
		t.Errorf("%v: %+v: want a clean result of the time until it was stopped", err, r)
	}
}

func TestConnectFails(t *testing.T) {
	s := start(t, demo.Config{Limits: demo.Limits{Connections: 3}})
	closed := httptest.NewServer(nil)
	closed.Close()
	small := chat(1, 1, 1, time.Second)
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context
		cfg  Config
		want []string
	}{
		"one connection too many": {t.Context(), Config{URLs: []string{s.url}, Scenario: chat(4, 1, 1, time.Second)},
			[]string{"of 4", "503", "limit"}},
		"nobody there": {t.Context(), Config{URLs: []string{socketURL(closed)}, Scenario: small},
			[]string{"of 1", "connection refused"}},
		"stopped at once": {stopped, Config{URLs: []string{s.url}, Scenario: small}, []string{"stopped before"}},
		"no URL":          {t.Context(), Config{Scenario: small}, []string{"no URL"}},
		"URL of a page":   {t.Context(), Config{URLs: []string{s.http.URL}, Scenario: small}, []string{"ws://"}},
		"no scenario":     {t.Context(), Config{URLs: []string{s.url}}, []string{"duration"}},
		"address of another machine": {t.Context(), Config{URLs: []string{s.url}, Scenario: small,
			Sources: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, []string{"192.0.2.1"}},
	} {
		_, err := Run(tc.ctx, tc.cfg, time.Hour, func(Progress) {})
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want an error that says %q", name, err, want)
			}
		}
	}
}

// TestSpread has connections come from several addresses, with users of their own, and go to several servers.
func TestSpread(t *testing.T) {
	s := start(t, demo.Config{DevTokens: demo.Off})
	var mu sync.Mutex
	from := map[string]int{}
	second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		mu.Lock()
		from[host]++
		mu.Unlock()
		s.http.Config.Handler.ServeHTTP(w, r)
	}))
	defer second.Close()
	authority, err := auth.New([]byte(demotest.Key))
	if err != nil {
		t.Fatal(err)
	}
	r := runLoad(t.Context(), t, Config{
		URLs: []string{s.url, socketURL(second)}, Authority: authority, Scenario: chat(12, 2, 60, 200*time.Millisecond),
		Sources: []netip.Addr{
			netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.4"),
		},
	})
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	want := map[string]int{"127.0.0.2": 2, "127.0.0.3": 2, "127.0.0.4": 2} // each second connection
	if diff := cmp.Diff(want, from); diff != "" {
		t.Errorf("the second server's connections (-want +got):\n%s", diff)
	}
}

// TestTransports runs the same load over each transport.
func TestTransports(t *testing.T) {
	for _, over := range transport.Names() {
		t.Run(over.String(), func(t *testing.T) {
			t.Parallel()
			s := start(t, demo.Config{Limits: demo.Limits{Store: time.Minute}})
			scenario, err := chat(6, 2, 50, time.Second).Over(over)
			if err != nil {
				t.Fatal(err)
			}
			r := runLoad(t.Context(), t, Config{URLs: []string{s.url}, GRPC: []string{s.grpc}, Scenario: scenario, Verify: true, patience: time.Minute})
			if err := r.Err(); err != nil {
				t.Errorf("%v: %v", err, r.Reasons)
			}
			if diff := cmp.Diff(&History{Kept: 50}, r.History); diff != "" || r.Acked != 50 || r.Delivered != 150 {
				t.Errorf("%d acknowledged, %d delivered, history (-want +got):\n%s", r.Acked, r.Delivered, diff)
			}
		})
	}
}

// TestCutOffOverTransports has the server cut off everybody: all come back, and nothing is lost or comes twice.
func TestCutOffOverTransports(t *testing.T) {
	for _, over := range transport.Names() {
		t.Run(over.String(), func(t *testing.T) {
			t.Parallel()
			s := start(t, demo.Config{Limits: demo.Limits{Store: time.Minute}})
			scenario, err := chat(6, 2, 50, 2*time.Second).Over(over)
			if err != nil {
				t.Fatal(err)
			}
			var once sync.Once
			cfg := Config{URLs: []string{s.url}, GRPC: []string{s.grpc}, Scenario: scenario, Verify: true, patience: time.Minute}
			r, err := Run(t.Context(), cfg, 50*time.Millisecond, func(p Progress) {
				if p.Acked > 0 {
					once.Do(func() { s.turnOn("mass_disconnect", `{"strength":1,"duration":"100ms"}`) })
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			wrong := faults(r)
			if wrong["connections ended early"] == 0 {
				t.Error("nobody was cut off")
			}
			delete(wrong, "connections ended early")
			delete(wrong, "connections failed") // there may be several cuts in that time
			if diff := cmp.Diff(map[string]int64{}, wrong); diff != "" || r.Acked != 100 || r.Delivered != 300 {
				t.Errorf("%d acknowledged, %d delivered, wrong (-want +got):\n%s\n%v", r.Acked, r.Delivered, diff, r.Reasons)
			}
		})
	}
}
