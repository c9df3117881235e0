package supervise

import (
	"context"
	"io"
	"net/http"
	"time"
)

const (
	probeEvery   = 100 * time.Millisecond
	probeTimeout = 2 * time.Second
)

// waitReady returns when the URL answers 200, or when ctx ends.
func waitReady(ctx context.Context, url string) error {
	// A connection that is kept would outlive the program behind it.
	client := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		if answers(ctx, client, url) {
			return nil
		}
		select {
		case <-time.After(probeEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func answers(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	return resp.StatusCode == http.StatusOK
}
