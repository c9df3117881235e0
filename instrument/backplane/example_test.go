package backplane_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/backplane"
)

// Two nodes of a chat service: what is said to a client's node is passed on to the clients of the other one.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	delivered := make(chan string)
	start := func(name string) *backplane.Backplane {
		observer, err := instrument.New(instrument.WithNamespace("chat"), instrument.WithBackplanes("redis"))
		if err != nil {
			fmt.Println(err)
			return nil
		}
		client := redis.NewClient(&redis.Options{Addr: shared.addr})
		bp, err := backplane.New(client, observer, "redis")
		if err != nil {
			fmt.Println(err)
			return nil
		}
		running.Go(func() {
			defer client.Close()
			_ = bp.Run(ctx, func(ctx context.Context, m backplane.Message) {
				if m.Own {
					return // our clients have got it already
				}
				_, broadcast := m.Deliver(ctx)
				defer broadcast.End(nil)
				delivered <- fmt.Sprintf("%s: %s: %s", name, m.Channel, m.Payload) // to each client: broadcast.Enqueue
			})
		})
		return bp
	}
	berlin, lisbon := start("berlin"), start("lisbon")

	for _, node := range []*backplane.Backplane{berlin, lisbon} {
		if err := node.Ready(ctx); err != nil {
			fmt.Println(err)
		}
		// The first member of the room has joined.
		if err := node.Subscribe(ctx, "room:lobby"); err != nil {
			fmt.Println(err)
		}
	}
	// A member says something in Berlin.
	if err := berlin.Publish(ctx, "room:lobby", []byte("hello")); err != nil {
		fmt.Println(err) // Redis is down: only our own clients have got it
	}
	fmt.Println(<-delivered)
	// Output: lisbon: room:lobby: hello
}
