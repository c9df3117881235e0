package demo

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/wire"
)

// TestSpansTellTheStory follows a message from who says it on one node to who hears it on another.
func TestSpansTellTheStory(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	nodes := startNodes(t, newRedisServer(t), 2, Config{
		SampleRatio: 1, SpanLimit: 1000, TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
	})
	ada, ben := nodes[0].enter("Ada"), nodes[1].enter("Ben")
	ada.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "hello"})
	nodes[1].eventually(func() bool { return len(ben.got()) == 1 }, func() string { return "Ben does not hear it" })

	want := []string{
		"websocket.message message",
		"websocket.message message > store",
		"websocket.message message > store > history.append",
		"websocket.message message > validate",
		"websocket.message message > websocket.broadcast",
		"websocket.message message > websocket.broadcast > publish",
		"websocket.message message > websocket.broadcast > publish > websocket.deliver",
	}
	var diff string
	nodes[0].eventually(func() bool {
		diff = cmp.Diff(want, story(spans.Ended(), "websocket.message message"))
		return diff == ""
	}, func() string { return "spans of the message (-want +got):\n" + diff })
	if got := story(spans.Ended(), "websocket.handshake"); !slices.Equal(slices.Compact(got), []string{
		"websocket.handshake", "websocket.handshake > auth",
	}) {
		t.Errorf("spans of the handshakes: %q", got)
	}
	links := linksOf(spans.Ended(), "websocket.message message")
	if len(links) == 0 || named(spans.Ended(), links[0].SpanContext.SpanID()) != "websocket.handshake" {
		t.Errorf("the message is linked to %v, want its connection's handshake", links)
	}
}

// story returns the names of all spans that the named root has led to, each behind those that it is a child of.
func story(spans []sdktrace.ReadOnlySpan, root string) []string {
	paths := make(map[trace.SpanID]string)
	var told []string
	for range spans { // children end before their parents, so that as many rounds may be needed
		for _, s := range spans {
			id, parent := s.SpanContext().SpanID(), s.Parent().SpanID()
			switch before, ok := paths[parent]; {
			case paths[id] != "":
			case !parent.IsValid() && s.Name() == root:
				paths[id] = root
			case ok:
				paths[id] = before + " > " + s.Name()
			}
		}
	}
	for _, path := range paths {
		if path != "" {
			told = append(told, path)
		}
	}
	slices.Sort(told)
	return told
}

func linksOf(spans []sdktrace.ReadOnlySpan, name string) []sdktrace.Link {
	for _, s := range spans {
		if s.Name() == name {
			return s.Links()
		}
	}
	return nil
}

func named(spans []sdktrace.ReadOnlySpan, id trace.SpanID) string {
	for _, s := range spans {
		if s.SpanContext().SpanID() == id {
			return s.Name()
		}
	}
	return ""
}
