package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sockscope/sockscope/instrument/telemetry"
	"github.com/sockscope/sockscope/internal/bot"
	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/internal/transport"
	"github.com/sockscope/sockscope/internal/upstream"
)

// botFlags are the settings of the bot command.
type botFlags struct {
	url, keyFile, listen string
	grpc                 string
	asJSON               bool
	bot                  bot.Config
}

func newBotCommand() *cobra.Command {
	f := botFlags{}
	percent := 0.2
	cmd := &cobra.Command{
		Use:   "bot",
		Short: "Trade on the demo's market, on paper, while its data is known to be complete",
		Long: `Trade on the demo's market, on paper. The feed of ticks is a trigger, never the
truth: after each connect, and whenever ticks are missing, the bot fetches a
snapshot, leaves out the ticks that the snapshot contains, replays the rest, and
acts only then. From time to time it compares its state with another snapshot.

What it shows:

  live          the state is complete up to now: the bot trades only then
  connecting, waiting, reconciling, stale       the bot does not trade
  … s old       the age of the newest tick
  gaps          how often ticks were missing, and how many
  drift         how often the state differed from the truth / was compared
  reconnects    connections after the first
  reconciled    how often the bot started from a snapshot

Try it on, while it runs (see sockscope demo about faults):

  curl -X PUT http://127.0.0.1:8080/fault/mass_disconnect -d '{"strength": 1, "duration": "10s"}'
  curl -X PUT http://127.0.0.1:8080/fault/silence -d '{"strength": 1, "duration": "20s"}'

The feed may come over another transport (--transport). The metrics have the same
names then.

The metrics websocket_client_* are at /metrics. Log records go to the Loki endpoint
in SOCKSCOPE_LOKI_URL (OTEL_SDK_DISABLED=true keeps them here), and to standard
error unless that is a terminal.`,
		Example: `  sockscope bot
  sockscope bot --json | jq 'select(.trade)'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.bot.Rule.Edge = percent / 100
			return runBot(cmd.Context(), f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.url, "url", "ws://"+endpoint.Local(0).Demo+"/ws", "WebSocket to connect to; the snapshot is on the same server")
	flags.TextVar(&f.bot.Transport, "transport", transport.WebSocket, "transport of the feed: websocket, sse, grpc, socketio")
	flags.StringVar(&f.grpc, "grpc", endpoint.Local(0).DemoGRPC, "address of the server's gRPC")
	flags.StringVar(&f.keyFile, "auth-key-file", "", "file with the key for tokens (default: the server is asked for them)")
	flags.StringVar(&f.listen, "listen", endpoint.Local(0).Bot, "address of /metrics")
	flags.DurationVar(&f.bot.Expect, "expect", 5*time.Second, "time after which a silent market is stale, and the connection replaced")
	flags.DurationVar(&f.bot.Audit, "audit", 10*time.Second, "time between comparisons of the state with the truth")
	flags.IntVar(&f.bot.Rule.Window, "window", 100, "ticks in the moving average")
	flags.Float64Var(&percent, "edge", percent, "percent below (above) the average at which the bot buys (sells)")
	flags.Int64Var(&f.bot.Rule.Lot, "lot", 10, "how many the bot buys at once")
	flags.BoolVar(&f.asJSON, "json", false, "print changes of state, trades and, every 5 s, the status as JSON lines")
	return cmd
}

func runBot(ctx context.Context, f botFlags, out, logs io.Writer) (err error) {
	if f.bot.Server, err = upstream.Parse(f.url); err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	f.bot.Server = f.bot.Server.WithGRPC(f.grpc)
	if f.bot.Tokens, err = upstream.TokensFrom(f.keyFile); err != nil {
		return fmt.Errorf("--auth-key-file: %w", err)
	}
	if _, isTerminal := terminal(logs); isTerminal {
		logs = io.Discard // records would tear the live line; what it shows says the same
	}
	t, err := startTelemetry(ctx, "sockscope-bot", telemetry.WithLogWriter(logs))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, flush(ctx, t)) }()
	f.bot.Logger = t.Logger()
	b, err := bot.New(f.bot)
	if err != nil {
		return err
	}
	if err := t.Registry().Register(b); err != nil {
		return err
	}
	return withMetrics(ctx, f.listen, t.MetricsHandler(), t.Logger(), func(ctx context.Context, address string) error {
		t.Logger().InfoContext(ctx, "bot started", slog.String("url", f.bot.Server.Socket()), slog.String("metrics", address))
		every, show, done := showTo(out, f.asJSON)
		defer done()
		return b.Run(ctx, every, show)
	})
}

// showTo returns a function that shows the bot's records, and how often to show its status. On a terminal the status is
// a line below everything else that changes. Elsewhere each status is a line, so there are fewer. done ends it.
func showTo(w io.Writer, asJSON bool) (every time.Duration, show func(bot.Record), done func()) {
	// The bot goes on even if its records can't be shown.
	file, isTerminal := terminal(w)
	switch {
	case asJSON:
		lines := json.NewEncoder(w)
		return 5 * time.Second, func(r bot.Record) { _ = lines.Encode(r) }, func() {}
	case !isTerminal:
		return 5 * time.Second, func(r bot.Record) { fmt.Fprintln(w, r) }, func() {}
	}
	status := ""
	return 250 * time.Millisecond, func(r bot.Record) {
		line := ""
		if r.Status != nil {
			status = r.Status.String()
		} else {
			line = r.String() + "\n"
		}
		fmt.Fprint(w, "\r\x1b[K", line, fitting(status, file))
	}, func() { fmt.Fprintln(w) }
}

// terminal returns w as a terminal if it is one.
func terminal(w io.Writer) (*os.File, bool) {
	file, ok := w.(*os.File)
	return file, ok && term.IsTerminal(int(file.Fd()))
}

// fitting cuts a line to the width of the terminal, because a line that wraps can't be erased.
func fitting(line string, file *os.File) string {
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width < 1 {
		width = 80
	}
	if runes := []rune(line); len(runes) >= width {
		return strings.TrimRight(string(runes[:width-1]), " ")
	}
	return line
}
