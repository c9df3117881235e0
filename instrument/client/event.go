package client

import (
	"context"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/trace"
)

// MessageType is the type of a WebSocket message, text or binary.
type MessageType = websocket.MessageType

// A Feed describes the feed that the application consumes. The Client calls Decode in one goroutine. It calls Handle
// and the Restore functions of all streams in another goroutine, one call at a time. It calls the Snapshot and
// Resubscribe functions in goroutines of their own. A panic in any of them counts as an error of that call.
type Feed struct {
	// Streams are the streams that are watched and reconciled. Their names are the values of the label stream. Events
	// of any other stream are handled as they arrive, under the label "other".
	Streams []Stream

	// Subscribe subscribes to the streams after each connect. Messages are already read meanwhile. Snapshots are
	// fetched after it has returned, so it may wait for the server's acknowledgement if Decode passes that on. An error
	// ends the connection. Leave it nil for a feed without subscriptions. Its ctx expires with the connect timeout.
	Subscribe func(ctx context.Context, to Sender) error

	// Decode appends the events of a message, if it has any, to events and returns the result. It may keep the payload.
	// An error is counted and logged, and the message is left out. If all messages lead to errors, no stream is Live
	// any more. Decode is required.
	Decode func(events []Event, typ MessageType, payload []byte) ([]Event, error)

	// Handle handles one event. For a stream with Restore it gets every event after the last restored snapshot exactly
	// once, without a gap. An error means that the state is in doubt, so the stream is reconciled. For other streams an
	// error is only counted and logged. Client.StreamState and Event.Received say whether to act on an event. Handle is
	// required.
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
	// First and Last are the sequence numbers of the event. They are equal for one number (or Last is 0), a range for
	// an aggregate, and both 0 on a stream without numbers. Sequence.Observe says which numbers are valid. An event
	// with other numbers is refused: it counts as an error of decoding and is not handled. If the feed sends the number
	// of the previous event with each event, set First to that number + 1, even if the numbers jump.
	First, Last uint64
	// Restart says that the stream's numbers restart with this event, on the same connection. They may be lower than
	// those before. A stream with Restore is reconciled. Any other stream goes on from here.
	Restart bool
	// Snapshot says that Value is the whole state of the stream up to the event's number. It replaces the earlier
	// state, and the numbers restart with it. It is passed to Restore if the stream has it, otherwise to Handle.
	Snapshot bool
	// Time is when the event happened by the server's clock, for websocket_client_event_lag_seconds. It is zero if
	// unknown.
	Time time.Time
	// Received is when the event was received by this machine's clock. The client sets it. Handlers that must not act
	// on an old event check it.
	Received time.Time
	// MessageNumber is the number of the event's message on the connection, counted from 1. HandshakeTraceID is the
	// trace id of the connection's handshake, which is invalid without tracing. The client sets both. Together they
	// identify the message, which has the same websocket.message.number in the server's traces.
	MessageNumber    uint64
	HandshakeTraceID trace.TraceID
	// Value is the application's: Decode sets it for Handle.
	Value any
}

// A Snapshot is the state of a stream at one point of its sequence.
type Snapshot struct {
	// Last is the sequence number of the newest event in it. If it is 0, all events received since the connection was
	// made, or the reconciliation began, are handled after the snapshot.
	Last uint64
	// Restart says that the stream's numbers have restarted, so Last may be lower than the numbers received before.
	// Otherwise such a snapshot counts as old and is fetched again.
	Restart bool
	// Value is the application's: Stream.Snapshot or Decode sets it for Stream.Restore.
	Value any
}

// A Stream is a part of a feed that has its own pace and sequence, such as the order book of one instrument.
type Stream struct {
	// Name is the name that Decode gives to the stream's events.
	Name string

	// Expect is the longest time in which the stream may receive nothing new. After that it is Stale, even if it
	// repeats old events. Leave it zero for a stream that may be silent for any time.
	Expect time.Duration

	// Tolerate keeps the connection when the stream is stale. By default the connection is replaced, because a
	// subscription that has died silently does not come back by itself. If the stream then receives something new, it
	// is reconciled.
	Tolerate bool

	// Restore replaces the application's state by the snapshot, and returns whether the state differed from it. After
	// an error, the reconciliation fails and starts again. Leave it nil for a stream that can't be reconciled. Such a
	// stream is Live as soon as it is subscribed to. The events that it misses are counted but stay missing.
	Restore func(ctx context.Context, stream string, s Snapshot) (drifted bool, err error)

	// Snapshot fetches the state of the stream from a source that can be trusted, such as the exchange's REST
	// interface. It must return when ctx ends, which happens with the connection or after the snapshot timeout. Leave
	// it nil if the snapshots of a stream with Restore are among its events: see Event.Snapshot. Such a stream is Live
	// after the first of them.
	Snapshot func(ctx context.Context, stream string) (Snapshot, error)

	// Resubscribe asks the server to send another snapshot among the events of a stream without Snapshot, as exchanges
	// do after unsubscribing and subscribing again. It is called when the stream has to be reconciled, except right
	// after Subscribe. If it is nil, the connection is replaced instead, which also affects the other streams.
	Resubscribe func(ctx context.Context, stream string, to Sender) error

	// Resume continues the sequence over connections, for a feed that replays missed events. An event that is replayed
	// twice is a duplicate and not handled again. An event that is not replayed is a gap. Subscribe asks for the
	// replay, usually after Client.LastNumber. By default the sequence restarts with each connection, because many
	// feeds number the events of each connection. Resume is not for a stream with Restore, because its snapshot has the
	// missed events. A call of Run remembers nothing of an earlier one.
	Resume bool
}
