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

// WithName names the client, such as "exchange". The name is the label client of its metrics and an attribute of its
// log records. Two clients in one registry need different names. The default is "default".
func WithName(name string) Option {
	return func(c *config) error {
		if err := checkLabel(name); err != nil {
			return fmt.Errorf("name %q: %w", name, err)
		}
		c.name = name
		return nil
	}
}

// WithLogger sets the logger. Payloads are never logged. Of URLs only the host is logged, because the rest may contain
// a token. By default nothing is logged.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) error {
		if l == nil {
			return errors.New("logger is nil: leave the option out in order to log nothing")
		}
		c.logger = l
		return nil
	}
}

// WithDialOptions sets the options of the transport: HTTP client, subprotocols, compression, static headers. By default
// connections are made with http.DefaultClient and without compression.
func WithDialOptions(o websocket.DialOptions) Option {
	return func(c *config) error {
		c.dial = o
		return nil
	}
}

// An Endpoint is the address to connect to.
type Endpoint struct {
	// URL replaces the URL given to New, unless it is empty. It may have a token in its query, because the client
	// reveals only its host.
	URL string
	// Header is added to the headers of WithDialOptions.
	Header http.Header
}

// WithEndpoint sets a function that returns the address and headers for an attempt to connect. It is called before each
// attempt, because tokens expire, and some servers hand out an address for each connection or for resuming. An error
// makes the attempt fail, and a Permanent error ends Run. Its ctx expires with the connect timeout.
func WithEndpoint(endpoint func(context.Context) (Endpoint, error)) Option {
	return func(c *config) error {
		if endpoint == nil {
			return errors.New("endpoint function is nil: leave the option out in order to connect to the URL of New")
		}
		c.endpoint = endpoint
		return nil
	}
}

// WithTimeouts sets two timeouts. Connecting, getting the endpoint before it, and subscribing after it may take the
// time connect each. Fetching a snapshot may take the time snapshot. Both are 10 seconds by default.
func WithTimeouts(connect, snapshot time.Duration) Option {
	return func(c *config) error {
		if connect <= 0 || snapshot <= 0 {
			return fmt.Errorf("timeouts %v for connecting, %v for a snapshot: must be positive", connect, snapshot)
		}
		c.connectTimeout, c.snapshotTimeout = connect, snapshot
		return nil
	}
}

// WithReadLimit sets the size of the largest message that the server may send. A larger message ends the connection.
// The default is 1 MiB.
func WithReadLimit(bytes int64) Option {
	return func(c *config) error {
		if bytes <= 0 {
			return fmt.Errorf("read limit %d: must be positive", bytes)
		}
		c.readLimit = bytes
		return nil
	}
}

// WithBackoff sets the ceilings of the first wait and of the longest wait before another attempt to connect, or to
// reconcile a stream. A wait is a random part of its ceiling. The ceiling doubles with every attempt, and starts again
// with the shortest when a connection, or a live stream, has lasted for 10 seconds. A connection that ends because a
// stream is stale counts as lasting only until a stream last received something new. The default is 250 ms and 30 s.
func WithBackoff(shortest, longest time.Duration) Option {
	return func(c *config) error {
		if shortest <= 0 || longest < shortest {
			return fmt.Errorf("backoff from %v to %v: must be positive and ascending", shortest, longest)
		}
		c.minBackoff, c.maxBackoff = shortest, longest
		return nil
	}
}

// WithMaxAttempts makes Run return ErrGaveUp when none of n attempts in a row has led to a connection that lasted for
// 10 seconds, as defined for WithBackoff. By default Run never gives up.
func WithMaxAttempts(n int) Option {
	return func(c *config) error {
		if n <= 0 {
			return fmt.Errorf("max attempts %d: must be positive; leave the option out in order to try for ever", n)
		}
		c.maxAttempts = n
		return nil
	}
}

// WithHeartbeat sets the interval of pings to the server, and the longest time that a pong may take before the
// connection is given up. The defaults are 10 seconds and 5 seconds.
//
// If the interval is 0, no pings are sent, for servers that do not answer them. Then the connection is given up when
// nothing was received for the timeout: no message, no ping, no pong. If the timeout is 0, too, only Stream.Expect and
// the operating system detect a dead connection.
func WithHeartbeat(interval, timeout time.Duration) Option {
	return func(c *config) error {
		if interval < 0 || timeout < 0 || interval > 0 && timeout == 0 {
			return fmt.Errorf("heartbeat every %v for %v: must be positive, or every 0 to send no pings", interval, timeout)
		}
		c.pingInterval, c.pingTimeout = interval, timeout
		return nil
	}
}

// WithQueue sets how many events may wait for a busy handler, and for how long the client stops reading when the queue
// is full. Meanwhile the server feels backpressure, and may end the connection because of it. After that the client
// skips: a stream with snapshots is reconciled when the handler has emptied half of the queue, and any other stream
// loses the event, which counts as missing. With a wait of 0 the client skips at once, which suits applications that
// only need the newest events. The default is 1024 events and one second.
func WithQueue(size int, wait time.Duration) Option {
	return func(c *config) error {
		if size <= 0 || wait < 0 {
			return fmt.Errorf("queue of %d with a wait of %v: the size must be positive, the wait not negative", size, wait)
		}
		c.queueSize, c.queueWait = size, wait
		return nil
	}
}

// WithBuffer sets how many events of one stream are held back while it is reconciled. If there are more, all are thrown
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

// WithStateChange sets a function that is called for every change of state, in order. It is called by the goroutine
// that reads from the socket, so it must return soon.
func WithStateChange(changed func(Change)) Option {
	return func(c *config) error {
		if changed == nil {
			return errors.New("state change function is nil: leave the option out in order to be told nothing")
		}
		c.stateChange = changed
		return nil
	}
}

// WithTracerProvider sets the provider of the tracer that makes spans. The default is otel.GetTracerProvider(), which
// drops spans until the program sets a provider.
//
// Each attempt to connect has a span websocket.handshake, whose trace context is sent to the server as a header.
// Sampled messages have a span websocket.message from the receipt until one of their events is handled. It has the
// number of the message on its connection. Send adds the number of the sent message to the span in its ctx, if there is
// one.
func WithTracerProvider(tp trace.TracerProvider) Option {
	return func(c *config) error {
		if tp == nil {
			return errors.New("tracer provider is nil: leave the option out for the global one")
		}
		c.tracerProvider = tp
		return nil
	}
}

// WithPropagator sets the format of the trace context in the headers of a handshake. The default is
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
