package instrument

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimiter(t *testing.T) {
	tests := map[string]struct {
		perSecond, burst, perTenth int
	}{
		"none":  {0, 0, 0},
		"one":   {1, 1, 0},
		"ten":   {10, 10, 1},
		"1000":  {1000, 1000, 100},
		"many":  {math.MaxInt, 10_000, 10_000},
		"minus": {-1, 0, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var l limiter
			l.init(tt.perSecond)
			allowed := func(now time.Duration) (n int) {
				for range 10_000 {
					if l.allow(now) {
						n++
					}
				}
				return n
			}
			if got := allowed(time.Minute); got != tt.burst {
				t.Errorf("%d at once, want %d", got, tt.burst)
			}
			if got := allowed(time.Minute + 100*time.Millisecond); got != tt.perTenth {
				t.Errorf("%d after a tenth of a second, want %d", got, tt.perTenth)
			}
			if got := allowed(time.Hour); got != tt.burst {
				t.Errorf("%d after a pause, want %d", got, tt.burst)
			}
		})
	}
}

func TestLimiterConcurrently(t *testing.T) {
	var l limiter
	l.init(100)
	var n atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				if l.allow(time.Second) {
					n.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n.Load() != 100 {
		t.Errorf("allowed %d, want 100", n.Load())
	}
}

func TestThrottle(t *testing.T) {
	var th throttle
	var got []bool
	for _, now := range []time.Duration{0, 1, 99 * time.Millisecond, 100 * time.Millisecond, 150 * time.Millisecond, time.Hour} {
		got = append(got, th.allow(now))
	}
	want := []bool{true, false, false, true, false, true}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("allowed %v, want %v", got, want)
		}
	}
}

func TestSamplerRatio(t *testing.T) {
	const n = 200_000
	for _, ratio := range []float64{0, 0.01, 0.5, math.Nextafter(1, 0), 1} {
		var s sampler
		s.init(ratio, math.MaxInt)
		got := 0
		for range n {
			if s.draw(0) == sampled {
				got++
			}
		}
		sigma := math.Sqrt(n * ratio * (1 - ratio))
		if math.Abs(float64(got)-n*ratio) > 6*sigma+1 {
			t.Errorf("ratio %v sampled %d of %d", ratio, got, n)
		}
	}
}

func TestLastSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lastSeen
		l.init()
		if _, ok := l.seconds(); ok {
			t.Error("seen before anything happened")
		}
		for range 100 {
			now := time.Now()
			l.mark(&now)
			time.Sleep(17 * time.Millisecond)
			seconds, ok := l.seconds()
			behind := float64(time.Now().UnixNano())/1e9 - seconds
			if !ok || behind < 0 || behind > (lastSeenResolution+17*time.Millisecond).Seconds() {
				t.Fatalf("seen %v s ago (%v), want at most %v", behind, ok, lastSeenResolution)
			}
		}
	})
}

// TestLastSeenAfterSilence has several see something at once after a long silence: none of them may take it for old.
func TestLastSeenAfterSilence(t *testing.T) {
	var l lastSeen
	l.init()
	epoch := time.Now().Add(-time.Hour)
	for range 5000 {
		l.fresh.Store(false)
		l.since.Store(1)
		start := make(chan struct{})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				<-start
				if seen := l.mark(&epoch); seen < time.Hour {
					t.Errorf("seen %v after the epoch, want at least an hour", seen)
				}
			})
		}
		close(start)
		all.Wait()
		if t.Failed() {
			break
		}
	}
	l.timer.Stop()
}

// TestRaise has a time come late that was taken before another.
func TestRaise(t *testing.T) {
	var last atomic.Int64
	for _, now := range []time.Duration{10, 5, 10, 7} {
		raise(&last, now)
	}
	if got := last.Load(); got != 10 {
		t.Errorf("last is %d, want 10", got)
	}
}
