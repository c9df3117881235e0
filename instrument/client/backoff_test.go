package client

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBackoff(t *testing.T) {
	whole := func() float64 { return 1 }
	nothing := func() float64 { return 0 }
	tests := map[string]struct {
		random func() float64
		wait   func(*backoff) time.Duration
		want   []time.Duration
	}{
		"doubles up to the longest": {whole, (*backoff).next, []time.Duration{100, 200, 400, 800, 1000, 1000}},
		"full jitter":               {nothing, (*backoff).next, []time.Duration{0, 0, 0}},
		"spread":                    {whole, func(b *backoff) time.Duration { return b.spread(500) }, []time.Duration{500, 500, 500, 800, 1000}},
		"spread, but not for ever":  {whole, func(b *backoff) time.Duration { return b.spread(5000) }, []time.Duration{1000, 1000}},
		"long at least":             {nothing, (*backoff).long, []time.Duration{500, 500}},
		"long at most":              {whole, (*backoff).long, []time.Duration{1000, 1000}},
		"after":                     {whole, func(b *backoff) time.Duration { return b.after(3000) }, []time.Duration{3100, 3200}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := backoff{min: 100, max: 1000, random: test.random}
			var got []time.Duration
			for range test.want {
				got = append(got, test.wait(&b))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			b.reset()
			if got := test.wait(&b); got != test.want[0] {
				t.Errorf("after a reset: %v, want %v", got, test.want[0])
			}
		})
	}
}

func TestBackoffDoesNotOverflow(t *testing.T) {
	b := backoff{min: 1, max: math.MaxInt64, random: func() float64 { return 0.5 }, tries: 200}
	if got := b.next(); got != math.MaxInt64/2+1 {
		t.Errorf("got %v", got)
	}
}
