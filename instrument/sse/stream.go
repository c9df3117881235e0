package sse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sockscope/sockscope/instrument"
)

const (
	defaultWriteTimeout = 10 * time.Second
	drainTimeout        = time.Second // for what is written when the observer drains
	maxKeptFrame        = 64 << 10    // a larger buffer is not kept for the next event
)

// A Stream is an open event stream that is observed. Send, Comment, Close and CloseFor may be called concurrently,
// while the handler has not returned. It starts no goroutine and sends nothing of its own, but for a comment at the
// beginning and a retry hint when the observer drains.
type Stream struct {
	w           http.ResponseWriter
	control     *http.ResponseController
	request     context.Context //nolint:containedctx // it is done when the peer is gone
	context     context.Context //nolint:containedctx // Context returns it
	cancel      context.CancelFunc
	observer    *instrument.Observer
	observed    *instrument.Conn
	opened      time.Time
	cutAfter    time.Duration // by the server, 0 if it does not
	lastEventID string
	counting    bool
	counter     instrument.Counter
	classify    func(Event) instrument.MessageType
	late        atomic.Bool // the last write has succeeded, but hardly in time
	closed      atomic.Bool
	closing     sync.Mutex // held while the stream is closed from outside of a write

	writing sync.Mutex // one frame at a time
	frame   []byte
	timeout time.Duration
	hinted  bool // the peer knows when to connect again
}

// Unwrap returns the ResponseWriter underneath. Writes to it are not observed.
func (s *Stream) Unwrap() http.ResponseWriter { return s.w }

// Observed returns the handle for what only the application knows: types of events, queues, what is dropped.
func (s *Stream) Observed() *instrument.Conn { return s.observed }

// Context returns the request's context, which is also done when the stream has ended. A handler that waits for events
// should return then: the peer is gone, CloseFor was called, or the observer drains.
func (s *Stream) Context() context.Context { return s.context }

// LastEventID returns the id of the last event that the peer got before it connected again, as it says itself in the
// header Last-Event-ID, or "" if there is none. The peer can make it up, but it is something that Send could have sent:
// at most 256 bytes of UTF-8 on one line.
func (s *Stream) LastEventID() string { return s.lastEventID }

// CountMessages has the stream count each event that it sends, with the length of its data and the type that classify
// returns; a nil classify makes it "other". Call it before the stream is used. The application's own counts by Observed
// then count nothing. By default nothing is counted here.
func (s *Stream) CountMessages(classify func(Event) instrument.MessageType) {
	s.counting, s.counter, s.classify = true, s.observed.BeginCounting(), classify
}

// SetWriteTimeout sets how long an event or comment may take to be written, before the stream is given up. Call it
// before the stream is used. 0 means no limit: a peer that does not read then blocks Send until its connection breaks.
// The default is 10 seconds. It has no effect below a middleware that hides the deadlines of the ResponseWriter.
func (s *Stream) SetWriteTimeout(d time.Duration) { s.timeout = max(d, 0) }

// Send writes one event or several, one behind the other, and flushes them together. If an event cannot be written as
// it is, because its ID or Type has a line feed, Send refuses all with an error, which harms nothing. Every other error
// means that the stream has ended: it is ErrClosed when it had ended before.
func (s *Stream) Send(events ...Event) error {
	if len(events) == 0 {
		return nil
	}
	for i := range events {
		if err := events[i].check(); err != nil {
			return err
		}
	}
	if err := s.write(func(frame []byte) []byte {
		for i := range events {
			s.hinted = s.hinted || events[i].Retry > 0
			frame = appendEvent(frame, &events[i])
		}
		return frame
	}); err != nil {
		return err
	}
	if s.counting {
		s.count(events)
	}
	return nil
}

func (s *Stream) count(events []Event) {
	for _, e := range events {
		var t instrument.MessageType
		if s.classify != nil {
			t = s.classify(e)
		}
		s.counter.Sent(t, len(e.Data))
	}
}

