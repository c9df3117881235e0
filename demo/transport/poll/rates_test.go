package poll

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestRates has users ask more often than they may, and at another time many users, who are forgotten when they stop.
func TestRates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const perSecond = 5
		r := newRates(perSecond)
		asks := func(user string, times int) (allowed int) {
			for range times {
				if r.allow(user) {
					allowed++
				}
			}
			return allowed
		}
		if got := asks("Ada", 100); got != 2*perSecond {
			t.Errorf("Ada may ask %d times at once, want %d", got, 2*perSecond)
		}
		if got := asks("Ben", 1); got != 1 {
			t.Error("Ben has to pay for Ada")
		}
		time.Sleep(time.Second)
		if got := asks("Ada", 100); got != perSecond {
			t.Errorf("Ada may ask %d times after a second, want %d", got, perSecond)
		}
		for n := range 10 * leastSwept {
			if !r.allow(fmt.Sprint(n)) {
				t.Fatalf("user %d may not ask", n)
			}
			if n%10 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		if n := len(r.users); n > 4*leastSwept {
			t.Errorf("%d users are known, of whom few have asked lately", n)
		}
		time.Sleep(time.Minute)
		for n := range 3 * leastSwept {
			r.allow(fmt.Sprint("another ", n))
		}
		if n := len(r.users); n > 3*leastSwept {
			t.Errorf("%d users are known, who asked within a moment, want those of the last minute only", n)
		}
	})
}
