package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/internal/bot"
	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/internal/load"
	"github.com/sockscope/sockscope/internal/transport"
	"github.com/sockscope/sockscope/internal/upstream"
)

// loadFlags are the settings of the load command.
type loadFlags struct {
	scenario    string
	list        bool
	connections int
	rate        float64
	rooms       int
	duration    time.Duration
	sources     []string
	keyFile     string
	over        transport.Name
	listen      string
	asJSON      bool
	load        load.Config
}

func newLoadCommand() *cobra.Command {
	f := loadFlags{}
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Drive the demo with many connections",
		Long: `Drive the demo with many connections, by a scenario, and check that each message is
acknowledged once and delivered once, in order, to every member of its room.

The rate does not depend on the server: times are measured from when a message was
due, so a stall shows in full. Connections that end reconnect, join where they were
cut off, and repeat messages that were not acknowledged. Ctrl-C ends the load and
prints the result so far. The exit status is 1 if messages were lost, refused or
delivered twice, or connections ended, and the scenario did not ask for it.

--list shows the built-in scenarios. A scenario is a small YAML file:

  about: People talk in a few rooms, some of them come and go.
  duration: 30s          # once all are connected
  groups:
    - name: people
      does: chat         # or feed, idle, malformed, oversize, bad-token
      connections: 50
      ramp: 2s           # time over which they are opened
      rooms: 5           # over which they are spread; shared with other groups
      rate: 50           # messages per second, all together
    - name: coming and going
      does: chat
      connections: 50
      rooms: 5
      transport: sse     # or websocket (default), grpc, socketio, poll (listens only)
      lifetime: 3s       # on average; also storm: 10s (cut all at once, so often),
                         # read: 1000 (bytes per second), vanish: 5s (then half-open)

--transport has all groups use one transport. Clients that poll can't send, so with
poll one connection for each room stays on a WebSocket and sends.

For very many connections:

  sockscope load --scenario idle --connections 100000 \
      --source 127.0.0.1-127.0.0.8 --auth-key-file key   # the key of the servers`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.list {
				return listScenarios(cmd.OutOrStdout())
			}
			if err := f.complete(); err != nil {
				return err
			}
			run := func(ctx context.Context) error {
				return runLoad(ctx, f.load, f.asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			if f.listen != "" {
				return f.watched(cmd.Context(), run)
			}
			return run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.scenario, "scenario", "chat", "one of --list, or a file such as ./own.yaml")
	flags.BoolVar(&f.list, "list", false, "list the built-in scenarios")
	flags.StringSliceVar(&f.load.URLs, "url", []string{"ws://" + endpoint.Local(0).Demo + "/ws"}, "WebSockets to connect to; several must belong to one service")
	flags.TextVar(&f.over, "transport", transport.Name(""), "transport of all groups: "+transportNames()+" (default the scenario's)")
	flags.StringSliceVar(&f.load.GRPC, "grpc", []string{endpoint.Local(0).DemoGRPC}, "addresses of gRPC, one for each --url")
	flags.IntVar(&f.connections, "connections", 0, "connections to open, all groups together (default the scenario's)")
	flags.Float64Var(&f.rate, "rate", 0, "messages per second, all groups together (default the scenario's)")
	flags.DurationVar(&f.duration, "duration", 0, "how long to go on once all are connected (default the scenario's)")
	flags.IntVar(&f.rooms, "rooms", 0, "rooms to spread the connections over (default the scenario's)")
	flags.StringSliceVar(&f.sources, "source", nil, "addresses of this machine to connect from, such as 127.0.0.1-127.0.0.8; each has about 28,000 ports (default the system's choice)")
	flags.StringVar(&f.keyFile, "auth-key-file", "", "file with the servers' key, to issue tokens for as many users as connections (default the servers issue them for a hundred)")
	flags.StringVar(&f.listen, "listen", "", "address of /metrics of a well-behaved client that follows the market meanwhile (default none)")
	flags.BoolVar(&f.load.Verify, "verify", false, "read the histories of all rooms at the end: every acknowledged message must be there once")
	flags.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	return cmd
}

// transportNames lists the transports for people.
func transportNames() string {
	var names []string
	for _, name := range transport.Names() {
		names = append(names, name.String())
	}
	return strings.Join(names, ", ")
}

func listScenarios(w io.Writer) error {
	all, err := load.Scenarios()
	if err != nil {
		return err
	}
	for _, s := range all {
		if _, err := fmt.Fprintf(w, "%-13s %s\n", s.Name, s.About); err != nil {
			return fmt.Errorf("print the scenarios: %w", err)
		}
	}
	return nil
}

// complete turns the flags into the load's configuration.
func (f *loadFlags) complete() error {
	scenario, err := load.FindScenario(f.scenario)
	if err != nil {
		return err
	}
	if f.duration != 0 {
		scenario.Duration = f.duration
	}
	if f.load.Scenario, err = scenario.Scale(f.connections, f.rate, f.rooms); err != nil {
		return fmt.Errorf("scenario %s: %w", f.scenario, err)
	}
	if f.over != "" {
		if f.load.Scenario, err = f.load.Scenario.Over(f.over); err != nil {
			return fmt.Errorf("scenario %s over %s: %w", f.scenario, f.over, err)
		}
	}
	for _, source := range f.sources {
		addresses, err := parseAddresses(source)
		if err != nil {
			return fmt.Errorf("--source: %w", err)
		}
		f.load.Sources = append(f.load.Sources, addresses...)
	}
	if f.keyFile == "" {
		return nil
	}
	key, err := auth.LoadKey(f.keyFile)
	if err != nil {
		return fmt.Errorf("--auth-key-file: %w", err)
	}
	if f.load.Authority, err = auth.New(key); err != nil {
		return fmt.Errorf("--auth-key-file: %w", err)
	}
	return nil
}

// mostAddresses bounds a range of addresses.
const mostAddresses = 1000

// parseAddresses reads an address, or the first and the last of several.
func parseAddresses(text string) ([]netip.Addr, error) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	first, err := netip.ParseAddr(from)
	if err != nil {
		return nil, fmt.Errorf("%q is no address: give one as in 127.0.0.1, or a range as in 127.0.0.1-127.0.0.8", text)
	}
	last, err := netip.ParseAddr(to)
	if err != nil || last.Less(first) {
		return nil, fmt.Errorf("%q is no range of addresses: give the first and the last, as in 127.0.0.1-127.0.0.8", text)
	}
	var all []netip.Addr
	for a := first; a.IsValid() && !last.Less(a); a = a.Next() {
		if len(all) >= mostAddresses {
			return nil, fmt.Errorf("%q are more than %d addresses", text, mostAddresses)
		}
		all = append(all, a)
	}
	return all, nil
}