// Comment writes a comment, which peers ignore, and flushes it. An empty one is the usual heartbeat: it keeps proxies
// from closing an idle stream, and is how a peer that has silently vanished is found out.
func (s *Stream) Comment(text string) error {
	return s.write(func(frame []byte) []byte { return append(appendLines(frame, ":", []byte(text)), '\n') })
}

// write writes what appendTo appends to an empty frame.
func (s *Stream) write(appendTo func([]byte) []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.writeLocked(appendTo)
}

func (s *Stream) writeLocked(appendTo func([]byte) []byte) error {
	if s.closed.Load() {
		return ErrClosed
	}
	if err := s.request.Err(); err != nil {
		s.over(err)
		return gone(err)
	}
	s.frame = appendTo(s.frame[:0])
	deadline, _ := s.startWrite()
	defer s.endWrite(deadline)
	if s.closed.Load() { // by CloseFor, which may have cut off a write that had not begun
		return ErrClosed
	}
	_, err := s.w.Write(s.frame)
	if err == nil {
		err = s.control.Flush()
	}
	if cap(s.frame) > maxKeptFrame {
		s.frame = nil
	}
	switch {
	case err == nil:
		return nil
	case s.closed.Load(): // and so was cut off
		return ErrClosed
	}
	s.writeFailed(!deadline.IsZero() && time.Until(deadline) <= 0, err)
	return fmt.Errorf("sse: write: %w", err)
}

func (s *Stream) startWrite() (deadline time.Time, err error) {
	if s.timeout > 0 {
		deadline = time.Now().Add(s.timeout)
	}
	return deadline, s.control.SetWriteDeadline(deadline)
}

// endWrite lifts the deadline: over HTTP/2 it would end the stream by passing even while nothing is written. It may do
// so before it is lifted, because another goroutine does that.
func (s *Stream) endWrite(deadline time.Time) {
	_ = s.control.SetWriteDeadline(time.Time{})
	s.late.Store(!deadline.IsZero() && time.Until(deadline) < s.timeout/10)
	if s.closed.Load() {
		s.startEnd()
	}
}

// startEnd limits the time for what net/http has left to write when the handler returns: a peer that does not read must
// not keep it from returning, whatever the application's limit is.
func (s *Stream) startEnd() {
	_ = s.control.SetWriteDeadline(time.Now().Add(cmp.Or(s.timeout, defaultWriteTimeout)))
}

// writeFailed ends the stream for what a failed write tells. HTTP/2 does not say that it was the deadline; the clock
// does.
func (s *Stream) writeFailed(late bool, err error) {
	if s.cut() || !late && !errors.Is(err, os.ErrDeadlineExceeded) {
		s.end(s.goneCause(err))
		return
	}
	s.tooSlow(err)
}

// over ends the stream because the request is over. Over HTTP/2 that may be for the deadline of a write which has
// succeeded all the same.
func (s *Stream) over(err error) {
	if s.late.Load() {
		s.writeFailed(true, err)
		return
	}
	s.end(s.goneCause(err))
}

// tooSlow ends the stream because the peer does not read in time.
func (s *Stream) tooSlow(err error) {
	if s.end(instrument.Cause{Initiator: instrument.InitiatorNetwork, Reason: instrument.ReasonWriteError, Err: err}) {
		s.observed.Failed(s.request, instrument.ErrorWrite, err)
	}
}

// cut says whether the server's own timeout, which the stream could not lift, has ended it by now. The server has begun
// to count before the stream was opened, by as long as its handler took to decide.
func (s *Stream) cut() bool {
	slack := min(max(s.cutAfter/10, time.Second), s.cutAfter/2)
	return s.cutAfter > 0 && time.Since(s.opened) >= s.cutAfter-slack
}

// gone is the error of using a stream whose request is over.
func gone(err error) error { return fmt.Errorf("sse: the peer is gone: %w", err) }

var errCut = errors.New("sse: the server's WriteTimeout has passed, and a middleware hides the deadlines of its ResponseWriter")

