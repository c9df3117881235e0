package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"
)

var redisSystem = system{"redis", trace.SpanKindClient}

// A Redis is a Store that the instances of a service share. A room is a stream, whose ids are the numbers of its
// messages, with the keys of those and the read marks beside it.
type Redis struct {
	limits Limits
	client redis.UniversalClient
	closed atomic.Bool
}

var _ Store = (*Redis)(nil)

// NewRedis makes a store in Redis 6.2 or later, or a cluster of them. It connects to nothing yet. The client stays the
// caller's, who closes it after the store; its option ContextTimeoutEnabled has to be set, as deadlines would not hold
// otherwise. While Redis is down a call takes as long as the client tries again, by default some 2 s, or until its
// deadline. The keys all begin with "history:".
//
// How safe a message is depends on the server: with appendonly yes and appendfsync always it is on disk when Append
// returns. With everysec, or when a replica takes over, what was appended in the last moments may be lost, and its
// numbers be given to other messages. A maxmemory-policy other than noeviction may take parts of a room away.
func NewRedis(client redis.UniversalClient, limits Limits) (*Redis, error) {
	limits, err := limits.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	timely := true
	switch c := client.(type) {
	case nil:
		return nil, errors.New("history: client is nil: give the go-redis client that the service uses")
	case *redis.Client:
		timely = c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		timely = c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		timely = c.Options().ContextTimeoutEnabled
	}
	if !timely {
		return nil, errors.New("history: the Redis client ignores deadlines: set ContextTimeoutEnabled in its options")
	}
	return &Redis{limits: limits, client: client}, nil
}

// Close implements Store. It leaves the client open.
func (r *Redis) Close() error {
	r.closed.Store(true)
	return nil
}

// Ping implements Store.
func (r *Redis) Ping(ctx context.Context) error {
	if r.closed.Load() {
		return wrapRedis(ctx, "ping", ErrClosed)
	}
	return wrapRedis(ctx, "ping", r.client.Ping(ctx).Err())
}

// Append implements Store.
func (r *Redis) Append(ctx context.Context, m Message) (saved Message, again bool, err error) {
	ctx, span := redisSystem.start(ctx, spanAppend, "EVALSHA")
	defer func() { end(span, err) }()
	m, record, err := prepare(m)
	if err == nil {
		saved, err = r.append(ctx, m, record)
	}
	if err != nil {
		return Message{}, false, wrapRedis(ctx, "append", err)
	}
	// The client may have tried more than once. Saved before is what another call has saved.
	return saved, saved.SavedID != m.SavedID, nil
}

// After implements Store.
func (r *Redis) After(ctx context.Context, room string, after uint64, limit int) ([]Message, error) {
	return r.read(ctx, room, "XRANGE", limit, func(ctx context.Context, key string) *redis.XMessageSliceCmd {
		return r.client.XRangeN(ctx, key, "("+strconv.FormatUint(after, 10)+"-0", "+", int64(limit))
	})
}

// Latest implements Store.
func (r *Redis) Latest(ctx context.Context, room string, limit int) ([]Message, error) {
	messages, err := r.read(ctx, room, "XREVRANGE", limit, func(ctx context.Context, key string) *redis.XMessageSliceCmd {
		return r.client.XRevRangeN(ctx, key, "+", "-", int64(limit))
	})
	slices.Reverse(messages)
	return messages, err
}

// LastSeq implements Store.
func (r *Redis) LastSeq(ctx context.Context, room string) (uint64, error) {
	messages, err := r.Latest(ctx, room, 1)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	return messages[0].Seq, nil
}

func (r *Redis) read(ctx context.Context, room, command string, limit int,
	call func(context.Context, string) *redis.XMessageSliceCmd,
) (messages []Message, err error) {
	ctx, span := redisSystem.start(ctx, spanRead, command)
	defer func() { end(span, err) }()
	if err := cmp.Or(checkRoom(room), checkLimit(limit), r.use()); err != nil {
		return nil, wrapRedis(ctx, "read", err)
	}
	entries, err := call(ctx, messagesKey(room)).Result()
	if err != nil {
		return nil, wrapRedis(ctx, "read", err)
	}
	for _, entry := range entries {
		m, err := decodeEntry(room, entry)
		if err != nil {
			return nil, wrapRedis(ctx, "read", err)
		}
		messages = append(messages, m)
	}
	return messages, nil
}

func decodeEntry(room string, entry redis.XMessage) (Message, error) {
	id, _, _ := strings.Cut(entry.ID, "-")
	seq, err := strconv.ParseUint(id, 10, 64)
	record, ok := entry.Values["message"].(string)
	if err != nil || !ok {
		return Message{}, fmt.Errorf("entry %s of %s is not a message: delete it by XDEL", entry.ID, messagesKey(room))
	}
	return decode(room, seq, []byte(record))
}

// MarkRead implements Store.
func (r *Redis) MarkRead(ctx context.Context, room, user string, seq uint64) (err error) {
	ctx, span := redisSystem.start(ctx, spanMark, "EVALSHA")
	defer func() { end(span, err) }()
	if seq > math.MaxInt64 { // more than Redis counts
		err = errAhead(seq)
	}
	if err := cmp.Or(checkRoom(room), checkName("the user", user), err, r.use()); err != nil || seq == 0 {
		return wrapRedis(ctx, "mark as read", err)
	}
	known, err := markScript.Run(ctx, r.client, []string{messagesKey(room), readsKey(room)},
		user, seq, r.limits.Reads).Bool()
	if err == nil && !known {
		err = errAhead(seq)
	}
	return wrapRedis(ctx, "mark as read", err)
}

// Reads implements Store.
func (r *Redis) Reads(ctx context.Context, room string) (_ map[string]uint64, err error) {
	ctx, span := redisSystem.start(ctx, spanRead, "ZRANGE")
	defer func() { end(span, err) }()
	if err := cmp.Or(checkRoom(room), r.use()); err != nil {
		return nil, wrapRedis(ctx, "read", err)
	}
	marks, err := r.client.ZRangeWithScores(ctx, readsKey(room), int64(-r.limits.Reads), -1).Result()
	if err != nil {
		return nil, wrapRedis(ctx, "read", err)
	}
	reads := make(map[string]uint64, len(marks))
	for _, mark := range marks {
		reads[fmt.Sprint(mark.Member)] = uint64(mark.Score)
	}
	return reads, nil
}

func (r *Redis) use() error {
	if r.closed.Load() {
		return ErrClosed
	}
	return nil
}

func wrapRedis(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	ended := context.Cause(ctx)
	if d, ok := ctx.Deadline(); ok && ended == nil && !time.Now().Before(d) {
		ended = context.DeadlineExceeded // the connection keeps the same deadline and was first to notice
	}
	switch {
	case redis.IsOOMError(err):
		err = fmt.Errorf("%w: raise the maxmemory of Redis, or keep fewer messages: %w", ErrFull, err)
	case ended != nil && !errors.Is(err, ended):
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return fmt.Errorf("history: %s in Redis: %w", what, err)
}
