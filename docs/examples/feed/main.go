// Command feed buys below a limit on somebody else's feed, and only when it knows that the price is right, observed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/sockscope/sockscope/instrument/client"
	"github.com/sockscope/sockscope/instrument/telemetry"
)

func main() {
	b := new(bot)
	address := flag.String("listen", "127.0.0.1:8081", "where to serve /metrics")
	feed := flag.String("feed", "ws://127.0.0.1:8090/feed", "where the prices come from")
	flag.StringVar(&b.snapshotURL, "snapshot", "http://127.0.0.1:8090/price", "where the price can be asked for")
	flag.IntVar(&b.limit, "limit", 10000, "below how many cents to buy")
	flag.Parse()
	if err := b.run(*address, *feed); err != nil {
		log.Fatal(err)
	}
}

// run consumes the feed until it is told to stop.
func (b *bot) run(address, feed string) (err error) {
	told, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	tel, err := telemetry.Start(told, telemetry.WithServiceName("bot"))
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(told), 5*time.Second)
		defer cancel()
		err = errors.Join(err, tel.Shutdown(ctx))
	}()

	b.logger = tel.Logger()
	b.client, err = client.New(feed, client.Feed{
		Streams: []client.Stream{{
			Name: stream, Expect: 10 * time.Second, Snapshot: b.snapshot, Restore: b.restore,
		}},
		Decode: decode,
		Handle: b.handle,
	}, client.WithName("exchange"), client.WithLogger(tel.Logger()))
	if err != nil {
		return err
	}
	tel.Registry().MustRegister(b.client)

	mux := http.NewServeMux()
	mux.Handle("GET /metrics", tel.MetricsHandler())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	defer server.Close()
	tel.Logger().InfoContext(told, "listening", "address", listener.Addr().String())
	ctx, cancel := context.WithCancelCause(told)
	go func() { cancel(fmt.Errorf("serve metrics: %w", server.Serve(listener))) }()
	if err = b.client.Run(ctx); told.Err() != nil {
		return nil
	}
	return err
}