// goneCause is the cause of an end that nobody has said here, as far as one can know: see the package's comment.
func (s *Stream) goneCause(err error) instrument.Cause {
	cause := context.Cause(s.request)
	switch {
	case s.observer.Draining():
		return local(instrument.ReasonShutdown)
	case s.cut():
		cut := local(instrument.ReasonInternal)
		cut.Err = errCut
		return cut
	case errors.Is(cause, context.DeadlineExceeded): // the application's
		return local(instrument.ReasonNormal)
	case cause != nil && !errors.Is(cause, context.Canceled): // net/http gives no cause
		return local(instrument.ReasonShutdown)
	}
	return instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonGoingAway, Err: err}
}

func local(reason instrument.CloseReason) instrument.Cause {
	return instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: reason}
}

// Close ends the stream and is meant to be deferred by the handler, whose return is what ends the answer. On a stream
// that has ended already it changes nothing. A panic of the handler is counted and goes on, if Close itself is
// deferred: within a deferred function literal it cannot see the panic, because recover works only in the deferred
// function itself, so write defer s.Close() by itself, after the defer of the literal. Browsers take the end of an
// answer for a broken connection and connect again, until a request is answered 204.
func (s *Stream) Close() {
	v := recover()
	s.closing.Lock() // when the handler returns, nobody may be at the ResponseWriter any more
	defer s.closing.Unlock()
	switch err := s.request.Err(); {
	case v != nil:
		s.panicked(v)
		panic(v) //nolint:forbidigo // it is the handler's own, on its way to net/http
	case err != nil:
		s.over(err)
	case s.observer.Draining():
		s.closeFor(instrument.ReasonShutdown, 0)
	default:
		s.closeFor(instrument.ReasonNormal, 0)
	}
}

// CloseFor ends the stream for a reason that only the application knows, such as instrument.ReasonSlowConsumer. A later
// Send fails with ErrClosed, and a Send that waits for the peer to read is cut off.
func (s *Stream) CloseFor(reason instrument.CloseReason) {
	s.closing.Lock()
	defer s.closing.Unlock()
	s.closeFor(reason, 0)
}

// closeFor ends the stream. A write that is going on has that time to end.
func (s *Stream) closeFor(reason instrument.CloseReason, grace time.Duration) {
	if !s.end(local(reason)) {
		return
	}
	if !s.writing.TryLock() {
		_ = s.control.SetWriteDeadline(time.Now().Add(grace))
		return
	}
	defer s.writing.Unlock()
	s.startEnd()
}

// end ends the observation for the first cause that was known, and says whether it was this one.
func (s *Stream) end(cause instrument.Cause) bool {
	if !s.closed.CompareAndSwap(false, true) {
		return false
	}
	s.observed.Closed(cause)
	s.cancel()
	return true
}

// drain ends the stream because the server stops.
func (s *Stream) drain() {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.writing.TryLock() {
		s.hint()
		s.writing.Unlock()
	}
	s.closeFor(instrument.ReasonShutdown, drainTimeout)
}

// hint has peers come back at different times, unless the application has told them when.
func (s *Stream) hint() {
	if s.hinted {
		return
	}
	timeout := s.timeout
	defer func() { s.timeout = timeout }()
	if timeout == 0 || timeout > drainTimeout { // a peer that does not read must not hold up the shutdown
		s.timeout = drainTimeout
	}
	e := Event{Retry: time.Second + rand.N(4*time.Second)}
	_ = s.writeLocked(func(frame []byte) []byte { return appendEvent(frame, &e) }) // the stream ends in any case
}

func (s *Stream) panicked(v any) {
	cause := s.observed.Panicked(s.request, v)
	switch {
	case cause != nil:
		s.end(*cause)
	case s.observer.Draining():
		s.end(local(instrument.ReasonShutdown))
	default:
		s.end(local(instrument.ReasonAbnormal))
	}
}
