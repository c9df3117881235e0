package instrument_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/instrument"
)

// The life of one connection, told by hand: an adapter takes over the handshake and the closing.
func Example() {
	observer, err := instrument.New(
		instrument.WithNamespace("chat"),
		instrument.WithMessageTypes("join", "message"),
		instrument.WithConnectionLimit(10_000),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	prometheus.NewRegistry().MustRegister(observer)
	message := observer.MessageType("message")

	ctx, handshake := observer.BeginHandshake(context.Background(), instrument.Request{Host: "chat.example"})
	conn := handshake.Opened(101)
	ctx = conn.Context(ctx)

	// One message comes in with its sender's trace context, is handled and answered.
	envelope := propagation.MapCarrier{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	_, m := conn.BeginMessage(ctx, message, 128, envelope)
	m.End(nil)
	conn.Sent(message, 64)

	conn.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal, Code: 1000})

	err = testutil.CollectAndCompare(observer, strings.NewReader(`
# HELP websocket_active_connections Connections open now.
# TYPE websocket_active_connections gauge
websocket_active_connections{namespace="chat"} 0
# HELP websocket_messages_total Whole messages.
# TYPE websocket_messages_total counter
websocket_messages_total{direction="receive",namespace="chat",type="message"} 1
websocket_messages_total{direction="receive",namespace="chat",type="other"} 0
websocket_messages_total{direction="transmit",namespace="chat",type="message"} 1
websocket_messages_total{direction="transmit",namespace="chat",type="other"} 0
`), "websocket_active_connections", "websocket_messages_total")
	fmt.Println(err)
	// Output: <nil>
}

// An application refuses a peer before the upgrade, and says why.
func ExampleHandshake_Refused() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: stable}))
	observer, err := instrument.New(instrument.WithNamespace("chat"), instrument.WithLogger(logger))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, handshake := observer.BeginHandshake(context.Background(), instrument.Request{Host: "chat.example"})
	handshake.Refused(instrument.StatusUnauthorized, http.StatusUnauthorized, errors.New("token has expired"))
	// Output: level=INFO msg="handshake refused" namespace=chat status=unauthorized http_status=401 error="token has expired"
}

// Every record of a service that is logged with a context carries the ids of its trace and connection.
func ExampleNewLogHandler() {
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == "connection_id" {
			return slog.Int("session_id_length", len(a.Value.String()))
		}
		return stable(groups, a)
	}})
	logger := slog.New(instrument.NewLogHandler(handler))
	observer, err := instrument.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, handshake := observer.BeginHandshake(context.Background(), instrument.Request{Host: "chat.example"})
	ctx = handshake.Opened(101).Context(ctx)

	logger.InfoContext(ctx, "joined", "room", "lobby")
	// Output: level=INFO msg=joined room=lobby session_id_length=32
}

// stable leaves out what differs from run to run.
func stable(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "connection_id" {
		return slog.Attr{}
	}
	return a
}
