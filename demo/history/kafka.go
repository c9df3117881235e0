package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/trace"
)

var kafkaSystem = system{"kafka", trace.SpanKindClient}

const (
	// proposalTimeout is after what time an entry is given up that Kafka has not taken, or not given back.
	proposalTimeout = 10 * time.Second
	// viewPause is how long the reader waits when the disk has not taken what it has read.
	viewPause = time.Second
)

// A Kafka is a Store that the instances of a service share. All messages are in one partition of one topic, the room
// being the key of the record. Each instance reads the whole topic and keeps in a file what it comes to, its view, from
// which it answers once that has what the topic has.
//
// No instance has to be the only writer. An entry proposes the numbers of its messages, which follow those that its
// writer has seen. If another instance was faster, all instances refuse the entry, as they all read both in the same
// order, and its writer proposes the next numbers.
type Kafka struct {
	topic  Topic
	limits Limits
	client *kgo.Client
	view   *view

	ctx   context.Context // ends with the store
	stop  context.CancelFunc
	ended chan struct{} // closed when the reader has ended
	close func() error
	calls sync.WaitGroup // under way; added to while mu is locked
	rooms sync.WaitGroup // goroutines of those that are written to

	trouble atomic.Pointer[error] // why Kafka, or the disk, did not answer last

	mu        sync.Mutex
	closed    bool
	broken    error // why the store can't go on
	next      int64 // the offset that the view is at
	moved     chan struct{}
	proposals map[string]chan<- bool // by the entry's ID, until it has come
	waiting   map[string][]*saying   // by room, while somebody writes to it
}

var _ Store = (*Kafka)(nil)

// OpenKafka opens the store in the topic. The file at path is for this instance's view. It is created if there is none,
// and nothing is lost if it is deleted while the store is closed: it is made from the topic again, which takes its
// time.
//
// How safe a message is depends on the topic. Append returns when all replicas that are in sync have it, so with three
// replicas and min.insync.replicas=2 one broker may be lost for good. unclean.leader.election.enable has to be false,
// its default. Messages older than the topic's retention.ms are not there for an instance that begins with a new file.
func OpenKafka(ctx context.Context, topic Topic, path string, limits Limits) (*Kafka, error) {
	limits, err := limits.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	k := &Kafka{
		topic: topic, limits: limits, ended: make(chan struct{}), moved: make(chan struct{}),
		proposals: make(map[string]chan<- bool), waiting: make(map[string][]*saying),
	}
	k.trouble.Store(new(error))
	k.ctx, k.stop = context.WithCancel(context.WithoutCancel(ctx))
	k.close = sync.OnceValue(k.shut)
	if err := k.open(ctx, path); err != nil {
		k.stop()
		return nil, k.wrap(ctx, "open", err)
	}
	go k.read()
	return k, nil
}

func (k *Kafka) open(ctx context.Context, path string) error {
	var err error
	if k.client, err = k.newClient(k.topic); err != nil {
		return err
	}
	id, err := k.topic.describe(ctx, k.client, k.limits)
	var start, end int64
	if err == nil {
		start, err = k.topic.offset(ctx, k.client, atStart)
	}
	if err == nil {
		end, err = k.topic.offset(ctx, k.client, atEnd)
	}
	if err == nil {
		k.view, err = openView(path, k.limits, id, start, end)
	}
	if err != nil {
		k.client.Close()
		return err
	}
	k.next = k.view.next
	k.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{k.topic.Name: {0: kgo.NewOffset().At(k.next)}})
	return nil
}

// Close implements Store.
func (k *Kafka) Close() error { return k.close() }

func (k *Kafka) shut() error {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.calls.Wait()
	k.stop()
	k.rooms.Wait()
	<-k.ended
	k.client.Close()
	return k.view.Close()
}

// use begins a call, which lasts until end.
func (k *Kafka) use() (end func(), err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed:
		return func() {}, ErrClosed
	case k.broken != nil:
		return func() {}, k.broken
	}
	k.calls.Add(1)
	return k.calls.Done, nil
}

// Ping implements Store.
func (k *Kafka) Ping(ctx context.Context) error {
	done, err := k.use()
	defer done()
	if err == nil {
		_, err = k.topic.offset(ctx, k.client, atEnd)
	}
	return k.wrap(ctx, "ping", err)
}

// Append implements Store.
func (k *Kafka) Append(ctx context.Context, m Message) (saved Message, again bool, err error) {
	ctx, span := kafkaSystem.start(ctx, spanAppend, "Produce")
	defer func() { end(span, err) }()
	m, record, err := prepare(m)
	if err == nil {
		saved, err = k.append(ctx, m, record)
	}
	if err != nil {
		return Message{}, false, k.wrap(ctx, "append", err)
	}
	return saved, saved.SavedID != m.SavedID, nil
}

