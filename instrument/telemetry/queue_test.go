package telemetry

import (
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func newTestQueue(t *testing.T) (*queue[int], func() logMetrics) {
	t.Helper()
	registry := prometheus.NewRegistry()
	counts, err := newLogCounts(registry)
	if err != nil {
		t.Fatal(err)
	}
	return newQueue[int](counts, maxQueueRecords), func() logMetrics { return gatherLogMetrics(t, registry) }
}

func TestQueueIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int
		fit  float64
	}{
		{"by records", 1, maxQueueRecords},
		{"by bytes", maxQueueBytes / 10, 10},
		{"one that is too large", maxQueueBytes + 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, metrics := newTestQueue(t)
			puts := tt.fit + 3
			for i := range int(puts) {
				q.put(i, tt.size)
			}
			if got, want := metrics(), (logMetrics{queued: tt.fit, dropped: 3}); got != want {
				t.Fatalf("metrics %+v, want %+v", got, want)
			}
			if tt.fit == 0 {
				return
			}
			if first := q.take(<-q.items); first != 0 {
				t.Errorf("first taken %d, want the oldest", first)
			}
			q.put(0, tt.size)
			if got, want := metrics(), (logMetrics{queued: tt.fit + 1, dropped: 3}); got != want { // what was taken is not settled
				t.Errorf("metrics %+v after there was room, want %+v", got, want)
			}
		})
	}
}

func TestQueueIsClosedWhileItIsUsed(t *testing.T) {
	q, metrics := newTestQueue(t)
	const writers, each = 8, 1000
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range each {
				q.put(i, 1)
			}
		})
	}
	received := 0.0
	wg.Go(func() {
		for i := range q.items {
			q.take(i)
			if received++; received == each {
				q.close()
				q.close() // again is harmless
			}
		}
	})
	wg.Wait()
	if got, want := metrics(), (logMetrics{queued: received, dropped: writers*each - received}); got != want {
		t.Errorf("metrics %+v, want %+v", got, want)
	}
}
