package client

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// heard remembers when anything was last received on a connection: a message, a ping or a pong.
type heard struct {
	since time.Time
	at    atomic.Int64 // time.Duration after since
	busy  atomic.Bool  // a message waits for the client, so the server is not silent
}

func newHeard() *heard { return &heard{since: time.Now()} }

func (h *heard) note() { h.at.Store(int64(time.Since(h.since))) }

// ago returns how long ago that was.
func (h *heard) ago() time.Duration {
	if h.busy.Load() {
		return 0
	}
	return time.Since(h.since) - time.Duration(h.at.Load())
}

// listen sets the options of a connection so that pings and pongs are noted.
func (h *heard) listen(o *websocket.DialOptions) {
	onPing, onPong := o.OnPingReceived, o.OnPongReceived
	o.OnPingReceived = func(ctx context.Context, payload []byte) bool {
		h.note()
		return onPing == nil || onPing(ctx, payload)
	}
	o.OnPongReceived = func(ctx context.Context, payload []byte) {
		h.note()
		if onPong != nil {
			onPong(ctx, payload)
		}
	}
}
