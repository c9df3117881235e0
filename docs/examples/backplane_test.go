package examples_test

import (
	"context"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestBackplane checks that a message to one node arrives at the other, and still arrives at its own node without
// Redis.
func TestBackplane(t *testing.T) {
	t.Parallel()
	binary := build(t, "backplane")
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	address, killRedis := startRedis(ctx, t)
	berlin := start(ctx, t, binary, "-redis", address)
	lisbon := start(ctx, t, binary, "-redis", address)

	ana := dial(ctx, t, lisbon.address)
	say(ctx, t, ana, "anybody?")
	hear(ctx, t, ana, "anybody?")
	berlin.exposes(ctx, t,
		`websocket_backplane_messages_total{backplane="redis",direction="receive",namespace="chat",result="ok"} 1`)

	ben := dial(ctx, t, berlin.address)
	say(ctx, t, ben, "hello")
	hear(ctx, t, ben, "hello")
	hear(ctx, t, ana, "hello")
	say(ctx, t, ana, "welcome")
	hear(ctx, t, ana, "welcome")
	hear(ctx, t, ben, "welcome") // and not a second hello before

	berlin.exposes(ctx, t,
		`websocket_backplane_up{backplane="redis",namespace="chat"} 1`,
		`websocket_backplane_messages_total{backplane="redis",direction="transmit",namespace="chat",result="ok"} 1`,
		`websocket_backplane_messages_total{backplane="redis",direction="receive",namespace="chat",result="ok"} 2`,
		`websocket_backplane_lag_seconds_count{backplane="redis",namespace="chat"} 2`)
	lisbon.exposes(ctx, t,
		`websocket_backplane_messages_total{backplane="redis",direction="transmit",namespace="chat",result="ok"} 2`,
		`websocket_backplane_messages_total{backplane="redis",direction="receive",namespace="chat",result="ok"} 1`,
		`websocket_backplane_lag_seconds_count{backplane="redis",namespace="chat"} 1`)

	killRedis()
	berlin.exposes(ctx, t, `websocket_backplane_up{backplane="redis",namespace="chat"} 0`)
	say(ctx, t, ben, "still there?")
	hear(ctx, t, ben, "still there?")
	berlin.exposes(ctx, t, `websocket_errors_total{kind="handler",namespace="chat"} 1`)

	berlin.terminate(t)
	goesAway(ctx, t, ben)
	lisbon.terminate(t)
	goesAway(ctx, t, ana)
	for name, node := range map[string]*program{"berlin": berlin, "lisbon": lisbon} {
		node.wait(t)
		if closed := node.logged("connection closed"); len(closed) != 1 || closed[0].Reason != "shutdown" {
			t.Errorf("%s does not tell that its connection was closed for the shutdown: %v", name, closed)
		}
	}
}

// startRedis runs a Redis of the test's own.
func startRedis(ctx context.Context, t *testing.T) (address string, kill func()) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("this test needs a Redis of its own: install redis-server: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(ctx, path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}
	t.Cleanup(kill)
	client := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1})
	defer client.Close()
	for ; client.Ping(ctx).Err() != nil; time.Sleep(10 * time.Millisecond) {
		if err := ctx.Err(); err != nil {
			t.Fatalf("redis-server does not answer: %v", err)
		}
	}
	return address, kill
}
