// Command sse streams the time as server-sent events, observed.
package main

import (
	"context"
	"flag"
	"log"
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

// run serves until it is told to stop, and then closes the connections.
func run(address string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("clock"))
	if err != nil {
		return err
	}
	observer, err := tel.NewObserver(instrument.WithProtocol(sse.Protocol),
		instrument.WithNamespace("clock"), instrument.WithMessageTypes("tick"))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", tel.MetricsHandler())
	mux.Handle("GET /events", clock(observer))
	return tel.Serve(ctx, &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second})
}

// clock sends the time every second.
func clock(observer *instrument.Observer) http.HandlerFunc {
	tick := observer.MessageType("tick")
	return func(w http.ResponseWriter, r *http.Request) {
		stream, err := sse.Accept(w, r, observer)
		if err != nil {
			return // answered, counted and logged
		}
		defer stream.Close()
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-stream.Context().Done():
				return // the peer left, or the server drains
			case now := <-ticker.C:
				data := now.AppendFormat(nil, time.RFC3339)
				if err := stream.Send(sse.Event{Type: "tick", Data: data}); err != nil {
					return // the stream has ended: counted and logged with its cause
				}
				stream.Observed().Sent(tick, len(data))
			}
		}
	}
}
