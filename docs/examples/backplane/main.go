// Command backplane is one of several nodes of a chat room with coder/websocket, in step through Redis, observed.
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

	"github.com/coder/websocket"
	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/backplane"
	"github.com/sockscope/sockscope/instrument/telemetry"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

func main() {
	address := flag.String("listen", "127.0.0.1:8081", "where to listen")
	redisAddress := flag.String("redis", "127.0.0.1:6379", "where Redis listens")
	flag.Parse()
	if err := run(*address, *redisAddress); err != nil {
		log.Fatal(err)
	}
}

// run serves until it is told to stop, and then closes the connections before it stops.
func run(address, redisAddress string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("chat"))
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, tel.Shutdown(ctx))
	}()

	observer, err := instrument.New(instrument.WithNamespace("chat"), instrument.WithMessageTypes("say"),
		instrument.WithBackplanes("redis"),
		instrument.WithTracerProvider(tel.TracerProvider()), instrument.WithLogger(tel.Logger()))
	if err != nil {
		return err
	}
	tel.Registry().MustRegister(observer)

	client := redis.NewClient(&redis.Options{Addr: redisAddress})
	defer client.Close()
	others, err := backplane.New(client, observer, "redis")
	if err != nil {
		return err
	}
	if err := others.Subscribe(ctx, channel); err != nil {
		return err
	}
	r := &room{observer: observer, others: others, members: make(map[*member]struct{})}
	var running sync.WaitGroup
	defer func() {
		stop()
		running.Wait()
	}()
	failed := make(chan error, 2)
	running.Go(func() {
		if err := others.Run(ctx, r.deliver); err != nil {
			failed <- err
		}
	})
	if err := others.Ready(ctx); err != nil { // the log says meanwhile what is in the way
		return err
	}

	var open sync.WaitGroup // handlers of connections
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", tel.MetricsHandler())
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, req *http.Request) {
		open.Add(1)
		defer open.Done()
		conn, err := coder.Accept(w, req, observer, nil)
		if err != nil {
			return // answered, counted and logged
		}
		defer conn.CloseNow() //nolint:errcheck // it has ended by then, or is cut
		closed := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(closed)
			_ = conn.CloseFor(instrument.ReasonShutdown, websocket.StatusGoingAway, "restarting")
		})
		defer func() {
			if !stop() {
				<-closed // or the program could stop before the end is logged
			}
		}()
		r.serve(conn.Observed().Context(req.Context()), conn)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	tel.Logger().InfoContext(ctx, "listening", "address", listener.Addr().String())
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
