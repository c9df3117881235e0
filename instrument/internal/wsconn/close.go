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

const (
	// closeTimeout is how long SendClose waits.
	closeTimeout = time.Second
	// lingerTimeout is how long a peer gets to answer the close frame of CloseFor.
	lingerTimeout = time.Second
)

var (
	errWithinFrame = errors.New("wsconn: close frame not sent, because another frame is not written to its end")
	// errStopped is the error of writing after a close frame of SendClose.
	errStopped = fmt.Errorf("wsconn: a close frame has been sent: %w", net.ErrClosed)
)

// CloseFor sends a close frame as SendClose does, and closes the connection for the reason. Nothing can be read or
// written afterwards.
func (c *Conn) CloseFor(reason instrument.CloseReason, code int, text string) error {
	code = frames.SendableCode(code)
	c.Say(reason, code)
	if err := c.SendClose(code, text); err != nil {
		return errors.Join(err, c.close())
	}
	return c.linger()
}

// linger closes the connection for writing, and for reading once the peer has closed it, at the latest after
// lingerTimeout. If it were closed at once, a peer that is writing at that time would fail to write, and browsers then
// don't tell the code of the close frame (RFC 6455, section 7.1.1, has the server wait, too). Close does not end that
// time: handlers call it as soon as they have called CloseFor.
func (c *Conn) linger() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || c.closed.Swap(true) {
		return c.close()
	}
	c.heeds.Store(true) // so that Read discards what comes
	if err := half.CloseWrite(); err != nil {
		return errors.Join(err, c.close())
	}
	c.lingers.Store(true)
	time.AfterFunc(lingerTimeout, func() { _ = c.Conn.Close() })
	if c.config.EndOnClose {
		c.End()
	}
	return nil
}

// discard reads on, after a read that ended with err, until the peer sends nothing more on a connection that this side
// has closed. It returns net.ErrClosed.
func (c *Conn) discard(p []byte, err error) error {
	for err == nil {
		_, err = c.Conn.Read(p)
	}
	_ = c.Conn.Close() // the peer has closed it, or the time is over
	c.readFailed(net.ErrClosed)
	return net.ErrClosed
}

// A dueClose is a close frame that somebody waits for.
type dueClose struct {
	frame []byte
	done  chan struct{}
	err   error // when it is done
}

// SendClose sends a close frame with the code and text after the frame that is being written, for which it waits at
// most a second, and then instead of that frame if nothing of it has been written. After another close frame it does
// nothing. The text is cut to the 123 bytes that fit into the frame. A code that must not be sent leads to a frame
// without code and text. Nothing can be written afterwards.
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
		return c.closeInstead(due)
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
	case c.due == nil && c.out.Aligned() && !c.holding:
		return nil, c.writeLast(frame)
	case c.due == nil:
		c.due = &dueClose{frame: frame, done: make(chan struct{})}
	}
	return c.due, nil
}

// closeInstead writes the due close frame instead of the frame that it waits for, if nothing of that has been written.
func (c *Conn) closeInstead(due *dueClose) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	switch {
	case c.due != due:
		<-due.done
		return due.err
	case !c.holding:
		return errWithinFrame
	}
	if err := c.Conn.SetWriteDeadline(time.Now().Add(closeTimeout)); err != nil {
		return err
	}
	c.holding = false
	c.closeBehind(nil)
	return due.err
}

func (c *Conn) writeLast(frame []byte) error {
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
