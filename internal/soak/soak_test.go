//go:build soak

package soak

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sockscope/sockscope/demo/fault"
	"github.com/sockscope/sockscope/internal/load"
	"github.com/sockscope/sockscope/internal/transport"
)

// rest is how long the service is left in peace between two faults.
const rest = 15 * time.Second

func TestSoak(t *testing.T) { soak(t, "./soak.yaml", 30*time.Minute) }

// TestTransports has clients of all transports in one room. Each transport has to work. Faults may take messages from
// them: these are in the load's report.
func TestTransports(t *testing.T) {
	r := soak(t, "transports", 10*time.Minute)
	if len(r.Transports) != len(transport.Names()) {
		t.Errorf("the report is about %d transports", len(r.Transports))
	}
	for _, over := range r.Transports {
		if over.Delivered == 0 {
			t.Errorf("nothing was delivered over %s", over.Transport)
		}
	}
}

// soak runs a scenario among faults. It lasts for the duration, unless SOAK says otherwise.
func soak(t *testing.T, scenario string, duration time.Duration) *load.Result {
	t.Helper()
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatalf("SOAK has to be like 30m: %v", err)
		}
	}
	s := start(t)
	ended := make(chan *load.Result, 1)
	go func() { ended <- s.load(scenario, duration) }()

	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	time.AfterFunc(duration/3, s.redis.restart)
	time.AfterFunc(2*duration/3, s.instances[1].restart)
	s.disturb(ctx)

	r := <-ended
	if r == nil {
		t.Fatal("the load tells nothing")
	}
	report, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the load's report:\n%s", report)
	switch h := r.History; {
	case h == nil:
		t.Fatal("the load did not read the histories")
	case h.Lost > 0 || h.Twice > 0:
		t.Errorf("of the acknowledged messages %d are not in the history, and %d more than once", h.Lost, h.Twice)
	case h.Kept+h.Trimmed != r.Acked:
		t.Errorf("%d messages were acknowledged, %d are in the history and %d no longer", r.Acked, h.Kept, h.Trimmed)
	case h.Kept == 0:
		t.Error("nothing was acknowledged")
	}
	s.check(t)
	return r
}

// disturb switches on one fault after the other, each for a while on one of the instances, until ctx ends.
func (s *service) disturb(ctx context.Context) {
	for ctx.Err() == nil {
		i := s.instances[rand.N(len(s.instances))]
		client := fault.Client{URL: i.url}
		faults, err := client.List(ctx)
		if err != nil {
			s.note("%s does not tell its faults: %v", i.name, err)
			wait(ctx, time.Second)
			continue
		}
		f := faults[rand.N(len(faults))]
		strength := f.Min + (f.Max-f.Min)*rand.Float64()*rand.Float64() // weaker ones more often
		if _, err := client.Set(ctx, f.Name, strength, rest); err != nil {
			s.note("%s does not take %s: %v", i.name, f.Name, err)
			continue
		}
		s.note("%s: %s, %.3g %s", i.name, f.Name, strength, f.Unit)
		wait(ctx, 2*rest)
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// load drives the instances and returns what came of it, nil if it told nothing.
func (s *service) load(scenario string, duration time.Duration) *load.Result {
	report := filepath.Join(s.dir, "load.json")
	out, err := os.Create(report)
	if err != nil {
		s.note("load: %v", err)
		return nil
	}
	defer func() { _ = out.Close() }()
	cmd := s.command("load", "--scenario="+scenario, "--duration="+duration.String(), "--url="+s.sockets(), "--grpc="+s.rpcs(),
		"--auth-key-file="+s.key, "--verify", "--json")
	cmd.Stdout = out
	if err := cmd.Run(); err != nil {
		s.note("load: %v", err) // it says that not all went well, which is no surprise
	}
	data, err := os.ReadFile(report)
	if err != nil {
		s.note("load: %v", err)
		return nil
	}
	r := new(load.Result)
	if err := json.Unmarshal(data, r); err != nil {
		s.note("load: %v", errors.Join(err, errors.New(strings.TrimSpace(string(data)))))
		return nil
	}
	return r
}

// check looks whether the instances are as they were: ready, and without the connections and goroutines of before.
func (s *service) check(t *testing.T) {
	for _, i := range s.instances {
		if err := i.ready(time.Minute); err != nil {
			t.Error(err)
		}
		for _, prefix := range []string{"websocket", "sse", "socketio", "grpc_stream"} {
			if open := i.metric(t, prefix+`_active_connections{namespace="chat"}`); open != 0 {
				t.Errorf("%s: %v %s connections are open after all clients have left", i.name, open, prefix)
			}
		}
		if n := i.metric(t, "go_goroutines"); n > 200 {
			t.Errorf("%s: %v goroutines are left", i.name, n)
		}
	}
}
