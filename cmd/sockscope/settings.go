package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sockscope/sockscope/deploy"
)

func newSettingsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "settings DIR",
		Short: "Write the stack's settings into a folder, to change them",
		Long: `Write the settings of the stack's components into a folder: alert rules, routes,
dashboards, and the modules that the components are built from. Change them
there, and pass the folder to "sockscope up".

A later version of this program may need other settings. Then write them again and
compare.`,
		Example: `  sockscope settings mine
  $EDITOR mine/prometheus/rules/websocket.yml
  sockscope up --deploy mine`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.CopyFS(args[0], deploy.Files()); err != nil {
				return fmt.Errorf("write the settings: %w (files that exist are not replaced: name a new folder)", err)
			}
			return nil
		},
	}
}
