package client_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sockscope/sockscope/instrument/client"
)

// TestMistakes has New say what is wrong.
func TestMistakes(t *testing.T) {
	feed := func(streams ...client.Stream) client.Feed {
		return client.Feed{Streams: streams, Decode: decode, Handle: func(context.Context, client.Event) error { return nil }}
	}
	snapshot := func(context.Context, string) (client.Snapshot, error) { return client.Snapshot{}, nil }
	restore := func(context.Context, string, client.Snapshot) (bool, error) { return false, nil }
	resubscribe := func(context.Context, string, client.Sender) error { return nil }
	const address = "wss://exchange.example"
	tests := map[string]struct {
		address string
		feed    client.Feed
		option  client.Option
		want    string
	}{
		"scheme":        {"ftp://exchange.example", feed(), nil, `client: URL with scheme "ftp": must be ws, wss, http or https`},
		"no functions":  {address, client.Feed{}, nil, "client: Feed.Decode and Feed.Handle are required"},
		"stream's name": {address, feed(client.Stream{}), nil, `client: stream "": must not be empty`},
		"reserved name": {address, feed(client.Stream{Name: "other"}), nil, `client: stream "other": is the name of the streams that are not registered`},
		"twice":         {address, feed(client.Stream{Name: "a"}, client.Stream{Name: "a"}), nil, `client: stream "a": is registered twice`},
		"expectation":   {address, feed(client.Stream{Name: "a", Expect: -1}), nil, `client: stream "a": expects something every -1ns: must be positive, or 0 if it may be silent`},
		"snapshot only": {address, feed(client.Stream{Name: "a", Snapshot: snapshot}), nil, `client: stream "a": needs Restore for what Snapshot fetches or Resubscribe asks for`},
		"two snapshots": {address, feed(client.Stream{Name: "a", Snapshot: snapshot, Restore: restore, Resubscribe: resubscribe}), nil, `client: stream "a": cannot have both Snapshot and Resubscribe: leave out one of them`},
		"resumes":       {address, feed(client.Stream{Name: "a", Restore: restore, Resume: true}), nil, `client: stream "a": cannot have both Resume and Restore: a snapshot tells what was missed`},
		"no name":       {address, feed(), client.WithName(""), `client: name "": must not be empty`},
		"long name":     {address, feed(), client.WithName(strings.Repeat("x", 65)), `client: name "` + strings.Repeat("x", 65) + `": must not be longer than 64 bytes`},
		"name of bytes": {address, feed(), client.WithName("\xff"), `client: name "\xff": must be valid UTF-8`},
		"no logger":     {address, feed(), client.WithLogger(nil), "client: logger is nil: leave the option out in order to log nothing"},
		"no endpoint":   {address, feed(), client.WithEndpoint(nil), "client: endpoint function is nil: leave the option out in order to connect to the URL of New"},
		"no address":    {"", feed(), nil, `client: URL with scheme "": must be ws, wss, http or https`},
		"timeouts":      {address, feed(), client.WithTimeouts(time.Second, 0), "client: timeouts 1s for connecting, 0s for a snapshot: must be positive"},
		"read limit":    {address, feed(), client.WithReadLimit(0), "client: read limit 0: must be positive"},
		"backoff":       {address, feed(), client.WithBackoff(time.Minute, time.Second), "client: backoff from 1m0s to 1s: must be positive and ascending"},
		"attempts":      {address, feed(), client.WithMaxAttempts(0), "client: max attempts 0: must be positive; leave the option out in order to try for ever"},
		"heartbeat":     {address, feed(), client.WithHeartbeat(time.Second, 0), "client: heartbeat every 1s for 0s: must be positive, or every 0 to send no pings"},
		"tracer":        {address, feed(), client.WithTracerProvider(nil), "client: tracer provider is nil: leave the option out for the global one"},
		"propagator":    {address, feed(), client.WithPropagator(nil), "client: propagator is nil: leave the option out for the W3C one"},
		"ratio":         {address, feed(), client.WithSampleRatio(math.NaN()), "client: sample ratio NaN: must be from 0 to 1"},
		"queue":         {address, feed(), client.WithQueue(0, -1), "client: queue of 0 with a wait of -1ns: the size must be positive, the wait not negative"},
		"no callback":   {address, feed(), client.WithStateChange(nil), "client: state change function is nil: leave the option out in order to be told nothing"},
		"buffer":        {address, feed(), client.WithBuffer(0), "client: buffer of 0 events: must be positive"},
		"nothing":       {address, feed(), nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := client.New(test.address, test.feed, test.option)
			got := ""
			if err != nil {
				got = err.Error()
			}
			compare(t, "error", test.want, got)
		})
	}
}
