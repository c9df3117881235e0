package inject

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/sockscope/sockscope/demo/history"
)

const (
	// hotRoom is where hot_room strikes: where people are who have not gone elsewhere.
	hotRoom = "lobby"
	// flooding is how many messages of hot_room are on their way at once, so that a store may take its time.
	flooding = 16
	// mostLeaked bounds goroutine_leak to some hundred MB.
	mostLeaked = 50_000
)

// pace lets so much happen in a second. A caller that is late may make up for a tenth of a second.
func pace(perSecond float64) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(perSecond), 1+int(perSecond/10))
}

// flood is hot_room. Each message is said to its end, like everybody's.
func (f *Faults) flood(ctx context.Context, perSecond float64) {
	limiter, whole := pace(perSecond), context.WithoutCancel(ctx)
	var senders sync.WaitGroup
	for range flooding {
		senders.Go(func() {
			for limiter.Wait(ctx) == nil {
				err := f.target.Say(whole, history.Message{
					Room: hotRoom, ID: uuid.NewString(), From: "fault", Text: "a lot is going on here", Time: time.Now().UTC(),
				})
				if err != nil {
					f.target.Logger.WarnContext(ctx, "message of the hot room failed", "error", err)
				}
			}
		})
	}
	senders.Wait()
}

// leak is goroutine_leak.
func (f *Faults) leak(ctx context.Context, perSecond float64) {
	limiter := pace(perSecond)
	for n := 0; n < mostLeaked && limiter.Wait(ctx) == nil; n++ {
		f.running.Go(func() { <-ctx.Done() })
	}
}

// storm is log_storm.
func (f *Faults) storm(ctx context.Context, perSecond float64) {
	limiter := pace(perSecond)
	for n := 1; limiter.Wait(ctx) == nil; n++ {
		f.target.Logger.WarnContext(ctx, "log storm", "record", n)
	}
}
