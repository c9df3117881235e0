package demo

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
	"github.com/sockscope/sockscope/demo/wire"
)

// TestGRPCDrain drains a server with clients of every kind.
func TestGRPCDrain(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, DrainSpread: time.Second})
	chat := f.chatter("Ada")
	chat.join()
	subscriber := f.caller("Eve")
	subscription := subscriber.subscribe(0)
	subscription.await("ack")
	upload, err := f.caller("Dan").UploadLogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := upload.Send(&chatv1.UploadLogsRequest{Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	f.eventually(func() bool { return strings.Contains(f.logs.String(), "log record uploaded") }, func() string { return "no record" })
	watcher := healthv1.NewHealthClient(f.callerWith("").conn)
	watch, err := watcher.Watch(t.Context(), new(healthv1.HealthCheckRequest))
	if err != nil {
		t.Fatal(err)
	}
	awaitHealth(t, watch, healthv1.HealthCheckResponse_SERVING)

	var drained sync.WaitGroup
	drained.Go(func() { f.shutdown() })
	awaitHealth(t, watch, healthv1.HealthCheckResponse_NOT_SERVING)
	chat.await("going_away")
	if !subscriber.conn.WaitForStateChange(t.Context(), connectivity.Ready) { // by the GOAWAY, while its stream goes on
		t.Error("the connection stays in use")
	}
	want := failed{codes.Unavailable, "SHUTDOWN", "RetryInfo"}
	for who, err := range map[string]error{
		"Chat": chat.ended(), "SubscribeMessages": subscription.ended(), "UploadLogs": upload.RecvMsg(new(chatv1.UploadLogsResponse)),
	} {
		if failureOf(err) != want {
			t.Errorf("%s ends by %v, want %+v", who, err, want)
		}
	}
	drained.Wait()
	if _, err := f.caller("Ben").SendMessage(t.Context(), message("lobby", "too late")); status.Code(err) != codes.Unavailable {
		t.Errorf("a call after the end: %v", err)
	}
	f.awaitMetrics(map[string]float64{"grpc_stream_disconnections_total local shutdown": 4}, // the watcher is one
		"grpc_stream_disconnections_total", "grpc_stream_active_connections", "grpc_active_connections")
}

// awaitHealth reads until the service is in that state.
func awaitHealth(t *testing.T, watch healthv1.Health_WatchClient, want healthv1.HealthCheckResponse_ServingStatus) {
	t.Helper()
	for {
		got, err := watch.Recv()
		if err != nil {
			t.Fatalf("waiting for %v: %v", want, err)
		}
		if got.GetStatus() == want {
			return
		}
	}
}

// TestGRPCDrainDeadline has a client that reads nothing: the drain does not wait for it longer than it may.
func TestGRPCDrainDeadline(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Limits: Limits{SendQueue: 10_000, MessagesPerSecond: 1e6, MessageBurst: 1e6, Write: time.Minute}})
	slow, c := f.chatter("slow", smallWindow()...), f.caller("quick")
	slow.join()
	text := strings.Repeat("x", wire.MaxTextBytes)
	f.clog("grpc_stream_send_queue_messages", func() {
		if _, err := c.SendMessage(t.Context(), message("lobby", text)); err != nil {
			t.Fatal(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := f.chat.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "cut off 1 connection") {
		t.Errorf("shutdown: %v, want one connection cut off", err)
	}
	if err := slow.ended(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the stream ends by %v", err)
	}
	f.awaitMetrics(map[string]float64{"grpc_stream_disconnections_total local shutdown": 1}, "grpc_stream_disconnections_total", "grpc_active_connections")
}

// TestGRPCHealth has health follow the store.
func TestGRPCHealth(t *testing.T) {
	t.Parallel()
	store := &deaf{Store: complete(t, Config{}).History}
	f := start(t, Config{GRPC: true, History: store})
	client := healthv1.NewHealthClient(f.callerWith("").conn)
	watch, err := client.Watch(t.Context(), &healthv1.HealthCheckRequest{Service: chatv1.ChatService_ServiceDesc.ServiceName})
	if err != nil {
		t.Fatal(err)
	}
	awaitHealth(t, watch, healthv1.HealthCheckResponse_SERVING)
	store.silent.Store(true)
	awaitHealth(t, watch, healthv1.HealthCheckResponse_NOT_SERVING)
	if got, err := client.Check(t.Context(), new(healthv1.HealthCheckRequest)); err != nil || got.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("check: %v, %v", got, err)
	}
	store.silent.Store(false)
	awaitHealth(t, watch, healthv1.HealthCheckResponse_SERVING)
	if _, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "nothing"}); status.Code(err) != codes.NotFound {
		t.Errorf("health of what there is not: %v", err)
	}
}
