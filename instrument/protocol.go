package instrument

import semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

// The protocols of the adapters.
const (
	protocolWebSocket  = "websocket"
	protocolSSE        = "sse"
	protocolGRPCStream = "grpc_stream"
	protocolGRPC       = "grpc"
)

// networkProtocol returns the value of network.protocol.name: the application layer's protocol on the network. For an
// event stream that is http, because the stream is the body of an HTTP response. A protocol without an adapter has its
// own name.
func networkProtocol(protocol string) string {
	switch protocol {
	case protocolSSE:
		return "http"
	case protocolGRPCStream:
		return semconv.RPCSystemNameGRPC.Value.AsString()
	default:
		return protocol
	}
}

// ExpectProtocol notes that an adapter is about to observe connections of the protocol. Adapters call it. If the
// Observer was made for the protocol of another adapter, the first call writes the log record `instrumentation
// misused`. A protocol without an adapter may be used with any adapter.
func (o *Observer) ExpectProtocol(protocol string) {
	if !o.live() || o.protocol == protocol {
		return
	}
	switch o.protocol {
	case protocolWebSocket, protocolSSE, protocolGRPCStream, protocolGRPC:
		o.misused(misuseOtherProtocol)
	}
}
