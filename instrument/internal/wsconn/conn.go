package wsconn

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/frames"
)

const (
	// probeTimeout is how long Probe waits for what the peer has sent already.
	probeTimeout = time.Millisecond
	// maxHeader is the size of the longest header of a frame.
	maxHeader = 14
)

// Config configures a Conn.
type Config struct {
	// Observed is the handle of the connection.
	Observed *instrument.Conn
	// Extensions are those that were negotiated.
	Extensions frames.Extensions
	// WithoutPings leaves pings to the adapter.
	WithoutPings bool
	// RearmsWrites is for libraries that set the write deadline again before each write. A deadline in the past then
	// does not mean that somebody gives up a write.
	RearmsWrites bool
	// GathersFrames is for libraries that write a long frame by two calls of Write in a row, and do not change the
	// bytes of the first call before the second. The Conn then writes both at once, as it always does if the first call
	// has little more than the header.
	GathersFrames bool
	// EndOnClose ends the observation when the connection is closed. Otherwise the adapter calls End.
	EndOnClose bool
}

// A Conn is the server's end of a WebSocket connection. It starts no goroutine. As on any stream of frames, only one
// goroutine may read at a time. A frame that is written by one call of Write stays in one piece.
//
// Its fields are grouped by cache lines: for all messages, for sending, for receiving, and seldom needed ones. After a
// system call, fetching a line costs more than the work with it.
type Conn struct {
	net.Conn
	counter  instrument.Counter
	classify func(frames.Opcode, int64) instrument.MessageType
	begun    bool
	counts   bool
	aside    bool        // there is something to do before the next read
	heeds    atomic.Bool // arriving frames change the state of deadlines
	early    []byte      // received before it is read

	writing sync.Mutex            // frames are followed in the order in which they are written
	due     *dueClose             // a close frame to be written behind the frame that is being written
	failing atomic.Pointer[error] // of the last write, nil if it succeeded
	torn    bool                  // a write has failed within a frame
	stopped bool                  // by a close frame of SendClose, which is the last
	holding bool                  // the beginning of a frame, which is written with the rest
	out     frames.Follower

	parts  [2][]byte // of a frame: the beginning that is held, and the rest while both are written
	unsent net.Buffers
	header [maxHeader]byte // a copy of the beginning that is held, if it is short

	in frames.Follower

	config Config
	pings  pings

	ending    atomic.Pointer[instrument.Cause] // the first to know why the connection ends sets it
	announced atomic.Pointer[instrument.Cause] // by a close frame that is being written
	ended     atomic.Bool
	closed    atomic.Bool // by this side
	lingers   atomic.Bool // for the peer to read the close frame
	closeSent atomic.Bool // a close frame was written

	evidence evidence

	readDeadline deadline
	writeWoken   atomic.Bool // the deadline had passed when it was set
}

// New returns a Conn that hands everything through until Begin.
func New(transport net.Conn) *Conn { return &Conn{Conn: transport} }

// Begin begins to observe, between two frames in both directions. The early bytes were received already; the next reads
// return them.
func (c *Conn) Begin(config Config, early []byte) {
	c.begin(config)
	c.early, c.aside = early, len(early) > 0
}

// BeginBehind is like Begin, for a library that has the early bytes already.
func (c *Conn) BeginBehind(config Config, early []byte) {
	c.begin(config)
	c.received(early)
}

func (c *Conn) begin(config Config) {
	c.config, c.begun = config, true
	c.in = frames.New(frames.Config{Client: true, Extensions: config.Extensions})
	c.out = frames.New(frames.Config{Extensions: config.Extensions})
}

// Observed returns the handle of the connection.
func (c *Conn) Observed() *instrument.Conn { return c.config.Observed }

// CountMessages makes the Conn count each whole message, with the type that classify returns for its opcode and size on
// the wire. A nil classify counts all messages as "other". Call it before the connection is used.
func (c *Conn) CountMessages(classify func(op frames.Opcode, size int64) instrument.MessageType) {
	c.counter, c.counts, c.classify = c.config.Observed.BeginCounting(), true, classify
}

// Read reads what the peer has sent.
//
// Read and Write contain only the code that most calls need, and other functions the rest. After a system call a
// processor has little of the code in its cache, so every line of code costs.
func (c *Conn) Read(p []byte) (int, error) {
	if !c.begun {
		return c.Conn.Read(p)
	}
	if c.aside {
		if n := c.readAside(p); n > 0 {
			return n, nil
		}
	}
	n, err := c.Conn.Read(p)
	op, size, whole := c.in.Whole(p[:n])
	switch {
	case !whole, c.heeds.Load():
		if c.closed.Load() {
			return 0, c.discard(p, err)
		}
		c.receivedPieces(p[:n])
	case c.counts:
		c.counter.Received(c.typeOf(op, int64(size)), size)
	}
	if err != nil {
		c.readFailed(err)
	}
	return n, err
}

