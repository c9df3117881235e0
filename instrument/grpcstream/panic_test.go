package grpcstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/grpcstream"
)

// panicking names the method whose handler is to panic, in the process that does not survive it.
const panicking = "GRPCSTREAM_TEST_PANIC"

// TestPanic has a handler panic in a process of its own, as gRPC does not recover it, and looks at what is left of it:
// the log records.
func TestPanic(t *testing.T) {
	if method := os.Getenv(panicking); method != "" {
		panicIn(t, method)
		return
	}
	type record struct{ Msg, Kind, Initiator, Reason string }
	failed := record{Msg: "connection error", Kind: "panic"}
	tests := map[string][]record{
		bidiMethod:         {failed, {Msg: "connection closed", Initiator: "local", Reason: "internal"}},
		serverStreamMethod: {failed, {Msg: "connection closed", Initiator: "local", Reason: "internal"}},
		unaryMethod:        {failed},
	}
	for method, want := range tests {
		t.Run(method, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			program := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestPanic$")
			program.Env = append(os.Environ(), panicking+"="+method)
			output, err := program.CombinedOutput()
			if exit := new(exec.ExitError); !errors.As(err, &exit) || !strings.Contains(string(output), "panic: oops") {
				t.Fatalf("the process ended with %v, want a panic:\n%s", err, output)
			}
			var got []record
			for line := range strings.SplitSeq(string(output), "\n") {
				var r record
				if json.Unmarshal([]byte(line), &r) == nil && r.Msg != "connection opened" {
					got = append(got, r)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("records, -want +got:\n%s\n%s", diff, output)
			}
		})
	}
}

// panicIn calls a method whose handler panics, and does not return.
func panicIn(t *testing.T, method string) {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	observers := map[string]*instrument.Observer{grpcstream.Protocol: nil, grpcstream.ConnectionProtocol: nil}
	for transport := range observers {
		var err error
		if observers[transport], err = instrument.New(instrument.WithProtocol(transport), instrument.WithLogger(logger)); err != nil {
			t.Fatal(err)
		}
	}
	s := new(server)
	s.start(t, &service{
		unary:  func(context.Context, *message) (*message, error) { panic("oops") },
		stream: func(grpc.ServerStream) error { panic("oops") },
	}, observedBy(t, grpcstream.Config{
		Streams: observers[grpcstream.Protocol], Connections: observers[grpcstream.ConnectionProtocol],
	}).ServerOptions()...)
	t.Fatalf("the call of a handler that panics returned: %v", call(t, dial(t, s), method, 0))
}
