package history

import (
	"context"
	_ "embed" // the scripts
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed append.lua
	appendLua string
	//go:embed claim.lua
	claimLua string
	//go:embed mark.lua
	markLua string

	appendScript = redis.NewScript(appendLua)
	claimScript  = redis.NewScript(claimLua)
	markScript   = redis.NewScript(markLua)
)

// The keys of a room have its name as their hash tag: a cluster keeps them together.
func messagesKey(room string) string { return "history:{" + room + "}:messages" }
func idsKey(room string) string      { return "history:{" + room + "}:ids" }
func readsKey(room string) string    { return "history:{" + room + "}:reads" }

// roomsKey has the rooms by when they were last known to be there.
const roomsKey = "history:rooms"

// append saves the message unless it is saved already, and returns what is saved.
func (r *Redis) append(ctx context.Context, m Message, record []byte) (Message, error) {
	if err := r.use(); err != nil {
		return Message{}, err
	}
	saved, err := r.tryAppend(ctx, m, record, false)
	if err != nil || saved.Seq > 0 {
		return saved, err
	}
	if err := r.claim(ctx, m.Room); err != nil {
		return Message{}, err
	}
	return r.tryAppend(ctx, m, record, true)
}

// tryAppend appends the message. Its Seq is 0 if the room is missing and was not to be made.
func (r *Redis) tryAppend(ctx context.Context, m Message, record []byte, makeRoom bool) (Message, error) {
	reply, err := appendScript.Run(ctx, r.client,
		[]string{messagesKey(m.Room), idsKey(m.Room), readsKey(m.Room)},
		m.key(), record, r.limits.Messages, r.limits.Retention.Milliseconds(), makeRoom, sweep).Slice()
	if err != nil {
		return Message{}, err
	}
	var seq int64
	if len(reply) > 0 {
		seq, _ = reply[0].(int64)
	}
	if len(reply) == 2 {
		before, _ := reply[1].(string)
		return decode(m.Room, uint64(seq), []byte(before))
	}
	m.Seq = uint64(seq)
	return m, nil
}

// claim gives the room its place among all rooms. If there is none, some that Redis has forgotten make place.
func (r *Redis) claim(ctx context.Context, room string) error {
	since := time.Now().Add(-r.limits.Retention).UnixMilli()
	ok, err := r.tryClaim(ctx, room, since, nil)
	if err != nil || ok {
		return err
	}
	gone, err := r.forgotten(ctx, since)
	if err != nil {
		return err
	}
	ok, err = r.tryClaim(ctx, room, since, gone)
	if err == nil && !ok {
		err = errRooms(r.limits)
	}
	return err
}

func (r *Redis) tryClaim(ctx context.Context, room string, since int64, gone []string) (bool, error) {
	args := []any{room, time.Now().UnixMilli(), r.limits.Rooms, since}
	for _, room := range gone {
		args = append(args, room)
	}
	return claimScript.Run(ctx, r.client, []string{roomsKey}, args...).Bool()
}

// forgotten returns rooms that are no longer there. Those that are come to the end of the line.
func (r *Redis) forgotten(ctx context.Context, since int64) ([]string, error) {
	rooms, err := r.client.ZRangeByScore(ctx, roomsKey, &redis.ZRangeBy{
		Min: "-inf", Max: strconv.FormatInt(since, 10), Count: sweep,
	}).Result()
	if err != nil || len(rooms) == 0 {
		return nil, err
	}
	exist := make([]*redis.IntCmd, len(rooms))
	_, err = r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, room := range rooms {
			exist[i] = p.Exists(ctx, messagesKey(room))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for rooms that are gone: %w", err)
	}
	var gone []string
	var there []redis.Z
	for i, room := range rooms {
		if exist[i].Val() == 0 {
			gone = append(gone, room)
		} else {
			there = append(there, redis.Z{Score: float64(time.Now().UnixMilli()), Member: room})
		}
	}
	if len(there) > 0 {
		err = r.client.ZAddXX(ctx, roomsKey, there...).Err()
	}
	return gone, err
}
