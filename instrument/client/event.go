package client

import (
	"context"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/trace"
)

// MessageType is the type of a WebSocket message, text or binary.
type MessageType = websocket.MessageType

// A Feed is what the application knows about the feed that it consumes. The Client calls Decode from one goroutine,
// Handle and the Restore functions of all streams from another, one call at a time, and the Snapshot and Resubscribe
// functions from goroutines of their own. A panic in any of them counts as an error of that call.
type Feed struct {
	// Streams are the streams that are watched and reconciled. Their names are the values of the label stream; events
	// of any other stream are handled as they come, under the label "other".
	Streams []Stream

	// Subscribe asks the server for the streams, after each connect, while messages are already read. Snapshots are
	// fetched when it has returned, so it may wait for the server's acknowledgement if Decode tells it of that. An
	// error ends the connection. Nil for a feed that needs no asking. Its ctx expires with the connect timeout.
	Subscribe func(ctx context.Context, to Sender) error

	// Decode appends the events of a message to events, none if it is not about events, and returns the result. The
	// payload may be kept. An error is counted and logged, and the message left out; when nothing else comes, no stream
	// is Live any more. Required.
	Decode func(events []Event, typ MessageType, payload []byte) ([]Event, error)

	// Handle handles one event. For a stream with Restore it gets every event exactly once, without a gap, from the
	// snapshot last given to Restore. An error means that the state is in doubt: such a stream is reconciled. For other
	// streams it is counted and logged. Client.StreamState and Event.Received tell whether to act on an event. Required.
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
	// a range for an aggregate, both 0 on a stream that has none. See Sequence.Observe for what is valid. An event with
	// other numbers is refused: it counts as an error of decoding and is not handled. A feed that tells the number of
	// the event before it gets First = that number + 1, however far its numbers jump.
	First, Last uint64
	// Restart says that the stream's numbers begin anew with this event, on the same connection: its numbers continue
	// nothing and may be lower than those before. A stream with Restore is reconciled; another one goes on from here.
	Restart bool
	// Snapshot says that Value is the whole state of the stream up to the event's number. It replaces what came before
	// and begins the numbers anew. On a stream with Restore it is given to that, otherwise to Handle.
	Snapshot bool
	// Time is when it happened by the server's clock, for websocket_client_event_lag_seconds. Zero if it isn't told.
	Time time.Time
	// Received is when it was received by this machine's clock. The client fills it in. A handler that must not act upon
	// an event that has waited looks at it.
	Received time.Time
	// MessageNumber is the number of its message on the connection, counted from 1, and HandshakeTraceID the trace id of
	// the connection's handshake, invalid without tracing. The client fills them in. Together they name the message
	// that a server traces as websocket.message.number.
	MessageNumber    uint64
	HandshakeTraceID trace.TraceID
	// Value is what Decode made and Handle wants.
	Value any
}

// A Snapshot is the state of a stream at one point of its sequence.
type Snapshot struct {
	// Last is the sequence number of the newest event in it. When it is 0, everything that was received after the
	// connection was made, or the reconciliation began, is handled after it.
	Last uint64
	// Restart says that the stream's numbers have begun anew, so that Last may be lower than what was received. Without
	// it such a snapshot is taken for an old one and fetched again.
	Restart bool
	// Value is what Stream.Snapshot or Decode made and Stream.Restore wants.
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

	// Restore replaces the state that the application holds by the snapshot, and says whether what it held differed. An
	// error makes the reconciliation fail and start again. Nil for a stream that cannot be reconciled: it is Live as
	// soon as it is subscribed to, and what it misses is counted but stays missing.
	Restore func(ctx context.Context, stream string, s Snapshot) (drifted bool, err error)

	// Snapshot fetches the state of the stream from where it can be trusted, such as the exchange's REST interface. It
	// must return when ctx ends, which it does with the connection or after the snapshot timeout. Nil for a stream with
	// Restore whose snapshots are among its events: see Event.Snapshot. It is Live after the first of them.
	Snapshot func(ctx context.Context, stream string) (Snapshot, error)

	// Resubscribe asks the server to send another snapshot among the events of a stream without Snapshot, as exchanges
	// do after unsubscribing and subscribing again. It is called when the stream has to be reconciled, except right
	// after Subscribe. If it is nil, the connection is replaced instead, which also affects the other streams.
	Resubscribe func(ctx context.Context, stream string, to Sender) error

	// Resume lets the sequence go on over connections, for a feed that replays what was missed. What is replayed twice
	// is a duplicate and not handled again, and what is not replayed is a gap. Subscribe asks for the replay, usually
	// after Client.LastNumber. By default the sequence begins anew with each connection, because many feeds number each
	// one's events. Not for a stream with Restore: its snapshot tells what was missed. A call of Run remembers nothing
	// of the one before.
	Resume bool
}