// readAside does the work before some reads. It returns the number of early bytes that it has read.
func (c *Conn) readAside(p []byte) int {
	if c.in.Violation() != nil {
		c.readsOn()
	}
	n := copy(p, c.early)
	if c.early = c.early[n:]; len(c.early) == 0 {
		c.early = nil
	}
	c.aside = c.early != nil || c.in.Violation() != nil
	c.received(p[:n])
	return n
}

// receivedPieces follows the bytes that were read, unless they are one whole message.
func (c *Conn) receivedPieces(p []byte) {
	if c.heeds.Load() {
		c.received(p)
		return
	}
	op, size, ended, followed := c.in.Piece(p)
	switch {
	case !followed:
		c.received(p)
	case ended && c.counts:
		c.counter.Received(c.typeOf(op, int64(size)), size)
	}
}

// received follows the bytes that were read.
func (c *Conn) received(p []byte) {
	if c.heeds.Load() {
		c.heardFrom(p)
	}
	for len(p) > 0 {
		var whole bool
		if p, whole = c.in.Next(p); !whole {
			break
		}
		c.frameArrived()
		switch c.in.Opcode() {
		case frames.Close:
			c.peerClosed()
		case frames.Pong:
			c.pings.answered(c.in.Sum())
		default:
			if op, size, ok := c.in.Message(); ok && c.counts {
				c.counter.Received(c.typeOf(op, size), int(size))
			}
		}
	}
	if c.in.Closing() {
		c.evidence.peerCloses.Store(true)
	}
	if err := c.in.Violation(); err != nil {
		c.aside = true
		c.Violated(err)
	}
}

// readsOn notes that the library reads on. So it has tolerated violations in the whole frames that it has read.
func (c *Conn) readsOn() {
	if c.in.Forgive() {
		c.evidence.tolerated.Store(c.evidence.violation.Swap(nil))
	}
}

// heardFrom notes that the peer is not silent.
func (c *Conn) heardFrom(p []byte) {
	if len(p) > 0 && c.evidence.readTimeout.Load() != nil {
		c.evidence.readTimeout.Store(nil)
		c.evidence.lifetime.Store(false)
	}
}

// frameArrived notes that a frame has arrived before the deadline.
func (c *Conn) frameArrived() {
	if c.heeds.Load() {
		c.metDeadline()
	}
}

func (c *Conn) metDeadline() {
	c.heeds.Store(false)
	if c.closed.Load() {
		c.heeds.Store(true) // as linger wants it
	}
	c.readDeadline.met()
}

func (c *Conn) typeOf(op frames.Opcode, size int64) instrument.MessageType {
	if c.classify == nil {
		return instrument.MessageType{}
	}
	return c.classify(op, size)
}

