package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/instrument/console"
	"github.com/sockscope/sockscope/instrument/telemetry"
	"github.com/sockscope/sockscope/internal/endpoint"
)

// flushTimeout bounds the delivery of telemetry at the end.
const flushTimeout = 5 * time.Second

// requestTimeout bounds the end of requests that are under way when all connections have been drained.
const requestTimeout = time.Second

// pageSpansVariable is the variable in place of --page-spans-url, which reaches the demo through "sockscope up" and
// docker-compose.yml.
const pageSpansVariable = "SOCKSCOPE_PAGE_SPANS_URL"

// demoFlags are the settings of the demo command.
type demoFlags struct {
	listen       string
	grpcListen   string
	history      string
	redis        string
	kafka        string
	storyURL     string
	keyFiles     []string
	origins      []string
	proxies      []string
	drainTimeout time.Duration
	logLevel     slog.Level
	server       demo.Config
}

func newDemoCommand() *cobra.Command {
	f := demoFlags{server: demo.Defaults()}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the demo: a realtime service that is observed",
		Long: `Run the demo: chat rooms, documents, a market feed, notifications, a dashboard
and a game over WebSockets (/ws), server-sent events (/events), Socket.IO (/socket.io/),
polling (/poll) and gRPC (--grpc-listen), with a page to use it from.

It needs nothing else: messages are kept in a file. With --redis any number of
instances form one service. Put a load balancer in front of them. With --kafka,
too, Kafka keeps the messages, and Redis only connects the instances.

Clients need a token. Without --auth-key-file the demo makes a key of its own and
issues tokens to callers on this machine:

  curl -H 'Content-Type: application/json' -d '{"user":"ann"}' http://127.0.0.1:8080/auth/token

Its telemetry goes where the standard OTEL_* variables say, and its logs to the
Loki endpoint in SOCKSCOPE_LOKI_URL (by default to a Collector on this machine;
OTEL_SDK_DISABLED=true keeps it here). Its metrics are at /metrics, and its live
connections at /debug/realtime/. At /fault you can make it misbehave; see
sockscope fault.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(f.keyFiles) > 0 && !cmd.Flags().Changed("dev-tokens") {
				f.server.DevTokens = demo.Off
			}
			return runDemo(cmd.Context(), f, cmd)
		},
	}
	flags, l := cmd.Flags(), &f.server.Limits
	flags.StringVar(&f.listen, "listen", endpoint.Local(0).Demo, "address to listen on")
	flags.StringVar(&f.grpcListen, "grpc-listen", "", "address to listen on for gRPC, such as "+endpoint.Local(0).DemoGRPC+" (default none)")
	flags.StringVar(&f.history, "history", "", "file that keeps the messages without --redis, or what this instance has read with --kafka (default one that is gone at the end)")
	flags.StringVar(&f.redis, "redis", "", "Redis that connects the instances and, without --kafka, keeps the messages, as in redis://127.0.0.1:6379/0")
	flags.StringVar(&f.kafka, "kafka", "", "brokers and topic of the Kafka that keeps the messages, as in kafka://127.0.0.1:9092/sockscope-history")
	flags.StringVar(&f.server.Node, "node", "", "name of this instance (default a random one)")
	flags.StringVar(&f.server.TraceURL, "trace-url", "", "address for links on the pages, to which a trace id is appended, such as http://127.0.0.1:8090/trace/")
	flags.StringVar(&f.server.PageSpansURL, "page-spans-url", "", "where the page sends its spans by OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces (default the variable "+pageSpansVariable+", or nowhere)")
	flags.StringVar(&f.storyURL, "story-url", "", "address for links in the live console, to which a connection's id is appended, such as http://127.0.0.1:8090/connection/")

	flags.StringArrayVar(&f.keyFiles, "auth-key-file", nil, "file with a key for tokens, 32 bytes or more; give two to replace one: the first signs")
	flags.TextVar(&f.server.DevTokens, "dev-tokens", demo.Loopback, "who gets tokens: loopback (callers on this machine), open (everybody) or off (default off with --auth-key-file)")
	flags.TextVar(&f.server.FaultAPI, "fault-api", demo.Loopback, "who may switch faults: loopback (callers on this machine), open (everybody who reaches the server) or off")
	flags.TextVar(&f.server.ConsoleAccess, "console", demo.Loopback, "who may see the live connections at /debug/realtime/: loopback (callers on this machine), open (everybody who reaches the server) or off")
	flags.StringArrayVar(&f.origins, "origin", nil, "origin of pages that may connect besides this server's own, as in https://app.example.com")
	flags.StringArrayVar(&f.proxies, "trusted-proxy", nil, "addresses of load balancers whose X-Forwarded-For is trusted, such as 10.0.0.0/8")

	flags.DurationVar(&f.server.Heartbeat, "heartbeat", f.server.Heartbeat, "time between pings, and the time that a pong may take")
	flags.DurationVar(&f.server.BatchWindow, "batch-window", f.server.BatchWindow, "time for which prices are gathered before they are sent")
	flags.IntVar(&f.server.GameRate, "game-rate", f.server.GameRate, "ticks of the game in a second, 20 to 60")
	flags.IntVar(&f.server.CompressAbove, "compress-above", f.server.CompressAbove, "compress frames of this many bytes or more (permessage-deflate); takes 1.2 MB for each frame meanwhile, and 45 KB for each that is read (default none)")
	flags.DurationVar(&f.drainTimeout, "drain-timeout", 20*time.Second, "time that connections get to end in order")
	flags.DurationVar(&f.server.DrainSpread, "drain-spread", 5*time.Second, "time over which a drain closes connections, so that clients don't come back all at once")

	flags.IntVar(&l.Connections, "connection-limit", l.Connections, "connections that may be open at once")
	flags.IntVar(&l.ConnectionsPerAddress, "connections-per-address", 0, "connections that may be open from one address (default as many as in total)")
	flags.IntVar(&l.Polls, "poll-limit", l.Polls, "polls that may be under way at once, those that wait included")
	flags.IntVar(&l.PollsPerAddress, "polls-per-address", 0, "polls that may be under way from one address (default as many as in total)")
	flags.Float64Var(&l.PollsPerSecond, "poll-rate", l.PollsPerSecond, "polls per second that one user may make in the long run")
	flags.Float64Var(&l.MessagesPerSecond, "message-rate", l.MessagesPerSecond, "messages per second that one connection may send in the long run")
	flags.IntVar(&l.MessageBurst, "message-burst", l.MessageBurst, "messages that one connection may send at once")
	flags.IntVar(&l.RoomsPerConnection, "rooms-per-connection", l.RoomsPerConnection, "rooms that one connection may be in")
	flags.IntVar(&l.Players, "player-limit", l.Players, "players that may be in the game at once")
	flags.IntVar(&l.SendQueue, "send-queue", l.SendQueue, "frames that may wait for one connection")
	flags.TextVar(&l.SendPolicy, "send-policy", l.SendPolicy, "what to do when the queue is full: disconnect, drop_oldest or coalesce")
	flags.DurationVar(&l.Idle, "idle-timeout", l.Idle, "time after which a client that sends nothing is disconnected (default never)")

	flags.Float64Var(&f.server.SampleRatio, "sample-ratio", 1, "share of messages that get a span, 0 to 1")
	flags.IntVar(&f.server.SpanLimit, "span-limit", f.server.SpanLimit, "most spans per second, of messages, handshakes and closes each")
	flags.TextVar(&f.logLevel, "log-level", slog.LevelInfo, "lowest level of log records: debug, info, warn, error")
	return cmd
}

func runDemo(ctx context.Context, f demoFlags, cmd *cobra.Command) (err error) {
	if err := f.complete(); err != nil {
		return err
	}
	// Whether callers from elsewhere may see it is decided by --console.
	f.server.Console = console.New(console.Config{
		Service: "sockscope-demo", AllowRemote: true, TraceURL: f.server.TraceURL, StoryURL: f.storyURL,
	})
	t, err := startTelemetry(ctx, "sockscope-demo",
		telemetry.WithLogWriter(cmd.OutOrStdout()), telemetry.WithLogLevel(f.logLevel),
		telemetry.WithLogHandler(f.server.Console.LogHandler), telemetry.WithSpanProcessor(f.server.Console.SpanProcessor()))
	if err != nil {
		return err
	}
	defer func() {
		// The context has ended, but queued telemetry must still be delivered.
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		err = errors.Join(err, t.Shutdown(flush))
	}()
	closeHistory, err := f.openHistory(ctx, t.Logger())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeHistory()) }()

	f.server.Logger = t.Logger()
	f.server.TracerProvider = t.TracerProvider()
	f.server.Registerer = t.Registry()
	f.server.Metrics = t.MetricsHandler()
	f.server.GRPC = f.grpcListen != ""
	service, err := demo.New(f.server)
	if err != nil {
		return err
	}
	on, err := f.listeners(ctx)
	if err != nil {
		return err
	}
	return serveDemo(ctx, service, on, f.drainTimeout, t.Logger())
}

// listeners are where the demo is served. That of gRPC is nil if it is not.
type listeners struct{ http, grpc net.Listener }

func (f *demoFlags) listeners(ctx context.Context) (on listeners, err error) {
	if on.http, err = new(net.ListenConfig).Listen(ctx, "tcp", f.listen); err != nil {
		return on, fmt.Errorf("listen for the demo, is the port taken (--listen)? %w", err)
	}
	if f.grpcListen == "" {
		return on, nil
	}
	if on.grpc, err = new(net.ListenConfig).Listen(ctx, "tcp", f.grpcListen); err != nil {
		return on, errors.Join(fmt.Errorf("listen for gRPC, is the port taken (--grpc-listen)? %w", err), on.http.Close())
	}
	return on, nil
}

// complete turns the flags into the server's configuration.
func (f *demoFlags) complete() error {
	if f.server.PageSpansURL == "" {
		f.server.PageSpansURL = os.Getenv(pageSpansVariable)
	}
	keys := make([][]byte, 0, len(f.keyFiles))
	for _, path := range f.keyFiles {
		key, err := auth.LoadKey(path)
		if err != nil {
			return fmt.Errorf("--auth-key-file: %w", err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		key, err := auth.LoadKey("") // a random one
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	var err error
	if f.server.Authority, err = auth.New(keys...); err != nil {
		return fmt.Errorf("--auth-key-file: %w", err)
	}
	if f.server.Origins, err = auth.ParseOrigins(f.origins); err != nil {
		return fmt.Errorf("--origin: %w", err)
	}
	for _, proxy := range f.proxies {
		prefix, err := netip.ParsePrefix(proxy)
		if err != nil {
			return fmt.Errorf("--trusted-proxy is %q: give addresses as in 10.0.0.0/8 or 127.0.0.1/32", proxy)
		}
		f.server.Limits.TrustedProxies = append(f.server.Limits.TrustedProxies, prefix)
	}
	return nil
}

// serveDemo serves until ctx ends, then drains: the server keeps answering /readyz and refusing handshakes, and the
// other instances are listened to, until the last connection is gone.
func serveDemo(ctx context.Context, service *demo.Server, on listeners, drainTimeout time.Duration, logger *slog.Logger) error {
	server := &http.Server{
		Handler:           service.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ran, served := make(chan error, 1), make(chan error, 2)
	go func() { ran <- service.Run(running) }()
	go func() { served <- server.Serve(on.http) }()
	addresses := []any{"address", "http://" + on.http.Addr().String()}
	if on.grpc != nil {
		go func() { served <- service.ServeGRPC(on.grpc) }()
		addresses = append(addresses, "grpc", on.grpc.Addr().String())
	}
	logger.InfoContext(ctx, "demo listening", addresses...)

	var failed error
	select {
	case failed = <-served:
		failed = fmt.Errorf("serve the demo: %w", failed)
	case failed = <-ran:
		ran <- nil
	case <-ctx.Done():
		logger.InfoContext(ctx, "demo draining", "timeout_seconds", drainTimeout.Seconds())
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	server.SetKeepAlivesEnabled(false) // a load balancer should not use a connection that is about to end
	failed = errors.Join(failed, service.Shutdown(drain))
	requests, cancel := context.WithTimeout(drain, requestTimeout)
	defer cancel()
	if err := server.Shutdown(requests); err != nil {
		failed = errors.Join(failed, server.Close())
	}
	stop()
	return errors.Join(failed, <-ran)
}
