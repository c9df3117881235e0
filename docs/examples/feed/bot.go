package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/sockscope/sockscope/instrument/client"
)

const (
	// stream is the name of the only stream of the feed.
	stream = "price"
	// tooOld is how long a price may have waited for the bot until it is no longer bought at.
	tooOld = 2 * time.Second
)

// A price is what a message of the feed has, and the snapshot.
type price struct {
	Seq   uint64    `json:"seq"`
	Cents int       `json:"cents"`
	Time  time.Time `json:"time"`
}

// A bot holds the price and acts on it.
type bot struct {
	snapshotURL string
	limit       int
	logger      *slog.Logger
	client      *client.Client
	held        price
}

func decode(events []client.Event, _ client.MessageType, payload []byte) ([]client.Event, error) {
	var p price
	if err := json.Unmarshal(payload, &p); err != nil {
		return nil, err
	}
	return append(events, client.Event{Stream: stream, First: p.Seq, Time: p.Time, Value: p}), nil
}

// snapshot asks for the truth, after each connect and each gap.
func (b *bot) snapshot(ctx context.Context, _ string) (client.Snapshot, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.snapshotURL, nil)
	if err != nil {
		return client.Snapshot{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return client.Snapshot{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return client.Snapshot{}, fmt.Errorf("snapshot: %s", response.Status)
	}
	var p price
	if err := json.NewDecoder(response.Body).Decode(&p); err != nil {
		return client.Snapshot{}, fmt.Errorf("snapshot: %w", err)
	}
	return client.Snapshot{Last: p.Seq, Value: p}, nil
}

// restore replaces what is held by the truth, and says whether it was wrong.
func (b *bot) restore(_ context.Context, _ string, s client.Snapshot) (drifted bool, err error) {
	truth := s.Value.(price)
	drifted = b.held.Seq != 0 && b.held.Cents != truth.Cents
	b.held = truth
	return drifted, nil
}

// handle gets every price once and in order. Live says that none is missing up to now, Received how long this one has
// waited while the bot was busy.
func (b *bot) handle(ctx context.Context, e client.Event) error {
	b.held = e.Value.(price)
	fresh := time.Since(e.Received) < tooOld
	if b.held.Cents < b.limit && fresh && b.client.StreamState(stream) == client.Live {
		b.logger.InfoContext(ctx, "bought", "seq", b.held.Seq, "cents", b.held.Cents)
	}
	return nil
}
