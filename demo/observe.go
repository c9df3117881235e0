package demo

import (
	"log/slog"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// Namespace is what the demo's telemetry calls this endpoint.
const Namespace = "chat"

// observed is all that makes the chat observable.
type observed struct {
	observer *instrument.Observer
	types    map[wire.Type]instrument.MessageType
	other    instrument.MessageType
	logger   *slog.Logger // adds trace and session to what is logged with a message's context
}

func observe(cfg Config) (*observed, error) {
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
		instrument.WithConnectionLimit(cfg.ConnectionLimit),
	}
	if cfg.TracerProvider != nil {
		opts = append(opts, instrument.WithTracerProvider(cfg.TracerProvider))
	}
	observer, err := instrument.New(opts...)
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
		logger:   slog.New(instrument.NewLogHandler(cfg.Logger.Handler())).With("namespace", Namespace),
	}
	for _, t := range wire.Types() {
		o.types[t] = observer.MessageType(string(t))
	}
	return o, nil
}

// messageType returns the observer's type for one of the protocol's.
func (o *observed) messageType(t wire.Type) instrument.MessageType {
	if known, ok := o.types[t]; ok {
		return known
	}
	return o.other
}
