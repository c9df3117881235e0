package history

import (
	"context"
	"errors"
)

// The reasons for which nothing was saved, see errors.Is.
var (
	// ErrInvalid is what the caller has to change: a room, a user, a message that no store takes.
	ErrInvalid = errors.New("not valid")
	// ErrFull says that there is no place: too many rooms, or no space on the disk or in the memory of Redis.
	ErrFull = errors.New("the store is full")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("the store is closed")
)

// A Store keeps the messages of rooms. Its methods are safe for concurrent use and end with their context. A room that
// nothing was said in is empty; asking for it is no error.
type Store interface {
	// Append saves m, whose Seq and SavedID it ignores, and returns it with those that it was given and, if m had none,
	// its Time. If this sender's message with this ID is in the room already, it returns that one and again is true.
	Append(ctx context.Context, m Message) (saved Message, again bool, err error)
	// After returns at most limit messages with a higher Seq than after, oldest first. If the first of them is not
	// after+1, what was in between is no longer kept.
	After(ctx context.Context, room string, after uint64, limit int) ([]Message, error)
	// Latest returns the newest messages, at most limit, oldest first.
	Latest(ctx context.Context, room string, limit int) ([]Message, error)
	// LastSeq returns the Seq of the newest message, 0 if there is none.
	LastSeq(ctx context.Context, room string) (uint64, error)
	// MarkRead keeps that the user has read the room up to seq. A mark never goes back. One beyond the newest message
	// is ErrInvalid; 0 is no mark.
	MarkRead(ctx context.Context, room, user string, seq uint64) error
	// Reads returns how far the users have read, as many of them as Limits.Reads.
	Reads(ctx context.Context, room string) (map[string]uint64, error)
	// Ping reports whether the store can be used now.
	Ping(ctx context.Context) error
	// Close ends the store. Calls under way are finished, later ones fail with ErrClosed.
	Close() error
}
