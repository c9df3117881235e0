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
			grpcstream.Session(s.Context()).Dropped(instrument.DropQueueFull, 1)
			return s.SendMsg(messageOf(20))
		},
	}
	stream := ended("local", "normal")
	maps.Copy(stream, map[string]float64{
		"messages_total{direction=receive,type=" + serverStreamMethod + "}":  1,
		"messages_total{direction=transmit,type=" + serverStreamMethod + "}": 1,
		"message_size_bytes{direction=receive}":                              1,
		"message_size_bytes{direction=transmit}":                             1,
		"message_size_bytes_sum{direction=receive}":                          12,
		"message_size_bytes_sum{direction=transmit}":                         22,
		"messages_dropped_total{reason=queue_full}":                          1,
	})
	connection := ended("remote", "going_away")
	maps.Copy(connection, map[string]float64{
		"messages_total{direction=receive,type=" + serverStreamMethod + "}":  1,
		"messages_total{direction=transmit,type=" + serverStreamMethod + "}": 1,
		"messages_total{direction=receive,type=" + unaryMethod + "}":         1,
		"messages_total{direction=transmit,type=" + unaryMethod + "}":        1,
		"message_duration_seconds{type=" + unaryMethod + "}":                 1,
		"message_size_bytes{direction=receive}":                              2,
		"message_size_bytes{direction=transmit}":                             2,
		"message_size_bytes_sum{direction=receive}":                          24,
		"message_size_bytes_sum{direction=transmit}":                         44,
	})
	for name, with := range map[string]struct{ streams, connections bool }{
		"streams": {true, false}, "connections": {false, true}, "neither": {false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{records: new(records)}
			if with.streams {
				s.streams = newObserver(t, grpcstream.Transport, s.records)
			}
			if with.connections {
				s.connections = newObserver(t, grpcstream.ConnectionTransport, s.records)
			}
			s.start(t, srv, grpc.StatsHandler(grpcstream.NewServerHandler(s.streams, s.connections)))
			c := dial(t, s)
			for _, method := range []string{serverStreamMethod, unaryMethod} {
				if err := call(t, c, method, 0); err != nil {
					t.Errorf("%s: %v", method, err)
				}
			}
			_ = c.Close()
			if with.streams {
				eventually(t, stream, func() map[string]float64 { return counts(t, s.streams) })
			}
			if with.connections {
				eventually(t, connection, func() map[string]float64 { return counts(t, s.connections) })
			}
		})
	}
}
