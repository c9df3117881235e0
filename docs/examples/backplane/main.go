// Command backplane is one of several nodes of a chat room with coder/websocket, in step through Redis, observed.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/backplane"
	"github.com/sockscope/sockscope/instrument/telemetry"
)

func main() {
	address := flag.String("listen", "127.0.0.1:8081", "where to listen")
	redisAddress := flag.String("redis", "127.0.0.1:6379", "where Redis listens")
	flag.Parse()
	if err := run(*address, *redisAddress); err != nil {
		log.Fatal(err)
	}
}

// run serves until it is told to stop, and then closes the connections.
func run(address, redisAddress string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("chat"))
	if err != nil {
		return err
	}
	observer, err := tel.NewObserver(instrument.WithNamespace("chat"), instrument.WithMessageTypes("say"),
		instrument.WithBackplanes("redis"))
	if err != nil {
		return err
	}
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
	received := make(chan error, 1)
	go func() { received <- others.Run(ctx, r.deliver) }()
	if err := others.Ready(ctx); err != nil { // the log says meanwhile what is in the way
		return errors.Join(err, <-received)
	}

	mux := http.NewServeMux()
	mux.Handle("GET /metrics", tel.MetricsHandler())
	mux.Handle("GET /ws", r)
	err = tel.Serve(ctx, &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second})
	stop()
	return errors.Join(err, <-received)
}
