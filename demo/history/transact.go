package history

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// transact calls do in a transaction. On a file that something else has cut off, bbolt can't even begin one and leaves
// its locks taken; nothing more can be done with it then, not even close it.
func (f *File) transact(begin func(func(*bbolt.Tx) error) error, do func(*bbolt.Tx) error) error {
	if f.broken.Load() {
		return errBroken
	}
	begun := false
	err := guard(func() error {
		return begin(func(tx *bbolt.Tx) error {
			begun = true
			return do(tx)
		})
	})
	if !begun && errors.Is(err, errDamaged) {
		f.broken.Store(true)
	}
	return err
}

// guard turns what bbolt does on a damaged file, panics and accesses beyond its end, into errors.
func guard(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damaged("%v", p)
		}
	}()
	return do()
}

var (
	errDamaged = errors.New("the file is damaged: restore it from a copy, or move it away to begin anew")
	errBroken  = fmt.Errorf("%w: it was changed by something else, restart afterwards", errDamaged)
)

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errDamaged}, args...)...)
}

// explain adds the cure where the cause is known.
func explain(err error) error {
	switch {
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return ErrClosed
	case errors.Is(err, berrors.ErrTimeout):
		return errors.New("the file is in use by another process: stop that one, or use a file for each")
	case errors.Is(err, berrors.ErrInvalid),
		errors.Is(err, berrors.ErrChecksum),
		errors.Is(err, berrors.ErrVersionMismatch):
		return fmt.Errorf("the file is not a history, or damaged: choose another, or restore it from a copy: %w", err)
	case slices.ContainsFunc([]error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}, func(cause error) bool {
		return errors.Is(err, cause) || strings.Contains(err.Error(), cause.Error()) // bbolt tells some in words only
	}):
		return fmt.Errorf("%w: free some space on the disk: %w", ErrFull, err)
	default:
		return err
	}
}
