package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// An Option configures a Client.
type Option func(*config) error

type config struct {
	name            string
	logger          *slog.Logger
	dial            websocket.DialOptions
	endpoint        func(context.Context) (Endpoint, error)
	connectTimeout  time.Duration
	snapshotTimeout time.Duration
	readLimit       int64
	minBackoff      time.Duration
	maxBackoff      time.Duration
	maxAttempts     int
	pingInterval    time.Duration
	pingTimeout     time.Duration
	queueSize       int
	queueWait       time.Duration
	bufferSize      int
	stateChange     func(Change)
	tracerProvider  trace.TracerProvider
	propagator      propagation.TextMapPropagator
	sampleRatio     float64
	random          func() float64
}

const maxLabelBytes = 64

func newConfig(opts []Option) (*config, error) {
	c := &config{
		name:            "default",
		logger:          slog.New(slog.DiscardHandler),
		connectTimeout:  10 * time.Second,
		snapshotTimeout: 10 * time.Second,
		readLimit:       1 << 20,
		minBackoff:      250 * time.Millisecond,
		maxBackoff:      30 * time.Second,
		pingInterval:    10 * time.Second,
		pingTimeout:     5 * time.Second,
		queueSize:       1024,
		queueWait:       time.Second,
		bufferSize:      4096,
		tracerProvider:  otel.GetTracerProvider(),
		propagator:      propagation.TraceContext{},
		sampleRatio:     0.01,
		random:          rand.Float64,
	}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(c); err != nil {
			return nil, fmt.Errorf("client: %w", err)
		}
	}
	return c, nil
}

// WithName names the client, as in "exchange": the label client of its metrics and the attribute of its log records.
// Two clients in one registry need different names. The default is "default".
func WithName(name string) Option {
	return func(c *config) error {
		if err := checkLabel(name); err != nil {
			return fmt.Errorf("name %q: %w", name, err)
		}
		c.name = name
		return nil
	}
}

// WithLogger sets where log records go. Payloads are never logged, and of a URL only the host is, because some feeds want
// a token in the rest. By default nothing is logged.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) error {
		if l == nil {
			return errors.New("logger is nil: leave the option out in order to log nothing")
		}
		c.logger = l
		return nil
	}
}

// WithDialOptions sets what the transport offers: HTTP client, subprotocols, compression, static headers. By default
// connections are made with http.DefaultClient and without compression.
func WithDialOptions(o websocket.DialOptions) Option {
	return func(c *config) error {
		c.dial = o
		return nil
	}
}

// An Endpoint is where to connect.
type Endpoint struct {
	// URL replaces the one that New was given, unless it is empty. It may have a token in its query: the client tells
	// nobody more of it than the host.
	URL string
	// Header is added to the headers of WithDialOptions.
	Header http.Header
}

// WithEndpoint sets a function that returns where to connect and with which headers. It is called before each attempt,
// because tokens expire, and some servers hand out an address for each connection or for resuming. An error makes the
// attempt fail; see Permanent for one that ends Run. Its ctx expires with the connect timeout.
func WithEndpoint(endpoint func(context.Context) (Endpoint, error)) Option {
	return func(c *config) error {
		if endpoint == nil {
			return errors.New("endpoint function is nil: leave the option out in order to connect to the URL of New")
		}
		c.endpoint = endpoint
		return nil
	}
}

// WithTimeouts sets how long connecting, with asking for the endpoint before it and the subscribing after it, may take each, and
// how long the fetching of a snapshot. Both are 10 seconds by default.
func WithTimeouts(connect, snapshot time.Duration) Option {
	return func(c *config) error {
		if connect <= 0 || snapshot <= 0 {
			return fmt.Errorf("timeouts %v for connecting, %v for a snapshot: must be positive", connect, snapshot)
		}
		c.connectTimeout, c.snapshotTimeout = connect, snapshot
		return nil
	}
}

// WithReadLimit sets the size of the largest message that the server may send; a larger one ends the connection. The
// default is 1 MiB.
func WithReadLimit(bytes int64) Option {
	return func(c *config) error {
		if bytes <= 0 {
			return fmt.Errorf("read limit %d: must be positive", bytes)
		}
		c.readLimit = bytes
		return nil
	}
}

// WithBackoff sets the ceilings of the first wait and of the longest one before another attempt to connect, or to
// reconcile a stream. A wait is a random part of its ceiling, which doubles with every attempt and starts anew when a
// connection, or a live stream, has lasted for 10 seconds. A connection that ends because a stream is stale has lasted
// until the last time that any stream had something new to say. The default is 250 ms and 30 s.
func WithBackoff(shortest, longest time.Duration) Option {
	return func(c *config) error {
		if shortest <= 0 || longest < shortest {
			return fmt.Errorf("backoff from %v to %v: must be positive and ascending", shortest, longest)
		}
		c.minBackoff, c.maxBackoff = shortest, longest
		return nil
	}
}

