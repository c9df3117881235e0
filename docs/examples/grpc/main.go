// Command grpc is an observed gRPC server of the health service, of which Watch streams and Check does not.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/grpcstream"
	"github.com/sockscope/sockscope/instrument/telemetry"
)

func main() {
	address := flag.String("listen", "127.0.0.1:8081", "where to listen")
	metrics := flag.String("metrics", "127.0.0.1:8082", "where to serve /metrics")
	flag.Parse()
	if err := run(*address, *metrics); err != nil {
		log.Fatal(err)
	}
}

// service is always healthy. It stands for a service of your own.
type service struct {
	healthpb.UnimplementedHealthServer
}

func (service) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}

func (service) Watch(_ *healthpb.HealthCheckRequest, stream healthpb.Health_WatchServer) error {
	draining := make(chan struct{})
	grpcstream.Observed(stream.Context()).OnDrain(func() { close(draining) })
	serving := &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}
	if err := stream.Send(serving); err != nil {
		return err // counted and logged with its cause
	}
	select {
	case <-stream.Context().Done():
		return stream.Context().Err() // the peer has left
	case <-draining:
		return status.Error(codes.Unavailable, "restarting")
	}
}

// run serves until it is told to stop.
func run(address, metricsAddress string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("health"))
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, tel.Shutdown(ctx))
	}()

	streams, err := tel.NewObserver(instrument.WithNamespace("health"), instrument.WithProtocol(grpcstream.Protocol),
		grpcstream.WithMethods(healthpb.Health_Watch_FullMethodName))
	if err != nil {
		return err
	}
	connections, err := tel.NewObserver(instrument.WithNamespace("health"), instrument.WithProtocol(grpcstream.ConnectionProtocol),
		grpcstream.WithMethods(healthpb.Health_Watch_FullMethodName, healthpb.Health_Check_FullMethodName))
	if err != nil {
		return err
	}
	observed, err := grpcstream.New(grpcstream.Config{Streams: streams, Connections: connections})
	if err != nil {
		return err
	}
	server := grpc.NewServer(observed.ServerOptions()...)
	healthpb.RegisterHealthServer(server, service{})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", tel.MetricsHandler())
	metrics := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	metricsListener, err := net.Listen("tcp", metricsAddress)
	if err != nil {
		return err
	}
	defer metrics.Close()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	tel.Logger().InfoContext(ctx, "listening", "address", listener.Addr().String(),
		"metrics", metricsListener.Addr().String())
	failed := make(chan error, 2)
	go func() { failed <- metrics.Serve(metricsListener) }()
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		server.Stop()
		return err
	case <-ctx.Done():
	}
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return observed.Shutdown(final, server) // ends the streams by OnDrain
}
