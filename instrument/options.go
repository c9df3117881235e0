package instrument

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// An Option configures an Observer.
type Option func(*config) error

type config struct {
	protocol        string
	metricPrefix    string // "" is the protocol
	backplanes      []string
	namespace       string
	messageTypes    []string
	tracerProvider  trace.TracerProvider
	logger          *slog.Logger
	sampleRatio     float64
	spanLimit       int
	slowThreshold   time.Duration
	trustedPeers    bool
	trust           func(context.Context, Request) bool
	tracing         bool
	propagator      propagation.TextMapPropagator
	classifier      ErrorClassifier
	levels          map[string]slog.Level
	durationBuckets []float64 // seconds
	sizeBuckets     []float64 // bytes
	connectionLimit int
}

func (c *config) prefix() string { return cmp.Or(c.metricPrefix, c.protocol) }

const maxLabelBytes = 64

func newConfig(opts []Option) (*config, error) {
	c := &config{
		protocol:        protocolWebSocket,
		namespace:       "default",
		tracerProvider:  otel.GetTracerProvider(),
		tracing:         true,
		propagator:      propagation.TraceContext{},
		logger:          slog.New(slog.DiscardHandler),
		levels:          make(map[string]slog.Level),
		classifier:      classifyError,
		sampleRatio:     0.01,
		spanLimit:       100,
		slowThreshold:   time.Second,
		durationBuckets: durationBuckets(0.0001),
		sizeBuckets:     sizeBuckets(),
	}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(c); err != nil {
			return nil, fmt.Errorf("instrument: %w", err)
		}
	}
	if c.trustedPeers && c.trust != nil {
		return nil, errors.New("instrument: WithTrustedPeers and WithTrust contradict each other: give one of them")
	}
	return c, nil
}

// WithNamespace names the endpoint that the Observer observes, such as "chat" or "feed". Every series, handshake span
// and log record carries the name, so several endpoints of one process can share one registry. The default is
// "default".
func WithNamespace(name string) Option {
	return func(c *config) error {
		if err := checkLabel(name); err != nil {
			return fmt.Errorf("namespace %q: %w", name, err)
		}
		c.namespace = name
		return nil
	}
}

// WithProtocol names the protocol of the connections. It is the first part of the names of spans, their attributes and,
// unless WithMetricPrefix says otherwise, metrics: an observer with the protocol "sse" exports sse_connections_total
// and so on. It is also network.protocol.name on spans, except for event streams, whose protocol is http there, and
// streams of gRPC, whose protocol is grpc. Each adapter exports its name as a constant. A name consists of lower-case
// letters, digits and underscores. The default is "websocket".
func WithProtocol(name string) Option {
	return func(c *config) error {
		if !isPrefix(name) {
			return fmt.Errorf("protocol %q: must begin with a lower-case letter, and hold only those, digits and underscores", name)
		}
		c.protocol = name
		return nil
	}
}

// WithMetricPrefix sets the prefix of the names of metrics. Use it in a service that already has metrics of the same
// names. The dashboards and rules of Sockscope expect the default, which is the protocol's name.
func WithMetricPrefix(prefix string) Option {
	return func(c *config) error {
		if !isPrefix(prefix) {
			return fmt.Errorf("metric prefix %q: must begin with a lower-case letter, and hold only those, digits and underscores", prefix)
		}
		c.metricPrefix = prefix
		return nil
	}
}

// WithBackplanes registers the names of the service's backplanes, which are the values of the label backplane; see
// Observer.Backplane. Each costs 7 series from the start and 24 in use. By default there is none.
func WithBackplanes(names ...string) Option {
	return func(c *config) error {
		for _, name := range names {
			if err := checkLabel(name); err != nil {
				return fmt.Errorf("backplane %q: %w", name, err)
			}
		}
		c.backplanes = append(c.backplanes, names...)
		return nil
	}
}