// Write writes to the peer. A failed write is counted as an error. It is also the reason for the connection's end,
// unless a better one is found.
func (c *Conn) Write(p []byte) (int, error) {
	if !c.begun {
		return c.Conn.Write(p)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.write(p)
}

func (c *Conn) write(p []byte) (int, error) {
	if c.stopped || c.holding {
		return c.writeRest(p)
	}
	op, size, whole := c.out.Whole(p)
	if !whole {
		return c.writePieces(p)
	}
	n, err := c.Conn.Write(p)
	if err != nil {
		c.sent(p[:n])
	} else if c.counts {
		c.counter.Sent(c.typeOf(op, int64(size)), size)
	}
	c.wrote(err)
	return n, err
}

// writeRest writes the rest of a frame whose beginning is held, unless nothing more may be written.
func (c *Conn) writeRest(p []byte) (int, error) {
	c.holding = false
	if c.stopped {
		return 0, errStopped
	}
	beginning := c.parts[0]
	c.parts[1] = p
	c.unsent = c.parts[:]
	sent, err := c.unsent.WriteTo(c.Conn)
	c.unsent, c.parts = nil, [len(c.parts)][]byte{}
	n := int(sent)
	c.sent(beginning[:min(n, len(beginning))])
	n = max(n-len(beginning), 0)
	c.sent(p[:n])
	c.wrote(err)
	return n, err
}

// writePieces writes anything but one whole message.
func (c *Conn) writePieces(p []byte) (int, error) {
	if c.out.Begins(p) && c.hold(p) {
		return len(p), nil
	}
	var closes *instrument.Cause
	if c.out.MayControl(p) {
		closes = c.announce(p)
	}
	n, err := c.Conn.Write(p)
	op, size, ended, followed := c.out.Piece(p[:n])
	switch {
	case !followed:
		c.sent(p[:n])
	case ended && c.counts:
		c.counter.Sent(c.typeOf(op, int64(size)), size)
	}
	if closes != nil {
		if err == nil {
			c.say(*closes)
		}
		c.announced.Store(nil)
	}
	c.wrote(err)
	return n, err
}

// hold holds the beginning of a frame until its rest is written, which saves a system call and a packet. It returns
// false if that takes more than copying a header.
func (c *Conn) hold(p []byte) bool {
	switch {
	case c.config.GathersFrames:
		c.parts[0] = p
	case len(p) <= len(c.header):
		c.parts[0] = c.header[:copy(c.header[:], p)]
	default:
		return false
	}
	c.holding = true
	return true
}

// wrote notes how a write has ended.
func (c *Conn) wrote(err error) {
	if err != nil || c.due != nil || c.failing.Load() != nil {
		c.wroteAside(err)
	}
}

func (c *Conn) wroteAside(err error) {
	if err != nil {
		c.writeFailed(err)
	} else {
		c.failing.Store(nil)
	}
	c.closeBehind(err)
}

// announce looks for frames in p that the peer may answer before Write has returned. If a close frame is among them, it
// returns its cause.
func (c *Conn) announce(p []byte) (closes *instrument.Cause) {
	ahead := c.out
	for len(p) > 0 {
		var whole bool
		if p, whole = ahead.Next(p); !whole {
			break
		}
		switch {
		case ahead.Opcode() == frames.Ping && !c.config.WithoutPings:
			c.pings.sent(ping{c.config.Observed.BeginPing(), ahead.Sum()})
		case ahead.Opcode() == frames.Close && closes == nil:
			cause := c.ownCause(&ahead)
			closes = &cause
			c.announced.Store(closes)
		}
	}
	return closes
}

// sent follows the bytes that were written.
func (c *Conn) sent(p []byte) {
	for len(p) > 0 {
		var whole bool
		if p, whole = c.out.Next(p); !whole {
			return
		}
		if c.out.Opcode() == frames.Close {
			c.closeSent.Store(true)
		} else if op, size, ok := c.out.Message(); ok && c.counts {
			c.counter.Sent(c.typeOf(op, size), int(size))
		}
	}
}

// SetDeadline sets the deadline of reads and writes, see SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	c.setReadDeadline(t)
	c.setWriteDeadline(t)
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline sets the deadline of reads. If the connection is closed after the deadline has passed, nothing was
// received in time. If frames have arrived since the deadline was set, it is the connection's maximum lifetime. A
// deadline in the past only wakes up a Read.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.setReadDeadline(t)
	return c.Conn.SetReadDeadline(t)
}

func (c *Conn) setReadDeadline(t time.Time) {
	c.readDeadline.set(t)
	c.heeds.Store(true)
}

// SetWriteDeadline sets the deadline of writes. A write that reaches it has failed. A deadline in the past only gives
// up a write.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.setWriteDeadline(t)
	return c.Conn.SetWriteDeadline(t)
}

func (c *Conn) setWriteDeadline(t time.Time) {
	if !c.config.RearmsWrites {
		c.writeWoken.Store(passed(t))
	}
}

// Woken says whether the last read failed only because its deadline was set in the past.
func (c *Conn) Woken() bool {
	return c.readDeadline.wakes() && c.ending.Load() == nil && c.announced.Load() == nil && !c.closed.Load()
}

// Probe finds out whether the peer is gone, if nobody is going to read. It waits shortly for bytes that have arrived,
// and keeps them for the next Read.
func (c *Conn) Probe() {
	if !c.begun || len(c.early) > 0 || c.ending.Load() != nil || c.closed.Load() {
		return
	}
	if err := c.Conn.SetReadDeadline(time.Now().Add(probeTimeout)); err != nil {
		return
	}
	p := make([]byte, 1)
	n, err := c.Conn.Read(p)
	c.early, c.aside = p[:n], true
	if err != nil && !isDeadline(err) {
		c.readFailed(err)
	}
	_ = c.Conn.SetReadDeadline(time.Time{}) // it fails when the connection is closed
}

// Close closes the connection.
func (c *Conn) Close() error { return c.close() }

func (c *Conn) close() error {
	c.closed.Store(true)
	if c.lingers.Load() {
		return nil
	}
	err := c.Conn.Close()
	if c.config.EndOnClose {
		c.End()
	}
	return err
}

// Closed says whether this side has closed the connection.
func (c *Conn) Closed() bool { return c.closed.Load() }
