package load

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"
)

// ids makes the messageIds of a run, and tells from one which message it is: number n of a group.
type ids struct {
	run [10]byte // what all of them begin with
}

// request is the group of what is no message: joining a room and the like.
const request = 0xff

// maxNumber is the largest that fits.
const maxNumber = 1<<40 - 1

func newIDs() (ids, error) {
	var i ids
	if _, err := rand.Read(i.run[:]); err != nil {
		return i, fmt.Errorf("make an id for the run: %w", err)
	}
	i.run[6] = i.run[6]&0x0f | 0x80 // UUID version 8: made by the application
	i.run[8] = i.run[8]&0x3f | 0x80
	return i, nil
}

// of returns the messageId of a message.
func (i ids) of(group, n int) string {
	var id uuid.UUID
	copy(id[:], i.run[:])
	binary.BigEndian.PutUint64(id[8:], uint64(group)<<40|uint64(n)&maxNumber)
	copy(id[8:10], i.run[8:])
	return id.String()
}

// find returns which message has the id, if it is one of this run.
func (i ids) find(messageID string) (group, n int, ours bool) {
	id, err := uuid.Parse(messageID)
	if err != nil || [10]byte(id[:10]) != i.run {
		return 0, 0, false
	}
	return int(id[10]), int(binary.BigEndian.Uint64(id[8:]) & maxNumber), true
}

// room returns the name of a room, which no other run has.
func (i ids) room(number int) string { return fmt.Sprintf("load-%x-%d", i.run[:4], number) }
