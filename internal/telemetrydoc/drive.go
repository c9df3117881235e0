package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sockscope/sockscope/instrument"
)

// telemetry is what an observer has exported.
type telemetry struct {
	families []*dto.MetricFamily
	spans    []sdktrace.ReadOnlySpan
	records  bytes.Buffer // a JSON object per line
}

// drive makes everything happen that the observer can tell of.
func drive() (*telemetry, error) {
	t := new(telemetry)
	spans := tracetest.NewSpanRecorder()
	o, err := instrument.New(
		instrument.WithNamespace("chat"),
		instrument.WithMessageTypes("message"),
		instrument.WithBackplanes("redis"),
		instrument.WithConnectionLimit(1000),
		instrument.WithSampleRatio(1),
		instrument.WithSlowThreshold(time.Millisecond),
		instrument.WithLogger(slog.New(slog.NewJSONHandler(&t.records, nil))),
		instrument.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))),
	)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	_, refused := o.Handshake(ctx, nil, "chat.example")
	refused.Refused(instrument.StatusUnauthorized, http.StatusUnauthorized, errors.New("no token"))
	_, h := o.Handshake(ctx, nil, "chat.example")
	c := h.Opened(http.StatusSwitchingProtocols)
	converse(ctx, o, c)
	c.Close(instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: instrument.ReasonSlowConsumer, Code: 1008, Err: errors.New("too slow")})

	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(o); err != nil {
		return nil, err
	}
	if t.families, err = registry.Gather(); err != nil {
		return nil, err
	}
	t.spans = spans.Ended()
	return t, nil
}

// converse carries messages on a connection and between nodes.
func converse(ctx context.Context, o *instrument.Observer, c *instrument.Conn) {
	message := o.MessageType("message")
	_, m := c.Receive(ctx, message, 100, nil)
	m.End(errors.New("room is full"))
	_, m = c.Receive(ctx, message, 100, nil)
	time.Sleep(2 * time.Millisecond)
	m.End(nil)
	c.Error(ctx, instrument.ErrorDecode, errors.New("no JSON"))
	c.Ping().End(instrument.PingPong)

	published, b := o.Broadcast(ctx)
	b.Enqueue(c).Sent(message, 100)
	b.End(nil)
	envelope := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(published, envelope)
	redis := o.Backplane("redis")
	redis.Error(ctx, errors.New("connection refused"))
	_, b = redis.Deliver(ctx, envelope, time.Now())
	b.End(nil)
}