// WithMessageTypes registers message types, which are the values of the label type. Every other type is exported as
// "other" and counted in sockscope_label_overflow_total, so no peer can add series by inventing types. By default there
// is only "other".
//
// A type without messages has no series and takes less than 2 KiB of memory. A type in use has up to 21 series: a
// counter for each direction in which it was seen, and a histogram after the first message was handled. The histogram
// takes some 6 KiB, and 3 KiB for each further processor up to 16.
func WithMessageTypes(types ...string) Option {
	return func(c *config) error {
		for _, name := range types {
			if err := checkLabel(name); err != nil {
				return fmt.Errorf("message type %q: %w", name, err)
			}
		}
		c.messageTypes = append(c.messageTypes, types...)
		return nil
	}
}

// WithTracerProvider sets the provider of the tracer that makes spans. The default is otel.GetTracerProvider(), which
// drops spans until the program sets a provider.
func WithTracerProvider(tp trace.TracerProvider) Option {
	return func(c *config) error {
		if tp == nil {
			return errors.New("tracer provider is nil: leave the option out for the global one, or give a noop provider")
		}
		c.tracerProvider = tp
		return nil
	}
}

// WithLogger sets the logger. Records have trace_id, span_id and connection_id as NewLogHandler adds them, and have
// them once even if the logger's handler adds them, too. By default nothing is logged.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) error {
		if l == nil {
			return errors.New("logger is nil: leave the option out in order to log nothing")
		}
		c.logger = l
		return nil
	}
}

// WithSampleRatio sets the share of received messages, from 0 to 1, that get a span. Sampling is decided before a span
// is started, so a message that is not sampled costs no allocation. Messages that are slow or fail get a span in any
// case, see WithSlowThreshold. The tracer provider's own sampler can still drop a span. The default is 0.01.
func WithSampleRatio(ratio float64) Option {
	return func(c *config) error {
		if !(ratio >= 0 && ratio <= 1) { // also refuses NaN
			return fmt.Errorf("sample ratio %v: must be from 0 to 1", ratio)
		}
		c.sampleRatio = ratio
		return nil
	}
}

// WithSpanLimit caps the spans per second, so that neither load, nor a failure of every message, nor a storm of
// reconnects floods the tracing backend. The limit applies four times: to messages, broadcasts and deliveries together,
// whether sampled, slow or failed; to handshakes; to closes of connections whose handshake has a span; and to refusals
// and failed connections that got no span by the limits before. Bursts of up to the number for one second pass.
// sockscope_spans_suppressed_total counts the suppressed spans. 0 turns all spans off. The default is 100.
func WithSpanLimit(perSecond int) Option {
	return func(c *config) error {
		if perSecond < 0 {
			return fmt.Errorf("span limit %d: must be 0 (no spans) or more", perSecond)
		}
		c.spanLimit = perSecond
		return nil
	}
}

// WithSlowThreshold sets the handling time at which a message counts as slow. A slow message gets the log record
// `message slow` and, even if it was not sampled, a span, which is made afterwards from the measured times. Failed
// messages get theirs at any speed. Spans that the handler itself starts can't become children of a span that is made
// afterwards. The default is one second.
func WithSlowThreshold(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return fmt.Errorf("slow threshold %v: must be positive", d)
		}
		c.slowThreshold = d
		return nil
	}
}

// WithTrustedPeers trusts all peers. The trace context that comes with a handshake or message becomes the parent of its
// span, and a message is traced if its sender's span is sampled, within the limit of WithSpanLimit. Use it only if the
// peers are services of your own, because a stranger could cause every message to be traced. By default the sender's
// context is only linked.
func WithTrustedPeers() Option {
	return func(c *config) error {
		c.trustedPeers = true
		return nil
	}
}

// WithTrust calls trusted for each handshake to decide whether its peer is trusted as by WithTrustedPeers. Use it for
// an endpoint that serves both services of your own and strangers. The function is called before the handler
// authenticates the peer, so let it decide by a value that a middleware has put into ctx, or by a header that your
// proxy sets. The answer holds for the connection's messages, too. WithTrust and WithTrustedPeers together are an
// error.
func WithTrust(trusted func(ctx context.Context, r Request) bool) Option {
	return func(c *config) error {
		if trusted == nil {
			return errors.New("trust function is nil: leave the option out in order to trust nobody")
		}
		c.trust = trusted
		return nil
	}
}

