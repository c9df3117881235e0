package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sockscope/sockscope/deploy"
	"github.com/sockscope/sockscope/internal/bundle"
	"github.com/sockscope/sockscope/internal/check"
	"github.com/sockscope/sockscope/internal/component"
	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/internal/stack"
)

type upFlags struct {
	stack      stackFlags
	detach     bool
	secrets    string
	grafana    string
	loki       string
	alertSpeed int
	bundle     string
	store      storeFlags
}

// stackFlags say which stack is meant.
type stackFlags struct {
	portOffset int
	data       string
}

func (f *stackFlags) register(flags *pflag.FlagSet) {
	flags.IntVar(&f.portOffset, "port-offset", 0, "add `N` to every port")
	flags.StringVar(&f.data, "data", "", "keep what is stored in `DIR` (default ~/.local/share/sockscope, with -N for a port offset)")
}

// directory is where the stack keeps what it stores.
func (f *stackFlags) directory() (string, error) {
	data := f.data
	if data == "" {
		var err error
		if data, err = defaultData(f.portOffset); err != nil {
			return "", err
		}
	}
	return filepath.Abs(data)
}

func newUpCommand() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run the whole stack and the demo on this machine, without Docker",
		Long: `Run Prometheus, Alertmanager, the OpenTelemetry Collector, Jaeger, VictoriaLogs,
the demo service, a probe of it and the desk as processes on the loopback
interface, and Grafana too if it is installed. If Loki is installed, it keeps the
log records instead of VictoriaLogs. Once all are ready, a message is sent and
followed through the whole path, like by "sockscope check".

The components are built from Go modules with pinned versions. The first start builds
them into the cache directory. Every further start takes seconds. A bundle has built
components, and needs neither Go nor a network. The components' data survives a
restart. Ctrl-C stops everything.

With --detach the stack goes on in the background once it is ready. Then use
"sockscope status", "sockscope logs" and "sockscope down", which find it by the same
--data or --port-offset, and also work for a stack in another terminal.

Alerts go to the desk's inbox. To reach real people, pass your own secrets: by files
in a folder (--secrets), or by the variables SOCKSCOPE_PAGERDUTY_ROUTING_KEY,
SOCKSCOPE_SLACK_API_URL and SOCKSCOPE_WATCHDOG_URL. See docs/on-call.md.

To scrape your own service, put a file for it next to targets/demo.yaml in the data
directory. It is read within ten seconds, and kept.`,
		Example: `  sockscope up
  sockscope up --detach                # in the background; sockscope down stops it
  sockscope up --bundle sockscope_0.2.0_linux_amd64.tar.gz
  sockscope up --port-offset 10000     # a second stack beside the first
  sockscope up --secrets ~/sockscope   # pagerduty_routing_key, slack_api_url, …
  sockscope notify-test                # then see whether somebody is reached`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runUp(cmd, f) },
	}
	flags := cmd.Flags()
	f.stack.register(flags)
	flags.BoolVarP(&f.detach, "detach", "d", false, "leave the stack running in the background once it is ready")
	flags.StringVar(&f.secrets, "secrets", "", "page for real: take pagerduty_routing_key, slack_api_url and watchdog_url from `DIR`, if they exist")
	flags.StringVar(&f.grafana, "grafana", "", "run the grafana binary at `PATH` (default the one in --bin-dir or on PATH, if any)")
	flags.StringVar(&f.loki, "loki", "", "keep log records by the loki binary at `PATH` (default the one in --bin-dir or on PATH, if any; empty for VictoriaLogs)")
	flags.IntVar(&f.alertSpeed, "alert-speed", 1, "divide the durations of alerts by `N`, to see them sooner")
	flags.StringVar(&f.bundle, "bundle", "", "take the components from `FILE`, a bundle of this program's release, and build nothing")
	f.store.register(flags)
	return cmd
}