// watched runs the load together with a client of instrument/client. The metrics of this client show how the service
// under load is for a well-behaved client: how often it is disconnected, for how long, which events it misses, and how
// late they arrive.
func (f *loadFlags) watched(ctx context.Context, run func(context.Context) error) error {
	server, err := upstream.Parse(f.load.URLs[0])
	if err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	tokens, err := upstream.TokensFrom(f.keyFile)
	if err != nil {
		return fmt.Errorf("--auth-key-file: %w", err)
	}
	watcher, err := bot.New(bot.Config{Server: server, Tokens: tokens})
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	if err := registry.Register(watcher); err != nil {
		return fmt.Errorf("register the metrics: %w", err)
	}
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	return withMetrics(ctx, f.listen, metrics, slog.New(slog.DiscardHandler), func(ctx context.Context, _ string) error {
		watching, stop := context.WithCancel(ctx)
		watched := make(chan error, 1)
		go func() { watched <- watcher.Run(watching, time.Minute, func(bot.Record) {}) }()
		err := run(ctx)
		stop()
		return errors.Join(err, <-watched)
	})
}

func runLoad(ctx context.Context, cfg load.Config, asJSON bool, out, progress io.Writer) error {
	interval, show, done := progressTo(progress)
	result, err := load.Run(ctx, cfg, interval, show)
	done()
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(result)
	} else {
		err = result.Print(out)
	}
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return result.Err()
}

// progressTo returns a function that shows progress, and how often to call it. On a terminal it shows one line that
// changes. Elsewhere it writes lines, which are fewer. done ends it.
func progressTo(w io.Writer) (interval time.Duration, show func(load.Progress), done func()) {
	// The load goes on even if its progress can't be shown.
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		const clearLine = "\r\x1b[K"
		return 250 * time.Millisecond,
			func(p load.Progress) { _, _ = fmt.Fprint(w, clearLine, p) },
			func() { _, _ = fmt.Fprint(w, clearLine) }
	}
	return 5 * time.Second, func(p load.Progress) { _, _ = fmt.Fprintln(w, p) }, func() {}
}
