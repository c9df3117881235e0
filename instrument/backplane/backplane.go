package backplane

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/instrument"
)

// ErrDown is what Publish fails with while Redis is known to be unreachable, together with the reason.
var ErrDown = errors.New("redis is down")

// ErrTooBig is a message above the limit, see WithLimit.
var ErrTooBig = errors.New("message is too big")

// A Backplane is one node's side of a Redis Pub/Sub backplane. All methods are safe for concurrent use. The client
// stays the caller's: it is neither configured nor closed.
type Backplane struct {
	config
	client   redis.UniversalClient
	observed *instrument.Backplane
	echoes   *echoes
	check    chan struct{} // asks for a ping at once

	heartbeat string // the channel of this node's heartbeats
	beats     uint64 // published; belongs to the goroutine that pings

	running  atomic.Bool
	down     atomic.Pointer[error] // why Redis is known to be unreachable, nil otherwise
	restored chan Gap              // holds what Run has yet to tell
	dropped  chan struct{}         // holds that messages were dropped

	mu       sync.Mutex
	channels map[string]*command // that the application wants, and what subscribes to them on conn
	conn     *connection         // that they are subscribed on, nil while there is none
	ready    chan struct{}       // closed while it is connected
}

// New makes a Backplane that is observed under name, which must be one of instrument.WithBackplanes to be a label value
// of its own. It connects to nothing yet. The observer may be nil. A redis.Ring is refused: its shards don't share
// their channels, so that one connection could not subscribe to all of them. Options that are wrong are named.
func New(client redis.UniversalClient, o *instrument.Observer, name string, opts ...Option) (*Backplane, error) {
	switch client.(type) {
	case nil:
		return nil, errors.New("backplane: client is nil: give the go-redis client that the service uses")
	case *redis.Ring:
		return nil, errors.New("backplane: client is a redis.Ring, whose shards have channels of their own: " +
			"give a redis.Client for one of them, or use Redis Cluster")
	}
	b := &Backplane{
		config:   defaults(),
		client:   client,
		observed: o.Backplane(name),
		echoes:   newEchoes(),
		check:    make(chan struct{}, 1),

		heartbeat: newHeartbeat(),

		restored: make(chan Gap, 1),
		dropped:  make(chan struct{}, 1),
		channels: map[string]*command{},
		ready:    make(chan struct{}),
	}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&b.config); err != nil {
			return nil, fmt.Errorf("backplane: %w", err)
		}
	}
	return b, nil
}