// WithPropagator sets the format of the trace context that comes with handshakes and messages. The default is the
// W3C's, propagation.TraceContext. The nodes of a service always use the W3C's between each other.
func WithPropagator(p propagation.TextMapPropagator) Option {
	return func(c *config) error {
		if p == nil {
			return errors.New("propagator is nil: leave the option out for W3C trace context")
		}
		c.propagator = p
		return nil
	}
}

// WithoutTracing turns off spans and ignores trace context. By default spans are made as WithSampleRatio and
// WithSpanLimit say.
func WithoutTracing() Option {
	return func(c *config) error {
		c.tracing = false
		return nil
	}
}

// WithErrorClassifier sets the function that decides what the error of a message counts as in websocket_errors_total;
// see Message.End. Use it if some errors of your service are expected. The function must be fast and safe for
// concurrent use.
func WithErrorClassifier(classify ErrorClassifier) Option {
	return func(c *config) error {
		if classify == nil {
			return errors.New("error classifier is nil: leave the option out for the default")
		}
		c.classifier = classify
		return nil
	}
}

// WithLogLevel sets the level of the log records with the given message, such as "connection opened". By default
// "connection opened", "connection closed", "backplane restored" and a "handshake refused" that is the peer's fault are
// informational, and all others are warnings.
func WithLogLevel(message string, level slog.Level) Option {
	return func(c *config) error {
		for kind := range recordCount {
			if kind.String() == message {
				c.levels[message] = level
				return nil
			}
		}
		return fmt.Errorf("log level of %q: there is no such record", message)
	}
}

// WithDurationBuckets sets the upper bounds, in seconds, of the classic buckets of the handling and delivery times of
// messages. Dashboards and rules that use classic buckets need the bounds 0.25 and 1. Native buckets are not affected.
// The default is 16 bounds from 0.1 ms to 10 s; each costs a series per message type.
func WithDurationBuckets(seconds ...float64) Option {
	return func(c *config) error {
		if err := checkBuckets(seconds, math.Ldexp(1, durationMinExp), math.Ldexp(1, durationMaxExp)); err != nil {
			return fmt.Errorf("duration buckets: %w", err)
		}
		c.durationBuckets = slices.Clone(seconds)
		return nil
	}
}

// WithSizeBuckets sets the upper bounds, in bytes, of the classic buckets of the sizes of messages. Native buckets are
// not affected. The default is 8 bounds from 64 B to 1 MiB.
func WithSizeBuckets(bytes ...float64) Option {
	return func(c *config) error {
		if err := checkBuckets(bytes, 1, math.Ldexp(1, sizeMaxExp)); err != nil {
			return fmt.Errorf("size buckets: %w", err)
		}
		c.sizeBuckets = slices.Clone(bytes)
		return nil
	}
}

// checkBuckets refuses bounds that are so close that two could fall into the same native bucket, which is up to 9 %
// wide.
func checkBuckets(bounds []float64, lowest, highest float64) error {
	if len(bounds) == 0 {
		return errors.New("there must be at least one bound; leave the option out for the default")
	}
	previous := 0.0
	for _, b := range bounds {
		switch {
		case !(b >= lowest && b <= highest): // also refuses NaN
			return fmt.Errorf("bound %v: must be from %v to %v", b, lowest, highest)
		case b < previous*1.2:
			return fmt.Errorf("bound %v after %v: must be larger by a fifth at least", b, previous)
		}
		previous = b
	}
	return nil
}

// WithConnectionLimit exports n, the number of connections that the endpoint is made for, as websocket_connection_limit
// for dashboards and alerts. It does not enforce the limit: a server that does refuses handshakes with
// StatusOverCapacity. By default the series is absent.
func WithConnectionLimit(n int) Option {
	return func(c *config) error {
		if n <= 0 {
			return fmt.Errorf("connection limit %d: must be positive; leave the option out where there is none", n)
		}
		c.connectionLimit = n
		return nil
	}
}

func isPrefix(name string) bool {
	for i, r := range name {
		if letter := r >= 'a' && r <= 'z'; !letter && (i == 0 || r != '_' && (r < '0' || r > '9')) {
			return false
		}
	}
	return name != "" && len(name) <= maxLabelBytes
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
