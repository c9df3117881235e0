package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.etcd.io/bbolt"
)

// The bucket of a view says which topic it has read, from which offset on, and which is next.
var (
	viewBucket = []byte("kafka")
	topicKey   = []byte("topic")
	sinceKey   = []byte("since")
	nextKey    = []byte("next")
	fenceKey   = []byte("fence") // the offset of the newest entry by which a room was to be forgotten
)

// offsetKey is where a room has the offset of the last entry that added to it.
var offsetKey = []byte("offset")

// A view is what the entries of a topic come to, in a file of this instance. All instances read the same entries in the
// same order and take the same of them, so each has the same messages with the same numbers.
type view struct {
	*File
	since, next int64 // next belongs to who applies
}

// openView opens the view of a topic that has records from start to end. What the file has of another topic, or of one
// that has lost records since, is of no use: it begins anew.
func openView(path string, limits Limits, topic [16]byte, start, end int64) (*view, error) {
	file, err := openFile(path, limits)
	if err != nil {
		return nil, err
	}
	v := &view{File: file}
	err = v.transact(v.db.Update, func(tx *bbolt.Tx) error {
		read := tx.Bucket(viewBucket)
		if read == nil && tx.Bucket(roomsBucket).Sequence() > 0 {
			return errors.New("the file has messages of its own: choose another for those of Kafka")
		}
		if read != nil && bytes.Equal(read.Get(topicKey), topic[:]) {
			v.since, v.next = toOffset(read.Get(sinceKey)), toOffset(read.Get(nextKey))
			if start <= v.next && v.next <= end {
				return nil
			}
		}
		v.since, v.next = start, start
		return beginView(tx, topic, start)
	})
	if err != nil {
		return nil, errors.Join(v.wrap("open", err), file.Close())
	}
	return v, nil
}

func beginView(tx *bbolt.Tx, topic [16]byte, start int64) error {
	if err := tx.DeleteBucket(roomsBucket); err != nil {
		return err
	}
	_, err := tx.CreateBucket(roomsBucket)
	if err != nil {
		return err
	}
	read, err := tx.CreateBucketIfNotExists(viewBucket)
	if err != nil {
		return err
	}
	return errors.Join(read.Put(topicKey, topic[:]), read.Put(sinceKey, number(uint64(start))),
		read.Put(nextKey, number(uint64(start))), read.Delete(fenceKey))
}

// checkOwn refuses a file that is the view of a topic: messages added to it would be nowhere else.
func (f *File) checkOwn() error {
	return f.transact(f.db.View, func(tx *bbolt.Tx) error {
		if tx.Bucket(viewBucket) != nil {
			return errors.New("the file is an instance's view of Kafka: choose another, or keep messages in Kafka")
		}
		return nil
	})
}

// spoil has the view begin anew when it is opened next.
func (v *view) spoil(ctx context.Context) error {
	return v.write(ctx, func(tx *bbolt.Tx) (bool, error) {
		return true, tx.Bucket(viewBucket).Delete(topicKey)
	})
}

// apply has the view do what the records say, and keeps how far it has read, both or none. It returns which entries
// were accepted and which not, by their IDs.
func (v *view) apply(ctx context.Context, records []*kgo.Record) (accepted map[string]bool, err error) {
	next := v.next
	err = v.write(ctx, func(tx *bbolt.Tx) (bool, error) {
		accepted, next = make(map[string]bool, len(records)), v.next
		for _, record := range records {
			if record.Offset < next {
				continue // read before
			}
			next = record.Offset + 1
			e, messages, err := readEntry(string(record.Key), record.Value)
			if err != nil || record.Attrs.IsControl() {
				continue // it is not from a store
			}
			if accepted[e.ID], err = v.do(tx, record, e, messages); err != nil {
				return false, err
			}
		}
		return true, tx.Bucket(viewBucket).Put(nextKey, number(uint64(next)))
	})
	if err == nil {
		v.next = next
	}
	return accepted, err
}

