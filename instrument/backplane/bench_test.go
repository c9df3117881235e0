package backplane_test

import (
	"context"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/backplane"
)

// BenchmarkPublishReceive sends 128 bytes to Redis and back: "bare" by go-redis alone, as its documentation shows, and
// "observed" in an envelope with everything counted. Nothing is sampled.
func BenchmarkPublishReceive(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		client := redis.NewClient(&redis.Options{Addr: shared.addr})
		defer client.Close()
		subscription := client.Subscribe(b.Context(), b.Name())
		defer subscription.Close()
		if _, err := subscription.Receive(b.Context()); err != nil {
			b.Fatal(err)
		}
		received := subscription.Channel()
		roundTrips(b, func(ctx context.Context, payload []byte) error {
			err := client.Publish(ctx, b.Name(), payload).Err()
			if err == nil {
				<-received
			}
			return err
		})
	})
	b.Run("observed", func(b *testing.B) {
		client := redis.NewClient(&redis.Options{Addr: shared.addr})
		defer client.Close()
		o, err := instrument.New(instrument.WithBackplanes("redis"))
		if err != nil {
			b.Fatal(err)
		}
		bp, err := backplane.New(client, o, "redis")
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		received := make(chan struct{}, 1)
		if err := bp.Subscribe(ctx, b.Name()); err != nil {
			b.Fatal(err)
		}
		running.Go(func() {
			_ = bp.Run(ctx, func(ctx context.Context, m backplane.Message) {
				_, broadcast := m.Deliver(ctx)
				broadcast.End(nil)
				received <- struct{}{}
			})
		})
		if err := bp.Ready(ctx); err != nil {
			b.Fatal(err)
		}
		roundTrips(b, func(ctx context.Context, payload []byte) error {
			err := bp.Publish(ctx, b.Name(), payload)
			if err == nil {
				<-received
			}
			return err
		})
	})
}

func roundTrips(b *testing.B, roundTrip func(context.Context, []byte) error) {
	ctx, payload := context.Background(), make([]byte, 128)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := roundTrip(ctx, payload); err != nil {
			b.Fatal(err)
		}
	}
}
