package outbox

import (
	"errors"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// Bounds of what is written together.
const (
	mostFrames = 32
	mostBytes  = 16 << 10 // a frame that is larger is written alone
)

// Batch is frames that have waited together and are written one behind the other.
type Batch []Entry

// Entry is a frame of a Batch, and what became of it.
type Entry struct {
	Frame *wire.Frame
	// Type and Size are of what was written.
	Type instrument.MessageType
	Size int
	// Err is why the frame was not written. If it has one before it comes to be written, it is to be left out.
	Err error

	delivery instrument.Delivery
}

// WriteEach writes each frame that is to be written by write, until that fails.
func (b Batch) WriteEach(write func(*wire.Frame) (typ instrument.MessageType, size int, err error)) {
	for i := range b {
		e := &b[i]
		if e.Err != nil {
			continue
		}
		if e.Type, e.Size, e.Err = write(e.Frame); e.Err != nil && !errors.Is(e.Err, ErrExpired) {
			b[i+1:].Fail(0, e.Err)
			return
		}
	}
}

// Fail notes that of the frames that were to be written only the first ones were, so many of them.
func (b Batch) Fail(written int, err error) {
	for i := range b {
		if b[i].Err != nil {
			continue
		}
		if written--; written < 0 {
			b[i].Err = err
		}
	}
}
