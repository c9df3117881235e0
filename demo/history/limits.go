package history

import (
	"fmt"
	"time"
)

// Limits bound what a store keeps. A zero is replaced by the default. All instances that share a Redis or a topic
// should have the same; where a limit was lowered, what is too much goes bit by bit as new messages come.
type Limits struct {
	// Messages is the number of newest messages that a room keeps. The default is 10,000.
	Messages int
	// Rooms is how many rooms there can be. When there are as many, a new one takes the place of one that has been
	// quiet for Retention, and is refused with ErrFull while there is none. The default is 10,000.
	Rooms int
	// Reads is how many users' read marks a room keeps: those that are furthest ahead. The default is 1,000.
	Reads int
	// Retention is how long after its last message a room is kept for certain. Redis forgets it then, a File when its
	// place is needed, Kafka then or when something is said in it again. Kafka keeps no single message for longer,
	// either, for instances that begin with a new file. The default is 7 days.
	Retention time.Duration
}

func (l Limits) withDefaults() (Limits, error) {
	for _, n := range []struct {
		name     string
		value    *int
		fallback int
	}{
		{"Messages", &l.Messages, 10_000},
		{"Rooms", &l.Rooms, 10_000},
		{"Reads", &l.Reads, 1_000},
	} {
		switch {
		case *n.value < 0:
			return l, fmt.Errorf("limit %s is %d: must be positive, or 0 for %d", n.name, *n.value, n.fallback)
		case *n.value == 0:
			*n.value = n.fallback
		}
	}
	switch {
	case l.Retention == 0:
		l.Retention = 7 * 24 * time.Hour
	case l.Retention < time.Millisecond:
		return l, fmt.Errorf("limit Retention is %v: must be 1ms or more, or 0 for 7 days", l.Retention)
	}
	return l, nil
}

// sweep is how many messages above the limit go with one that is appended, and how many quiet rooms make place for a
// new one: more than come, so that what is too much goes, yet too few to be felt.
const sweep = 16
