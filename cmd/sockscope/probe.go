package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockscope/sockscope/instrument/telemetry"
	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/internal/probe"
	"github.com/sockscope/sockscope/internal/transport"
	"github.com/sockscope/sockscope/internal/upstream"
)

// probeFlags are the settings of the probe command.
type probeFlags struct {
	targets, grpc     []string
	over              transport.Name
	interval, timeout time.Duration
	keyFile, listen   string
}

func newProbeCommand() *cobra.Command {
	f := probeFlags{}
	cmd := &cobra.Command{
		Use:   "probe",
		Short: "Try the demo as a user would, every few seconds, and report the results",
		Long: `Try the demo as a user would: connect, join the room probe.<target>, send a
message and receive it on a second connection, every few seconds, even at night
when there are no other users. Run it where users are, not next to the server.
"sockscope up" has a probe, so a second one needs another port (--listen).

The results are at /metrics:

  websocket_probe_success{target}                  1 or 0, of the last probe
  websocket_probe_duration_seconds{target,phase}   histogram of successful phases:
    connect    two connections, until both are welcomed
    echo       a ping, until its answer
    delivery   a message, until it is at the other connection
  websocket_probe_certificate_expiry_timestamp_seconds{target}   of wss targets

  avg_over_time(websocket_probe_success[5m])       is the availability
  histogram_quantile(0.99, sum by (target, le) (rate(websocket_probe_duration_seconds_bucket{phase="delivery"}[5m])))

With --transport it probes another transport. A client that polls can't send, so with
poll the message is sent on a WebSocket. The metrics have the same names: give the
targets names that tell which is which.

Failures are logged with their phase and cause. A target that does not answer is
probed again and never ends the program.

Its own logs go to the Loki endpoint in SOCKSCOPE_LOKI_URL (by default to a
Collector on this machine; OTEL_SDK_DISABLED=true keeps them here).`,
		Example: `  sockscope probe --listen 127.0.0.1:8093
  sockscope probe --listen 127.0.0.1:8094 --transport sse --target events=ws://127.0.0.1:8080/ws
  sockscope probe --target eu=wss://eu.example.com/ws --target us=wss://us.example.com/ws --auth-key-file key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runProbe(cmd.Context(), f, cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.targets, "target", []string{"ws://" + endpoint.Local(0).Demo + "/ws"},
		"WebSocket to probe, with or without a name, such as eu=wss://eu.example.com/ws; may be repeated")
	flags.TextVar(&f.over, "transport", transport.WebSocket, "transport to probe: "+transportNames())
	flags.StringSliceVar(&f.grpc, "grpc", []string{endpoint.Local(0).DemoGRPC}, "addresses of gRPC, one for each --target")
	flags.DurationVar(&f.interval, "interval", 5*time.Second, "time from one probe of a target to the next")
	flags.DurationVar(&f.timeout, "timeout", 4*time.Second, "time for a whole probe; one that takes longer has failed")
	flags.StringVar(&f.keyFile, "auth-key-file", "", "file with the key for tokens (default: the targets are asked for them)")
	flags.StringVar(&f.listen, "listen", endpoint.Local(0).Probe, "address of /metrics")
	return cmd
}

func runProbe(ctx context.Context, f probeFlags, out io.Writer) (err error) {
	cfg := probe.Config{Interval: f.interval, Timeout: f.timeout, Transport: f.over}
	for i, t := range f.targets {
		target, err := probe.ParseTarget(t)
		if err != nil {
			return fmt.Errorf("--target: %w", err)
		}
		if i < len(f.grpc) {
			target.Server = target.Server.WithGRPC(f.grpc[i])
		}
		cfg.Targets = append(cfg.Targets, target)
	}
	if cfg.Tokens, err = upstream.TokensFrom(f.keyFile); err != nil {
		return fmt.Errorf("--auth-key-file: %w", err)
	}
	t, err := startTelemetry(ctx, "sockscope-probe", telemetry.WithLogWriter(out))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, flush(ctx, t)) }()
	cfg.Logger = t.Logger()
	prober, err := probe.New(cfg)
	if err != nil {
		return err
	}
	if err := t.Registry().Register(prober); err != nil {
		return err
	}
	return withMetrics(ctx, f.listen, t.MetricsHandler(), t.Logger(), func(ctx context.Context, address string) error {
		t.Logger().InfoContext(ctx, "probe started", "targets", len(cfg.Targets), "interval_seconds", f.interval.Seconds(),
			"metrics", address)
		prober.Run(ctx)
		return nil
	})
}

// flush delivers what telemetry is queued when the context has ended.
func flush(ctx context.Context, t *telemetry.Telemetry) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	return t.Shutdown(ctx)
}

// withMetrics serves /metrics while run does what it does, which is told where that is. The context of run ends with
// ctx, or when the metrics can't be served any more.
func withMetrics(ctx context.Context, listen string, metrics http.Handler, logger *slog.Logger,
	run func(ctx context.Context, address string) error) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen for scrapes, is the port taken (--listen)? %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() {
		defer stop()
		served <- server.Serve(listener)
	}()
	err = run(ctx, "http://"+listener.Addr().String()+"/metrics")
	_ = server.Close() // scrapes that are under way have had their time
	if failed := <-served; !errors.Is(failed, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve metrics: %w", failed))
	}
	return err
}
