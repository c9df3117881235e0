// Command sockscope runs, drives and checks an observability stack for realtime services.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
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
		var exit exitError
		if errors.As(err, &exit) {
			return exit.code
		}
		return 1
	}
	return 0
}

func newRootCommand() *cobra.Command {
	info, ok := debug.ReadBuildInfo()
	if !ok { // only what the go command built has it
		info = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	root := &cobra.Command{
		Use:   "sockscope",
		Short: "See your sockets: observability for realtime services",
		Long: `Sockscope runs a complete observability stack for WebSocket services on this
machine, together with a demo service to observe.

Start with "sockscope up", then open the address that it prints.`,
		Version:       version(info),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("sockscope {{.Version}} (" + builtFrom(info) + ")\n")
	root.AddCommand(
		newUpCommand(), newStatusCommand(), newLogsCommand(), newDownCommand(),
		newBotCommand(), newBuildCommand(), newCheckCommand(), newDeskCommand(), newDemoCommand(), newDrillCommand(), newFaultCommand(),
		newLintCommand(), newLoadCommand(), newMixinCommand(), newNotifyTestCommand(), newProbeCommand(), newReadyCommand(), newSettingsCommand(), newTopCommand(),
	)
	return root
}
