package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/internal/logstore"
)

// checkDataSurvives stops everything, starts it again, and looks for what was there before: each store must have its
// volume, and be able to write to it.
func checkDataSurvives(ctx context.Context, c *compose) error {
	at := endpoint.Local(c.offset)
	room := newChat(at.Demo)
	if err := room.sayOnce(ctx); err != nil {
		return fmt.Errorf("say something to be found again: %w", err)
	}
	before := time.Now()
	step("stopping everything")
	if err := c.run(ctx, "down"); err != nil {
		return err
	}
	step("stopped in %s", since(before))
	if err := start(ctx, c); err != nil {
		return err
	}
	said, err := room.history(ctx)
	if err != nil {
		return fmt.Errorf("read what was said before the restart: %w", err)
	}
	if !slices.Equal(said, room.acked) {
		return fmt.Errorf("the demo lost its messages at a restart: it has %v of %v", said, room.acked)
	}
	step("the demo still has its messages")
	second := strconv.FormatInt(before.Unix(), 10)
	for _, data := range []struct{ of, url, has string }{
		{
			"Prometheus",
			"http://" + at.Prometheus + "/api/v1/query?" + url.Values{
				"query": {`websocket_connections_total{job="sockscope-demo"}`}, "time": {second},
			}.Encode(),
			`"status":"connected"`,
		},
		{
			"Jaeger",
			"http://" + at.JaegerQuery + "/api/traces?" + url.Values{
				"service": {"sockscope-demo"}, "limit": {"1"},
				"start": {strconv.FormatInt(before.Add(-time.Hour).UnixMicro(), 10)},
				"end":   {strconv.FormatInt(before.UnixMicro(), 10)},
			}.Encode(),
			`"traceID"`,
		},
		{"the desk", "http://" + at.Desk + "/api/inbox", `"event"`},
	} {
		if err := waitFor(ctx, data.url, data.has); err != nil {
			return fmt.Errorf("%s lost its data at a restart: %w", data.of, err)
		}
		step("%s still has its data", data.of)
	}
	if err := checkLogsSurvive(ctx, at, before); err != nil {
		return err
	}
	step("VictoriaLogs still has its data")
	return nil
}

func checkLogsSurvive(ctx context.Context, at endpoint.Set, before time.Time) error {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	records, err := logstore.VictoriaLogs("http://"+at.VictoriaLogs, transport).Records(ctx, logstore.Query{
		Service: "sockscope-demo", Start: before.Add(-time.Hour), End: before, Limit: 1,
	})
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return errors.New("VictoriaLogs lost its data at a restart")
	}
	return nil
}

// checkPaging starts the overlay for paging with a key of its own and waits for the heartbeat alert, which is sent by a
// secret that only its owner could read.
func checkPaging(ctx context.Context, c *compose) error {
	secrets, err := os.MkdirTemp("", "sockscope-secrets-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(secrets)
	const mark = "heartbeat-of-the-overlay"
	for name, secret := range map[string]string{
		"pagerduty_routing_key": strings.Repeat("0", 32),
		"watchdog_url":          "http://desk:8090/webhook/" + mark,
	} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(secret), 0o600); err != nil {
			return err
		}
	}
	overlaid := *c
	overlaid.files = append(overlaid.files, "docker-compose.paging.yml")
	overlaid.env = append(overlaid.env, "SOCKSCOPE_SECRETS="+secrets)
	step("starting the overlay for paging")
	if err := start(ctx, &overlaid); err != nil {
		return err
	}
	if err := waitFor(ctx, "http://"+endpoint.Local(c.offset).Desk+"/api/inbox", mark); err != nil {
		return fmt.Errorf("the overlay's heartbeat did not arrive: %w", err)
	}
	step("the overlay's heartbeat arrived")
	return nil
}

// waitFor asks until the answer contains what is wanted.
func waitFor(ctx context.Context, url, wanted string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	last := errors.New("it was not asked")
	for {
		answer, err := get(ctx, url)
		switch {
		case err == nil && strings.Contains(answer, wanted):
			return nil
		case err == nil:
			last = fmt.Errorf("%s has no %s in its answer %.500s", url, wanted, answer)
		case ctx.Err() == nil:
			last = err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return last
		}
	}
}

func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return string(body), err
}
