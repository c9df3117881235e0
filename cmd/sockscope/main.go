// Command sockscope runs, drives and checks an observability stack for realtime
// services.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newRootCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "sockscope:", err)
		return 1
	}
	return 0
}

// version is that of the release or commit that this program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "development"
	}
	return info.Main.Version
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "sockscope",
		Short: "See your sockets: observability for realtime services",
		Long: `Sockscope runs a complete observability stack for WebSocket services on this
machine, together with a demo service to observe.

Start with "sockscope up", then open the address that it prints.`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newUpCommand(), newBotCommand(), newBuildCommand(), newCheckCommand(), newDeskCommand(), newDemoCommand(), newFaultCommand(), newLoadCommand(), newProbeCommand(), newReadyCommand())
	return root
}
