package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// drainLimit is how long Serve waits for connections and requests to end.
const drainLimit = 10 * time.Second

// Serve listens on server.Addr and serves until ctx ends. Then it shuts down gracefully: it accepts no more
// connections, closes the connections of t's Observers by Observer.Drain, waits for other requests by server.Shutdown,
// and finally calls t.Shutdown. Connections and requests have ten seconds to end. Serve logs "listening" with the
// address. A server that fails before ctx ends is shut down in the same way. A nil error means that all of that
// succeeded.
//
// To shut down in another order, call Observer.Drain and Shutdown yourself.
func (t *Telemetry) Serve(ctx context.Context, server *http.Server) error {
	err := t.serve(ctx, server)
	return errors.Join(err, t.Shutdown(context.WithoutCancel(ctx)))
}

func (t *Telemetry) serve(ctx context.Context, server *http.Server) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", server.Addr)
	if err != nil {
		return fmt.Errorf("telemetry: serve: %w", err)
	}
	t.logger.InfoContext(ctx, "listening", "address", listener.Addr().String())
	// Open connections must be drained before server.Shutdown, which cuts off the code that serves them.
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	err = server.Serve(listener)
	if ctx.Err() != nil {
		err = nil // it was told to stop
	} else {
		err = fmt.Errorf("telemetry: serve: %w", err)
	}
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	err = errors.Join(err, t.drain(final))
	if late := server.Shutdown(final); late != nil {
		err = errors.Join(err, fmt.Errorf("telemetry: shut the server down: %w", late), server.Close())
	}
	return err
}

// drain closes the connections of all observers at the same time.
func (t *Telemetry) drain(ctx context.Context) error {
	t.mu.Lock()
	observers := t.observers
	t.mu.Unlock()
	errs := make([]error, len(observers))
	var draining sync.WaitGroup
	for i, o := range observers {
		draining.Go(func() { errs[i] = o.Drain(ctx) })
	}
	draining.Wait()
	return errors.Join(errs...)
}
