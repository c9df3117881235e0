package backplane

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/carrier"
)

// A Message is a message that was published to a channel to which this node is subscribed.
type Message struct {
	// Channel is the channel to which it was published.
	Channel string
	// Payload is the published payload, byte for byte. It belongs to the handler.
	Payload []byte
	// Published is when it was published, to the microsecond, by the publisher's clock. It is zero if the message had
	// no envelope.
	Published time.Time
	// Own says that this Backplane published it.
	Own bool

	observed *instrument.Backplane
	envelope *carrier.Envelope
}

// Deliver begins the delivery to this node's clients. It counts the message as received, observes the time since it was
// published, and starts the span websocket.deliver as a child of the sender's span if that is sampled. The Broadcast
// counts the clients that get the message. End it exactly once. A message that is not delivered is not counted. For
// example, you need not deliver your own messages if the clients have got them already.
func (m Message) Deliver(ctx context.Context) (context.Context, *instrument.Broadcast) {
	if m.envelope == nil { // a zero Message, such as in the tests of a handler
		return m.observed.BeginDelivery(ctx, nil, m.Published)
	}
	return m.observed.BeginDelivery(ctx, m.envelope, m.Published)
}

// encode puts the payload into its envelope.
func encode(ctx context.Context, payload []byte) []byte {
	e := carrier.Envelope{Published: time.Now()}
	propagation.TraceContext{}.Inject(ctx, &e)
	return e.Append(nil, payload)
}

// decode makes a Message of a received one, or returns the reason why it can't.
func (b *Backplane) decode(r *redis.Message) (Message, error) {
	if len(r.Payload) > b.limit {
		return Message{}, fmt.Errorf("%w: %d bytes, limit %d", ErrTooBig, len(r.Payload), b.limit)
	}
	data, e := []byte(r.Payload), new(carrier.Envelope)
	payload, err := e.Parse(data)
	if err != nil {
		return Message{}, err
	}
	return Message{
		Channel:   r.Channel,
		Payload:   payload,
		Published: e.Published,
		Own:       b.echoes.take(r.Channel, data),
		observed:  b.observed,
		envelope:  e,
	}, nil
}
