package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// In the file there is a bucket for each room, and in that three more and when something was said last. The sequence of
// the bucket of all rooms is how many there are, that of a room's messages is the Seq of the newest.
var (
	roomsBucket    = []byte("rooms")
	messagesBucket = []byte("messages") // Seq → message
	idsBucket      = []byte("ids")      // key of the message → Seq
	readsBucket    = []byte("reads")    // user → Seq
	saidKey        = []byte("said")
)

type fileRoom struct{ all, messages, ids, reads *bbolt.Bucket }

// openRoom returns the room of that name, if there is one.
func openRoom(tx *bbolt.Tx, name string) (r fileRoom, ok bool, err error) {
	r.all = tx.Bucket(roomsBucket).Bucket([]byte(name))
	if r.all == nil {
		return r, false, nil
	}
	r.messages, r.ids, r.reads = r.all.Bucket(messagesBucket), r.all.Bucket(idsBucket), r.all.Bucket(readsBucket)
	if r.messages == nil || r.ids == nil || r.reads == nil {
		return r, false, damaged("room %s is incomplete", name)
	}
	// Messages are added at the end only. Pages that are split there can be full, as nothing comes in between.
	r.messages.FillPercent = 1
	return r, true, nil
}

// append saves the message unless it is saved already, and returns what is saved. It may have changed something even if
// it fails with ErrFull.
func (f *File) append(tx *bbolt.Tx, m Message, record []byte) (saved Message, changed bool, err error) {
	r, ok, err := openRoom(tx, m.Room)
	if err == nil && !ok {
		r, changed, err = f.newRoom(tx, m.Room)
	}
	if err != nil {
		return Message{}, changed, err
	}
	if seq := r.ids.Get([]byte(m.key())); seq != nil {
		saved, err = decode(m.Room, toNumber(seq), r.messages.Get(seq))
		return saved, false, err
	}
	m.Seq, err = r.messages.NextSequence()
	if err != nil {
		return Message{}, false, err
	}
	return m, true, f.put(r, m, record, time.Now())
}

// put adds a message to its room, in which it was said at that time.
func (f *File) put(r fileRoom, m Message, record []byte, said time.Time) error {
	seq := number(m.Seq)
	return errors.Join(
		r.messages.Put(seq, record),
		r.ids.Put([]byte(m.key()), seq),
		r.all.Put(saidKey, number(uint64(said.UnixNano()))),
		f.trim(r, m),
	)
}

// trim deletes what is too old now that m is there.
func (f *File) trim(r fileRoom, m Message) error {
	keep := uint64(f.limits.Messages)
	for range sweep {
		seq, record := r.messages.Cursor().First()
		if m.Seq-toNumber(seq) < keep {
			return nil
		}
		old, err := decode(m.Room, toNumber(seq), record)
		if err != nil {
			return err
		}
		if err := errors.Join(r.ids.Delete([]byte(old.key())), r.messages.Delete(seq)); err != nil {
			return err
		}
	}
	return nil
}

// mark keeps that the user has read up to seq, and of all marks those that are furthest ahead.
func (f *File) mark(tx *bbolt.Tx, name, user string, seq uint64) (changed bool, err error) {
	r, ok, err := openRoom(tx, name)
	if err != nil {
		return false, err
	}
	if !ok || seq > r.messages.Sequence() {
		return false, errAhead(seq)
	}
	before := r.reads.Get([]byte(user))
	if before != nil && toNumber(before) >= seq {
		return false, nil
	}
	if err := r.reads.Put([]byte(user), number(seq)); err != nil || before != nil {
		return true, err
	}
	type read struct{ user, seq []byte }
	var reads []read
	_ = r.reads.ForEach(func(user, seq []byte) error { // in the order of users
		reads = append(reads, read{bytes.Clone(user), bytes.Clone(seq)})
		return nil
	})
	slices.SortStableFunc(reads, func(a, b read) int { return bytes.Compare(a.seq, b.seq) })
	for _, old := range reads[:max(0, len(reads)-f.limits.Reads)] {
		if err := r.reads.Delete(old.user); err != nil {
			return true, err
		}
	}
	return true, nil
}

func errAhead(seq uint64) error {
	return invalid("message %d can't have been read: it has not been written yet", seq)
}

// newRoom makes a room, and place for it. It may have made place even if that is too little.
func (f *File) newRoom(tx *bbolt.Tx, name string) (r fileRoom, changed bool, err error) {
	rooms := tx.Bucket(roomsBucket)
	if rooms.Sequence() >= uint64(f.limits.Rooms) {
		if changed, err = f.forgetQuiet(rooms); err != nil {
			return r, changed, err
		}
	}
	if rooms.Sequence() >= uint64(f.limits.Rooms) {
		return r, changed, errRooms(f.limits)
	}
	r, err = makeRoom(tx, name)
	return r, true, err
}

// makeRoom makes a room that is not there, however many there are.
func makeRoom(tx *bbolt.Tx, name string) (r fileRoom, err error) {
	rooms := tx.Bucket(roomsBucket)
	if err := rooms.SetSequence(rooms.Sequence() + 1); err != nil {
		return r, err
	}
	all, err := rooms.CreateBucket([]byte(name))
	for _, b := range [][]byte{messagesBucket, idsBucket, readsBucket} {
		if err == nil {
			_, err = all.CreateBucket(b)
		}
	}
	if err != nil {
		return r, err
	}
	r, _, err = openRoom(tx, name)
	return r, err
}

// dropRoom deletes a room that is there.
func dropRoom(rooms *bbolt.Bucket, name []byte) error {
	return errors.Join(rooms.DeleteBucket(name), rooms.SetSequence(rooms.Sequence()-1))
}

func errRooms(l Limits) error {
	return fmt.Errorf("%w: there are %d rooms, and none of them has been quiet for %v: allow more, or use one of them",
		ErrFull, l.Rooms, l.Retention)
}

// forgetQuiet deletes the rooms that have been quiet for longest, if it is long enough. As that means to look at all of
// them, it remembers until when there is none.
func (f *File) forgetQuiet(rooms *bbolt.Bucket) (changed bool, err error) {
	now := time.Now()
	if now.Before(f.full) {
		return false, nil
	}
	oldest, err := quietest(rooms)
	if err != nil {
		return false, err
	}
	for _, room := range oldest {
		if until := room.said.Add(f.limits.Retention); now.Before(until) {
			if !changed {
				f.full = until
			}
			break
		}
		changed = true
		if err := dropRoom(rooms, room.name); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// A quietRoom is one in which something was said at that time for the last time.
type quietRoom struct {
	name []byte
	said time.Time
}

// quietest returns the rooms that have been quiet for longest, as many as make place at once.
func quietest(rooms *bbolt.Bucket) ([]quietRoom, error) {
	var all []quietRoom
	err := rooms.ForEachBucket(func(name []byte) error {
		all = append(all, quietRoom{bytes.Clone(name), toTime(rooms.Bucket(name).Get(saidKey))})
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b quietRoom) int { return a.said.Compare(b.said) })
	return all[:min(sweep, len(all))], nil
}

// number encodes n so that the order of keys is that of numbers.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func toNumber(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

func toTime(b []byte) time.Time { return time.Unix(0, int64(toNumber(b))) }
