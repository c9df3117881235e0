package grpcstream_test

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/grpcstream"
)

// A server of the health service, of which Watch streams and Check does not.
func Example() {
	streams, err := instrument.New(instrument.WithProtocol(grpcstream.Protocol), instrument.WithNamespace("health"),
		grpcstream.WithMethods(healthpb.Health_Watch_FullMethodName))
	if err != nil {
		fmt.Println(err)
		return
	}
	connections, err := instrument.New(instrument.WithProtocol(grpcstream.ConnectionProtocol), instrument.WithNamespace("health"),
		grpcstream.WithMethods(healthpb.Health_Watch_FullMethodName, healthpb.Health_Check_FullMethodName))
	if err != nil {
		fmt.Println(err)
		return
	}
	prometheus.NewRegistry().MustRegister(streams, connections)

	observed, err := grpcstream.New(grpcstream.Config{Streams: streams, Connections: connections})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := grpc.NewServer(observed.ServerOptions()...)
	healthpb.RegisterHealthServer(server, health.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()

	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	client, ctx := healthpb.NewHealthClient(conn), context.Background()
	if _, err := client.Check(ctx, nil); err != nil {
		fmt.Println(err)
	}
	watch, err := client.Watch(ctx, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	state, err := watch.Recv()
	fmt.Println(state.GetStatus(), err)
	_ = conn.Close()
	fmt.Println(observed.Shutdown(ctx, server))
	fmt.Println(<-served)
	fmt.Println(testutil.CollectAndCompare(streams, strings.NewReader(`
# HELP grpc_stream_active_connections Connections open now.
# TYPE grpc_stream_active_connections gauge
grpc_stream_active_connections{namespace="health"} 0
# HELP grpc_stream_messages_total Whole messages.
# TYPE grpc_stream_messages_total counter
grpc_stream_messages_total{direction="receive",namespace="health",type="/grpc.health.v1.Health/Watch"} 1
grpc_stream_messages_total{direction="receive",namespace="health",type="other"} 0
grpc_stream_messages_total{direction="transmit",namespace="health",type="/grpc.health.v1.Health/Watch"} 1
grpc_stream_messages_total{direction="transmit",namespace="health",type="other"} 0
`), "grpc_stream_active_connections", "grpc_stream_messages_total"))
	// Output:
	// SERVING <nil>
	// <nil>
	// <nil>
	// <nil>
}
