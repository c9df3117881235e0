package chat

import (
	"context"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
)

// history sends a piece of a room's history.
func (v *visit) history(ctx context.Context, env *wire.Envelope) error {
	p, err := env.History()
	if err != nil {
		return err
	}
	if err := v.in(p.Room); err != nil {
		return err
	}
	if _, err := v.sendHistory(ctx, p, env.MessageID); err != nil {
		return unavailable(err)
	}
	use.Succeed(ctx, v.peer, env.MessageID, wire.AckPayload{})
	return nil
}

// sendHistory sends what is asked for, if there is anything or somebody has asked for it by an id, and returns the
// sequence number of the last message that was sent.
func (v *visit) sendHistory(ctx context.Context, p wire.HistoryRequest, id string) (last uint64, err error) {
	if p.After != nil {
		last = *p.After
	}
	piece, err := v.piece(ctx, p)
	if err != nil {
		return last, err
	}
	if n := len(piece.Messages); n > 0 {
		last = piece.Messages[n-1].Seq
	}
	if id != "" || len(piece.Messages) > 0 {
		use.Answer(ctx, v.peer, wire.TypeHistory, id, piece)
	}
	return last, nil
}

// piece returns the piece of a room's history that is asked for.
func (c *Chat) piece(ctx context.Context, p wire.HistoryRequest) (wire.HistoryPayload, error) {
	var messages []history.Message
	var err error
	if p.After == nil {
		messages, err = c.cfg.History.Latest(ctx, p.Room, p.Limit)
	} else {
		messages, err = c.cfg.History.After(ctx, p.Room, *p.After, p.Limit+1) // one more tells whether there are more
	}
	if err != nil {
		return wire.HistoryPayload{}, err
	}
	piece := wire.HistoryPayload{Room: p.Room, Messages: make([]wire.HistoryMessage, 0, len(messages))}
	if len(messages) > p.Limit {
		messages, piece.More = messages[:p.Limit], true
	}
	for _, m := range messages {
		piece.Messages = append(piece.Messages, wire.HistoryMessage{
			Seq: m.Seq, SavedID: m.SavedID, MessageID: m.ID, From: m.From, Text: m.Text, Timestamp: m.Time,
			Traceparent: m.Traceparent,
		})
	}
	return piece, nil
}
