package grpc

import (
	"context"
	"math/rand/v2"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	metric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/stats"

	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
	"github.com/sockscope/sockscope/demo/wire"
)

// SendMessage implements the service.
func (s *Server) SendMessage(ctx context.Context, request *chatv1.SendMessageRequest) (*chatv1.SendMessageResponse, error) {
	if err := invalid(
		violation{"message_id", wire.CheckMessageID(request.GetMessageId())},
		violation{"room", wire.CheckRoom(request.GetRoom())},
		violation{"text", wire.CheckText(request.GetText())},
	); err != nil {
		return nil, err
	}
	if !allow(ctx) {
		return nil, refused(&wire.RefusalError{Code: wire.CodeRateLimited, Reason: "that are too many messages: send them more slowly"})
	}
	ack, err := s.cfg.Post(ctx, caller(ctx), request.GetMessageId(), wire.MessagePayload{Room: request.GetRoom(), Text: request.GetText()})
	if err != nil {
		return nil, refused(err)
	}
	return &chatv1.SendMessageResponse{SavedId: ack.SavedID, Seq: ack.Seq}, nil
}

// newTracing returns what makes the spans of SendMessage, as many as the messages of connections may have. The span of
// a client that is not trusted is a link, not the parent. Streams are traced by package grpcstream.
func newTracing(cfg Config) stats.Handler {
	limiter := rate.NewLimiter(rate.Limit(cfg.SpanLimit), max(1, cfg.SpanLimit))
	options := []otelgrpc.Option{
		otelgrpc.WithFilter(func(info *stats.RPCTagInfo) bool {
			return info.FullMethodName == chatv1.ChatService_SendMessage_FullMethodName &&
				rand.Float64() < cfg.SampleRatio && limiter.Allow()
		}),
		otelgrpc.WithPublicEndpoint(), otelgrpc.WithPropagators(propagation.TraceContext{}),
		otelgrpc.WithMeterProvider(metric.NewMeterProvider()),
	}
	if cfg.TracerProvider != nil {
		options = append(options, otelgrpc.WithTracerProvider(cfg.TracerProvider))
	}
	return otelgrpc.NewServerHandler(options...)
}
