package grpcstream_test

import (
	"context"
	"maps"
	"testing"

	"google.golang.org/grpc"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/grpcstream"
)

// TestUnobserved leaves out one observer or both: RPCs go on as ever, and the other observer counts what it would.
func TestUnobserved(t *testing.T) {
	srv := &service{
		unary: func(context.Context, *message) (*message, error) { return messageOf(20), nil },
		stream: func(s grpc.ServerStream) error {
			grpcstream.Observed(s.Context()).Dropped(instrument.DropQueueFull, 1)
			return s.SendMsg(messageOf(20))
		},
	}
	stream := ended("local", "normal")
	maps.Copy(stream, map[string]float64{
		`messages_total{direction="receive",type="` + serverStreamMethod + `"}`:  1,
		`messages_total{direction="transmit",type="` + serverStreamMethod + `"}`: 1,
		`message_size_bytes_count{direction="receive"}`:                          1,
		`message_size_bytes_count{direction="transmit"}`:                         1,
		`message_size_bytes_sum{direction="receive"}`:                            12,
		`message_size_bytes_sum{direction="transmit"}`:                           22,
		`messages_dropped_total{reason="queue_full"}`:                            1,
	})
	connection := ended("remote", "going_away")
	maps.Copy(connection, map[string]float64{
		`messages_total{direction="receive",type="` + serverStreamMethod + `"}`:  1,
		`messages_total{direction="transmit",type="` + serverStreamMethod + `"}`: 1,
		`messages_total{direction="receive",type="` + unaryMethod + `"}`:         1,
		`messages_total{direction="transmit",type="` + unaryMethod + `"}`:        1,
		`message_duration_seconds_count{type="` + unaryMethod + `"}`:             1,
		`message_size_bytes_count{direction="receive"}`:                          2,
		`message_size_bytes_count{direction="transmit"}`:                         2,
		`message_size_bytes_sum{direction="receive"}`:                            24,
		`message_size_bytes_sum{direction="transmit"}`:                           44,
	})
	for name, with := range map[string]struct{ streams, connections bool }{
		"streams": {true, false}, "connections": {false, true}, "neither": {false, false},
	} {
		t.Run(name, func(t *testing.T) {
			var s server
			var config grpcstream.Config
			if with.streams {
				s.streams = record(t, grpcstream.Protocol)
				config.Streams = s.streams.Observer
			}
			if with.connections {
				s.connections = record(t, grpcstream.ConnectionProtocol)
				config.Connections = s.connections.Observer
			}
			s.start(t, srv, observedBy(t, config).ServerOptions()...)
			c := dial(t, &s)
			for _, method := range []string{serverStreamMethod, unaryMethod} {
				if err := call(t, c, method, 0); err != nil {
					t.Errorf("%s: %v", method, err)
				}
			}
			_ = c.Close()
			if with.streams {
				s.streams.counted(stream)
			}
			if with.connections {
				s.connections.counted(connection)
			}
		})
	}
}
