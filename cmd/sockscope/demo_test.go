package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/sockscope/sockscope/internal/load"
)

// execute runs the program with these arguments.
func execute(ctx context.Context, out io.Writer, args ...string) error {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(io.Discard)
	return root.ExecuteContext(ctx)
}

// TestDemoReadyLoad runs the demo, asks whether it is ready, drives it, and ends it as a signal would.
func TestDemoReadyLoad(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	records, log := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := execute(ctx, log, "demo", "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0")
		_ = log.Close()
		ended <- err
	}()
	var listening struct{ Msg, Address, GRPC string }
	lines := json.NewDecoder(records)
	if err := lines.Decode(&listening); err != nil || listening.Msg != "demo listening" {
		t.Fatalf("the first record is %+v (%v)", listening, err)
	}
	go func() { _, _ = io.Copy(io.Discard, records) }()

	if err := execute(ctx, io.Discard, "ready", listening.Address+"/readyz"); err != nil {
		t.Error(err)
	}
	if err := execute(ctx, io.Discard, "ready", listening.Address+"/nothing"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("an address that answers 404: %v", err)
	}
	for _, path := range []string{"/", "/metrics", "/fault"} {
		if resp, err := http.Get(listening.Address + path); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %v, %v", path, resp, err)
		} else {
			_ = resp.Body.Close()
		}
	}

	speaksGRPC(ctx, t, listening.GRPC)

	var out bytes.Buffer
	url := strings.Replace(listening.Address, "http", "ws", 1) + "/ws"
	if err := execute(ctx, &out, "load", "--url", url, "--connections", "4", "--rate", "100", "--duration", "200ms", "--json"); err != nil {
		t.Error(err)
	}
	var result load.Result
	if err := json.Unmarshal(out.Bytes(), &result); err != nil || result.Acked != 20 || result.Rooms != 1 {
		t.Errorf("the result is %+v (%v)", result, err)
	}
	loadIsWatched(ctx, t, url)

	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the demo does not end")
	}
	if err := execute(t.Context(), io.Discard, "ready", listening.Address+"/readyz"); err == nil {
		t.Error("ready after its end")
	}
}

// speaksGRPC waits until the demo says over gRPC that it serves.
func speaksGRPC(ctx context.Context, t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	watch, err := healthv1.NewHealthClient(conn).Watch(ctx, new(healthv1.HealthCheckRequest))
	for err == nil {
		var state *healthv1.HealthCheckResponse
		if state, err = watch.Recv(); state.GetStatus() == healthv1.HealthCheckResponse_SERVING {
			return
		}
	}
	t.Errorf("health over gRPC: %v", err)
}

// loadIsWatched looks at the metrics of the client that a load has beside it.
func loadIsWatched(ctx context.Context, t *testing.T, url string) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- execute(ctx, io.Discard, "load", "--url", url, "--scenario", "idle", "--connections", "3", "--duration", "1m", "--listen", address)
	}()
	const want = `websocket_client_connected{client="market"} 1`
	metrics := ""
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(metrics, want); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s in\n%s", want, metrics)
		}
		if resp, err := http.Get("http://" + address + "/metrics"); err == nil {
			data, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			metrics = string(data)
		}
	}
	stop()
	<-ended // interrupted, which is no success
}

func TestDemoRefuses(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for want, args := range map[string][]string{
		"--listen":      {"--listen", taken.Addr().String()},
		"--grpc-listen": {"--listen", "127.0.0.1:0", "--grpc-listen", taken.Addr().String()},
		"--fault-api":   {"--fault-api", "maybe"},
		"SampleRatio":   {"--sample-ratio", "2"},
		"--redis is":    {"--redis", "127.0.0.1:6379"},
		"--kafka is":    {"--kafka", "127.0.0.1:9092/topic"},
	} {
		if err := execute(t.Context(), io.Discard, append([]string{"demo"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("demo %v: %v, want an error that names %s", args, err, want)
		}
	}
}
