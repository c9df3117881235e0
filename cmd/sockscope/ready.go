package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// readyTimeout is how long an address may take to answer.
const readyTimeout = 3 * time.Second

func newReadyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ready URL",
		Short: "Succeed if the URL answers with status 200",
		Long: `Succeed if the URL answers with status 200, and fail otherwise: a health check
for images that have no shell.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return ready(cmd.Context(), args[0]) },
	}
}

func ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("make a request of %q: %w", url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	// Nothing is read of it, so closing has nothing to report.
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s answers %s", url, resp.Status)
	}
	return nil
}
