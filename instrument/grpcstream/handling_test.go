package grpcstream_test

import (
	"context"
	"errors"
	"maps"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/grpcstream"
)

// TestHandlingIsNotCountedAgain has a handler time its messages and their way through a queue, and end the stream for a
// reason of its own.
func TestHandlingIsNotCountedAgain(t *testing.T) {
	s := serve(t, &service{stream: func(s grpc.ServerStream) error {
		conn := grpcstream.Observed(s.Context())
		if err := s.RecvMsg(new(message)); err != nil {
			return err
		}
		_ = conn.Handle(conn.Context(s.Context()), instrument.MessageType{}, 10, nil, func(context.Context) error { return nil })
		delivery := conn.BeginDelivery()
		if err := s.SendMsg(messageOf(20)); err != nil {
			return err
		}
		delivery.Sent(instrument.MessageType{}, 20)
		conn.Closed(instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: instrument.ReasonSlowConsumer})
		return status.Error(codes.ResourceExhausted, "reads too slowly")
	}})
	if err := call(t, dial(t, s), bidiMethod, 1); status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("call: %v", err)
	}
	want := ended("local", "slow_consumer")
	maps.Copy(want, map[string]float64{
		`messages_total{direction="receive",type="` + bidiMethod + `"}`:  1,
		`messages_total{direction="transmit",type="` + bidiMethod + `"}`: 1,
		`message_size_bytes_count{direction="receive"}`:                  1,
		`message_size_bytes_sum{direction="receive"}`:                    12,
		`message_size_bytes_count{direction="transmit"}`:                 1,
		`message_size_bytes_sum{direction="transmit"}`:                   22,
		`message_duration_seconds_count{type="other"}`:                   1,
		`delivery_duration_seconds_count{}`:                              1,
	})
	s.streams.counted(want)
}

// TestRecoveredPanic has an interceptor recover from panics: of a handler, and of the handling of a message.
func TestRecoveredPanic(t *testing.T) {
	recovers := grpc.ChainStreamInterceptor(func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = status.Errorf(codes.Internal, "%v", v)
			}
		}()
		return handle(srv, s)
	})
	for name, handler := range map[string]func(grpc.ServerStream) error{
		"of the handler": func(grpc.ServerStream) error { panic("oops") },
		"of the handling": func(s grpc.ServerStream) error {
			conn := grpcstream.Observed(s.Context())
			return conn.Handle(conn.Context(s.Context()), instrument.MessageType{}, 10, nil, func(context.Context) error { panic(errors.New("oops")) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, &service{stream: handler}, recovers)
			if err := call(t, dial(t, s), bidiMethod, 0); status.Code(err) != codes.Internal || status.Convert(err).Message() != "oops" {
				t.Fatalf("call: %v", err)
			}
			want := ended("local", "internal")
			want[`errors_total{kind="panic"}`] = 1
			s.streams.counted(want, "message_duration_seconds")
		})
	}
}
