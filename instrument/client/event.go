package client

import (
	"context"
	"time"

	"github.com/coder/websocket"
)

// MessageType is the type of a WebSocket message, text or binary.
type MessageType = websocket.MessageType

// A Feed is what the application knows about the feed that it consumes. The Client calls Decode from one goroutine,
// Handle and the Restore functions of all streams from another, one call at a time, and the Snapshot functions from
// goroutines of their own. A panic in any of them counts as an error of that call.
type Feed struct {
	// Streams are the streams that are watched and reconciled. Their names are the values of the label stream; events
	// of any other stream are handled as they come, under the label "other".
	Streams []Stream

	// Subscribe asks the server for the streams, after each connect, while messages are already read. Snapshots are
	// fetched when it has returned, so it may wait for the server's acknowledgement if Decode tells it of that. An
	// error ends the connection. Nil for a feed that needs no asking. Its ctx expires with the connect timeout.
	Subscribe func(ctx context.Context, to Sender) error

	// Decode appends the events of a message to events, none if it is not about events, and returns the result. The
	// payload may be kept. An error is counted and logged, and the message left out. Required.
	Decode func(events []Event, typ MessageType, payload []byte) ([]Event, error)

	// Handle handles one event. For a stream with a snapshot it gets every event exactly once, without a gap, from the
	// snapshot last given to Restore. An error means that the state is in doubt: such a stream is reconciled. For other
	// streams it is counted and logged. Whether to act on an event is for Client.StreamState and Event.Received to tell.
	// Required.
	Handle func(ctx context.Context, e Event) error
}

// A Sender sends messages to the server.
type Sender interface {
	Send(ctx context.Context, typ MessageType, payload []byte) error
}

// An Event is something that happened on a stream.
type Event struct {
	// Stream is the name of the stream.
	Stream string
	// First and Last are the sequence numbers that the event stands for: the same for one number (Last may be 0 then),
	// a range for an aggregate, both 0 on a stream that has none. See Sequence.
	First, Last uint64
	// Time is when it happened by the server's clock, for websocket_client_event_lag_seconds. Zero if it isn't told.
	Time time.Time
	// Received is when it was received by this machine's clock, which the client fills in. A handler that is not to act
	// upon what has waited for it looks at that.
	Received time.Time
	// Value is what Decode made and Handle wants.
	Value any
}

// A Snapshot is the state of a stream at one point of its sequence.
type Snapshot struct {
	// Last is the sequence number of the newest event in it. When it is 0, everything that was received after the
	// connection was made, or the reconciliation began, is handled after it.
	Last uint64
	// Value is what Stream.Snapshot made and Stream.Restore wants.
	Value any
}

// A Stream is a part of a feed that has its own pace and sequence, such as the order book of one instrument.
type Stream struct {
	// Name is the name that Decode gives to the stream's events.
	Name string

	// Expect is the longest time that the stream is expected to have nothing new to say; after that it is Stale. A
	// stream that only repeats itself is stale, too. Zero for a stream that may be silent for any time.
	Expect time.Duration

	// Tolerate leaves the connection alone when the stream is stale. By default it is replaced, because a subscription
	// that has died silently does not come back by itself. A stream that resumes is reconciled.
	Tolerate bool

	// Snapshot fetches the state of the stream from where it can be trusted, such as the exchange's REST interface. It
	// must return when ctx ends, which it does with the connection or after the snapshot timeout. Nil for a stream that
	// cannot be reconciled: it is Live as soon as it is subscribed to, and what it misses is counted but stays missing.
	Snapshot func(ctx context.Context, stream string) (Snapshot, error)

	// Restore replaces the state that the application holds by the snapshot, and says whether what it held differed. An
	// error makes the reconciliation fail and start again. Required with Snapshot.
	Restore func(ctx context.Context, stream string, s Snapshot) (drifted bool, err error)
}
