package inject

import (
	"context"
	"sync"
	"time"

	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/wire"
)

// latest is how long reordered_sequence holds back what nothing follows.
const latest = time.Second

// RoomOrder decorates the order of a room's messages: skipped_sequence, repeated_sequence, reordered_sequence.
func (f *Faults) RoomOrder(o room.Order) room.Order {
	f.rooms = &disorder{Order: o, faults: f}
	return f.rooms
}

// TopicOrder decorates the order of what is numbered and published to a topic, like RoomOrder.
func (f *Faults) TopicOrder(o room.Order) room.Order {
	f.topics = &disorder{Order: o, faults: f}
	return f.topics
}

// disorder is what the faults of the order do to streams of frames that are numbered.
type disorder struct {
	room.Order
	faults *Faults

	mu   sync.Mutex
	late map[string]late // held back until the next of their stream has been delivered
}

type late struct {
	frames []*wire.Frame
	since  time.Time
}

// Next implements room.Order.
func (d *disorder) Next(stream string, f *wire.Frame) []*wire.Frame {
	if d.faults.skippedSequence.Hits() {
		return nil
	}
	frames := d.Order.Next(stream, f)
	if d.faults.repeatedSequence.Hits() {
		frames = append(frames, f)
	}
	hold := d.faults.reorderedSequence.Hits()
	d.mu.Lock()
	defer d.mu.Unlock()
	before, held := d.late[stream]
	if !held && hold {
		if d.late == nil {
			d.late = make(map[string]late)
		}
		d.late[stream] = late{frames, time.Now()}
		return nil
	}
	delete(d.late, stream)
	return append(frames, before.frames...)
}

// deliverLate hands what has been held back for so long to deliver.
func (d *disorder) deliverLate(since time.Duration, deliver func(stream string, f *wire.Frame)) {
	due := map[string]late{}
	d.mu.Lock()
	for stream, l := range d.late {
		if time.Since(l.since) >= since {
			due[stream] = l
			delete(d.late, stream)
		}
	}
	d.mu.Unlock()
	for stream, l := range due {
		for _, f := range l.frames {
			deliver(stream, f)
		}
	}
}

// deliverLate sees to it that what is held back comes, if late.
func (f *Faults) deliverLate(ctx context.Context, _ float64) {
	deliver := func(since time.Duration) {
		f.rooms.deliverLate(since, func(room string, frame *wire.Frame) { f.target.Rooms.Publish(room, frame, nil, nil) })
		f.topics.deliverLate(since, func(topic string, frame *wire.Frame) { f.target.Topics.Publish(topic, frame, nil) })
	}
	defer deliver(0)
	tick := time.NewTicker(latest / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			deliver(latest)
		}
	}
}
