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

// A Message is one that was published to a channel this node has subscribed to.
type Message struct {
	// Channel is where it was published.
	Channel string
	// Payload is what was published, byte for byte. It belongs to the handler.
	Payload []byte
	// Published is when, to the microsecond, by the clock of the node that did. It is zero if the publisher knows no
	// envelope.
	Published time.Time
	// Own says that this Backplane has published it.
	Own bool

	observed *instrument.Backplane
	envelope *carrier.Envelope
}

// Deliver begins the delivery to this node's clients: it counts the message as received, observes how long it took
// since it was published, and starts the span websocket.deliver as a child of the sender's if that is sampled. The
// Broadcast counts the clients that get the message; it must be ended exactly once. A message need not be delivered, as
// one's own where the clients have got it already, and is then not counted.
func (m Message) Deliver(ctx context.Context) (context.Context, *instrument.Broadcast) {
	if m.envelope == nil { // a zero Message, as of the tests of a handler
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

// decode makes a Message of what was received, or tells why it cannot be one.
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
