package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/instrument/telemetry"
	"github.com/sockscope/sockscope/internal/endpoint"
)

// flushTimeout bounds the delivery of telemetry at the end.
const flushTimeout = 5 * time.Second

// demoFlags are the settings of the demo command.
type demoFlags struct {
	listen       string
	faultAPI     string
	drainTimeout time.Duration
	logLevel     slog.Level
	server       demo.Config
}

func newDemoCommand() *cobra.Command {
	f := demoFlags{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the demo: a WebSocket chat that is observed",
		Long: `Run the demo: a WebSocket chat with a page to use it from.

Its telemetry goes where the standard OTEL_* variables say (by default to a
Collector on this machine; OTEL_SDK_DISABLED=true keeps it here) and its metrics
are at /metrics. At /fault it can be told to misbehave.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), f, cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", endpoint.Local(0).Demo, "address to listen on")
	flags.StringVar(&f.server.TraceURL, "trace-url", "", "address that a trace id is appended to for links on the page, as in http://127.0.0.1:8090/trace/")
	flags.DurationVar(&f.server.Heartbeat, "heartbeat", 30*time.Second, "time between pings, and what a pong may take")
	flags.DurationVar(&f.drainTimeout, "drain-timeout", 20*time.Second, "time that connections get to end in order")
	flags.IntVar(&f.server.ConnectionLimit, "connection-limit", 2_000, "connections that may be open at once; each takes about 50 KB")
	flags.Float64Var(&f.server.SampleRatio, "sample-ratio", 1, "share of messages that get a span, 0 to 1")
	flags.IntVar(&f.server.SpanLimit, "span-limit", 50, "message spans per second at most")
	flags.StringVar(&f.faultAPI, "fault-api", "loopback", "who may switch faults: loopback (callers on this machine) or open (everybody who reaches the server)")
	flags.TextVar(&f.logLevel, "log-level", slog.LevelInfo, "least level of log records: debug, info, warn, error")
	return cmd
}

func runDemo(ctx context.Context, f demoFlags, cmd *cobra.Command) (err error) {
	switch f.faultAPI {
	case "open":
		f.server.OpenFaultAPI = true
	case "loopback":
	default:
		return fmt.Errorf("--fault-api is %q: give loopback or open", f.faultAPI)
	}
	t, err := telemetry.Start(ctx, telemetry.WithServiceName("sockscope-demo"),
		telemetry.WithLogWriter(cmd.OutOrStdout()), telemetry.WithLogLevel(f.logLevel))
	if err != nil {
		return err
	}
	defer func() {
		// The context has ended by now; what is queued is still to be delivered.
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		err = errors.Join(err, t.Shutdown(flush))
	}()

	f.server.Logger = t.Logger()
	f.server.TracerProvider = t.TracerProvider()
	f.server.Registerer = t.Registry()
	f.server.Metrics = t.MetricsHandler()
	chat, err := demo.New(f.server)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listen for the demo, is the port taken (--listen)? %w", err)
	}
	return serveDemo(ctx, chat, listener, f.drainTimeout, t.Logger())
}

// serveDemo serves until ctx ends, then drains: the server keeps answering
// /readyz and refusing handshakes until the last connection is gone.
func serveDemo(ctx context.Context, chat *demo.Server, l net.Listener, drainTimeout time.Duration, logger *slog.Logger) error {
	server := &http.Server{
		Handler:           chat.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	logger.InfoContext(ctx, "demo listening", "address", "http://"+l.Addr().String())

	var failed error
	select {
	case failed = <-served:
		failed = fmt.Errorf("serve the demo: %w", failed)
	case <-ctx.Done():
		logger.InfoContext(ctx, "demo draining", "timeout_seconds", drainTimeout.Seconds())
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	return errors.Join(failed, chat.Shutdown(drain), server.Close())
}
