package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	// nodeVersion is of npm's package node, which has the program. It is for systems whose Node.js is too old, as that
	// of Debian 12 is.
	nodeVersion = "22.23.3"
	// nodeFolder is where that is installed. It is not on PATH, because Debian's npm runs with Debian's Node.js only.
	nodeFolder = ".cache/node"
)

// modernNode returns a Node.js that has WebSocket and EventSource, as browsers do. It is empty if there is none.
func modernNode(ctx context.Context) string {
	// Some versions have them behind flags, and later ones still know the flags.
	const flags, program = "--experimental-websocket --experimental-eventsource", "WebSocket && EventSource"
	ours, err := filepath.Abs(filepath.Join(nodeFolder, "node_modules", ".bin", "node"))
	if err != nil {
		return ""
	}
	for _, node := range []string{os.Getenv("NODE"), "node", ours} {
		cmd := exec.CommandContext(ctx, node, "-e", program)
		cmd.Env = append(os.Environ(), "NODE_OPTIONS="+flags)
		if node != "" && cmd.Run() == nil {
			return node
		}
	}
	return ""
}

// installNode installs one by npm.
func installNode(ctx context.Context) error {
	args := []string{"install", "--prefix", nodeFolder, "--no-save", "--no-audit", "--no-fund", "node@" + nodeVersion}
	fmt.Println("+ npm", strings.Join(args, " "))
	if out, err := exec.CommandContext(ctx, "npm", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("npm install: %w\n%s", err, out)
	}
	return nil
}
