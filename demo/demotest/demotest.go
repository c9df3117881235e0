// Package demotest runs the demo for tests of what connects to it.
package demotest

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/history"
)

// Key is the one that tokens are signed with where a test brings no Authority of its own.
const Key = "a key for tests that is long enough"

// drainTimeout bounds how long a demo takes to end.
const drainTimeout = 20 * time.Second

// Run runs a demo until the test has ended, and returns what serves it. An Authority and a History are added where cfg
// has none; the latter ends with the test.
func Run(t testing.TB, cfg demo.Config) http.Handler {
	t.Helper()
	return run(t, cfg).Handler()
}

// RunGRPC is Run for a demo that speaks gRPC as well. It also returns the address of that.
func RunGRPC(t testing.TB, cfg demo.Config) (handler http.Handler, address string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.GRPC = true
	var service *demo.Server
	served := make(chan error, 1)
	t.Cleanup(func() { // after the demo has ended
		if service == nil {
			_ = l.Close()
		} else if err := <-served; err != nil {
			t.Errorf("serve gRPC: %v", err)
		}
	})
	service = run(t, cfg)
	go func() { served <- service.ServeGRPC(l) }()
	return service.Handler(), l.Addr().String()
}

func run(t testing.TB, cfg demo.Config) *demo.Server {
	t.Helper()
	if cfg.Authority == nil {
		var err error
		if cfg.Authority, err = auth.New([]byte(Key)); err != nil {
			t.Fatal(err)
		}
	}
	if cfg.History == nil {
		cfg.History = History(t, history.Limits{})
	}
	service, err := demo.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- service.Run(ctx) }()
	t.Cleanup(func() {
		drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		if err := service.Shutdown(drain); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		stop()
		if err := <-ran; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return service
}

// History returns an empty store in a file, which end with the test.
func History(t testing.TB, limits history.Limits) history.Store {
	t.Helper()
	file, err := history.OpenFile(filepath.Join(t.TempDir(), "history.db"), limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}