// WithMaxAttempts makes Run return ErrGaveUp when n attempts in a row have not led to a connection that lasted for 10
// seconds, in the sense of WithBackoff. By default it never gives up.
func WithMaxAttempts(n int) Option {
	return func(c *config) error {
		if n <= 0 {
			return fmt.Errorf("max attempts %d: must be positive; leave the option out in order to try for ever", n)
		}
		c.maxAttempts = n
		return nil
	}
}

// WithHeartbeat sets how often the server is pinged and how long its pong may take before the connection is given up.
// The default is every 10 seconds, for 5 seconds.
//
// An interval of 0 sends no pings, for servers that do not answer them. Then the connection is given up when nothing at
// all was received for the timeout: no message, no ping, no pong. If the timeout is 0, too, only Stream.Expect and the
// operating system notice that a connection is dead.
func WithHeartbeat(interval, timeout time.Duration) Option {
	return func(c *config) error {
		if interval < 0 || timeout < 0 || interval > 0 && timeout == 0 {
			return fmt.Errorf("heartbeat every %v for %v: must be positive, or every 0 to send no pings", interval, timeout)
		}
		c.pingInterval, c.pingTimeout = interval, timeout
		return nil
	}
}

// WithQueue sets how many events wait for a handler that is busy, and for how long the client stops reading when there
// is no room for another: meanwhile the server feels the backpressure, and may end the connection for it. After that
// the client skips: a stream with a snapshot is reconciled when the handler has emptied half of the queue, any other
// loses the event, which counts as missing. A wait of 0 skips at once, which suits whoever wants news rather than
// history. The default is 1024 events and one second.
func WithQueue(size int, wait time.Duration) Option {
	return func(c *config) error {
		if size <= 0 || wait < 0 {
			return fmt.Errorf("queue of %d with a wait of %v: the size must be positive, the wait not negative", size, wait)
		}
		c.queueSize, c.queueWait = size, wait
		return nil
	}
}

// WithBuffer sets how many events of one stream are held back while it is reconciled. When more come, they are thrown
// away and the reconciliation starts again. The default is 4096.
func WithBuffer(events int) Option {
	return func(c *config) error {
		if events <= 0 {
			return fmt.Errorf("buffer of %d events: must be positive", events)
		}
		c.bufferSize = events
		return nil
	}
}

// WithStateChange sets a function that is told every change of state, in order. It is called by the goroutine that
// reads from the socket and must return soon.
func WithStateChange(changed func(Change)) Option {
	return func(c *config) error {
		if changed == nil {
			return errors.New("state change function is nil: leave the option out in order to be told nothing")
		}
		c.stateChange = changed
		return nil
	}
}

// WithTracerProvider sets where spans go. The default is otel.GetTracerProvider(), which drops them until the program
// sets another one.
//
// Each attempt to connect has a span websocket.handshake, whose trace context goes to the server as a header. Sampled
// messages have a span websocket.message, from the receipt until one of their events is handled, with the number of the
// message on its connection. Sending adds the number of the message to the span that is in the context, if any.
func WithTracerProvider(tp trace.TracerProvider) Option {
	return func(c *config) error {
		if tp == nil {
			return errors.New("tracer provider is nil: leave the option out for the global one")
		}
		c.tracerProvider = tp
		return nil
	}
}

// WithPropagator sets how the trace context of a handshake is put into the headers of its request. The default is
// propagation.TraceContext.
func WithPropagator(p propagation.TextMapPropagator) Option {
	return func(c *config) error {
		if p == nil {
			return errors.New("propagator is nil: leave the option out for the W3C one")
		}
		c.propagator = p
		return nil
	}
}

// WithSampleRatio sets the share of received messages, from 0 to 1, that get a span. The default is 0.01. There are at
// most 100 of these spans per second.
func WithSampleRatio(ratio float64) Option {
	return func(c *config) error {
		if !(ratio >= 0 && ratio <= 1) {
			return fmt.Errorf("sample ratio %v: must be from 0 to 1", ratio)
		}
		c.sampleRatio = ratio
		return nil
	}
}

func checkLabel(name string) error {
	switch {
	case name == "":
		return errors.New("must not be empty")
	case len(name) > maxLabelBytes:
		return fmt.Errorf("must not be longer than %d bytes", maxLabelBytes)
	case !utf8.ValidString(name):
		return errors.New("must be valid UTF-8")
	}
	return nil
}
