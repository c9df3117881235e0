package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/endpoint"
)

// checkScale starts the profile with three instances and has people chat across them while an instance is stopped,
// another one killed and Redis restarted.
func checkScale(ctx context.Context, c *compose) error {
	scaled := *c
	scaled.services = slices.Concat(c.services, c.scale)
	step("starting the profile scale")
	if err := start(ctx, &scaled); err != nil {
		return err
	}
	at := endpoint.Local(c.offset)
	if err := waitFor(ctx, countOf(at, `up{instance=~"demo-[123]:8080"} == 1`), `"3"]`); err != nil {
		return fmt.Errorf("the instances are not scraped: %w", err)
	}
	if err := waitFor(ctx, countOf(at, `websocket_probe_success{target=~"demo|scale"} == 1`), `"2"]`); err != nil {
		return fmt.Errorf("the probes of the demo and of the instances don't both succeed: %w", err)
	}
	step("the probes of the demo, and of the instances through nginx, succeed")
	for _, instance := range []string{"demo-1/", "demo-2/", "demo-3/"} { // and the number of the process
		if err := waitFor(ctx, "http://"+at.Desk+"/connections", instance); err != nil {
			return fmt.Errorf("the desk does not know the connections of all instances: %w", err)
		}
	}
	step("the desk has the connections of all instances")
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	room := newChat(at.Scale)
	if err := checkEvents(ctx, c, room); err != nil {
		return fmt.Errorf("server-sent events through nginx: %w", err)
	}
	step("what is posted reaches its event stream, wherever that is")
	if err := room.throughTrouble(ctx, func() error { return trouble(ctx, c, room) }); err != nil {
		c.showTrouble(context.WithoutCancel(ctx))
		return err
	}
	return nil
}

func checkEvents(ctx context.Context, c *compose, room *chat) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	return room.checkEvents(ctx,
		func(instance string) error { return c.run(ctx, "stop", instance) },
		func(instance string) error { return c.run(ctx, upAgain(instance)...) })
}

// upAgain is the command that starts a service which was stopped.
func upAgain(service string) []string {
	return []string{"up", "--detach", "--wait", "--no-build", "--no-deps", service}
}

// throughTrouble has people talk and listen while trouble is made, and compares what they were told with what the
// history has.
func (c *chat) throughTrouble(ctx context.Context, trouble func() error) error {
	const people = 3
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var talking, listening sync.WaitGroup
	var last atomic.Int64
	last.Store(math.MaxInt64) // until they have stopped talking
	stop := make(chan struct{})
	talkErrors, listenErrors, heard := make([]error, people), make([]error, people), make([][]string, people)
	for i := range people {
		talking.Go(func() { talkErrors[i] = c.speak(ctx, fmt.Sprintf("speaker-%d", i), stop) })
		listening.Go(func() { heard[i], listenErrors[i] = c.listen(ctx, fmt.Sprintf("listener-%d", i), &last) })
	}
	err := trouble()
	close(stop)
	talking.Wait()
	said, historyErr := c.history(ctx)
	last.Store(int64(len(said)))
	listening.Wait()
	if err := errors.Join(err, errors.Join(talkErrors...), historyErr, errors.Join(listenErrors...)); err != nil {
		return err
	}
	for i := range people {
		if diff := cmp.Diff(said, heard[i]); diff != "" {
			return fmt.Errorf("listener-%d heard something else than the history has (-history +heard):\n%s", i, diff)
		}
	}
	return c.compare(said)
}

// compare makes sure that what was acknowledged is in the history once.
func (c *chat) compare(said []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	times := make(map[string]int, len(said))
	for _, id := range said {
		times[id]++
	}
	for _, id := range c.acked {
		if times[id] != 1 {
			return fmt.Errorf("message %s was acknowledged and is in the history %d times", id, times[id])
		}
	}
	step("%d messages were acknowledged, each is in the history once and was heard by all in order; connecting failed %d times",
		len(c.acked), len(c.failed))
	return nil
}

// trouble is what happens while people talk.
func trouble(ctx context.Context, c *compose, room *chat) error {
	if err := room.awaitNodes(ctx, 3); err != nil {
		return err
	}
	for _, t := range []struct {
		what    string
		command []string
		goesOn  bool // people can talk meanwhile
	}{
		{"an instance is stopped", []string{"stop", "demo-1"}, true},
		{"the instance is started again", upAgain("demo-1"), true},
		{"another one is killed", []string{"kill", "demo-2"}, true},
		{"that one is started again", upAgain("demo-2"), true},
		{"Redis is restarted", []string{"restart", "redis"}, true},
		{"Redis is killed", []string{"kill", "redis"}, false},
		{"Redis is started again", upAgain("redis"), true},
	} {
		step("%s", t.what)
		before := len(room.failures())
		if err := c.run(ctx, t.command...); err != nil {
			return err
		}
		if !t.goesOn {
			continue
		}
		if err := room.awaitProgress(ctx); err != nil {
			return fmt.Errorf("when %s: %w", t.what, err)
		}
		if failed := room.failures()[before:]; t.command[0] == "stop" && len(failed) > 0 {
			return fmt.Errorf("clients of an instance that was stopped in order could not connect at once: %w", errors.Join(failed...))
		}
	}
	return nil
}

func (c *chat) failures() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.failed)
}

// awaitNodes waits until clients have been on so many instances.
func (c *chat) awaitNodes(ctx context.Context, n int) error {
	return c.await(ctx, func() error {
		if len(c.nodes) < n {
			return fmt.Errorf("clients are on %d instances only, of %d", len(c.nodes), n)
		}
		return nil
	})
}

// awaitProgress waits until more is acknowledged.
func (c *chat) awaitProgress(ctx context.Context) error {
	c.mu.Lock()
	before := len(c.acked)
	c.mu.Unlock()
	return c.await(ctx, func() error {
		if len(c.acked) < before+20 {
			return errors.Join(fmt.Errorf("%d messages were acknowledged within a while", len(c.acked)-before), errors.Join(c.failed...))
		}
		return nil
	})
}

func (c *chat) await(ctx context.Context, holds func() error) error {
	deadline := time.Now().Add(45 * time.Second)
	for {
		c.mu.Lock()
		err := holds()
		c.mu.Unlock()
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// checkScaleForgotten makes sure that instances which aren't meant to run are not looked for.
func checkScaleForgotten(ctx context.Context, c *compose) error {
	at := endpoint.Local(c.offset)
	if err := waitFor(ctx, countOf(at, `count_over_time(up{instance=~"demo-[123]:8080"}[30s])`), `"result":[]`); err != nil {
		return fmt.Errorf("instances of the profile scale are looked for without it: %w", err)
	}
	step("without the profile scale its instances are not looked for")
	return nil
}

func countOf(at endpoint.Set, query string) string {
	return "http://" + at.Prometheus + "/api/v1/query?" + url.Values{"query": {"count(" + query + ")"}}.Encode()
}
