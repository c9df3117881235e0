package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sockscope/sockscope/instrument"
)

// driveObserver makes everything happen that an observer can tell of.
func driveObserver() (*exports, error) {
	spans := tracetest.NewSpanRecorder()
	e := &exports{records: newRecords()}
	o, err := instrument.New(
		instrument.WithNamespace("{namespace}"),
		instrument.WithMessageTypes("{type}"),
		instrument.WithBackplanes("{backplane}"),
		instrument.WithConnectionLimit(1000),
		instrument.WithSampleRatio(1),
		instrument.WithSlowThreshold(time.Millisecond),
		instrument.WithLogger(slog.New(slog.NewJSONHandler(e.records, nil))),
		instrument.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))),
	)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	connect(ctx, o)

	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(o); err != nil {
		return nil, err
	}
	if e.families, err = registry.Gather(); err != nil {
		return nil, err
	}
	e.spans = spans.Ended()
	return e, nil
}

// connect has handshakes and connections end in all ways, because the series of a histogram begin with a value. Behind
// the last value of a closed set all others are "other".
func connect(ctx context.Context, o *instrument.Observer) {
	for s := instrument.StatusUnauthorized; s.String() != "other"; s++ {
		_, h := o.BeginHandshake(ctx, request())
		h.Refused(s, http.StatusForbidden, errors.New("no token"))
	}
	_, h := o.BeginHandshake(ctx, request())
	c := h.Opened(http.StatusSwitchingProtocols)
	converse(ctx, o, c)
	c.Closed(instrument.Cause{Reason: instrument.ReasonOther, Initiator: instrument.InitiatorRemote, Code: 4000})
	for r := instrument.ReasonNormal; r.String() != "other"; r++ {
		_, h := o.BeginHandshake(ctx, request())
		h.Opened(http.StatusSwitchingProtocols).Closed(instrument.Cause{
			Initiator: instrument.InitiatorLocal, Reason: r, Code: 1008, Err: errors.New("too slow"),
		})
	}
}

func request() instrument.Request {
	return instrument.Request{Method: http.MethodGet, Host: "chat.example:8443", Path: "/ws"}
}

// converse carries messages on a connection and between nodes.
func converse(ctx context.Context, o *instrument.Observer, c *instrument.Conn) {
	message := o.MessageType("{type}")
	_, m := c.BeginMessage(ctx, message, 100, nil)
	m.End(errors.New("room is full"))
	_, m = c.BeginMessage(ctx, message, 100, nil)
	time.Sleep(2 * time.Millisecond)
	m.End(nil)
	_, m = c.BeginMessage(ctx, instrument.MessageType{}, 100, nil)
	m.End(nil)
	m.End(nil) // which is a misuse
	c.Failed(ctx, instrument.ErrorDecode, errors.New("no JSON"))
	c.BeginPing().End(instrument.PingPong)

	published, b := o.BeginBroadcast(ctx)
	b.BeginDelivery(c).Sent(message, 100)
	b.End(nil)
	envelope := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(published, envelope)
	backplane := o.Backplane("{backplane}")
	backplane.Failed(ctx, errors.New("connection refused"))
	backplane.SetUp(true)
	_, b = backplane.BeginDelivery(ctx, envelope, time.Now())
	b.End(nil)
}
