package wsconn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/frames"
)

// closeTimeout is how long SendClose waits.
const closeTimeout = time.Second

var (
	errWithinFrame = errors.New("wsconn: close frame not sent, because another frame is not written to its end")
	// errStopped is the error of writing after a close frame of SendClose.
	errStopped = fmt.Errorf("wsconn: a close frame has been sent: %w", net.ErrClosed)
)

// CloseFor sends a close frame as SendClose does, and closes the connection for the reason.
func (c *Conn) CloseFor(reason instrument.CloseReason, code int, text string) error {
	code = frames.SendableCode(code)
	c.Say(reason, code)
	return errors.Join(c.SendClose(code, text), c.close())
}

// A dueClose is a close frame that somebody waits for.
type dueClose struct {
	frame []byte
	done  chan struct{}
	err   error // when it is done
}

// SendClose sends a close frame with the code and text after the frame that is being written, for which it waits at
// most a second. After another close frame it does nothing. The text is cut to the 123 bytes that fit into the frame. A
// code that must not be sent leads to a frame without code and text. Nothing can be written afterwards.
func (c *Conn) SendClose(code int, text string) error {
	// Also for a write that holds the lock.
	if err := c.Conn.SetWriteDeadline(time.Now().Add(closeTimeout)); err != nil {
		if errors.Is(err, net.ErrClosed) {
			return nil // the connection has ended before
		}
		return err
	}
	due, err := c.begunClose(closeFrame(code, text))
	if due == nil {
		return err
	}
	timeout := time.NewTimer(closeTimeout)
	defer timeout.Stop()
	select {
	case <-due.done:
		return due.err
	case <-timeout.C:
		return errWithinFrame
	}
}

// begunClose writes the frame, or returns the one that is due if another frame is being written.
func (c *Conn) begunClose(frame []byte) (*dueClose, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	switch {
	case c.closeSent.Load():
		return nil, nil
	case c.torn, c.out.Lost():
		return nil, errWithinFrame
	case c.due == nil && c.out.Aligned():
		return nil, c.writeLast(frame)
	case c.due == nil:
		c.due = &dueClose{frame: frame, done: make(chan struct{})}
	}
	return c.due, nil
}

func (c *Conn) writeLast(frame []byte) error {
	c.holding = false // the held bytes have not been written, and must not be written after the close frame
	_, err := c.write(frame)
	c.stopped = true
	return err
}

// closeBehind writes the due close frame if the last write has ended a frame. A frame in which a write has failed never
// ends.
func (c *Conn) closeBehind(err error) {
	c.torn = c.torn || err != nil && !c.out.Aligned()
	due := c.due
	if due == nil || !c.out.Aligned() && !c.torn {
		return
	}
	c.due = nil
	switch {
	case c.torn:
		due.err = errWithinFrame
	case !c.closeSent.Load():
		due.err = c.writeLast(due.frame)
	}
	close(due.done)
}

// closeFrame returns a close frame of a server.
func closeFrame(code int, text string) []byte {
	frame := []byte{0x80 | byte(frames.Close), 0}
	if code = frames.SendableCode(code); code != frames.NoStatus {
		const room = 123
		frame = binary.BigEndian.AppendUint16(frame, uint16(code))
		frame = append(frame, strings.ToValidUTF8(text[:min(len(text), room)], "")...)
		frame[1] = byte(len(frame) - 2)
	}
	return frame
}
