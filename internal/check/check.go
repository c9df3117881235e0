// Package check proves that telemetry goes all the way through a running stack. It holds a conversation with the demo
// over a WebSocket and follows one marked message into Prometheus, Jaeger, the log store and the desk's inbox, using
// only their public HTTP APIs.
package check

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sockscope/sockscope/internal/endpoint"
)

// Config says where the parts of the stack are, as URLs, and how long the whole check may take.
type Config struct {
	Demo       string
	Prometheus string
	Jaeger     string
	Desk       string

	// VictoriaLogs and Loki are the log stores. Either may be empty. If both are set, the running one is asked.
	VictoriaLogs string
	Loki         string

	// Timeout bounds the whole check: a step that has not succeeded by then has failed.
	Timeout time.Duration
}

// Local returns the configuration for the stack on this machine whose ports are shifted by offset, with a timeout of
// one minute.
func Local(offset int) Config {
	at := endpoint.Local(offset)
	return Config{
		Demo:       "http://" + at.Demo,
		Prometheus: "http://" + at.Prometheus,
		Jaeger:     "http://" + at.JaegerQuery,
		Desk:       "http://" + at.Desk,

		VictoriaLogs: "http://" + at.VictoriaLogs,
		Loki:         "http://" + at.Loki,

		Timeout: time.Minute,
	}
}

func (c Config) validate() error {
	addresses := map[string]string{"demo": c.Demo, "prometheus": c.Prometheus, "jaeger": c.Jaeger, "desk": c.Desk}
	if c.Loki != "" {
		addresses["loki"] = c.Loki
	}
	if c.VictoriaLogs != "" || c.Loki == "" {
		addresses["victorialogs"] = c.VictoriaLogs
	}
	for flag, address := range addresses {
		u, err := url.Parse(address)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return fmt.Errorf("--%s: %q is not an address; write it like http://127.0.0.1:8080", flag, address)
		}
	}
	if c.Timeout <= 0 {
		return fmt.Errorf("--timeout: %v leaves no time; give it at least some seconds", c.Timeout)
	}
	return nil
}

// Result is the result of one step of the check.
type Result struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Skipped bool    `json:"skipped,omitempty"` // not tried, because an earlier step that it needs failed
	Seconds float64 `json:"seconds"`           // from the event that the step follows until it held or was given up
	Detail  string  `json:"detail"`            // what was found or, if the step failed, what was missing

	// Only if the step failed: the last question, the answer, and where to look.
	URL    string `json:"url,omitempty"`
	Answer string `json:"answer,omitempty"`
	Next   string `json:"next,omitempty"`
}

// Run checks the stack and calls report with each result as soon as it is known, one call at a time. The steps run
// concurrently, so the seconds of each are its own. The error names the failed steps.
func Run(ctx context.Context, cfg Config, report func(Result)) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	r := newRun(cfg)
	defer r.http.CloseIdleConnections()
	var background sync.WaitGroup
	defer background.Wait()
	limited, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel() // before the wait: the conversation ends when nobody follows it any more
	background.Go(func() { r.measure(limited) })
	background.Go(func() { r.talk(limited) })

	steps := r.steps()
	results := make(chan Result)
	for _, s := range steps {
		background.Go(func() { results <- s.follow(limited) })
	}
	var failed []string
	for range steps {
		result := <-results
		if ctx.Err() != nil {
			continue // interrupted: what is still under way has not failed
		}
		if !result.OK && !result.Skipped {
			failed = append(failed, result.Name)
		}
		report(result)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("check interrupted: %w", err)
	}
	if len(failed) > 0 {
		return fmt.Errorf("%w: %s", ErrBroken, strings.Join(failed, ", "))
	}
	return nil
}

// ErrBroken is wrapped by Run's error if steps failed. Other errors mean that the check could not be made.
var ErrBroken = errors.New("the path through the stack is broken at these steps")
