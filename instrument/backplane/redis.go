package backplane

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/instrument"
)

// ErrDown is wrapped by the error of Publish while Redis is known to be unreachable. The error also has the reason.
var ErrDown = errors.New("redis is down")

// ErrTooBig is wrapped by the error of Publish for a message above the limit; see WithLimit.
var ErrTooBig = errors.New("message is too big")

// A Backplane is one node's side of a Redis Pub/Sub backplane. All methods are safe for concurrent use. The Redis
// client belongs to the caller: a Backplane neither configures nor closes it.
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
	restored chan Gap              // holds the gap that Run has not reported yet
	dropped  chan struct{}         // holds that messages were dropped

	mu       sync.Mutex
	channels map[string]*command // that the application wants, with the command that subscribes to each on conn
	conn     *connection         // that they are subscribed on, nil while there is none
	ready    chan struct{}       // closed while it is connected
}

// New makes a Backplane. Its metrics have the given name, if instrument.WithBackplanes registered it. New connects to
// nothing yet. The observer may be nil. A redis.Ring is refused, because its shards don't share their channels, so one
// connection could not subscribe to all of them. An error names the option that is wrong.
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
