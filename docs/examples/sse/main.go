// Command sse streams the time as server-sent events, observed.
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

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/sse"
	"github.com/sockscope/sockscope/instrument/telemetry"
)

func main() {
	address := flag.String("listen", "127.0.0.1:8081", "where to listen")
	flag.Parse()
	if err := run(*address); err != nil {
		log.Fatal(err)
	}
}

// run serves until it is told to stop, and then closes the streams before it stops.
func run(address string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("clock"))
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, tel.Shutdown(ctx))
	}()

	observer, err := instrument.New(instrument.WithProtocol(sse.Protocol),
		instrument.WithNamespace("clock"), instrument.WithMessageTypes("tick"),
		instrument.WithTracerProvider(tel.TracerProvider()), instrument.WithLogger(tel.Logger()))
	if err != nil {
		return err
	}
	tel.Registry().MustRegister(observer)

	tick := observer.MessageType("tick")
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", tel.MetricsHandler())
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		stream, err := sse.Accept(w, r, observer)
		if err != nil {
			return // answered, counted and logged
		}
		defer stream.Close()
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-r.Context().Done():
				return // the peer has left
			case <-ctx.Done():
				stream.CloseFor(instrument.ReasonShutdown)
				return
			case now := <-ticker.C:
				data := now.AppendFormat(nil, time.RFC3339)
				if err := stream.Send(sse.Event{Type: "tick", Data: data}); err != nil {
					return // counted and logged with its cause
				}
				stream.Observed().Sent(tick, len(data))
			}
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	tel.Logger().InfoContext(ctx, "listening", "address", listener.Addr().String())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	observer.SetDraining(true)
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(final) // waits for the streams, which are requests
}
