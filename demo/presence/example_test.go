package presence_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sockscope/sockscope/demo/presence"
)

// Two nodes in one process, whose backplane is a loop.
func Example() {
	var nodes []*presence.Presence
	publish := func(_ context.Context, data []byte) error {
		for _, n := range nodes {
			if err := n.Receive(data); err != nil {
				slog.Warn("presence message ignored", "error", err)
			}
		}
		return nil
	}
	changes := make(chan presence.Change, 2)
	changed := func(c presence.Change) { changes <- c }
	one, err := presence.New(presence.Config{Node: "one", Publish: publish})
	if err != nil {
		panic(err)
	}
	two, err := presence.New(presence.Config{Node: "two", Publish: publish, Changed: changed})
	if err != nil {
		panic(err)
	}
	nodes = append(nodes, one, two)

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		one.Run(ctx)
	}()
	if err := one.Enter("lobby", "Ada"); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%+v\n", <-changes)
	fmt.Println(two.Users("lobby", 10))
	stop() // the first node says goodbye
	<-done
	fmt.Printf("%+v\n", <-changes)
	// Output:
	// {Room:lobby User:Ada Joined:true}
	// [Ada] 1
	// {Room:lobby User:Ada Joined:false}
}
