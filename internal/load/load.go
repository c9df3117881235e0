// Package load drives the demo chat with many connections at a given rate and
// tells the truth about the answers: how long they took from the moment the
// message was due, which never came, and which came twice.
//
// The load is open-loop: a slow server does not slow the sending down, and what
// waits behind a slow answer counts the wait.
package load

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"net/url"
	"time"

	"github.com/google/uuid"
)

// Config says what load to make. All fields have to be given.
type Config struct {
	URL         string        // of the WebSocket, as in ws://127.0.0.1:8080/ws
	Connections int           // open at once
	Rate        float64       // messages per second, all connections together
	Duration    time.Duration // of the sending
	Rooms       int           // over which the connections are spread evenly
}

// maxDeliveries bounds the memory that keeping account takes, one bit each.
const maxDeliveries = 1 << 31

func (c Config) check() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss":
		return fmt.Errorf("%q is not the URL of a WebSocket: give one such as ws://127.0.0.1:8080/ws", c.URL)
	case c.Connections < 1:
		return fmt.Errorf("%d connections: give 1 or more", c.Connections)
	case c.Rooms < 1 || c.Rooms > c.Connections:
		return fmt.Errorf("%d rooms: give 1 to as many as there are connections (%d)", c.Rooms, c.Connections)
	case !(c.Rate > 0) || math.IsInf(c.Rate, 1):
		return fmt.Errorf("a rate of %v messages per second: give more than 0", c.Rate)
	case c.Duration <= 0:
		return fmt.Errorf("a duration of %v: give more than 0", c.Duration)
	}
	if members := math.Ceil(float64(c.Connections) / float64(c.Rooms)); c.Rate*c.Duration.Seconds()*members > maxDeliveries {
		return fmt.Errorf("this would make more than %d deliveries to keep account of: take more rooms, a lower rate or a shorter time", maxDeliveries)
	}
	return nil
}

// plan says which connection sends which message when, and to whom it goes.
// Message k is due k intervals after the start and is sent by connection
// k mod n; connection i is in room i mod rooms.
type plan struct {
	n, rooms int
	messages int
	interval time.Duration
	run      [10]byte // what the ids of this run's messages begin with

	start   time.Time     // may be read once started is closed
	started chan struct{} // closed by begin
}

func newPlan(c Config) (*plan, error) {
	p := &plan{
		n: c.Connections, rooms: c.Rooms,
		messages: max(1, int(c.Rate*c.Duration.Seconds())),
		interval: time.Duration(float64(time.Second) / c.Rate),
		started:  make(chan struct{}),
	}
	if _, err := rand.Read(p.run[:]); err != nil {
		return nil, fmt.Errorf("make an id for the run: %w", err)
	}
	p.run[6] = p.run[6]&0x0f | 0x80 // UUID version 8: made by the application
	p.run[8] = p.run[8]&0x3f | 0x80
	return p, nil
}

// begin sets the moment at which the first message is due.
func (p *plan) begin(start time.Time) {
	p.start = start
	close(p.started)
}

// due is when message k has to be sent, once the run has begun.
func (p *plan) due(k int) time.Time {
	<-p.started
	return p.start.Add(time.Duration(k) * p.interval)
}

// members is the number of connections in the room.
func (p *plan) members(room int) int { return (p.n - room + p.rooms - 1) / p.rooms }

func (p *plan) sender(k int) int { return k % p.n }

func (p *plan) room(connection int) int { return connection % p.rooms }

// place is the number of message k among those of its room.
func (p *plan) place(k int) int {
	sender := p.sender(k)
	return k/p.n*p.members(p.room(sender)) + sender/p.rooms
}

// inRoom is an upper bound of the messages that the room gets.
func (p *plan) inRoom(room int) int { return (p.messages/p.n + 1) * p.members(room) }

// id is the messageId of message k; index finds k again.
func (p *plan) id(k int) string {
	var id uuid.UUID
	copy(id[:], p.run[:])
	binary.BigEndian.PutUint16(id[10:], uint16(k>>32))
	binary.BigEndian.PutUint32(id[12:], uint32(k))
	return id.String()
}

// index returns which message of this run the id belongs to.
func (p *plan) index(messageID string) (k int, ours bool) {
	id, err := uuid.Parse(messageID)
	if err != nil || [10]byte(id[:10]) != p.run {
		return 0, false
	}
	k = int(binary.BigEndian.Uint16(id[10:]))<<32 | int(binary.BigEndian.Uint32(id[12:]))
	return k, k < p.messages
}

// sleepUntil waits until the moment, or until ctx ends, and reports whether the
// moment has come.
func sleepUntil(ctx context.Context, moment time.Time) bool {
	wait := time.Until(moment)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
