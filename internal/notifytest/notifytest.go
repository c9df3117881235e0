// Package notifytest sends a test notification through a running Alertmanager, by the route that a real alert takes,
// and reports what each receiver's service answered.
//
// Alertmanager's API does not say whether a notification arrived. Its metrics do, by receiver and kind of service. Only
// its log has the text of the service's answer, so the log is read if possible.
package notifytest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// AlertName is the name of the test alert. Routes may treat it in their own way, so that a test takes seconds.
const AlertName = "NotifyTest"

// poll is how often Alertmanager is asked for changes.
const poll = 200 * time.Millisecond

// ErrFailed is wrapped by Run's error if a receiver was not reached. Other errors mean that the test could not be made.
var ErrFailed = errors.New("the test notification did not reach")

// Config says where Alertmanager is and what to send.
type Config struct {
	Alertmanager string // URL
	Severity     string // of the alert, "critical" or "warning"
	Log          string // file of Alertmanager's log; empty, or missing, if it can't be read

	// Timeout bounds the wait for the notification, and then the wait for the notification of its end.
	Timeout time.Duration
}

func (c Config) validate() error {
	if u, err := url.Parse(c.Alertmanager); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("--alertmanager: %q is not an address; write it like http://127.0.0.1:9093", c.Alertmanager)
	}
	if c.Timeout <= 0 {
		return fmt.Errorf("--timeout: %v leaves no time; give it at least some seconds", c.Timeout)
	}
	return nil
}

// Result is the result of the notification on one of its ways, or of the notification of its end.
type Result struct {
	Receiver string  `json:"receiver"`
	Channel  string  `json:"channel"` // kind of service, as "pagerduty"
	Event    string  `json:"event"`   // "trigger" or "resolve"
	OK       bool    `json:"ok"`
	Seconds  float64 `json:"seconds"`          // since the alert was sent, or ended
	Detail   string  `json:"detail"`           // what was seen
	Cause    string  `json:"cause,omitempty"`  // of a failure: what the service or Alertmanager said
	Advice   string  `json:"advice,omitempty"` // of a failure: what to do
}

// Way names the receiver, and the kind of service if that has another name.
func (r Result) Way() string {
	if r.Receiver == r.Channel {
		return r.Channel
	}
	return r.Receiver + " by " + r.Channel
}

// Run sends the alert, calls report with the result on each way, and ends the alert again, whatever happens. The error
// names the ways on which it failed.
func Run(ctx context.Context, cfg Config, report func(Result)) (err error) {
	if err := cfg.validate(); err != nil {
		return err
	}
	r := &run{
		cfg:    cfg,
		base:   strings.TrimRight(cfg.Alertmanager, "/"),
		id:     "test-" + uuid.NewString()[:8],
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}},
		report: report,
	}
	defer r.client.CloseIdleConnections()
	return r.run(ctx)
}

// run is one test.
type run struct {
	cfg    Config
	base   string // URL of Alertmanager
	id     string // distinguishes this test from others
	client *http.Client
	report func(Result)
	failed []string
}

func (r *run) run(ctx context.Context) (err error) {
	known, err := r.receivers(ctx)
	if err != nil {
		return err
	}
	log := openLog(r.cfg.Log, r.id)
	before, err := r.counts(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := r.post(ctx, time.Time{}); err != nil {
		return fmt.Errorf("send the test alert: %w", err)
	}
	// The alert must end even if the test was interrupted, so that nobody is left with it.
	ended := false
	end := func() error {
		if ended {
			return nil
		}
		ended = true
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := r.post(ctx, time.Now()); err != nil {
			return fmt.Errorf("end the test alert, which ends by itself within %v: %w", r.lasts(), err)
		}
		return nil
	}
	defer func() { err = errors.Join(err, end()) }()

	ways, err := r.ways(ctx, known)
	if err != nil {
		return err
	}
	reached, err := r.follow(ctx, ways, before, began, "trigger", log)
	if err != nil {
		return err
	}
	if before, err = r.counts(ctx); err != nil {
		return err
	}
	began = time.Now()
	if err := end(); err != nil {
		return err
	}
	reached = slices.DeleteFunc(reached, func(w way) bool { return !w.sendsResolved })
	if _, err := r.follow(ctx, reached, before, began, "resolve", log); err != nil {
		return err
	}
	if len(r.failed) > 0 {
		return fmt.Errorf("%w: %s", ErrFailed, strings.Join(r.failed, ", "))
	}
	return nil
}

// way is one kind of service in one receiver, and how many of it there are.
type way struct {
	receiver, channel string
	number            int
	sendsResolved     bool
}

// ways returns the ways by which Alertmanager notifies about the alert.
func (r *run) ways(ctx context.Context, known map[string][]way) ([]way, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	for {
		found, err := r.find(ctx)
		if err != nil {
			return nil, err
		}
		if found != nil {
			if held := found.heldBack(); held != "" {
				return nil, fmt.Errorf("%w anybody: Alertmanager holds it back, since it is %s", ErrFailed, held)
			}
			var ways []way
			var names []string
			for _, receiver := range found.Receivers {
				names = append(names, receiver.Name)
				ways = append(ways, known[receiver.Name]...)
			}
			if len(ways) == 0 {
				return nil, fmt.Errorf("%w anybody: alerts of severity %s go to the receiver %s, which tells nobody", ErrFailed, r.cfg.Severity, strings.Join(names, ", "))
			}
			return ways, nil
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for Alertmanager to list the test alert: %w", ctx.Err())
		}
	}
}

// follow waits until each way has ended well or badly, and returns those that ended well.
func (r *run) follow(ctx context.Context, ways []way, before counts, began time.Time, event string, log *logReader) ([]way, error) {
	limited, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	var reached []way
	open := slices.Clone(ways)
	for len(open) > 0 {
		now, err := r.counts(limited)
		if err != nil && limited.Err() == nil {
			return nil, err
		}
		late := limited.Err() != nil
		open = slices.DeleteFunc(open, func(w way) bool {
			result := Result{Receiver: w.receiver, Channel: w.channel, Event: event, Seconds: time.Since(began).Seconds()}
			delta := now.of(w).minus(before.of(w))
			switch {
			case err != nil || now == nil:
				if !late {
					return false
				}
				r.fail(result, failure{reason: "timeout"})
			case len(delta.failed) > 0:
				r.fail(result, failure{reason: delta.failed[0], words: log.words(w)})
			case delta.requests-delta.refused >= w.number:
				result.OK, result.Detail = true, "was told"
				if event == "resolve" {
					result.Detail = "was told that it is over"
				}
				reached = append(reached, w)
				r.report(result)
			case late && delta.refused > 0:
				r.fail(result, failure{reason: "retrying", words: log.words(w)})
			case late:
				r.fail(result, failure{reason: "timeout"})
			default:
				return false
			}
			return true
		})
		if ctx.Err() != nil {
			return reached, fmt.Errorf("test interrupted: %w", ctx.Err())
		}
		if len(open) == 0 {
			break
		}
		select {
		case <-time.After(poll):
		case <-limited.Done():
		}
	}
	return reached, nil
}

// fail reports a way on which it went wrong.
func (r *run) fail(result Result, f failure) {
	result.Detail, result.Cause, result.Advice = f.explain(result.Channel, result.Event, r.cfg)
	r.failed = append(r.failed, result.Way())
	r.report(result)
}

// lasts is how long the alert fires if nobody ends it.
func (r *run) lasts() time.Duration { return 2*r.cfg.Timeout + time.Minute }