func runUp(cmd *cobra.Command, f upFlags) error {
	store, err := f.store.open()
	if err != nil {
		return err
	}
	if f.bundle != "" {
		if err := bundle.Unpack(cmd.Context(), f.bundle, store, component.Services()); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	data, err := f.stack.directory()
	if err != nil {
		return err
	}
	if offset := f.stack.portOffset; offset < -1000 || offset > 40000 {
		return fmt.Errorf("--port-offset %d leads out of the range of ports: take one from -1000 to 40000", offset)
	}
	if f.alertSpeed < 1 {
		return fmt.Errorf("--alert-speed %d: take 1 or more", f.alertSpeed)
	}
	grafana := f.grafana
	if grafana == "" {
		grafana = store.Installed("grafana")
	}
	loki := f.loki
	if !cmd.Flags().Changed("loki") {
		loki = store.Installed("loki")
	}
	secretValues := make(map[string]string)
	for _, secret := range stack.Secrets() {
		secretValues[secret.Name] = os.Getenv(secret.Variable)
	}
	proof := check.Local(f.stack.portOffset)
	if loki != "" {
		proof.VictoriaLogs = ""
	} else {
		proof.Loki = ""
	}
	options := stack.Options{
		Deploy:       store.Deploy,
		Data:         data,
		Secrets:      f.secrets,
		SecretValues: secretValues,
		Self:         self,
		Version:      cmd.Root().Version,
		Grafana:      grafana,
		Loki:         loki,
		At:           endpoint.Local(f.stack.portOffset),
		AlertSpeed:   f.alertSpeed,
		Store:        store,
		Prove: func(ctx context.Context) error {
			return check.Run(ctx, proof, check.Printer(os.Stdout, wantsColour(os.Stdout)))
		},
		Display: stack.NewDisplay(os.Stdout),
	}
	if f.detach {
		return stack.Detach(cmd.Context(), options, attached(os.Args[1:]))
	}
	return stack.Up(cmd.Context(), options)
}

// attached returns the arguments of this program without the flag to detach.
func attached(args []string) []string {
	var rest []string
	for _, arg := range args {
		if flag, _, _ := strings.Cut(arg, "="); flag != "--detach" && flag != "-d" {
			rest = append(rest, arg)
		}
	}
	return rest
}

// defaultData is where programs keep a user's data by the XDG base directory specification.
func defaultData(portOffset int) (string, error) {
	base := os.Getenv("XDG_DATA_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the home directory: %w (name a directory by --data)", err)
		}
		base = filepath.Join(home, ".local", "share")
	}
	name := "sockscope"
	if portOffset != 0 {
		name += "-" + strconv.Itoa(portOffset)
	}
	return filepath.Join(base, name), nil
}

// storeFlags say where the settings and the components' binaries are.
type storeFlags struct {
	deploy string
	cache  string
	search []string
}

func (f *storeFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.deploy, "deploy", "", "take the settings and modules of the components from `DIR` (default those that this program has in itself; see sockscope settings)")
	flags.StringVar(&f.cache, "cache", "", "keep built components in `DIR` (default the user's cache directory)")
	flags.StringSliceVar(&f.search, "bin-dir", nil, "look in `DIR` for binaries of the right versions first")
}

func (f *storeFlags) open() (*component.Store, error) {
	if runtime.GOOS == "windows" {
		return nil, errors.New("the components of the stack run on Linux and macOS: on Windows use WSL, or docker compose")
	}
	store := &component.Store{Deploy: deploy.Files(), Dir: f.cache, Search: f.search}
	if f.deploy != "" {
		store.Deploy = os.DirFS(f.deploy)
	}
	var err error
	if store.Dir == "" {
		if store.Dir, err = component.DefaultDir(); err != nil {
			return nil, err
		}
	}
	if store.Dir, err = filepath.Abs(store.Dir); err != nil {
		return nil, err
	}
	return store, nil
}
