package demo

import (
	"log/slog"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/sse"
)

// Namespace is what the demo's telemetry calls this endpoint.
const Namespace = "chat"

// backplaneName is what the demo's telemetry calls the connection to the other nodes.
const backplaneName = "redis"

// observed is all that makes one transport of the chat observable.
type observed struct {
	observer *instrument.Observer
	types    map[wire.Type]instrument.MessageType
	other    instrument.MessageType
}

func observe(cfg Config, more ...instrument.Option) (*observed, error) {
	var names []string
	for _, t := range wire.Types() {
		names = append(names, string(t))
	}
	opts := []instrument.Option{
		instrument.WithNamespace(Namespace),
		instrument.WithMessageTypes(names...),
		instrument.WithLogger(cfg.Logger),
		instrument.WithSampleRatio(cfg.SampleRatio),
		instrument.WithSpanLimit(cfg.SpanLimit),
		instrument.WithConnectionLimit(cfg.Limits.Connections),
	}
	if cfg.TracerProvider != nil {
		opts = append(opts, instrument.WithTracerProvider(cfg.TracerProvider))
	}
	observer, err := instrument.New(append(opts, more...)...)
	if err != nil {
		return nil, err
	}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(observer); err != nil {
			return nil, err
		}
	}
	o := &observed{
		observer: observer,
		types:    make(map[wire.Type]instrument.MessageType),
		other:    observer.MessageType("other"),
	}
	for _, t := range wire.Types() {
		o.types[t] = observer.MessageType(string(t))
	}
	return o, nil
}

func observeSockets(cfg Config) (*observed, error) {
	if cfg.Redis == nil {
		return observe(cfg)
	}
	return observe(cfg, instrument.WithBackplanes(backplaneName))
}

func observeStreams(cfg Config) (*observed, error) {
	return observe(cfg, instrument.WithProtocol(sse.Protocol))
}

// messageType returns the observer's type for one of the protocol's.
func (o *observed) messageType(t wire.Type) instrument.MessageType {
	if known, ok := o.types[t]; ok {
		return known
	}
	return o.other
}

// newLogger returns the logger for what the service itself has to say. It adds trace and session to what is logged with
// a message's context.
func newLogger(cfg Config) *slog.Logger {
	return slog.New(instrument.NewLogHandler(cfg.Logger.Handler())).With("namespace", Namespace)
}