func (v *view) do(tx *bbolt.Tx, record *kgo.Record, e entry, messages []Message) (accepted bool, err error) {
	room := string(record.Key)
	switch e.Do {
	case doSay:
		return v.say(tx, record, e, messages)
	case doRead:
		_, err := v.mark(tx, room, e.User, e.Seq)
		if errors.Is(err, ErrInvalid) {
			return false, nil
		}
		return err == nil, err
	default: // doForget
		if err := tx.Bucket(viewBucket).Put(fenceKey, number(uint64(record.Offset))); err != nil {
			return false, err
		}
		r, ok, err := openRoom(tx, room)
		if err != nil || !ok || r.messages.Sequence() > e.Seq {
			return false, err
		}
		return true, dropRoom(tx.Bucket(roomsBucket), record.Key)
	}
}

// say adds the messages of an entry if it is accepted.
func (v *view) say(tx *bbolt.Tx, record *kgo.Record, e entry, messages []Message) (accepted bool, err error) {
	r, ok, err := openRoom(tx, string(record.Key))
	if err != nil || !v.accepts(tx, r, ok, e) {
		return false, err
	}
	if ok && e.Since > toOffset(r.all.Get(offsetKey)) {
		if err := dropRoom(tx.Bucket(roomsBucket), record.Key); err != nil {
			return false, err
		}
		ok = false
	}
	if !ok {
		if r, err = makeRoom(tx, string(record.Key)); err != nil {
			return false, err
		}
	}
	for i, m := range messages {
		if err := v.put(r, m, e.Messages[i], record.Timestamp); err != nil {
			return false, err
		}
	}
	last := messages[len(messages)-1].Seq
	return true, errors.Join(r.messages.SetSequence(last), r.all.Put(offsetKey, number(uint64(record.Offset))))
}

// accepts tells whether the writer of an entry knew all that there is of the room. Then the numbers that it gives
// follow the last one.
//
// A view of a topic that has lost its oldest records begins in the middle. It refuses what was written with a view of
// before, and then may take for accepted what is not. The next entry of the room, whose writer knows, puts that right:
// it has a higher number. A room without such a next entry is quiet for longer than the topic keeps records, so its
// next writer has it begin anew (see Kafka.say).
func (v *view) accepts(tx *bbolt.Tx, r fileRoom, there bool, e entry) bool {
	if e.Seen < v.since || e.Seen <= toOffset(tx.Bucket(viewBucket).Get(fenceKey)) {
		return false
	}
	if !there {
		return true
	}
	changed := toOffset(r.all.Get(offsetKey))
	return changed < e.Since || changed < e.Seen && r.messages.Sequence() < e.Seq
}

// A standing is what a writer needs to know of a room.
type standing struct {
	seen  int64              // the offset that the view was at
	last  uint64             // the number of the newest message, 0 if there is no room
	said  time.Time          // when it came
	rooms int                // how many rooms there are
	saved map[string]Message // those that were asked for, by their keys
}

// look returns how the room stands, and which of the messages are saved already.
func (v *view) look(ctx context.Context, room string, batch []*saying) (s standing, err error) {
	s.saved = make(map[string]Message)
	err = v.view(ctx, func(tx *bbolt.Tx) error {
		s.seen = toOffset(tx.Bucket(viewBucket).Get(nextKey))
		s.rooms = int(tx.Bucket(roomsBucket).Sequence())
		r, ok, err := openRoom(tx, room)
		if err != nil || !ok {
			return err
		}
		s.last, s.said = r.messages.Sequence(), toTime(r.all.Get(saidKey))
		for _, w := range batch {
			seq := r.ids.Get([]byte(w.message.key()))
			if seq == nil {
				continue
			}
			m, err := decode(room, toNumber(seq), r.messages.Get(seq))
			if err != nil {
				return err
			}
			s.saved[m.key()] = m
		}
		return nil
	})
	if err != nil {
		return standing{}, fmt.Errorf("look at the room: %w", err)
	}
	return s, nil
}

func toOffset(b []byte) int64 {
	if len(b) != 8 {
		return -1
	}
	return int64(toNumber(b))
}
