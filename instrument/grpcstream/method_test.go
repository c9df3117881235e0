package grpcstream

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/stats"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// TestTypeName compares the message types of methods, which all must be such as can be registered.
func TestTypeName(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	tests := map[string]struct{ method, want string }{
		"short":                   {"/chat.v1.Chat/Join", "/chat.v1.Chat/Join"},
		"just fits":               {"/" + x(53) + ".v1.C/Join", "/" + x(53) + ".v1.C/Join"},
		"one byte too long":       {"/" + x(55) + ".v1.C/Join", "v1.C/Join"},
		"fits without the slash":  {"/" + x(54) + ".v1.C/Join", x(54) + ".v1.C/Join"},
		"fits from a dot on":      {"/a.bc." + x(54) + ".v1.C/Join", x(54) + ".v1.C/Join"},
		"package of one part":     {"/" + x(60) + ".Chat/Join", "Chat/Join"},
		"no package":              {"/" + x(60) + "/Join", x(59) + "/Join"},
		"long service":            {"/chat.v1." + x(60) + "/Join", x(59) + "/Join"},
		"long method":             {"/chat.v1.Chat/" + x(70), x(64)},
		"long service, just fits": {"/chat.v1." + x(59) + "/Join", x(59) + "/Join"},
		"as the documentation shows": {
			"/example.platform.infrastructure.notifications.v1.Notifications/Subscribe",
			"platform.infrastructure.notifications.v1.Notifications/Subscribe",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := typeName(tt.method)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("type of %q, -want +got:\n%s", tt.method, diff)
			}
			o, err := instrument.New(WithMethods(tt.method))
			if err != nil {
				t.Fatal(err)
			}
			if registered := o.MessageType(got).String(); registered != tt.want {
				t.Errorf("registered as %q, want %q", registered, tt.want)
			}
			if n := testing.AllocsPerRun(10, func() { typeName(tt.method) }); n != 0 {
				t.Errorf("%v allocations, want 0", n)
			}
		})
	}
}

// TestLongMethod makes RPCs of a method whose full name is too long for a label value, and of one that loses what told
// it apart: both observers count them by the rest of their names.
func TestLongMethod(t *testing.T) {
	const rest = "platform.infrastructure.notifications.v1.Notifications/Subscribe"
	methods := []string{"/example." + rest, "/elsewhere." + rest}
	streams := realtimetest.New(t, instrument.WithProtocol(Protocol), WithMethods(methods...))
	connections := realtimetest.New(t, instrument.WithProtocol(ConnectionProtocol), WithMethods(methods...))
	h := &handler{streams: streams.Observer, connections: connections.Observer}
	conn := h.TagConn(t.Context(), new(stats.ConnTagInfo))
	h.HandleConn(conn, new(stats.ConnBegin))
	for _, method := range methods {
		for _, begin := range []*stats.Begin{{IsClientStream: true}, {}} {
			rpc := h.TagRPC(conn, &stats.RPCTagInfo{FullMethodName: method})
			h.HandleRPC(rpc, begin)
			h.HandleRPC(rpc, &stats.InPayload{Length: 10, RecvTime: time.Now()})
			h.HandleRPC(rpc, &stats.End{EndTime: time.Now()})
		}
	}
	streams.Expect(map[string]float64{
		`grpc_stream_messages_total{direction="receive",type="` + rest + `"}`:  2,
		`sockscope_label_overflow_total{label="type",transport="grpc_stream"}`: 0,
	})
	connections.Expect(map[string]float64{
		`grpc_messages_total{direction="receive",type="` + rest + `"}`:  4,
		`grpc_message_duration_seconds_count{type="` + rest + `"}`:      2,
		`sockscope_label_overflow_total{label="type",transport="grpc"}`: 0,
	})
}
