// Package dashboard is watching the service's own numbers. Peers subscribe to them as to any stream.
package dashboard

import (
	"context"
	"time"

	"github.com/sockscope/sockscope/demo/use/stream"
	"github.com/sockscope/sockscope/demo/wire"
)

// Counts are what a node has counted until now.
type Counts struct {
	Connections, Rooms int   // open now
	Received, Sent     int64 // messages
}

// Run publishes the numbers of a node each second, until ctx ends.
func Run(ctx context.Context, node string, counts func() Counts, streams *stream.Streams) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	before, last := counts(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, at := counts(), time.Now()
		seconds := at.Sub(last).Seconds()
		streams.PublishNewest(ctx, wire.TypeDashboard, wire.StreamDashboard, wire.DashboardPayload{
			Node: node, Connections: now.Connections, Rooms: now.Rooms,
			ReceivedPerSecond: float64(now.Received-before.Received) / seconds,
			SentPerSecond:     float64(now.Sent-before.Sent) / seconds,
		})
		before, last = now, at
	}
}
