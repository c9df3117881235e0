package history

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// A saying is a message that somebody waits for to be kept.
type saying struct {
	ctx     context.Context
	message Message
	record  []byte
	result  chan said // takes one without waiting
}

type said struct {
	message Message
	err     error
}

// append saves the message unless it is saved already, and returns what is saved. A room has one entry under way at a
// time from this instance. Meanwhile messages gather for the next.
func (k *Kafka) append(ctx context.Context, m Message, record []byte) (Message, error) {
	done, err := k.use()
	defer done()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return Message{}, err
	}
	s := &saying{ctx, m, record, make(chan said, 1)}
	k.enqueue(s)
	select {
	case r := <-s.result:
		return r.message, r.err
	case <-ctx.Done():
		k.dequeue(s)
		return Message{}, fmt.Errorf("no answer yet, it may still be saved: %w", context.Cause(ctx))
	}
}

func (k *Kafka) enqueue(s *saying) {
	k.mu.Lock()
	defer k.mu.Unlock()
	room := s.message.Room
	queue, written := k.waiting[room]
	k.waiting[room] = append(queue, s)
	if !written {
		k.rooms.Go(func() { k.write(room) })
	}
}

// dequeue takes back a message that is not under way yet. So those that wait are as many as callers.
func (k *Kafka) dequeue(s *saying) {
	k.mu.Lock()
	defer k.mu.Unlock()
	room := s.message.Room
	if i := slices.Index(k.waiting[room], s); i >= 0 {
		k.waiting[room] = slices.Delete(k.waiting[room], i, i+1)
	}
}

// gather returns messages for one entry, none if nobody waits: writing to the room has ended then.
func (k *Kafka) gather(room string) []*saying {
	k.mu.Lock()
	defer k.mu.Unlock()
	queue := k.waiting[room]
	if len(queue) == 0 {
		delete(k.waiting, room)
		return nil
	}
	n, size := 0, 0
	for n < len(queue) && (n == 0 || size+len(queue[n].record) <= maxEntry) {
		size += len(queue[n].record)
		n++
	}
	batch := slices.Clone(queue[:n])
	k.waiting[room] = slices.Delete(queue, 0, n)
	return batch
}

// putBack has messages wait again, before all others.
func (k *Kafka) putBack(room string, batch []*saying) {
	k.mu.Lock()
	defer k.mu.Unlock()
	batch = slices.DeleteFunc(batch, func(s *saying) bool { return s.ctx.Err() != nil })
	k.waiting[room] = append(batch, k.waiting[room]...)
}

// write writes what waits for the room until nothing does.
func (k *Kafka) write(room string) {
	for batch := k.gather(room); len(batch) > 0; batch = k.gather(room) {
		ctx, cancel := context.WithTimeout(k.ctx, proposalTimeout)
		left, err := k.say(ctx, room, batch)
		cancel()
		if err != nil {
			for _, s := range left {
				s.result <- said{err: err}
			}
			continue
		}
		k.putBack(room, left)
	}
}

// say writes the messages in one entry. It returns those that are still to be written, or with an error those that it
// could not write.
func (k *Kafka) say(ctx context.Context, room string, batch []*saying) (left []*saying, err error) {
	standing, err := k.view.look(ctx, room, batch)
	if err == nil && standing.last == 0 {
		standing, err = k.claim(ctx, room, batch)
	}
	if err != nil {
		return batch, err
	}
	e := entry{Do: doSay, Since: k.view.since, Seen: standing.seen, Seq: standing.last + 1}
	if standing.last > 0 && time.Since(standing.said) > k.limits.Retention {
		standing.saved, e.Since, e.Seq = nil, standing.seen, 1 // the room begins anew
	}
	fresh, twice := settle(batch, standing)
	if len(fresh) == 0 {
		return twice, nil
	}
	for _, s := range fresh {
		e.Messages = append(e.Messages, json.RawMessage(s.record))
	}
	accepted, err := k.propose(ctx, room, e)
	switch {
	case err != nil:
		return append(fresh, twice...), err
	case !accepted: // another instance was faster
		return append(fresh, twice...), nil
	}
	for i, s := range fresh {
		s.message.Seq = e.Seq + uint64(i)
		s.result <- said{message: s.message}
	}
	return twice, nil
}

// settle answers for the messages that are saved already. It returns the others, and apart from those what is among
// them for the second time.
func settle(batch []*saying, standing standing) (fresh, twice []*saying) {
	among := make(map[string]bool, len(batch))
	for _, s := range batch {
		key := s.message.key()
		switch m, saved := standing.saved[key]; {
		case saved:
			s.result <- said{message: m}
		case among[key]:
			twice = append(twice, s)
		default:
			among[key] = true
			fresh = append(fresh, s)
		}
	}
	return fresh, twice
}

// claim makes place for a room that this instance has not seen yet, if there are as many as there may be: rooms that
// have been quiet for long enough are forgotten.
func (k *Kafka) claim(ctx context.Context, room string, batch []*saying) (standing, error) {
	if err := k.catchUp(ctx); err != nil {
		return standing{}, err
	}
	s, err := k.view.look(ctx, room, batch)
	if err != nil || s.last > 0 || s.rooms < k.limits.Rooms {
		return s, err
	}
	quiet, err := k.view.quiet(ctx, time.Now().Add(-k.limits.Retention))
	if err != nil {
		return s, err
	}
	for room, last := range quiet {
		if _, err := k.propose(ctx, room, entry{Do: doForget, Seq: last}); err != nil {
			return s, err
		}
	}
	if s, err = k.view.look(ctx, room, batch); err == nil && s.last == 0 && s.rooms >= k.limits.Rooms {
		err = errRooms(k.limits)
	}
	return s, err
}

// quiet returns rooms in which nothing was said since then, with the numbers of their newest messages.
func (v *view) quiet(ctx context.Context, since time.Time) (map[string]uint64, error) {
	quiet := make(map[string]uint64)
	err := v.view(ctx, func(tx *bbolt.Tx) error {
		oldest, err := quietest(tx.Bucket(roomsBucket))
		if err != nil {
			return err
		}
		for _, q := range oldest {
			r, ok, err := openRoom(tx, string(q.name))
			if err != nil {
				return err
			}
			if ok && q.said.Before(since) {
				quiet[string(q.name)] = r.messages.Sequence()
			}
		}
		return nil
	})
	return quiet, err
}
