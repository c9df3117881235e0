package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/demo/use/market"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument/client"
)

const (
	// snapshotLimit is the size of the largest snapshot that is read.
	snapshotLimit = 1 << 20
	// renewTimeout bounds how long a newer token may take.
	renewTimeout = 10 * time.Second
)

// answer waits for the acknowledgement of a request.
type answer struct {
	messageID string
	ack       chan wire.AckPayload
}

// feed is the market as the client sees it: one stream, because all symbols have the same numbers.
func (b *Bot) feed() client.Feed {
	return client.Feed{
		Streams: []client.Stream{{
			Name: wire.StreamMarket, Expect: b.cfg.Expect, Snapshot: b.snapshot, Restore: b.restore,
		}},
		Subscribe: b.subscribe,
		Decode:    b.decode,
		Handle:    b.handle,
	}
}

// endpoint returns what the next handshake needs.
func (b *Bot) endpoint(ctx context.Context) (client.Endpoint, error) {
	token, err := b.cfg.Tokens(ctx, b.cfg.Server, user)
	if err != nil {
		return client.Endpoint{}, err
	}
	return client.Endpoint{Header: http.Header{"Authorization": {"Bearer " + token}}}, nil
}

// subscribe asks for the market, and waits until the server has agreed.
func (b *Bot) subscribe(ctx context.Context, to client.Sender) error {
	env, err := wire.New(wire.TypeSubscribe, "", wire.StreamPayload{Stream: wire.StreamMarket})
	if err != nil {
		return err
	}
	a := &answer{messageID: env.MessageID, ack: make(chan wire.AckPayload, 1)}
	b.answer.Store(a)
	if err := send(ctx, to, &env); err != nil {
		return err
	}
	select {
	case ack := <-a.ack:
		if !ack.Success {
			return fmt.Errorf("the server refused: %s: %s", ack.Error, ack.Reason)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no answer: %w", ctx.Err())
	}
}

func send(ctx context.Context, to client.Sender, env *wire.Envelope) error {
	f, err := env.Frame()
	if err != nil {
		return err
	}
	return to.Send(ctx, websocket.MessageText, f.Data)
}

// decode turns a batch of ticks into an event, and passes on other messages for the bot.
func (b *Bot) decode(events []client.Event, _ client.MessageType, payload []byte) ([]client.Event, error) {
	var env wire.Envelope
	if err := json.Unmarshal(payload, &env); err != nil {
		return nil, err
	}
	switch env.Type {
	case wire.TypeTicks:
		batch, err := decodeBatch(env.Payload)
		if err != nil {
			return nil, err
		}
		return append(events, client.Event{
			Stream: wire.StreamMarket, First: batch.FirstSeq, Last: batch.LastSeq,
			Time: batch.Ticks[len(batch.Ticks)-1].Time, Value: batch,
		}), nil
	case wire.TypeAck:
		return events, b.acknowledged(env)
	case wire.TypeTokenExpiring:
		select {
		case b.expiring <- struct{}{}:
		default: // it is being renewed
		}
	case wire.TypeError:
		var refusal wire.ErrorPayload
		_ = json.Unmarshal(env.Payload, &refusal) // without a code it is one, too
		return nil, fmt.Errorf("the server refused: %s: %s", refusal.Code, refusal.Reason)
	}
	return events, nil
}

// decodeBatch reads a batch and checks that it is consistent.
func decodeBatch(payload []byte) (market.Batch, error) {
	var batch market.Batch
	if err := json.Unmarshal(payload, &batch); err != nil {
		return batch, fmt.Errorf("ticks: %w", err)
	}
	if batch.FirstSeq == 0 || len(batch.Ticks) == 0 || batch.Ticks[0].Seq != batch.FirstSeq ||
		batch.Ticks[len(batch.Ticks)-1].Seq != batch.LastSeq {
		return batch, fmt.Errorf("ticks: %d of them are not the range from %d to %d",
			len(batch.Ticks), batch.FirstSeq, batch.LastSeq)
	}
	before := batch.FirstSeq
	for _, t := range batch.Ticks {
		if t.Seq < before || t.Seq-before > 1 {
			return batch, fmt.Errorf("ticks: number %d comes after %d", t.Seq, before)
		}
		if t.Price < 1 || t.Size < 1 {
			return batch, fmt.Errorf("ticks: number %d trades %d for %d cents", t.Seq, t.Size, t.Price)
		}
		before = t.Seq
	}
	return batch, nil
}

// acknowledged passes on the server's answer to a subscription.
func (b *Bot) acknowledged(env wire.Envelope) error {
	a := b.answer.Load()
	if a == nil || a.messageID != env.MessageID {
		return nil
	}
	var ack wire.AckPayload
	if err := json.Unmarshal(env.Payload, &ack); err != nil {
		return fmt.Errorf("acknowledgement: %w", err)
	}
	select {
	case a.ack <- ack:
	default: // one that is repeated
	}
	return nil
}

func (b *Bot) snapshot(ctx context.Context, _ string) (client.Snapshot, error) {
	s, err := b.fetch(ctx)
	return client.Snapshot{Last: s.Seq, Value: s}, err
}

// fetch asks for the truth.
func (b *Bot) fetch(ctx context.Context) (s market.Snapshot, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.cfg.Server.HTTP("/api/market"), nil)
	if err != nil {
		return s, err
	}
	response, err := b.http.Do(request)
	if err != nil {
		return s, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return s, fmt.Errorf("snapshot: %s answers %s", request.URL, response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, snapshotLimit)).Decode(&s); err != nil {
		return s, fmt.Errorf("snapshot: %w", err)
	}
	if s.Seq == 0 || len(s.Quotes) == 0 {
		return s, errors.New("snapshot: it holds nothing")
	}
	for symbol, q := range s.Quotes {
		if q.Price < 1 {
			return s, fmt.Errorf("snapshot: %q is at %d cents", symbol, q.Price)
		}
	}
	return s, nil
}

// renew sends a newer token whenever the server says that the present one is about to end. If that fails the server
// ends the connection, and the next one begins with a new token anyway.
func (b *Bot) renew(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.expiring:
		}
		if err := b.sendToken(ctx); err != nil && ctx.Err() == nil {
			b.cfg.Logger.WarnContext(ctx, "token not renewed", "error", err)
		}
	}
}

func (b *Bot) sendToken(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	token, err := b.cfg.Tokens(ctx, b.cfg.Server, user)
	if err != nil {
		return err
	}
	env, err := wire.New(wire.TypeAuth, "", wire.AuthPayload{Token: token})
	if err != nil {
		return err
	}
	return send(ctx, b.Client, &env)
}
