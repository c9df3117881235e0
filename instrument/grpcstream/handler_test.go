package grpcstream

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// FuzzEvents has an RPC with any metadata tell its events in any order, and wants nothing left open when it has ended.
func FuzzEvents(f *testing.F) {
	f.Add([]byte{0, 2, 4, 6, 8, 10}, "/a.B/C", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", uint32(0))
	f.Add([]byte{0, 1, 5, 4, 3}, "", ":authority", "[::1]:80:80", uint32(7))
	f.Add([]byte{3, 3, 3}, "/", "", "\xff\x00", uint32(math.MaxUint32))
	streams, connections := observer(f, Protocol), observer(f, ConnectionProtocol)
	h := &handler{streams: streams, connections: connections}
	f.Fuzz(func(t *testing.T, events []byte, method, key, value string, code uint32) {
		ctx := h.TagConn(context.Background(), new(stats.ConnTagInfo))
		h.HandleConn(ctx, new(stats.ConnBegin))
		rpc := h.TagRPC(ctx, &stats.RPCTagInfo{FullMethodName: method})
		h.HandleRPC(rpc, &stats.InHeader{Header: metadata.Pairs(key, value)})
		begun := false
		for _, e := range events[:min(len(events), 100)] {
			switch e % 6 {
			case 0: // gRPC begins an RPC once
				if !begun {
					h.HandleRPC(rpc, &stats.Begin{IsClientStream: e&8 > 0, IsServerStream: e&16 > 0})
				}
				begun = true
			case 1:
				h.HandleRPC(rpc, &stats.InPayload{Length: int(e)})
			case 2:
				h.HandleRPC(rpc, &stats.OutPayload{Length: int(e)})
			case 3:
				h.HandleRPC(rpc, new(stats.OutHeader))
			case 4:
				h.HandleRPC(rpc, new(stats.OutTrailer))
			case 5:
				Observed(rpc).Sent(instrument.MessageType{}, 1)
			}
		}
		h.HandleRPC(rpc, &stats.End{Error: status.Error(codes.Code(code), value)})
		h.HandleConn(ctx, new(stats.ConnEnd))
		for name, o := range map[string]*instrument.Observer{"streams": streams, "connections": connections} {
			if open, opened, closed := numbers(t, o); open != 0 || opened != closed {
				t.Errorf("%s: %v open, %v opened, %v closed", name, open, opened, closed)
			}
		}
	})
}

func observer(t testing.TB, transport string) *instrument.Observer {
	t.Helper()
	o, err := instrument.New(instrument.WithProtocol(transport))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// numbers returns how many connections are open, were opened, and closed.
func numbers(t *testing.T, o *instrument.Observer) (open, opened, closed float64) {
	t.Helper()
	for series, value := range realtimetest.Metrics(t, o) {
		switch {
		case strings.HasSuffix(series, "_active_connections{}"):
			open += value
		case strings.HasSuffix(series, `_connections_total{status="connected"}`):
			opened += value
		case strings.Contains(series, "_disconnections_total{"):
			closed += value
		}
	}
	return open, opened, closed
}

// TestUntagged has events come in contexts that the handler has not tagged, as it is below another one that does not
// pass them on.
func TestUntagged(t *testing.T) {
	streams := observer(t, Protocol)
	h, ctx := &handler{streams: streams, connections: observer(t, ConnectionProtocol)}, context.Background()
	h.HandleConn(ctx, new(stats.ConnBegin))
	h.HandleRPC(ctx, new(stats.Begin))
	h.HandleConn(ctx, new(stats.ConnEnd))
	if conn := Observed(ctx); conn != nil {
		t.Errorf("a context that belongs to no RPC has the handle %v", conn)
	}
	rpc := h.TagRPC(ctx, &stats.RPCTagInfo{FullMethodName: "/a.B/C"})
	h.HandleRPC(rpc, &stats.Begin{IsServerStream: true})
	h.HandleRPC(rpc, new(stats.OutHeader))
	h.HandleRPC(rpc, &stats.End{Error: errors.New("no status")})
	if open, opened, closed := numbers(t, streams); open != 0 || opened != 1 || closed != 1 {
		t.Errorf("%v open, %v opened, %v closed, want 0, 1, 1", open, opened, closed)
	}
}

// TestClientEvents gives the handler the events of a client, which are not its own.
func TestClientEvents(t *testing.T) {
	streams, connections := observer(t, Protocol), observer(t, ConnectionProtocol)
	h := &handler{streams: streams, connections: connections}
	ctx := h.TagConn(context.Background(), new(stats.ConnTagInfo))
	h.HandleConn(ctx, &stats.ConnBegin{Client: true})
	rpc := h.TagRPC(ctx, &stats.RPCTagInfo{FullMethodName: "/a.B/C"})
	h.HandleRPC(rpc, &stats.Begin{Client: true, IsServerStream: true})
	h.HandleRPC(rpc, &stats.End{Client: true})
	h.HandleConn(ctx, &stats.ConnEnd{Client: true})
	for name, o := range map[string]*instrument.Observer{"streams": streams, "connections": connections} {
		if open, opened, closed := numbers(t, o); open != 0 || opened != 0 || closed != 0 {
			t.Errorf("%s: %v open, %v opened, %v closed, want none", name, open, opened, closed)
		}
	}
}
