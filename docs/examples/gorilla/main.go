// Command gorilla is an observed echo server with gorilla/websocket.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/telemetry"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
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
	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("echo"))
	if err != nil {
		return err
	}
	observer, err := tel.NewObserver(instrument.WithNamespace("echo"), instrument.WithMessageTypes("echo"))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", tel.MetricsHandler())
	mux.Handle("GET /ws", echo(observer))
	return tel.Serve(ctx, &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second})
}

// echo sends back what it receives.
func echo(observer *instrument.Observer) http.HandlerFunc {
	typ := observer.MessageType("echo")
	var upgrader websocket.Upgrader
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := gorilla.Upgrade(w, r, observer, &upgrader, nil) // instead of upgrader.Upgrade
		if err != nil {
			return // answered, counted and logged
		}
		defer conn.Close()
		observed := conn.Observed()
		ctx := observed.Context(r.Context())
		for {
			kind, payload, err := conn.ReadMessage()
			if err != nil {
				return // the peer left, or something broke: counted and logged with its cause
			}
			err = observed.Handle(ctx, typ, len(payload), nil, func(context.Context) error {
				return conn.WriteMessage(kind, payload)
			})
			if err == nil {
				observed.Sent(typ, len(payload))
			}
		}
	}
}