// After implements Store.
func (k *Kafka) After(ctx context.Context, room string, after uint64, limit int) (messages []Message, err error) {
	err = k.look(ctx, cmp.Or(checkRoom(room), checkLimit(limit)), func(ctx context.Context) (err error) {
		messages, err = k.view.After(ctx, room, after, limit)
		return err
	})
	return messages, err
}

// Latest implements Store.
func (k *Kafka) Latest(ctx context.Context, room string, limit int) (messages []Message, err error) {
	err = k.look(ctx, cmp.Or(checkRoom(room), checkLimit(limit)), func(ctx context.Context) (err error) {
		messages, err = k.view.Latest(ctx, room, limit)
		return err
	})
	return messages, err
}

// LastSeq implements Store.
func (k *Kafka) LastSeq(ctx context.Context, room string) (seq uint64, err error) {
	err = k.look(ctx, checkRoom(room), func(ctx context.Context) (err error) {
		seq, err = k.view.LastSeq(ctx, room)
		return err
	})
	return seq, err
}

// Reads implements Store.
func (k *Kafka) Reads(ctx context.Context, room string) (reads map[string]uint64, err error) {
	err = k.look(ctx, checkRoom(room), func(ctx context.Context) (err error) {
		reads, err = k.view.Reads(ctx, room)
		return err
	})
	return reads, err
}

// look has do read the view when that has all that was acknowledged, unless the request is invalid.
func (k *Kafka) look(ctx context.Context, invalid error, do func(context.Context) error) (err error) {
	ctx, span := kafkaSystem.start(ctx, spanRead, "ListOffsets")
	defer func() { end(span, err) }()
	if invalid != nil {
		return k.wrap(ctx, "read", invalid)
	}
	done, err := k.use()
	defer done()
	if err == nil {
		err = k.catchUp(ctx)
	}
	if err != nil {
		return k.wrap(ctx, "read", err)
	}
	return do(trace.ContextWithSpan(ctx, nil)) // the file is no other system
}

// MarkRead implements Store. A mark that is none is not written.
func (k *Kafka) MarkRead(ctx context.Context, room, user string, seq uint64) (err error) {
	ctx, span := kafkaSystem.start(ctx, spanMark, "Produce")
	defer func() { end(span, err) }()
	if err := cmp.Or(checkRoom(room), checkName("the user", user)); err != nil || seq == 0 {
		return k.wrap(ctx, "mark as read", err)
	}
	done, err := k.use()
	defer done()
	if err == nil {
		err = k.mark(ctx, room, user, seq)
	}
	return k.wrap(ctx, "mark as read", err)
}

func (k *Kafka) mark(ctx context.Context, room, user string, seq uint64) error {
	if err := k.catchUp(ctx); err != nil {
		return err
	}
	inside := trace.ContextWithSpan(ctx, nil)
	last, err := k.view.LastSeq(inside, room)
	if err == nil && seq > last {
		err = errAhead(seq)
	}
	if err != nil {
		return err
	}
	reads, err := k.view.Reads(inside, room)
	if err != nil || reads[user] >= seq {
		return err
	}
	accepted, err := k.propose(ctx, room, entry{Do: doRead, Seq: seq, User: user})
	if err == nil && !accepted {
		err = errAhead(seq) // the room was forgotten meanwhile
	}
	return err
}

// propose has Kafka keep an entry, and waits until the view has come to it.
func (k *Kafka) propose(ctx context.Context, room string, e entry) (accepted bool, err error) {
	e.ID = uuid.NewString()
	value, err := e.encode()
	if err != nil {
		return false, err
	}
	decided := make(chan bool, 1)
	k.mu.Lock()
	k.proposals[e.ID] = decided
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		delete(k.proposals, e.ID)
		k.mu.Unlock()
	}()
	failed := make(chan error, 1)
	record := &kgo.Record{Topic: k.topic.Name, Key: []byte(room), Value: value}
	k.client.TryProduce(k.ctx, record, func(_ *kgo.Record, err error) {
		if err != nil {
			failed <- err
		}
	})
	select {
	case accepted := <-decided:
		return accepted, nil
	case err := <-failed:
		return false, fmt.Errorf("it may still be saved: %w", err)
	case <-ctx.Done():
		return false, fmt.Errorf("no answer yet, it may still be saved: %w", context.Cause(ctx))
	}
}

func (k *Kafka) wrap(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ended := context.Cause(ctx); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	if trouble := *k.trouble.Load(); trouble != nil && errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, trouble) {
		err = fmt.Errorf("%w: %w", err, trouble)
	}
	return fmt.Errorf("history: %s in Kafka: %w", what, err)
}
