package drill

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/endpoint"
)

// fakeCollector takes requests of OTLP, or refuses them while it is away.
type fakeCollector struct {
	asked chan struct{} // of each request

	mu    sync.Mutex
	away  bool
	taken []sampleOfDrill
}

// sampleOfDrill is a data point as the Collector sees it.
type sampleOfDrill struct {
	Metric, Service, Drill, Time, Value string
}

func (f *fakeCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() { f.asked <- struct{}{} }()
	f.mu.Lock()
	defer f.mu.Unlock()
	type attributes []struct {
		Key   string
		Value struct{ StringValue string }
	}
	var request struct {
		ResourceMetrics []struct {
			Resource     struct{ Attributes attributes }
			ScopeMetrics []struct {
				Metrics []struct {
					Name  string
					Gauge struct {
						DataPoints []struct {
							TimeUnixNano, AsInt string
							Attributes          attributes
						}
					}
				}
			}
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil || r.URL.Path != "/v1/metrics" {
		http.Error(w, "not a request of OTLP", http.StatusBadRequest)
		return
	}
	if f.away {
		http.Error(w, "later", http.StatusServiceUnavailable)
		return
	}
	for _, resource := range request.ResourceMetrics {
		for _, metric := range resource.ScopeMetrics[0].Metrics {
			for _, p := range metric.Gauge.DataPoints {
				f.taken = append(f.taken, sampleOfDrill{
					metric.Name, resource.Resource.Attributes[0].Value.StringValue, p.Attributes[0].Value.StringValue, p.TimeUnixNano, p.AsInt,
				})
			}
		}
	}
}

func (f *fakeCollector) stack(t *testing.T) *Stack {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &Stack{At: endpoint.Set{CollectorOTLPHTTP: strings.TrimPrefix(server.URL, "http://")}, Speed: 1000, http: &http.Client{Transport: transport}}
}

// TestMark has a drill marked by a Collector that is there, and by one that is away until the run is over.
func TestMark(t *testing.T) {
	for name, away := range map[string]bool{"there": false, "away": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeCollector{asked: make(chan struct{}, 100), away: away}
			injected := time.Unix(1_800_000_000, 1)
			m := f.stack(t).mark(t.Context(), "slow", injected)
			<-f.asked // at once
			<-f.asked // while it goes on
			m.heal(injected.Add(time.Minute))
			m.heal(injected.Add(time.Hour)) // too late
			<-f.asked
			f.mu.Lock()
			f.away = false
			f.mu.Unlock()
			if err := m.end(); err != nil {
				t.Fatal(err)
			}
			n := len(f.taken)
			if n < 3 {
				t.Fatalf("%d samples are known, want at least 3", n)
			}
			want := []sampleOfDrill{
				{activeMetric, "sockscope-drill", "slow", "1800000000000000001", "1"},
				{activeMetric, "sockscope-drill", "slow", "1800000060000000001", "0"},
			}
			if diff := cmp.Diff(want, []sampleOfDrill{f.taken[0], f.taken[n-1]}); diff != "" {
				t.Errorf("the first sample and the last (-want +got):\n%s", diff)
			}
			for _, s := range f.taken[1 : n-1] {
				if s.Value != "1" && s != f.taken[n-1] { // which is sent again if the run ends meanwhile
					t.Errorf("before it is healed, the stack is told %v", s)
				}
			}
		})
	}
}

// TestMarkIsBounded has a Collector that never comes back.
func TestMarkIsBounded(t *testing.T) {
	f := &fakeCollector{asked: make(chan struct{}, 100), away: true}
	m := f.stack(t).mark(t.Context(), "slow", time.Now())
	<-f.asked
	if err := m.end(); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("the stack does not know of the drill, and that is told as %v", err)
	}
	for range 2 * maxUnsent {
		m.add(activity{time.Now(), 1})
	}
	if len(m.unsent) != maxUnsent {
		t.Errorf("%d samples wait, want at most %d", len(m.unsent), maxUnsent)
	}
}
