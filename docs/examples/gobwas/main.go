// Command gobwas is an observed echo server with gobwas/ws.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/telemetry"
	"github.com/sockscope/sockscope/instrument/ws/gobwas"
)

func main() {
	address := flag.String("listen", "127.0.0.1:8081", "where to listen")
	flag.Parse()
	if err := run(*address); err != nil {
		log.Fatal(err)
	}
}

// run serves until it is told to stop, and then closes the connections before it stops.
func run(address string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("echo"))
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, tel.Shutdown(ctx))
	}()

	observer, err := instrument.New(instrument.WithNamespace("echo"), instrument.WithMessageTypes("echo"),
		instrument.WithTracerProvider(tel.TracerProvider()), instrument.WithLogger(tel.Logger()))
	if err != nil {
		return err
	}
	tel.Registry().MustRegister(observer)

	echo := observer.MessageType("echo")
	var open sync.WaitGroup // handlers of connections
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", tel.MetricsHandler())
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) {
		open.Add(1)
		defer open.Done()
		conn, _, err := gobwas.UpgradeHTTP(r, w, ws.HTTPUpgrader{}, observer) // instead of ws.UpgradeHTTP
		if err != nil {
			return // answered, counted and logged
		}
		defer conn.Close() // it has ended by then, or is cut
		closed := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(closed)
			_ = conn.CloseFor(instrument.ReasonShutdown, ws.StatusGoingAway, "restarting")
		})
		defer func() {
			if !stop() {
				<-closed // or the program could stop before the end is logged
			}
		}()
		session := conn.Observed()
		connCtx := session.Context(r.Context())
		for {
			payload, op, err := wsutil.ReadClientData(conn)
			if err != nil {
				return // the peer has left, or something broke: counted and logged with its cause
			}
			_, message := session.BeginMessage(connCtx, echo, len(payload), nil)
			if err = wsutil.WriteServerMessage(conn, op, payload); err == nil {
				session.Sent(echo, len(payload))
			}
			message.End(err)
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
	err = server.Shutdown(final) // does not wait for WebSockets
	open.Wait()
	return err
}
