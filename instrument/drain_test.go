package instrument_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sockscope/sockscope/instrument"
)

func TestDrainOne(t *testing.T) {
	o := newObserver(t)
	c := open(t, o)
	if c.Drain() {
		t.Error("a connection closes without a function to close it")
	}
	closed := make(chan struct{})
	c.OnDrain(func() { close(closed) })
	if !c.Drain() {
		t.Error("Drain = false")
	}
	<-closed
	if c.Drain() {
		t.Error("a second Drain closes again")
	}
	if new(instrument.Conn).Drain() || (*instrument.Conn)(nil).Drain() {
		t.Error("nothing was closed")
	}
}

// TestDrain has connections that close at once, that take their time, and that open meanwhile.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObserver(t)
		shutdown := instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: instrument.ReasonShutdown}
		openWith := func(delay time.Duration) {
			c := open(t, o)
			c.OnDrain(func() {
				time.Sleep(delay)
				c.Closed(shutdown)
			})
		}
		for range 1000 {
			openWith(time.Millisecond)
		}
		openWith(time.Second)
		plain := open(t, o)
		go func() {
			time.Sleep(time.Second / 2)
			openWith(time.Second) // a client that reconnects
			plain.Closed(instrument.Cause{})
		}()
		start := time.Now()
		if err := o.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 1500*time.Millisecond {
			t.Errorf("Drain took %v, want 1.5s", took)
		}
		if !o.Draining() {
			t.Error("Draining = false")
		}
		if err := o.Drain(t.Context()); err != nil { // nothing is left
			t.Error(err)
		}
	})
}

func TestDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObserver(t, instrument.WithNamespace("chat"))
		open(t, o)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := o.Drain(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "drain chat: 1 connections are still open") {
			t.Errorf("Drain = %v, want it to say how many are left", err)
		}
		var none *instrument.Observer
		if err := none.Drain(ctx); err != nil {
			t.Errorf("Drain of nil = %v", err)
		}
	})
}

// TestDrainTwiceAtOnce has two callers wait for the same connection, as a signal handler and a shutdown hook do.
func TestDrainTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObserver(t)
		c := open(t, o)
		drained := make(chan error, 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range cap(drained) {
			go func() { drained <- o.Drain(ctx) }()
		}
		synctest.Wait()
		c.Closed(instrument.Cause{})
		for range cap(drained) {
			if err := <-drained; err != nil {
				t.Errorf("Drain = %v", err)
			}
		}
	})
}
