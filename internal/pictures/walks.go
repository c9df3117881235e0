package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	// connecting is how long the load takes until all are connected.
	connecting = 5 * time.Second
	// forgetting is how long the findings of a walk last: the next one should not meet them.
	forgetting = time.Minute
)

// A walk is how somebody finds a fault: by the live console alone, then by the desk alone. docs/walks.md tells it.
type walk struct {
	name            string
	fault, strength string
	load            []string
	console, desk   []step
}

func walks() []walk {
	people := []string{"--connections", "100", "--rate", "50"}
	record, opened := clickFirst("ol.records summary"), scrollTo("details[open] summary")
	return []walk{
		{
			name: "slow-store", fault: "slow_store", strength: "1500", load: people,
			console: []step{see("Handling a message takes up to"), click("See slow messages"), see("history.append")},
			desk:    []step{click("Connections"), click("See slow messages"), clickFirst(".found .match"), see("history.append")},
		},
		{
			name: "slow-consumer", fault: "slow_consumer", strength: "0.03", load: people,
			console: []step{see("behind: the oldest"), click("Show them"), clickFirst("#table tbody a"), see("oldest queued")},
			desk:    []step{click("Connections"), click("Show them"), clickFirst("table.live a"), see("the oldest for")},
		},
		{
			name: "handshake-errors", fault: "handshake_errors", strength: "0.5", load: []string{"--scenario", "churn"},
			console: []step{see("were refused"), click("See warnings"), see("handshake refused")},
			desk:    []step{click("Connections"), click("See refused handshakes"), record, see("http_status"), opened},
		},
		{
			name: "mass-disconnect", fault: "mass_disconnect", strength: "0.5", load: people,
			console: []step{see("in the last minute broke"), click("See how they closed"), see("abnormal (1006)")},
			desk:    []step{click("Connections"), click("See how they closed"), click("unexpected EOF"), see("initiator"), opened},
		},
		{
			name: "half-open", fault: "half_open", strength: "1", load: people,
			console: []step{see("not answered a ping"), click("Show them"), see("unanswered")},
			desk:    []step{click("Connections"), click("Show them"), clickFirst("table.live a"), see("unanswered for")},
		},
	}
}

// walk breaks the demo, finds out how by each page, and says how long that took.
func (w walk) walk(ctx context.Context, s *stack, v *viewer) (err error) {
	stop, err := s.load(ctx, w.load...)
	if err != nil {
		return err
	}
	defer stop()
	if err := v.do(pause(connecting)); err != nil {
		return err
	}
	heal, err := s.fault(ctx, w.fault, w.strength)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, heal()) }()
	for _, place := range []struct {
		name, address string
		steps         []step
	}{
		{"console", s.demo() + "/debug/realtime/", w.console},
		{"desk", s.desk(), w.desk},
	} {
		start := time.Now()
		steps := append([]step{look("light"), open(place.address)}, place.steps...)
		if err := v.do(steps...); err != nil {
			return fmt.Errorf("in the %s: %w", place.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s was found in the %s after %.0f s\n", w.fault, place.name, time.Since(start).Seconds())
		// The page may still scroll.
		if err := v.do(pause(time.Second), picture("walk-"+w.name+"-"+place.name)); err != nil {
			return err
		}
	}
	return v.do(open("about:blank"))
}
